//! What is computed from the values in a window: sums, means, percentiles and shares.

use std::collections::BTreeMap;

use citywatch_rules::correlation::{Bound, CorrelationKind};
use smallvec::SmallVec;

use super::entries::Entry;
use super::ranked::Ranked;
use super::tally::IdMap;

/// Values by event, each event once: the value of its first rule that has one, the earliest of that.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Per event its numbers and texts, by rule and time.
    events: IdMap<EventValues>,
    sum: i128,
    sum_of_positive: i128,
    sorted: Ranked,
    /// How often each text occurs.
    texts: IdMap<u32>,
    /// How many texts occur so often.
    by_occurrences: BTreeMap<u32, u32>,
    texts_count: u32,
    texts_without_number: u32,
}

type Listed<T> = SmallVec<[(u16, i64, T); 1]>;

#[derive(Debug, Default)]
struct EventValues {
    numbers: Listed<i128>,
    /// Text, and whether it is a number.
    texts: Listed<(u128, bool)>,
}

impl Numbers {
    /// Counts an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.change(entry, |values, entry| {
            let at = (entry.position, entry.time_us);
            if let Some(number) = entry.value.millionths() {
                values.numbers.push((at.0, at.1, number));
                values
                    .numbers
                    .sort_unstable_by_key(|value| (value.0, value.1));
            }
            if let Some(text) = entry.value.text() {
                values
                    .texts
                    .push((at.0, at.1, (text, entry.value.millionths().is_some())));
                values
                    .texts
                    .sort_unstable_by_key(|value| (value.0, value.1));
            }
        });
    }

    /// Takes back an entry that was counted.
    pub(super) fn remove(&mut self, entry: &Entry) {
        fn take<T>(list: &mut Listed<T>, entry: &Entry) {
            if let Some(at) = list
                .iter()
                .position(|value| (value.0, value.1) == (entry.position, entry.time_us))
            {
                list.remove(at);
            }
        }
        self.change(entry, |values, entry| {
            if entry.value.millionths().is_some() {
                take(&mut values.numbers, entry);
            }
            if entry.value.text().is_some() {
                take(&mut values.texts, entry);
            }
        });
    }

    /// Takes out what the event counted for, changes its values, and counts what it stands for then.
    fn change(&mut self, entry: &Entry, change: impl FnOnce(&mut EventValues, &Entry)) {
        let mut values = self.events.remove(&entry.source).unwrap_or_default();
        self.count_event(&values, Counted::Out);
        change(&mut values, entry);
        self.count_event(&values, Counted::In);
        if !values.numbers.is_empty() || !values.texts.is_empty() {
            self.events.insert(entry.source, values);
        }
    }

    fn count_event(&mut self, values: &EventValues, counted: Counted) {
        if let Some(&(_, _, number)) = values.numbers.first() {
            let sign = if counted == Counted::In { 1 } else { -1 };
            self.sum += sign * number;
            self.sum_of_positive += sign * number.max(0);
            match counted {
                Counted::In => self.sorted.insert(number),
                Counted::Out => self.sorted.remove(number),
            }
        }
        if let Some(&(_, _, (text, is_number))) = values.texts.first() {
            self.count_text(text, counted);
            self.texts_count = counted.apply(self.texts_count);
            if !is_number {
                self.texts_without_number = counted.apply(self.texts_without_number);
            }
        }
    }

    fn count_text(&mut self, text: u128, counted: Counted) {
        let before = self.texts.get(&text).copied().unwrap_or(0);
        let now = counted.apply(before);
        for (occurrences, counted) in [(before, Counted::Out), (now, Counted::In)] {
            if occurrences > 0 {
                let texts = self.by_occurrences.entry(occurrences).or_insert(0);
                *texts = counted.apply(*texts);
                if *texts == 0 {
                    self.by_occurrences.remove(&occurrences);
                }
            }
        }
        match now {
            0 => self.texts.remove(&text),
            _ => self.texts.insert(text, now),
        };
    }

    /// Whether a condition on numbers holds.
    pub(super) fn hold(&self, kind: &CorrelationKind) -> bool {
        let all = |condition: &[Bound], sum: i128, count: i128| {
            condition.iter().all(|bound| bound.holds(sum, count))
        };
        match kind {
            CorrelationKind::ValueSum { condition, .. } => all(condition, self.sum_of_positive, 1),
            CorrelationKind::ValueAvg { condition, .. } => {
                let count = self.sorted.len() as i128;
                count > 0 && all(condition, self.sum, count)
            }
            CorrelationKind::ValuePercentile {
                percentile: Some(percentile),
                condition,
                ..
            } => self.interpolated_holds(*percentile, condition),
            CorrelationKind::ValuePercentile {
                percentile: None,
                condition,
                ..
            } => {
                if self.texts_without_number == 0 {
                    return self.interpolated_holds(50_000_000, condition);
                }
                let share = |count: &u32| {
                    all(
                        condition,
                        i128::from(*count) * 100_000_000,
                        self.texts_count.into(),
                    )
                };
                // Texts that occur equally often have the same share.
                self.by_occurrences.keys().any(share)
            }
            _ => false,
        }
    }

    /// Linear interpolation between the two nearest ranks: rank = (n - 1) * percentile / 100.
    fn interpolated_holds(&self, percentile: i128, condition: &[Bound]) -> bool {
        const WHOLE: i128 = 100_000_000;
        let Some(last) = self.sorted.len().checked_sub(1) else {
            return false;
        };
        let rank = last as i128 * percentile;
        let below = usize::try_from(rank / WHOLE).unwrap_or(0);
        let low = self.sorted.at(below);
        let high = self.sorted.at((below + 1).min(last));
        let scaled = low * WHOLE + (rank % WHOLE) * (high - low);
        condition.iter().all(|bound| bound.holds(scaled, WHOLE))
    }
}

/// Whether something begins or ceases to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    In,
    Out,
}

impl Counted {
    fn apply(self, count: u32) -> u32 {
        match self {
            Self::In => count + 1,
            Self::Out => count.saturating_sub(1),
        }
    }
}
