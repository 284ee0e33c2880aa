//! What an agent says of itself each minute: a record of its own stream, packed and signed as any other.
//!
//! The engine keeps the last one of each agent and stores none; see [`HEARTBEAT`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch};
use hyper::Method;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::agent::AgentMonitor;
use crate::authority::Authority;
use crate::clock;
use crate::config::AgentConfig;
use crate::https::{Client, Trust};
use crate::identity::{Identity, beside, enrol};
use crate::intake::TIME_PATH;
use crate::sink::Sink;
use crate::status::{AgentStatus, SinkStatus};

/// Format of a batch that is a heartbeat. Only our own packed batches may have it.
pub const HEARTBEAT: &str = "citywatch-heartbeat";
/// The stream that heartbeats are sent in.
const STREAM: &str = "citywatch-heartbeat";
const EVERY: Duration = Duration::from_secs(60);
/// The server's clock is asked at each of so many heartbeats.
const CLOCK_ASKED_EACH: u32 = 10;
/// Sources that a heartbeat names; those that lag most.
const SOURCES_MAX: usize = 50;
/// A heartbeat that is longer is none of ours.
pub const HEARTBEAT_BYTES_MAX: usize = 64 << 10;

/// What an agent says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Its program's version.
    pub version: String,
    /// Its clock when it said this, in microseconds since 1970.
    pub sent_at_us: i64,
    /// How far its clock is before the server's, as it measured; none if it cannot ask.
    pub clock_offset_us: Option<i64>,
    /// Bytes in files that have not arrived.
    pub lag_bytes: u64,
    /// The sources that lag most.
    pub sources: Vec<SourceLag>,
    /// Sources that cannot be read.
    pub unreadable: u64,
    /// Records read or received since its start.
    pub records: u64,
    /// Records that were dropped since its start: at the spool's bound, or by the kernel before they were read.
    pub dropped: u64,
    /// Bytes in its spool.
    pub spool_bytes: u64,
    /// How often sending failed since its start.
    pub send_retries: u64,
    /// When its certificate ends, in seconds since 1970; none if it was not enrolled.
    pub certificate_until: Option<i64>,
}

/// How far a source is behind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceLag {
    /// Its stream.
    pub stream: String,
    /// Bytes that have not arrived.
    pub lag_bytes: u64,
}

impl Heartbeat {
    /// What a status says, shortly.
    fn of(status: &AgentStatus) -> Self {
        let mut sources: Vec<SourceLag> = status
            .sources
            .iter()
            .filter(|source| source.lag_bytes > 0)
            .map(|source| SourceLag {
                stream: source.stream.chars().take(500).collect(),
                lag_bytes: source.lag_bytes,
            })
            .collect();
        sources.sort_by_key(|source| std::cmp::Reverse(source.lag_bytes));
        sources.truncate(SOURCES_MAX);
        let spools = [
            status.spool.as_ref(),
            match &status.sink {
                SinkStatus::Spool(spool) => Some(spool),
                _ => None,
            },
        ];
        let own = status.source_spools.iter().map(|own| &own.spool);
        let spools = || spools.iter().copied().flatten().chain(own.clone());
        let kernel: u64 = status
            .listeners
            .iter()
            .map(|listener| listener.dropped_datagrams)
            .sum();
        let read: u64 = status.sources.iter().map(|source| source.records).sum();
        let received: u64 = status
            .listeners
            .iter()
            .map(|listener| listener.records)
            .sum();
        Self {
            version: status.version.to_owned(),
            lag_bytes: status.sources.iter().map(|source| source.lag_bytes).sum(),
            sources,
            unreadable: status
                .sources
                .iter()
                .filter(|source| source.last_error.is_some())
                .count() as u64,
            records: read + received,
            dropped: kernel + spools().map(|spool| spool.dropped_records).sum::<u64>(),
            spool_bytes: spools().map(|spool| spool.bytes).sum(),
            send_retries: status.send_retries,
            ..Self::default()
        }
    }

    /// The heartbeat in a batch's last record.
    ///
    /// # Errors
    /// In words, for what is none.
    pub fn read(batch: &RecordBatch) -> Result<Self, String> {
        let record = batch.get(batch.len().wrapping_sub(1)).ok_or("no record")?;
        if record.raw.len() > HEARTBEAT_BYTES_MAX {
            return Err(format!("{} bytes", record.raw.len()));
        }
        serde_json::from_slice(record.raw).map_err(|error| error.to_string())
    }
}

/// What it takes to look after an agent: to renew its certificate and to say how it is.
#[derive(Debug)]
pub struct Caretaker {
    config: AgentConfig,
    identity: Option<Arc<Identity>>,
    /// Where the certificate is renewed in this process, and for how long; without it, where the agent was enrolled.
    authority: Option<(Arc<Authority>, Duration)>,
    monitor: AgentMonitor,
    sink: Sink,
    position: u64,
    clock_offset_us: Option<i64>,
    /// When the certificate was renewed last: a clock that is far ahead finds each one due at once.
    renewed: Option<Instant>,
}

impl Caretaker {
    /// For an agent that runs and sends to `sink`.
    pub fn new(
        config: &AgentConfig,
        identity: Option<Arc<Identity>>,
        monitor: AgentMonitor,
        sink: Sink,
    ) -> Self {
        Self {
            config: config.clone(),
            identity,
            authority: None,
            monitor,
            sink,
            position: 0,
            clock_offset_us: None,
            renewed: None,
        }
    }

