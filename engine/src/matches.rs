//! A Match: a rule held for an Event, or a correlation held for several.
//!
//! This is what the engine hands to alerting. It owns all it holds, since matches are rare and
//! outlive the batch that they were found in.

use std::fmt;
use std::sync::Arc;

use citywatch_parsers::{Event, LogSource, RecordId, Timestamp, UnitId, Value};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_128;

use crate::snapshot_fields::SnapshotFields;

macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            /// 32 lower-case hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                u128::from_str_radix(text, 16).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hash_id! {
    /// Identity of an event: a hash of its record's id and its place in the record. The same record
    /// gives the same id on every transport and after every restart.
    EventId
}
hash_id! {
    /// Identity of a match: a hash of the rule's id and the event's id, or for a correlation of the
    /// rule's id, the group and the window.
    MatchId
}

/// Hashes parts with their lengths, so that ("ab","c") and ("a","bc") differ.
fn hash_parts(kind: &str, parts: &[&[u8]]) -> u128 {
    let all = || std::iter::once(kind.as_bytes()).chain(parts.iter().copied());
    let length = all().map(|part| 8 + part.len()).sum();
    let mut few = [0; 256];
    let mut many = Vec::new();
    // Most are short: an id is made for each event that a rule matches.
    let bytes = match few.get_mut(..length) {
        Some(few) => few,
        None => {
            many.resize(length, 0);
            &mut many[..]
        }
    };
    let mut begin = 0;
    for part in all() {
        let text = begin + 8;
        bytes[begin..text].copy_from_slice(&(part.len() as u64).to_le_bytes());
        begin = text + part.len();
        bytes[text..begin].copy_from_slice(part);
    }
    xxh3_128(bytes)
}

impl EventId {
    /// The id of event number `sub_index` of a record.
    pub fn of(agent: &str, stream: &str, position: u64, sub_index: u32) -> Self {
        Self(hash_parts(
            "event",
            &[
                agent.as_bytes(),
                stream.as_bytes(),
                &position.to_le_bytes(),
                &sub_index.to_le_bytes(),
            ],
        ))
    }
}

impl MatchId {
    /// The id of the match of a rule on one event.
    pub fn of_event(rule_id: &str, event: EventId) -> Self {
        Self(hash_parts(
            "match",
            &[rule_id.as_bytes(), &event.0.to_le_bytes()],
        ))
    }

    /// The id of a correlation's match: one per rule, group and window start, in any order of arrival.
    pub fn of_group(rule_id: &str, group: &[(String, String)], window_start: Timestamp) -> Self {
        let start = window_start.0.to_le_bytes();
        let mut parts: Vec<&[u8]> = vec![rule_id.as_bytes(), &start];
        for (name, value) in group {
            parts.push(name.as_bytes());
            parts.push(value.as_bytes());
        }
        Self(hash_parts("correlation", &parts))
    }
}

/// What alerting needs to know of a rule; one shared copy per loaded rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleInfo {
    /// The rule's `id`, or a hash of its title where it has none.
    pub id: String,
    /// Its title.
    pub title: String,
    /// `informational`, `low`, `medium`, `high`, `critical`.
    pub level: String,
    /// Its description; empty when it has none.
    pub description: String,
    /// Tags, `attack.t1110` among them.
    pub tags: Vec<String>,
    /// The log source that it names.
    pub log_source: LogSource<'static>,
    /// The rule as it was written.
    pub text: String,
    /// SHA-256 of `text`, hexadecimal: which version of the rule matched.
    pub content_hash: String,
    /// Whether it is a correlation.
    pub correlation: bool,
}

/// A field that made a rule match, with its value in that event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchedField {
    /// The event's field; empty for a keyword found in the raw text.
    pub name: CompactString,
    /// Its value, cut at 1,024 bytes.
    pub value: CompactString,
}

