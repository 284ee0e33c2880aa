//! Correlation by reference: over all matches at once, each window anew. README.md, "Correlation:
//! windows, alerts, identity", is the text that this follows.

use std::collections::{BTreeMap, BTreeSet};

use citywatch_parsers::Timestamp;

use crate::correlation::{Bound, Correlation, CorrelationKind, Order, RuleExpr, RuleTarget};
use crate::load::RuleSet;
use crate::millionths::millionths_of_text;

/// A rule held for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMatch {
    /// Index into [`RuleSet::rules`].
    pub rule: usize,
    /// Identity of the event.
    pub event: u128,
    /// Time of the event.
    pub time: Timestamp,
    /// The event's fields with their values as text (lists joined by commas); `None` for null.
    pub fields: Vec<(String, Option<String>)>,
}

/// An alert of a correlation once nothing can change it any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettledAlert {
    /// Index into [`RuleSet::correlations`].
    pub correlation: usize,
    /// The `group-by` names with their values.
    pub group: Vec<(String, String)>,
    /// Start of the alert's cell; with correlation and group its identity.
    pub window_start: Timestamp,
    /// When the condition held, in order.
    pub moments: Vec<Timestamp>,
    /// The events in the windows of the moments, in the order of their times and ids.
    pub events: Vec<u128>,
}

/// A point at which a correlation's condition held: what chained correlations count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub time: Timestamp,
    /// The group's alert that it belongs to.
    window_start: Timestamp,
    group: Vec<(String, String)>,
    fields: Vec<(String, Option<String>)>,
    evidence: BTreeSet<(Timestamp, u128)>,
}

/// What a correlation counts: a match of a rule, or a moment of another correlation.
#[derive(Clone, Debug)]
struct Input {
    /// Index into [`Correlation::rules`].
    rule: usize,
    time: Timestamp,
    source: Source,
    fields: Vec<(String, Option<String>)>,
    evidence: BTreeSet<(Timestamp, u128)>,
}

/// What counts as one event.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Event(u128),
    /// An alert counts once, however many moments it has.
    Alert {
        correlation: usize,
        group: Vec<(String, String)>,
        window_start: Timestamp,
    },
}

/// All alerts of all correlations over these matches, sorted. The order of the matches does not matter, and
/// a match that is there twice counts once.
pub fn correlate(set: &RuleSet, matches: &[RuleMatch]) -> Vec<SettledAlert> {
    let mut alerts = Vec::new();
    let mut moments_of: Vec<Vec<Moment>> = Vec::new();
    for (index, correlation) in set.correlations.iter().enumerate() {
        let inputs = inputs_of(correlation, matches, &moments_of);
        let mut all_moments = Vec::new();
        for (group, inputs) in groups_of(correlation, inputs) {
            let moments = moments_in(correlation, &group, &inputs);
            alerts.extend(alerts_of(index, &group, &moments));
            all_moments.extend(moments);
        }
        moments_of.push(all_moments);
    }
    alerts.sort();
    alerts
}

/// Everything that the correlation's rules matched. References go to earlier correlations only.
fn inputs_of(
    correlation: &Correlation,
    matches: &[RuleMatch],
    moments_of: &[Vec<Moment>],
) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for (rule, reference) in correlation.rules.iter().enumerate() {
        match reference.target {
            RuleTarget::Rule { index, .. } => {
                inputs.extend(
                    matches
                        .iter()
                        .filter(|found| found.rule == index)
                        .map(|found| Input {
                            rule,
                            time: found.time,
                            source: Source::Event(found.event),
                            fields: found.fields.clone(),
                            evidence: BTreeSet::from([(found.time, found.event)]),
                        }),
                );
            }
            RuleTarget::Correlation { index, .. } => {
                inputs.extend(moments_of[index].iter().map(|moment| Input {
                    rule,
                    time: moment.time,
                    source: Source::Alert {
                        correlation: index,
                        group: moment.group.clone(),
                        window_start: moment.window_start,
                    },
                    fields: moment.fields.clone(),
                    evidence: moment.evidence.clone(),
                }));
            }
        }
    }
    inputs.sort_by(|a, b| (a.time, &a.source, a.rule).cmp(&(b.time, &b.source, b.rule)));
    inputs
}

