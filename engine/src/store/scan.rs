//! Reading stored events as the parsers gave them, so that rules can judge them once more.
//!
//! A row holds what a rule can ask of an event: names, values with their kinds, log sources, and the record where its text
//! counts. What is read back is equal to what was parsed, but for one thing: of a long record of several events, the
//! text is kept once ([`super::rows`]), so a record that is no document is searched for keywords in its first event's row only.

use std::borrow::Cow;
use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    AgentId, Event, Field, LogSource, Origin, Record, StreamId, Timestamp, UnitId, Value,
};
use clickhouse::Row;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Store, StoreError};
use crate::matches::EventId;

/// Bytes of a statement that a scan may have: the conditions of many rules.
const STATEMENT_BYTES_MAX: u32 = 16 << 20;

/// Stands for the text of a document, which rules do not search.
const DOCUMENT: &[u8] = b"{";

/// Events by time and unit.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Earliest `event_time`, inclusive; open where there is none.
    pub from: Option<Timestamp>,
    /// Latest `event_time`, exclusive; open where there is none.
    pub to: Option<Timestamp>,
    /// Of these units; of all when there are none.
    pub units: Vec<String>,
}

/// Which events are read.
#[derive(Clone, Debug, Default)]
pub struct EventScan {
    /// Their times and units.
    pub selection: Selection,
    /// Definitions that the condition speaks of, as a `WITH` clause, or empty.
    pub definitions: String,
    /// What must hold besides, in SQL. Texts of rules stand in it as literals.
    pub condition: Option<String>,
}

/// How many events lie in a stretch of time, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStretch {
    /// Their number.
    pub events: u64,
    /// The first one's time.
    pub first: Timestamp,
    /// The last one's time.
    pub last: Timestamp,
}

#[derive(Row, Deserialize)]
struct StretchRow {
    events: u64,
    first: i64,
    last: i64,
}

#[derive(Row, Deserialize)]
struct ScannedRow<'a> {
    event_id: u128,
    event_time: i64,
    received_at: i64,
    sub_index: u32,
    position: u64,
    unit: &'a str,
    host: &'a str,
    agent: &'a str,
    stream: &'a str,
    product: &'a str,
    category: &'a str,
    service: &'a str,
    other_log_sources: Vec<&'a str>,
    fields: Vec<(&'a str, &'a str)>,
    field_kinds: &'a str,
    shown_raw: &'a [u8],
}

/// In the order of [`ScannedRow`]. The text of JSON and XML is left out.
const COLUMNS: &str = r"event_id, event_time, received_at, sub_index, position, toString(unit), toString(host), toString(agent),
    toString(stream), toString(product), toString(category), toString(service),
    CAST(other_log_sources, 'Array(String)'), fields, toString(field_kinds),
    if(match(raw, '\\A[ \\t\\n\\f\\r]*(?:\\{|\\[[ \\t\\n\\f\\r]*\\{|<[A-Za-z?])') OR (sub_index > 0 AND raw = ''), '{', raw)";

impl Store {
    /// Which stretches of time have events of a selection, in order; those with few are joined until they have `events_max`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn event_stretches(
        &self,
        selection: &Selection,
        events_max: u64,
    ) -> Result<Vec<EventStretch>, StoreError> {
        const WHAT: &str = "event_stretches";
        // By the bucket that leads the sorting key.
        let sql = format!(
            "SELECT count() AS events, toUnixTimestamp64Micro(min(event_time)) AS first, \
             toUnixTimestamp64Micro(max(event_time)) AS last FROM events WHERE {} \
             GROUP BY toStartOfFifteenMinutes(event_time) ORDER BY first",
            selection.condition()
        );
        let call = self.client.query_raw(&sql);
        let call = call.param("units", &selection.units);
        let mut rows = call
            .fetch::<StretchRow>()
            .map_err(|error| self.error(WHAT, error))?;
        let mut stretches: Vec<EventStretch> = Vec::new();
        while let Some(row) = self.in_time(WHAT, rows.next()).await? {
            let last = Timestamp(row.last);
            match stretches.last_mut() {
                Some(before) if before.events + row.events <= events_max => {
                    before.events += row.events;
                    before.last = before.last.max(last);
                }
                _ => stretches.push(EventStretch {
                    events: row.events,
                    first: Timestamp(row.first),
                    last,
                }),
            }
        }
        Ok(stretches)
    }

    /// Gives each event of the scan to `each`, in no order; returns how many there were.
    ///
    /// # Errors
    /// See [`StoreError`]; `each` may have had some of the events by then.
    pub async fn scan_events(
        &self,
        scan: &EventScan,
        each: &mut dyn FnMut(EventId, &Event<'_>),
    ) -> Result<u64, StoreError> {
        const WHAT: &str = "scan_events";
        let condition = scan.condition.as_deref().unwrap_or("1");
        let sql = format!(
            "{}\nSELECT {COLUMNS} FROM events WHERE {} AND {condition}",
            scan.definitions,
            scan.selection.condition()
        );
        // Without validation texts need not be copied out of what was received.
        let client = self.client.clone().with_validation(false);
        let call = client
            .query_raw(&sql)
            .param("units", &scan.selection.units)
            .with_setting("max_query_size", STATEMENT_BYTES_MAX.to_string())
            .with_setting("max_ast_elements", "10000000")
            .with_setting("max_expanded_ast_elements", "10000000")
            .with_setting("precise_float_parsing", "1");
        let mut rows = call
            .fetch::<ScannedRow<'_>>()
            .map_err(|error| self.error(WHAT, error))?;
        let mut arena = Bump::new();
        let mut origin = Origin::default();
        let mut read = 0;
        while let Some(row) = self.in_time(WHAT, rows.next()).await? {
            set_origin(&mut origin, &row);
            each(EventId(row.event_id), &event_of(&row, &origin, &arena));
            arena.reset();
            read += 1;
        }
        Ok(read)
    }
}

