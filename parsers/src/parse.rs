//! From a batch to its events: picks the grammar, falls back when it does not fit, keeps the bounds.

use bumpalo::Bump;
use jiff::tz::TimeZone;

use crate::classify;
use crate::context::ParseContext;
use crate::decode::{Charset, decode, encoding};
use crate::definitions::Definitions;
use crate::detect::{self, Known};
use crate::draft::Draft;
use crate::event::{Event, ProblemKind, Value};
use crate::format_name::FormatName;
use crate::formats::read_by_header;
use crate::headers::Headers;
use crate::json;
use crate::layouts::Layouts;
use crate::messages::{Programs, Tables};
use crate::record::{Origin, Record, RecordBatch, RecordSpan, Truncated};
use crate::time::Timestamp;
use crate::when;

/// Bytes of records that are checked together: they are still near when they are read.
const CHECKED_BYTES_MAX: u32 = 16_384;

/// Buffers that are reused from record to record.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) json: json::Buffers,
    pub(crate) layouts: Layouts,
    pub(crate) headers: Headers,
    pub(crate) tables: Tables,
    pub(crate) programs: Programs,
    pub(crate) dates: when::Dates,
    /// Fields that the next event will have, to judge by the last one.
    pub(crate) fields_expected: usize,
}

/// Reads batches and keeps its buffers between them: one per thread.
pub struct Parser {
    context: ParseContext,
    scratch: Scratch,
    zone: Zone,
}

/// The zone of times that name none: that of the context, unless a source's format names another.
struct Zone {
    of_context: TimeZone,
    /// The name that is in force instead.
    named: Option<Box<str>>,
}

impl Parser {
    /// A parser with these settings.
    pub fn new(context: ParseContext) -> Self {
        let zone = Zone {
            of_context: context.default_zone.clone(),
            named: None,
        };
        Self {
            context,
            scratch: Scratch::default(),
            zone,
        }
    }

    /// Reads with these definitions from the next record on.
    pub fn set_definitions(&mut self, definitions: Definitions) {
        self.context.definitions = definitions;
    }

    /// Takes times without a zone as the source's format says from now on.
    #[inline]
    fn follow_zone(&mut self, format: &str) {
        if self.zone.named.is_some() || format.as_bytes().contains(&b';') {
            self.change_zone(FormatName::of(format).zone);
        }
    }

    fn change_zone(&mut self, named: Option<&str>) {
        if self.zone.named.as_deref() == named {
            return;
        }
        self.zone.named = named.map(Box::from);
        let known = named.and_then(|name| TimeZone::get(name).ok());
        self.context.default_zone = known.unwrap_or_else(|| self.zone.of_context.clone());
        // What was worked out for a date holds for its zone only.
        self.scratch.dates = when::Dates::default();
    }

    /// The events of all records of `batch`, in order, appended to `events`.
    pub fn parse_batch<'a>(
        &mut self,
        batch: &'a RecordBatch,
        arena: &'a Bump,
        events: &mut Vec<Event<'a>>,
    ) {
        events.reserve(batch.len());
        self.follow_zone(&batch.origin.format);
        let Self {
            context, scratch, ..
        } = self;
        let named = Named::of(&batch.origin.format, context);
        tell_header(&batch.origin, named, context, scratch);
        let mut checked = Checked::default();
        for (index, (record, span)) in batch.iter().zip(batch.spans()).enumerate() {
            if index == checked.until {
                checked = Checked::from(batch, index);
            }
            let text = checked.text_of(span);
            if let Some(place) = begin_event(record, arena, events) {
                read_begun(place, text, named, context, scratch, arena, events);
            }
        }
    }

    /// The events of one record (at least one), appended to `events`.
    pub fn parse_record<'a>(
        &mut self,
        record: Record<'a>,
        arena: &'a Bump,
        events: &mut Vec<Event<'a>>,
    ) {
        self.follow_zone(&record.origin.format);
        let Self {
            context, scratch, ..
        } = self;
        let named = Named::of(&record.origin.format, context);
        tell_header(record.origin, named, context, scratch);
        read_record(record, None, named, context, scratch, arena, events);
    }
}

