//! One file of the spool: a header, then entries of length, checksum and frame.
//!
//! The checksum covers the entry's sequence too, so that bytes left from elsewhere never pass.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::SpoolError;

const MAGIC: [u8; 8] = *b"CWSPOOL1";
/// Bytes before the first entry.
pub(super) const HEADER_BYTES: u64 = 16;
/// Bytes before an entry's frame.
pub(super) const ENTRY_HEADER_BYTES: u64 = 8;

/// A segment as the spool's list knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentInfo {
    pub(super) first: u64,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// What lies at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole entry.
    Entry(Vec<u8>),
    /// An entry whose checksum does not hold, with a whole one after it.
    Damaged,
    /// Nothing more that can be read.
    End,
}

/// Reads a segment from its first entry on.
#[derive(Debug)]
pub(super) struct SegmentReader {
    file: File,
    pub(super) path: PathBuf,
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) offset: u64,
}

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    file: File,
    path: PathBuf,
    first: u64,
    next: u64,
    bytes: u64,
}

/// All segments in `dir` by their first sequence. Files without a whole header are set aside, the
/// last one removed: it was just being made.
pub(super) fn list(dir: &Path) -> Result<VecDeque<SegmentInfo>, SpoolError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(SpoolError::io("list", dir))? {
        let path = entry.map_err(SpoolError::io("list", dir))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if let Some(first) = name
            .strip_suffix(".spool")
            .and_then(|digits| digits.parse().ok())
        {
            let bytes = path
                .metadata()
                .map_err(SpoolError::io("inspect", &path))?
                .len();
            found.push(SegmentInfo { first, path, bytes });
        }
    }
    found.sort_by_key(|segment| segment.first);
    let last = found.last().map(|segment| segment.first);
    let mut segments = VecDeque::new();
    for segment in found {
        if segment.bytes < HEADER_BYTES && Some(segment.first) == last {
            let active = ActiveSegment::create(dir, segment.first)?;
            segments.push_back(active.info());
        } else if SegmentReader::open(&segment.path, segment.first).is_err() {
            let aside = segment.path.with_extension("damaged");
            tracing::error!(path = %segment.path.display(), aside = %aside.display(), "segment of the spool without a readable header, set aside");
            metrics::counter!("citywatch_spool_damaged_segments_total").increment(1);
            fs::rename(&segment.path, &aside).map_err(SpoolError::io("rename", &segment.path))?;
        } else {
            segments.push_back(segment);
        }
    }
    Ok(segments)
}

impl SegmentReader {
    pub(super) fn open(path: &Path, first: u64) -> Result<Self, SpoolError> {
        let file = File::open(path).map_err(SpoolError::io("open", path))?;
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, 0)
            .map_err(SpoolError::io("read", path))?;
        if header != header_bytes(first) {
            let source = io::Error::new(io::ErrorKind::InvalidData, "not a segment of this spool");
            return Err(SpoolError::Io {
                what: "read",
                path: path.to_owned(),
                source,
            });
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            first,
            next: first,
            offset: HEADER_BYTES,
        })
    }

    /// The next entry; the place moves past it unless the end is reached.
    pub(super) fn step(&mut self) -> Result<Step, SpoolError> {
        let length = self
            .file
            .metadata()
            .map_err(SpoolError::io("inspect", &self.path))?
            .len();
        let Some((frame, checksum)) = self.read(self.offset, length)? else {
            return Ok(Step::End);
        };
        let after = self.offset + ENTRY_HEADER_BYTES + frame.len() as u64;
        let step = if entry_checksum(self.next, &frame) == checksum {
            Step::Entry(frame)
        } else {
            match self.read(after, length)? {
                Some((later, checksum)) if entry_checksum(self.next + 1, &later) == checksum => {
                    Step::Damaged
                }
                _ => return Ok(Step::End),
            }
        };
        self.offset = after;
        self.next += 1;
        Ok(step)
    }

    /// The bytes of an entry at `offset` of a file of `length` bytes, with the checksum it claims.
    fn read(&self, offset: u64, length: u64) -> Result<Option<(Vec<u8>, u32)>, SpoolError> {
        if offset + ENTRY_HEADER_BYTES > length {
            return Ok(None);
        }
        let mut header = [0; ENTRY_HEADER_BYTES as usize];
        self.file
            .read_exact_at(&mut header, offset)
            .map_err(SpoolError::io("read", &self.path))?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        // The file's own length bounds the buffer: a damaged length allocates no more than that.
        if u64::from(word(0)) > length - offset - ENTRY_HEADER_BYTES {
            return Ok(None);
        }
        let mut frame = vec![0; word(0) as usize];
        self.file
            .read_exact_at(&mut frame, offset + ENTRY_HEADER_BYTES)
            .map_err(SpoolError::io("read", &self.path))?;
        Ok(Some((frame, word(4))))
    }
}

