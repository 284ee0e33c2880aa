//! Rows as the tables hold them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use citywatch_parsers::{Event, Timestamp, Value, pivots};
use clickhouse::Row;
use serde::{Deserialize, Serialize, Serializer};

use super::field_texts::FieldTexts;
use super::fold::fold_into;
use crate::matches::{EventId, Match, json_of};

/// Class of events that no rule gives another.
pub(super) const STANDARD_RETENTION: &str = "standard";

/// Micro-seconds that an event may lie outside of what `DateTime64` holds before it is clamped:
/// years 1900 to 2299.
const EVENT_TIME_RANGE_US: (i64, i64) = (-2_208_988_800_000_000, 10_413_791_999_999_999);

/// Latest receipt that is stored as it is: the start of 2070.
const RECEIVED_AT_MAX_US: i64 = 3_155_760_000_000_000;

/// One event as table `events` holds it.
#[derive(Clone, Debug, PartialEq, Row, Serialize)]
pub struct EventRow {
    /// See [`EventId`].
    pub event_id: u128,
    /// Microseconds.
    pub event_time: i64,
    /// Microseconds.
    pub received_at: i64,
    /// How long it is kept, by name.
    pub retention_class: Cow<'static, str>,
    /// The office's id.
    pub unit: Arc<str>,
    /// The host it speaks of.
    pub host: String,
    /// The agent that read it.
    pub agent: Arc<str>,
    /// The agent's stream.
    pub stream: Arc<str>,
    /// Position in the stream.
    pub position: u64,
    /// Place among the events of its record.
    pub sub_index: u32,
    /// Format that read it.
    pub format: &'static str,
    /// Product of the most specific log source.
    pub product: String,
    /// Its category.
    pub category: String,
    /// Its service.
    pub service: String,
    /// The other log sources, as `product/category/service`.
    pub other_log_sources: Vec<String>,
    /// The acting user.
    pub user: String,
    /// IPv4 mapped; `::` when it has none.
    pub source_address: Ipv6Addr,
    /// 0 when it has none.
    pub source_port: u16,
    /// IPv4 mapped; `::` when it has none.
    pub destination_address: Ipv6Addr,
    /// 0 when it has none.
    pub destination_port: u16,
    /// The process.
    pub process: String,
    /// Its parent.
    pub parent_process: String,
    /// Its command line.
    pub command_line: String,
    /// Hash of a file.
    pub hash: String,
    /// Address of a page.
    pub url: String,
    /// What was done.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// The source's own number or name of this kind of event.
    pub event_code: String,
    /// All fields in order, values as text; a list is a JSON array.
    pub fields: FieldTexts,
    /// One letter per field, see [`kind_letter`].
    pub field_kinds: String,
    /// What search looks at: decoded, lower-cased, without diacritics.
    pub text: String,
    /// The record as it was written; may be any bytes. A long record of several events is kept by the row of its
    /// first, whose `sub_index` is 0.
    #[serde(serialize_with = "serialize_raw")]
    pub raw: Vec<u8>,
    /// What was wrong with the record: `kind: detail`.
    pub problems: Vec<String>,
}

impl EventRow {
    /// The row of `event`, whose id is `id`.
    pub fn from_event(event: &Event<'_>, id: EventId) -> Self {
        let origin = event.record.origin;
        let pivots = pivots(event);
        let mut log_sources = event.log_sources.iter();
        let first = log_sources.next();
        let part = |part: Option<&Cow<'_, str>>| part.map_or_else(String::new, ToString::to_string);
        let mut field_kinds = String::with_capacity(event.fields.len());
        field_kinds.extend(event.fields.iter().map(|field| kind_letter(field.value)));
        Self {
            event_id: id.0,
            event_time: clamp_event_time(event.event_time),
            received_at: clamp_received_at(event.record.received_at),
            retention_class: Cow::Borrowed(STANDARD_RETENTION),
            unit: origin.unit.0.clone(),
            host: event.host.into(),
            agent: origin.agent.0.clone(),
            stream: origin.stream.0.clone(),
            position: event.record.position,
            sub_index: event.sub_index,
            format: event.format,
            product: part(first.map(|source| &source.product)),
            category: part(first.map(|source| &source.category)),
            service: part(first.map(|source| &source.service)),
            other_log_sources: log_sources
                .map(|source| format!("{}/{}/{}", source.product, source.category, source.service))
                .collect(),
            user: pivots.user.unwrap_or_default().into(),
            source_address: stored_address(pivots.source_address),
            source_port: pivots.source_port.unwrap_or(0),
            destination_address: stored_address(pivots.destination_address),
            destination_port: pivots.destination_port.unwrap_or(0),
            process: pivots.process.unwrap_or_default().into(),
            parent_process: pivots.parent_process.unwrap_or_default().into(),
            command_line: pivots.command_line.unwrap_or_default().into(),
            hash: pivots.hash.unwrap_or_default().into(),
            url: pivots.url.unwrap_or_default().into(),
            action: pivots.action.unwrap_or_default().into(),
            outcome: pivots.outcome.unwrap_or_default().into(),
            event_code: pivots
                .event_code
                .map_or_else(String::new, |code| code.to_string()),
            fields: field_texts(event),
            field_kinds,
            text: search_text(event),
            raw: kept_raw(event).to_vec(),
            problems: event
                .problems
                .iter()
                .map(|problem| format!("{}: {}", problem.kind.name(), problem.detail))
                .collect(),
        }
    }

