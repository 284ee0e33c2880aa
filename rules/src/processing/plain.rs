//! Plain values, as pipelines state them and as a rule's keys have them.

use crate::error::Problem;
use crate::load::draft::Value;
use crate::load::values::Template;
use crate::rule::{CompareOp, Number};
use crate::yaml::{Kind, Node, Resolved, Scalar};

/// A plain value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plain {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    /// A list or a map: kept, and equal to nothing.
    Structure,
}

impl Plain {
    pub(super) fn of_scalar(scalar: &Scalar) -> Self {
        match scalar.value {
            Resolved::Null => Self::Null,
            Resolved::Bool(value) => Self::Bool(value),
            Resolved::Number(number) => Self::Number(number),
            Resolved::Text => Self::Text(scalar.text.clone()),
        }
    }

    /// Any node; lists and maps are [`Plain::Structure`].
    pub(super) fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Scalar(scalar) => Self::of_scalar(scalar),
            Kind::List(_) | Kind::Map(_) => Self::Structure,
        }
    }

    /// A node that must be a single value.
    pub(super) fn single(node: &Node, what: &str) -> Result<Self, Problem> {
        match Self::of(node) {
            Self::Structure => Err(node.wrong(what, "a single value")),
            plain => Ok(plain),
        }
    }

    /// Whether `self op other`: numbers by their size, texts by their letters, and what has no order only by
    /// being equal or not.
    pub(super) fn compares(&self, op: CompareOp, other: &Self) -> bool {
        let ordering = match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_f64().partial_cmp(&b.to_f64()),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        };
        match (op, ordering) {
            (_, Some(ordering)) => op.holds(ordering),
            (CompareOp::Equal, None) => self == other && *self != Self::Structure,
            (CompareOp::NotEqual, None) => self != other || *self == Self::Structure,
            _ => false,
        }
    }

    /// As the value of an item: text with its wildcards.
    pub(super) fn as_value(&self) -> Option<Value> {
        Some(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool {
                value: *value,
                text: value.to_string(),
            },
            Self::Number(number) => Value::Number {
                number: *number,
                text: number.to_string(),
            },
            Self::Text(text) => Value::Text(Template::parse(text)),
            Self::Structure => return None,
        })
    }
}

/// Whether two values of items are the same: of one kind, and equal.
pub(super) fn is_same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Null, Value::Null) => true,
        (Value::Bool { value: a, .. }, Value::Bool { value: b, .. }) => a == b,
        (Value::Number { number: a, .. }, Value::Number { number: b, .. }) => {
            a.to_f64().total_cmp(&b.to_f64()).is_eq()
        }
        _ => false,
    }
}
