//! Which events a rule is about, as a condition over the columns of log sources.

use std::collections::{BTreeMap, BTreeSet};

use citywatch_parsers::LogSource;

use super::literal::literal;

/// One of the event's log sources equals the rule's on every part that the rule names; none when it names no part.
pub(super) fn condition(source: &LogSource<'_>) -> Option<String> {
    let named = [
        ("product", 1, &source.product),
        ("category", 2, &source.category),
        ("service", 3, &source.service),
    ];
    let named: Vec<_> = named
        .into_iter()
        .filter(|(_, _, part)| !part.is_empty())
        .map(|(column, place, part)| (column, place, literal(&part.to_ascii_lowercase())))
        .collect();
    if named.is_empty() {
        return None;
    }
    let first: Vec<String> = named
        .iter()
        .map(|(column, _, part)| format!("lower({column}) = {part}"))
        .collect();
    // The others are `product/category/service`.
    let other: Vec<String> = named
        .iter()
        .map(|(_, place, part)| format!("splitByChar('/', lower(s))[{place}] = {part}"))
        .collect();
    Some(format!(
        "({} OR arrayExists(s -> {}, other_log_sources))",
        first.join(" AND "),
        other.join(" AND ")
    ))
}

/// At least the events of which one of these rules' log sources speaks: what other log sources an event has is left to whoever
/// asks. None when one of them names no part.
pub(super) fn any_of<'s>(sources: impl Iterator<Item = &'s LogSource<'static>>) -> Option<String> {
    // By the columns that they name, the values of these.
    let mut named: BTreeMap<Vec<&str>, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let parts = [
            ("lower(product)", &source.product),
            ("lower(category)", &source.category),
            ("lower(service)", &source.service),
        ];
        let parts = parts.iter().filter(|(_, part)| !part.is_empty());
        let (columns, values): (Vec<&str>, Vec<String>) = parts
            .map(|(column, part)| (*column, literal(&part.to_ascii_lowercase())))
            .unzip();
        if columns.is_empty() {
            return None;
        }
        let value = format!("({})", values.join(", "));
        named.entry(columns).or_default().insert(value);
    }
    let mut conditions = vec!["notEmpty(other_log_sources)".to_owned()];
    for (columns, values) in named {
        let values: Vec<String> = values.into_iter().collect();
        conditions.push(format!(
            "({}) IN ({})",
            columns.join(", "),
            values.join(", ")
        ));
    }
    Some(format!("({})", conditions.join(" OR ")))
}
