//! Keeps the engine's rules those of the rule files: loads them, and again whenever they change.
//!
//! The files are looked at every few seconds (names, times, sizes): cheap, and the same on every file
//! system and in every container. SIGHUP looks at once. A rule that is broken is out until it is
//! mended, also where an earlier version of it was right: what runs is what the files say, and what
//! is refused is said in log, status and metrics. Only when nothing can be loaded at all (the folder is
//! gone) do the rules stay as they were.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use citywatch_engine::pipeline::{LoadedRules, PipelineConfig, RulesHandle};
use citywatch_parsers::Timestamp;
use citywatch_rules::{LoadOptions, RuleSet};
use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::parts::{PartState, Parts};
use crate::rule_files::{self, Fingerprint};
use crate::rule_pipelines;
use crate::saying::Saying;

/// Files that are being written are left until they rest for so long.
const SETTLE: Duration = Duration::from_millis(200);
/// Errors that the status lists; the log has all.
const ERRORS_SHOWN: usize = 20;

/// How the rules stand.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RulesStatus {
    /// Rules and correlations that the engine works with.
    pub loaded: usize,
    /// Rules and files that are left out because something is wrong with them.
    pub refused: usize,
    /// When they were loaded last (UTC).
    pub loaded_at: String,
    /// How often, the start included.
    pub loads: u64,
    /// Why the last attempt failed as a whole; the rules before it stay.
    pub not_loaded: Option<String>,
    /// What is wrong with those that are refused, the first ones.
    pub errors: Vec<String>,
}

/// SIGHUP, which ends a process that does not listen for it. To be made before anything else; one that
/// comes before the rules are loaded for the first time, or meanwhile, has them loaded again.
#[derive(Debug)]
pub struct HangUp(Signal);

impl HangUp {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen(runtime: &Runtime) -> anyhow::Result<Self> {
        let _within = runtime.enter();
        let hang_up = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        Ok(Self(hang_up))
    }
}

/// Loads rules and watches their files.
#[derive(Debug)]
pub struct RulesKeeper {
    config: PipelineConfig,
    parts: Parts,
    status: Arc<Mutex<RulesStatus>>,
    hang_up: Signal,
    seen: Option<Fingerprint>,
}

impl RulesKeeper {
    /// Loads the rules for the first time.
    ///
    /// # Errors
    /// When there is nothing at a configured path, or the rules are too many.
    pub fn load_first(
        config: &PipelineConfig,
        parts: &Parts,
        hang_up: HangUp,
    ) -> anyhow::Result<(Self, Arc<LoadedRules>)> {
        let status = Arc::new(Mutex::new(RulesStatus::default()));
        // Before the files are read: what changes meanwhile is seen as a change.
        let seen = rule_files::fingerprint(&watched(config)).ok();
        let (rules, loaded) = load(config, parts)?;
        publish(&status, loaded);
        let keeper = Self {
            config: config.clone(),
            parts: parts.clone(),
            status,
            hang_up: hang_up.0,
            seen,
        };
        Ok((keeper, rules))
    }

    /// How the rules stand, as JSON, whenever it is asked.
    pub fn details(&self) -> crate::system::Details {
        let status = Arc::clone(&self.status);
        Box::new(move || serde_json::to_value(&*lock(&status)).unwrap_or_default())
    }

