//! The thread that reads all files of an agent and hands their records to the sink.
//!
//! One thread owns all files, so nothing here is locked but the status. Reads are blocking, as file
//! reads are; what is awaited is the sink and the clock.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use citywatch_parsers::Origin;
use tokio_util::sync::CancellationToken;

use super::checkpoints::{Checkpoint, CheckpointStore, Checkpoints};
use super::discovery;
use super::identity::Identity;
use super::lines::BatchLimits;
use super::tailed::{self, Look, TailedFile, Watch};
use super::{FilesConfig, ReadFrom};
use crate::agent::SharedStatus;
use crate::sink::{Sink, SinkError, SinkTicket};
use crate::status::{SourceState, SourceStatus};

/// How often sizes are looked at: also how long records are collected into a batch.
const LOOK_EVERY: Duration = Duration::from_millis(200);
const RESCAN_EVERY: Duration = Duration::from_secs(1);
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// Batches on their way to the sink: bounds the agent's memory together with their size.
const IN_FLIGHT_MAX: usize = 16;
/// How long a possible copy of a file is held back for its original to be truncated.
const COPY_PATIENCE: Duration = Duration::from_secs(5);
/// How long the end waits for what is on its way; the rest is sent again after the next start.
const END_PATIENCE: Duration = Duration::from_secs(10);
const RESEND_AFTER_MAX: Duration = Duration::from_secs(30);

