//! One file that is being read.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, names_columns};

use super::checkpoints::Checkpoint;
use super::coding::{Coding, Expected};
use super::header;
use super::identity::{Fingerprint, Identity};
use super::lines::{self, BatchLimits, Chunk, RECORD_BYTES_MAX, Tail};
use super::{Cutting, Joining};
use crate::clock;

/// A joined record is complete when nothing was added for this long.
const JOINED_QUIET: Duration = Duration::from_secs(1);
/// A last line without its end is taken after this long: its writer is gone.
const PARTIAL_QUIET: Duration = Duration::from_secs(60);
/// A file that was rotated away is closed when nothing was added for this long: daemons go on
/// writing to it until they are told.
const DRAIN_QUIET: Duration = Duration::from_secs(30);
const RETRY_AFTER_MIN: Duration = Duration::from_millis(500);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// Bytes read at once; a longer record makes the buffer grow for as long as it takes.
pub(crate) const BUFFER_BYTES: usize = 256 << 10;
const LONG_BUFFER_BYTES: usize = RECORD_BYTES_MAX + BUFFER_BYTES;

/// Where a file stands towards the patterns it was found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// It is there.
    Matched,
    /// It was renamed, removed or replaced: the rest is read, then it is closed.
    Draining,
    /// What is left of it cannot be reached.
    Lost,
}

/// What a look at a file showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is the file it was.
    Same,
    /// It was truncated or written anew: other content under the same identity.
    Rewritten,
}

/// A file's faults in a row.
#[derive(Debug)]
struct Trouble {
    error: String,
    retry_at: Instant,
    retry_after: Duration,
}

/// A batch as it was read, and what to remember of it.
#[derive(Debug)]
pub(crate) struct ReadBatch {
    pub(crate) batch: RecordBatch,
    /// Offset after the last record.
    pub(crate) end: u64,
    /// A cut made by time, to be remembered before the batch is sent.
    pub(crate) cut: Option<u64>,
}

/// One file that is being read.
#[derive(Debug)]
pub(crate) struct TailedFile {
    pub(crate) path: PathBuf,
    /// Which group of the configuration it belongs to.
    pub(crate) group: usize,
    /// Known once the first line is: the stream is named after it.
    pub(crate) origin: Option<Arc<Origin>>,
    pub(crate) identity: Identity,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) watch: Watch,
    pub(crate) size: u64,
    /// What comes before is read.
    pub(crate) read: u64,
    /// What comes before is durable downstream.
    pub(crate) durable: u64,
    pub(crate) in_flight: usize,
    pub(crate) records: u64,
    pub(crate) truncated_records: u64,
    pub(crate) retries: u64,
    cutting: Cutting,
    /// Known once the file has its first bytes.
    coding: Option<Coding>,
    cuts: Vec<u64>,
    file: Option<File>,
    trouble: Option<Trouble>,
    /// Whether the origin's format has what the file says of its columns before `read`, if it says anything.
    is_header_known: bool,
    /// The format as it was configured.
    format: Option<Arc<str>>,
    /// The size at which everything there is to take was taken.
    exhausted_at: Option<u64>,
    /// A line longer than the buffer: how far its end was looked for.
    long_scanned: Option<u64>,
    grown_at: Instant,
}

impl TailedFile {
    /// A file that was not known, to be read from `offset`.
    pub(crate) fn fresh(
        path: PathBuf,
        group: usize,
        cutting: Cutting,
        identity: Identity,
        offset: u64,
        now: Instant,
    ) -> Self {
        Self {
            path,
            group,
            origin: None,
            identity,
            fingerprint: Fingerprint::default(),
            watch: Watch::Matched,
            size: 0,
            read: offset,
            durable: offset,
            in_flight: 0,
            records: 0,
            truncated_records: 0,
            retries: 0,
            cutting,
            coding: None,
            cuts: Vec::new(),
            file: None,
            trouble: None,
            is_header_known: false,
            format: None,
            exhausted_at: None,
            long_scanned: None,
            grown_at: now,
        }
    }