    /// Gives `engine` the rules anew whenever their files change, until `shutdown`.
    pub fn keep_current(self, engine: RulesHandle, shutdown: CancellationToken) {
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = self.watch(engine) => {}
            }
        });
    }

    async fn watch(mut self, engine: RulesHandle) {
        loop {
            let told = self.next_look().await;
            let Some(now) = self.settled().await else {
                continue;
            };
            if !told && self.seen == Some(now) {
                continue;
            }
            self.seen = Some(now);
            let (config, parts) = (self.config.clone(), self.parts.clone());
            let loading = tokio::task::spawn_blocking(move || load(&config, &parts));
            match loading.await {
                Ok(Ok((rules, loaded))) => {
                    tracing::info!(rules = rules.len(), "the rules were loaded anew");
                    // Told once they hold: who has read it may rely on it.
                    engine.replace(rules);
                    publish(&self.status, loaded);
                }
                Ok(Err(error)) => {
                    // What changed is not taken over: the same files may be there again a moment later.
                    self.seen = None;
                    self.failed(&format!("{error:#}"));
                }
                Err(error) => self.failed(&error.to_string()),
            }
        }
    }

    /// Waits until it is time to look; whether somebody asked for it.
    async fn next_look(&mut self) -> bool {
        let interval = async {
            match self.config.rules_check_interval_s {
                0 => std::future::pending().await,
                seconds => tokio::time::sleep(Duration::from_secs(seconds)).await,
            }
        };
        tokio::select! {
            signal = self.hang_up.recv() => signal.is_some(),
            () = interval => false,
        }
    }

    /// The files once nobody writes to them. `None` when they cannot be listed, which is said.
    async fn settled(&mut self) -> Option<Fingerprint> {
        let mut before = None;
        loop {
            let paths = watched(&self.config);
            let looked = tokio::task::spawn_blocking(move || rule_files::fingerprint(&paths)).await;
            match looked {
                Ok(Ok(now)) if before == Some(now) || self.seen == Some(now) => return Some(now),
                Ok(Ok(now)) => before = Some(now),
                Ok(Err(error)) => {
                    self.failed(&format!("the rule files cannot be listed: {error}"));
                    self.seen = None;
                    return None;
                }
                Err(error) => {
                    self.failed(&error.to_string());
                    return None;
                }
            }
            tokio::time::sleep(SETTLE).await;
        }
    }

    fn failed(&self, error: &str) {
        let mut status = lock(&self.status);
        if status.not_loaded.as_deref() != Some(error) {
            tracing::error!(
                error,
                "the rules could not be loaded anew: those before stay"
            );
        }
        metrics::counter!("citywatch_rules_load_failures_total").increment(1);
        status.not_loaded = Some(error.to_owned());
        let saying = Saying::RulesKept {
            loaded: status.loaded,
            error: error.to_owned(),
        };
        self.parts.set("rules", PartState::Running, saying);
    }
}

/// What rules are made of: their files and those of the pipelines.
fn watched(config: &PipelineConfig) -> Vec<PathBuf> {
    [&config.rules[..], &config.pipelines].concat()
}

/// Reads and compiles the rules, and says how they stand, their number of loads aside. What is wrong with
/// single rules is logged and counted; the others go on.
/// The rules as the files say now, for a command that ends.
///
/// # Errors
/// See [`RulesKeeper::load_first`].
pub fn load_once(config: &PipelineConfig) -> anyhow::Result<Arc<LoadedRules>> {
    load(config, &Parts::default()).map(|(rules, _)| rules)
}

fn load(config: &PipelineConfig, parts: &Parts) -> anyhow::Result<(Arc<LoadedRules>, RulesStatus)> {
    let (sources, unreadable) = rule_files::read(&config.rules)?;
    let options = LoadOptions {
        placeholders: config.placeholders.clone(),
        pipelines: rule_pipelines::read(&config.pipelines)?,
    };
    let mut set = RuleSet::load(sources, &options);
    let problems = std::mem::take(&mut set.problems);
    let problems = problems.iter().map(ToString::to_string);
    let errors: Vec<String> = unreadable.into_iter().chain(problems).collect();
    let rules = LoadedRules::new(set, config.log_source_mode()).context("rules")?;
    for error in &errors {
        tracing::error!(error, "a rule is left out");
    }
    let refused = errors.len();
    let saying = match (rules.len(), refused) {
        (0, 0) => Saying::NoRules,
        (loaded, left_out) => Saying::RulesLoaded { loaded, left_out },
    };
    parts.set("rules", PartState::Running, saying);
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    metrics::gauge!("citywatch_rules_loaded").set(rules.len() as f64);
    metrics::gauge!("citywatch_rules_left_out").set(refused as f64);
    metrics::gauge!("citywatch_rules_loaded_timestamp_seconds").set(since_epoch.as_secs_f64());
    metrics::counter!("citywatch_rules_loads_total").increment(1);
    let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX);
    let loaded = RulesStatus {
        loaded: rules.len(),
        refused,
        loaded_at: Timestamp::from_seconds(seconds).to_string(),
        loads: 0,
        not_loaded: None,
        errors: errors.into_iter().take(ERRORS_SHOWN).collect(),
    };
    Ok((Arc::new(rules), loaded))
}

/// Makes `loaded` the status, one load further.
fn publish(status: &Mutex<RulesStatus>, loaded: RulesStatus) {
    let mut status = lock(status);
    *status = RulesStatus {
        loads: status.loads + 1,
        ..loaded
    };
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
