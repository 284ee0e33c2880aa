//! Tests of rules, written beside them: `x.test.yml` next to `x.yml`. `library/README.md` says how.
//!
//! Raw records go through the real parsers and events through the reference evaluator, so a test that
//! passes here says what the engine does. Correlations run over virtual time: the events' own.

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    Event, Field, LogSource, Origin, ParseContext, RecordBatch, Timestamp, parse_record,
};

use crate::load::RuleSet;
use crate::reference::{self, RuleMatch};
use crate::rule::Position;
use crate::vectors::{Json, flatten};
use crate::yaml::{self, Entry, Kind, Node, Resolved, Scalar};

/// When tests begin that say no time: 2026-01-01T00:00:00Z.
pub const EPOCH: Timestamp = crate::vectors::EPOCH;
/// Repetitions that a test may ask for.
pub const REPEAT_MAX: u32 = 10_000;

/// One test of a rule.
#[derive(Clone, Debug)]
pub struct RuleTest {
    /// What it shows.
    pub name: String,
    /// Where it is written.
    pub position: Position,
    /// Format of raw records.
    pub format: Arc<str>,
    /// What happens, in the order of the file.
    pub events: Vec<TestEvent>,
    /// How often all events are played.
    pub repeat: u32,
    /// How much later each repetition is than the one before, in microseconds.
    pub every_us: i64,
    /// How many events match, or for a correlation, how many alerts there are.
    pub matches: u64,
}

/// An event of a test.
#[derive(Clone, Debug)]
pub enum TestEvent {
    /// A record for the parsers.
    Raw(String),
    /// Fields as the parsers would give them.
    Fields(TestFields),
}

/// An event of a test that is given by its fields.
#[derive(Clone, Debug)]
pub struct TestFields {
    fields: Vec<(String, Json)>,
    at_us: i64,
    log_source: Option<LogSource<'static>>,
}

/// What a test should have shown, and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Expected matches or alerts.
    pub expected: u64,
    /// Those that came.
    pub got: u64,
}

/// Reads a test file.
///
/// # Errors
/// What is wrong, with path, line and column.
pub fn read(path: &str, text: &str) -> Result<Vec<RuleTest>, String> {
    let mut tests = Vec::new();
    for document in yaml::read_documents(text) {
        let root = document
            .root
            .map_err(|problem| format!("{path}:{}: {}", problem.position, problem.kind))?;
        for entry in entries(path, &root, "a test file")? {
            let (true, Kind::List(items)) = (entry.key == "tests", &entry.value.kind) else {
                return Err(format!(
                    "{path}:{}: a test file has one key, `tests`, a list",
                    entry.position
                ));
            };
            for item in items {
                tests.push(read_test(path, item)?);
            }
        }
    }
    if tests.is_empty() {
        return Err(format!("{path}:1:1: there is no test in it"));
    }
    Ok(tests)
}

fn read_test(path: &str, node: &Node) -> Result<RuleTest, String> {
    let mut test = RuleTest {
        name: String::new(),
        position: node.position,
        format: "auto".into(),
        events: Vec::new(),
        repeat: 1,
        every_us: 1_000_000,
        matches: u64::MAX,
    };
    for entry in entries(path, node, "a test")? {
        let wrong = |what: &str| format!("{path}:{}: `{}` is {what}", entry.position, entry.key);
        match entry.key.as_str() {
            "name" => test.name = scalar(entry).ok_or_else(|| wrong("a text"))?.text.clone(),
            "format" => {
                test.format = scalar(entry)
                    .ok_or_else(|| wrong("a format's name"))?
                    .text
                    .as_str()
                    .into()
            }
            "repeat" => {
                let count = scalar(entry).and_then(|scalar| scalar.text.parse().ok());
                test.repeat = count
                    .filter(|count| (1..=REPEAT_MAX).contains(count))
                    .ok_or_else(|| wrong("1 to 10000"))?;
            }
            "every" => {
                test.every_us = duration_us(entry).ok_or_else(|| wrong("a duration such as 5s"))?
            }
            "matches" => {
                test.matches = scalar(entry)
                    .and_then(|scalar| scalar.text.parse().ok())
                    .ok_or_else(|| wrong("a count"))?;
            }
            "events" => {
                let Kind::List(items) = &entry.value.kind else {
                    return Err(wrong("a list"));
                };
                test.events = items
                    .iter()
                    .map(|item| read_event(path, item))
                    .collect::<Result<_, _>>()?;
            }
            _ => {
                return Err(wrong(
                    "unknown; a test has name, format, events, repeat, every, matches",
                ));
            }
        }
    }
    if test.name.is_empty() || test.matches == u64::MAX || test.events.is_empty() {
        return Err(format!(
            "{path}:{}: a test needs name, events and matches",
            node.position
        ));
    }
    Ok(test)
}

fn read_event(path: &str, node: &Node) -> Result<TestEvent, String> {
    if let Kind::Scalar(scalar) = &node.kind {
        return Ok(TestEvent::Raw(scalar.text.clone()));
    }
    let mut event = TestFields {
        fields: Vec::new(),
        at_us: 0,
        log_source: None,
    };
    for entry in entries(path, node, "an event")? {
        let wrong = |what: &str| format!("{path}:{}: `{}` is {what}", entry.position, entry.key);
        match entry.key.as_str() {
            "$at" => {
                event.at_us = duration_us(entry).ok_or_else(|| wrong("a duration such as 90s"))?
            }
            "$source" => event.log_source = Some(log_source(path, &entry.value)?),
            key if key.starts_with('$') => {
                return Err(wrong("unknown; `$at` and `$source` are known"));
            }
            _ => flatten(&entry.key, &entry.value, &mut event.fields),
        }
    }
    Ok(TestEvent::Fields(event))
}

