//! EVTX files: a binary format of many records, read through the crate `evtx`. Each record of the file becomes
//! one record of ours, whose raw bytes are its JSON (format `windows_json`).

use std::io::Cursor;
use std::sync::Arc;

use evtx::{EvtxChunkData, EvtxParser, ParserSettings};

/// A file begins with a header of so many bytes; chunks follow, one after the other.
pub const EVTX_HEADER_BYTES: usize = 4096;
/// So many bytes has a chunk: it is read without the others.
pub const EVTX_CHUNK_BYTES: usize = 64 << 10;
/// So many bytes of a chunk tell which records it has.
pub const EVTX_CHUNK_HEAD_BYTES: usize = 40;
/// The first bytes of a file.
pub const EVTX_MAGIC: &[u8; 8] = b"ElfFile\0";
const CHUNK_MAGIC: &[u8; 8] = b"ElfChnk\0";

/// One record of an EVTX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvtxRecord {
    /// Its number in the file (EventRecordID): grows within a file, and serves as position.
    pub id: u64,
    /// The event as JSON: `{"Event":{"System":{...},"EventData":{...}}}`.
    pub json: Vec<u8>,
}

/// Which records a chunk has, by their EventRecordID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvtxChunkIds {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// Whether a chunk's checksums must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvtxChecksums {
    /// They are those of its bytes; else it is being written, or damaged.
    MustHold,
    /// What can be read is read.
    MayFail,
}

impl EvtxChunkIds {
    /// Of a chunk's first [`EVTX_CHUNK_HEAD_BYTES`]; none where no chunk has been written.
    pub fn of(head: &[u8]) -> Option<Self> {
        let number = |at: usize| {
            let bytes = head.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_le_bytes(bytes))
        };
        let ids = Self {
            first: number(24)?,
            last: number(32)?,
        };
        (head.starts_with(CHUNK_MAGIC) && ids.first <= ids.last && ids.last != u64::MAX)
            .then_some(ids)
    }
}

/// A record of a chunk, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvtxChunkRecord {
    /// The record.
    pub record: EvtxRecord,
    /// In microseconds since 1970: with the id it tells a record from one of another file under the same name.
    pub written_at_us: i64,
}

/// All records of one chunk in order; a broken one is an error in its place.
///
/// # Errors
/// [`EvtxError::Chunk`] when nothing of it can be read, or its checksums do not hold and must.
pub fn chunk_records(
    chunk: Vec<u8>,
    checksums: EvtxChecksums,
) -> Result<Vec<Result<EvtxChunkRecord, EvtxError>>, EvtxError> {
    let failed = |error: &dyn std::error::Error| EvtxError::Chunk(reasons(error));
    let must_hold = checksums == EvtxChecksums::MustHold;
    let mut data = EvtxChunkData::new(chunk, must_hold).map_err(|error| failed(&error))?;
    let settings = Arc::new(ParserSettings::new().num_threads(1).indent(false));
    let mut chunk = data.parse(settings).map_err(|error| failed(&error))?;
    let read = |record: Result<evtx::EvtxRecord<'_>, _>| {
        let record = record.and_then(evtx::EvtxRecord::into_json_bytes);
        let record = record.map_err(|error| EvtxError::Record(reasons(&error)))?;
        Ok(EvtxChunkRecord {
            written_at_us: record.timestamp.as_microsecond(),
            record: EvtxRecord {
                id: record.event_record_id,
                json: record.data,
            },
        })
    };
    Ok(chunk.iter().map(read).collect())
}

/// What can be wrong with an EVTX file.
#[derive(Debug, thiserror::Error)]
pub enum EvtxError {
    /// The file is none, or its header is broken.
    #[error("this is no EVTX file: {0}; export it again with `wevtutil epl`")]
    NotEvtx(String),
    /// A chunk cannot be read; the others can.
    #[error("a chunk of 64 KiB cannot be read: {0}")]
    Chunk(String),
    /// A record or chunk cannot be read; the others can.
    #[error("a record cannot be read and is left out: {0}")]
    Record(String),
}

/// An EVTX file in memory.
pub struct EvtxFile {
    parser: EvtxParser<Cursor<Vec<u8>>>,
}

impl EvtxFile {
    /// Opens the content of a file.
    ///
    /// # Errors
    /// [`EvtxError::NotEvtx`] when the header is not that of an EVTX file.
    pub fn open(content: Vec<u8>) -> Result<Self, EvtxError> {
        let settings = ParserSettings::new().num_threads(1).indent(false);
        let parser = EvtxParser::from_buffer(content)
            .map_err(|error| EvtxError::NotEvtx(reasons(&error)))?;
        Ok(Self {
            parser: parser.with_configuration(settings),
        })
    }

    /// All records in order; a broken one is an error in its place.
    pub fn records(&mut self) -> impl Iterator<Item = Result<EvtxRecord, EvtxError>> + '_ {
        self.parser.records_json_bytes().map(|record| match record {
            Ok(record) => Ok(EvtxRecord {
                id: record.event_record_id,
                json: record.data,
            }),
            Err(error) => Err(EvtxError::Record(reasons(&error))),
        })
    }
}

/// What the crate says, down to the reason, in one line: its errors tell only that something failed and hold why.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut told: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let text = text.trim().trim_end_matches('.');
        if !text.is_empty() && told.last().is_none_or(|last| last != text) {
            told.push(text.to_owned());
        }
        next = error.source();
    }
    // What comes first speaks of the crate's steps.
    if told.len() > 1 && told[0].starts_with("An error occurred") {
        told.remove(0);
    }
    told.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_file_is_told_in_one_sentence() {
        for content in [&b"ElfFile\0"[..], b"", b"no such thing, though long enough"] {
            let Err(error) = EvtxFile::open(content.to_vec()) else {
                panic!("{content:?} is no EVTX file");
            };
            let told = error.to_string();
            assert!(told.starts_with("this is no EVTX file: "), "{told}");
            assert!(
                !told.contains(".;") && !told.contains("An error occurred"),
                "{told}"
            );
        }
    }
}
