//! What a correlation is once it is read.

use std::sync::Arc;

use crate::millionths::millionths_of_number;
use crate::rule::{CompareOp, Meta, Number, Position, RuleId};

/// A correlation: what several matches must have in common (Sigma Correlation Rules Specification).
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// Who it is.
    pub meta: Meta,
    /// What is computed over the matches of one group in one window, and what it must be.
    pub kind: CorrelationKind,
    /// The rules and correlations whose matches count, in the order written.
    pub rules: Vec<RuleRef>,
    /// Fields or aliases; matches with equal values of all of them form a group. Empty: one group.
    pub group_by: Vec<Arc<str>>,
    /// Length of the window in microseconds.
    pub timespan_us: i64,
    /// Other names of fields for `group_by` and the condition's field.
    pub aliases: Vec<Alias>,
    /// Whether the rules referred to keep their own alerts.
    pub generate: Generate,
}

/// Whether rules that a correlation refers to keep alerting on their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Generate {
    #[default]
    No,
    Yes,
}

/// What a correlation computes.
#[derive(Clone, Debug, PartialEq)]
pub enum CorrelationKind {
    /// The number of matches.
    EventCount {
        /// What it must be.
        condition: Vec<Bound>,
    },
    /// The number of different values of the fields, taken together.
    ValueCount {
        /// Fields or aliases; a match that lacks one is not counted.
        fields: Vec<Arc<str>>,
        /// What it must be.
        condition: Vec<Bound>,
    },
    /// The number of rules (of `rules`) that matched; all of them where no condition is written.
    Temporal {
        /// What it must be.
        condition: Vec<Bound>,
    },
    /// The same with a match of each rule, in the order of `rules`, at times that do not decrease.
    TemporalOrdered {
        /// What the length of the longest ordered run must be.
        condition: Vec<Bound>,
    },
    /// Which of the rules matched, as pySigma's `temporal_extended` has it.
    TemporalExtended {
        /// What must hold; leaves are indexes into `rules`.
        condition: RuleExpr,
        /// The condition as written.
        text: Arc<str>,
        /// Whether the rules must match in the order in which the condition names them.
        order: Order,
    },
    /// The sum of a field's values.
    ValueSum {
        /// Field or alias; values that are not numbers are not counted.
        field: Arc<str>,
        /// What it must be.
        condition: Vec<Bound>,
    },
    /// The mean of a field's values.
    ValueAvg {
        /// Field or alias; values that are not numbers are not counted.
        field: Arc<str>,
        /// What it must be.
        condition: Vec<Bound>,
    },
    /// A percentile of a field's values, linearly interpolated between ranks.
    ValuePercentile {
        /// Field or alias.
        field: Arc<str>,
        /// Which percentile of the numeric values, in millionths of a percent (50,000,000 is the
        /// median; at most 100,000,000). `None`: README.md, "value_percentile".
        percentile: Option<i128>,
        /// What it must be.
        condition: Vec<Bound>,
    },
}

/// Whether matches must come in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Order {
    Any,
    AsWritten,
}

/// One bound of a condition; all bounds of a condition must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// How, the computed value on the left.
    pub op: CompareOp,
    /// With what.
    pub number: Number,
}

/// A boolean condition over the rules of a correlation.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleExpr {
    /// The rule at this index of [`Correlation::rules`] matched.
    Rule(usize),
    /// All of them.
    And(Vec<RuleExpr>),
    /// One of them.
    Or(Vec<RuleExpr>),
    /// It does not hold.
    Not(Box<RuleExpr>),
}

/// A reference to a rule or a correlation, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRef {
    /// As written: an `id` or a `name`.
    pub written: Arc<str>,
    /// Whom it means.
    pub target: RuleTarget,
    /// Where it is written.
    pub position: Position,
}

/// What a reference means: an index into the rule set that holds the correlation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RuleTarget {
    /// `RuleSet::rules[index]`.
    Rule {
        /// Index.
        index: usize,
        /// Its id.
        id: RuleId,
    },
    /// `RuleSet::correlations[index]`; always smaller than the index of the correlation that refers to it.
    Correlation {
        /// Index.
        index: usize,
        /// Its id.
        id: RuleId,
    },
}

/// Another name for fields, by the rule that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name, for `group-by` and the condition's field.
    pub name: Arc<str>,
    /// Per rule (index into [`Correlation::rules`]) the field in its events.
    pub fields: Vec<(usize, Arc<str>)>,
}

impl Correlation {
    /// The field that `name` (of `group-by` or the condition) means in matches of `rules[rule]`.
    /// `None` when `name` is an alias that says nothing about that rule.
    pub fn field_of<'a>(&'a self, name: &'a str, rule: usize) -> Option<&'a str> {
        match self.aliases.iter().find(|alias| &*alias.name == name) {
            Some(alias) => alias
                .fields
                .iter()
                .find(|(index, _)| *index == rule)
                .map(|(_, field)| &**field),
            None => Some(name),
        }
    }
}

impl CorrelationKind {
    /// Whether more matches never make the condition false, so that it can be answered at once
    /// (README.md, "Windows").
    pub fn is_monotone(&self) -> bool {
        match self {
            Self::EventCount { condition }
            | Self::ValueCount { condition, .. }
            | Self::ValueSum { condition, .. }
            | Self::Temporal { condition }
            | Self::TemporalOrdered { condition } => condition
                .iter()
                .all(|bound| matches!(bound.op, CompareOp::Greater | CompareOp::GreaterOrEqual)),
            Self::TemporalExtended { condition, .. } => !condition.has_not(),
            Self::ValueAvg { .. } | Self::ValuePercentile { .. } => false,
        }
    }
}

impl RuleExpr {
    fn has_not(&self) -> bool {
        match self {
            Self::Rule(_) => false,
            Self::Not(_) => true,
            Self::And(parts) | Self::Or(parts) => parts.iter().any(Self::has_not),
        }
    }
}

impl Bound {
    /// Whether `sum / count` passes, both exact: `sum` in millionths. With `count` 1 it is a plain comparison.
    pub fn holds(&self, sum_millionths: i128, count: i128) -> bool {
        // The reader has made sure that bounds are within ±10^18.
        let bound = millionths_of_number(self.number).unwrap_or(0);
        self.op
            .holds(sum_millionths.cmp(&bound.saturating_mul(count)))
    }
}
