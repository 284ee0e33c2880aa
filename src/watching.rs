//! What is watched beside the records: sources that fall silent, and room in the store, our own faults. Started by `up`
//! and by `engine` once their parts run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use citywatch_alerting::Alerting;
use citywatch_collector::authority::Authority;
use citywatch_engine::pipeline::StatusHandle;
use citywatch_engine::store::Store;
use citywatch_engine::watch::notices::Notices;
use citywatch_engine::watch::{
    AgentsConfig, AgentsWatch, CaughtUp, IntakeGate, SourcesConfig, SourcesWatch, SpaceWatch,
};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::faults::{Backlog, FaultsConfig, FaultsWatch};
use crate::parts::Parts;
use crate::system::Details;

/// Messages or batches that may wait without the engine being behind: what was not read must not look silent.
const CAUGHT_UP_MAX: u64 = 10_000;

/// What is watched: section `[watch]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// Hosts and units that fall silent or change their volume.
    pub sources: SourcesConfig,
    /// Agents that fall silent.
    pub agents: AgentsConfig,
    /// Our own faults.
    pub faults: FaultsConfig,
}

/// What is watched, and where it is asked.
pub struct Watched<'w> {
    /// All settings.
    pub config: &'w Config,
    /// The register of parts.
    pub parts: &'w Parts,
    /// The event store.
    pub store: &'w Store,
    /// Who is told.
    pub alerting: &'w Arc<Alerting>,
    /// Who hears the agents.
    pub pipeline: StatusHandle,
    /// What stops the intake while the store is full.
    pub gate: IntakeGate,
    /// How far the engine is behind.
    pub backlog: Arc<dyn Fn() -> Backlog + Send + Sync>,
}

/// Starts watching; returns what the store's room is, for the status.
pub fn start(watched: Watched<'_>, shutdown: &CancellationToken) -> Details {
    let Watched {
        config,
        parts,
        store,
        alerting,
        pipeline,
        gate,
        backlog,
    } = watched;
    let notices = Notices::new(alerting.intake(), store.clone());
    let sources = SourcesWatch::new(config.watch.sources.clone(), store.clone());
    let asked = Arc::clone(&backlog);
    let caught_up: CaughtUp = Arc::new(move || {
        asked()
            .waiting
            .is_some_and(|waiting| waiting <= CAUGHT_UP_MAX)
    });
    let is_caught_up = Arc::clone(&caught_up);
    tokio::spawn(sources.run(notices.clone(), is_caught_up, shutdown.clone()));
    let silent_after = Duration::from_secs(config.engine.agent_silent_after_s);
    // Renewed when a third of its time is left; half of that later it is not.
    let certificate_left = crate::intake::certificates_valid(config) / 6;
    let agents = AgentsWatch::new(
        config.watch.agents.clone(),
        store.clone(),
        silent_after,
        certificate_left,
    );
    tokio::spawn(agents.run(pipeline, notices.clone(), caught_up, shutdown.clone()));
    let faults = FaultsWatch {
        config: config.watch.faults.clone(),
        parts: parts.clone(),
        backlog: Box::new(move || backlog()),
        certificates: certificates(config),
    };
    tokio::spawn(faults.run(notices.clone(), shutdown.clone()));
    let space = SpaceWatch::new(store.clone(), gate);
    let latest = space.latest();
    tokio::spawn(space.run(notices, shutdown.clone()));
    Box::new(move || serde_json::to_value(latest()).unwrap_or_default())
}

/// The certificates that the configuration names.
fn certificates(config: &Config) -> Vec<PathBuf> {
    let kafka = config.kafka.as_ref().and_then(|kafka| kafka.tls.as_ref());
    let agent = config.agent.kafka.as_ref();
    let agent = agent.and_then(|kafka| kafka.tls.as_ref());
    let of_kafka = kafka
        .into_iter()
        .chain(agent)
        .flat_map(|tls| [tls.ca.clone(), tls.certificate.clone()]);
    let console = config.alerting.tls.certificate.clone();
    let authority =
        Authority::is_in(&config.ca.dir).then(|| Authority::certificate_file(&config.ca.dir));
    of_kafka.chain(console).chain(authority).collect()
}
