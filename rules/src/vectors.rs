//! Specification vectors: rules with events and what must come of them, as data in `testdata/`.
//!
//! The reference evaluator and the compiled engine run the same files, so the module is public,
//! but hidden: it serves tests only. `testdata/README.md` says how a vector is written.

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Event, Field, Origin, RecordBatch, Timestamp, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::load::{LoadOptions, RuleSource};
use crate::processing::Pipelines;
use crate::rule::Number;
use crate::yaml::{self, Kind, Node, Resolved, Scalar};

/// A vector.
#[derive(Clone, Debug)]
pub struct Vector {
    /// What it shows.
    pub name: String,
    /// The section of the specification that it comes from.
    pub spec: String,
    /// Rule files.
    pub source: RuleSource,
    /// Placeholders.
    pub options: LoadOptions,
    /// Events.
    pub events: Vec<VectorEvent>,
    /// What must come of them.
    pub expect: Expect,
}

/// What must come of a vector.
#[derive(Clone, Debug)]
pub enum Expect {
    /// Loading says this, among its problems.
    Error(String),
    /// For each event, whether the first rule matches.
    Matches(Vec<bool>),
    /// These alerts of correlations, in any order, whatever the order of the events.
    Alerts(Vec<ExpectedAlert>),
    /// The names of the rules and correlations that raise alerts of their own.
    OwnAlerts(Vec<String>),
}

/// An alert that must come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedAlert {
    /// Name of the correlation.
    pub correlation: String,
    /// Values of the group-by names, in their order.
    pub group: Vec<String>,
    /// Places of the events in the vector, counted from 1.
    pub events: Vec<usize>,
}

/// An event of a vector.
#[derive(Clone, Debug)]
pub struct VectorEvent {
    /// When it happened: seconds from the vector's own beginning (see [`EPOCH`]).
    pub time: Timestamp,
    /// The raw record.
    pub raw: String,
    fields: Vec<(String, Json)>,
}

/// Second 0 of all vectors: 2026-01-01T00:00:00Z, where every timespan of up to a day begins a cell.
pub const EPOCH: Timestamp = Timestamp::from_seconds(1_767_225_600);

#[derive(Clone, Debug)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
}

impl VectorEvent {
    /// Calls `run` with the event.
    ///
    /// # Panics
    /// Never for what [`read`] makes.
    pub fn with<R>(&self, run: impl FnOnce(&Event<'_>) -> R) -> R {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        batch.push(self.raw.as_bytes(), 0, self.time, Truncated::No);
        let arena = Bump::new();
        let record = batch.get(0).expect("one record was pushed");
        let mut event = Event::new(record, "vector", &arena);
        for (name, value) in &self.fields {
            let field = Field {
                name: arena.alloc_str(name),
                value: value.to_value(&arena),
            };
            event.fields.push(field);
        }
        run(&event)
    }
}

impl Json {
    pub(crate) fn to_value<'a>(&self, arena: &'a Bump) -> Value<'a> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(Number::Int(value)) => {
                match (i64::try_from(*value), u64::try_from(*value)) {
                    (Ok(value), _) => Value::Int(value),
                    (_, Ok(value)) => Value::UInt(value),
                    _ => Value::Float(Number::Int(*value).to_f64()),
                }
            }
            Self::Number(Number::Float(value)) => Value::Float(*value),
            Self::Text(text) => Value::Str(arena.alloc_str(text)),
            Self::List(values) => {
                let values: Vec<Value<'a>> =
                    values.iter().map(|value| value.to_value(arena)).collect();
                Value::List(arena.alloc_slice_copy(&values))
            }
        }
    }
}

