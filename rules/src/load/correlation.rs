//! The `correlation` section (Sigma Correlation Rules Specification), before its references are resolved.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::keys::{Keys, choose};
use crate::condition::{self, Condition};
use crate::correlation::{Bound, CorrelationKind, Generate, Order, RuleExpr};
use crate::error::{ErrorKind, Problem, nearest};
use crate::millionths::millionths_of_number;
use crate::processing::Attribute;
use crate::rule::{CompareOp, Meta, Number, Position};
use crate::ways::ways;
use crate::yaml::{Kind, Node, Resolved};

/// Rules that one correlation may refer to.
const RULES_MAX: usize = 1_000;
/// The same where their matches must come in order: each window costs up to the square of it.
const ORDERED_RULES_MAX: usize = 32;
/// The same where the condition is in words as well.
const ORDERED_WORDS_MAX: usize = 16;

/// A correlation whose rules are still names.
pub(crate) struct UnboundCorrelation {
    pub(crate) meta: Meta,
    pub(crate) kind: CorrelationKind,
    pub(super) rules: Vec<(Arc<str>, Position)>,
    pub(crate) group_by: Vec<Arc<str>>,
    pub(super) timespan_us: i64,
    pub(crate) aliases: Vec<UnboundAlias>,
    pub(super) generate: Generate,
    /// What the document says about itself, for pipelines.
    pub(crate) attributes: Vec<(String, Attribute)>,
    /// Ids of the pipelines' steps that were applied to it.
    pub(crate) processed_by: BTreeSet<Arc<str>>,
}

/// An alias whose rules are still names.
pub(crate) struct UnboundAlias {
    pub(crate) name: Arc<str>,
    pub(crate) fields: Vec<(Arc<str>, Arc<str>, Position)>,
}

/// The types that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    EventCount,
    ValueCount,
    Temporal,
    TemporalOrdered,
    ValueSum,
    ValueAvg,
    ValuePercentile,
    ValueMedian,
}

/// `temporal_extended` and its ordered twin are what pySigma calls the types with a condition in
/// words, `value_median` is its short form of percentile 50.
const TYPES: &[(&str, Type)] = &[
    ("event_count", Type::EventCount),
    ("value_count", Type::ValueCount),
    ("temporal", Type::Temporal),
    ("temporal_ordered", Type::TemporalOrdered),
    ("value_sum", Type::ValueSum),
    ("value_avg", Type::ValueAvg),
    ("value_percentile", Type::ValuePercentile),
    ("temporal_extended", Type::Temporal),
    ("temporal_ordered_extended", Type::TemporalOrdered),
    ("value_median", Type::ValueMedian),
];

const OPERATORS: &[(&str, CompareOp)] = &[
    ("gt", CompareOp::Greater),
    ("gte", CompareOp::GreaterOrEqual),
    ("lt", CompareOp::Less),
    ("lte", CompareOp::LessOrEqual),
    ("eq", CompareOp::Equal),
    ("neq", CompareOp::NotEqual),
];

const KEYS: &[&str] = &[
    "type",
    "rules",
    "group-by",
    "timespan",
    "condition",
    "aliases",
    "generate",
];

/// Reads the section. `beside` is what the document says of `generate` itself: there the specification's
/// schema has it, and pySigma reads it within the section.
pub(super) fn read(
    meta: Meta,
    node: &Node,
    beside: Option<&Node>,
) -> Result<UnboundCorrelation, Problem> {
    let keys = Keys::of(node, "correlation")?;
    if let Some(entry) = keys.entries.iter().find(|entry| entry.key == "timeframe") {
        let kind = ErrorKind::UnknownKey {
            key: "timeframe".to_owned(),
            within: "correlation",
            suggestion: Some("timespan".to_owned()),
        };
        return Err(Problem::new(entry.position, kind));
    }
    keys.only(KEYS)?;
    let kind = choose(keys.need("type", KEYS)?, "correlation type", TYPES)?;
    let mut rules: Vec<(Arc<str>, Position)> = match keys.get("rules") {
        Some(node) => owned(node.texts("rules")?),
        None => Vec::new(),
    };
    let condition = keys.get("condition");
    let in_words =
        condition.filter(|node| matches!(&node.kind, Kind::Scalar(s) if s.value == Resolved::Text));
    if rules.is_empty() && in_words.is_none() {
        keys.need("rules", KEYS)?;
        return Err(keys.position_problem("rules", "names at least one rule"));
    }
    check_rules(&rules, &keys)?;
    let kind = match in_words {
        Some(node) => read_words(kind, node, &mut rules)?,
        None => read_kind(kind, &keys, condition, rules.len())?,
    };
    let is_ordered = matches!(kind, CorrelationKind::TemporalOrdered { .. });
    if is_ordered && rules.len() > ORDERED_RULES_MAX {
        let reason = "names more than 32 rules, which is too many to look for their order; \
                      chain correlations instead";
        return Err(keys.position_problem("rules", reason));
    }
    let group_by = match keys.get("group-by") {
        Some(node) => node
            .texts("group-by")?
            .into_iter()
            .map(|(text, _)| Arc::from(text))
            .collect(),
        None => Vec::new(),
    };
    let generate = read_generate(keys.get("generate").or(beside))?;
    Ok(UnboundCorrelation {
        meta,
        kind,
        rules,
        group_by,
        timespan_us: read_timespan(keys.need("timespan", KEYS)?)?,
        aliases: read_aliases(keys.get("aliases"))?,
        generate,
        attributes: Vec::new(),
        processed_by: BTreeSet::new(),
    })
}

