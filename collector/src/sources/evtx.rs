//! EVTX files: Windows' event logs as files, exported ones and such as are still written.
//!
//! A record's position is its EventRecordID, which grows within a log. The position of a file moves when its
//! records are durable downstream; with it is remembered when the last of them was written, so that a log
//! under the same name is known as the same, be the file a later copy, and another one as another.
//! Chunks are read one at a time, so a large file takes no more memory than a small one.

mod file;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{LogSource, Origin, RecordBatch};
use serde::{Deserialize, Serialize};

use super::files::lines::RECORD_BYTES_MAX;
use super::files::{FilesConfig, ReadFrom, discovery, tailed};
use super::received::Counts;
use super::resumed::{Delivered, Reading};
use crate::clock;
use crate::durable::Kept;
use file::{LogFile, Mark};

const FORMAT: &str = "windows_json";
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A file that seems not to have changed is looked into all the same: what is written through a mapping may
/// change its time late.
const LOOK_ANYWAY: Duration = Duration::from_secs(60);
/// A chunk whose checksums do not hold is taken as it is when the file has been quiet for so long.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// Files that are gone are forgotten, the least recently read first, beyond this many.
const FILES_MAX: usize = 10_000;

/// A group of EVTX files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvtxConfig {
    /// Its name in log and status; different for each group.
    pub name: String,
    /// Paths; `*`, `?`, `[...]` and `**` match as in a shell.
    pub paths: Vec<String>,
    /// What to leave out: patterns for the file's name, or for the path if they contain `/`.
    pub exclude: Vec<String>,
    /// Where reading begins in files that are there when the agent first sees this group.
    pub read_from: ReadFrom,
    /// The host the records speak of; the agent's own if absent. Records name their computer themselves.
    pub host: Option<String>,
    /// The office; the agent's own if absent.
    pub unit: Option<String>,
    /// What is known of the log source; the rest is found out by the parsers.
    pub log_source: LogSource<'static>,
    /// What is masked of its records; as `[masking]` says if absent.
    pub mask: Option<Vec<String>>,
}

impl Default for EvtxConfig {
    fn default() -> Self {
        Self {
            name: "evtx".into(),
            paths: Vec::new(),
            exclude: Vec::new(),
            read_from: ReadFrom::Beginning,
            host: None,
            unit: None,
            log_source: LogSource::default(),
            mask: None,
        }
    }
}

impl EvtxConfig {
    /// What its patterns match now, and what is wrong with them in words.
    pub fn matches(&self) -> (Vec<super::files::MatchedFile>, Vec<String>) {
        super::files::matches(&self.patterns())
    }

    fn patterns(&self) -> FilesConfig {
        FilesConfig {
            paths: self.paths.clone(),
            exclude: self.exclude.clone(),
            ..FilesConfig::default()
        }
    }
}

/// What makes no sense in a list of groups, one sentence each, naming the key.
pub fn problems(groups: &[EvtxConfig]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        problems.extend(super::name_problem(
            "evtx",
            index,
            &group.name,
            groups[..index].iter().map(|other| other.name.as_str()),
        ));
        problems.extend(super::files::pattern_problems(
            "evtx",
            index,
            &group.paths,
            &group.exclude,
        ));
    }
    problems
}

/// Where each file of a group stands.
pub(crate) struct Positions(Kept<State>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Whether the group was looked at once: files that appear later are new from their beginning.
    is_started: bool,
    files: BTreeMap<PathBuf, Place>,
}

/// What is remembered of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    stream: String,
    /// The last record that is durable downstream; none yet if absent.
    last: Option<Mark>,
    /// When it was looked at, in seconds since 1970.
    seen_at_s: i64,
}

impl Positions {
    pub(crate) fn open(state_dir: &Path, name: &str) -> io::Result<Self> {
        Kept::open(state_dir.join(format!("evtx-{name}.json"))).map(Self)
    }

    fn set(&mut self, path: &Path, place: Place) -> io::Result<()> {
        let mut state = self.0.get().clone();
        state.files.insert(path.to_owned(), place);
        while state.files.len() > FILES_MAX {
            let oldest = state.files.iter().min_by_key(|(_, place)| place.seen_at_s);
            let Some(oldest) = oldest.map(|(path, _)| path.clone()) else {
                break;
            };
            state.files.remove(&oldest);
        }
        self.0.keep(state)
    }
}

