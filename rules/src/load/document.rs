//! One YAML document: a rule, a correlation or a filter, before it is bound to the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::allowance::Allowance;
use super::correlation::UnboundCorrelation;
use super::draft::DraftRule;
use super::filter::Filter;
use super::keys::{Keys, choose};
use super::{correlation, detection, filter};
use crate::error::{ErrorKind, Problem, RuleError};
use crate::processing::read_attributes;
use crate::rule::{Alerts, Level, Meta, Rule, RuleId, Status};
use crate::yaml;

/// Keys that every kind of document may have (rules specification, "Components"; the schemas).
const COMMON_KEYS: &[&str] = &[
    "title",
    "id",
    "related",
    "name",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "reference",
    "date",
    "modified",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
];

/// Keys whose typing error would change what a rule does or how it is handled.
const NEAR_KEYS: &[&str] = &[
    "title",
    "name",
    "taxonomy",
    "status",
    "level",
    "logsource",
    "detection",
    "correlation",
    "filter",
];

/// What a document is.
pub(super) enum Document {
    Rule(Rule),
    /// A rule that pipelines will change first.
    Draft(Box<DraftRule>),
    Correlation(UnboundCorrelation),
    Filter(Filter),
}

impl Document {
    pub(super) fn meta(&self) -> &Meta {
        match self {
            Self::Rule(rule) => &rule.meta,
            Self::Draft(rule) => &rule.meta,
            Self::Correlation(correlation) => &correlation.meta,
            Self::Filter(filter) => &filter.meta,
        }
    }
}

/// Reads a document.
pub(super) fn read(
    path: &Arc<str>,
    yaml: &yaml::Document<'_>,
    allowance: &Allowance<'_>,
) -> Result<Document, Box<RuleError>> {
    let with = |problem: Problem| {
        // Title and id are told as far as they can be read, so that people find the rule.
        let scalar = |key: &str| {
            let yaml::Kind::Map(entries) = &yaml.root.as_ref().ok()?.kind else {
                return None;
            };
            let entry = entries.iter().find(|entry| entry.key == key)?;
            entry.value.text(key).ok().map(Arc::from)
        };
        Box::new(RuleError {
            path: Arc::clone(path),
            position: problem.position,
            title: scalar("title"),
            id: scalar("id").map(RuleId),
            kind: problem.kind,
        })
    };
    let root = yaml
        .root
        .as_ref()
        .map_err(|problem| with(problem.clone()))?;
    read_root(path, yaml, root, allowance).map_err(with)
}

fn read_root(
    path: &Arc<str>,
    yaml: &yaml::Document<'_>,
    root: &yaml::Node,
    allowance: &Allowance<'_>,
) -> Result<Document, Problem> {
    let keys = Keys::of(root, "the rule")?;
    let known: Vec<&str> = COMMON_KEYS
        .iter()
        .copied()
        .chain(["logsource", "detection", "correlation", "filter"])
        .collect();
    let sections: Vec<&yaml::Entry> = keys
        .entries
        .iter()
        .filter(|entry| matches!(entry.key.as_str(), "detection" | "correlation" | "filter"))
        .collect();
    if let [_, second, ..] = sections.as_slice() {
        let reason =
            "a document is a rule (detection), a correlation or a filter; split it with ---"
                .to_owned();
        return Err(Problem::new(
            second.position,
            ErrorKind::Value {
                value: second.key.clone(),
                reason,
            },
        ));
    }
    let meta = read_meta(path, yaml, &keys, &known)?;
    let Some(section) = sections.first() else {
        keys.need("detection", &known)?;
        return Err(Problem::new(
            root.position,
            ErrorKind::MissingKey {
                key: "detection",
                within: "the rule",
                suggestion: None,
            },
        ));
    };
    let document = match section.key.as_str() {
        "correlation" => {
            let generate = keys.get("generate");
            let mut correlation = correlation::read(meta, &section.value, generate)?;
            if !allowance.options.pipelines.is_empty() {
                correlation.attributes = read_attributes(keys.entries);
            }
            Document::Correlation(correlation)
        }
        "filter" => {
            let log_source = read_log_source(keys.need("logsource", &known)?)?;
            Document::Filter(filter::read(meta, log_source, &section.value, allowance)?)
        }
        _ => {
            let log_source = read_log_source(keys.need("logsource", &known)?)?;
            let draft = detection::read(&section.value, allowance)?;
            let fields = match keys.get("fields") {
                Some(node) => texts(node, "fields")?,
                None => Vec::new(),
            };
            if !allowance.options.pipelines.is_empty() {
                return Ok(Document::Draft(Box::new(DraftRule {
                    meta,
                    log_source,
                    fields,
                    own: draft,
                    filters: Vec::new(),
                    attributes: read_attributes(keys.entries),
                    processed_by: BTreeSet::new(),
                })));
            }
            let detection = draft.lower(allowance)?;
            Document::Rule(Rule {
                meta,
                log_source,
                searches: detection.searches,
                condition: detection.condition,
                conditions: detection.conditions,
                fields,
            })
        }
    };
    Ok(document)
}

