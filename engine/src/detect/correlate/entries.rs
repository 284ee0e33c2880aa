//! The matches of a group in the order of their times.
//!
//! A group's matches are seldom in the processor's cache when the next one comes. What is asked of them each time
//! (when the first and the last one were, how many are in the newest bin) is therefore kept beside them.

use std::collections::VecDeque;
use std::num::NonZeroU128;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::evidence::{Shown, fetch};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryValue {
    /// The value, or the values taken together, as text: a hash. `None`: absent, not counted.
    text: Option<NonZeroU128>,
    /// The value in millionths, where it is a number and computed with; [`NO_NUMBER`] otherwise.
    millionths: i128,
}

/// Far beyond the numbers that are computed with.
const NO_NUMBER: i128 = i128::MIN;

impl EntryValue {
    /// Nothing that counts.
    pub(super) const NONE: Self = Self {
        text: None,
        millionths: NO_NUMBER,
    };

    /// A value by the hash of its text, and as a number.
    pub(super) fn new(text: u128, millionths: Option<i128>) -> Self {
        Self {
            text: Some(NonZeroU128::new(text).unwrap_or(NonZeroU128::MIN)),
            millionths: millionths.unwrap_or(NO_NUMBER),
        }
    }

    /// The hash of the value as text. `None`: absent, not counted.
    pub(super) fn text(self) -> Option<u128> {
        self.text.map(NonZeroU128::get)
    }

    /// The value in millionths, where it is a number and computed with.
    pub(super) fn millionths(self) -> Option<i128> {
        (self.millionths != NO_NUMBER).then_some(self.millionths)
    }
}

impl Entry {
    /// The order of entries: equal times count as in the order of the rules.
    fn key(&self) -> (i64, u16, u128) {
        (self.time_us, self.position, self.origin)
    }
}

/// Entries sorted by time, rule, match.
#[derive(Debug)]
pub(super) struct Entries {
    list: VecDeque<Entry>,
    /// The time of the first one.
    first_us: i64,
    /// The time of the last one.
    last_us: i64,
    /// For each length of bins the beginning of the last one's bin and how many are in it, where that is known.
    newest_bins: SmallVec<[Option<(i64, u32)>; 3]>,
}