/// Who begins to read in the middle of a file is told what its top says. What the records themselves say counts more.
fn tell_header(origin: &Origin, named: Named<'_>, context: &ParseContext, scratch: &mut Scratch) {
    let Some(header) = named.header else { return };
    if scratch.headers.of(origin).is_some() {
        return;
    }
    let (arena, mut events) = (Bump::new(), Vec::new());
    for line in header.lines() {
        let record = Record {
            origin,
            raw: line.as_bytes(),
            position: 0,
            received_at: Timestamp(0),
            truncated: Truncated::No,
        };
        read_record(
            record,
            Some(line),
            named,
            context,
            scratch,
            &arena,
            &mut events,
        );
    }
}

/// Records whose bytes were found to be UTF-8 together, which costs less than to ask one by one, and brings them near for
/// reading.
#[derive(Clone, Copy, Default)]
struct Checked<'a> {
    /// All of them, if they are.
    text: Option<&'a str>,
    /// Where the text begins in the batch's buffer.
    start: usize,
    /// The first record behind them.
    until: usize,
}

impl<'a> Checked<'a> {
    /// The record at `first` and those that follow it in the buffer, a few at a time.
    fn from(batch: &'a RecordBatch, first: usize) -> Self {
        let spans = batch.spans();
        let Some(span) = spans.get(first) else {
            return Self::default();
        };
        let (start, mut end) = (span.start, span.end);
        let mut until = first + 1;
        while let Some(span) = spans.get(until)
            && span.start >= end
            && span.end - start <= CHECKED_BYTES_MAX
        {
            end = span.end;
            until += 1;
        }
        let bytes = &batch.buffer()[start as usize..end as usize];
        Self {
            text: simdutf8::basic::from_utf8(bytes).ok(),
            start: start as usize,
            until,
        }
    }

    /// The text of one of them, if it is known to be one.
    fn text_of(&self, span: &RecordSpan) -> Option<&'a str> {
        self.text?
            .get(span.start as usize - self.start..span.end as usize - self.start)
    }
}

fn read_record<'a>(
    record: Record<'a>,
    utf8: Option<&'a str>,
    named: Named<'_>,
    context: &ParseContext,
    scratch: &mut Scratch,
    arena: &'a Bump,
    events: &mut Vec<Event<'a>>,
) {
    if let Some(place) = begin_event(record, arena, events) {
        read_begun(place, utf8, named, context, scratch, arena, events);
    }
}

/// Adds the event of a record, of which nothing was read yet, and gives its place. Events are large: each is made where it
/// stays; and where the parts of its record are at hand: put together elsewhere they would be copied in larger pieces than they
/// were just written in, for which a processor waits.
#[inline(always)]
fn begin_event<'a>(
    record: Record<'a>,
    arena: &'a Bump,
    events: &mut Vec<Event<'a>>,
) -> Option<usize> {
    let place = events.len();
    events.reserve(1);
    let room = events.spare_capacity_mut().first_mut()?;
    Event::begin_in(room, record, "text", arena);
    // SAFETY: the place behind the last event is one by now.
    unsafe { events.set_len(place + 1) };
    Some(place)
}

