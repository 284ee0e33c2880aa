//! Correlations: their form, and what they say of the rules that they refer to.

use super::{Document, Notes, Remark, Severity, fields, scalar, scalars};
use crate::correlation::{Bound, Correlation, CorrelationKind, RuleTarget};
use crate::load::RuleSet;
use crate::rule::{Alerts, CompareOp, Level};
use crate::yaml::{Kind, Resolved};

const OPERATORS: &[&str] = &["gt", "gte", "lt", "lte", "eq", "neq"];
const BESIDE_OPERATORS: &[&str] = &["field", "percentile"];
/// Windows hold their matches in memory as long as this.
const TIMESPAN_US_LONG: i64 = 7 * 86_400_000_000;

/// What a correlation's own text shows.
pub(super) fn check_document(document: &Document<'_>, notes: &mut Notes<'_>) {
    let Some(section) = document.section("correlation") else {
        return;
    };
    let get = |key: &str| section.iter().find(|entry| entry.key == key);
    let at = document
        .entry("correlation")
        .map_or(document.root.position, |entry| entry.position);
    if get("group-by").is_none() {
        notes.add(
            "CW407",
            at,
            "without group-by all events are one group, from all hosts and users together",
        );
    }
    if let Some(rules) = get("rules") {
        for (rule, at) in scalars(&rules.value) {
            if rule.text.contains(' ') {
                notes.add(
                    "CW425",
                    at,
                    format!("{:?} is a title; name rules by id or name", rule.text),
                );
            }
        }
        let kind = get("type")
            .and_then(|entry| scalar(&entry.value))
            .map(|kind| kind.text.as_str());
        if kind.is_some_and(|kind| kind.starts_with("temporal")) && scalars(&rules.value).len() == 1
        {
            notes.add(
                "CW423",
                rules.position,
                "a temporal correlation of one rule holds whenever that matches; name two or more",
            );
        }
    }
    if let Some(condition) = get("condition")
        && let Kind::Map(entries) = &condition.value.kind
    {
        for entry in entries {
            let key = entry.key.as_str();
            if OPERATORS.contains(&key) {
                let is_number = matches!(scalar(&entry.value), Some(value) if matches!(value.value, Resolved::Number(_)));
                if !is_number {
                    notes.add(
                        "CW411",
                        entry.value.position,
                        format!("{key} takes a number"),
                    );
                }
            } else if !BESIDE_OPERATORS.contains(&key) {
                notes.add(
                    "CW410",
                    entry.position,
                    format!("{key:?} is no operator; there are {}", OPERATORS.join(", ")),
                );
            }
        }
    }
    if let Some(generate) = get("generate").or(document.entry("generate"))
        && !matches!(scalar(&generate.value), Some(value) if matches!(value.value, Resolved::Bool(_)))
    {
        notes.add(
            "CW412",
            generate.value.position,
            "generate is true or false",
        );
    }
}

/// What shows once all rules are there.
pub(super) fn check(set: &RuleSet, least: Severity, remarks: &mut Vec<Remark>) {
    for correlation in &set.correlations {
        let mut notes = Notes::new(&correlation.meta.path, least, remarks);
        bounds(correlation, &mut notes);
        aliases(correlation, &mut notes);
        group_by(set, correlation, &mut notes);
        let at = correlation.meta.position;
        if correlation.timespan_us > TIMESPAN_US_LONG {
            notes.add(
                "CW417",
                at,
                "the timespan is longer than a week: all matches of it are kept in memory",
            );
        }
        for reference in &correlation.rules {
            let meta = match reference.target {
                RuleTarget::Rule { index, .. } => &set.rules[index].meta,
                RuleTarget::Correlation { index, .. } => &set.correlations[index].meta,
            };
            if meta.alerts == Alerts::OnlyCorrelated && meta.level >= Some(Level::High) {
                let level = meta.level.map_or("", Level::name);
                let words = format!(
                    "{:?} has level {level}, but raises no alert of its own because a correlation refers to it; say generate: true to keep its alerts",
                    meta.title
                );
                notes.add("CW415", reference.position, words);
            }
        }
    }
}

