//! One EVTX file: which records it has where, and those of one chunk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use citywatch_parsers::evtx::{
    EVTX_CHUNK_BYTES, EVTX_CHUNK_HEAD_BYTES, EVTX_HEADER_BYTES, EVTX_MAGIC, EvtxChecksums,
    EvtxChunkIds, EvtxChunkRecord, EvtxError, chunk_records,
};
use serde::{Deserialize, Serialize};

/// Larger files than Windows makes (it allows 4 GiB) are read this far.
const CHUNKS_MAX: u64 = 1 << 17;

/// A record, told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) id: u64,
    pub(super) written_at_us: i64,
}

/// A file as it was when it was opened.
pub(super) struct LogFile {
    file: File,
    /// By their first record: a log that is full goes on at its top.
    chunks: Vec<Chunk>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk {
    ids: EvtxChunkIds,
    offset: u64,
}

type Records = Vec<Result<EvtxChunkRecord, EvtxError>>;

impl LogFile {
    /// Opens a file and reads which records are where.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut magic = [0; 8];
        if bytes < magic.len() as u64 {
            return Err(no_evtx());
        }
        file.read_exact_at(&mut magic, 0)?;
        if magic != *EVTX_MAGIC {
            return Err(no_evtx());
        }
        let whole = bytes.saturating_sub(EVTX_HEADER_BYTES as u64) / EVTX_CHUNK_BYTES as u64;
        let mut chunks = Vec::new();
        for number in 0..whole.min(CHUNKS_MAX) {
            let offset = EVTX_HEADER_BYTES as u64 + number * EVTX_CHUNK_BYTES as u64;
            let mut head = [0; EVTX_CHUNK_HEAD_BYTES];
            file.read_exact_at(&mut head, offset)?;
            chunks.extend(EvtxChunkIds::of(&head).map(|ids| Chunk { ids, offset }));
        }
        chunks.sort_by_key(|chunk| chunk.ids.first);
        Ok(Self { file, chunks })
    }

    /// The first record that can be read.
    pub(super) fn first(&self) -> io::Result<Option<Mark>> {
        for chunk in &self.chunks {
            let records = self.records(*chunk, true)?.unwrap_or_default();
            if let Some(first) = records.iter().flatten().next() {
                return Ok(Some(mark(first)));
            }
        }
        Ok(None)
    }

    /// The last record that can be read.
    pub(super) fn last(&self) -> io::Result<Option<Mark>> {
        for chunk in self.chunks.iter().rev() {
            let records = self.records(*chunk, true)?.unwrap_or_default();
            if let Some(last) = records.iter().flatten().next_back() {
                return Ok(Some(mark(last)));
            }
        }
        Ok(None)
    }

    /// Whether it is the log of which `last` was read, as far as that can be told.
    pub(super) fn goes_on_after(&self, last: Option<Mark>) -> io::Result<bool> {
        let Some(last) = last else { return Ok(true) };
        let Some(newest) = self.chunks.last() else {
            // An empty one tells nothing yet.
            return Ok(true);
        };
        let holds = |chunk: &&Chunk| (chunk.ids.first..=chunk.ids.last).contains(&last.id);
        let chunk = self.chunks.iter().find(holds).unwrap_or(newest);
        let records = self.records(*chunk, true)?.unwrap_or_default();
        let found = records
            .iter()
            .flatten()
            .find(|found| found.record.id == last.id);
        match found {
            Some(found) => Ok(mark(found) == last),
            // It was written over, or the log ends before it: then it was cleared, or is another.
            None => Ok(newest.ids.last > last.id),
        }
    }

    /// The chunks with records after `last`, in the order of their records.
    pub(super) fn chunks_after(&self, last: Option<Mark>) -> Vec<Chunk> {
        let is_new = |chunk: &&Chunk| last.is_none_or(|last| chunk.ids.last > last.id);
        self.chunks.iter().filter(is_new).copied().collect()
    }

    /// A chunk's records. One whose checksums do not hold is being written, or damaged: it is read only of a
    /// file that `is_settled`; else none.
    pub(super) fn records(&self, chunk: Chunk, is_settled: bool) -> io::Result<Option<Records>> {
        let mut bytes = vec![0; EVTX_CHUNK_BYTES];
        self.file.read_exact_at(&mut bytes, chunk.offset)?;
        let checksums = if is_settled {
            EvtxChecksums::MayFail
        } else {
            EvtxChecksums::MustHold
        };
        match chunk_records(bytes, checksums) {
            Ok(records) => Ok(Some(records)),
            Err(_) if !is_settled => Ok(None),
            Err(error) => Ok(Some(vec![Err(error)])),
        }
    }
}

fn mark(found: &EvtxChunkRecord) -> Mark {
    Mark {
        id: found.record.id,
        written_at_us: found.written_at_us,
    }
}

fn no_evtx() -> io::Error {
    io::Error::other(
        "this is no EVTX file; read it with [[files]], or export it again with `wevtutil epl`",
    )
}
