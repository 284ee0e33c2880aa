//! Where a correlation's condition holds in a group: its moments.
//!
//! README.md of the rules crate, "Windows", is what this computes, by sliding one window over the
//! entries instead of building each anew.

use std::ops::Range;

use super::entries::{Entries, Entry};
use super::tally::{Judged, Tally};

/// The condition held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// When: the time of the window's last match.
    pub(super) time_us: i64,
    /// Where the window begins.
    pub(super) from_us: i64,
}

/// How to go on after a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// With the next one.
    Next,
    /// With those at or after this time.
    SkipTo(i64),
    /// Not at all.
    Stop,
}

/// A window that was slid up to an entry, to be slid on from there.
#[derive(Debug)]
pub(super) struct Cursor {
    tally: Tally,
    /// First entry in the window.
    left: usize,
    /// Its time.
    left_us: i64,
    /// First entry that was not looked at.
    next: usize,
}

impl Cursor {
    fn at(judged: &Judged, entries: &Entries, next: usize) -> Self {
        let mut cursor = Self {
            tally: Tally::new(&judged.correlation),
            left: next,
            left_us: i64::MAX,
            next,
        };
        if let Some(entry) = entries.get(next) {
            cursor.left =
                entries.first_at(entry.time_us.saturating_sub(judged.correlation.timespan_us));
            entries
                .range(cursor.left..next)
                .for_each(|entry| cursor.tally.add(entry));
            cursor.left_us = entries.at(cursor.left).time_us;
        }
        cursor
    }

    /// The place of the first entry in the window.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The same before entry `next`; anew where it is too far away.
    fn moved_to(mut self: Box<Self>, judged: &Judged, entries: &Entries, next: usize) -> Box<Self> {
        let is_near = next.abs_diff(self.next) <= self.next - self.left;
        let is_back = next < self.next;
        if !is_near || is_back && next <= self.left {
            return Box::new(Self::at(judged, entries, next));
        }
        while self.next < next {
            self.tally.add(entries.at(self.next));
            self.next += 1;
        }
        if is_back {
            while self.next > next {
                self.next -= 1;
                self.tally.remove(entries.at(self.next));
            }
            let Some(entry) = entries.get(next) else {
                return self;
            };
            let from_us = entry.time_us.saturating_sub(judged.correlation.timespan_us);
            while self.left > 0 && entries.at(self.left - 1).time_us >= from_us {
                self.left -= 1;
                self.tally.add(entries.at(self.left));
            }
            self.left_us = entries.at(self.left).time_us;
        }
        self
    }

    /// Moves the window on to the matches at `time_us` and returns whether the condition holds.
    fn slide(&mut self, judged: &Judged, entries: &Entries, time_us: i64, from_us: i64) -> bool {
        while let Some(entry) = entries
            .get(self.next)
            .filter(|entry| entry.time_us == time_us)
        {
            self.tally.add(entry);
            self.next += 1;
        }
        while self.left_us < from_us {
            self.tally.remove(entries.at(self.left));
            self.left += 1;
            self.left_us = entries.at(self.left).time_us;
        }
        self.tally.holds(judged)
    }

    /// Notes that an entry was inserted at `at`.
    pub(super) fn insert(&mut self, at: usize, entry: &Entry) {
        if at >= self.next {
            return;
        }
        self.next += 1;
        if at < self.left {
            self.left += 1;
        } else {
            self.tally.add(entry);
            if at == self.left {
                self.left_us = entry.time_us;
            }
        }
    }

    /// So many entries were dropped from the front; whether none of them is in its window.
    pub(super) fn drop_front(&mut self, count: usize) -> bool {
        let is_right = self.left >= count;
        self.left = self.left.saturating_sub(count);
        self.next = self.next.saturating_sub(count);
        is_right
    }
}

/// Moments of a monotone condition with times in `times_us`: the window before each match. `cursor` is
/// where an earlier call ended. `skip` says for a match's time until when matches need not be looked at.
pub(super) fn monotone(
    judged: &Judged,
    entries: &Entries,
    times_us: Range<i64>,
    cursor: &mut Option<Box<Cursor>>,
    skip: impl Fn(i64) -> Option<i64>,
    mut on: impl FnMut(Moment) -> Step,
) {
    let mut next = entries.first_at(times_us.start);
    let mut sliding = cursor
        .take()
        .map(|cursor| cursor.moved_to(judged, entries, next));
    while let Some(entry) = entries
        .get(next)
        .filter(|entry| entry.time_us < times_us.end)
    {
        let time_us = entry.time_us;
        if let Some(later_us) = skip(time_us) {
            next = entries.first_at(later_us);
            sliding = None;
            continue;
        }
        let mut now = sliding
            .take()
            .unwrap_or_else(|| Box::new(Cursor::at(judged, entries, next)));
        let from_us = time_us.saturating_sub(judged.correlation.timespan_us);
        let holds = now.slide(judged, entries, time_us, from_us);
        next = now.next;
        match if holds {
            on(Moment { time_us, from_us })
        } else {
            Step::Next
        } {
            Step::Next => sliding = Some(now),
            Step::SkipTo(later_us) => next = next.max(entries.first_at(later_us)),
            Step::Stop => return,
        }
    }
    *cursor = sliding;
}

/// Moments of any other condition: full windows that begin with a match at a time in `starts_us` and
/// that no earlier match's window contains.
pub(super) fn full(
    judged: &Judged,
    entries: &Entries,
    starts_us: Range<i64>,
    mut on: impl FnMut(Moment) -> Step,
) {
    let timespan_us = judged.correlation.timespan_us;
    let mut left = entries.first_at(starts_us.start);
    let mut right = left;
    let mut tally = Tally::new(&judged.correlation);
    let mut reached_us = match left.checked_sub(1) {
        Some(before) => entries.at(before).time_us.saturating_add(timespan_us),
        None => i64::MIN,
    };
    while let Some(entry) = entries
        .get(left)
        .filter(|entry| entry.time_us < starts_us.end)
    {
        let from_us = entry.time_us;
        let to_us = from_us.saturating_add(timespan_us);
        while let Some(entry) = entries.get(right).filter(|entry| entry.time_us <= to_us) {
            tally.add(entry);
            right += 1;
        }
        let last_us = entries.at(right - 1).time_us;
        let is_maximal = last_us > reached_us || reached_us == i64::MIN;
        if is_maximal
            && tally.holds(judged)
            && on(Moment {
                time_us: last_us,
                from_us,
            }) == Step::Stop
        {
            return;
        }
        while let Some(entry) = entries.get(left).filter(|entry| entry.time_us == from_us) {
            tally.remove(entry);
            left += 1;
        }
        reached_us = to_us;
    }
}
