//! The stream from the transport's door to the store: dispatch, parse and match, correlate, write.
//!
//! ```text
//! Delivery -> dispatch (which positions are stored already?)
//!          -> worker threads, one stream always on the same (parse, match)
//!          -> writer (correlate, hand matches to alerting, collect blocks, insert, acknowledge)
//! ```
//!
//! Every arrow is a bounded channel, so a slow store slows the transport down and memory stays
//! bounded. A block is inserted in the order matches, dead letters, events: the `events` rows are
//! its commit record. What a crash leaves behind is found again by [`positions`]: records at or
//! below a stream's highest stored position are dropped, and matches that were stored ahead of
//! their events are not stored again. Before an insert of events its plan is kept by the transport
//! ([`events`]): who has a stream next settles it before asking for the position.

mod agents;
mod block;
mod clock;
mod config;
mod correlate;
mod costs;
mod dispatch;
mod events;
mod fair;
mod patience;
mod positions;
mod replay;
mod rules;
mod status;
mod storing;
mod tap;
mod worker;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use citywatch_collector::{Delivery, Plans};
use citywatch_parsers::Definitions;
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use agents::AgentSeen;
pub use config::{LogSourceRouting, PipelineConfig};
pub use costs::DearRule;
pub use fair::{Beyond, Held, HeldUnit, QuotaConfig, UnitQuota};
pub use replay::{Replay, ReplayParts, Standing, standings};
pub use rules::{LoadedRules, RulesError, RulesHandle};
pub use status::{PipelineStatus, QueueStatus, StatusHandle};
pub use tap::{FilterError, TapFilter, TapHandle, TapKind, TapSamples, TooManyWatchers};

use crate::matches::MatchDelivery;
use crate::store::Store;
use crate::watch::IntakeGate;

/// Deliveries that wait before each worker, and results that wait before the writer.
const QUEUE_BATCHES: usize = 4;

/// What a pipeline works with.
#[derive(Debug)]
pub struct PipelineParts {
    /// Records from the transport.
    pub deliveries: mpsc::Receiver<Delivery>,
    /// Where the transport keeps what is about to be stored.
    pub plans: Plans,
    /// Where events, matches and dead letters go.
    pub store: Store,
    /// The rules.
    pub rules: Arc<LoadedRules>,
    /// The site's own text formats; a new version is in force from the next batch on.
    pub definitions: watch::Receiver<Definitions>,
    /// Where matches that raise alerts go.
    pub alerts: mpsc::Sender<MatchDelivery>,
    /// What stops the intake while the store is full.
    pub gate: IntakeGate,
    /// Folder for what waits for its unit's turn beyond what memory may hold.
    pub held: Option<PathBuf>,
}

/// Why a pipeline cannot start.
#[derive(Debug, Error)]
pub enum PipelineError {
    /// `time_zone` is no IANA name.
    #[error("[engine] time_zone \"{name}\" is not known: use a name such as Asia/Ho_Chi_Minh")]
    TimeZone {
        /// As configured.
        name: String,
    },
    /// The system gives no thread.
    #[error("cannot start a worker thread: {0}")]
    Thread(std::io::Error),
}

/// A running pipeline.
#[derive(Debug)]
pub struct Pipeline {
    status: StatusHandle,
    rules: RulesHandle,
    writer: JoinHandle<()>,
}

impl Pipeline {
    /// Starts the pipeline's threads and tasks. It ends when `deliveries` closes or `shutdown` is
    /// cancelled, after what it holds is stored and acknowledged.
    ///
    /// # Errors
    /// When a worker thread cannot be started, or the configuration names an unknown time zone.
    pub fn start(
        config: &PipelineConfig,
        parts: PipelineParts,
        shutdown: CancellationToken,
    ) -> Result<Self, PipelineError> {
        let context = config.parse_context()?;
        let rules = RulesHandle::new(parts.rules);
        let status = StatusHandle::default();
        let (processed, results) = mpsc::channel(QUEUE_BATCHES);
        let mut workers = Vec::new();
        for number in 0..config.worker_threads() {
            let (work, assigned) = mpsc::channel(QUEUE_BATCHES);
            let worker = worker::Worker::new(
                &context,
                rules.subscribe(),
                parts.definitions.clone(),
                status.clone(),
            );
            status.watch_queue(format!("worker {number}"), &work);
            let processed = processed.clone();
            std::thread::Builder::new()
                .name(format!("engine-{number}"))
                .spawn(move || worker.run(assigned, &processed))
                .map_err(PipelineError::Thread)?;
            workers.push(work);
        }
        status.watch_queue("writer".to_owned(), &processed);
        status.watch_queue("alerting".to_owned(), &parts.alerts);
        drop(processed);
        let dispatcher = dispatch::Dispatcher::new(
            parts.store.clone(),
            workers,
            fair::FairQueue::new(config.quota.clone(), parts.held.as_deref()),
            parts.gate,
            status.clone(),
        );
        tokio::spawn(dispatcher.run(parts.deliveries, shutdown.clone()));
        let correlation = correlate::Correlation::new(rules.subscribe(), config);
        let writer = writer::Writer::new(
            config,
            events::EventInserts::new(parts.store, Some(parts.plans), status.clone(), shutdown),
            correlation,
            parts.alerts,
            status.clone(),
        );
        let writer = tokio::spawn(writer.run(results));
        Ok(Self {
            status,
            rules,
            writer,
        })
    }

    /// Its counters.
    pub fn status(&self) -> StatusHandle {
        self.status.clone()
    }

    /// Where samples of what flows come from.
    pub fn taps(&self) -> TapHandle {
        self.status.taps().clone()
    }

    /// Where it takes other rules.
    pub fn rules(&self) -> RulesHandle {
        self.rules.clone()
    }

    /// Waits until the pipeline has ended.
    ///
    /// # Panics
    /// When the writer panicked, so that the process ends instead of going on without storing.
    pub async fn ended(self) {
        self.writer
            .await
            .expect("the writer does not panic: its errors are retried or counted");
    }
}
