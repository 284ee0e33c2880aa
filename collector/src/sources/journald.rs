//! systemd's journal, through `journalctl`: entries in its export format, exactly as they are.
//!
//! The position is the journal's own cursor, kept by the agent and moved when the entries are durable
//! downstream; after a restart `journalctl` begins behind it. A record's position is the entry's sequence
//! number, which grows within a journal's sequence; that names the stream, so an entry read twice is known.

mod entries;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use citywatch_parsers::{LogSource, RecordBatch};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval};

use super::command::{Pauses, Running};
use super::files::ReadFrom;
use super::once::READ_BYTES;
use super::received::{COLLECT_FOR, Counts};
use super::resumed::{Delivered, Reading};
use crate::clock;
use crate::durable::Kept;
use crate::masking::Masker;
use entries::{Entries, Entry};

const FORMAT: &str = "journald_export";
/// Sequences of a journal that are told apart: one, and more where journals of other machines are read.
const SEQUENCES_MAX: usize = 1000;

/// A journal that is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournaldConfig {
    /// Its name in streams, log and status; different for each.
    pub name: String,
    /// What to read, as `journalctl` takes it: `_SYSTEMD_UNIT=ssh.service`; everything if empty.
    pub matches: Vec<String>,
    /// The journal's folder, where it is not this system's own.
    pub directory: Option<PathBuf>,
    /// Where reading begins at the first start.
    pub read_from: ReadFrom,
    /// The program that reads journals.
    pub journalctl: String,
    /// The host the records speak of; the agent's own if absent.
    pub host: Option<String>,
    /// The office; the agent's own if absent.
    pub unit: Option<String>,
    /// What is known of the log source; the rest is found out by the parsers.
    pub log_source: LogSource<'static>,
    /// What is masked of its records; as `[masking]` says if absent.
    pub mask: Option<Vec<String>>,
}

impl Default for JournaldConfig {
    fn default() -> Self {
        Self {
            name: "journal".into(),
            matches: Vec::new(),
            directory: None,
            read_from: ReadFrom::Beginning,
            journalctl: "journalctl".into(),
            host: None,
            unit: None,
            log_source: LogSource::default(),
            mask: None,
        }
    }
}

/// What makes no sense in a list of journals, one sentence each, naming the key.
pub fn problems(journals: &[JournaldConfig]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, journal) in journals.iter().enumerate() {
        problems.extend(super::name_problem(
            "journald",
            index,
            &journal.name,
            journals[..index].iter().map(|other| other.name.as_str()),
        ));
        for text in &journal.matches {
            let is_match = text
                .split_once('=')
                .is_some_and(|(field, _)| !field.is_empty() && !field.starts_with('-'));
            if !is_match && text != "+" {
                problems.push(format!(
                    "journald[{index}].matches: `{text}` is none; write it as `_SYSTEMD_UNIT=ssh.service`"
                ));
            }
        }
    }
    problems
}

/// The cursor behind which a journal is read on.
pub(crate) struct Positions(Kept<State>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// None: from the first entry.
    cursor: Option<String>,
    /// Whether it was decided where reading begins.
    is_started: bool,
}

impl Positions {
    pub(crate) fn open(state_dir: &Path, name: &str) -> io::Result<Self> {
        let path = state_dir.join(format!("journald-{name}.json"));
        Kept::open(path).map(Self)
    }

    fn cursor(&self) -> Option<&str> {
        self.0.get().cursor.as_deref()
    }

    fn start(&mut self, cursor: Option<String>) -> io::Result<()> {
        self.0.keep(State {
            cursor,
            is_started: true,
        })
    }
}

/// Reads the journal until the agent stops; a `journalctl` that ends is started again.
pub(crate) async fn serve(
    config: JournaldConfig,
    mut positions: Positions,
    counts: Arc<Counts>,
    reading: Reading,
) {
    let mut pauses = Pauses::new();
    loop {
        let run = follow(&config, &mut positions, &counts, &reading).await;
        if reading.shutdown.is_cancelled() {
            return;
        }
        let how = match run {
            Ok(status) => format!("it ended ({status})"),
            Err(error) => format!("it cannot be read: {error}"),
        };
        tracing::warn!(journal = config.name, "a journal is read anew: {how}");
        counts.set_error(Some(how));
        counts.ends.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            () = reading.shutdown.cancelled() => return,
            () = pauses.pause() => {}
        }
    }
}

/// The arguments that are the same for whatever is asked.
fn arguments(config: &JournaldConfig) -> Vec<String> {
    let mut arguments: Vec<String> = ["--output=export", "--quiet", "--no-pager"]
        .map(String::from)
        .to_vec();
    if let Some(directory) = &config.directory {
        arguments.push(format!("--directory={}", directory.display()));
    }
    arguments
}

/// Decides at the first start where reading begins.
async fn decide_start(config: &JournaldConfig, positions: &mut Positions) -> io::Result<()> {
    if positions.0.get().is_started {
        return Ok(());
    }
    let cursor = match config.read_from {
        ReadFrom::Beginning => None,
        ReadFrom::End => last_cursor(config).await?,
    };
    positions.start(cursor)
}

