//! Tests of rules, written beside them: `x.test.yml` next to `x.yml`. `library/README.md` says how.
//!
//! Raw records go through the real parsers and events through the reference evaluator, so a test that
//! passes here says what the engine does. Correlations run over virtual time: the events' own.
//! This file reads tests; [`play`] plays them.

mod play;

use std::fmt;
use std::sync::Arc;

use citywatch_parsers::{LogSource, Timestamp};

pub use play::{Got, Outcome, applies, matches_of, only, play, run, wanted};

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
    /// Which rule of the file, by id or name, where it has several; none: its first.
    pub rule: Option<String>,
    /// Format of raw records.
    pub format: Arc<str>,
    /// What happens, in the order of the file; what `files` holds comes behind it, see [`RuleTest::add_record`].
    pub events: Vec<TestEvent>,
    /// Files of records, as written: whoever does input and output reads them.
    pub files: Vec<TestFile>,
    /// How often all events are played.
    pub repeat: u32,
    /// How much later each repetition is than the one before, in microseconds.
    pub every_us: i64,
    /// What must match.
    pub expected: Expected,
}

/// A file of records beside a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFile {
    /// Its path, from the folder of the test on.
    pub path: String,
    /// Where it is named.
    pub position: Position,
}

/// What must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// So many events, or for a correlation, so many alerts.
    Count(u64),
    /// These events, numbered from 1 in the order of the test.
    Events(Vec<u32>),
    /// Alerts of a correlation with these values of its `group-by` names, in any order.
    Alerts(Vec<Group>),
}

/// The `group-by` names of an alert with their values, sorted by name.
pub type Group = Vec<(String, String)>;

impl Expected {
    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Self::Count(count) => *count,
            Self::Events(events) => events.len() as u64,
            Self::Alerts(groups) => groups.len() as u64,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Events(events) => f.write_str(&play::numbers(events)),
            Self::Alerts(groups) => f.write_str(&play::groups(groups)),
        }
    }
}

/// An event of a test.
#[derive(Clone, Debug)]
pub enum TestEvent {
    /// A record for the parsers.
    Raw(String),
    /// A record of a file, with the format that the file's kind asks for.
    Record {
        /// Its bytes.
        raw: Vec<u8>,
        /// How it is read.
        format: Arc<str>,
    },
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
        rule: None,
        position: node.position,
        format: "auto".into(),
        events: Vec::new(),
        files: Vec::new(),
        repeat: 1,
        every_us: 1_000_000,
        expected: Expected::Count(u64::MAX),
    };
    for entry in entries(path, node, "a test")? {
        let wrong = |what: &str| format!("{path}:{}: `{}` is {what}", entry.position, entry.key);
        match entry.key.as_str() {
            "name" => test.name = scalar(entry).ok_or_else(|| wrong("a text"))?.text.clone(),
            "rule" => {
                let rule = scalar(entry).ok_or_else(|| wrong("an id or a name"))?;
                test.rule = Some(rule.text.clone());
            }
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
                test.expected = expected(&entry.value).ok_or_else(|| {
                    wrong("a count, a list of event numbers from 1 on, or a list of maps of group-by values")
                })?;
            }
            "files" => {
                let texts = entry
                    .value
                    .texts("files")
                    .map_err(|problem| format!("{path}:{}: {}", problem.position, problem.kind))?;
                let files = texts.into_iter().map(|(text, position)| TestFile {
                    path: text.to_owned(),
                    position,
                });
                test.files = files.collect();
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
                    "unknown; a test has name, rule, format, events, files, repeat, every, matches",
                ));
            }
        }
    }
    let is_empty = test.events.is_empty() && test.files.is_empty();
    if test.name.is_empty() || test.expected == Expected::Count(u64::MAX) || is_empty {
        return Err(format!(
            "{path}:{}: a test needs name, events (or files) and matches",
            node.position
        ));
    }
    let count = u32::try_from(test.events.len()).unwrap_or(u32::MAX);
    if let Expected::Events(numbers) = &test.expected
        && test.files.is_empty()
        && let Some(number) = numbers
            .iter()
            .find(|&&n| n > count.saturating_mul(test.repeat))
    {
        return Err(format!(
            "{path}:{}: `matches` names event {number}, but the test has {count}",
            node.position
        ));
    }
    Ok(test)
}

fn expected(node: &Node) -> Option<Expected> {
    let items = match &node.kind {
        Kind::Scalar(scalar) => return Some(Expected::Count(scalar.text.parse().ok()?)),
        Kind::List(items) => items,
        Kind::Map(_) => return None,
    };
    if items.is_empty() {
        return Some(Expected::Count(0));
    }
    let group = |node: &Node| -> Option<Group> {
        let Kind::Map(entries) = &node.kind else {
            return None;
        };
        let pair = |entry: &Entry| Some((entry.key.clone(), scalar(entry)?.text.clone()));
        let mut group: Group = entries.iter().map(pair).collect::<Option<_>>()?;
        group.sort();
        Some(group)
    };
    if matches!(items[0].kind, Kind::Map(_)) {
        let mut groups: Vec<Group> = items
            .iter()
            .map(|item| group(item))
            .collect::<Option<_>>()?;
        groups.sort();
        return Some(Expected::Alerts(groups));
    }
    let number = |node: &Node| match &node.kind {
        Kind::Scalar(scalar) => scalar.text.parse().ok().filter(|&number| number > 0),
        _ => None,
    };
    let mut numbers: Vec<u32> = items
        .iter()
        .map(|item| number(item))
        .collect::<Option<_>>()?;
    numbers.sort_unstable();
    numbers.dedup();
    Some(Expected::Events(numbers))
}

impl RuleTest {
    /// Adds a record that was read from one of its files.
    pub fn add_record(&mut self, raw: Vec<u8>, format: Arc<str>) {
        self.events.push(TestEvent::Record { raw, format });
    }
}

impl TestEvent {
    /// What an author recognises it by.
    pub fn shown(&self) -> String {
        match self {
            Self::Raw(raw) => raw.clone(),
            Self::Record { raw, .. } => String::from_utf8_lossy(raw).into_owned(),
            Self::Fields(fields) => {
                let pairs = fields.fields.iter().map(|(name, value)| {
                    let arena = bumpalo::Bump::new();
                    format!("{name}={}", value.to_value(&arena))
                });
                pairs.collect::<Vec<_>>().join(" ")
            }
        }
    }
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
