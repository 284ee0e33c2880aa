//! When each agent was last heard: kept in the store, so that a restart forgets nothing and every engine knows what
//! any of them heard.

use citywatch_parsers::Timestamp;
use clickhouse::Row;
use serde::{Deserialize, Serialize};

use super::schema::identifier;
use super::{Store, StoreConfig, StoreError};

/// Agents that are read; those beyond it were silent for longest.
const AGENTS_MAX: u32 = 100_000;
/// An agent that was silent for so long is forgotten, in days.
const FORGOTTEN_AFTER_DAYS: u32 = 35;

/// An agent and when an engine last heard it.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct AgentHeard {
    /// Its name.
    pub agent: String,
    /// Its unit.
    pub unit: String,
    /// Its host.
    pub host: String,
    /// When, in microseconds since 1970.
    pub heard_at: i64,
}

/// The table: a row per agent once parts are merged, the latest.
pub(super) fn table(config: &StoreConfig) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {}.agents (
    agent String,
    unit LowCardinality(String),
    host String,
    heard_at DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(heard_at)
ORDER BY agent
TTL toDateTime(heard_at) + toIntervalDay({FORGOTTEN_AFTER_DAYS})",
        identifier(&config.database)
    )
}

impl Store {
    /// Notes when agents were heard.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn note_agents(&self, heard: &[AgentHeard]) -> Result<(), StoreError> {
        self.insert("agents", heard).await
    }

    /// When each agent was last heard before `before`, those that were silent for longest last.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn agents_heard(&self, before: Timestamp) -> Result<Vec<AgentHeard>, StoreError> {
        let sql = format!(
            "SELECT agent, argMax(unit, heard) AS unit, argMax(host, heard) AS host, \
             toUnixTimestamp64Micro(max(heard)) AS heard_at \
             FROM (SELECT agent, unit, host, heard_at AS heard FROM agents \
             WHERE heard_at <= fromUnixTimestamp64Micro({{before:Int64}}, 'UTC')) \
             GROUP BY agent ORDER BY heard_at DESC LIMIT {AGENTS_MAX}"
        );
        let call = self.client.query(&sql).param("before", before.as_micros());
        self.fetch_all("agents_heard", call).await
    }
}
