//! Rows on their way to the store, cut so that one insert is one part.
//!
//! A block holds rows of one partition only (day of `received_at`), because an insert is atomic
//! within a partition but not across several. Rows of a stream enter in the order of their
//! positions and blocks are inserted one after the other, so the highest stored position of a
//! stream says that everything before it is stored too.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use citywatch_collector::Receipt;
use citywatch_parsers::{AgentId, Origin, StreamId, Timestamp};
use tokio::sync::oneshot;

use super::events::LaneRows;
use super::positions::{InFlight, StreamKey};
use super::worker::Processed;
use crate::matches::Match;
use crate::store::{DeadLetterRow, EventRow, MatchRow};

const DAY_US: i64 = 86_400 * 1_000_000;

/// Days since the epoch of `received_at`: what events are partitioned by.
pub(super) fn day_of(received_at: Timestamp) -> i64 {
    received_at.as_micros().div_euclid(DAY_US)
}

/// What is collected between two inserts.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Event rows by day, in order of arrival within each.
    pub(super) events: BTreeMap<i64, LaneRows>,
    pub(super) matches: BTreeMap<i64, Vec<MatchRow>>,
    pub(super) dead_letters: BTreeMap<i64, Vec<DeadLetterRow>>,
    /// Matches given to alerting whose commit is still to be heard of.
    pub(super) alerting: Vec<PendingAlerts>,
    /// To be answered once the rows are stored.
    pub(super) receipts: Vec<Receipt>,
    /// Dropped when the rows are stored or given up.
    pub(super) in_flight: Vec<InFlight>,
    pub(super) origins: Origins,
    rows: usize,
    bytes: usize,
    /// Newest day of each stream in this block.
    newest_day: i64,
}

/// Where the records of each stream came from, as their last delivery said: a dead letter must say how it
/// was to be read.
#[derive(Debug, Default)]
pub(super) struct Origins(HashMap<StreamKey, Arc<Origin>>);

impl Origins {
    fn add(&mut self, key: StreamKey, origin: Arc<Origin>) {
        self.0.insert(key, origin);
    }

    /// Where the record of this row came from.
    pub(super) fn of(&self, row: &EventRow) -> Arc<Origin> {
        let key = StreamKey {
            agent: AgentId(Arc::clone(&row.agent)),
            stream: StreamId(Arc::clone(&row.stream)),
        };
        match self.0.get(&key) {
            Some(origin) => Arc::clone(origin),
            None => Arc::new(Origin {
                unit: citywatch_parsers::UnitId(Arc::clone(&row.unit)),
                agent: key.agent,
                stream: key.stream,
                host: Some(row.host.as_str().into()),
                format: row.format.into(),
                ..Origin::default()
            }),
        }
    }
}

/// Matches on their way through alerting, kept until it says that they are committed.
#[derive(Debug)]
pub(super) struct PendingAlerts {
    pub(super) matches: Vec<Match>,
    pub(super) committed: oneshot::Receiver<()>,
}

impl Block {
    /// Whether `next` has to wait for this block to be inserted: its first row lies on an earlier
    /// day than rows already here (a clock was set back), so inserting by day would change the order.
    pub(super) fn must_precede(&self, next: &Processed) -> bool {
        !self.is_empty() && next.oldest_day().is_some_and(|day| day < self.newest_day)
    }

    /// Takes over the rows of a processed delivery.
    pub(super) fn add(&mut self, processed: Processed) {
        let lane = processed.receipt.lane();
        self.bytes += processed.bytes;
        self.rows += processed.events.len() + processed.dead_letters.len();
        for row in processed.events {
            let day = day_of(Timestamp(row.received_at));
            self.newest_day = self.newest_day.max(day);
            self.events.entry(day).or_default().push(lane, row);
        }
        for row in processed.dead_letters {
            self.dead_letters
                .entry(day_of(Timestamp(row.received_at)))
                .or_default()
                .push(row);
        }
        self.origins.add(processed.stream, processed.origin);
        self.receipts.push(processed.receipt);
        self.in_flight.push(processed.in_flight);
    }

    /// Adds a match's row.
    pub(super) fn add_match(&mut self, row: MatchRow) {
        self.matches
            .entry(day_of(Timestamp(row.received_at)))
            .or_default()
            .push(row);
    }

    /// Whether nothing waits here.
    pub(super) fn is_empty(&self) -> bool {
        self.receipts.is_empty() && self.alerting.is_empty() && self.matches.is_empty()
    }

    /// Rows of events and dead letters.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the raw records behind them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
