//! What is watched beside the records: sources that fall silent, and room in the store. Started by `up`
//! and by `engine` once their parts run.

use std::sync::Arc;

use citywatch_alerting::Alerting;
use citywatch_engine::store::Store;
use citywatch_engine::watch::notices::Notices;
use citywatch_engine::watch::{CaughtUp, IntakeGate, SourcesConfig, SourcesWatch, SpaceWatch};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::system::Details;

/// What is watched: section `[watch]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// Hosts and units that fall silent or change their volume.
    pub sources: SourcesConfig,
}

/// Starts watching; returns what the store's room is, for the status.
pub fn start(
    config: &WatchConfig,
    store: &Store,
    alerting: &Arc<Alerting>,
    gate: IntakeGate,
    caught_up: CaughtUp,
    shutdown: &CancellationToken,
) -> Details {
    let notices = Notices::new(alerting.intake(), store.clone());
    let sources = SourcesWatch::new(config.sources.clone(), store.clone());
    tokio::spawn(sources.run(notices.clone(), caught_up, shutdown.clone()));
    let space = SpaceWatch::new(store.clone(), gate);
    let latest = space.latest();
    tokio::spawn(space.run(notices, shutdown.clone()));
    Box::new(move || serde_json::to_value(latest()).unwrap_or_default())
}