impl Selection {
    /// In SQL; units are its parameter `units`. Rows that only shut out an insert are of 1970 and of no unit: they are
    /// no events.
    fn condition(&self) -> String {
        let mut condition = format!("agent != '{}'", super::plan::CLAIM);
        for (time, sign) in [(self.from, ">="), (self.to, "<")] {
            if let Some(time) = time {
                condition.push_str(&format!(
                    " AND event_time {sign} fromUnixTimestamp64Micro({}, 'UTC')",
                    time.as_micros()
                ));
            }
        }
        if !self.units.is_empty() {
            condition.push_str(" AND unit IN {units:Array(String)}");
        }
        condition
    }
}

/// Rows of one stream stand together most often.
fn set_origin(origin: &mut Origin, row: &ScannedRow<'_>) {
    if origin.unit.as_str() != row.unit {
        origin.unit = UnitId::from(row.unit);
    }
    if origin.agent.as_str() != row.agent {
        origin.agent = AgentId::from(row.agent);
    }
    if origin.stream.as_str() != row.stream {
        origin.stream = StreamId::from(row.stream);
    }
    if origin.host.as_deref() != Some(row.host) {
        origin.host = Some(Arc::from(row.host));
    }
}

fn event_of<'a>(row: &ScannedRow<'a>, origin: &'a Origin, arena: &'a Bump) -> Event<'a> {
    let record = Record {
        origin,
        raw: if row.shown_raw == DOCUMENT {
            DOCUMENT
        } else {
            row.shown_raw
        },
        position: row.position,
        received_at: Timestamp(row.received_at),
        truncated: Truncated::No,
    };
    let mut event = Event::new(record, "stored", arena);
    event.sub_index = row.sub_index;
    event.event_time = Timestamp(row.event_time);
    let first = [row.product, row.category, row.service];
    if first != [""; 3] || !row.other_log_sources.is_empty() {
        event.log_sources.push(log_source(first));
    }
    for source in &row.other_log_sources {
        let mut parts = source.splitn(3, '/');
        let mut part = || parts.next().unwrap_or_default();
        event.log_sources.push(log_source([part(), part(), part()]));
    }
    let kinds = row.field_kinds.bytes();
    event.fields.extend(
        row.fields
            .iter()
            .zip(kinds)
            .map(|((name, text), kind)| Field {
                name,
                value: value_of(kind, text, arena),
            }),
    );
    event
}

fn log_source<'a>([product, category, service]: [&'a str; 3]) -> LogSource<'a> {
    LogSource {
        product: product.into(),
        category: category.into(),
        service: service.into(),
    }
}

/// The value of this kind whose text this is. Should one not read back, its text stands.
fn value_of<'a>(kind: u8, text: &'a str, arena: &'a Bump) -> Value<'a> {
    let value = match kind {
        b'n' => Some(Value::Null),
        b'b' => text.parse().ok().map(Value::Bool),
        b'i' => text.parse().ok().map(Value::Int),
        b'u' => text.parse().ok().map(Value::UInt),
        b'f' => text.parse().ok().map(Value::Float),
        b'l' => serde_json::from_str(text)
            .ok()
            .and_then(|json| of_json(json, arena)),
        _ => None,
    };
    value.unwrap_or(Value::Str(text))
}

/// The reader of JSON rounds floats, so numbers are read from their text.
fn of_json<'a>(json: &'a RawValue, arena: &'a Bump) -> Option<Value<'a>> {
    let text = json.get();
    match text.as_bytes().first()? {
        b'n' => Some(Value::Null),
        b't' => Some(Value::Bool(true)),
        b'f' => Some(Value::Bool(false)),
        b'"' => {
            let text: Cow<'a, str> = serde_json::from_str(text).ok()?;
            Some(Value::Str(arena.alloc_str(&text)))
        }
        b'[' => {
            let items: Vec<&'a RawValue> = serde_json::from_str(text).ok()?;
            let mut values = ArenaVec::with_capacity_in(items.len(), arena);
            for item in items {
                values.push(of_json(item, arena)?);
            }
            Some(Value::List(values.into_bump_slice()))
        }
        _ => {
            let int = text.parse().ok().map(Value::Int);
            let int = int.or_else(|| text.parse().ok().map(Value::UInt));
            int.or_else(|| text.parse().ok().map(Value::Float))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{kind_letter, value_text};
    use super::*;

    #[test]
    fn values_come_back_as_they_were() {
        let inner = [Value::Int(-5), Value::Null];
        let list = [
            Value::Str("a\"b\\\u{1}đ"),
            Value::Float(1.0),
            Value::Float(1e300),
            Value::Float(0.123_456_789_012_345_67),
            Value::UInt(u64::MAX),
            Value::Bool(true),
            Value::List(&inner),
        ];
        for value in [
            Value::Null,
            Value::Bool(false),
            Value::Int(i64::MIN),
            Value::UInt(u64::MAX),
            Value::Float(0.1),
            Value::Float(1e300),
            Value::Str("null"),
            Value::Str(""),
            Value::List(&[]),
            Value::List(&list),
        ] {
            let arena = Bump::new();
            let mut written = String::new();
            let (kind, text) = (kind_letter(value), value_text(value, &mut written));
            let kind = u8::try_from(kind).expect("kinds are letters of ASCII");
            assert_eq!(value_of(kind, text, &arena), value, "{text}");
        }
    }
}
