//! From a batch to its events: picks the grammar, falls back when it does not fit, keeps the bounds.

use bumpalo::Bump;

use crate::classify;
use crate::context::ParseContext;
use crate::decode::{decode, encoding, format_and_charset};
use crate::definitions::Definitions;
use crate::detect::{self, Known};
use crate::draft::Draft;
use crate::event::{Event, ProblemKind, Value};
use crate::formats::read_by_header;
use crate::headers::Headers;
use crate::json;
use crate::layouts::Layouts;
use crate::record::{Record, RecordBatch, Truncated};

/// Buffers that are reused from record to record.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) json: json::Buffers,
    pub(crate) layouts: Layouts,
    pub(crate) headers: Headers,
    /// Fields that the next event will have, to judge by the last one.
    pub(crate) fields_expected: usize,
}

/// Reads batches and keeps its buffers between them: one per thread.
pub struct Parser {
    context: ParseContext,
    scratch: Scratch,
}

impl Parser {
    /// A parser with these settings.
    pub fn new(context: ParseContext) -> Self {
        Self {
            context,
            scratch: Scratch::default(),
        }
    }

    /// Reads with these definitions from the next record on.
    pub fn set_definitions(&mut self, definitions: Definitions) {
        self.context.definitions = definitions;
    }

    /// The events of all records of `batch`, in order, appended to `events`.
    pub fn parse_batch<'a>(
        &mut self,
        batch: &'a RecordBatch,
        arena: &'a Bump,
        events: &mut Vec<Event<'a>>,
    ) {
        events.reserve(batch.len());
        for record in batch.iter() {
            self.parse_record(record, arena, events);
        }
    }

    /// The events of one record (at least one), appended to `events`.
    pub fn parse_record<'a>(
        &mut self,
        record: Record<'a>,
        arena: &'a Bump,
        events: &mut Vec<Event<'a>>,
    ) {
        let (name, charset) = format_and_charset(&record.origin.format);
        let named = named_format(name, &self.context);
        let mut draft = Draft::new(record, arena, &self.context, &mut self.scratch, events);
        let text = text_of(&mut draft, charset);
        if let Named::Unknown(name) = named {
            draft.note(
                ProblemKind::FormatMismatch,
                format!("there is no format `{name}`; detected instead"),
            );
        }
        let known = match named {
            Named::Format(format) => Some(format),
            Named::Auto | Named::Unknown(_) => None,
        };
        if !known.is_some_and(|format| read_as(&mut draft, format, text)) {
            read_detected(&mut draft, known, text);
        }
        classify::complete(&mut draft);
        draft.finish();
    }
}

/// The events of all records of `batch`, in order; at least one per record.
pub fn parse_batch<'a>(
    batch: &'a RecordBatch,
    arena: &'a Bump,
    context: &ParseContext,
) -> Vec<Event<'a>> {
    let mut events = Vec::with_capacity(batch.len());
    Parser::new(context.clone()).parse_batch(batch, arena, &mut events);
    events
}

/// The events of one record: one, but for formats that wrap many in one.
pub fn parse_record<'a>(
    record: Record<'a>,
    arena: &'a Bump,
    context: &ParseContext,
) -> Vec<Event<'a>> {
    let mut events = Vec::with_capacity(1);
    Parser::new(context.clone()).parse_record(record, arena, &mut events);
    events
}

enum Named<'a> {
    Auto,
    Format(Known<'a>),
    Unknown(&'a str),
}

fn named_format<'n>(name: &'n str, context: &'n ParseContext) -> Named<'n> {
    match name {
        "" | "auto" => Named::Auto,
        name => {
            Known::by_name(name, &context.definitions).map_or(Named::Unknown(name), Named::Format)
        }
    }
}

/// The record's text within the bounds, with notes about what is not as it should be.
fn text_of<'a>(draft: &mut Draft<'a, '_>, charset: Option<&str>) -> &'a str {
    let record = draft.event.record;
    let mut raw = record.raw;
    if record.truncated == Truncated::Yes {
        draft.note(
            ProblemKind::TooLarge,
            "the agent cut the record at its bound",
        );
    }
    if raw.len() > draft.context.record_bytes_max {
        draft.note(
            ProblemKind::TooLarge,
            format!(
                "{} bytes; {} are read",
                raw.len(),
                draft.context.record_bytes_max
            ),
        );
        raw = &raw[..char_boundary(raw, draft.context.record_bytes_max)];
    }
    let named = charset.and_then(encoding);
    if let (Some(name), None) = (charset, named) {
        draft.note(
            ProblemKind::BadEncoding,
            format!("there is no encoding `{name}`; read as UTF-8"),
        );
    }
    let decoded = decode(raw, named, draft.arena);
    draft.event.problems.extend(decoded.problem);
    // Devices end their datagrams with a NUL, a line end, or both.
    decoded.text.trim_end_matches(['\0', '\n', '\r'])
}

/// The last place at or before `at` that does not cut a UTF-8 character.
fn char_boundary(raw: &[u8], at: usize) -> usize {
    (at.saturating_sub(3)..=at)
        .rev()
        .find(|&place| raw[place] & 0xC0 != 0x80)
        .unwrap_or(at)
}

fn read_as<'a>(draft: &mut Draft<'a, '_>, format: Known<'_>, text: &'a str) -> bool {
    draft.event.format = format.name();
    let fits = format.read(draft, text).is_ok();
    if !fits {
        draft.reset();
    }
    fits
}

fn read_detected<'a>(draft: &mut Draft<'a, '_>, tried: Option<Known<'_>>, text: &'a str) {
    if tried.is_none() && read_by_header(draft, text) {
        return;
    }
    let raw = draft.event.record.raw;
    let detected = detect::detect_record(raw, text, &draft.context.definitions).format;
    let again = tried.is_some_and(|format| format.name() == detected.name());
    let fits = !again && read_as(draft, detected, text);
    match (tried, fits) {
        (None, true) => {}
        (Some(named), true) => draft.note(
            ProblemKind::FormatMismatch,
            format!(
                "not {}, as it is said to be; read as {}",
                named.name(),
                detected.name()
            ),
        ),
        (_, false) => {
            let name = tried.unwrap_or(detected).name();
            draft.note(ProblemKind::Unparsed, format!("not {name}; kept as text"));
            draft.push("message", Value::Str(text));
        }
    }
}