/// Reads the group's files until the agent stops.
pub(crate) async fn serve(
    config: EvtxConfig,
    positions: Positions,
    counts: Arc<Counts>,
    reading: Reading,
) {
    let mut group = Group {
        patterns: config.patterns(),
        config,
        positions,
        counts,
        reading,
        looked: HashMap::new(),
        broken: HashMap::new(),
    };
    loop {
        let error = group.look().await;
        if let Some(error) = &error {
            tracing::warn!(group = group.config.name, "{error}");
        }
        group.counts.set_error(error);
        tokio::select! {
            () = group.reading.shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// A group of files while it is read.
struct Group {
    config: EvtxConfig,
    patterns: FilesConfig,
    positions: Positions,
    counts: Arc<Counts>,
    reading: Reading,
    looked: HashMap<PathBuf, Looked>,
    /// What could not be read of a file, when it was looked into last.
    broken: HashMap<PathBuf, String>,
}

/// How a file was when it was read to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looked {
    bytes: u64,
    modified: Option<SystemTime>,
    at: Instant,
    /// Whether nothing of it waits.
    is_whole: bool,
}

impl Group {
    /// Reads what is new in all files; says what went wrong last.
    async fn look(&mut self) -> Option<String> {
        let found = discovery::expand(&self.patterns);
        let mut error = found
            .problems
            .last()
            .or(self.broken.values().next())
            .cloned();
        for path in found.paths {
            if self.reading.shutdown.is_cancelled() {
                return error;
            }
            let read = match self.has_changed(&path) {
                Ok(None) => continue,
                Ok(Some(looked)) => self.read(&path, looked).await,
                Err(error) => Err(error),
            };
            if let Err(failed) = read {
                error = Some(format!("{}: {}", path.display(), tailed::explain(&failed)));
            }
        }
        self.looked.retain(|path, _| path.exists());
        self.broken.retain(|path, _| path.exists());
        if !self.positions.0.get().is_started {
            let started = State {
                is_started: true,
                ..self.positions.0.get().clone()
            };
            let failed = self.positions.0.keep(started).err();
            error = failed.map(|error| error.to_string()).or(error);
        }
        error
    }

    fn has_changed(&self, path: &Path) -> io::Result<Option<Looked>> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let now = Looked {
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
            at: Instant::now(),
            is_whole: false,
        };
        let is_same = |looked: &&Looked| {
            (looked.bytes, looked.modified) == (now.bytes, now.modified)
                && looked.is_whole
                && looked.at.elapsed() < LOOK_ANYWAY
        };
        Ok(self
            .looked
            .get(path)
            .filter(is_same)
            .is_none()
            .then_some(now))
    }

    /// Reads what is new in one file.
    async fn read(&mut self, path: &Path, mut looked: Looked) -> io::Result<()> {
        let log = LogFile::open(path)?;
        let known = self.positions.0.get().files.get(path).cloned();
        let mut place = match known {
            Some(place) if log.goes_on_after(place.last)? => place,
            other => {
                let Some(first) = log.first()? else {
                    // Nothing has been written yet.
                    return Ok(());
                };
                let is_there_at_start = !self.positions.0.get().is_started && other.is_none();
                let last = match self.config.read_from {
                    ReadFrom::End if is_there_at_start => log.last()?,
                    _ => None,
                };
                let stream = format!(
                    "{}#{:x}.{:x}",
                    path.display(),
                    first.id,
                    first.written_at_us
                );
                tracing::info!(stream, "reading a new EVTX file");
                Place {
                    stream,
                    last,
                    seen_at_s: 0,
                }
            }
        };
        place.seen_at_s = clock::now().as_micros() / 1_000_000;
        self.positions.set(path, place.clone())?;
        let origin = self.reading.host.origin(
            &place.stream,
            (self.config.unit.as_deref(), self.config.host.as_deref()),
            (FORMAT, &self.config.log_source),
        );
        let is_settled = looked
            .modified
            .and_then(|modified| modified.elapsed().ok())
            .is_none_or(|age| age >= SETTLED_AFTER);
        looked.is_whole = self
            .deliver(path, &log, place, Arc::new(origin), is_settled)
            .await?;
        self.looked.insert(path.to_owned(), looked);
        Ok(())
    }

    /// Sends the records after `place`; says whether nothing of the file waits.
    async fn deliver(
        &mut self,
        path: &Path,
        log: &LogFile,
        mut place: Place,
        origin: Arc<Origin>,
        is_settled: bool,
    ) -> io::Result<bool> {
        self.broken.remove(path);
        for chunk in log.chunks_after(place.last) {
            let Some(records) = log.records(chunk, is_settled)? else {
                return Ok(false);
            };
            let mut batch = RecordBatch::new(Arc::clone(&origin));
            let mut last = place.last;
            let mut records = records.into_iter().peekable();
            while let Some(record) = records.next() {
                match record {
                    Ok(found) if last.is_none_or(|last| found.record.id > last.id) => {
                        let json = &found.record.json;
                        let (raw, truncated) = match json.get(..RECORD_BYTES_MAX) {
                            Some(head) if json.len() > RECORD_BYTES_MAX => (head, Truncated::Yes),
                            _ => (json.as_slice(), Truncated::No),
                        };
                        batch.push(raw, found.record.id, clock::now(), truncated);
                        last = Some(Mark {
                            id: found.record.id,
                            written_at_us: found.written_at_us,
                        });
                    }
                    Ok(_) => {}
                    Err(error) => {
                        metrics::counter!("citywatch_agent_evtx_records_unreadable_total")
                            .increment(1);
                        let told = format!("{}: {error}", path.display());
                        self.broken.insert(path.to_owned(), told);
                    }
                }
                let limits = self.reading.limits;
                let is_full =
                    batch.len() >= limits.records_max || batch.bytes() >= limits.bytes_max;
                if !batch.is_empty() && (is_full || records.peek().is_none()) {
                    let next = RecordBatch::new(Arc::clone(&origin));
                    let full = std::mem::replace(&mut batch, next);
                    self.counts.received([&full]);
                    if self
                        .reading
                        .deliver(self.counts.mask(full), &self.counts)
                        .await
                        == Delivered::NotKnown
                    {
                        return Ok(false);
                    }
                    place.last = last;
                    self.positions.set(path, place.clone())?;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
