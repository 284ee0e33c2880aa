//! The parts and how they are put together: what `up`, `engine` and `serve` have in common.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use citywatch_alerting::{Alerting, AlertingConfig};
use citywatch_engine::pipeline::{RulesHandle, StatusHandle};
use citywatch_engine::store::{Store, StoreConfig};
use tokio_util::sync::CancellationToken;

use crate::monitor::Reporter;
use crate::parts::{PartState, Parts};
use crate::report::UsageError;
use crate::saying::Saying;

/// Where the first administrator's password is left, for the first sign-in.
const FIRST_SIGN_IN: &str = "first-sign-in.txt";
/// After a failure the rules are told again.
const TELL_RULES_AGAIN: Duration = Duration::from_secs(15);
const STORE_WAIT_MIN: Duration = Duration::from_millis(100);
const STORE_WAIT_MAX: Duration = Duration::from_secs(5);

/// A lock on the data folder, held as long as it lives.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// Makes the data folder, readable by its owner only.
pub fn make_data_dir(dir: &Path) -> anyhow::Result<()> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(|error| {
        UsageError(format!(
            "cannot make the data folder {}: {error}; set [data] dir",
            dir.display()
        ))
        .into()
    })
}

/// Makes the data folder and claims it: two processes on the same data
/// would undo each other's positions.
pub fn claim_data_dir(dir: &Path) -> anyhow::Result<DataLock> {
    make_data_dir(dir)?;
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| {
            UsageError(format!(
                "cannot write to the data folder: {}: {error}",
                path.display()
            ))
        })?;
    match file.try_lock() {
        Ok(()) => Ok(DataLock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(UsageError(format!(
            "another citywatch works on {}: stop it, or choose another folder with --data or [data] dir",
            dir.display()
        ))
        .into()),
        Err(TryLockError::Error(error)) => Err(error).context(format!("cannot lock {}", path.display())),
    }
}

/// Connects to the store and makes its tables, however long the store takes to come up. `None` at shutdown.
pub async fn connect_store(
    config: &StoreConfig,
    parts: &Parts,
    shutdown: &CancellationToken,
) -> anyhow::Result<Option<Store>> {
    let store = Store::connect(config).map_err(|error| UsageError(format!("[store]: {error}")))?;
    let begun = std::time::Instant::now();
    let mut wait = STORE_WAIT_MIN;
    loop {
        match store.migrate().await {
            Ok(()) => {
                let place = config.url.clone();
                parts.set("store", PartState::Running, Saying::At { place });
                return Ok(Some(store));
            }
            Err(error) if error.is_retryable() => {
                // A store that is just starting is no fault yet.
                let state = if begun.elapsed() < STORE_WAIT_MAX {
                    PartState::Starting
                } else {
                    PartState::Retrying
                };
                if state == PartState::Retrying {
                    tracing::warn!(%error, again_in = ?wait, "the store is not to be had");
                }
                let error = error.to_string();
                parts.set("store", state, Saying::Failed { error });
            }
            Err(error) => return Err(error).context("the store cannot be used"),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(wait) => {}
        }
        wait = (wait * 2).min(STORE_WAIT_MAX);
    }
}

/// Keeps the register's word on the store true while the system runs.
pub fn watch_store(store: Store, url: String, parts: Parts, shutdown: CancellationToken) {
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(2));
        let mut well = true;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            match store.ping().await {
                Ok(()) if !well => {
                    well = true;
                    let place = url.clone();
                    parts.set("store", PartState::Running, Saying::At { place });
                }
                Ok(()) => {}
                Err(error) => {
                    well = false;
                    let error = error.to_string();
                    parts.set("store", PartState::Retrying, Saying::Failed { error });
                }
            }
        }
    });
}

/// Opens incidents and accounts, and makes the first administrator where there is none.
pub async fn open_alerting(
    config: &AlertingConfig,
    store: Option<Store>,
    data_dir: &Path,
) -> anyhow::Result<Alerting> {
    let alerting = Alerting::open(config.clone(), store)
        .await
        .context("incidents and accounts")?;
    ensure_administrator(&alerting, data_dir).await?;
    Ok(alerting)
}

/// Makes the first administrator where there is none, and leaves the password in the data folder.
pub async fn ensure_administrator(alerting: &Alerting, data_dir: &Path) -> anyhow::Result<()> {
    if let Some(first) = alerting
        .ensure_administrator()
        .await
        .context("the first administrator")?
    {
        let path = data_dir.join(FIRST_SIGN_IN);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(file, "user: {}\npassword: {}", first.user, first.password)?;
        file.sync_all()?;
    }
    Ok(())
}

/// The first administrator's name and password, as long as they lie in the data folder.
pub fn first_sign_in(data_dir: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(data_dir.join(FIRST_SIGN_IN)).ok()?;
    let value = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or("").trim().to_owned()
    };
    Some((value("user:"), value("password:")))
}

