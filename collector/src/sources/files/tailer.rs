//! The thread that reads all files of an agent and hands their records to the sink.
//!
//! One thread owns all files, so nothing here is locked but the status. Reads are blocking, as file
//! reads are; what is awaited is the sink and the clock.

mod tracking;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::FilesConfig;
use super::checkpoints::{Checkpoint, CheckpointStore, Checkpoints};
use super::identity::Identity;
use super::lines::BatchLimits;
use super::tailed::{Look, TailedFile, Watch};
use crate::agent::SharedStatus;
use crate::masking::Masker;
use crate::sink::{Sink, SinkError, SinkTicket};
use crate::sources::host::Host;
use crate::status::{SourceState, SourceStatus};

/// How often sizes are looked at: also how long records are collected into a batch.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const RESCAN_EVERY: Duration = Duration::from_secs(1);
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Batches on their way to the sink: bounds the agent's memory together with their size.
const IN_FLIGHT_MAX: usize = 16;
/// How long the end waits for what is on its way; the rest is sent again after the next start.
const END_PATIENCE: Duration = Duration::from_secs(10);
const RESEND_AFTER_MAX: Duration = Duration::from_secs(30);

/// What the thread is given.
pub(crate) struct TailerSettings {
    pub(crate) host: Host,
    pub(crate) groups: Vec<FilesConfig>,
    /// What is masked of each group.
    pub(crate) maskers: Vec<Option<Arc<Masker>>>,
    pub(crate) limits: BatchLimits,
}

type Key = u64;
type Submission = Pin<Box<dyn Future<Output = Result<SinkTicket, SinkError>> + Send>>;

/// All files of an agent.
pub(crate) struct Tailer {
    settings: TailerSettings,
    sink: Sink,
    status: SharedStatus,
    store: CheckpointStore,
    files: BTreeMap<Key, TailedFile>,
    next_key: Key,
    by_identity: HashMap<Identity, Key>,
    /// Files that are not being read, the longest gone first.
    remembered: Vec<Checkpoint>,
    started: Vec<String>,
    /// Possible copies, and since when they are held back.
    held_back: HashMap<PathBuf, Instant>,
    problems: Vec<String>,
    ready: VecDeque<Key>,
    outgoing: VecDeque<Outgoing>,
    submission: Option<(Submission, Sent)>,
    buffer: Vec<u8>,
    resend_at: Option<Instant>,
    resend_after: Duration,
}

/// What was sent of which file.
#[derive(Clone, Copy, Debug)]
struct Sent {
    key: Key,
    end: u64,
}

struct Outgoing {
    ticket: SinkTicket,
    sent: Sent,
}

impl Tailer {
    pub(crate) fn new(
        settings: TailerSettings,
        sink: Sink,
        status: SharedStatus,
        state_dir: &Path,
    ) -> io::Result<Self> {
        let (store, checkpoints) = CheckpointStore::open(state_dir)?;
        Ok(Self {
            settings,
            sink,
            status,
            store,
            files: BTreeMap::new(),
            next_key: 0,
            by_identity: HashMap::new(),
            remembered: checkpoints.files,
            started: checkpoints.started,
            held_back: HashMap::new(),
            problems: Vec::new(),
            ready: VecDeque::new(),
            outgoing: VecDeque::new(),
            submission: None,
            buffer: Vec::new(),
            resend_at: None,
            resend_after: LOOK_EVERY,
        })
    }

