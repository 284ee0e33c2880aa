//! What a correlation computes over the matches in a window, kept up to date while the window slides.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use citywatch_rules::Correlation;
use citywatch_rules::correlation::{Bound, CorrelationKind, Order, RuleExpr, RuleTarget};
use citywatch_rules::rule::{CompareOp, Number};
use citywatch_rules::ways::{Way, ways};
use smallvec::SmallVec;

use super::entries::Entry;
use super::numbers::Numbers;

/// A correlation with what its condition needs to be judged.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) correlation: Arc<Correlation>,
    /// For a condition in words whose rules must match in order: the ways in which it holds.
    ways: Vec<Way>,
}

impl Judged {
    pub(super) fn new(correlation: &Arc<Correlation>) -> Self {
        let ways = match &correlation.kind {
            CorrelationKind::TemporalExtended {
                condition,
                order: Order::AsWritten,
                ..
            } => ways(condition),
            _ => None,
        };
        Self {
            correlation: Arc::clone(correlation),
            // The reader refuses a condition that has too many.
            ways: ways.unwrap_or_default(),
        }
    }
}

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
    /// Times of the matches of each rule, in their order.
    Times(Vec<VecDeque<i64>>),
    /// Values of events.
    Numbers(Box<Numbers>),
}

impl Tally {
    /// Nothing counted yet.
    pub(super) fn new(correlation: &Correlation) -> Self {
        let rules = correlation.rules.len();
        match &correlation.kind {
            CorrelationKind::EventCount { .. } => match &correlation.rules[..] {
                [only] if matches!(only.target, RuleTarget::Rule { .. }) => Self::Matches(0),
                _ => Self::Events(Counts::default()),
            },
            CorrelationKind::ValueCount { .. } => Self::Values(Counts::default()),
            CorrelationKind::Temporal { .. }
            | CorrelationKind::TemporalExtended {
                order: Order::Any, ..
            } => Self::Rules(vec![0; rules]),
            CorrelationKind::TemporalOrdered { .. } | CorrelationKind::TemporalExtended { .. } => {
                Self::Times(vec![VecDeque::new(); rules])
            }
            CorrelationKind::ValueSum { .. }
            | CorrelationKind::ValueAvg { .. }
            | CorrelationKind::ValuePercentile { .. } => Self::Numbers(Box::default()),
        }
    }

    /// Counts an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        match self {
            Self::Matches(count) => *count += 1,
            Self::Events(counts) => counts.add(entry.source),
            Self::Values(counts) => entry
                .value
                .text()
                .into_iter()
                .for_each(|text| counts.add(text)),
            Self::Rules(counts) => counts[usize::from(entry.position)] += 1,
            Self::Times(times) => add_time(&mut times[usize::from(entry.position)], entry.time_us),
            Self::Numbers(numbers) => numbers.add(entry),
        }
    }

    /// Takes back an entry that was counted.
    pub(super) fn remove(&mut self, entry: &Entry) {
        match self {
            Self::Matches(count) => *count -= 1,
            Self::Events(counts) => counts.remove(entry.source),
            Self::Values(counts) => entry
                .value
                .text()
                .into_iter()
                .for_each(|text| counts.remove(text)),
            Self::Rules(counts) => counts[usize::from(entry.position)] -= 1,
            Self::Times(times) => {
                remove_time(&mut times[usize::from(entry.position)], entry.time_us)
            }
            Self::Numbers(numbers) => numbers.remove(entry),
        }
    }

    /// Whether the condition holds for what is counted.
    pub(super) fn holds(&self, condition: &Judged) -> bool {
        match (self, &condition.correlation.kind) {
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
                words_hold(condition, &matched)
            }
            (Self::Times(times), CorrelationKind::TemporalOrdered { condition }) => {
                count_holds(condition, longest_run(times))
            }
            (Self::Times(times), CorrelationKind::TemporalExtended { .. }) => {
                condition.ways.iter().any(|way| holds_in_order(*way, times))
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

/// Matches of one rule mostly come in the order of their times.
fn add_time(times: &mut VecDeque<i64>, time_us: i64) {
    match times.back() {
        Some(&last_us) if last_us > time_us => {
            times.insert(times.partition_point(|&known| known <= time_us), time_us);
        }
        _ => times.push_back(time_us),
    }
}

/// Most often it is the first that leaves the window.
fn remove_time(times: &mut VecDeque<i64>, time_us: i64) {
    match times.front() {
        Some(&first_us) if first_us == time_us => {
            times.pop_front();
        }
        _ => {
            if let Ok(at) = times.binary_search(&time_us) {
                times.remove(at);
            }
        }
    }
}

/// The first of these times that is not before another.
fn next_time(times: &VecDeque<i64>, from_us: i64) -> Option<i64> {
    times
        .get(times.partition_point(|&time_us| time_us < from_us))
        .copied()
}

/// The most of the rules that can be picked with one match each, in their order, at times that do not decrease.
/// Equal times count as in the order of the rules.
fn longest_run(times: &[VecDeque<i64>]) -> usize {
    // By length the earliest time at which a run of that length can end.
    let mut ends_us: SmallVec<[i64; 16]> = SmallVec::new();
    ends_us.push(i64::MIN);
    for of_rule in times.iter().filter(|times| !times.is_empty()) {
        for length in (1..=ends_us.len()).rev() {
            let Some(end_us) = next_time(of_rule, ends_us[length - 1]) else {
                continue;
            };
            match ends_us.get_mut(length) {
                Some(known_us) => *known_us = end_us.min(*known_us),
                None => ends_us.push(end_us),
            }
        }
    }
    ends_us.len() - 1
}

/// Whether the rules of a way have matches in their order, and those that must not match have none.
fn holds_in_order(way: Way, times: &[VecDeque<i64>]) -> bool {
    let rules = |bits: u32| (0..times.len().min(32)).filter(move |rule| bits >> rule & 1 == 1);
    if rules(way.absent).any(|rule| !times[rule].is_empty()) {
        return false;
    }
    let first = Some(i64::MIN);
    let last = rules(way.picked).fold(first, |from_us, rule| next_time(&times[rule], from_us?));
    last.is_some()
}

/// A condition in words, in any order.
fn words_hold(condition: &RuleExpr, matched: &dyn Fn(usize) -> bool) -> bool {
    match condition {
        RuleExpr::Rule(rule) => matched(*rule),
        RuleExpr::And(parts) => parts.iter().all(|part| words_hold(part, matched)),
        RuleExpr::Or(parts) => parts.iter().any(|part| words_hold(part, matched)),
        RuleExpr::Not(part) => !words_hold(part, matched),
    }
}