    /// A file that was read before, to be read on.
    pub(crate) fn resumed(
        checkpoint: &Checkpoint,
        group: usize,
        cutting: Cutting,
        origin: Arc<Origin>,
        now: Instant,
    ) -> Self {
        let mut file = Self::fresh(
            checkpoint.path.clone(),
            group,
            cutting,
            checkpoint.identity,
            checkpoint.offset,
            now,
        );
        file.origin = Some(origin);
        file.fingerprint = checkpoint.fingerprint;
        file.cuts.clone_from(&checkpoint.cuts);
        file
    }

    /// What to remember; nothing before the stream has a name.
    pub(crate) fn checkpoint(&self) -> Option<Checkpoint> {
        Some(Checkpoint {
            path: self.path.clone(),
            stream: self.origin.as_ref()?.stream.as_str().to_owned(),
            identity: self.identity,
            fingerprint: self.fingerprint,
            offset: self.durable,
            cuts: self.cuts.clone(),
        })
    }

    /// Goes on in another file that holds the same bytes.
    pub(crate) fn move_to(&mut self, path: PathBuf, file: File, identity: Identity) {
        self.path = path;
        self.file = Some(file);
        self.identity = identity;
        self.watch = Watch::Draining;
        self.exhausted_at = None;
        self.trouble = None;
    }

    /// The reason it cannot be read at the moment.
    pub(crate) fn error(&self) -> Option<&str> {
        self.trouble.as_ref().map(|trouble| trouble.error.as_str())
    }

    pub(crate) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Everything before `end` is durable.
    pub(crate) fn settle(&mut self, end: u64) {
        self.durable = self.durable.max(end);
        let durable = self.durable;
        self.cuts.retain(|cut| *cut > durable);
    }

    /// Forgets what was sent but did not arrive.
    pub(crate) fn rewind(&mut self) {
        self.read = self.durable;
        self.is_header_known = false;
        self.exhausted_at = None;
        self.long_scanned = None;
    }

    /// Whether a drained file is done with.
    pub(crate) fn is_done(&self, now: Instant) -> bool {
        let drained = match self.watch {
            Watch::Matched => false,
            Watch::Draining => {
                self.read >= self.size && now.duration_since(self.grown_at) >= DRAIN_QUIET
            }
            Watch::Lost => true,
        };
        drained && self.in_flight == 0
    }

    /// Looks at the file's size, opening it if need be.
    pub(crate) fn look(&mut self, now: Instant) -> Look {
        if self.watch == Watch::Lost
            || self
                .trouble
                .as_ref()
                .is_some_and(|trouble| now < trouble.retry_at)
        {
            return Look::Same;
        }
        match self.try_look(now) {
            Ok(look) => {
                self.trouble = None;
                look
            }
            Err(error) => {
                self.fail(&error, now);
                Look::Same
            }
        }
    }

    fn try_look(&mut self, now: Instant) -> io::Result<Look> {
        let file = match self.file.take() {
            Some(file) => file,
            None => open(&self.path, self.identity)?,
        };
        let size = file.metadata()?.len();
        let changed = size != self.size;
        let mut look = Look::Same;
        if size < self.read.max(u64::from(self.fingerprint.bytes))
            || (changed && !self.fingerprint.fits(&file)?)
        {
            look = Look::Rewritten;
        } else if changed {
            if !self.fingerprint.is_complete() {
                self.fingerprint = Fingerprint::of(&file)?;
            }
            self.size = size;
            self.grown_at = now;
        }
        self.file = Some(file);
        Ok(look)
    }

    fn fail(&mut self, error: &io::Error, now: Instant) {
        let retry_after = self.trouble.as_ref().map_or(RETRY_AFTER_MIN, |trouble| {
            (trouble.retry_after * 2).min(RETRY_AFTER_MAX)
        });
        if self.trouble.is_none() {
            tracing::warn!(path = %self.path.display(), %error, "the file cannot be read, trying again");
        }
        self.file = None;
        self.retries += 1;
        metrics::counter!("citywatch_agent_source_retries_total").increment(1);
        self.trouble = Some(Trouble {
            error: explain(error),
            retry_at: now + retry_after,
            retry_after,
        });
    }

