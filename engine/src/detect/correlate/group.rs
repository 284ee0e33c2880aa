//! The matches of one group, with what each of its correlations knows of their windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use smallvec::SmallVec;

use super::entries::{Entries, Entry};
use super::evidence::{Begin, Chain, Charge, Log};
use super::raised::Raised;
use super::watermark::StreamIndex;
use super::windows::Cursor;

/// The matches with the same values of the group-by fields.
#[derive(Debug)]
pub(super) struct Group {
    /// Values of the group-by fields, in their order.
    pub(super) values: Box<[Box<str>]>,
    pub(super) entries: Entries,
    /// What each correlation of its shelf knows of it, in the shelf's order.
    pub(super) views: Box<[View]>,
    /// The streams that its entries came from, each with the time of its latest.
    streams: SmallVec<[(StreamIndex, i64); 1]>,
    /// Times of the earliest and the latest entry that came since the group was looked at.
    pub(super) dirty_us: Option<(i64, i64)>,
    /// The stream and the watermark that it waits for.
    pub(super) waiting: Option<(StreamIndex, i64)>,
    /// The rules that it had matches of: bit n for the one at place n of the correlations' lists, the last one for all
    /// further ones.
    rules_seen: u64,
    /// Whether it is among the groups to be looked at.
    pub(super) is_pending: bool,
    _charge: Charge,
}

/// What one correlation knows of a group.
#[derive(Debug)]
pub(super) struct View {
    /// Cells with an alert, as long as there are entries of theirs.
    pub(super) raised: Raised,
    /// Full windows that begin before this time are judged.
    pub(super) judged_until_us: i64,
    /// How far the windows of a monotone condition were slid.
    pub(super) cursor: Option<Box<Cursor>>,
    /// What it needs to pass its moments on to other correlations.
    pub(super) passing: Option<Box<Passing>>,
}

/// What all correlations of a group see of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathered<'g> {
    /// Values of the group-by fields, in their order.
    pub(super) values: &'g [Box<str>],
    pub(super) entries: &'g Entries,
    /// How many rules it had matches of, at least 64 counting as 64.
    pub(super) rules_seen: u32,
}

impl Default for View {
    fn default() -> Self {
        Self {
            raised: Raised::default(),
            judged_until_us: i64::MIN,
            cursor: None,
            passing: None,
        }
    }
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
    /// The first and the last cell of the last window that was passed on, with what moments of such windows share.
    pub(super) window: Option<(i64, i64, Arc<Chain>)>,
}

impl Passing {
    /// What a moment has besides its event, whose window is in these cells, both included.
    pub(super) fn chain(&mut self, first: i64, last: i64, begin: Begin) -> Arc<Chain> {
        let known = self.window.as_ref();
        let known = known.filter(|(from, to, _)| (*from, *to) == (first, last));
        match (known, begin) {
            (Some((_, _, chain)), Begin::Before(_)) => return Arc::clone(chain),
            (Some((_, _, chain)), Begin::At(_)) => {
                return Arc::new(Chain {
                    extra: Arc::clone(&self.added),
                    begin,
                    logs: Arc::clone(&chain.logs),
                    _charge: None,
                });
            }
            (None, _) => {}
        }
        // Also the log of a cell without a match so far: one may come.
        let logs = (first..=last).map(|cell| Arc::clone(self.logs.entry(cell).or_default()));
        let chain = Arc::new(Chain {
            extra: Arc::clone(&self.added),
            begin,
            logs: logs.collect(),
            _charge: None,
        });
        self.window = Some((first, last, Arc::clone(&chain)));
        chain
    }
}

/// What a group let go.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    pub(super) entries: usize,
    pub(super) streams: SmallVec<[StreamIndex; 2]>,
}

impl Group {
    /// An empty group for so many correlations.
    pub(super) fn new(values: Box<[Box<str>]>, correlations: usize, charge: Charge) -> Self {
        Self {
            values,
            entries: Entries::new(),
            views: (0..correlations).map(|_| View::default()).collect(),
            streams: SmallVec::new(),
            dirty_us: None,
            waiting: None,
            rules_seen: 0,
            is_pending: false,
            _charge: charge,
        }
    }

    /// Goes on with other correlations: those that had these places so far, in this order.
    pub(super) fn rearrange(&mut self, places: impl Iterator<Item = usize>) {
        let views = places.map(|place| std::mem::take(&mut self.views[place]));
        self.views = views.collect();
        self.entries.forget_bins();
    }

    /// What all of its correlations see, and what each of them knows.
    pub(super) fn split(&mut self) -> (Gathered<'_>, &mut [View]) {
        let gathered = Gathered {
            values: &self.values,
            entries: &self.entries,
            rules_seen: self.rules_seen.count_ones(),
        };
        (gathered, &mut self.views)
    }

    /// What all of its correlations see.
    pub(super) fn gathered(&self) -> Gathered<'_> {
        Gathered {
            values: &self.values,
            entries: &self.entries,
            rules_seen: self.rules_seen.count_ones(),
        }
    }

    /// Reads a little of all that a match or a look at the group needs. Done for many groups before anything else, the
    /// processor fetches them from memory together, not one after the other.
    pub(super) fn touch(&self) -> u64 {
        let last_us = self.entries.last().map_or(0, |last| last.time_us);
        let dirty_us = self.dirty_us.map_or(0, |(from_us, _)| from_us);
        let waits_us = self.waiting.map_or(0, |(_, until_us)| until_us);
        let numbers = last_us ^ dirty_us ^ waits_us;
        let views = self.views.iter().map(View::touch);
        numbers as u64 ^ views.fold(self.rules_seen, |all, one| all ^ one)
    }

    /// Adds an entry at its place and returns that; `None` for a match that it has already.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<usize> {
        let at = self.entries.place_of(&entry)?;
        self.rules_seen |= 1 << entry.position.min(63);
        let cursors = self
            .views
            .iter_mut()
            .filter_map(|view| view.cursor.as_mut());
        cursors.for_each(|cursor| cursor.insert(at, &entry));
        self.entries.insert(at, entry);
        Some(at)
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
        for view in &mut self.views {
            view.cursor.take_if(|cursor| !cursor.drop_front(count));
        }
        dropped
    }
}

impl View {
    fn touch(&self) -> u64 {
        let left = self.cursor.as_ref().map_or(0, |cursor| cursor.left());
        let last_log = self.passing.as_ref().and_then(|passing| {
            let (cell, _) = passing.last_log.as_ref()?;
            Some(*cell)
        });
        let raised = self.raised.first_unsettled().unwrap_or(0);
        (raised ^ last_log.unwrap_or(0)) as u64 ^ left as u64
    }
}
