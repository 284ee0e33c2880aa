//! What an agent says of itself.

use std::path::PathBuf;

use serde::Serialize;

use crate::kafka::{ConnectionState, ProducerStatus};
use crate::spool::SpoolStatus;
use crate::uplink::UplinkStatus;

/// How an agent stands.
#[derive(Clone, Debug, Serialize)]
pub struct AgentStatus {
    /// The agent's name.
    pub name: String,
    /// The program's version.
    pub version: &'static str,
    /// Each file that is being read.
    pub sources: Vec<SourceStatus>,
    /// Each address that is listened on, each command, and standard input.
    pub listeners: Vec<ListenerStatus>,
    /// The agent's own spool before Kafka, for what cannot be read again.
    pub spool: Option<SpoolStatus>,
    /// Spools of sources that have one of their own.
    pub source_spools: Vec<SourceSpool>,
    /// Patterns that match nothing and directories that cannot be read.
    pub problems: Vec<String>,
    /// Where the records go.
    pub sink: SinkStatus,
    /// Why positions cannot be saved at the moment, if so.
    pub checkpoint_error: Option<String>,
    /// Batches on their way to the sink.
    pub in_flight: usize,
    /// How often sending failed and began again since this start.
    pub send_retries: u64,
}

impl AgentStatus {
    /// Every queue of the agent by its name: `spool`, `sink` where records go to a spool at once, `spool:SOURCE`.
    fn spools(&self) -> impl Iterator<Item = (String, &SpoolStatus)> {
        let shared = self.spool.iter().map(|spool| ("spool".to_owned(), spool));
        let sink = match &self.sink {
            SinkStatus::Spool(spool) => Some(("sink".to_owned(), spool)),
            _ => None,
        };
        let own = self.source_spools.iter();
        let own = own.map(|own| (format!("spool:{}", own.source), &own.spool));
        shared.chain(sink).chain(own)
    }

    /// Sets the metrics of its queues to what it says.
    pub(crate) fn report_metrics(&self) {
        for (queue, spool) in self.spools() {
            let gauge = |name: &'static str, value: u64| {
                metrics::gauge!(name, "queue" => queue.clone()).set(value as f64);
            };
            let total = |name: &'static str, value: u64| {
                metrics::counter!(name, "queue" => queue.clone()).absolute(value);
            };
            gauge("citywatch_agent_queue_bytes", spool.bytes);
            gauge("citywatch_agent_queue_bytes_max", spool.bytes_max);
            gauge(
                "citywatch_agent_queue_batches",
                spool.appended.saturating_sub(spool.acknowledged),
            );
            total(
                "citywatch_agent_queue_dropped_records_total",
                spool.dropped_records,
            );
            total("citywatch_agent_queue_waits_total", spool.waits);
            total(
                "citywatch_agent_queue_damaged_entries_total",
                spool.damaged_entries,
            );
        }
        metrics::gauge!("citywatch_agent_in_flight_batches").set(self.in_flight as f64);
        let lag: u64 = self.sources.iter().map(|source| source.lag_bytes).sum();
        metrics::gauge!("citywatch_agent_files_lag_bytes").set(lag as f64);
        for listener in &self.listeners {
            let waiting = listener.records.saturating_sub(listener.durable_records);
            metrics::gauge!("citywatch_agent_listener_records_waiting", "listener" => listener.address.clone())
                .set(waiting as f64);
            metrics::counter!("citywatch_agent_listener_dropped_datagrams_total", "listener" => listener.address.clone())
                .absolute(listener.dropped_datagrams);
        }
        let delivered = match &self.sink {
            SinkStatus::Kafka(kafka) => Some((
                kafka.connection.state == ConnectionState::Connected,
                kafka.delivered_bytes,
            )),
            SinkStatus::Https(https) => Some((https.connected, https.delivered_bytes)),
            SinkStatus::Spool(_) => None,
        };
        if let Some((is_connected, bytes)) = delivered {
            metrics::gauge!("citywatch_agent_connected").set(f64::from(u8::from(is_connected)));
            metrics::counter!("citywatch_agent_delivered_bytes_total").absolute(bytes);
        }
    }
}

/// The spool of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceSpool {
    /// Whose.
    pub source: String,
    /// How it stands.
    pub spool: SpoolStatus,
}

/// How one source stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceStatus {
    /// The file.
    pub path: PathBuf,
    /// Its stream's name; empty while the first line is being written.
    pub stream: String,
    /// What it does.
    pub state: SourceState,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes that are durable downstream.
    pub durable_bytes: u64,
    /// Bytes there are.
    pub size_bytes: u64,
    /// Bytes that are not durable downstream yet.
    pub lag_bytes: u64,
    /// Records read since this start.
    pub records: u64,
    /// Records cut at 1 MiB since this start.
    pub truncated_records: u64,
    /// Failed attempts since this start.
    pub retries: u64,
    /// Why it cannot be read at the moment, if so.
    pub last_error: Option<String>,
}

/// How one source stands whose records come once: a listener, a command, standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListenerStatus {
    /// Protocol and address, `command:NAME`, or `stdin`.
    pub address: String,
    /// Records received since this start.
    pub records: u64,
    /// Of these, what is durable: a crash loses none of them.
    pub durable_records: u64,
    /// Records cut at 1 MiB since this start.
    pub truncated_records: u64,
    /// Connections refused because there were too many, since this start.
    pub refused_connections: u64,
    /// HTTP requests answered with an error, since this start.
    pub refused_requests: u64,
    /// Datagrams that the kernel dropped because they were not read in time.
    pub dropped_datagrams: u64,
    /// How often records could not be handed on at once, since this start.
    pub send_retries: u64,
    /// How often a command ended or could not be started, since this start.
    pub ends: u64,
    /// Whether nothing more comes: standard input at its end.
    pub is_over: bool,
    /// How a command ended last, or what cannot be read.
    pub last_error: Option<String>,
}

/// What a source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// There is more than has been sent.
    Reading,
    /// Everything is sent.
    CaughtUp,
    /// It was rotated away and is read to its end.
    Draining,
    /// It cannot be read; it is tried again.
    Unreadable,
}

/// How the sink stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkStatus {
    /// The spool.
    Spool(SpoolStatus),
    /// Kafka.
    Kafka(ProducerStatus),
    /// An engine's HTTPS intake.
    Https(UplinkStatus),
}