fn read_generate(node: Option<&Node>) -> Result<Generate, Problem> {
    match node.map(|node| (node, &node.kind)) {
        None => Ok(Generate::No),
        Some((_, Kind::Scalar(scalar))) if scalar.value == Resolved::Bool(true) => {
            Ok(Generate::Yes)
        }
        Some((_, Kind::Scalar(scalar))) if scalar.value == Resolved::Bool(false) => {
            Ok(Generate::No)
        }
        Some((node, _)) => Err(node.wrong("generate", "true or false")),
    }
}

fn owned(texts: Vec<(&str, Position)>) -> Vec<(Arc<str>, Position)> {
    texts
        .into_iter()
        .map(|(text, position)| (Arc::from(text), position))
        .collect()
}

impl Keys<'_> {
    fn position_problem(&self, key: &'static str, reason: &str) -> Problem {
        let position = self.get(key).map_or(self.position, |node| node.position);
        Problem::new(
            position,
            ErrorKind::Value {
                value: key.to_owned(),
                reason: reason.to_owned(),
            },
        )
    }
}

fn check_rules(rules: &[(Arc<str>, Position)], keys: &Keys<'_>) -> Result<(), Problem> {
    if rules.len() > RULES_MAX {
        return Err(keys.position_problem(
            "rules",
            "names more than 1000 rules; chain correlations instead",
        ));
    }
    for (index, (name, position)) in rules.iter().enumerate() {
        if rules[..index].iter().any(|(other, _)| other == name) {
            let reason = "is named twice among the rules; remove one".to_owned();
            return Err(Problem::new(
                *position,
                ErrorKind::Value {
                    value: name.to_string(),
                    reason,
                },
            ));
        }
    }
    Ok(())
}

fn read_kind(
    kind: Type,
    keys: &Keys<'_>,
    condition: Option<&Node>,
    rules: usize,
) -> Result<CorrelationKind, Problem> {
    let temporal = matches!(kind, Type::Temporal | Type::TemporalOrdered);
    let Some(node) = condition else {
        if !temporal {
            keys.need("condition", KEYS)?;
        }
        // "All events defined by the rules referred by the rule field must occur".
        let all = Bound {
            op: CompareOp::GreaterOrEqual,
            number: Number::Int(rules as i128),
        };
        return Ok(match kind {
            Type::TemporalOrdered => CorrelationKind::TemporalOrdered {
                condition: vec![all],
            },
            _ => CorrelationKind::Temporal {
                condition: vec![all],
            },
        });
    };
    let map = Keys::of(node, "condition")?;
    map.only(&["gt", "gte", "lt", "lte", "eq", "neq", "field", "percentile"])?;
    let condition = read_bounds(&map)?;
    let fields: Vec<Arc<str>> = match map.get("field") {
        Some(node) => node
            .texts("field")?
            .into_iter()
            .map(|(text, _)| Arc::from(text))
            .collect(),
        None => Vec::new(),
    };
    let percentile = match map.get("percentile") {
        Some(node) => Some(read_percentile(node)?),
        None => None,
    };
    let counts_values = !temporal && kind != Type::EventCount;
    if counts_values && fields.is_empty() {
        map.need("field", &["gt", "gte", "lt", "lte", "eq", "neq"])?;
    }
    if !counts_values && !fields.is_empty() {
        return Err(map.position_problem(
            "field",
            "means nothing for this type; remove it or use value_count",
        ));
    }
    if percentile.is_some() && kind != Type::ValuePercentile {
        return Err(map.position_problem("percentile", "is for value_percentile only; remove it"));
    }
    let single = || match fields.as_slice() {
        [field] => Ok(Arc::clone(field)),
        _ => Err(map.position_problem("field", "must be one field for this type")),
    };
    Ok(match kind {
        Type::EventCount => CorrelationKind::EventCount { condition },
        Type::ValueCount => CorrelationKind::ValueCount { fields, condition },
        Type::Temporal => CorrelationKind::Temporal { condition },
        Type::TemporalOrdered => CorrelationKind::TemporalOrdered { condition },
        Type::ValueSum => CorrelationKind::ValueSum {
            field: single()?,
            condition,
        },
        Type::ValueAvg => CorrelationKind::ValueAvg {
            field: single()?,
            condition,
        },
        Type::ValuePercentile => CorrelationKind::ValuePercentile {
            field: single()?,
            percentile,
            condition,
        },
        Type::ValueMedian => CorrelationKind::ValuePercentile {
            field: single()?,
            percentile: Some(50_000_000),
            condition,
        },
    })
}