/// The value of a `group-by` name or a condition's field in an input; `None` if absent or null.
fn value_of<'a>(correlation: &Correlation, name: &str, input: &'a Input) -> Option<&'a str> {
    let field = correlation.field_of(name, input.rule)?;
    let (_, value) = input.fields.iter().find(|(name, _)| name == field)?;
    value.as_deref()
}

/// Inputs by the values of all `group-by` names. An input that lacks one is left out.
fn groups_of(
    correlation: &Correlation,
    inputs: Vec<Input>,
) -> BTreeMap<Vec<(String, String)>, Vec<Input>> {
    let mut groups: BTreeMap<Vec<(String, String)>, Vec<Input>> = BTreeMap::new();
    for input in inputs {
        let group: Option<Vec<(String, String)>> = correlation
            .group_by
            .iter()
            .map(|name| {
                Some((
                    name.to_string(),
                    value_of(correlation, name, &input)?.to_owned(),
                ))
            })
            .collect();
        if let Some(group) = group {
            groups.entry(group).or_default().push(input);
        }
    }
    groups
}

/// The moments of one group. `inputs` are sorted by time.
fn moments_in(
    correlation: &Correlation,
    group: &[(String, String)],
    inputs: &[Input],
) -> Vec<Moment> {
    let timespan = correlation.timespan_us;
    let times: BTreeSet<i64> = inputs.iter().map(|input| input.time.0).collect();
    let mut moments = Vec::new();
    for &time in &times {
        let (from, to) = if correlation.kind.is_monotone() {
            (time - timespan, time)
        } else {
            // Only windows that no earlier match's window contains.
            let before = times.range(..time).next_back();
            let reaches_further = before.is_none_or(|before| {
                times
                    .range(before + timespan + 1..)
                    .next()
                    .is_some_and(|&t| t <= time + timespan)
            });
            if !reaches_further {
                continue;
            }
            (time, time + timespan)
        };
        let window: Vec<&Input> = inputs
            .iter()
            .filter(|input| (from..=to).contains(&input.time.0))
            .collect();
        if !condition_holds(correlation, &window) {
            continue;
        }
        let evidence: BTreeSet<(Timestamp, u128)> = window
            .iter()
            .flat_map(|input| input.evidence.iter().copied())
            .collect();
        let last = window
            .iter()
            .map(|input| input.time)
            .max()
            .unwrap_or(Timestamp(time));
        for input in window.iter().filter(|input| input.time == last) {
            moments.push(Moment {
                time: last,
                window_start: Timestamp(last.0.div_euclid(timespan) * timespan),
                group: group.to_vec(),
                fields: fields_with_group(&input.fields, group),
                evidence: evidence.clone(),
            });
        }
    }
    moments
}

fn fields_with_group(
    fields: &[(String, Option<String>)],
    group: &[(String, String)],
) -> Vec<(String, Option<String>)> {
    let mut fields: Vec<(String, Option<String>)> = fields
        .iter()
        .filter(|(name, _)| group.iter().all(|(other, _)| other != name))
        .cloned()
        .collect();
    fields.extend(
        group
            .iter()
            .map(|(name, value)| (name.clone(), Some(value.clone()))),
    );
    fields
}