/// Reads a file of vectors.
///
/// # Errors
/// What is wrong with the file, in words.
pub fn read(path: &str, text: &str) -> Result<Vec<Vector>, String> {
    let documents = yaml::read_documents(text);
    let mut vectors = Vec::new();
    for document in documents {
        let root = document
            .root
            .map_err(|problem| format!("{path}:{}: {}", problem.position, problem.kind))?;
        let Kind::List(items) = &root.kind else {
            return Err(format!("{path}: a list of vectors is needed"));
        };
        for item in items {
            let vector = read_vector(path, item);
            vectors.push(vector.map_err(|reason| format!("{path}:{}: {reason}", item.position))?);
        }
    }
    Ok(vectors)
}

fn read_vector(path: &str, node: &Node) -> Result<Vector, String> {
    const KEYS: &[&str] = &[
        "case",
        "spec",
        "search",
        "detection",
        "rules",
        "placeholders",
        "pipeline",
        "match",
        "no match",
        "events",
        "alerts",
        "own alerts",
        "error",
    ];
    let entries = node
        .entries("a vector")
        .map_err(|problem| problem.kind.to_string())?;
    if let Some(entry) = entries
        .iter()
        .find(|entry| !KEYS.contains(&entry.key.as_str()))
    {
        return Err(format!("unknown key {:?}", entry.key));
    }
    let get = |key: &str| {
        entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &*entry.value)
    };
    let text = |key: &str| -> Result<Option<String>, String> {
        get(key)
            .map(|node| {
                node.text(key)
                    .map(str::to_owned)
                    .map_err(|problem| problem.kind.to_string())
            })
            .transpose()
    };
    let name = text("case")?.ok_or("case is missing")?;
    let spec = text("spec")?.ok_or("spec is missing")?;
    let rules = match (text("search")?, text("detection")?, text("rules")?) {
        (Some(search), None, None) => rule_of(&format!(
            "selection:\n{}condition: selection\n",
            indent(&search)
        )),
        (None, Some(detection), None) => rule_of(&detection),
        (None, None, Some(rules)) => rules,
        _ => return Err("one of search, detection, rules is needed".to_owned()),
    };
    let mut events = Vec::new();
    let mut matches = Vec::new();
    for (key, matched) in [("match", true), ("no match", false)] {
        for event in list(get(key))? {
            events.push(read_event(event)?);
            matches.push(matched);
        }
    }
    for event in list(get("events"))? {
        events.push(read_event(event)?);
    }
    let own_alerts = get("own alerts").map(|node| node.texts("own alerts"));
    let own_alerts = own_alerts
        .transpose()
        .map_err(|problem| problem.kind.to_string())?;
    let expect = match (text("error")?, get("alerts")) {
        (None, None) if own_alerts.is_some() => {
            let names = own_alerts.into_iter().flatten();
            Expect::OwnAlerts(names.map(|(name, _)| name.to_owned()).collect())
        }
        (Some(error), None) => Expect::Error(error),
        (None, Some(alerts)) => Expect::Alerts(
            list(Some(alerts))?
                .into_iter()
                .map(read_alert)
                .collect::<Result<_, _>>()?,
        ),
        (None, None) if !matches.is_empty() => Expect::Matches(matches),
        _ => return Err("one of error, alerts, match or no match is needed".to_owned()),
    };
    Ok(Vector {
        source: RuleSource::new(format!("{path}:{}", node.position.line), rules),
        name,
        spec,
        options: LoadOptions {
            placeholders: read_placeholders(get("placeholders"))?,
            pipelines: read_pipeline(text("pipeline")?)?,
        },
        events,
        expect,
    })
}

fn read_pipeline(text: Option<String>) -> Result<Pipelines, String> {
    let source = text.map(|text| RuleSource::new("pipeline", text));
    Pipelines::read(source).map_err(|errors| {
        let errors = errors.iter().map(ToString::to_string);
        errors.collect::<Vec<_>>().join("; ")
    })
}

fn rule_of(detection: &str) -> String {
    format!(
        "title: vector\nid: vector\nlogsource:\n    category: test\ndetection:\n{}",
        indent(detection)
    )
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}\n")).collect()
}

