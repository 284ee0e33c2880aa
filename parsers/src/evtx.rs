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
            .map_err(|error| EvtxError::NotEvtx(error.to_string()))?;
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
            Err(error) => Err(EvtxError::Record(error.to_string())),
        })
    }
}