    /// A row that says nothing.
    pub(crate) fn empty() -> Self {
        Self {
            event_id: 0,
            event_time: 0,
            received_at: 0,
            retention_class: Cow::Borrowed(STANDARD_RETENTION),
            unit: Arc::default(),
            host: String::new(),
            agent: Arc::default(),
            stream: Arc::default(),
            position: 0,
            sub_index: 0,
            format: "",
            product: String::new(),
            category: String::new(),
            service: String::new(),
            other_log_sources: Vec::new(),
            user: String::new(),
            source_address: Ipv6Addr::UNSPECIFIED,
            source_port: 0,
            destination_address: Ipv6Addr::UNSPECIFIED,
            destination_port: 0,
            process: String::new(),
            parent_process: String::new(),
            command_line: String::new(),
            hash: String::new(),
            url: String::new(),
            action: String::new(),
            outcome: String::new(),
            event_code: String::new(),
            fields: FieldTexts::default(),
            field_kinds: String::new(),
            text: String::new(),
            raw: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// The partition that the row belongs to: day of `received_at` (UTC, days since 1970) and
    /// retention class. One insert holds rows of one partition only.
    pub fn partition(&self) -> (i64, &str) {
        (
            self.received_at.div_euclid(86_400_000_000),
            &self.retention_class,
        )
    }
}

/// Bytes of a record of several events up to which the row of each keeps it: thousands of copies of an export of a
/// megabyte would not fit into memory.
const SHARED_RAW_BYTES_MAX: usize = 16 << 10;

/// Bytes that a text's length takes, and a number as text, mostly.
const LENGTH_BYTES: usize = 2;
const NUMBER_BYTES: usize = 6;

/// What the event's row keeps of its record.
fn kept_raw<'a>(event: &Event<'a>) -> &'a [u8] {
    let raw = event.record.raw;
    if event.sub_index > 0 && raw.len() > SHARED_RAW_BYTES_MAX {
        &[]
    } else {
        raw
    }
}

/// IPv4 is stored mapped, so that one column holds both; `::` stands for none.
fn stored_address(address: Option<IpAddr>) -> Ipv6Addr {
    match address {
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped(),
        Some(IpAddr::V6(address)) => address,
        None => Ipv6Addr::UNSPECIFIED,
    }
}

/// The letter by which `field_kinds` remembers what a value was, since the map holds text only:
/// `n`ull, `b`ool, `i`nteger, `u`nsigned above `i64::MAX`, `f`loat, `s`tring, `l`ist.
pub(super) fn kind_letter(value: Value<'_>) -> char {
    match value {
        Value::Null => 'n',
        Value::Bool(_) => 'b',
        Value::Int(_) => 'i',
        Value::UInt(_) => 'u',
        Value::Float(_) => 'f',
        Value::Str(_) => 's',
        Value::List(_) => 'l',
    }
}

/// The value as the map of fields holds it; `written` is where one that is no text is written.
pub(super) fn value_text<'v>(value: Value<'v>, written: &'v mut String) -> &'v str {
    written.clear();
    let done = match value {
        Value::Str(text) => return text,
        Value::List(_) => write!(written, "{}", json_of(value)),
        other => write!(written, "{other}"),
    };
    done.expect("writing to a String cannot fail");
    written
}

/// Names and values as the map of fields holds them.
fn field_texts(event: &Event<'_>) -> FieldTexts {
    let (mut name_bytes, mut value_bytes) = (0, 0);
    for field in &event.fields {
        name_bytes += field.name.len() + LENGTH_BYTES;
        value_bytes += LENGTH_BYTES
            + match field.value {
                Value::Str(text) => text.len(),
                _ => NUMBER_BYTES,
            };
    }
    let mut texts = FieldTexts::with_capacity(name_bytes, value_bytes);
    let mut written = String::new();
    for field in &event.fields {
        texts.push(field.name, value_text(field.value, &mut written));
    }
    texts
}