fn list(node: Option<&Node>) -> Result<Vec<&Node>, String> {
    match node.map(|node| &node.kind) {
        None => Ok(Vec::new()),
        Some(Kind::List(items)) => Ok(items.iter().map(|item| &**item).collect()),
        Some(_) => Err("a list is needed".to_owned()),
    }
}

fn read_placeholders(node: Option<&Node>) -> Result<BTreeMap<String, Vec<String>>, String> {
    let Some(node) = node else {
        return Ok(BTreeMap::new());
    };
    let entries = node
        .entries("placeholders")
        .map_err(|problem| problem.kind.to_string())?;
    entries
        .iter()
        .map(|entry| {
            let values = entry
                .value
                .texts("a placeholder")
                .map_err(|problem| problem.kind.to_string())?;
            Ok((
                entry.key.clone(),
                values
                    .into_iter()
                    .map(|(text, _)| text.to_owned())
                    .collect(),
            ))
        })
        .collect()
}

/// `{at: 10, raw: '...', field: value}`; nested maps become dotted names.
fn read_event(node: &Node) -> Result<VectorEvent, String> {
    let mut event = VectorEvent {
        time: EPOCH,
        raw: String::new(),
        fields: Vec::new(),
    };
    let entries = node
        .entries("an event")
        .map_err(|problem| problem.kind.to_string())?;
    for entry in entries {
        match (entry.key.as_str(), &entry.value.kind) {
            (
                "at",
                Kind::Scalar(Scalar {
                    value: Resolved::Number(seconds),
                    ..
                }),
            ) => {
                #[allow(clippy::cast_possible_truncation, reason = "seconds of a vector")]
                let micros = (seconds.to_f64() * 1e6).round() as i64;
                event.time = Timestamp(EPOCH.0 + micros);
            }
            ("raw", Kind::Scalar(scalar)) => event.raw.clone_from(&scalar.text),
            _ => flatten(&entry.key, &entry.value, &mut event.fields),
        }
    }
    Ok(event)
}

pub(crate) fn flatten(name: &str, node: &Node, fields: &mut Vec<(String, Json)>) {
    match &node.kind {
        Kind::Map(entries) => {
            entries
                .iter()
                .for_each(|entry| flatten(&format!("{name}.{}", entry.key), &entry.value, fields));
        }
        Kind::List(_) | Kind::Scalar(_) => fields.push((name.to_owned(), json(node))),
    }
}

fn json(node: &Node) -> Json {
    match &node.kind {
        Kind::List(items) => Json::List(items.iter().map(|item| json(item)).collect()),
        Kind::Map(_) => Json::Null,
        Kind::Scalar(scalar) => match scalar.value {
            Resolved::Null => Json::Null,
            Resolved::Bool(value) => Json::Bool(value),
            Resolved::Number(number) => Json::Number(number),
            Resolved::Text => Json::Text(scalar.text.clone()),
        },
    }
}

/// `{correlation: name, group: [a], events: [1, 2]}`.
fn read_alert(node: &Node) -> Result<ExpectedAlert, String> {
    let entries = node
        .entries("an alert")
        .map_err(|problem| problem.kind.to_string())?;
    let texts = |key: &str| -> Result<Vec<String>, String> {
        match entries.iter().find(|entry| entry.key == key) {
            None => Ok(Vec::new()),
            Some(entry) => {
                let texts = entry
                    .value
                    .texts(key)
                    .map_err(|problem| problem.kind.to_string())?;
                Ok(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
            }
        }
    };
    let events = texts("events")?
        .iter()
        .map(|text| text.parse().map_err(|_| format!("{text:?} is no place")))
        .collect::<Result<_, _>>()?;
    let correlation = texts("correlation")?
        .pop()
        .ok_or("an alert names its correlation")?;
    Ok(ExpectedAlert {
        correlation,
        group: texts("group")?,
        events,
    })
}