fn conditions(kind: &CorrelationKind) -> &[Bound] {
    match kind {
        CorrelationKind::EventCount { condition }
        | CorrelationKind::ValueCount { condition, .. }
        | CorrelationKind::Temporal { condition }
        | CorrelationKind::TemporalOrdered { condition }
        | CorrelationKind::ValueSum { condition, .. }
        | CorrelationKind::ValueAvg { condition, .. }
        | CorrelationKind::ValuePercentile { condition, .. } => condition,
        CorrelationKind::TemporalExtended { .. } => &[],
    }
}

fn bounds(correlation: &Correlation, notes: &mut Notes<'_>) {
    let bounds = conditions(&correlation.kind);
    let at = correlation.meta.position;
    let counts = matches!(
        correlation.kind,
        CorrelationKind::EventCount { .. } | CorrelationKind::ValueCount { .. }
    );
    let lowest = bounds.iter().filter_map(|bound| match bound.op {
        CompareOp::Greater => Some(bound.number.to_f64() + if counts { 1.0 } else { 0.0 }),
        CompareOp::GreaterOrEqual | CompareOp::Equal => Some(bound.number.to_f64()),
        _ => None,
    });
    let lowest = lowest.fold(f64::NEG_INFINITY, f64::max);
    let highest = bounds.iter().filter_map(|bound| match bound.op {
        CompareOp::Less => Some(bound.number.to_f64() - if counts { 1.0 } else { 0.0 }),
        CompareOp::LessOrEqual | CompareOp::Equal => Some(bound.number.to_f64()),
        _ => None,
    });
    let highest = highest.fold(f64::INFINITY, f64::min);
    if lowest > highest {
        notes.add(
            "CW419",
            at,
            "the bounds of the condition exclude each other: it never holds",
        );
    } else if counts && (lowest <= 1.0 && lowest > f64::NEG_INFINITY) && highest == f64::INFINITY {
        notes.add(
            "CW418",
            at,
            "the condition holds for every single match; a count begins at 2",
        );
    } else if counts && lowest == f64::NEG_INFINITY && highest < f64::INFINITY {
        notes.add("CW428", at, "the condition has only an upper bound, so it holds in quiet times; nothing is counted where nothing matches");
    }
}

fn aliases(correlation: &Correlation, notes: &mut Notes<'_>) {
    let condition_fields: Vec<&str> = match &correlation.kind {
        CorrelationKind::ValueCount { fields, .. } => fields.iter().map(|field| &**field).collect(),
        CorrelationKind::ValueSum { field, .. }
        | CorrelationKind::ValueAvg { field, .. }
        | CorrelationKind::ValuePercentile { field, .. } => vec![field],
        _ => Vec::new(),
    };
    for alias in &correlation.aliases {
        let used =
            correlation.group_by.contains(&alias.name) || condition_fields.contains(&&*alias.name);
        if !used {
            notes.add(
                "CW421",
                correlation.meta.position,
                format!(
                    "the alias {:?} is used nowhere; name it in group-by or remove it",
                    alias.name
                ),
            );
        }
    }
}

/// Fields of group-by that no event of a rule has: its matches are never counted.
fn group_by(set: &RuleSet, correlation: &Correlation, notes: &mut Notes<'_>) {
    for (place, reference) in correlation.rules.iter().enumerate() {
        let RuleTarget::Rule { index, .. } = reference.target else {
            continue;
        };
        let Some(known) = fields::fields_of(&set.rules[index].log_source) else {
            continue;
        };
        for name in &correlation.group_by {
            match correlation.field_of(name, place) {
                None => {
                    let words = format!(
                        "the alias {name:?} says nothing for {:?}: its matches are never counted",
                        reference.written
                    );
                    notes.add("CW422", reference.position, words);
                }
                Some(field) if !known.contains(&field) => {
                    let words = format!(
                        "events of {:?} have no field {field:?} to group by, so its matches are never counted",
                        reference.written
                    );
                    notes.add("CW420", reference.position, words);
                }
                Some(_) => {}
            }
        }
    }
}