/// What search looks at. JSON and XML escape what they hold, so their values are taken decoded; of
/// other formats the record itself, and what the parser decoded out of it.
fn search_text(event: &Event<'_>) -> String {
    let raw = event.record.raw;
    // What is there at most of one event; a record of many is longer than what each of them says.
    let expected = raw.len().min(SHARED_RAW_BYTES_MAX);
    let mut text = String::with_capacity(expected + expected / 8);
    let escaped = matches!(raw.trim_ascii_start().first(), Some(b'{' | b'[' | b'<'));
    // `<34>1 ...` is a syslog line with its priority, not XML.
    let escaped = escaped && !raw.get(1).is_some_and(u8::is_ascii_digit);
    let escaped = (escaped || event.record.is_document()) && !event.fields.is_empty();
    if !escaped {
        fold_into(&String::from_utf8_lossy(raw), &mut text);
    }
    for field in &event.fields {
        add_search_value(field.value, (!escaped).then_some(raw), &mut text);
    }
    text
}

/// Adds what is not in `known` yet, the bytes that search already sees.
fn add_search_value(value: Value<'_>, known: Option<&[u8]>, text: &mut String) {
    match value {
        Value::Str(value) => {
            let seen =
                known.is_some_and(|raw| memchr::memmem::find(raw, value.as_bytes()).is_some());
            if !value.is_empty() && !seen {
                separate(text);
                fold_into(value, text);
            }
        }
        Value::List(values) => {
            for value in values {
                add_search_value(*value, known, text);
            }
        }
        // Numbers and the like of a plain line are in it as they are.
        number => {
            if known.is_none() && number != Value::Null {
                separate(text);
                write!(text, "{number}").expect("writing to a String cannot fail");
            }
        }
    }
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
}

/// The end of retention must lie within `DateTime`, which ends in 2106.
pub(super) fn clamp_received_at(time: Timestamp) -> i64 {
    time.as_micros().clamp(0, RECEIVED_AT_MAX_US)
}

fn clamp_event_time(time: Timestamp) -> i64 {
    time.as_micros()
        .clamp(EVENT_TIME_RANGE_US.0, EVENT_TIME_RANGE_US.1)
}

/// Records may be any bytes; ClickHouse's `String` holds them as they are.
pub(super) fn serialize_raw<S: Serializer>(raw: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(raw)
}

/// One match as table `matches` holds it.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
pub struct MatchRow {
    /// See [`crate::matches::MatchId`].
    pub match_id: u128,
    /// The rule's id.
    pub rule_id: String,
    /// SHA-256 of the rule's text.
    pub rule_hash: String,
    /// The rule's title.
    pub rule_title: String,
    /// The rule's level.
    pub level: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it is a correlation.
    pub correlation: bool,
    /// The office's id.
    pub unit: String,
    /// The host.
    pub host: String,
    /// Microseconds; of the latest event.
    pub event_time: i64,
    /// Microseconds; of the event received last.
    pub received_at: i64,
    /// Agent of the first event.
    pub agent: String,
    /// Stream of the first event.
    pub stream: String,
    /// Position of the first event in its stream.
    pub position: u64,
    /// Group-by fields with their values, in order.
    pub group: Vec<(String, String)>,
    /// Microseconds; 0 when it has no window.
    pub window_start: i64,
    /// Microseconds; 0 when it has no window.
    pub window_end: i64,
    /// Number of events that count.
    pub event_count: u64,
    /// Their ids, as far as they are kept.
    pub event_ids: Vec<u128>,
    /// The events as JSON: a list of [`crate::matches::Evidence`].
    pub evidence: String,
}