/// What the thread is given.
pub(crate) struct TailerSettings {
    pub(crate) agent: String,
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) groups: Vec<FilesConfig>,
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
        metrics::counter!("citywatch_agent_records_total").increment(read.batch.len() as u64);
        metrics::counter!("citywatch_agent_bytes_total").increment(read.batch.bytes() as u64);
        if read.cut.is_some() {
            // The cut must be known after a crash before anyone can have the records it made.
            self.save();
        }
        let sink = self.sink.clone();
        let submission = Box::pin(async move { sink.submit(read.batch).await });
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

    /// Looks for all files that the patterns match, and notices which are gone.
    fn rescan(&mut self, now: Instant) {
        let mut seen = HashSet::new();
        self.problems.clear();
        let matched = self
            .files
            .iter()
            .filter(|(_, file)| file.watch == Watch::Matched);
        let by_path = matched
            .map(|(key, file)| (file.path.clone(), *key))
            .collect();
        for group in 0..self.settings.groups.len() {
            let found = discovery::expand(&self.settings.groups[group]);
            self.problems.extend(found.problems);
            for path in found.paths {
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_file() => {
                        seen.extend(self.meet(group, path, &metadata, &by_path, now))
                    }
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => self.problems.push(format!("{}: {error}", path.display())),
                }
            }
        }
        for (key, file) in &mut self.files {
            if file.watch == Watch::Matched && !seen.contains(key) {
                file.watch = Watch::Draining;
            }
        }
        let started = self.settings.groups.iter().flat_map(|group| &group.paths);
        self.started = started.cloned().collect();
        self.held_back.retain(|path, _| path.exists());
    }

    /// A file that a pattern matches: one that is being read, one that was read before, or a new one.
    fn meet(
        &mut self,
        group: usize,
        path: PathBuf,
        metadata: &Metadata,
        by_path: &HashMap<PathBuf, Key>,
        now: Instant,
    ) -> Option<Key> {
        let identity = Identity::of(metadata);
        if let Some(key) = self.by_identity.get(&identity).copied() {
            let file = self.files.get_mut(&key)?;
            file.path = path;
            file.watch = Watch::Matched;
            return Some(key);
        }
        if let Some(checkpoint) = self.take_remembered(identity, &path, metadata) {
            let file = self.resume(&Checkpoint { path, ..checkpoint }, group, now);
            return Some(self.track(file));
        }
        if self.is_held_back(&path, by_path, now) {
            return None;
        }
        let config = &self.settings.groups[group];
        let is_first_look = !config
            .paths
            .iter()
            .all(|pattern| self.started.contains(pattern));
        let offset = match config.read_from {
            ReadFrom::End if is_first_look => tailed::end_offset(&path).unwrap_or(0),
            _ => 0,
        };
        tracing::info!(path = %path.display(), offset, "reading a new file");
        let file = TailedFile::fresh(path, group, config.multiline, identity, offset, now);
        Some(self.track(file))
    }

    fn track(&mut self, file: TailedFile) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        self.by_identity.insert(file.identity, key);
        self.files.insert(key, file);
        key
    }

    /// The checkpoint of a file that was read before, if it still begins as it did.
    fn take_remembered(
        &mut self,
        identity: Identity,
        path: &Path,
        metadata: &Metadata,
    ) -> Option<Checkpoint> {
        let fits = |checkpoint: &Checkpoint| {
            checkpoint.identity == identity
                && metadata.len() >= checkpoint.offset
                && match fs::File::open(path) {
                    Ok(file) => checkpoint.fingerprint.fits(&file).unwrap_or(false),
                    // Unreadable now: it is taken for the same, and looked at when it can be read.
                    Err(_) => true,
                }
        };
        let place = self.remembered.iter().rposition(fits)?;
        Some(self.remembered.remove(place))
    }

    fn resume(&self, checkpoint: &Checkpoint, group: usize, now: Instant) -> TailedFile {
        let origin = self.origin(group, &checkpoint.stream);
        TailedFile::resumed(
            checkpoint,
            group,
            self.settings.groups[group].multiline,
            origin,
            now,
        )
    }

    /// Whether a new file may be a rotation's copy of one whose original is not truncated yet: then
    /// the original goes on in the copy, and reading both would give everything twice.
    fn is_held_back(&mut self, path: &Path, by_path: &HashMap<PathBuf, Key>, now: Instant) -> bool {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let shorter = name
            .char_indices()
            .skip(1)
            .map(|(end, _)| path.with_file_name(&name[..end]));
        let mut originals =
            shorter.filter_map(|original| self.files.get(by_path.get(&original)?)?.checkpoint());
        let Some(original) = originals.next() else {
            return false;
        };
        let Ok(file) = fs::File::open(path) else {
            return false;
        };
        if !discovery::may_be_copy(path, &file, &original) {
            return false;
        }
        let since = *self.held_back.entry(path.to_owned()).or_insert(now);
        now.duration_since(since) < COPY_PATIENCE
    }

    /// After a start: what was being read and is no longer matched may lie beside where it was.
    fn recover_remainders(&mut self, now: Instant) {
        for checkpoint in std::mem::take(&mut self.remembered) {
            let group = self
                .settings
                .groups
                .iter()
                .position(|group| covers(group, &checkpoint.path));
            let remainder = group
                .and_then(|group| Some((group, discovery::find_remainder(&checkpoint, None)?)));
            let Some((group, (path, file))) = remainder else {
                self.remembered.push(checkpoint);
                continue;
            };
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let identity = Identity::of(&metadata);
            // Its first bytes tell that it is the same content: a copy that was just taken for a new
            // file goes on where its original was left.
            if let Some(key) = self.by_identity.get(&identity).copied() {
                let untouched = self
                    .files
                    .get(&key)
                    .is_some_and(|file| file.origin.is_none());
                if !untouched {
                    self.remembered.push(checkpoint);
                    continue;
                }
                self.files.remove(&key);
            }
            tracing::info!(path = %path.display(), offset = checkpoint.offset, "reading the rest of a rotated file");
            let mut resumed = self.resume(&checkpoint, group, now);
            resumed.move_to(path, file, identity);
            self.track(resumed);
        }
    }

    /// A file that was rotated away and is not open: the rest is looked for beside it.
    fn reach_remainder(&mut self, key: Key) {
        let Some(file) = self.files.get_mut(&key) else {
            return;
        };
        let remainder = file.checkpoint().and_then(|checkpoint| {
            let (path, opened) = discovery::find_remainder(&checkpoint, None)?;
            let identity = opened
                .metadata()
                .map(|metadata| Identity::of(&metadata))
                .ok()?;
            Some((path, opened, identity))
        });
        let Some((path, opened, identity)) = remainder else {
            file.watch = Watch::Lost;
            return;
        };
        file.move_to(path, opened, identity);
        self.by_identity.insert(identity, key);
    }

    /// A file was truncated, or written anew in place: its old content goes on in a copy if there is
    /// one, its new content is a new stream.
    fn rewritten(&mut self, key: Key, now: Instant) {
        let Some(old) = self.files.get_mut(&key) else {
            return;
        };
        let (path, group, identity) = (old.path.clone(), old.group, old.identity);
        let unread = Checkpoint {
            offset: old.read,
            ..old.checkpoint().unwrap_or(Checkpoint {
                path: path.clone(),
                stream: String::new(),
                identity,
                fingerprint: old.fingerprint,
                offset: old.read,
                cuts: Vec::new(),
            })
        };
        let copy = discovery::find_remainder(&unread, Some(identity));
        let copy =
            copy.and_then(|(path, file)| Some((path, Identity::of(&file.metadata().ok()?), file)));
        match copy {
            Some((copy_path, copy_identity, copy_file))
                if !self.by_identity.contains_key(&copy_identity) =>
            {
                tracing::info!(path = %path.display(), copy = %copy_path.display(), "the file was copied and truncated; reading the copy to its end");
                old.move_to(copy_path, copy_file, copy_identity);
                self.by_identity.insert(copy_identity, key);
            }
            _ => {
                let unread_bytes = old.size.saturating_sub(old.read);
                tracing::info!(path = %path.display(), unread_bytes, "the file was truncated; reading its new content");
                metrics::counter!("citywatch_agent_truncated_away_bytes_total")
                    .increment(unread_bytes);
                old.watch = Watch::Lost;
            }
        }
        let fresh = TailedFile::fresh(
            path,
            group,
            self.settings.groups[group].multiline,
            identity,
            0,
            now,
        );
        let fresh_key = self.track(fresh);
        if let Some(fresh) = self.files.get_mut(&fresh_key) {
            fresh.look(now);
        }
    }

    /// Names a new file's stream, once its first line is there.
    fn name_stream(&mut self, key: Key, now: Instant) {
        let Some(file) = self.files.get(&key).filter(|file| file.origin.is_none()) else {
            return;
        };
        let Some(crc) = file.stream_crc(now) else {
            return;
        };
        // Made of what anyone finds in the file again: without its checkpoints the agent gives the
        // same records the same identities, and the engine drops them.
        let base = format!(
            "{}#{:x}.{crc:08x}",
            file.path.display(),
            file.identity.inode
        );
        let mut stream = base.clone();
        let mut generation = 1;
        while self.is_stream_known(&stream) {
            generation += 1;
            stream = format!("{base}.{generation}");
        }
        let origin = self.origin(file.group, &stream);
        if let Some(file) = self.files.get_mut(&key) {
            file.origin = Some(origin);
        }
    }

    fn is_stream_known(&self, stream: &str) -> bool {
        let live = self.files.values().filter_map(|file| file.origin.as_ref());
        live.map(|origin| origin.stream.as_str())
            .any(|known| known == stream)
            || self
                .remembered
                .iter()
                .any(|checkpoint| checkpoint.stream == stream)
    }

    fn origin(&self, group: usize, stream: &str) -> Arc<Origin> {
        let config = &self.settings.groups[group];
        Arc::new(Origin {
            unit: config.unit.as_deref().unwrap_or(&self.settings.unit).into(),
            agent: self.settings.agent.as_str().into(),
            stream: stream.into(),
            host: Some(config.host.as_deref().unwrap_or(&self.settings.host).into()),
            format: config.format.as_str().into(),
            log_source: config.log_source.clone(),
        })
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

/// Whether a group's patterns match `path`, be it there or not.
fn covers(group: &FilesConfig, path: &Path) -> bool {
    group.paths.iter().any(|pattern| {
        Path::new(pattern) == path
            || glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_path(path))
    })
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