    /// Whether there is something to read.
    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        self.watch != Watch::Lost
            && self.trouble.is_none()
            && self.file.is_some()
            && self.read < self.size
            && (self.exhausted_at != Some(self.size) || self.tail(now) != Tail::Waits)
    }

    fn tail(&self, now: Instant) -> Tail {
        let quiet = now.duration_since(self.grown_at);
        if quiet >= PARTIAL_QUIET || (self.watch == Watch::Draining && quiet >= DRAIN_QUIET) {
            Tail::TakeAll
        } else if self.cutting.joining != Joining::None && quiet >= JOINED_QUIET {
            Tail::TakeLines
        } else {
            Tail::Waits
        }
    }

    /// The checksum that names the stream; none while the first line is being written.
    pub(crate) fn stream_crc(&self, now: Instant) -> Option<u32> {
        let file = self.file.as_ref()?;
        match super::identity::first_line_crc(file).ok()? {
            Some(crc) => Some(crc),
            None if self.tail(now) == Tail::TakeAll => Some(self.fingerprint.crc),
            None => None,
        }
    }

    /// How the file's bytes are text; fixed once its first bytes are there.
    fn coding(&mut self, file: &File) -> io::Result<Coding> {
        if let Some(coding) = self.coding {
            return Ok(coding);
        }
        let coding = self.cutting.encoding.in_file(file)?;
        self.coding = (self.size >= 2).then_some(coding);
        Ok(coding)
    }

    /// Reads the next batch; nothing when all that is there must wait for more.
    pub(crate) fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        limits: BatchLimits,
        now: Instant,
    ) -> Option<ReadBatch> {
        let file = self.file.take()?;
        let result = self.coding(&file).and_then(|coding| {
            self.look_for_header(&file, coding)?;
            self.try_read(&file, coding, buffer, limits, now)
        });
        match result {
            Ok(batch) => {
                self.file = Some(file);
                batch
            }
            Err(error) => {
                self.fail(&error, now);
                None
            }
        }
    }

    /// Records of a file of columns mean nothing to who has not seen the line that names them: it goes along with each batch.
    fn look_for_header(&mut self, file: &File, coding: Coding) -> io::Result<()> {
        let Some(origin) = self.origin.as_ref().filter(|_| !self.is_header_known) else {
            return Ok(());
        };
        let configured = self
            .format
            .get_or_insert_with(|| Arc::clone(&origin.format));
        let found = header::find(file, coding, configured, self.read)?;
        self.is_header_known = found.is_final;
        if let Some(format) = found.format.filter(|format| **format != *origin.format) {
            self.origin = Some(Arc::new(Origin {
                format: format.into(),
                ..Origin::clone(origin)
            }));
        }
        Ok(())
    }

    fn try_read(
        &mut self,
        file: &File,
        coding: Coding,
        buffer: &mut Vec<u8>,
        limits: BatchLimits,
        now: Instant,
    ) -> io::Result<Option<ReadBatch>> {
        let Some(origin) = self.origin.clone() else {
            return Ok(None);
        };
        let tail = self.tail(now);
        let mut batch = RecordBatch::new(origin);
        if let Some(scanned) = self.long_scanned {
            return self.finish_long_line(file, coding, batch, buffer, scanned, tail);
        }
        buffer.resize(buffer.len().max(BUFFER_BYTES), 0);
        loop {
            let wanted = (self.size - self.read).min(buffer.len() as u64) as usize;
            let filled = read_up_to(file, &mut buffer[..wanted], self.read)?;
            let at_end = self.read + filled as u64 >= self.size;
            let chunk = Chunk {
                bytes: &buffer[..filled],
                offset: self.read,
                cuts: &self.cuts,
                received_at: clock::now(),
            };
            // Within the file the last record waits; only its end can be taken as one.
            let tail = if at_end { tail } else { Tail::Waits };
            let taken = coding.split(chunk, self.cutting.joining, tail, limits, &mut batch);
            if taken == 0 && !at_end {
                if filled == 0 {
                    // It shrank since the last look; the next one finds out.
                    self.exhausted_at = Some(self.size);
                    return Ok(None);
                }
                if buffer.len() < LONG_BUFFER_BYTES {
                    buffer.resize(LONG_BUFFER_BYTES, 0);
                    continue;
                }
                self.long_scanned = Some(self.read + coding.whole(filled, self.read) as u64);
                return Ok(None);
            }
            if at_end
                && (taken == filled
                    || batch.len() < limits.records_max && batch.bytes() < limits.bytes_max)
            {
                self.exhausted_at = Some(self.size);
            }
            if buffer.len() > BUFFER_BYTES {
                buffer.truncate(BUFFER_BYTES);
                buffer.shrink_to_fit();
            }
            return Ok(self.took(batch, self.read + taken as u64, tail));
        }
    }

    /// Looks for the end of a line that is longer than the buffer; its head becomes the record.
    fn finish_long_line(
        &mut self,
        file: &File,
        coding: Coding,
        mut batch: RecordBatch,
        buffer: &mut Vec<u8>,
        scanned: u64,
        tail: Tail,
    ) -> io::Result<Option<ReadBatch>> {
        buffer.resize(BUFFER_BYTES, 0);
        let wanted = self.size.saturating_sub(scanned).min(buffer.len() as u64) as usize;
        let filled = read_up_to(file, &mut buffer[..wanted], scanned)?;
        let at_end = scanned + filled as u64 >= self.size;
        let whole = coding.whole(filled, scanned);
        let end = match coding.line_end(&buffer[..filled], scanned) {
            Some(end) => scanned + end as u64,
            None if at_end && tail == Tail::TakeAll => self.size,
            None => {
                self.long_scanned = Some(scanned + whole as u64);
                if at_end {
                    self.exhausted_at = Some(self.size);
                }
                return Ok(None);
            }
        };
        buffer.resize(RECORD_BYTES_MAX, 0);
        let filled = read_up_to(file, buffer, self.read)?;
        let mut head = coding.text(buffer[..filled].to_vec(), self.read);
        head.truncate(RECORD_BYTES_MAX);
        lines::push_long(&head, self.read, clock::now(), &mut batch);
        buffer.truncate(BUFFER_BYTES);
        buffer.shrink_to_fit();
        self.long_scanned = None;
        Ok(self.took(batch, end, tail))
    }

    fn took(&mut self, batch: RecordBatch, end: u64, tail: Tail) -> Option<ReadBatch> {
        let truncated = batch
            .spans()
            .iter()
            .filter(|span| span.truncated == Truncated::Yes)
            .count() as u64;
        self.records += batch.len() as u64;
        self.truncated_records += truncated;
        metrics::counter!("citywatch_agent_truncated_records_total").increment(truncated);
        let grown = end > self.read;
        self.read = end;
        if batch.is_empty() {
            // Blank lines: done with as soon as what came before them is.
            if self.in_flight == 0 {
                self.settle(end);
            }
            return None;
        }
        if batch.iter().any(|record| names_columns(record.raw)) {
            self.is_header_known = false;
        }
        let cut = (tail != Tail::Waits && grown).then_some(end);
        self.cuts.extend(cut);
        Some(ReadBatch { batch, end, cut })
    }
}

/// Opens `path` if it is still the file that is meant.
fn open(path: &Path, identity: Identity) -> io::Result<File> {
    let file = File::open(path)?;
    if Identity::of(&file.metadata()?) == identity {
        Ok(file)
    } else {
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "another file has taken its place",
        ))
    }
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// An error with what to do about it, where that is known.
pub(crate) fn explain(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        format!(
            "{error}: let the agent's user read it (for example by adding it to the file's group)"
        )
    } else {
        error.to_string()
    }
}

/// The offset from which a file is read that is to be read from its end: after the last complete line.
pub(crate) fn end_offset(path: &Path, encoding: Expected) -> io::Result<u64> {
    let file = File::open(path)?;
    let size = fs::metadata(path)?.len();
    let mut buffer = vec![0; BUFFER_BYTES.min(usize::try_from(size).unwrap_or(usize::MAX))];
    let start = size - buffer.len() as u64;
    let filled = read_up_to(&file, &mut buffer, start)?;
    let coding = encoding.in_file(&file)?;
    let end = coding.last_line_end(&buffer[..filled], start);
    Ok(end.map_or(start, |end| start + end as u64))
}
