//! Under which conditions a transformation happens: of the rule, of an item of its searches, of a field's name.

use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::apply::{Run, Subject};
use super::attributes::AttributeTest;
use super::plain::{Plain, is_same};
use super::regex::PythonRegex;
use crate::error::ErrorKind;
use crate::load::draft::{DraftItem, Value};
use crate::rule::CompareOp;

/// Of a rule.
#[derive(Debug)]
pub(super) enum RuleCondition {
    /// Its log source has these parts. Of a correlation: that of a rule to which it refers.
    LogSource(LogSource<'static>),
    ContainsField(String),
    ContainsItem {
        field: String,
        value: Value,
    },
    ProcessedBy(Arc<str>),
    State(StateTest),
    IsRule,
    IsCorrelation,
    Attribute(AttributeTest),
    Tag(String),
}

/// Of an item.
#[derive(Debug)]
pub(super) enum ItemCondition {
    /// Of its values.
    Values(Quantity, ValueTest),
    ProcessedBy(Arc<str>),
    State(StateTest),
}

/// How many values of an item must pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Quantity {
    Any,
    All,
}

/// Of a value.
#[derive(Debug)]
pub(super) enum ValueTest {
    /// Its text, from its beginning, fits; `negate` turns that round.
    String {
        pattern: PythonRegex,
        negate: bool,
    },
    Equals(Value),
    HasWildcard,
    IsNull,
}

/// Of a field's name.
#[derive(Debug)]
pub(super) enum FieldCondition {
    Include(Names),
    Exclude(Names),
    ProcessedBy(Arc<str>),
    State(StateTest),
}

/// Names of fields.
#[derive(Debug)]
pub(super) enum Names {
    Plain(Vec<String>),
    /// From the name's beginning.
    Patterns(Vec<PythonRegex>),
}

/// Of what `set_state` has set for this rule.
#[derive(Debug)]
pub(super) struct StateTest {
    pub(super) key: String,
    pub(super) value: Plain,
    pub(super) op: CompareOp,
}

impl RuleCondition {
    pub(super) fn holds(&self, subject: &Subject<'_>, run: &Run<'_>) -> Result<bool, ErrorKind> {
        Ok(match self {
            Self::LogSource(wanted) => subject
                .log_sources()
                .iter()
                .any(|source| covers(wanted, source)),
            Self::ContainsField(field) => {
                subject.has_item(&mut |item| item.field.as_deref() == Some(field))
            }
            Self::ContainsItem { field, value } => subject.has_item(&mut |item| {
                item.field.as_deref() == Some(field)
                    && item.values.iter().any(|(other, _)| is_same(other, value))
            }),
            Self::ProcessedBy(id) => subject.processed_by().contains(id),
            Self::State(test) => test.holds(run),
            Self::IsRule => matches!(subject, Subject::Rule(_)),
            Self::IsCorrelation => matches!(subject, Subject::Correlation(..)),
            Self::Attribute(test) => test.holds(subject.attributes())?,
            Self::Tag(tag) => subject.tags().iter().any(|other| **other == **tag),
        })
    }
}

/// Whether each part that is wanted is the log source's.
fn covers(wanted: &LogSource<'_>, is: &LogSource<'_>) -> bool {
    let covers = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
    covers(&wanted.category, &is.category)
        && covers(&wanted.product, &is.product)
        && covers(&wanted.service, &is.service)
}

impl ItemCondition {
    pub(super) fn holds(&self, item: &DraftItem, run: &Run<'_>) -> bool {
        match self {
            Self::Values(Quantity::Any, test) => {
                item.values.iter().any(|(value, _)| test.holds(value))
            }
            Self::Values(Quantity::All, test) => {
                item.values.iter().all(|(value, _)| test.holds(value))
            }
            Self::ProcessedBy(id) => item.processed_by.contains(id),
            Self::State(test) => test.holds(run),
        }
    }
}

impl ValueTest {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::String { pattern, negate } => {
                let fits = match value {
                    Value::Text(template) => pattern.matches_start(&template.plain()),
                    _ => false,
                };
                fits != *negate
            }
            Self::Equals(other) => is_same(value, other),
            Self::HasWildcard => {
                matches!(value, Value::Text(template) if template.has_wildcard())
            }
            Self::IsNull => *value == Value::Null,
        }
    }
}

impl FieldCondition {
    /// Of a field's name; none is that of keywords.
    pub(super) fn holds(&self, field: Option<&str>, run: &Run<'_>) -> bool {
        match self {
            Self::Include(names) => names.contain(field),
            Self::Exclude(names) => !names.contain(field),
            Self::ProcessedBy(id) => field.is_some_and(|field| run.field_processed_by(field, id)),
            Self::State(test) => test.holds(run),
        }
    }

    /// Of an item: of its field, or of a field that a value refers to.
    pub(super) fn holds_for_item(&self, item: &DraftItem, run: &Run<'_>) -> bool {
        if let Self::ProcessedBy(id) = self {
            return item.processed_by.contains(id);
        }
        let refers = |value: &Value| match value {
            Value::FieldRef { field, .. } => self.holds(Some(field), run),
            _ => false,
        };
        self.holds(item.field.as_deref(), run) || item.values.iter().any(|(value, _)| refers(value))
    }
}

impl Names {
    fn contain(&self, field: Option<&str>) -> bool {
        match (self, field) {
            (_, None) => false,
            (Self::Plain(names), Some(field)) => names.iter().any(|name| name == field),
            (Self::Patterns(patterns), Some(field)) => {
                patterns.iter().any(|pattern| pattern.matches_start(field))
            }
        }
    }
}

impl StateTest {
    fn holds(&self, run: &Run<'_>) -> bool {
        run.state
            .get(&self.key)
            .is_some_and(|state| state.compares(self.op, &self.value))
    }
}