/// An event as evidence: whole, so that it outlives the event's retention.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventSnapshot {
    /// Its id in the store.
    pub id: EventId,
    /// The record it was read from.
    pub record: RecordId,
    /// The office.
    pub unit: UnitId,
    /// When it happened.
    pub event_time: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// The host it speaks of.
    pub host: CompactString,
    /// The format that read it.
    pub format: CompactString,
    /// Fields in order.
    pub fields: SnapshotFields,
    /// The record as it was written; bytes that are not UTF-8 replaced; cut at 64 KiB.
    pub raw: String,
}

/// An event with what made the rule match in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The event, shared: several rules may match it.
    pub event: Arc<EventSnapshot>,
    /// The fields that made the rule match.
    pub matched: Arc<[MatchedField]>,
}

/// Longest raw text that a snapshot keeps, in bytes.
const SNAPSHOT_RAW_BYTES_MAX: usize = 64 * 1024;

impl EventSnapshot {
    /// A copy of `event` that outlives its batch.
    pub fn of(event: &Event<'_>, id: EventId) -> Self {
        let record = &event.record;
        let raw = &record.raw[..record.raw.len().min(SNAPSHOT_RAW_BYTES_MAX)];
        Self {
            id,
            record: RecordId {
                agent: record.origin.agent.clone(),
                stream: record.origin.stream.clone(),
                position: record.position,
            },
            unit: record.origin.unit.clone(),
            event_time: event.event_time,
            received_at: record.received_at,
            host: event.host.into(),
            format: event.format.into(),
            fields: SnapshotFields::of(event.fields.iter().map(|field| (field.name, field.value))),
            raw: String::from_utf8_lossy(raw).into_owned(),
        }
    }

    /// Of an event only some of its fields, which are few.
    pub fn of_few(
        event: &Event<'_>,
        id: EventId,
        record: RecordId,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Self {
        let fields = event.fields.iter();
        let fields = fields.map(|field| (field.name, field.value));
        Self {
            id,
            record,
            unit: event.record.origin.unit.clone(),
            event_time: event.event_time,
            received_at: event.record.received_at,
            host: CompactString::default(),
            format: CompactString::default(),
            fields: SnapshotFields::of_few(fields.filter(|(name, _)| is_wanted(name))),
            raw: String::new(),
        }
    }
}

/// The JSON value of a field's value; a number that JSON cannot hold becomes text.
pub fn json_of(value: Value<'_>) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::UInt(value) => value.into(),
        Value::Float(number) => serde_json::Number::from_f64(number)
            .map_or_else(|| number.to_string().into(), Into::into),
        Value::Str(text) => text.into(),
        Value::List(values) => values.iter().map(|value| json_of(*value)).collect(),
    }
}

/// A rule held for an event, or a correlation for several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// Derived from what matched, so that a replay makes the same.
    pub id: MatchId,
    /// The rule.
    pub rule: Arc<RuleInfo>,
    /// The office of the event; for a correlation, of the latest event.
    pub unit: UnitId,
    /// The host of the event; for a correlation, of the latest event.
    pub host: CompactString,
    /// Time of the event; for a correlation, of the latest event.
    pub event_time: Timestamp,
    /// For a correlation: the group-by fields with their values. Empty otherwise.
    pub group: Vec<(String, String)>,
    /// For a correlation: start and end of the window. `None` otherwise.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The events: one, or for a correlation all in the window up to a bound of 100.
    pub evidence: Vec<Evidence>,
    /// Number of events that count, also beyond the bound of `evidence`.
    pub event_count: u64,
}

/// Matches on their way to alerting. `done` is answered once they are committed there; the positions
/// of their events are acknowledged only after that. A dropped `done` means: not committed, send again.
#[derive(Debug)]
pub struct MatchDelivery {
    /// In the order in which they were found.
    pub matches: Vec<Match>,
    /// Answered after the commit.
    pub done: oneshot::Sender<()>,
}
