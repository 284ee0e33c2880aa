//! Sources that can be read again from a position: the journal and EVTX files.
//!
//! A batch is handed to the sink and waited for; only then does the position move. What was on its way
//! at a crash is read again, with the same identity.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use citywatch_parsers::RecordBatch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::evtx::{self, EvtxConfig};
use super::files::lines::BatchLimits;
use super::host::Host;
use super::journald::{self, JournaldConfig};
use super::received::{Counts, Listeners, RETRY_AFTER};
use crate::config::AgentConfig;
use crate::masking::{Masking, MaskingError};
use crate::sink::{Sink, SinkError};

const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// What each of these sources is given.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) host: Host,
    pub(crate) limits: BatchLimits,
    pub(crate) sink: Sink,
    pub(crate) shutdown: CancellationToken,
}

/// Why they cannot be read.
pub(crate) enum OpenError {
    /// Their positions cannot be read or kept in this directory.
    State(PathBuf, io::Error),
    /// What is to be masked cannot be.
    Masking(MaskingError),
}

impl From<MaskingError> for OpenError {
    fn from(error: MaskingError) -> Self {
        Self::Masking(error)
    }
}

/// Whether a batch is where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a position moves only over what is durable"]
pub(crate) enum Delivered {
    Durable,
    /// The agent stops: it may or may not have arrived.
    NotKnown,
}

impl Reading {
    /// Hands a batch over, masked as it is, until it is durable, or the agent stops.
    pub(crate) async fn deliver(&self, batch: RecordBatch, counts: &Counts) -> Delivered {
        let mut retry_after = RETRY_AFTER;
        let records = batch.len() as u64;
        loop {
            let attempt = async {
                let mut ticket = self.sink.submit(&batch).await?;
                ticket.settled().await
            };
            let result = tokio::select! {
                biased;
                result = attempt => result,
                () = stopping(&self.shutdown) => return Delivered::NotKnown,
            };
            match result {
                Ok(()) => break,
                Err(SinkError::Frame(error)) => {
                    tracing::error!(%error, "records cannot be packed and are left out");
                    metrics::counter!("citywatch_agent_lost_batches_total").increment(1);
                    counts.set_error(Some(error.to_string()));
                    return Delivered::Durable;
                }
                Err(error) => {
                    tracing::warn!(%error, "records could not be sent, trying again");
                    metrics::counter!("citywatch_agent_send_retries_total").increment(1);
                    counts.send_retries.fetch_add(1, Ordering::Relaxed);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(retry_after) => {}
                () = self.shutdown.cancelled() => return Delivered::NotKnown,
            }
            retry_after = (retry_after * 2).min(RETRY_AFTER_MAX);
        }
        counts.durable_records.fetch_add(records, Ordering::Relaxed);
        Delivered::Durable
    }
}

/// What is on its way at the end has this long to arrive.
const END_PATIENCE: Duration = Duration::from_secs(10);

async fn stopping(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(END_PATIENCE).await;
}

/// All of an agent's sources of this kind.
pub(crate) struct Resumed {
    journald: Vec<(JournaldConfig, journald::Positions, Arc<Counts>)>,
    evtx: Vec<(EvtxConfig, evtx::Positions, Arc<Counts>)>,
}

impl Resumed {
    /// Reads the positions of all of them; their counts join `listeners`.
    pub(crate) fn open(
        config: &AgentConfig,
        state_dir: &Path,
        masking: &Masking,
        listeners: &mut Listeners,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::State(state_dir.to_owned(), source);
        let mut counted = |name: String, mask: Option<&[String]>| {
            let counts = Arc::new(Counts::masking(masking.of_source(mask)?));
            listeners.0.push((name, Arc::clone(&counts)));
            Ok::<_, OpenError>(counts)
        };
        let mut sources = Self {
            journald: Vec::new(),
            evtx: Vec::new(),
        };
        for journald in &config.journald {
            let positions = journald::Positions::open(state_dir, &journald.name).map_err(failed)?;
            let name = format!("journald:{}", journald.name);
            let counts = counted(name, journald.mask.as_deref())?;
            sources.journald.push((journald.clone(), positions, counts));
        }
        for evtx in &config.evtx {
            let positions = evtx::Positions::open(state_dir, &evtx.name).map_err(failed)?;
            let counts = counted(format!("evtx:{}", evtx.name), evtx.mask.as_deref())?;
            sources.evtx.push((evtx.clone(), positions, counts));
        }
        Ok(sources)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.journald.is_empty() && self.evtx.is_empty()
    }

    /// Reads all of them until the end.
    pub(crate) async fn serve(self, reading: Reading) {
        let mut tasks = JoinSet::new();
        for (config, positions, counts) in self.journald {
            tasks.spawn(journald::serve(config, positions, counts, reading.clone()));
        }
        for (config, positions, counts) in self.evtx {
            tasks.spawn(evtx::serve(config, positions, counts, reading.clone()));
        }
        while tasks.join_next().await.is_some() {}
    }
}
