//! From Match to Incident: alerts, incidents, accounts, the HTTP API and the web console.
//!
//! Invariants:
//! - A delivery of matches is answered only after the commit that holds them all; counts are exact under
//!   replays and in any order of arrival.
//! - Nothing but signing in is done without a session, and no password has a default.
//! - What came from a log reaches SQL as a parameter and HTML as JSON data, never as code.
//! - Several processes may work on one database: what they agree on stands there and nowhere else.

mod accounts;
mod api;
mod assets;
mod attack;
mod audit;
mod changes;
mod clock;
mod clocks;
mod config;
mod database;
mod demonstration;
mod incidents;
mod intake;
mod notification;
mod server;
mod severity;
mod sql;
mod status;
mod suppression;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use citywatch_engine::store::Store;
use citywatch_engine::{MatchDelivery, RuleInfo};
use sqlx::Row;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use accounts::{FirstPassword, Role, UserError};
pub use api::{Access, ROUTES, Recorded, Route, openapi_json};
pub use audit::{AuditHead, AuditKeyError, AuditProblem, AuditReport};
pub use clock::Clock;
pub use clocks::{ClocksConfig, MinutesBySeverity, ReportingClock};
pub use config::{
    AlertingConfig, AlertsConfig, AuditConfig, DatabaseUrl, IncidentsConfig, SecretUrl,
    SessionsConfig, SignInConfig, TlsConfig,
};
pub use database::DatabaseError;
pub use demonstration::DemonstrationError;
pub use incidents::{State, Verdict};
pub use notification::{NotificationsConfig, SmtpConfig, SmtpEncryption};
pub use server::{ServeError, Server};
pub use severity::{Severity, UnknownSeverity};
pub use status::{AlertingStatus, LastError};
pub use tls::{TlsError, asking_with_own_roots};

use accounts::{Passwords, Sessions, SignInLimits, Tokens, Units, Users};
use api::{App, AppInner, Followers, StatusSource};
use audit::{Audit, AuditKey};
use changes::Changes;
use clock::DAY_MICROS;
use clocks::Alarms;
use database::Database;
use demonstration::Demonstration;
use incidents::{Rescorer, Rescores};
use intake::translation::Statuses;
use intake::{Committer, Intake};
use notification::{Outbox, Routes, Sender};
use status::Tally;
use suppression::Suppressions;

/// Counted matches are looked through for old ones this often.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(3600);

/// Why alerting cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AlertingError {
    /// The database cannot be opened.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is no key to sign the audit log with.
    #[error(transparent)]
    AuditKey(#[from] AuditKeyError),
    /// The database failed after it was opened.
    #[error("the database of incidents failed: {0}")]
    Query(#[from] sqlx::Error),
}

/// Alerting, running: takes matches in and serves console and API.
pub struct Alerting {
    app: App,
    deliveries: mpsc::Sender<MatchDelivery>,
    tally: Arc<Tally>,
    /// Ends intake; streams and servers end by their own.
    shutdown: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Alerting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerting").finish_non_exhaustive()
    }
}