async fn last_cursor(config: &JournaldConfig) -> io::Result<Option<String>> {
    let output = Command::new(&config.journalctl)
        .args(arguments(config))
        .arg("--lines=1")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "{}: {}",
            output.status,
            said.trim()
        )));
    }
    let mut cursor = None;
    let mut entries = Entries::default();
    entries.receive(&output.stdout, |entry| {
        cursor = entry.cursor().map(String::from)
    });
    Ok(cursor)
}

/// Runs `journalctl` from the position on, to its end or the agent's.
async fn follow(
    config: &JournaldConfig,
    positions: &mut Positions,
    counts: &Counts,
    reading: &Reading,
) -> io::Result<ExitStatus> {
    decide_start(config, positions).await?;
    let mut run = arguments(config);
    run.insert(0, config.journalctl.clone());
    run.extend(["--follow".into(), "--no-tail".into()]);
    if let Some(cursor) = positions.cursor() {
        run.push(format!("--after-cursor={cursor}"));
    }
    run.extend(config.matches.iter().cloned());
    let mut running = Running::start(&config.name, &run)?;

    let mut entries = Entries::default();
    let mut batches = Batches::new(config, reading, counts);
    let mut buffer = vec![0; READ_BYTES];
    let mut ticks = interval(COLLECT_FOR);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_due = tokio::select! {
            () = reading.shutdown.cancelled() => break,
            read = running.output.read(&mut buffer) => {
                let length = read?;
                if length == 0 {
                    break;
                }
                entries.receive(&buffer[..length], |entry| batches.push(&entry));
                batches.bytes >= reading.limits.bytes_max
            }
            _ = ticks.tick() => true,
        };
        if is_due && batches.deliver(positions, counts).await? == Delivered::NotKnown {
            break;
        }
    }
    // What is complete goes, also at the end; the rest is read again.
    let _ = batches.deliver(positions, counts).await?;
    running.stop().await
}

/// Entries that are not durable yet.
struct Batches<'a> {
    config: &'a JournaldConfig,
    reading: &'a Reading,
    ready: Vec<RecordBatch>,
    /// The last entry's.
    cursor: Option<String>,
    bytes: usize,
    /// Values are masked one by one: some have their length before them.
    masker: Option<Arc<Masker>>,
    /// The last position of each sequence, and how often it began anew.
    sequences: BTreeMap<String, (u64, u32)>,
}

impl<'a> Batches<'a> {
    fn new(config: &'a JournaldConfig, reading: &'a Reading, counts: &Counts) -> Self {
        Self {
            masker: counts.masker.clone(),
            config,
            reading,
            ready: Vec::new(),
            cursor: None,
            bytes: 0,
            sequences: BTreeMap::new(),
        }
    }

    fn push(&mut self, entry: &Entry<'_>) {
        let Some((cursor, (sequence, position))) = entry
            .cursor()
            .and_then(|cursor| Some((cursor, place(cursor)?)))
        else {
            tracing::warn!(
                journal = self.config.name,
                "an entry without a cursor is left out"
            );
            metrics::counter!("citywatch_agent_journal_entries_left_out_total").increment(1);
            return;
        };
        if self.sequences.len() >= SEQUENCES_MAX && !self.sequences.contains_key(sequence) {
            self.sequences.clear();
        }
        let known = self.sequences.entry(sequence.to_owned()).or_insert((0, 0));
        if position <= known.0 && known.0 > 0 {
            known.1 += 1;
        }
        known.0 = position;
        let mut stream = format!("journald:{}#{sequence}", self.config.name);
        if known.1 > 0 {
            stream = format!("{stream}.{}", known.1);
        }
        let goes_on = self.ready.last().is_some_and(|batch| {
            batch.origin.stream.as_str() == stream
                && batch.len() < self.reading.limits.records_max
                && batch.bytes() < self.reading.limits.bytes_max
        });
        if !goes_on {
            let origin = self.reading.host.origin(
                &stream,
                (self.config.unit.as_deref(), self.config.host.as_deref()),
                (FORMAT, &self.config.log_source),
            );
            self.ready.push(RecordBatch::new(Arc::new(origin)));
        }
        let raw = match &self.masker {
            Some(masker) => entries::map_values(entry.raw, |value| masker.mask(value)),
            None => Cow::Borrowed(entry.raw),
        };
        if let Some(batch) = self.ready.last_mut() {
            batch.push(&raw, position, clock::now(), entry.truncated);
        }
        self.bytes += entry.raw.len() + 64;
        self.cursor = Some(cursor.to_owned());
    }

    async fn deliver(
        &mut self,
        positions: &mut Positions,
        counts: &Counts,
    ) -> io::Result<Delivered> {
        counts.received(&self.ready);
        self.bytes = 0;
        for batch in std::mem::take(&mut self.ready) {
            if self.reading.deliver(batch, counts).await == Delivered::NotKnown {
                self.cursor = None;
                return Ok(Delivered::NotKnown);
            }
        }
        if let Some(cursor) = self.cursor.take() {
            positions.start(Some(cursor))?;
            counts.set_error(None);
        }
        Ok(Delivered::Durable)
    }
}

/// A cursor's sequence and the number in it: `s=...;i=2f;b=...`.
fn place(cursor: &str) -> Option<(&str, u64)> {
    let part = |name: &str| cursor.split(';').find_map(|part| part.strip_prefix(name));
    let position = u64::from_str_radix(part("i=")?, 16).ok()?;
    Some((part("s=")?, position))
}

#[cfg(test)]
mod tests;
