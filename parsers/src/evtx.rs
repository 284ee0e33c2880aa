//! EVTX files: a binary format of many records, read through the crate `evtx`. Each record of the file becomes
//! one record of ours, whose raw bytes are its JSON (format `windows_json`).

use std::io::Cursor;

use evtx::{EvtxParser, ParserSettings};

/// One record of an EVTX file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvtxRecord {
    /// Its number in the file (EventRecordID): grows within a file, and serves as position.
    pub id: u64,
    /// The event as JSON: `{"Event":{"System":{...},"EventData":{...}}}`.
    pub json: Vec<u8>,
}

/// What can be wrong with an EVTX file.
#[derive(Debug, thiserror::Error)]
pub enum EvtxError {
    /// The file is none, or its header is broken.
    #[error("this is no EVTX file: {0}; export it again with `wevtutil epl`")]
    NotEvtx(String),
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