impl Alerting {
    /// Opens the database, brings its schema up to date and starts taking matches in. Without a store,
    /// searches over events are answered by an error that says so; all else works.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub async fn open(config: AlertingConfig, store: Option<Store>) -> Result<Self, AlertingError> {
        Self::open_at(config, store, Clock::System).await
    }

    /// The same under another clock, for tests.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub async fn open_at(
        config: AlertingConfig,
        store: Option<Store>,
        clock: Clock,
    ) -> Result<Self, AlertingError> {
        let database = Database::open(&config.data_dir, config.database_url.as_ref()).await?;
        let key = Arc::new(AuditKey::open(&config.data_dir)?);
        let audit = Audit {
            database: database.clone(),
            clock: clock.clone(),
            key,
        };
        let demonstration = Demonstration::open(&database).await?;
        let config = Arc::new(config);
        let tally = Arc::new(Tally::new(clock.clone()));
        let changes = Changes::new(changes::latest(&database).await?);
        let shutdown = CancellationToken::new();
        let committer = Committer {
            database: database.clone(),
            clock: clock.clone(),
            config: config.clone(),
            statuses: Statuses::default(),
            demonstration: demonstration.clone(),
        };
        let (deliveries, receiver) = intake::channel();
        let intake = Intake {
            committer: committer.clone(),
            changes: changes.clone(),
            tally: tally.clone(),
            shutdown: shutdown.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(intake.run(receiver));
        tasks.spawn(
            changes
                .clone()
                .follow(database.clone(), tally.clone(), shutdown.clone()),
        );
        let alarms = Alarms {
            database: database.clone(),
            clock: clock.clone(),
            config: config.clone(),
            changes: changes.clone(),
            tally: tally.clone(),
        };
        tasks.spawn(alarms.run(shutdown.clone()));
        let rescores = Rescores::default();
        let rescorer = Rescorer {
            database: database.clone(),
            changes: changes.clone(),
            tally: tally.clone(),
            rescores: rescores.clone(),
        };
        tasks.spawn(rescorer.run(shutdown.clone()));
        let outbox = Outbox {
            database: database.clone(),
            clock: clock.clone(),
        };
        let routes = Routes {
            database: database.clone(),
            clock: clock.clone(),
        };
        let sender = Sender {
            outbox: outbox.clone(),
            routes: routes.clone(),
            config: config.clone(),
            tally: tally.clone(),
        };
        tasks.spawn(sender.run(shutdown.clone()));
        tasks.spawn(housekeeping(
            committer,
            outbox.clone(),
            audit.clone(),
            tally.clone(),
            shutdown.clone(),
        ));
        let app = App::new(AppInner {
            users: Users {
                database: database.clone(),
                passwords: Passwords::new(),
                clock: clock.clone(),
            },
            sessions: Sessions {
                database: database.clone(),
                clock: clock.clone(),
                config: config.sessions.clone(),
            },
            tokens: Tokens {
                database: database.clone(),
                clock: clock.clone(),
            },
            units: Units {
                database: database.clone(),
                clock: clock.clone(),
            },
            outbox,
            routes,
            suppressions: Suppressions {
                database: database.clone(),
                clock: clock.clone(),
            },
            audit,
            sign_in_limits: SignInLimits::new(config.sign_in.clone()),
            followers: Followers::new(),
            status: StatusSource::default(),
            shutdown: CancellationToken::new(),
            config,
            clock,
            database,
            changes,
            rescores,
            store,
            demonstration,
        });
        Ok(Self {
            app,
            deliveries,
            tally,
            shutdown,
            tasks: Mutex::new(tasks),
        })
    }

    /// Where the engine sends its matches. Bounded: the engine waits while the database does.
    pub fn intake(&self) -> mpsc::Sender<MatchDelivery> {
        self.deliveries.clone()
    }

    /// Makes the first administrator if there is nobody yet; the password is told this once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_administrator(&self) -> Result<Option<FirstPassword>, UserError> {
        self.app.users.ensure_administrator().await
    }

    /// Gives a person a new random password, lets them in again and ends their sessions.
    ///
    /// # Errors
    /// When nobody has that name, or the database fails.
    pub async fn reset_user(&self, name: &str) -> Result<FirstPassword, UserError> {
        let first = self.app.users.reset(name).await?;
        let entry = audit::Entry {
            who: "the machine's operator",
            role: "",
            address: "",
            action: "citywatch user reset",
            subject: &first.user,
            detail: "",
        };
        self.app.audit.append(entry).await?;
        Ok(first)
    }

    /// Marks this installation as a demonstration, for good: console, API and notifications say so from now on.
    ///
    /// # Errors
    /// When it holds incidents that are none, or the database fails.
    pub async fn begin_demonstration(&self) -> Result<(), DemonstrationError> {
        self.app.demonstration.begin(&self.app.database).await
    }

    /// The end of the audit log's chain, to be kept elsewhere; none as long as the log is empty.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_head(&self) -> Result<Option<AuditHead>, AlertingError> {
        Ok(self.app.audit.head().await?)
    }

    /// Notes the rules that an engine works with, all of them, whenever they are loaded: for the console's list of
    /// rules and its ATT&CK matrix. Rules that were noted before and are not among them are forgotten.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_rules(&self, rules: &[RuleInfo]) -> Result<(), AlertingError> {
        let now = self.app.clock.now();
        Ok(intake::catalogue::note(&self.app.database, rules, now).await?)
    }

    /// Says where `GET /api/v1/status` gets its answer.
    pub fn provide_status(&self, source: impl Fn() -> serde_json::Value + Send + Sync + 'static) {
        self.app.status.provide(Box::new(source));
    }

    /// Takes the port; nothing is answered before [`Server::run`].
    ///
    /// # Errors
    /// When the port is taken, or there is no certificate where one is needed.
    pub fn bind(&self, listen: SocketAddr) -> Result<Server, ServeError> {
        Server::bind(self.app.clone(), listen)
    }

    /// Serves console and API at the configured address until `shutdown`.
    ///
    /// # Errors
    /// As [`Alerting::bind`] and [`Server::run`].
    pub async fn serve(&self, shutdown: CancellationToken) -> Result<(), ServeError> {
        self.bind(self.app.config.listen)?.run(shutdown).await
    }

    /// What alerting says of itself.
    ///
    /// # Errors
    /// When the database fails; counts since the start are in [`Alerting::tally`].
    pub async fn status(&self) -> Result<AlertingStatus, AlertingError> {
        let mut status = self.tally();
        let pool = self.app.database.pool();
        let rows = sqlx::query(
            "SELECT state, COUNT(*) AS n FROM incidents WHERE merged_into IS NULL GROUP BY state",
        )
        .fetch_all(pool)
        .await?;
        status.incidents = State::ALL
            .iter()
            .map(|state| (state.name().to_owned(), 0))
            .collect();
        for row in rows {
            status
                .incidents
                .insert(row.try_get("state")?, unsigned(row.try_get("n")?));
        }
        let alerts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alerts")
            .fetch_one(pool)
            .await?;
        status.alerts = unsigned(alerts);
        status.notifications = self.app.outbox.counts().await?;
        status.sessions = unsigned(self.app.sessions.count().await?);
        Ok(status)
    }

    /// Counts since the start, without a look into the database.
    pub fn tally(&self) -> AlertingStatus {
        self.tally.status()
    }

    /// Ends: takes in what waits in the channel, ends streams, closes the database. Call it after the
    /// engine and [`Server::run`] have ended.
    pub async fn close(&self) {
        self.app.shutdown.cancel();
        self.shutdown.cancel();
        let mut tasks = self.tasks.lock().await;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a task of alerting failed");
            }
        }
        self.app.database.close().await;
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// Reads the whole audit log and tells what is wrong with it. Keys in `trusted_keys` (hexadecimal, beside
/// this machine's own) may have signed it; `heads` were kept elsewhere and show a cut tail.
///
/// # Errors
/// When database or key cannot be opened, or the database fails.
pub async fn verify_audit(
    config: &AlertingConfig,
    trusted_keys: &[String],
    heads: &[AuditHead],
) -> Result<AuditReport, AlertingError> {
    let database = Database::open(&config.data_dir, config.database_url.as_ref()).await?;
    let own = AuditKey::open(&config.data_dir)?.public_key().to_owned();
    let trusted = trusted_keys.iter().cloned().chain([own]).collect();
    let report = audit::verify(database.pool(), &trusted, heads).await;
    database.close().await;
    Ok(report?)
}

/// Until shutdown: forgets old matches, and tells the head of the audit log, a last time at the end.
async fn housekeeping(
    committer: Committer,
    outbox: Outbox,
    audit: Audit,
    tally: Arc<Tally>,
    shutdown: CancellationToken,
) {
    let settings = committer.config.audit.clone();
    let interval = Duration::from_secs(u64::from(settings.head_minutes.max(1)) * 60);
    let mut rested = Duration::ZERO;
    loop {
        let ended = tokio::select! {
            () = tokio::time::sleep(interval) => false,
            () = shutdown.cancelled() => true,
        };
        for error in audit.export_head(&settings).await {
            tally.failed("exporting the head of the audit log", &error);
        }
        if ended {
            return;
        }
        rested += interval;
        if rested < HOUSEKEEPING_INTERVAL {
            continue;
        }
        rested = Duration::ZERO;
        match committer.forget_old_matches().await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot old matches"),
            Err(error) => tally.failed("forgetting old matches", &error),
        }
        let kept = i64::from(committer.config.notifications.keep_days) * DAY_MICROS;
        let before = committer.clock.now().as_micros() - kept;
        if let Err(error) = outbox.forget(before).await {
            tally.failed("forgetting old notifications", &error);
        }
    }
}