/// One alert per cell that has a moment.
fn alerts_of(
    correlation: usize,
    group: &[(String, String)],
    moments: &[Moment],
) -> Vec<SettledAlert> {
    let mut cells: BTreeMap<Timestamp, Vec<&Moment>> = BTreeMap::new();
    for moment in moments {
        cells.entry(moment.window_start).or_default().push(moment);
    }
    let alert = |(window_start, moments): (Timestamp, Vec<&Moment>)| {
        let times: BTreeSet<Timestamp> = moments.iter().map(|moment| moment.time).collect();
        let evidence: BTreeSet<(Timestamp, u128)> = moments
            .iter()
            .flat_map(|moment| moment.evidence.iter().copied())
            .collect();
        SettledAlert {
            correlation,
            group: group.to_vec(),
            window_start,
            moments: times.into_iter().collect(),
            events: evidence.into_iter().map(|(_, event)| event).collect(),
        }
    };
    cells.into_iter().map(alert).collect()
}

fn condition_holds(correlation: &Correlation, window: &[&Input]) -> bool {
    let count_holds = |condition: &[Bound], count: usize| {
        let millionths = i128::try_from(count)
            .unwrap_or(i128::MAX)
            .saturating_mul(1_000_000);
        condition.iter().all(|bound| bound.holds(millionths, 1))
    };
    match &correlation.kind {
        CorrelationKind::EventCount { condition } => {
            let events: BTreeSet<&Source> = window.iter().map(|input| &input.source).collect();
            count_holds(condition, events.len())
        }
        CorrelationKind::ValueCount { fields, condition } => {
            let values: BTreeSet<Vec<&str>> = window
                .iter()
                .filter_map(|input| {
                    fields
                        .iter()
                        .map(|field| value_of(correlation, field, input))
                        .collect()
                })
                .collect();
            count_holds(condition, values.len())
        }
        CorrelationKind::Temporal { condition } => {
            let rules: BTreeSet<usize> = window.iter().map(|input| input.rule).collect();
            count_holds(condition, rules.len())
        }
        CorrelationKind::TemporalOrdered { condition } => {
            let rules: Vec<usize> = (0..correlation.rules.len()).collect();
            count_holds(condition, longest_run(&rules, window))
        }
        CorrelationKind::TemporalExtended {
            condition,
            order: Order::Any,
            ..
        } => {
            let matched: BTreeSet<usize> = window.iter().map(|input| input.rule).collect();
            words_hold(condition, &matched, &matched)
        }
        CorrelationKind::TemporalExtended {
            condition,
            order: Order::AsWritten,
            ..
        } => words_hold_in_order(condition, window),
        CorrelationKind::ValueSum { field, condition } => {
            let numbers = numbers_of(correlation, field, window);
            let sum: i128 = numbers.iter().filter(|&&number| number >= 0).sum();
            condition.iter().all(|bound| bound.holds(sum, 1))
        }
        CorrelationKind::ValueAvg { field, condition } => {
            let numbers = numbers_of(correlation, field, window);
            let count = numbers.len() as i128;
            count > 0
                && condition
                    .iter()
                    .all(|bound| bound.holds(numbers.iter().sum(), count))
        }
        CorrelationKind::ValuePercentile {
            field,
            percentile,
            condition,
        } => percentile_holds(correlation, field, *percentile, condition, window),
    }
}

/// The most of `rules` that can be picked in this order with one input each, at times that do not decrease.
/// `window` is sorted by time.
fn longest_run(rules: &[usize], window: &[&Input]) -> usize {
    // `longest[i]`: the longest run that ends with `rules[i]`.
    let mut longest = vec![0; rules.len()];
    let times: BTreeSet<Timestamp> = window.iter().map(|input| input.time).collect();
    for time in times {
        // Rules in their order, so that those of the same time count as in order.
        for (place, &rule) in rules.iter().enumerate() {
            if window
                .iter()
                .any(|input| input.time == time && input.rule == rule)
            {
                let before = longest[..place].iter().max().copied().unwrap_or(0);
                longest[place] = longest[place].max(before + 1);
            }
        }
    }
    longest.into_iter().max().unwrap_or(0)
}