    /// Reads until `shutdown`, then waits for what is on its way and saves the positions.
    pub(crate) async fn run(&mut self, shutdown: &CancellationToken) {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut rescan_at, mut save_at) = (Instant::now(), Instant::now() + SAVE_EVERY);
        let mut first_scan = true;
        loop {
            let may_read = self.submission.is_none()
                && self.resend_at.is_none()
                && self.outgoing.len() < IN_FLIGHT_MAX
                && !self.ready.is_empty();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = looks.tick() => {
                    let now = Instant::now();
                    if now >= rescan_at {
                        self.rescan(now);
                        if std::mem::take(&mut first_scan) {
                            self.recover_remainders(now);
                        }
                        rescan_at = now + RESCAN_EVERY;
                    }
                    self.look(now);
                    if now >= save_at {
                        self.save();
                        save_at = now + SAVE_EVERY;
                    }
                    self.report();
                }
                result = front(&mut self.outgoing), if !self.outgoing.is_empty() => self.settle(result).await,
                result = submitted(&mut self.submission), if self.submission.is_some() => self.submitted(result),
                () = std::future::ready(()), if may_read => self.read(),
            }
        }
        self.finish().await;
    }

    /// Waits for what is on its way, then saves.
    async fn finish(&mut self) {
        self.submission = None;
        let deadline = tokio::time::Instant::now() + END_PATIENCE;
        while !self.outgoing.is_empty() {
            match tokio::time::timeout_at(deadline, front(&mut self.outgoing)).await {
                Ok(Ok(())) => self.settle_front(),
                Ok(Err(_)) | Err(_) => break,
            }
        }
        if !self.outgoing.is_empty() {
            tracing::warn!(
                batches = self.outgoing.len(),
                "not everything read became durable in time: it is read again after the next start"
            );
        }
        self.save();
        self.report();
    }

    fn read(&mut self) {
        let Some(key) = self.ready.pop_front() else {
            return;
        };
        let now = Instant::now();
        self.name_stream(key, now);
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        let read = file.read(&mut self.buffer, self.settings.limits, now);
        if file.is_ready(now) {
            self.ready.push_back(key);
        }
        let Some(read) = read else { return };
        file.in_flight += 1;
        let masker = self.settings.maskers.get(file.group).cloned().flatten();
        metrics::counter!("citywatch_agent_records_total").increment(read.batch.len() as u64);
        metrics::counter!("citywatch_agent_bytes_total").increment(read.batch.bytes() as u64);
        if read.cut.is_some() {
            // The cut must be known after a crash before anyone can have the records it made.
            self.save();
        }
        let batch = match masker {
            Some(masker) => masker.mask_batch(read.batch),
            None => read.batch,
        };
        let sink = self.sink.clone();
        let submission = Box::pin(async move { sink.submit(&batch).await });
        self.submission = Some((submission, Sent { key, end: read.end }));
    }

    fn submitted(&mut self, result: (Result<SinkTicket, SinkError>, Sent)) {
        let (result, sent) = result;
        match result {
            Ok(ticket) => self.outgoing.push_back(Outgoing { ticket, sent }),
            Err(error) => {
                self.arrived(sent.key, None);
                self.start_again(&error);
            }
        }
    }

    async fn settle(&mut self, result: Result<(), SinkError>) {
        let Err(error) = result else {
            self.settle_front();
            self.resend_after = LOOK_EVERY;
            return;
        };
        // The sink lets nothing pass after a failure: wait for the others' answers, then start again
        // from what is durable.
        let failed = self.outgoing.pop_front();
        let mut failed_keys: HashSet<Key> =
            failed.iter().map(|outgoing| outgoing.sent.key).collect();
        failed
            .iter()
            .for_each(|outgoing| self.arrived(outgoing.sent.key, None));
        while let Some(mut outgoing) = self.outgoing.pop_front() {
            let Sent { key, end } = outgoing.sent;
            let durable = outgoing.ticket.settled().await.is_ok() && !failed_keys.contains(&key);
            if !durable {
                failed_keys.insert(key);
            }
            self.arrived(key, durable.then_some(end));
        }
        self.start_again(&error);
    }

    fn settle_front(&mut self) {
        if let Some(Outgoing { sent, .. }) = self.outgoing.pop_front() {
            self.arrived(sent.key, Some(sent.end));
        }
    }

    fn arrived(&mut self, key: Key, durable: Option<u64>) {
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        file.in_flight -= 1;
        if let Some(end) = durable {
            file.settle(end);
        }
    }

    fn start_again(&mut self, error: &SinkError) {
        tracing::warn!(%error, retry_after_ms = self.resend_after.as_millis() as u64, "records could not be sent, trying again");
        metrics::counter!("citywatch_agent_send_retries_total").increment(1);
        self.status.update(|status| status.send_retries += 1);
        self.resend_at = Some(Instant::now() + self.resend_after);
        self.resend_after = (self.resend_after * 2).min(RESEND_AFTER_MAX);
        if let Some((_, sent)) = self.submission.take() {
            self.arrived(sent.key, None);
        }
    }

    fn look(&mut self, now: Instant) {
        if self.resend_at.is_some_and(|at| now >= at) && self.outgoing.is_empty() {
            self.resend_at = None;
            self.files.values_mut().for_each(TailedFile::rewind);
        }
        let keys: Vec<Key> = self.files.keys().copied().collect();
        for key in keys {
            let Some(file) = self.files.get_mut(&key) else {
                continue;
            };
            if file.watch == Watch::Draining && !file.is_open() {
                self.reach_remainder(key);
            } else if file.look(now) == Look::Rewritten {
                self.rewritten(key, now);
            }
        }
        let done: Vec<Key> = self
            .files
            .iter()
            .filter(|(_, file)| file.is_done(now))
            .map(|(key, _)| *key)
            .collect();
        for key in done {
            self.forget(key);
        }
        let queued: HashSet<Key> = self.ready.iter().copied().collect();
        let ready = self
            .files
            .iter()
            .filter(|(key, file)| !queued.contains(key) && file.is_ready(now))
            .map(|(key, _)| *key);
        self.ready.extend(ready);
    }

    /// Stops reading a file, but remembers it.
    fn forget(&mut self, key: Key) {
        let Some(file) = self.files.remove(&key) else {
            return;
        };
        if self.by_identity.get(&file.identity) == Some(&key) {
            self.by_identity.remove(&file.identity);
        }
        self.remembered.extend(file.checkpoint());
    }

    fn save(&mut self) {
        let live = self.files.values().filter_map(TailedFile::checkpoint);
        let files = self.remembered.iter().cloned().chain(live).collect();
        let checkpoints = Checkpoints {
            files,
            started: self.started.clone(),
            ..Checkpoints::default()
        };
        let error = self
            .store
            .save(checkpoints)
            .err()
            .map(|error| error.to_string());
        if let Some(error) = &error {
            tracing::error!(%error, "positions cannot be saved: after a restart records are sent again");
            metrics::counter!("citywatch_agent_checkpoint_errors_total").increment(1);
        }
        self.status.update(|status| status.checkpoint_error = error);
    }

    fn report(&self) {
        let sources: Vec<SourceStatus> = self.files.values().map(source_status).collect();
        let lag_bytes: u64 = sources.iter().map(|source| source.lag_bytes).sum();
        metrics::gauge!("citywatch_agent_lag_bytes").set(lag_bytes as f64);
        self.status.update(|status| {
            status.sources = sources;
            status.problems.clone_from(&self.problems);
            status.in_flight = self.outgoing.len();
        });
    }
}