    /// Renews the certificate with an authority of this process, each time for `valid`.
    #[must_use]
    pub fn renewing_with(mut self, authority: Arc<Authority>, valid: Duration) -> Self {
        self.authority = Some((authority, valid));
        self
    }

    /// Each minute until `shutdown`: renews the certificate when it is time, and sends a heartbeat.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        // What could not be sent for long is out of date.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut beats = 0_u32;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let work = async {
                self.renew_if_due().await;
                if beats.is_multiple_of(CLOCK_ASKED_EACH) {
                    self.ask_clock().await;
                }
                beats = beats.wrapping_add(1);
                self.beat().await;
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = work => {}
            }
        }
    }

    async fn renew_if_due(&mut self) {
        let Some(identity) = &self.identity else {
            return;
        };
        let (now, current) = (SystemTime::now(), identity.current());
        let third = (current.note.until - current.note.at) / 3;
        let third = Duration::from_secs(u64::try_from(third).unwrap_or(0));
        let is_fresh = self.renewed.is_some_and(|at| at.elapsed() < third);
        if is_fresh || !current.is_due(now) {
            return;
        }
        let renewed = match &self.authority {
            Some((authority, valid)) => {
                beside::renew(authority, identity, *valid, now).map_err(|error| error.to_string())
            }
            None => enrol::renew(identity)
                .await
                .map_err(|error| error.to_string()),
        };
        match renewed {
            Ok(()) => {
                self.renewed = Some(Instant::now());
                let current = identity.current();
                metrics::counter!("citywatch_agent_renewals_total", "result" => "renewed")
                    .increment(1);
                tracing::info!(serial = current.note.serial, "the certificate was renewed");
                if let (Sink::Kafka(producer), Some(kafka)) = (&self.sink, &self.config.kafka)
                    && kafka.uses_file(&identity.file())
                {
                    producer.reconnect();
                }
            }
            Err(error) => {
                let days_left = identity.current().left(now).as_secs() / 86_400;
                metrics::counter!("citywatch_agent_renewals_total", "result" => "failed")
                    .increment(1);
                tracing::warn!(%error, days_left, "the certificate could not be renewed, trying again each minute");
            }
        }
    }

    /// Measures by how much this clock is before the server's: the middle of question and answer.
    async fn ask_clock(&mut self) {
        let Some(identity) = &self.identity else {
            return;
        };
        let current = identity.current();
        let asked = async {
            let trust = Trust::Roots(identity.roots().ok()?);
            let mut client = Client::new(&current.note.server, trust, None).ok()?;
            // The first answer pays for the handshake.
            let mut offset_us = None;
            for _ in 0..2 {
                let (before, begun) = (clock::now().as_micros(), Instant::now());
                let answer = client
                    .ask(Method::GET, TIME_PATH, "application/json", Bytes::new())
                    .await
                    .ok()?;
                let half_us = i64::try_from(begun.elapsed().as_micros() / 2).ok()?;
                let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
                offset_us = Some(before + half_us - body["now_us"].as_i64()?);
            }
            offset_us
        };
        self.clock_offset_us = asked.await;
    }

    async fn beat(&mut self) {
        let now = clock::now();
        let heartbeat = Heartbeat {
            sent_at_us: now.as_micros(),
            clock_offset_us: self.clock_offset_us,
            certificate_until: self
                .identity
                .as_ref()
                .map(|identity| identity.current().note.until),
            ..Heartbeat::of(&self.monitor.status())
        };
        // Grows in a stream, and after a restart too unless the clock was set back; the engine takes the last.
        let by_clock = u64::try_from(now.as_micros()).unwrap_or(0);
        self.position = by_clock.max(self.position + 1);
        let origin = Origin {
            unit: self.config.unit.as_str().into(),
            agent: self.config.name.as_str().into(),
            stream: STREAM.into(),
            host: Some(self.config.host.as_str().into()),
            format: HEARTBEAT.into(),
            ..Origin::default()
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        let text = serde_json::to_vec(&heartbeat).expect("a heartbeat is always JSON");
        batch.push(&text, self.position, now, Truncated::No);
        let sent = async { self.sink.submit(&batch).await?.settled().await };
        if let Err(error) = sent.await {
            tracing::debug!(%error, "a heartbeat did not arrive; the next one says more");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_read_back_and_what_is_none_is_not() {
        let heartbeat = Heartbeat {
            version: "1".into(),
            lag_bytes: 7,
            clock_offset_us: Some(-3),
            ..Heartbeat::default()
        };
        let batch = |raw: &[u8]| {
            let mut batch = RecordBatch::new(Arc::new(Origin::default()));
            batch.push(raw, 1, clock::now(), Truncated::No);
            batch
        };
        let text = serde_json::to_vec(&heartbeat).unwrap();
        assert_eq!(Heartbeat::read(&batch(&text)), Ok(heartbeat));
        // A later version may say more, an earlier one less.
        assert!(Heartbeat::read(&batch(b"{\"mood\": \"well\"}")).is_ok());
        for wrong in [&b""[..], b"[1]", b"{\"lag_bytes\": \"much\"}"] {
            assert!(Heartbeat::read(&batch(wrong)).is_err(), "{wrong:?}");
        }
        let long = vec![b' '; HEARTBEAT_BYTES_MAX + 1];
        assert!(Heartbeat::read(&batch(&long)).is_err());
    }
}