impl MatchRow {
    /// The row of `found`.
    pub fn from_match(found: &Match) -> Self {
        let first = found.evidence.first().map(|evidence| &evidence.event);
        let received_at = found
            .evidence
            .iter()
            .map(|evidence| evidence.event.received_at)
            .max();
        let window = found.window.unwrap_or_default();
        Self {
            match_id: found.id.0,
            rule_id: found.rule.id.clone(),
            rule_hash: found.rule.content_hash.clone(),
            rule_title: found.rule.title.clone(),
            level: found.rule.level.clone(),
            tags: found.rule.tags.clone(),
            correlation: found.rule.correlation,
            unit: found.unit.to_string(),
            host: found.host.to_string(),
            event_time: clamp_event_time(found.event_time),
            received_at: clamp_received_at(received_at.unwrap_or(found.event_time)),
            agent: first.map_or_else(String::new, |event| event.record.agent.to_string()),
            stream: first.map_or_else(String::new, |event| event.record.stream.to_string()),
            position: first.map_or(0, |event| event.record.position),
            group: found.group.clone(),
            window_start: window.0.as_micros(),
            window_end: window.1.as_micros(),
            event_count: found.event_count,
            event_ids: found
                .evidence
                .iter()
                .map(|evidence| evidence.event.id.0)
                .collect(),
            evidence: serde_json::to_string(&found.evidence)
                .expect("snapshots have string keys and finite numbers only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use citywatch_parsers::record::Truncated;
    use citywatch_parsers::{Field, Origin, RecordBatch};

    use super::*;

    fn row(
        raw: &[u8],
        received_at: Timestamp,
        fields: &[(&'static str, Value<'static>)],
    ) -> EventRow {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        batch.push(raw, 0, received_at, Truncated::No);
        let arena = Bump::new();
        let mut event = Event::new(batch.get(0).unwrap(), "test", &arena);
        event
            .fields
            .extend(fields.iter().map(|(name, value)| Field {
                name,
                value: *value,
            }));
        EventRow::from_event(&event, EventId(1))
    }

    #[test]
    fn search_sees_what_was_decoded() {
        let text = |raw: &str, fields: &[_]| row(raw.as_bytes(), Timestamp(0), fields).text;
        let path = ("path", Value::Str("C:\\Temp"));
        // JSON and XML: values only, since the raw text hides them.
        assert_eq!(
            text(
                r#"{"path":"C:\\Temp","n":7}"#,
                &[path, ("n", Value::Int(7))]
            ),
            "c:\\temp\n7"
        );
        assert_eq!(text("<Data>C:&#92;Temp</Data>", &[path]), "c:\\temp");
        // A plain line, and what is not in it as it is; a syslog priority is no XML.
        assert_eq!(text("<34>Tệp C:\\Temp", &[path]), "<34>tep c:\\temp");
        assert_eq!(
            text("proctitle=6C73", &[("proctitle", Value::Str("LS"))]),
            "proctitle=6c73\nls"
        );
        // What no grammar read is found all the same.
        assert_eq!(text("{ \"Broken", &[]), "{ \"broken");
        let list = Value::List(&[
            Value::Str("A"),
            Value::Null,
            Value::List(&[Value::Str("B")]),
        ]);
        assert_eq!(text("{}", &[("list", list)]), "a\nb");
    }

    #[test]
    fn a_long_record_of_several_events_is_kept_once() {
        let raw = vec![b'x'; SHARED_RAW_BYTES_MAX + 1];
        let origin = Arc::new(Origin::default());
        let mut batch = RecordBatch::new(origin);
        batch.push(&raw, 0, Timestamp(0), Truncated::No);
        let arena = bumpalo::Bump::new();
        let kept = |sub_index| {
            let record = batch.get(0).unwrap();
            let event = Event {
                sub_index,
                ..Event::new(record, "otlp", &arena)
            };
            EventRow::from_event(&event, EventId(1)).raw.len()
        };
        assert_eq!((kept(0), kept(1)), (raw.len(), 0));
    }

    #[test]
    fn kinds_follow_the_fields() {
        let fields = [
            ("a", Value::Null),
            ("b", Value::Bool(true)),
            ("c", Value::Int(1)),
            ("d", Value::UInt(2)),
        ];
        let more = [
            ("e", Value::Float(0.5)),
            ("f", Value::Str("1")),
            ("g", Value::List(&[])),
        ];
        let row = row(b"{}", Timestamp(0), &[&fields[..], &more[..]].concat());
        assert_eq!(row.field_kinds, "nbiufsl");
        assert_eq!(row.fields.len(), 7);
    }

    #[test]
    fn times_that_the_store_cannot_keep_are_clamped() {
        let far = row(b"", Timestamp(i64::MAX), &[]);
        assert_eq!(
            (far.received_at, far.event_time),
            (RECEIVED_AT_MAX_US, EVENT_TIME_RANGE_US.1)
        );
        let early = row(b"", Timestamp(i64::MIN), &[]);
        assert_eq!(
            (early.received_at, early.event_time),
            (0, EVENT_TIME_RANGE_US.0)
        );
        assert_eq!(
            row(b"", Timestamp::from_seconds(86_400), &[]).partition(),
            (1, STANDARD_RETENTION)
        );
    }
}
