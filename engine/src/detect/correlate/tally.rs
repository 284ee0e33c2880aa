//! What a correlation computes over the matches in a window, kept up to date while the window slides.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use citywatch_rules::Correlation;
use citywatch_rules::correlation::{Bound, CorrelationKind, Order, RuleExpr, RuleTarget};
use citywatch_rules::rule::{CompareOp, Number};
use smallvec::SmallVec;

use super::group::Entry;

/// Hashes ids that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u128(&mut self, id: u128) {
        self.0 = (id >> 64) as u64 ^ id as u64;
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = self.0.rotate_left(29) ^ u64::from_le_bytes(word);
        }
    }
}

/// A map by ids that are hashes already.
pub(super) type IdMap<T> = HashMap<u128, T, BuildHasherDefault<IdHasher>>;

/// How often each thing occurs.
#[derive(Debug, Default)]
pub(super) struct Counts(IdMap<u32>);

impl Counts {
    fn add(&mut self, id: u128) {
        *self.0.entry(id).or_insert(0) += 1;
    }

    fn remove(&mut self, id: u128) {
        if let Some(count) = self.0.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&id);
            }
        }
    }
}

/// What was counted in the window so far.
#[derive(Debug)]
pub(super) enum Tally {
    /// Matches, each of an event of its own.
    Matches(usize),
    /// Different events.
    Events(Counts),
    /// Different values.
    Values(Counts),
    /// Matches of each rule.
    Rules(Vec<u32>),
    /// Ordered runs in windows that only move on: by length and last rule, the latest time at which
    /// such a run can have begun.
    Runs(Vec<Vec<i64>>),
    /// Times and rules, for what is computed anew for each window.
    Order(VecDeque<(i64, u16)>),
    /// Values of events.
    Numbers(Box<Numbers>),
}

impl Tally {
    /// Nothing counted yet.
    pub(super) fn new(correlation: &Correlation) -> Self {
        let (kind, rules) = (&correlation.kind, correlation.rules.len());
        match kind {
            CorrelationKind::EventCount { .. } => match &correlation.rules[..] {
                [only] if matches!(only.target, RuleTarget::Rule { .. }) => Self::Matches(0),
                _ => Self::Events(Counts::default()),
            },
            CorrelationKind::ValueCount { .. } => Self::Values(Counts::default()),
            CorrelationKind::Temporal { .. }
            | CorrelationKind::TemporalExtended {
                order: Order::Any, ..
            } => Self::Rules(vec![0; rules]),
            CorrelationKind::TemporalOrdered { .. } if kind.is_monotone() => {
                Self::Runs(vec![vec![i64::MIN; rules]; rules + 1])
            }
            CorrelationKind::TemporalOrdered { .. } | CorrelationKind::TemporalExtended { .. } => {
                Self::Order(VecDeque::new())
            }
            CorrelationKind::ValueSum { .. }
            | CorrelationKind::ValueAvg { .. }
            | CorrelationKind::ValuePercentile { .. } => Self::Numbers(Box::default()),
        }
    }

    /// Whether entries may be added in any order, and any of them taken back.
    pub(super) fn is_unordered(&self) -> bool {
        !matches!(self, Self::Runs(_) | Self::Order(_))
    }

    /// Counts an entry; where the order matters, one that is not before any that was added.
    pub(super) fn add(&mut self, entry: &Entry) {
        match self {
            Self::Matches(count) => *count += 1,
            Self::Events(counts) => counts.add(entry.source),
            Self::Values(counts) => entry
                .value
                .text
                .into_iter()
                .for_each(|text| counts.add(text)),
            Self::Rules(counts) => counts[usize::from(entry.position)] += 1,
            Self::Runs(starts) => add_to_runs(starts, usize::from(entry.position), entry.time_us),
            Self::Order(order) => order.push_back((entry.time_us, entry.position)),
            Self::Numbers(numbers) => numbers.add(entry),
        }
    }

    /// Takes back an entry; where the order matters, the one that was added first of those that are left.
    pub(super) fn remove(&mut self, entry: &Entry) {
        match self {
            Self::Matches(count) => *count -= 1,
            Self::Events(counts) => counts.remove(entry.source),
            Self::Values(counts) => entry
                .value
                .text
                .into_iter()
                .for_each(|text| counts.remove(text)),
            Self::Rules(counts) => counts[usize::from(entry.position)] -= 1,
            Self::Runs(_) => {}
            Self::Order(order) => {
                order.pop_front();
            }
            Self::Numbers(numbers) => numbers.remove(entry),
        }
    }

