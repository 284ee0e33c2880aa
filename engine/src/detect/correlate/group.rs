//! The matches of one group in the order of their times, with the evidence that is kept of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use super::evidence::{Charge, Log, Shown, Witnesses};
use super::watermark::StreamIndex;
use super::windows::Cursor;

/// A match of one of a correlation's rules, as a group keeps it.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Event time in microseconds.
    pub(super) time_us: i64,
    /// Place of the rule in the correlation's list.
    pub(super) position: u16,
    /// Which match it is among those of the same time and rule.
    pub(super) origin: u128,
    /// What counts as one event: the event; for a match of a correlation, its alert.
    pub(super) source: u128,
    /// What is counted or computed with.
    pub(super) value: EntryValue,
    /// What is shown of it; `None` beyond the bounds of evidence.
    pub(super) shown: Option<Shown>,
}

/// What an entry contributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryValue {
    /// The value, or the values taken together, as text: a hash. `None`: absent, not counted.
    pub(super) text: Option<u128>,
    /// The value in millionths, where it is a number and computed with.
    pub(super) millionths: Option<i128>,
}

impl Entry {
    /// The order of entries: equal times count as in the order of the rules.
    fn key(&self) -> (i64, u16, u128) {
        (self.time_us, self.position, self.origin)
    }

    /// Adds the events that it stands for.
    pub(super) fn witnesses(&self, all: &mut Witnesses) {
        all.add(self.time_us, self.origin, self.shown.as_ref());
    }
}

/// The matches with the same values of the group-by fields.
#[derive(Debug)]
pub(super) struct Group {
    /// Values of the group-by fields, in their order.
    pub(super) values: Box<[Box<str>]>,
    /// Sorted by time, rule, match.
    pub(super) entries: VecDeque<Entry>,
    /// The streams that its entries came from, each with the time of its latest.
    streams: SmallVec<[(StreamIndex, i64); 1]>,
    /// Cells with an alert, by their number, as long as there are entries of theirs.
    pub(super) raised: BTreeMap<i64, Told>,
    /// Times of the earliest and the latest entry that came since the group was looked at.
    pub(super) dirty_us: Option<(i64, i64)>,
    /// Full windows that begin before this time are judged.
    pub(super) judged_until_us: i64,
    /// How far the windows of a monotone condition were slid.
    pub(super) cursor: Option<Box<Cursor>>,
    /// The stream and the watermark that it waits for.
    pub(super) waiting: Option<(StreamIndex, i64)>,
    /// Whether it is among the groups to be looked at.
    pub(super) is_pending: bool,
    /// What it needs to pass its moments on to other correlations.
    pub(super) passing: Option<Box<Passing>>,
    _charge: Charge,
}

/// What a group keeps for the correlations that refer to its own.
#[derive(Debug)]
pub(super) struct Passing {
    /// Its matches, by cell.
    pub(super) logs: BTreeMap<i64, Arc<Log>>,
    /// The names and values that it adds to the fields of an event.
    pub(super) added: Arc<[(String, String)]>,
    /// The last cell that moments were passed on of, with its alert.
    pub(super) alert: Option<(i64, u128)>,
}

/// What was last told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// A hash of its events.
    pub(super) events: u128,
    /// It is not told again: the events before its cell are gone.
    pub(super) is_settled: bool,
}

/// What a group let go.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    pub(super) entries: usize,
    pub(super) streams: SmallVec<[StreamIndex; 2]>,
}

impl Group {
    /// An empty group.
    pub(super) fn new(values: Box<[Box<str>]>, charge: Charge) -> Self {
        Self {
            values,
            // Most groups have one match.
            entries: VecDeque::with_capacity(1),
            streams: SmallVec::new(),
            raised: BTreeMap::new(),
            dirty_us: None,
            judged_until_us: i64::MIN,
            cursor: None,
            waiting: None,
            is_pending: false,
            passing: None,
            _charge: charge,
        }
    }