fn read_bounds(map: &Keys<'_>) -> Result<Vec<Bound>, Problem> {
    let mut bounds = Vec::new();
    for entry in map.entries {
        if let Some(&(_, op)) = OPERATORS.iter().find(|(name, _)| *name == entry.key) {
            bounds.push(Bound {
                op,
                number: read_number(&entry.value, "a bound")?,
            });
        }
    }
    if bounds.is_empty() {
        let reason = "needs one of gt, gte, lt, lte, eq, neq".to_owned();
        return Err(Problem::new(
            map.position,
            ErrorKind::Value {
                value: "condition".to_owned(),
                reason,
            },
        ));
    }
    Ok(bounds)
}

fn read_number(node: &Node, what: &str) -> Result<Number, Problem> {
    match &node.kind {
        Kind::Scalar(scalar) => match scalar.value {
            Resolved::Number(number) if millionths_of_number(number).is_some() => Ok(number),
            Resolved::Number(_) => {
                let reason = "is beyond what can be counted (10^18)".to_owned();
                Err(Problem::new(
                    node.position,
                    ErrorKind::Value {
                        value: scalar.text.clone(),
                        reason,
                    },
                ))
            }
            _ => Err(node.wrong(what, "a number")),
        },
        _ => Err(node.wrong(what, "a number")),
    }
}

fn read_percentile(node: &Node) -> Result<i128, Problem> {
    let millionths = millionths_of_number(read_number(node, "percentile")?);
    match millionths.filter(|value| (0..=100_000_000).contains(value)) {
        Some(value) => Ok(value),
        None => Err(node.wrong("percentile", "a number from 0 to 100")),
    }
}

/// `number + letter (in lowercase)`: s, m, h, d; also pySigma's w, M (30.436875 days) and y (365.2425 days).
fn read_timespan(node: &Node) -> Result<i64, Problem> {
    const UNITS: &[(char, i64)] = &[
        ('s', 1),
        ('m', 60),
        ('h', 3_600),
        ('d', 86_400),
        ('w', 604_800),
        ('M', 2_629_746),
        ('y', 31_556_952),
    ];
    let text = node.text("timespan")?;
    let problem = |reason: &str| {
        Problem::new(
            node.position,
            ErrorKind::Value {
                value: text.to_owned(),
                reason: reason.to_owned(),
            },
        )
    };
    let form = "a timespan is a whole number and s, m, h or d, for example 90m";
    let unit = text.chars().next_back().ok_or_else(|| problem(form))?;
    let seconds = UNITS
        .iter()
        .find(|(letter, _)| *letter == unit)
        .map(|&(_, s)| s)
        .ok_or_else(|| problem(form))?;
    let digits = &text[..text.len() - unit.len_utf8()];
    let count: i64 = Some(digits)
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| problem(form))?;
    // A hundred years: sums of times and timespans stay far from overflow.
    match count
        .checked_mul(seconds)
        .filter(|&s| s <= 100 * 31_556_952)
    {
        Some(0) => Err(problem("a timespan must be longer than nothing")),
        Some(seconds) => Ok(seconds * 1_000_000),
        None => Err(problem("a timespan of more than 100 years")),
    }
}