/// A condition in words. Names that must hold are looked up in `picked`, those that must not in `matched`.
fn words_hold(condition: &RuleExpr, picked: &BTreeSet<usize>, matched: &BTreeSet<usize>) -> bool {
    match condition {
        RuleExpr::Rule(rule) => picked.contains(rule),
        RuleExpr::And(parts) => parts.iter().all(|part| words_hold(part, picked, matched)),
        RuleExpr::Or(parts) => parts.iter().any(|part| words_hold(part, picked, matched)),
        // What is negated once must not have matched at all; negated twice, it must be picked again.
        RuleExpr::Not(part) => !words_hold(part, matched, picked),
    }
}

/// Whether some choice of matched rules makes the condition true and has matches in the order of the rules.
fn words_hold_in_order(condition: &RuleExpr, window: &[&Input]) -> bool {
    let matched: BTreeSet<usize> = window.iter().map(|input| input.rule).collect();
    let rules: Vec<usize> = matched.iter().copied().collect();
    // The reader allows at most 16 rules here.
    (0u32..1 << rules.len()).any(|choice| {
        let picked: Vec<usize> = rules
            .iter()
            .enumerate()
            .filter(|(bit, _)| choice >> bit & 1 == 1)
            .map(|(_, &rule)| rule)
            .collect();
        words_hold(condition, &picked.iter().copied().collect(), &matched)
            && longest_run(&picked, window) == picked.len()
    })
}

/// The field's numbers in millionths, one per event: the largest where an event has several, as one that
/// several rules matched may have, and an alert with several moments.
fn numbers_of(correlation: &Correlation, field: &str, window: &[&Input]) -> Vec<i128> {
    let mut of_event: BTreeMap<&Source, i128> = BTreeMap::new();
    for input in window {
        if let Some(number) = value_of(correlation, field, input).and_then(millionths_of_text) {
            of_event
                .entry(&input.source)
                .and_modify(|largest| *largest = number.max(*largest))
                .or_insert(number);
        }
    }
    of_event.into_values().collect()
}

fn percentile_holds(
    correlation: &Correlation,
    field: &str,
    percentile: Option<i128>,
    condition: &[Bound],
    window: &[&Input],
) -> bool {
    let mut values: BTreeMap<&Source, BTreeSet<&str>> = BTreeMap::new();
    for input in window {
        if let Some(value) = value_of(correlation, field, input) {
            values.entry(&input.source).or_default().insert(value);
        }
    }
    let all_numbers = values
        .values()
        .flatten()
        .all(|value| millionths_of_text(value).is_some());
    match percentile {
        Some(percentile) => interpolated_holds(
            numbers_of(correlation, field, window),
            percentile,
            condition,
        ),
        None if all_numbers => interpolated_holds(
            numbers_of(correlation, field, window),
            50_000_000,
            condition,
        ),
        None => {
            let total = values.len() as i128;
            let mut counts: BTreeMap<&str, i128> = BTreeMap::new();
            for value in values.into_values().flatten() {
                *counts.entry(value).or_default() += 1;
            }
            // share = 100 * count / total percent
            counts.into_values().any(|count| {
                condition
                    .iter()
                    .all(|bound| bound.holds(count * 100 * 1_000_000, total))
            })
        }
    }
}

/// Linear interpolation between the two nearest ranks: rank = (n - 1) * percentile / 100.
fn interpolated_holds(mut numbers: Vec<i128>, percentile: i128, condition: &[Bound]) -> bool {
    const WHOLE: i128 = 100_000_000;
    if numbers.is_empty() {
        return false;
    }
    numbers.sort_unstable();
    let rank = (numbers.len() as i128 - 1) * percentile;
    let below = usize::try_from(rank / WHOLE).unwrap_or(0);
    let above = (below + 1).min(numbers.len() - 1);
    let scaled = numbers[below] * WHOLE + (rank % WHOLE) * (numbers[above] - numbers[below]);
    condition.iter().all(|bound| bound.holds(scaled, WHOLE))
}