fn log_source(path: &str, node: &Node) -> Result<LogSource<'static>, String> {
    let mut source = LogSource::default();
    for entry in entries(path, node, "`$source`")? {
        let part = match entry.key.as_str() {
            "product" => &mut source.product,
            "category" => &mut source.category,
            "service" => &mut source.service,
            _ => {
                return Err(format!(
                    "{path}:{}: a log source has product, category, service",
                    entry.position
                ));
            }
        };
        let text =
            scalar(entry).ok_or_else(|| format!("{path}:{}: a text is needed", entry.position))?;
        *part = text.text.clone().into();
    }
    Ok(source)
}

fn entries<'n>(path: &str, node: &'n Node, what: &str) -> Result<&'n [Entry], String> {
    node.entries(what)
        .map_err(|problem| format!("{path}:{}: {}", problem.position, problem.kind))
}

fn scalar(entry: &Entry) -> Option<&Scalar> {
    match &entry.value.kind {
        Kind::Scalar(scalar) if scalar.value != Resolved::Null => Some(scalar),
        _ => None,
    }
}

/// `90s`, `5m`, `2h`, `1d`, also `0.5s`.
fn duration_us(entry: &Entry) -> Option<i64> {
    let text = scalar(entry)?.text.trim();
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_us = match unit {
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => return None,
    };
    let number: f64 = number.parse().ok()?;
    let micros = number * unit_us;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "checked to lie within a century"
    )]
    (0.0..3.2e15).contains(&micros).then_some(micros as i64)
}

/// Plays a test against the rule or correlation that is called `rule` (its id or name).
///
/// # Errors
/// When `set` has no such rule.
pub fn run(set: &RuleSet, rule: &str, test: &RuleTest) -> Result<Outcome, String> {
    if let Some(rule) = set.rule(rule) {
        let mut got = 0;
        play(test, &rule.log_source, |event, _| {
            got += u64::from(
                applies(&rule.log_source, event) && reference::matches(rule, event).is_some(),
            );
        });
        return Ok(Outcome {
            expected: test.matches,
            got,
        });
    }
    let Some(index) = set
        .correlations
        .iter()
        .position(|one| one.meta.id.as_str() == rule)
    else {
        return Err(format!("there is no rule {rule}"));
    };
    let mut matches = Vec::new();
    play(test, &LogSource::default(), |event, id| {
        matches.extend(matches_of(set, event, id))
    });
    let alerts = reference::correlate(set, &matches)
        .into_iter()
        .filter(|alert| alert.correlation == index);
    Ok(Outcome {
        expected: test.matches,
        got: alerts.count() as u64,
    })
}

/// The matches of all rules of `set` on one event, as correlations count them.
pub fn matches_of(set: &RuleSet, event: &Event<'_>, id: u128) -> Vec<RuleMatch> {
    let found = set
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| applies(&rule.log_source, event));
    let found = found.filter(|(_, rule)| reference::matches(rule, event).is_some());
    found
        .map(|(rule, _)| {
            let fields = event.fields.iter().map(|field| {
                let value = (field.value != citywatch_parsers::Value::Null)
                    .then(|| field.value.to_string());
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

/// Calls `each` with every event of the test and an id.
fn play(test: &RuleTest, log_source: &LogSource<'static>, mut each: impl FnMut(&Event<'_>, u128)) {
    let mut id = 0;
    for repetition in 0..test.repeat {
        let later_us = i64::from(repetition) * test.every_us;
        for event in &test.events {
            id += 1;
            match event {
                TestEvent::Raw(raw) => parse(raw, &test.format, id, later_us, &mut each),
                TestEvent::Fields(fields) => build(fields, log_source, id, later_us, &mut each),
            }
        }
    }
}

fn parse(
    raw: &str,
    format: &Arc<str>,
    id: u128,
    later_us: i64,
    each: &mut impl FnMut(&Event<'_>, u128),
) {
    let origin = Origin {
        format: Arc::clone(format),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(raw.as_bytes(), 0, EPOCH, Truncated::No);
    let arena = Bump::new();
    let record = batch.get(0).expect("one record was pushed");
    for (place, mut event) in (0..).zip(parse_record(record, &arena, &ParseContext::default())) {
        event.event_time = Timestamp(event.event_time.0 + later_us);
        each(&event, (id << 32) | place);
    }
}

fn build(
    fields: &TestFields,
    log_source: &LogSource<'static>,
    id: u128,
    later_us: i64,
    each: &mut impl FnMut(&Event<'_>, u128),
) {
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    batch.push(
        b"",
        0,
        Timestamp(EPOCH.0 + fields.at_us + later_us),
        Truncated::No,
    );
    let arena = Bump::new();
    let mut event = Event::new(batch.get(0).expect("one record was pushed"), "test", &arena);
    event.log_sources.push(
        fields
            .log_source
            .clone()
            .unwrap_or_else(|| log_source.clone()),
    );
    for (name, value) in &fields.fields {
        event.fields.push(Field {
            name: arena.alloc_str(name),
            value: value.to_value(&arena),
        });
    }
    each(&event, id << 32);
}
