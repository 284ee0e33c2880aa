//! What can be asked of the store, and what it answers.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use citywatch_parsers::{RecordId, Timestamp, UnitId};
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::matches::{EventId, Evidence, MatchId};

/// A search over events, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Earliest `event_time`, inclusive.
    pub from: Option<Timestamp>,
    /// Latest `event_time`, exclusive.
    pub to: Option<Timestamp>,
    /// What to find: words in any case and with or without diacritics, `"some phrase"`, `part*`, `field:value`,
    /// `field:*`, `src_ip:10.0.0.0/8`, `dst_port:>1024`, joined by `and`, `or`, `not`, a dash and parentheses. Empty
    /// finds all.
    pub text: String,
    /// The units whose events may be seen: `None` is all, an empty list is none.
    pub units: Option<Vec<UnitId>>,
    /// Most events to return; 1 to 1,000.
    pub limit: u32,
    /// Continue after this event, which an earlier answer ended with.
    pub cursor: Option<EventCursor>,
}

/// Where a search stands: the last event it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    /// That event's time.
    pub event_time: Timestamp,
    /// Its id.
    pub id: EventId,
}

/// Where the reading of matches stands: the last match that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchCursor {
    /// The time of its event.
    pub event_time: Timestamp,
    /// Its id.
    pub id: MatchId,
}

impl fmt::Display for EventCursor {
    /// Microseconds and id, joined by a dash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.event_time.as_micros(), self.id)
    }
}

impl FromStr for EventCursor {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let parts = text.rsplit_once('-').and_then(|(time, id)| {
            Some(Self {
                event_time: Timestamp(time.parse().ok()?),
                id: id.parse().ok()?,
            })
        });
        parts.ok_or_else(|| {
            StoreError::invalid(
                "cursor",
                text,
                "use the cursor of an earlier answer as it is",
            )
        })
    }
}

/// An event as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSummary {
    /// Its id.
    pub id: EventId,
    /// When it happened.
    pub event_time: Timestamp,
    /// When it was received.
    pub received_at: Timestamp,
    /// The office.
    pub unit: UnitId,
    /// The host it speaks of.
    pub host: String,
    /// Format that read it.
    pub format: String,
    /// Product, category and service of its most specific log source.
    pub product: String,
    /// See `product`.
    pub category: String,
    /// See `product`.
    pub service: String,
    /// The acting user.
    pub user: String,
    /// Where it came from; IPv4 mapped.
    pub source_address: Option<Ipv6Addr>,
    /// Port there.
    pub source_port: Option<u16>,
    /// Where it went; IPv4 mapped.
    pub destination_address: Option<Ipv6Addr>,
    /// Port there.
    pub destination_port: Option<u16>,
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
    /// What a person reads, where a field holds it.
    pub message: String,
    /// The record as it was written; a list has its first 4,100 bytes.
    pub raw: String,
}

/// A whole event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// What lists show, `raw` in full.
    pub summary: EventSummary,
    /// The record it was read from.
    pub record: RecordId,
    /// Place among the events of that record.
    pub sub_index: u32,
    /// Fields in order, as JSON values with the kinds that the record gave them.
    pub fields: Vec<(String, serde_json::Value)>,
    /// What was wrong with the record.
    pub problems: Vec<String>,
}

/// A match as the store keeps it: the rule by id and version, for who has the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredMatch {
    /// Its id.
    pub id: MatchId,
    /// The rule's id.
    pub rule_id: String,
    /// SHA-256 of the rule's text at that time.
    pub rule_hash: String,
    /// The rule's title at that time.
    pub rule_title: String,
    /// The rule's level at that time.
    pub level: String,
    /// Whether the rule is a correlation.
    pub correlation: bool,
    /// The office.
    pub unit: UnitId,
    /// The host.
    pub host: String,
    /// Time of the event; of the latest event for a correlation.
    pub event_time: Timestamp,
    /// Group-by fields with their values.
    pub group: Vec<(String, String)>,
    /// Window of a correlation.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Number of events that count.
    pub event_count: u64,
    /// The events.
    pub evidence: Vec<Evidence>,
}