    /// Whether the condition holds for what is counted. `from_us` is the window's beginning.
    pub(super) fn holds(&self, kind: &CorrelationKind, from_us: i64) -> bool {
        match (self, kind) {
            (Self::Matches(count), CorrelationKind::EventCount { condition }) => {
                count_holds(condition, *count)
            }
            (Self::Events(counts), CorrelationKind::EventCount { condition })
            | (Self::Values(counts), CorrelationKind::ValueCount { condition, .. }) => {
                count_holds(condition, counts.0.len())
            }
            (Self::Rules(counts), CorrelationKind::Temporal { condition }) => {
                count_holds(condition, counts.iter().filter(|&&count| count > 0).count())
            }
            (Self::Rules(counts), CorrelationKind::TemporalExtended { condition, .. }) => {
                let matched = |rule: usize| counts[rule] > 0;
                words_hold(condition, &matched, &matched)
            }
            (Self::Runs(starts), CorrelationKind::TemporalOrdered { condition }) => {
                let within = |length: &usize| starts[*length].iter().any(|&start| start >= from_us);
                count_holds(condition, (1..starts.len()).rev().find(within).unwrap_or(0))
            }
            (Self::Order(order), CorrelationKind::TemporalOrdered { condition }) => {
                count_holds(condition, longest_run(order, &|_| true))
            }
            (Self::Order(order), CorrelationKind::TemporalExtended { condition, .. }) => {
                words_hold_in_order(condition, order)
            }
            (Self::Numbers(numbers), kind) => numbers.hold(kind),
            // A tally is made for its kind.
            _ => false,
        }
    }
}

/// How many matches a window must hold at least for a monotone condition to hold.
pub(super) fn matches_needed(kind: &CorrelationKind) -> usize {
    let (CorrelationKind::EventCount { condition }
    | CorrelationKind::ValueCount { condition, .. }
    | CorrelationKind::Temporal { condition }
    | CorrelationKind::TemporalOrdered { condition }) = kind
    else {
        return 1;
    };
    let least = condition
        .iter()
        .map(|bound| match (bound.op, bound.number) {
            (CompareOp::GreaterOrEqual, Number::Int(count)) => count,
            (CompareOp::Greater, Number::Int(count)) => count.saturating_add(1),
            _ => 1,
        });
    let least = least.max().unwrap_or(1);
    usize::try_from(least).unwrap_or(1).max(1)
}

fn count_holds(condition: &[Bound], count: usize) -> bool {
    let millionths = i128::try_from(count)
        .unwrap_or(i128::MAX)
        .saturating_mul(1_000_000);
    condition.iter().all(|bound| bound.holds(millionths, 1))
}

/// `starts[length][rule]`: the latest start of a run of that length that ends with that rule. Entries of one time come in
/// the order of the rules, so that they count as in order.
fn add_to_runs(starts: &mut [Vec<i64>], rule: usize, time_us: i64) {
    for length in (1..starts.len()).rev() {
        let start = match length {
            1 => time_us,
            _ => starts[length - 1][..rule]
                .iter()
                .copied()
                .max()
                .unwrap_or(i64::MIN),
        };
        starts[length][rule] = starts[length][rule].max(start);
    }
}

/// The most of the rules that `counts` can be picked with one match each, in their order, at times that do not decrease.
fn longest_run(order: &VecDeque<(i64, u16)>, counts: &dyn Fn(u16) -> bool) -> usize {
    let mut longest: Vec<usize> = Vec::new();
    for &(_, rule) in order.iter().filter(|(_, rule)| counts(*rule)) {
        let rule = usize::from(rule);
        if longest.len() <= rule {
            longest.resize(rule + 1, 0);
        }
        let before = longest[..rule].iter().max().copied().unwrap_or(0);
        longest[rule] = longest[rule].max(before + 1);
    }
    longest.into_iter().max().unwrap_or(0)
}

/// A condition in words. Names that must hold are looked up in `picked`, those that must not in `matched`.
fn words_hold(
    condition: &RuleExpr,
    picked: &dyn Fn(usize) -> bool,
    matched: &dyn Fn(usize) -> bool,
) -> bool {
    match condition {
        RuleExpr::Rule(rule) => picked(*rule),
        RuleExpr::And(parts) => parts.iter().all(|part| words_hold(part, picked, matched)),
        RuleExpr::Or(parts) => parts.iter().any(|part| words_hold(part, picked, matched)),
        RuleExpr::Not(part) => !words_hold(part, matched, picked),
    }
}

