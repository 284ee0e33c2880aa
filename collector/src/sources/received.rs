//! What is received once and cannot be asked for again: how it is counted, and kept before more is taken.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use citywatch_parsers::RecordBatch;
use citywatch_parsers::record::Truncated;

use crate::masking::{Masker, MaskingError};
use crate::sink::{Sink, SinkError};
use crate::sources::tls::ListenTlsError;
use crate::status::ListenerStatus;

/// How long records are collected into a batch.
pub(crate) const COLLECT_FOR: Duration = Duration::from_millis(200);
/// A batch is sent before that time when it has this much.
pub(crate) const PENDING_BYTES_MAX: usize = 1 << 20;
/// Pause before what failed is tried again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What is counted of one source of received records, and what all of it goes through.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) records: AtomicU64,
    pub(crate) durable_records: AtomicU64,
    pub(crate) truncated_records: AtomicU64,
    pub(crate) refused_connections: AtomicU64,
    pub(crate) refused_requests: AtomicU64,
    pub(crate) send_retries: AtomicU64,
    /// How often a command ended.
    pub(crate) ends: AtomicU64,
    /// Whether nothing more will come.
    pub(crate) is_over: AtomicBool,
    pub(crate) last_error: Mutex<Option<String>>,
    /// The port, for asking the kernel what it dropped.
    pub(crate) udp_port: Option<u16>,
    /// What is masked of the records before anything keeps them.
    pub(crate) masker: Option<Arc<Masker>>,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) enum BindError {
    /// It cannot be had.
    Address(SocketAddr, io::Error),
    /// Its certificate cannot be used.
    Tls(ListenTlsError),
    /// What senders must know cannot be read.
    SignIn(String),
    /// What is to be masked cannot be.
    Masking(MaskingError),
}

impl From<MaskingError> for BindError {
    fn from(error: MaskingError) -> Self {
        Self::Masking(error)
    }
}

impl From<ListenTlsError> for BindError {
    fn from(error: ListenTlsError) -> Self {
        Self::Tls(error)
    }
}

/// What became of batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a sender must not be told that its records are kept when they are not"]
pub(crate) enum Kept {
    /// All are durable.
    All,
    /// One at least is not, and is counted.
    NotAll,
}

/// All of an agent's sources of received records, by name or address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listeners(pub(crate) Vec<(String, Arc<Counts>)>);

impl Counts {
    /// Of a source that masks this.
    pub(crate) fn masking(masker: Option<Arc<Masker>>) -> Self {
        Self {
            masker,
            ..Self::default()
        }
    }

    /// The batch as it may leave the host.
    pub(crate) fn mask(&self, batch: RecordBatch) -> RecordBatch {
        match &self.masker {
            Some(masker) => masker.mask_batch(batch),
            None => batch,
        }
    }

    /// Counts records as they come.
    pub(crate) fn received<'a>(&self, batches: impl IntoIterator<Item = &'a RecordBatch>) {
        let (mut records, mut truncated) = (0, 0);
        for span in batches.into_iter().flat_map(RecordBatch::spans) {
            records += 1;
            truncated += u64::from(span.truncated == Truncated::Yes);
        }
        self.records.fetch_add(records, Ordering::Relaxed);
        self.truncated_records
            .fetch_add(truncated, Ordering::Relaxed);
        metrics::counter!("citywatch_agent_records_total").increment(records);
    }

    pub(crate) fn set_error(&self, error: Option<String>) {
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = error;
    }
}

impl Listeners {
    /// How each stands now.
    pub(crate) fn status(&self) -> Vec<ListenerStatus> {
        let status = |(address, counts): &(String, Arc<Counts>)| ListenerStatus {
            address: address.clone(),
            records: counts.records.load(Ordering::Relaxed),
            durable_records: counts.durable_records.load(Ordering::Relaxed),
            truncated_records: counts.truncated_records.load(Ordering::Relaxed),
            refused_connections: counts.refused_connections.load(Ordering::Relaxed),
            refused_requests: counts.refused_requests.load(Ordering::Relaxed),
            dropped_datagrams: counts.udp_port.map_or(0, dropped_datagrams),
            send_retries: counts.send_retries.load(Ordering::Relaxed),
            ends: counts.ends.load(Ordering::Relaxed),
            is_over: counts.is_over.load(Ordering::Acquire),
            last_error: counts
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        };
        self.0.iter().map(status).collect()
    }
}

/// Hands batches over, masked as their source asks, and waits until they are durable; what fails is tried
/// again, since nobody else has it.
pub(crate) async fn keep(sink: &Sink, batches: Vec<RecordBatch>, counts: &Counts) -> Kept {
    let mut kept = Kept::All;
    let mut tickets = Vec::new();
    for batch in batches {
        let batch = counts.mask(batch);
        let mut submitted = sink.submit(&batch).await;
        while let Err(error) = &submitted {
            if matches!(error, SinkError::Frame(_)) {
                tracing::error!(%error, "received records cannot be packed");
                metrics::counter!("citywatch_agent_lost_batches_total").increment(1);
                kept = Kept::NotAll;
                break;
            }
            counts.send_retries.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "received records cannot be kept, trying again");
            tokio::time::sleep(RETRY_AFTER).await;
            submitted = sink.submit(&batch).await;
        }
        tickets.extend(submitted.map(|ticket| (ticket, batch.len() as u64)));
    }
    for (mut ticket, records) in tickets {
        match ticket.settled().await {
            Ok(()) => {
                counts.durable_records.fetch_add(records, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::error!(%error, "received records were not kept");
                metrics::counter!("citywatch_agent_lost_batches_total").increment(1);
                kept = Kept::NotAll;
            }
        }
    }
    kept
}

/// Datagrams that the kernel dropped because they were not read in time, for all sockets of a port.
fn dropped_datagrams(port: u16) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"]
        .map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let wanted = format!(":{port:04X}");
    let lines = tables.iter().flat_map(|table| table.lines().skip(1));
    lines
        .filter(|line| {
            line.split_whitespace()
                .nth(1)
                .is_some_and(|address| address.ends_with(&wanted))
        })
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok())
        .sum()
}
