//! The matches of one group, with what is known of their windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::entries::{Entries, Entry};
use super::evidence::{Charge, Log};
use super::raised::Raised;
use super::watermark::StreamIndex;
use super::windows::Cursor;

/// The matches with the same values of the group-by fields.
#[derive(Debug)]
pub(super) struct Group {
    /// Values of the group-by fields, in their order.
    pub(super) values: Box<[Box<str>]>,
    pub(super) entries: Entries,
    /// The streams that its entries came from, each with the time of its latest.
    streams: SmallVec<[(StreamIndex, i64); 1]>,
    /// Cells with an alert, as long as there are entries of theirs.
    pub(super) raised: Raised,
    /// Times of the earliest and the latest entry that came since the group was looked at.
    pub(super) dirty_us: Option<(i64, i64)>,
    /// Full windows that begin before this time are judged.
    pub(super) judged_until_us: i64,
    /// How far the windows of a monotone condition were slid.
    pub(super) cursor: Option<Box<Cursor>>,
    /// The stream and the watermark that it waits for.
    pub(super) waiting: Option<(StreamIndex, i64)>,
    /// The rules that it had matches of: bit n for the one at place n of the correlation's list, the last one for all
    /// further ones.
    rules_seen: u64,
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
    /// That of the cell that a match was added to last.
    pub(super) last_log: Option<(i64, Arc<Log>)>,
    /// The names and values that it adds to the fields of an event.
    pub(super) added: Arc<[(String, String)]>,
    /// The last cell that moments were passed on of, with its alert.
    pub(super) alert: Option<(i64, u128)>,
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
            entries: Entries::new(),
            streams: SmallVec::new(),
            raised: Raised::default(),
            dirty_us: None,
            judged_until_us: i64::MIN,
            cursor: None,
            waiting: None,
            rules_seen: 0,
            is_pending: false,
            passing: None,
            _charge: charge,
        }
    }

    /// Reads a little of all that a match or a look at the group needs. Done for many groups before anything else, the
    /// processor fetches them from memory together, not one after the other.
    pub(super) fn touch(&self) -> u64 {
        let last_us = self.entries.last().map_or(0, |last| last.time_us);
        let left = self.cursor.as_ref().map_or(0, |cursor| cursor.left());
        let last_log = self.passing.as_ref().and_then(|passing| {
            let (cell, _) = passing.last_log.as_ref()?;
            Some(*cell)
        });
        let dirty_us = self.dirty_us.map_or(0, |(from_us, _)| from_us);
        let waits_us = self.waiting.map_or(0, |(_, until_us)| until_us);
        let raised = self.raised.first_unsettled().unwrap_or(0);
        let numbers = last_us ^ dirty_us ^ waits_us ^ raised ^ last_log.unwrap_or(0);
        numbers as u64 ^ left as u64 ^ self.rules_seen ^ self.values.len() as u64
    }

    /// Adds an entry at its place and returns that; `None` for a match that it has already.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<usize> {
        let at = self.entries.place_of(&entry)?;
        self.rules_seen |= 1 << entry.position.min(63);
        if let Some(cursor) = &mut self.cursor {
            cursor.insert(at, &entry);
        }
        self.entries.insert(at, entry);
        Some(at)
    }

    /// How many rules it had matches of, at least 64 counting as 64.
    pub(super) fn rules_seen(&self) -> u32 {
        self.rules_seen.count_ones()
    }

    /// Notes that windows with an entry of this time must be looked at.
    pub(super) fn mark(&mut self, time_us: i64) {
        self.dirty_us = Some(match self.dirty_us {
            Some((from_us, to_us)) => (from_us.min(time_us), to_us.max(time_us)),
            None => (time_us, time_us),
        });
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

    /// Drops the entries before a time, with streams that only they came from.
    pub(super) fn drop_before(&mut self, time_us: i64) -> Dropped {
        let mut dropped = Dropped::default();
        let count = self.entries.drop_before(time_us);
        if count == 0 {
            return dropped;
        }
        dropped.entries = count;
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
}