    /// Adds an entry at its place and returns that; `None` for a match that it has already.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<usize> {
        let at = match self.entries.back() {
            Some(last) if last.key() >= entry.key() => self
                .entries
                .binary_search_by(|known| known.key().cmp(&entry.key()))
                .err()?,
            _ => self.entries.len(),
        };
        let time_us = entry.time_us;
        self.dirty_us = Some(match self.dirty_us {
            Some((from_us, to_us)) => (from_us.min(time_us), to_us.max(time_us)),
            None => (time_us, time_us),
        });
        if let Some(cursor) = &mut self.cursor {
            cursor.insert(at, &entry);
        }
        self.entries.insert(at, entry);
        Some(at)
    }

    /// Notes a stream that an entry of this time comes from, and returns whether it is new.
    pub(super) fn add_stream(&mut self, stream: StreamIndex, time_us: i64) -> bool {
        match self.streams.iter_mut().find(|known| known.0 == stream) {
            Some(known) => known.1 = known.1.max(time_us),
            None => {
                self.streams.push((stream, time_us));
                return true;
            }
        }
        false
    }

    /// The streams that its entries came from.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamIndex> {
        self.streams.iter().map(|stream| stream.0)
    }

    /// The first cell with an alert that is not settled.
    pub(super) fn unsettled(&self) -> Option<i64> {
        let mut raised = self.raised.iter();
        raised
            .find(|(_, told)| !told.is_settled)
            .map(|(cell, _)| *cell)
    }

    /// Index of the first entry at or after a time.
    pub(super) fn first_at(&self, time_us: i64) -> usize {
        let is_before = |entry: &Entry| entry.time_us < time_us;
        // Most often it is asked for the one that came last.
        let mut from_back = self.entries.iter().rev();
        if from_back.next().is_none_or(is_before) {
            return self.entries.len();
        }
        if from_back.next().is_none_or(is_before) {
            return self.entries.len() - 1;
        }
        self.entries.partition_point(is_before)
    }

    /// Drops the entries before a time, with streams that only they came from.
    pub(super) fn drop_before(&mut self, time_us: i64) -> Dropped {
        let mut dropped = Dropped::default();
        if self
            .entries
            .front()
            .is_none_or(|first| first.time_us >= time_us)
        {
            return dropped;
        }
        let count = self.first_at(time_us);
        dropped.entries = count;
        self.entries.drain(..count);
        dropped.streams.extend(
            self.streams
                .iter()
                .filter(|stream| stream.1 < time_us)
                .map(|stream| stream.0),
        );
        self.streams.retain(|stream| stream.1 >= time_us);
        if let Some(cursor) = &mut self.cursor
            && !cursor.drop_front(count)
        {
            self.cursor = None;
        }
        dropped
    }

    /// Whether an entry is among the first `limit` ones of its bin, of those that time is divided into. As the
    /// first ones of each bin are shown, which ones does not depend on the order in which they came.
    pub(super) fn is_shown(&self, at: usize, bin_us: i64, limit: usize) -> bool {
        let bin_start_us = bin_start_us(self.entries[at].time_us, bin_us);
        let before = at.checked_sub(limit).map(|before| &self.entries[before]);
        before.is_none_or(|before| before.time_us < bin_start_us)
    }

    /// Shows an entry, and no longer the one that it pushed beyond the limit of its bin. Returns whether
    /// there was one.
    pub(super) fn show(&mut self, at: usize, shown: Shown, bin_us: i64, limit: usize) -> bool {
        self.entries[at].shown = Some(shown);
        if at + 1 == self.entries.len() || self.entries.len() <= limit {
            return false;
        }
        let bin_start_us = bin_start_us(self.entries[at].time_us, bin_us);
        let beyond = self.first_at(bin_start_us) + limit;
        match self.entries.get_mut(beyond) {
            Some(entry) if entry.time_us < bin_start_us.saturating_add(bin_us) => {
                entry.shown.take().is_some()
            }
            _ => false,
        }
    }
}

fn bin_start_us(time_us: i64, bin_us: i64) -> i64 {
    time_us.div_euclid(bin_us).saturating_mul(bin_us)
}
