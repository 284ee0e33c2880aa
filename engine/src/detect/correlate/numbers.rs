//! What is computed from the values in a window: sums, means, percentiles and shares.

use std::collections::BTreeMap;

use citywatch_rules::correlation::{Bound, CorrelationKind};

use super::bag::{Bag, Counted};
use super::entries::Entry;
use super::ranked::Ranked;
use super::tally::IdMap;

/// Values by event, each event once: its largest number, and each of its texts.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    events: IdMap<EventValues>,
    sum: i128,
    sum_of_positive: i128,
    sorted: Ranked,
    /// How many events have each text.
    texts: IdMap<u32>,
    /// How many texts so many events have.
    by_occurrences: BTreeMap<u32, u32>,
    /// Events that have a text.
    events_with_text: u32,
    /// Texts of events that are no numbers, each once per event.
    texts_without_number: u32,
}

/// The values of one event: most have one, an alert may have one for each of its moments.
#[derive(Debug, Default)]
struct EventValues {
    numbers: Bag<i128>,
    /// Hashes of texts, with whether they are numbers.
    texts: Bag<(u128, bool)>,
}

impl Numbers {
    /// Counts an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        self.change(entry, Counted::In);
    }

    /// Takes back an entry that was counted.
    pub(super) fn remove(&mut self, entry: &Entry) {
        self.change(entry, Counted::Out);
    }

    /// Changes the values of the entry's event, and what it counts for where that is another by then.
    fn change(&mut self, entry: &Entry, counted: Counted) {
        let Some(text) = entry.value.text() else {
            return;
        };
        let number = entry.value.millionths();
        let mut values = self.events.remove(&entry.source).unwrap_or_default();
        if let Some(number) = number {
            let before = values.numbers.largest();
            values.numbers.change(number, counted);
            let now = values.numbers.largest();
            if before != now {
                before
                    .into_iter()
                    .for_each(|number| self.count_number(number, Counted::Out));
                now.into_iter()
                    .for_each(|number| self.count_number(number, Counted::In));
            }
        }
        let had_text = !values.texts.is_empty();
        if values.texts.change((text, number.is_some()), counted) {
            self.count_text(text, counted);
            if number.is_none() {
                self.texts_without_number = counted.apply(self.texts_without_number);
            }
        }
        if values.texts.is_empty() == had_text {
            self.events_with_text = counted.apply(self.events_with_text);
        }
        if !values.texts.is_empty() {
            self.events.insert(entry.source, values);
        }
    }

    fn count_number(&mut self, number: i128, counted: Counted) {
        let sign = if counted == Counted::In { 1 } else { -1 };
        self.sum += sign * number;
        self.sum_of_positive += sign * number.max(0);
        match counted {
            Counted::In => self.sorted.insert(number),
            Counted::Out => self.sorted.remove(number),
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
                        self.events_with_text.into(),
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