/// Reads the record of the event at `place`, the last one.
#[inline(never)]
fn read_begun<'a>(
    place: usize,
    utf8: Option<&'a str>,
    named: Named<'_>,
    context: &ParseContext,
    scratch: &mut Scratch,
    arena: &'a Bump,
    events: &mut Vec<Event<'a>>,
) {
    // Events of a record that come before its last one are kept apart.
    let mut before = Vec::new();
    let Some(event) = events.get_mut(place) else {
        return;
    };
    let mut draft = Draft::new(event, arena, context, scratch, &mut before);
    let text = match plain_text(&draft, utf8, named) {
        Some(text) => text,
        None => text_of(&mut draft, utf8, named),
    };
    if let NamedFormat::Unknown(name) = named.format {
        draft.note(
            ProblemKind::FormatMismatch,
            format!("there is no format `{name}`; detected instead"),
        );
    }
    let known = match named.format {
        NamedFormat::Known(format) => Some(format),
        NamedFormat::Auto | NamedFormat::Unknown(_) => None,
    };
    if !known.is_some_and(|format| read_as(&mut draft, format, text)) {
        read_detected(&mut draft, known, text);
    }
    classify::complete(&mut draft);
    draft.finish();
    if !before.is_empty() {
        events.splice(place..place, before);
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

/// What the origin says about how its records are written.
#[derive(Clone, Copy)]
struct Named<'a> {
    format: NamedFormat<'a>,
    charset: Option<&'a str>,
    /// What `charset` names, if there is such an encoding.
    encoding: Option<Charset>,
    /// What the top of the file says about its columns.
    header: Option<&'a str>,
    /// A zone that there is not.
    unknown_zone: Option<&'a str>,
    /// A parameter that there is not.
    unknown: Option<&'a str>,
    /// Whether nothing but the format is named.
    is_bare: bool,
}

#[derive(Clone, Copy)]
enum NamedFormat<'a> {
    Auto,
    Known(Known<'a>),
    Unknown(&'a str),
}

impl<'n> Named<'n> {
    fn of(named: &'n str, context: &'n ParseContext) -> Self {
        let FormatName {
            name,
            charset,
            header,
            zone,
            unknown,
        } = FormatName::of(named);
        let format = match name {
            "" | "auto" => NamedFormat::Auto,
            name => Known::by_name(name, &context.definitions)
                .map_or(NamedFormat::Unknown(name), NamedFormat::Known),
        };
        Self {
            format,
            charset,
            encoding: charset.and_then(encoding),
            header,
            unknown_zone: zone.filter(|name| TimeZone::get(name).is_err()),
            unknown,
            is_bare: charset.is_none() && zone.is_none() && unknown.is_none(),
        }
    }
}

/// The text of a record of which there is nothing to be said, as of most: what [`text_of`] gives for it.
#[inline]
fn plain_text<'a>(
    draft: &Draft<'a, '_>,
    utf8: Option<&'a str>,
    named: Named<'_>,
) -> Option<&'a str> {
    let text = utf8?;
    let record = &draft.event.record;
    let is_plain = named.is_bare
        && record.truncated == Truncated::No
        && record.raw.len() == text.len()
        && text.len() <= draft.context.record_bytes_max
        && crate::decode::is_plain(text)
        && !matches!(text.as_bytes(), [.., b'\0' | b'\n' | b'\r']);
    is_plain.then_some(text)
}

/// The record's text within the bounds, with notes about what is not as it should be. `utf8` is the whole record, if it is
/// known to be UTF-8.
fn text_of<'a>(draft: &mut Draft<'a, '_>, utf8: Option<&'a str>, named: Named<'_>) -> &'a str {
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
    if let (Some(name), None) = (named.charset, named.encoding) {
        draft.note(
            ProblemKind::BadEncoding,
            format!("there is no encoding `{name}`; read as UTF-8"),
        );
    }
    if let Some(unknown) = named.unknown {
        draft.note(
            ProblemKind::FormatMismatch,
            format!("a format has no parameter `{unknown}`; charset, zone and header are known"),
        );
    }
    if let Some(zone) = named.unknown_zone {
        draft.note(
            ProblemKind::FormatMismatch,
            format!("there is no time zone `{zone}`; the engine's is taken"),
        );
    }
    let utf8 = utf8.filter(|text| text.len() == raw.len());
    let decoded = decode(raw, utf8, named.encoding, draft.arena);
    if let Some(problem) = decoded.problem {
        draft.event.problems.push(problem);
    }
    // Devices end their datagrams with a NUL, a line end, or both.
    match decoded.text.as_bytes().last() {
        Some(b'\0' | b'\n' | b'\r') => decoded.text.trim_end_matches(['\0', '\n', '\r']),
        _ => decoded.text,
    }
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
