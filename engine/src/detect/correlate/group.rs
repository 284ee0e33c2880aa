//! The matches of one group in the order of their times, with the evidence that is kept of them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use smallvec::SmallVec;

use super::watermark::StreamIndex;
use super::windows::Cursor;
use crate::matches::{EventSnapshot, Evidence, MatchedField};

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
    /// The value in millionths, where it is a number.
    pub(super) millionths: Option<i128>,
}

/// The event of an entry, for its fields and as evidence.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) event: Arc<EventSnapshot>,
    pub(super) matched: Arc<[MatchedField]>,
    /// For a match of a correlation: the names and values that chains add to the event's fields.
    pub(super) extra: Option<Arc<[(String, String)]>>,
    /// For a match of a correlation: the events in its window.
    pub(super) window: Option<Arc<[Witness]>>,
}

/// An event that a correlation holds because of.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    pub(super) time_us: i64,
    pub(super) event: u128,
    /// `None` beyond the bounds of evidence.
    pub(super) evidence: Option<(Arc<EventSnapshot>, Arc<[MatchedField]>)>,
}

impl Witness {
    /// As evidence, where it was kept.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        let (event, matched) = self.evidence.as_ref()?;
        Some(Evidence {
            event: Arc::clone(event),
            matched: matched.to_vec(),
        })
    }
}

impl Entry {
    /// The order of entries: equal times count as in the order of the rules.
    fn key(&self) -> (i64, u16, u128) {
        (self.time_us, self.position, self.origin)
    }

    /// The events that it stands for.
    pub(super) fn witnesses(&self, all: &mut Vec<Witness>) {
        match &self.shown {
            Some(Shown {
                window: Some(window),
                ..
            }) => all.extend(window.iter().cloned()),
            shown => {
                let evidence = shown
                    .as_ref()
                    .map(|shown| (Arc::clone(&shown.event), Arc::clone(&shown.matched)));
                all.push(Witness {
                    time_us: self.time_us,
                    event: self.origin,
                    evidence,
                });
            }
        }
    }
}

/// The matches with the same values of the group-by fields.
#[derive(Debug)]
pub(super) struct Group {
    /// Names and values.
    pub(super) values: Vec<(String, String)>,
    /// Sorted by time, rule, match.
    pub(super) entries: VecDeque<Entry>,
    /// The streams that its entries came from, each with the time of its latest.
    streams: SmallVec<[(StreamIndex, i64); 2]>,
    /// Cells with an alert that is not settled, by their number.
    pub(super) raised: BTreeMap<i64, Told>,
    /// Time of the earliest entry that came since the group was looked at.
    pub(super) dirty_from_us: Option<i64>,
    /// Full windows that begin before this time are judged.
    pub(super) judged_until_us: i64,
    /// How far the windows of a monotone condition were slid.
    pub(super) cursor: Option<Cursor>,
    /// The stream and the watermark that it waits for.
    waiting: Option<(StreamIndex, i64)>,
}

/// What was last told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// A hash of its events.
    pub(super) events: u128,
}

/// What a group let go.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    pub(super) entries: usize,
    /// How many of them had evidence.
    pub(super) evidence_events: usize,
    pub(super) streams: SmallVec<[StreamIndex; 2]>,
}

impl Group {
    /// An empty group.
    pub(super) fn new(values: Vec<(String, String)>) -> Self {
        Self {
            values,
            entries: VecDeque::new(),
            streams: SmallVec::new(),
            raised: BTreeMap::new(),
            dirty_from_us: None,
            judged_until_us: i64::MIN,
            cursor: None,
            waiting: None,
        }
    }

    /// Adds an entry at its place and returns that. The same match again only brings its evidence
    /// up to date: `None`.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<usize> {
        let at = if self
            .entries
            .back()
            .is_none_or(|last| last.key() < entry.key())
        {
            self.entries.len()
        } else {
            match self
                .entries
                .binary_search_by(|known| known.key().cmp(&entry.key()))
            {
                Err(at) => at,
                Ok(known) => {
                    let known = &mut self.entries[known];
                    if known.shown.is_some() {
                        known.shown = entry.shown;
                    }
                    return None;
                }
            }
        };
        let time_us = entry.time_us;
        self.dirty_from_us = Some(
            self.dirty_from_us
                .map_or(time_us, |before| before.min(time_us)),
        );
        self.entries.insert(at, entry);
        self.cursor = self
            .cursor
            .take()
            .filter(|cursor| cursor.survives_insertion(at));
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

    /// Number of its entries, and of those that have evidence.
    pub(super) fn held(&self) -> (usize, usize) {
        let shown = self.entries.iter().filter(|entry| entry.shown.is_some());
        (self.entries.len(), shown.count())
    }

    /// The streams that its entries came from.
    pub(super) fn streams(&self) -> impl Iterator<Item = StreamIndex> {
        self.streams.iter().map(|stream| stream.0)
    }

    /// Notes that it must be looked at when this stream's watermark has come so far, and returns whether
    /// that has to be arranged.
    pub(super) fn waits_for(&mut self, stream: StreamIndex, due_us: i64) -> bool {
        self.waiting.replace((stream, due_us)) != Some((stream, due_us))
    }

    /// Index of the first entry at or after a time.
    pub(super) fn first_at(&self, time_us: i64) -> usize {
        self.entries
            .partition_point(|entry| entry.time_us < time_us)
    }

    /// Drops the entries before a time, with streams that only they came from.
    pub(super) fn drop_before(&mut self, time_us: i64) -> Dropped {
        let count = self.first_at(time_us);
        let mut dropped = Dropped {
            entries: count,
            ..Dropped::default()
        };
        if count > 0 {
            dropped.evidence_events = self
                .entries
                .drain(..count)
                .filter(|entry| entry.shown.is_some())
                .count();
            dropped.streams.extend(
                self.streams
                    .iter()
                    .filter(|stream| stream.1 < time_us)
                    .map(|stream| stream.0),
            );
            self.streams.retain(|stream| stream.1 >= time_us);
            self.cursor = self
                .cursor
                .take()
                .and_then(|cursor| cursor.after_drop(count));
        }
        dropped
    }

    /// Keeps at most `limit` events as evidence within each of the bins that time is divided into,
    /// the earliest ones of each: which ones does not depend on the order in which they came. To be
    /// called after each insertion, with its place; returns whether one was let go.
    pub(super) fn thin_evidence(&mut self, inserted: usize, bin_us: i64, limit: usize) -> bool {
        let bin_start = self.entries[inserted]
            .time_us
            .div_euclid(bin_us)
            .saturating_mul(bin_us);
        // The new one itself where it is beyond the limit, else the one that it pushed beyond.
        let beyond = (self.first_at(bin_start) + limit).max(inserted);
        match self.entries.get_mut(beyond) {
            Some(entry) if entry.time_us < bin_start.saturating_add(bin_us) => {
                entry.shown.take().is_some()
            }
            _ => false,
        }
    }
}