fn source_status(file: &TailedFile) -> SourceStatus {
    let lag_bytes = file.size.saturating_sub(file.durable);
    let state = match file.watch {
        _ if file.error().is_some() => SourceState::Unreadable,
        Watch::Draining | Watch::Lost => SourceState::Draining,
        Watch::Matched if lag_bytes > 0 => SourceState::Reading,
        Watch::Matched => SourceState::CaughtUp,
    };
    SourceStatus {
        path: file.path.clone(),
        stream: file
            .origin
            .as_ref()
            .map(|origin| origin.stream.as_str().to_owned())
            .unwrap_or_default(),
        state,
        read_bytes: file.read,
        durable_bytes: file.durable,
        size_bytes: file.size,
        lag_bytes,
        records: file.records,
        truncated_records: file.truncated_records,
        retries: file.retries,
        last_error: file.error().map(str::to_owned),
    }
}

async fn front(outgoing: &mut VecDeque<Outgoing>) -> Result<(), SinkError> {
    match outgoing.front_mut() {
        Some(outgoing) => outgoing.ticket.settled().await,
        None => std::future::pending().await,
    }
}

async fn submitted(
    submission: &mut Option<(Submission, Sent)>,
) -> (Result<SinkTicket, SinkError>, Sent) {
    let Some((future, sent)) = submission else {
        return std::future::pending().await;
    };
    let sent = *sent;
    let result = future.await;
    *submission = None;
    (result, sent)
}