impl Entries {
    /// None so far.
    pub(super) fn new() -> Self {
        Self {
            list: VecDeque::with_capacity(2),
            first_us: i64::MAX,
            last_us: i64::MIN,
            newest_bins: SmallVec::new(),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The time of the first one.
    pub(super) fn first_us(&self) -> Option<i64> {
        (!self.is_empty()).then_some(self.first_us)
    }

    /// The last one.
    pub(super) fn last(&self) -> Option<&Entry> {
        self.list.back()
    }

    /// The one at a place.
    pub(super) fn get(&self, at: usize) -> Option<&Entry> {
        self.list.get(at)
    }

    /// The one at a place that there is.
    pub(super) fn at(&self, at: usize) -> &Entry {
        &self.list[at]
    }

    /// Those at these places.
    pub(super) fn range(&self, places: Range<usize>) -> impl Iterator<Item = &Entry> {
        self.list.range(places)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.list.iter()
    }

    /// The place where an entry belongs; `None` for one that is there already.
    pub(super) fn place_of(&self, entry: &Entry) -> Option<usize> {
        if entry.time_us > self.last_us {
            return Some(self.len());
        }
        let places = self.first_at(entry.time_us)..self.first_at(entry.time_us.saturating_add(1));
        for at in places.clone() {
            match self.list[at].key().cmp(&entry.key()) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return None,
                std::cmp::Ordering::Greater => return Some(at),
            }
        }
        Some(places.end)
    }

    /// Adds an entry at its place.
    pub(super) fn insert(&mut self, at: usize, entry: Entry) {
        self.first_us = self.first_us.min(entry.time_us);
        if at == self.len() {
            self.last_us = entry.time_us;
            self.list.push_back(entry);
        } else {
            self.newest_bins.clear();
            self.list.insert(at, entry);
        }
    }

    /// From now on other bins are asked for.
    pub(super) fn forget_bins(&mut self) {
        self.newest_bins.clear();
    }

    /// The place of the first one at or after a time.
    pub(super) fn first_at(&self, time_us: i64) -> usize {
        if self.is_empty() || time_us > self.last_us {
            return self.len();
        }
        if time_us <= self.first_us {
            return 0;
        }
        // Most often it is asked for one of the last: looked for in steps that double.
        let is_before = |at: usize| self.list[at].time_us < time_us;
        let mut step = 1;
        let mut end = self.len();
        while let Some(at) = end.checked_sub(step)
            && !is_before(at)
        {
            end = at;
            step *= 2;
        }
        let mut begin = end.saturating_sub(step);
        while begin < end {
            let middle = usize::midpoint(begin, end);
            match is_before(middle) {
                true => begin = middle + 1,
                false => end = middle,
            }
        }
        begin
    }

    /// Drops the entries before a time and returns how many they were.
    pub(super) fn drop_before(&mut self, time_us: i64) -> usize {
        if self.first_us >= time_us {
            return 0;
        }
        let count = self.first_at(time_us);
        let shown = self
            .list
            .range(..count)
            .filter_map(|entry| entry.shown.as_ref());
        let kept = shown.map(|shown| &shown.kept);
        std::hint::black_box(kept.clone().map(Arc::strong_count).sum::<usize>());
        // Those that nobody else holds are let go with their events.
        fetch(
            kept.filter(|kept| Arc::strong_count(kept) == 1)
                .map(|kept| &**kept),
        );
        self.list.drain(..count);
        self.first_us = self.list.front().map_or(i64::MAX, |first| first.time_us);
        if self.is_empty() {
            self.last_us = i64::MIN;
        }
        for bin in &mut self.newest_bins {
            bin.take_if(|(start_us, _)| *start_us < time_us);
        }
        count
    }

    /// Whether the entry that was just added at a place is among the first ones of its bin, of those that time is
    /// divided into, in one of several ways. As the first ones of each bin are shown, which ones does not depend on
    /// the order in which they came.
    pub(super) fn is_shown(&mut self, at: usize, bins: &Bins) -> bool {
        if at + 1 < self.len() {
            return self.is_first_of_a_bin(at, bins);
        }
        self.newest_bins.resize(bins.lengths_us.len(), None);
        let mut is_shown = false;
        for (way, &bin_us) in bins.lengths_us.iter().enumerate() {
            let bin_start_us = bin_start_us(self.last_us, bin_us);
            let count = match self.newest_bins[way] {
                Some((start_us, count)) if start_us == bin_start_us => count.saturating_add(1),
                Some(_) => 1,
                None => {
                    let count = self.len() - self.first_at(bin_start_us);
                    u32::try_from(count).unwrap_or(u32::MAX)
                }
            };
            self.newest_bins[way] = Some((bin_start_us, count));
            is_shown |= count as usize <= bins.limit;
        }
        is_shown
    }

    fn is_first_of_a_bin(&self, at: usize, bins: &Bins) -> bool {
        let Some(before) = at.checked_sub(bins.limit).map(|before| &self.list[before]) else {
            return true;
        };
        let time_us = self.list[at].time_us;
        let mut lengths_us = bins.lengths_us.iter();
        lengths_us.any(|&bin_us| before.time_us < bin_start_us(time_us, bin_us))
    }

    /// Shows an entry, and no longer those that it pushed beyond the limit of all of their bins. Returns how many
    /// these are.
    pub(super) fn show(&mut self, at: usize, shown: Shown, bins: &Bins) -> u64 {
        self.list[at].shown = Some(shown);
        let mut hidden = 0;
        if at + 1 == self.len() || self.len() <= bins.limit {
            return hidden;
        }
        for &bin_us in &bins.lengths_us {
            let bin_start_us = bin_start_us(self.list[at].time_us, bin_us);
            let beyond = self.first_at(bin_start_us) + bins.limit;
            let is_in_bin = |entry: &Entry| entry.time_us < bin_start_us.saturating_add(bin_us);
            if self.get(beyond).is_some_and(is_in_bin) && !self.is_first_of_a_bin(beyond, bins) {
                hidden += u64::from(self.list[beyond].shown.take().is_some());
            }
        }
        hidden
    }

    /// The entries at these places, each with whether it is among the first ones of its bin.
    pub(super) fn ranked(
        &self,
        places: Range<usize>,
        bin_us: i64,
        limit: usize,
    ) -> impl Iterator<Item = (&Entry, bool)> {
        let first = self.get(places.start).filter(|_| !places.is_empty());
        let mut bin = first.map_or((i64::MIN, 0), |first| {
            let start_us = bin_start_us(first.time_us, bin_us);
            (start_us, places.start - self.first_at(start_us))
        });
        self.range(places).map(move |entry| {
            if entry.time_us >= bin.0.saturating_add(bin_us) {
                bin = (bin_start_us(entry.time_us, bin_us), 0);
            }
            bin.1 += 1;
            (entry, bin.1 <= limit)
        })
    }
}

/// The ways in which time is divided into bins, of which the first entries are shown.
#[derive(Debug)]
pub(super) struct Bins {
    /// How long a bin is, each way once.
    pub(super) lengths_us: SmallVec<[i64; 3]>,
    /// How many entries of a bin are shown.
    pub(super) limit: usize,
}

fn bin_start_us(time_us: i64, bin_us: i64) -> i64 {
    time_us.div_euclid(bin_us).saturating_mul(bin_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(time_us: i64, origin: u128) -> Entry {
        Entry {
            time_us,
            position: 0,
            origin,
            source: origin,
            value: EntryValue::NONE,
            shown: None,
        }
    }

    #[test]
    fn entries_are_as_in_a_sorted_list_whatever_order_they_come_in() {
        const BIN_US: i64 = 10;
        const LIMIT: usize = 3;
        let bins = Bins {
            lengths_us: SmallVec::from_slice(&[BIN_US, 7]),
            limit: LIMIT,
        };
        let mut state = 11u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..200 {
            let mut entries = Entries::new();
            let mut known: Vec<(i64, u16, u128)> = Vec::new();
            let mut dropped_us = i64::MIN;
            for step in 0..120 {
                let time_us = (step + next(40)) as i64;
                if next(12) == 0 {
                    dropped_us = dropped_us.max(time_us - 30);
                    let before = known.len();
                    known.retain(|key| key.0 >= dropped_us);
                    assert_eq!(entries.drop_before(dropped_us), before - known.len());
                }
                let new = entry(time_us, u128::from(next(4)));
                let place = known.binary_search(&new.key());
                assert_eq!(entries.place_of(&new), place.err());
                if let Err(at) = place {
                    known.insert(at, new.key());
                    entries.insert(at, new);
                    let is_first = |bin_us: i64| {
                        let start_us = time_us.div_euclid(bin_us) * bin_us;
                        let in_bin = known[..at].iter().filter(|key| key.0 >= start_us);
                        in_bin.count() < LIMIT
                    };
                    let is_shown = is_first(BIN_US) || is_first(7);
                    assert_eq!(entries.is_shown(at, &bins), is_shown);
                    let mut ranked = entries.ranked(at..at + 1, BIN_US, LIMIT);
                    assert_eq!(
                        ranked.next().map(|(_, first)| first),
                        Some(is_first(BIN_US))
                    );
                }
                let asked_us = next(170) as i64;
                assert_eq!(
                    entries.first_at(asked_us),
                    known.partition_point(|key| key.0 < asked_us)
                );
                assert_eq!(entries.first_us(), known.first().map(|key| key.0));
                assert!(entries.iter().map(Entry::key).eq(known.iter().copied()));
            }
        }
    }
}
