//! Plays tests of rules: records through the parsers, events through the reference evaluator.

use std::collections::BTreeSet;
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    Event, Field, LogSource, Origin, ParseContext, Parser, RecordBatch, Timestamp, Value,
};

use super::{EPOCH, Expected, Group, RuleTest, TestEvent, TestFields};
use crate::correlation::RuleTarget;
use crate::load::RuleSet;
use crate::reference::{self, RuleMatch};
use crate::rule::Alerts;

/// What a test should have shown, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What must match.
    pub expected: Expected,
    /// What matched.
    pub got: Got,
}

/// What matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// Events of a rule, numbered from 1, sorted; a record of several events is there once for each that matches.
    Events(Vec<u32>),
    /// Alerts of a correlation, sorted.
    Alerts(Vec<Group>),
}

impl Got {
    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Self::Events(events) => events.len() as u64,
            Self::Alerts(groups) => groups.len() as u64,
        }
    }
}

impl Outcome {
    /// Whether what matched is what must.
    pub fn passed(&self) -> bool {
        match (&self.expected, &self.got) {
            (Expected::Count(count), got) => *count == got.count(),
            (Expected::Events(expected), Got::Events(got)) => {
                let mut got = got.clone();
                got.dedup();
                *expected == got
            }
            (Expected::Alerts(expected), Got::Alerts(got)) => expected == got,
            (Expected::Events(_), Got::Alerts(_)) | (Expected::Alerts(_), Got::Events(_)) => false,
        }
    }

    /// Expected against got, in words: what is missing, what came besides.
    pub fn told(&self) -> String {
        match (&self.expected, &self.got) {
            (Expected::Count(expected), Got::Events(got)) => {
                let which = if got.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", numbers(got))
                };
                format!("expected {expected} matches, got {}{which}", got.len())
            }
            (Expected::Count(expected), Got::Alerts(got)) => {
                let which = if got.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", groups(got))
                };
                format!("expected {expected} alerts, got {}{which}", got.len())
            }
            (Expected::Events(expected), Got::Events(got)) => {
                format!("expected {}, got {}", numbers(expected), numbers(got))
            }
            (Expected::Alerts(expected), Got::Alerts(got)) => {
                format!("expected alerts {}, got {}", groups(expected), groups(got))
            }
            (Expected::Events(_), Got::Alerts(got)) => format!(
                "a correlation is tested by alerts, not by event numbers: write a count or group-by values; got {}",
                groups(got)
            ),
            (Expected::Alerts(_), Got::Events(got)) => format!(
                "a rule is tested by events, not by group-by values: write a count or event numbers; got {}",
                numbers(got)
            ),
        }
    }
}

/// `event 1`, `events 1, 3`, `none`.
pub(super) fn numbers(events: &[u32]) -> String {
    const SHOWN_MAX: usize = 20;
    match events {
        [] => "none".to_owned(),
        [one] => format!("event {one}"),
        many => {
            let mut shown: Vec<String> = many.iter().take(SHOWN_MAX).map(u32::to_string).collect();
            if many.len() > SHOWN_MAX {
                shown.push("...".to_owned());
            }
            format!("events {}", shown.join(", "))
        }
    }
}