/// Prints where the console is and how to sign in.
pub fn print_welcome(
    console: &str,
    data_dir: &Path,
    monitor: std::net::SocketAddr,
) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nCitywatch is running.\n")?;
    writeln!(out, "  console   {console}")?;
    match first_sign_in(data_dir) {
        Some((name, password)) => {
            writeln!(out, "  sign-in   {name}  {password}")?;
            writeln!(
                out,
                "            (kept in {}: delete it once you have another)",
                data_dir.join(FIRST_SIGN_IN).display()
            )?;
        }
        None => writeln!(
            out,
            "  sign-in   as before; 'citywatch user reset' makes a new password"
        )?,
    }
    writeln!(out, "  status    citywatch status --monitor {monitor}")?;
    writeln!(out, "  stop      Ctrl-C\n")?;
    out.flush()
}

/// Something that reports itself as JSON.
pub type Details = Box<dyn Fn() -> serde_json::Value + Send + Sync>;

/// How alerting stands, asked every other second: a status must not wait for a database.
pub fn alerting_details(alerting: &Arc<Alerting>, shutdown: &CancellationToken) -> Details {
    let latest = Arc::new(Mutex::new(
        serde_json::to_value(alerting.tally()).unwrap_or_default(),
    ));
    let (alerting, shutdown, shared) =
        (Arc::clone(alerting), shutdown.clone(), Arc::clone(&latest));
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_secs(2));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = every.tick() => {}
            }
            // A database that fails is told by the tally's own last error.
            let status = alerting.status().await.unwrap_or_else(|_| alerting.tally());
            *lock(&shared) = serde_json::to_value(status).unwrap_or_default();
        }
    });
    Box::new(move || lock(&latest).clone())
}

/// Agents that a status names; the silent ones come first.
const AGENTS_SHOWN: usize = 500;

/// The agents that send heartbeats to this engine or did before it started, and which of them have fallen silent.
pub fn agents_details(pipeline: &StatusHandle, silent_after_s: u64) -> Details {
    let pipeline = pipeline.clone();
    let silent_after = Duration::from_secs(silent_after_s.max(1));
    Box::new(move || {
        let mut agents = pipeline.agents_seen(silent_after);
        let (heard, silent) = (
            agents
                .iter()
                .filter(|agent| agent.heard_since_start)
                .count(),
            agents.iter().filter(|agent| agent.silent).count(),
        );
        agents.truncate(AGENTS_SHOWN);
        serde_json::json!({ "heard_since_start": heard, "silent": silent, "agents": agents })
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Totals from the pipeline, details from whoever gave them.
pub struct SystemReporter {
    /// The engine's counters, where an engine runs.
    pub pipeline: Option<StatusHandle>,
    /// Further parts by name.
    pub details: Vec<(&'static str, Details)>,
}

impl Reporter for SystemReporter {
    fn totals(&self) -> BTreeMap<String, u64> {
        let Some(pipeline) = &self.pipeline else {
            return BTreeMap::new();
        };
        let counters = serde_json::to_value(pipeline.snapshot()).unwrap_or_default();
        let counters = counters.as_object().cloned().unwrap_or_default();
        counters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_u64()?)))
            .collect()
    }

    fn details(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut details: serde_json::Map<_, _> = self
            .details
            .iter()
            .map(|(name, detail)| ((*name).to_owned(), detail()))
            .collect();
        let Some(pipeline) = &self.pipeline else {
            return details;
        };
        let pipeline = pipeline.snapshot();
        if let Some(waiting) = pipeline.waiting_for {
            details.insert("engine_waits_for".to_owned(), waiting.into());
        }
        if let Some(paused) = pipeline.intake_paused {
            details.insert("intake_paused".to_owned(), paused.into());
        }
        let queues = serde_json::to_value(pipeline.queues).unwrap_or_default();
        details.insert("queues".to_owned(), queues);
        let slow = serde_json::to_value(pipeline.slow_rules).unwrap_or_default();
        details.insert("slow_rules".to_owned(), slow);
        let held = serde_json::to_value(pipeline.held).unwrap_or_default();
        details.insert("held".to_owned(), held);
        if !pipeline.dear_rules.is_empty() {
            let dear = serde_json::to_value(pipeline.dear_rules).unwrap_or_default();
            details.insert("dear_rules".to_owned(), dear);
        }
        details
    }
}

/// Tells alerting which rules the engine works with, now and whenever they are loaded anew: for the console's list of
/// rules and its ATT&CK matrix.
pub fn tell_rules(alerting: &Arc<Alerting>, rules: &RulesHandle, signal: CancellationToken) {
    let (alerting, mut rules) = (Arc::clone(alerting), rules.watch());
    tokio::spawn(async move {
        loop {
            let loaded = Arc::clone(&rules.borrow_and_update());
            let told = alerting.note_rules(&loaded.infos()).await;
            if let Err(error) = &told {
                tracing::warn!(%error, "alerting could not be told of the rules; trying again");
            }
            tokio::select! {
                changed = rules.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(TELL_RULES_AGAIN), if told.is_err() => {}
                () = signal.cancelled() => return,
            }
        }
    });
}