impl ActiveSegment {
    pub(super) fn create(dir: &Path, first: u64) -> Result<Self, SpoolError> {
        let path = dir.join(format!("{first:020}.spool"));
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(SpoolError::io("create", &path))?;
        file.write_all_at(&header_bytes(first), 0)
            .map_err(SpoolError::io("write", &path))?;
        file.sync_all().map_err(SpoolError::io("sync", &path))?;
        // The name must outlive a power cut as the data does.
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(SpoolError::io("sync", dir))?;
        Ok(Self {
            file,
            path,
            first,
            next: first,
            bytes: HEADER_BYTES,
        })
    }

    /// Opens the last segment for more and cuts what is not whole at its end; returns how much.
    pub(super) fn reopen(path: &Path, first: u64) -> Result<(Self, u64), SpoolError> {
        let mut reader = SegmentReader::open(path, first)?;
        while reader.step()? != Step::End {}
        let file = OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(SpoolError::io("open", path))?;
        let length = file
            .metadata()
            .map_err(SpoolError::io("inspect", path))?
            .len();
        if length > reader.offset {
            file.set_len(reader.offset)
                .map_err(SpoolError::io("cut", path))?;
        }
        // Entries written before a crash of the process may not have reached the disk yet.
        file.sync_all().map_err(SpoolError::io("sync", path))?;
        let active = Self {
            file,
            path: path.to_owned(),
            first,
            next: reader.next,
            bytes: reader.offset,
        };
        Ok((active, length - reader.offset))
    }

    pub(super) fn info(&self) -> SegmentInfo {
        SegmentInfo {
            first: self.first,
            path: self.path.clone(),
            bytes: self.bytes,
        }
    }

    /// Sequence of the entry to be written next.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == self.first
    }

    /// Writes entries and syncs. On an error nothing was appended, and it can be tried again.
    pub(super) fn append(
        &mut self,
        frames: &[&[u8]],
        scratch: &mut Vec<u8>,
    ) -> Result<(), SpoolError> {
        scratch.clear();
        for (sequence, frame) in (self.next..).zip(frames) {
            let length = u32::try_from(frame.len()).expect("frames are bounded far below 4 GiB");
            scratch.extend_from_slice(&length.to_le_bytes());
            scratch.extend_from_slice(&entry_checksum(sequence, frame).to_le_bytes());
            scratch.extend_from_slice(frame);
        }
        let written = self
            .file
            .write_all_at(scratch, self.bytes)
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Best effort: a reopened spool cuts the same bytes.
            let _ = self.file.set_len(self.bytes);
            return Err(SpoolError::Io {
                what: "write",
                path: self.path.clone(),
                source,
            });
        }
        self.bytes += scratch.len() as u64;
        self.next += frames.len() as u64;
        Ok(())
    }
}

fn header_bytes(first: u64) -> [u8; HEADER_BYTES as usize] {
    let mut header = [0; HEADER_BYTES as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..].copy_from_slice(&first.to_le_bytes());
    header
}

fn entry_checksum(sequence: u64, frame: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&(frame.len() as u64).to_le_bytes());
    hasher.update(frame);
    hasher.finalize()
}