/// `{SourceIp: 203.0.113.4}; {...}`.
pub(super) fn groups(groups: &[Group]) -> String {
    if groups.is_empty() {
        return "none".to_owned();
    }
    let one = |group: &Group| {
        let pairs = group.iter().map(|(name, value)| format!("{name}: {value}"));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    };
    groups.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Plays a test against the rule or correlation that is called `rule` (its id or name).
///
/// # Errors
/// When `set` has no such rule.
pub fn run(set: &RuleSet, rule: &str, test: &RuleTest) -> Result<Outcome, String> {
    let context = ParseContext::default();
    if let Some(rule) = set.rule(rule) {
        let mut got = Vec::new();
        play(test, &rule.log_source, &context, |event, number| {
            if applies(&rule.log_source, event) && reference::matches(rule, event).is_some() {
                got.push(number);
            }
        });
        return Ok(Outcome {
            expected: test.expected.clone(),
            got: Got::Events(got),
        });
    }
    let Some(index) = (set.correlations.iter())
        .position(|one| one.meta.id.as_str() == rule || one.meta.name.as_deref() == Some(rule))
    else {
        return Err(format!("there is no rule {rule}"));
    };
    let set = only(set, index);
    let wanted = wanted(&set);
    let mut matches = Vec::new();
    play(test, &LogSource::default(), &context, |event, _| {
        let id = matches_id(event);
        matches.extend(wanted_matches(&set, &wanted, event, id));
    });
    let last = set.correlations.len() - 1;
    let mut got: Vec<Group> = (reference::correlate(&set, &matches).into_iter())
        .filter(|alert| alert.correlation == last)
        .map(|alert| sorted(alert.group))
        .collect();
    got.sort();
    Ok(Outcome {
        expected: test.expected.clone(),
        got: Got::Alerts(got),
    })
}

fn sorted(mut group: Group) -> Group {
    group.sort();
    group
}

/// The rules of `set` with one of its correlations, the last, and those that it refers to. That one alone raises alerts.
pub fn only(set: &RuleSet, correlation: usize) -> RuleSet {
    let mut needed = BTreeSet::from([correlation]);
    // A correlation refers to earlier ones only.
    for index in (0..=correlation)
        .rev()
        .filter(|index| *index < set.correlations.len())
    {
        if needed.contains(&index) {
            let targets = set.correlations[index].rules.iter();
            needed.extend(targets.filter_map(|reference| match reference.target {
                RuleTarget::Correlation { index, .. } => Some(index),
                RuleTarget::Rule { .. } => None,
            }));
        }
    }
    let places: Vec<usize> = needed.into_iter().collect();
    let correlations = places.iter().map(|&place| {
        let mut one = (*set.correlations[place]).clone();
        one.meta.alerts = if place == correlation {
            Alerts::Own
        } else {
            Alerts::OnlyCorrelated
        };
        for reference in &mut one.rules {
            if let RuleTarget::Correlation { index, .. } = &mut reference.target {
                *index = places.partition_point(|place| *place < *index);
            }
        }
        Arc::new(one)
    });
    RuleSet {
        correlations: correlations.collect(),
        rules: set.rules.clone(),
        problems: Vec::new(),
    }
}

/// By rule of `set`: whether one of its correlations refers to it.
pub fn wanted(set: &RuleSet) -> Vec<bool> {
    let mut wanted = vec![false; set.rules.len()];
    for reference in set.correlations.iter().flat_map(|one| &one.rules) {
        if let RuleTarget::Rule { index, .. } = reference.target {
            wanted[index] = true;
        }
    }
    wanted
}

/// The matches of all rules of `set` on one event, as correlations count them.
pub fn matches_of(set: &RuleSet, event: &Event<'_>, id: u128) -> Vec<RuleMatch> {
    wanted_matches(set, &vec![true; set.rules.len()], event, id)
}

fn wanted_matches(set: &RuleSet, wanted: &[bool], event: &Event<'_>, id: u128) -> Vec<RuleMatch> {
    let found = set.rules.iter().enumerate().filter(|(index, rule)| {
        wanted[*index]
            && applies(&rule.log_source, event)
            && reference::matches(rule, event).is_some()
    });
    found
        .map(|(rule, _)| {
            let fields = event.fields.iter().map(|field| {
                let value = (field.value != Value::Null).then(|| field.value.to_string());
                (field.name.to_owned(), value)
            });
            RuleMatch {
                rule,
                event: id,
                time: event.event_time,
                fields: fields.collect(),
            }
        })
        .collect()
}

/// Whether a rule speaks of an event: each part that it names is that of one of the event's log sources.
pub fn applies(rule: &LogSource<'_>, event: &Event<'_>) -> bool {
    let fits = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    event.log_sources.iter().any(|source| {
        fits(&rule.product, &source.product)
            && fits(&rule.category, &source.category)
            && fits(&rule.service, &source.service)
    })
}

/// Each event of a test has its own.
fn matches_id(event: &Event<'_>) -> u128 {
    (u128::from(event.record.position) << 32) | u128::from(event.sub_index)
}

/// Calls `each` with every event of the test and its number. Events of a test have record positions of their own, from 1 on.
pub fn play(
    test: &RuleTest,
    log_source: &LogSource<'static>,
    context: &ParseContext,
    mut each: impl FnMut(&Event<'_>, u32),
) {
    let mut parser = Parser::new(context.clone());
    let mut number = 0;
    for repetition in 0..test.repeat {
        let later_us = i64::from(repetition) * test.every_us;
        for event in &test.events {
            number += 1;
            let mut record = |raw: &[u8], format: &Arc<str>| {
                parse(&mut parser, raw, format, number, later_us, &mut each);
            };
            match event {
                TestEvent::Raw(raw) => record(raw.as_bytes(), &test.format),
                TestEvent::Record { raw, format } => record(raw, format),
                TestEvent::Fields(fields) => build(fields, log_source, number, later_us, &mut each),
            }
        }
    }
}

fn parse(
    parser: &mut Parser,
    raw: &[u8],
    format: &Arc<str>,
    number: u32,
    later_us: i64,
    each: &mut impl FnMut(&Event<'_>, u32),
) {
    let origin = Origin {
        format: Arc::clone(format),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(raw, number.into(), EPOCH, Truncated::No);
    let arena = Bump::new();
    let record = batch.get(0).expect("one record was pushed");
    let mut events = Vec::new();
    parser.parse_record(record, &arena, &mut events);
    for event in &mut events {
        event.event_time = Timestamp(event.event_time.0 + later_us);
        each(event, number);
    }
}

fn build(
    fields: &TestFields,
    log_source: &LogSource<'static>,
    number: u32,
    later_us: i64,
    each: &mut impl FnMut(&Event<'_>, u32),
) {
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    let time = Timestamp(EPOCH.0 + fields.at_us + later_us);
    batch.push(b"", number.into(), time, Truncated::No);
    let arena = Bump::new();
    let mut event = Event::new(batch.get(0).expect("one record was pushed"), "test", &arena);
    let own = fields.log_source.clone();
    event
        .log_sources
        .push(own.unwrap_or_else(|| log_source.clone()));
    for (name, value) in &fields.fields {
        event.fields.push(Field {
            name: arena.alloc_str(name),
            value: value.to_value(&arena),
        });
    }
    each(&event, number);
}
