//! A Record is the raw bytes of one log entry plus where it came from.
//!
//! Records travel in batches: one buffer of bytes, one [`Origin`] for all of them, and a small span
//! per record. A batch always belongs to one stream, so its positions grow from first to last.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::LogSource;
use crate::formats::is_protobuf;
use crate::time::Timestamp;

macro_rules! string_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_id! {
    /// An office of the city: the immutable id, never the name.
    UnitId
}
string_id! {
    /// The agent that read a record.
    AgentId
}
string_id! {
    /// One ordered sequence of records of an agent: a file, a socket, a journal.
    StreamId
}

/// Where the records of a batch came from: the same for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The office. Set by who can vouch for it (certificate, topic settings, local configuration).
    pub unit: UnitId,
    /// The agent that read the records.
    pub agent: AgentId,
    /// The agent's stream: with `agent` and a position it identifies a record.
    pub stream: StreamId,
    /// The host the records were read on, if known; a host named inside a record wins.
    pub host: Option<Arc<str>>,
    /// The format's name as in the parsers' table (`syslog`, `auditd`, `json`, ...), or `auto`.
    pub format: Arc<str>,
    /// What the configuration says about the log source; empty parts are left to classification.
    pub log_source: LogSource<'static>,
}

/// A record's place in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpan {
    /// First byte in the batch's buffer.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
    /// Byte offset or sequence in the stream: grows strictly within a stream.
    pub position: u64,
    /// When the agent (or the engine, for others' agents) got it.
    pub received_at: Timestamp,
    /// Whether the agent cut the record at its size bound.
    pub truncated: Truncated,
}

/// Whether a record is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Truncated {
    /// All bytes are there.
    #[default]
    No,
    /// It was longer than the bound and its tail is missing.
    Yes,
}

/// Records of one stream, in the order of their positions, in one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordBatch {
    /// Where they came from.
    pub origin: Arc<Origin>,
    buffer: Vec<u8>,
    spans: Vec<RecordSpan>,
}

impl RecordBatch {
    /// An empty batch.
    pub fn new(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            buffer: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Appends a record.
    ///
    /// # Panics
    /// When the batch would exceed 4 GiB, which every caller's batch bound rules out.
    pub fn push(
        &mut self,
        raw: &[u8],
        position: u64,
        received_at: Timestamp,
        truncated: Truncated,
    ) {
        let start = u32::try_from(self.buffer.len()).expect("batches are bounded far below 4 GiB");
        self.buffer.extend_from_slice(raw);
        let end = u32::try_from(self.buffer.len()).expect("batches are bounded far below 4 GiB");
        self.spans.push(RecordSpan {
            start,
            end,
            position,
            received_at,
            truncated,
        });
    }

    /// A batch over a buffer that already holds its records, as a transport decoded it.
    ///
    /// # Errors
    /// When a span lies outside the buffer, or positions do not grow strictly.
    pub fn from_parts(
        origin: Arc<Origin>,
        buffer: Vec<u8>,
        spans: Vec<RecordSpan>,
    ) -> Result<Self, BrokenBatch> {
        let mut last_position = None;
        for (index, span) in spans.iter().enumerate() {
            if span.start > span.end || span.end as usize > buffer.len() {
                return Err(BrokenBatch::Span { index });
            }
            if last_position.is_some_and(|last| span.position <= last) {
                return Err(BrokenBatch::Position { index });
            }
            last_position = Some(span.position);
        }
        Ok(Self {
            origin,
            buffer,
            spans,
        })
    }

    /// The bytes of all records, as the spans address them.
    pub fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// Where each record lies in the buffer, in order.
    pub fn spans(&self) -> &[RecordSpan] {
        &self.spans
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is no record in it.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Sum of the records' lengths in bytes.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Position of the last record.
    pub fn last_position(&self) -> Option<u64> {
        self.spans.last().map(|span| span.position)
    }

    /// The record at `index`.
    pub fn get(&self, index: usize) -> Option<Record<'_>> {
        self.spans.get(index).map(|span| self.record(span))
    }

    /// All records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.spans.iter().map(|span| self.record(span))
    }

    #[inline(always)]
    fn record(&self, span: &RecordSpan) -> Record<'_> {
        Record {
            origin: &self.origin,
            raw: &self.buffer[span.start as usize..span.end as usize],
            position: span.position,
            received_at: span.received_at,
            truncated: span.truncated,
        }
    }
}

/// Why parts do not make a batch; the index is the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenBatch {
    /// A record lies outside the buffer.
    Span {
        /// Which record.
        index: usize,
    },
    /// A position does not lie above the one before it.
    Position {
        /// Which record.
        index: usize,
    },
}

/// One log entry as it was written, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Where it came from.
    pub origin: &'a Origin,
    /// Its bytes, without the line end.
    pub raw: &'a [u8],
    /// Byte offset or sequence in its stream.
    pub position: u64,
    /// When it was received.
    pub received_at: Timestamp,
    /// Whether it is whole.
    pub truncated: Truncated,
}

impl Record<'_> {
    /// Whether it is a document (JSON, XML, an export in protobuf): what it says is in its values; the raw text adds
    /// only names, punctuation and escapes, and what other events of the record say.
    pub fn is_document(&self) -> bool {
        // Most texts are told by their first character.
        if self.raw.first().is_some_and(u8::is_ascii_alphanumeric) {
            return false;
        }
        if is_protobuf(self.raw) {
            return true;
        }
        match self.raw.trim_ascii_start() {
            [b'{', ..] => true,
            [b'[', rest @ ..] => rest.trim_ascii_start().starts_with(b"{"),
            [b'<', second, ..] => second.is_ascii_alphabetic() || *second == b'?',
            _ => false,
        }
    }
}

/// What identifies a record for ever; the id of each of its events is derived from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordId {
    /// The agent.
    pub agent: AgentId,
    /// Its stream.
    pub stream: StreamId,
    /// Position in the stream.
    pub position: u64,
}