/// Whether some choice of matched rules makes the condition true and has matches in the order of the rules.
/// The reader allows at most 16 rules here.
fn words_hold_in_order(condition: &RuleExpr, order: &VecDeque<(i64, u16)>) -> bool {
    let matched: BTreeSet<u16> = order.iter().map(|entry| entry.1).collect();
    let rules: Vec<u16> = matched.iter().copied().collect();
    let is_in = |rules: &[u16], rule: usize| rules.iter().any(|&known| usize::from(known) == rule);
    (0u32..1 << rules.len().min(16)).any(|choice| {
        let picked: Vec<u16> = rules
            .iter()
            .enumerate()
            .filter(|(bit, _)| choice >> bit & 1 == 1)
            .map(|(_, &rule)| rule)
            .collect();
        words_hold(condition, &|rule| is_in(&picked, rule), &|rule| {
            is_in(&rules, rule)
        }) && longest_run(order, &|rule| picked.contains(&rule)) == picked.len()
    })
}

/// Values by event, each event once: the value of its first rule that has one, the earliest of that.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Per event its numbers and texts, by rule and time.
    events: IdMap<EventValues>,
    sum: i128,
    sum_of_positive: i128,
    sorted: BTreeMap<i128, u32>,
    count: u32,
    texts: Counts,
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
    fn add(&mut self, entry: &Entry) {
        self.change(entry, |values, entry| {
            let at = (entry.position, entry.time_us);
            if let Some(number) = entry.value.millionths {
                values.numbers.push((at.0, at.1, number));
                values
                    .numbers
                    .sort_unstable_by_key(|value| (value.0, value.1));
            }
            if let Some(text) = entry.value.text {
                values
                    .texts
                    .push((at.0, at.1, (text, entry.value.millionths.is_some())));
                values
                    .texts
                    .sort_unstable_by_key(|value| (value.0, value.1));
            }
        });
    }

    fn remove(&mut self, entry: &Entry) {
        fn take<T>(list: &mut Listed<T>, entry: &Entry) {
            if let Some(at) = list
                .iter()
                .position(|value| (value.0, value.1) == (entry.position, entry.time_us))
            {
                list.remove(at);
            }
        }
        self.change(entry, |values, entry| {
            if entry.value.millionths.is_some() {
                take(&mut values.numbers, entry);
            }
            if entry.value.text.is_some() {
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
            let occurrences = self.sorted.entry(number).or_insert(0);
            *occurrences = counted.apply(*occurrences);
            if *occurrences == 0 {
                self.sorted.remove(&number);
            }
            self.count = counted.apply(self.count);
        }
        if let Some(&(_, _, (text, is_number))) = values.texts.first() {
            match counted {
                Counted::In => self.texts.add(text),
                Counted::Out => self.texts.remove(text),
            }
            self.texts_count = counted.apply(self.texts_count);
            if !is_number {
                self.texts_without_number = counted.apply(self.texts_without_number);
            }
        }
    }

    fn hold(&self, kind: &CorrelationKind) -> bool {
        let all = |condition: &[Bound], sum: i128, count: i128| {
            condition.iter().all(|bound| bound.holds(sum, count))
        };
        match kind {
            CorrelationKind::ValueSum { condition, .. } => all(condition, self.sum_of_positive, 1),
            CorrelationKind::ValueAvg { condition, .. } => {
                self.count > 0 && all(condition, self.sum, self.count.into())
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
                self.texts.0.values().any(share)
            }
            _ => false,
        }
    }

    /// Linear interpolation between the two nearest ranks: rank = (n - 1) * percentile / 100.
    fn interpolated_holds(&self, percentile: i128, condition: &[Bound]) -> bool {
        const WHOLE: i128 = 100_000_000;
        if self.count == 0 {
            return false;
        }
        let rank = i128::from(self.count - 1) * percentile;
        let below = rank / WHOLE;
        let (low, high) = (
            self.at_rank(below),
            self.at_rank((below + 1).min(i128::from(self.count - 1))),
        );
        let scaled = low * WHOLE + (rank % WHOLE) * (high - low);
        condition.iter().all(|bound| bound.holds(scaled, WHOLE))
    }

    /// The number at this place of the sorted numbers.
    fn at_rank(&self, rank: i128) -> i128 {
        let mut before = 0;
        for (&number, &occurrences) in &self.sorted {
            before += i128::from(occurrences);
            if rank < before {
                return number;
            }
        }
        0
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