fn read_aliases(node: Option<&Node>) -> Result<Vec<UnboundAlias>, Problem> {
    let Some(node) = node else {
        return Ok(Vec::new());
    };
    let mut aliases = Vec::new();
    for entry in node.entries("aliases")? {
        let mut fields = Vec::new();
        for rule in entry.value.entries("an alias")? {
            let field = rule.value.text("the field of an alias")?;
            fields.push((
                Arc::from(rule.key.as_str()),
                Arc::from(field),
                rule.position,
            ));
        }
        aliases.push(UnboundAlias {
            name: Arc::from(entry.key.as_str()),
            fields,
        });
    }
    Ok(aliases)
}

/// A condition in words: names of rules with and, or, not.
fn read_words(
    kind: Type,
    node: &Node,
    rules: &mut Vec<(Arc<str>, Position)>,
) -> Result<CorrelationKind, Problem> {
    let order = match kind {
        Type::Temporal => Order::Any,
        Type::TemporalOrdered => Order::AsWritten,
        _ => return Err(node.wrong("condition of this type", "a map such as {gte: 10}")),
    };
    let text = node.text("condition")?;
    let parsed = condition::parse(text, node.position)?;
    let mut named = Vec::new();
    names(&parsed, node, &mut named)?;
    if rules.is_empty() {
        *rules = named
            .iter()
            .map(|name| (Arc::from(*name), node.position))
            .collect();
    }
    for (rule, position) in rules.iter() {
        if !named.contains(&&**rule) {
            let reason =
                "is among the rules, but the condition does not speak of it; remove it or add it"
                    .to_owned();
            return Err(Problem::new(
                *position,
                ErrorKind::Value {
                    value: rule.to_string(),
                    reason,
                },
            ));
        }
    }
    if order == Order::AsWritten {
        if rules.len() > ORDERED_WORDS_MAX {
            let reason =
                format!("an ordered condition may speak of at most {ORDERED_WORDS_MAX} rules");
            return Err(Problem::new(node.position, ErrorKind::Condition { reason }));
        }
        // The order is that of the condition, whatever the list says.
        rules.sort_by_key(|(rule, _)| named.iter().position(|name| *name == &**rule));
    }
    let condition = rule_expr(&parsed, rules, node)?;
    if order == Order::AsWritten && ways(&condition).is_none() {
        let reason = "can hold in too many ways to look for each in its order; write it as \
                      several correlations"
            .to_owned();
        return Err(Problem::new(node.position, ErrorKind::Condition { reason }));
    }
    Ok(CorrelationKind::TemporalExtended {
        condition,
        text: Arc::from(text),
        order,
    })
}

/// The names of a condition in the order of their first mention.
fn names<'a>(
    condition: &'a Condition,
    node: &Node,
    found: &mut Vec<&'a str>,
) -> Result<(), Problem> {
    match condition {
        Condition::Name(name) => {
            if found.contains(&name.as_str()) {
                return Ok(());
            }
            if found.len() == RULES_MAX {
                let reason = format!("names more than {RULES_MAX} rules");
                return Err(Problem::new(node.position, ErrorKind::Condition { reason }));
            }
            found.push(name);
            Ok(())
        }
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().try_for_each(|part| names(part, node, found))
        }
        Condition::Not(part) => names(part, node, found),
        Condition::Of { .. } => {
            let reason = "a correlation's condition knows names, and, or, not; write the names out"
                .to_owned();
            Err(Problem::new(node.position, ErrorKind::Condition { reason }))
        }
    }
}

fn rule_expr(
    condition: &Condition,
    rules: &[(Arc<str>, Position)],
    node: &Node,
) -> Result<RuleExpr, Problem> {
    let all = |parts: &[Condition]| -> Result<Vec<RuleExpr>, Problem> {
        parts
            .iter()
            .map(|part| rule_expr(part, rules, node))
            .collect()
    };
    match condition {
        Condition::And(parts) => Ok(RuleExpr::And(all(parts)?)),
        Condition::Or(parts) => Ok(RuleExpr::Or(all(parts)?)),
        Condition::Not(part) => Ok(RuleExpr::Not(Box::new(rule_expr(part, rules, node)?))),
        Condition::Name(name) => match rules.iter().position(|(rule, _)| **rule == **name) {
            Some(index) => Ok(RuleExpr::Rule(index)),
            None => Err(unknown_name(name, rules, node)),
        },
        Condition::Of { .. } => Err(unknown_name("of", rules, node)),
    }
}

fn unknown_name(name: &str, rules: &[(Arc<str>, Position)], node: &Node) -> Problem {
    let suggestion = nearest(name, rules.iter().map(|(rule, _)| &**rule));
    Problem::new(
        node.position,
        ErrorKind::UnknownRule {
            reference: name.to_owned(),
            suggestion,
        },
    )
}
