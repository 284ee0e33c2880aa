//! What a rule says about itself, for the condition `rule_attribute`.

use super::plain::Plain;
use crate::error::ErrorKind;
use crate::rule::{CompareOp, Level, Status};
use crate::yaml::{Entry, Kind};

/// A key of a rule: a value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    One(Plain),
    Many(Vec<Plain>),
}

/// Keys that are lists even where a rule leaves them out.
const LISTS: &[&str] = &["references", "tags", "fields", "falsepositives", "scope"];
/// Keys that are no plain values.
const SECTIONS: &[&str] = &["detection", "correlation", "filter", "logsource"];

/// The keys of a rule with what they say; sections are left out.
pub(crate) fn read_attributes(entries: &[Entry]) -> Vec<(String, Attribute)> {
    let entries = entries
        .iter()
        .filter(|entry| !SECTIONS.contains(&entry.key.as_str()));
    let attribute = |entry: &Entry| {
        let value = match &entry.value.kind {
            Kind::List(items) => {
                Attribute::Many(items.iter().map(|item| Plain::of(item)).collect())
            }
            // Dates, ids and the like are text to pySigma whatever they look like to YAML.
            Kind::Scalar(scalar) if is_own(&entry.key) => {
                Attribute::One(Plain::Text(scalar.text.clone()))
            }
            _ if LISTS.contains(&entry.key.as_str()) => {
                Attribute::Many(vec![Plain::of(&entry.value)])
            }
            _ => Attribute::One(Plain::of(&entry.value)),
        };
        (entry.key.clone(), value)
    };
    entries.map(attribute).collect()
}

fn is_own(key: &str) -> bool {
    matches!(
        key,
        "title"
            | "id"
            | "name"
            | "taxonomy"
            | "status"
            | "level"
            | "description"
            | "license"
            | "author"
            | "date"
            | "modified"
    )
}

/// How an attribute is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AttributeOp {
    Compare(CompareOp),
    In,
    NotIn,
}

/// The operators by name.
pub(super) const OPERATORS: &[(&str, AttributeOp)] = &[
    ("eq", AttributeOp::Compare(CompareOp::Equal)),
    ("ne", AttributeOp::Compare(CompareOp::NotEqual)),
    ("gte", AttributeOp::Compare(CompareOp::GreaterOrEqual)),
    ("gt", AttributeOp::Compare(CompareOp::Greater)),
    ("lte", AttributeOp::Compare(CompareOp::LessOrEqual)),
    ("lt", AttributeOp::Compare(CompareOp::Less)),
    ("in", AttributeOp::In),
    ("not_in", AttributeOp::NotIn),
];

/// What `rule_attribute` asks.
#[derive(Debug)]
pub(super) struct AttributeTest {
    pub(super) attribute: String,
    pub(super) value: Plain,
    pub(super) op: AttributeOp,
}

impl AttributeTest {
    /// Makes sure that what is asked can be answered.
    pub(super) fn check(&self) -> Result<(), String> {
        let text = match &self.value {
            Plain::Text(text) => text.as_str(),
            _ => "",
        };
        let ordered = matches!(
            self.op,
            AttributeOp::Compare(op) if !matches!(op, CompareOp::Equal | CompareOp::NotEqual)
        );
        match self.attribute.as_str() {
            "level" if level(text).is_none() => {
                Err("is no level; write informational, low, medium, high or critical".to_owned())
            }
            "status" if status(text).is_none() => Err(
                "is no status; write stable, test, experimental, deprecated or unsupported"
                    .to_owned(),
            ),
            "date" | "modified" if !is_date(text) => {
                Err("is no date; write it as 2026-11-22".to_owned())
            }
            "level" | "status" | "date" | "modified" => Ok(()),
            name if ordered && is_own(name) => {
                Err(format!("{name} is text, which eq and ne compare"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a rule with these attributes is meant.
    ///
    /// # Errors
    /// When the attribute of this rule cannot be compared so.
    pub(super) fn holds(&self, attributes: &[(String, Attribute)]) -> Result<bool, ErrorKind> {
        let found = attributes.iter().rfind(|(name, _)| *name == self.attribute);
        let empty = Attribute::Many(Vec::new());
        let attribute = match found {
            Some((_, attribute)) => attribute,
            None if LISTS.contains(&self.attribute.as_str()) => &empty,
            None => return Ok(false),
        };
        Ok(match (attribute, self.op) {
            (Attribute::Many(values), AttributeOp::In) => values.contains(&self.value),
            (Attribute::Many(values), AttributeOp::NotIn) => !values.contains(&self.value),
            // A list equals no single value, and has no size.
            (Attribute::Many(_), AttributeOp::Compare(op)) => op == CompareOp::NotEqual,
            (Attribute::One(_), AttributeOp::In | AttributeOp::NotIn) => {
                let reason = format!(
                    "the rule's {} is no list, which in and not_in ask for; use eq or ne",
                    self.attribute
                );
                let value = self.attribute.clone();
                return Err(ErrorKind::Value { value, reason });
            }
            (Attribute::One(value), AttributeOp::Compare(op)) => self.compares(value, op),
        })
    }

    fn compares(&self, value: &Plain, op: CompareOp) -> bool {
        let ranks = |rank: fn(&str) -> Option<usize>| match (value, &self.value) {
            (Plain::Text(a), Plain::Text(b)) => Some((rank(a)?, rank(b)?)),
            _ => None,
        };
        let ranked = match self.attribute.as_str() {
            "level" => ranks(level),
            "status" => ranks(status),
            _ => return value.compares(op, &self.value),
        };
        ranked.is_some_and(|(a, b)| op.holds(a.cmp(&b)))
    }
}

fn level(text: &str) -> Option<usize> {
    let text = text.to_lowercase();
    Level::ALL.iter().position(|(name, _)| *name == text)
}

/// pySigma's order: unsupported, deprecated, experimental, test, stable.
fn status(text: &str) -> Option<usize> {
    let text = text.to_lowercase();
    Status::ALL.iter().rev().position(|(name, _)| *name == text)
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let digits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(parts.as_slice(), [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}
