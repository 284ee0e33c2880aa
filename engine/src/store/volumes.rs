//! Questions about volume: events per source, bytes on disk.

use std::collections::BTreeMap;

use citywatch_parsers::{Timestamp, UnitId};
use clickhouse::Row;
use serde::Deserialize;

use super::{Store, StoreError};
use crate::watch::volume::{Counts, Source};

/// Sources that are counted: those with the most events.
const SOURCES_MAX: u32 = 100_000;
/// How far back the last event of a source is looked for.
const LAST_WITHIN_US: i64 = 35 * 86_400 * 1_000_000;

/// What the store takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Row, Deserialize)]
pub struct StoreUse {
    /// Bytes of all tables on disk, parts that wait for their deletion among them.
    pub bytes: u64,
    /// Bytes that are free on its disks: the least of them.
    pub disk_free_bytes: u64,
}

impl Store {
    /// Events by source, received from the first time on and before the second.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn volumes(&self, window: (Timestamp, Timestamp)) -> Result<Counts, StoreError> {
        #[derive(Row, Deserialize)]
        struct Volume {
            unit: String,
            host: String,
            events: u64,
        }
        let sql = format!(
            "SELECT unit, host, count() AS events FROM events \
             WHERE received_at >= fromUnixTimestamp64Micro({{from:Int64}}, 'UTC') \
             AND received_at < fromUnixTimestamp64Micro({{to:Int64}}, 'UTC') \
             GROUP BY unit, host ORDER BY events DESC LIMIT {SOURCES_MAX}"
        );
        let call = self
            .client
            .query(&sql)
            .param("from", window.0.as_micros())
            .param("to", window.1.as_micros());
        let rows: Vec<Volume> = self.fetch_all("volumes", call).await?;
        let counts: BTreeMap<_, _> = rows
            .into_iter()
            .map(|row| {
                let source = Source {
                    unit: UnitId::from(row.unit.as_str()),
                    host: row.host,
                };
                (source, row.events)
            })
            .collect();
        Ok(counts)
    }

    /// When the last event of a source was received before `before`, within five weeks.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn last_received(
        &self,
        source: &Source,
        before: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT toUnixTimestamp64Micro(max(received_at)) FROM events \
             WHERE received_at >= fromUnixTimestamp64Micro({from:Int64}, 'UTC') \
             AND received_at < fromUnixTimestamp64Micro({to:Int64}, 'UTC') \
             AND unit = {unit:String} AND ({host:String} = '' OR host = {host:String})";
        let call = self
            .client
            .query(sql)
            .param("from", before.as_micros().saturating_sub(LAST_WITHIN_US))
            .param("to", before.as_micros())
            .param("unit", source.unit.as_str())
            .param("host", source.host.as_str());
        let last: i64 = self.fetch_one("last_received", call).await?;
        Ok((last > 0).then_some(Timestamp(last)))
    }

    /// How many bytes the store takes, and how many it could.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn used_space(&self) -> Result<StoreUse, StoreError> {
        let call = self.client.query(
            "SELECT assumeNotNull((SELECT sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase())) AS bytes, \
             assumeNotNull((SELECT min(free_space) FROM system.disks)) AS disk_free_bytes",
        );
        self.fetch_one("used_space", call).await
    }
}