fn read_meta(
    path: &Arc<str>,
    yaml: &yaml::Document<'_>,
    keys: &Keys<'_>,
    known: &[&str],
) -> Result<Meta, Problem> {
    keys.no_misspelt(known, NEAR_KEYS)?;
    let text = |key: &'static str| -> Result<Arc<str>, Problem> {
        match keys.get(key) {
            Some(node) if node.describe() == "empty" => Ok(Arc::from("")),
            Some(node) => node.text(key).map(Arc::from),
            None => Ok(Arc::from("")),
        }
    };
    let list = |key: &'static str| match keys.get(key) {
        Some(node) => texts(node, key),
        None => Ok(Vec::new()),
    };
    let title: Arc<str> = Arc::from(keys.need("title", known)?.text("title")?);
    let name = Some(text("name")?).filter(|name| !name.is_empty());
    let written_id = text("id")?;
    let id = match (written_id.is_empty(), &name) {
        (false, _) => written_id,
        (true, Some(name)) => Arc::clone(name),
        (true, None) => Arc::from(&sha256_hex([title.as_bytes()])[..32]),
    };
    let level = match keys.get("level") {
        Some(node) => Some(choose(node, "level", Level::ALL)?),
        None => None,
    };
    let status = match keys.get("status") {
        Some(node) => Some(choose(node, "status", Status::ALL)?),
        None => None,
    };
    let mut references = list("references")?;
    references.extend(list("reference")?);
    let taxonomy = Some(text("taxonomy")?)
        .filter(|t| !t.is_empty())
        .unwrap_or_else(|| Arc::from("sigma"));
    Ok(Meta {
        id: RuleId(id),
        name,
        title,
        description: text("description")?,
        status,
        level,
        author: match keys.get("author") {
            Some(node) => Arc::from(texts(node, "author")?.join(", ")),
            None => Arc::from(""),
        },
        date: text("date")?,
        modified: text("modified")?,
        tags: list("tags")?,
        references,
        false_positives: list("falsepositives")?,
        taxonomy,
        path: Arc::clone(path),
        position: yaml.position,
        text: Arc::from(yaml.text),
        changed_hash: None,
        alerts: Alerts::Own,
    })
}

/// SHA-256 of the parts in a row, lower-case hexadecimal.
pub(crate) fn sha256_hex<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let digits = |byte: &u8| {
        [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
    };
    context.finish().as_ref().iter().flat_map(digits).collect()
}

fn texts(node: &yaml::Node, what: &str) -> Result<Vec<Arc<str>>, Problem> {
    Ok(node
        .texts(what)?
        .into_iter()
        .map(|(text, _)| Arc::from(text))
        .collect())
}

/// `logsource`: the three attributes that are evaluated, lower-case; others are allowed (rules
/// specification, "LogSource": "an arbitrary number of optional elements").
fn read_log_source(node: &yaml::Node) -> Result<LogSource<'static>, Problem> {
    const KEYS: &[&str] = &["category", "product", "service"];
    let keys = Keys::of(node, "logsource")?;
    keys.no_misspelt(&["category", "product", "service", "definition"], KEYS)?;
    let part = |key: &'static str| match keys.get(key) {
        Some(node) if node.describe() == "empty" => Ok(String::new()),
        Some(node) => node.text(key).map(str::to_lowercase),
        None => Ok(String::new()),
    };
    Ok(LogSource {
        category: part("category")?.into(),
        product: part("product")?.into(),
        service: part("service")?.into(),
    })
}
