//! The `detection` section: named searches and conditions (rules specification, "Detection").

use std::rc::Rc;
use std::sync::Arc;

use super::allowance::Allowance;
use super::draft::{Branch, Draft, DraftSearch, Link};
use super::item::Item;
use crate::error::{ErrorKind, Problem};
use crate::rule::{ConditionText, Expr, Search};
use crate::yaml::{Entry, Kind, Node, Resolved};

/// Searches of one rule; SigmaHQ's have below 50.
const SEARCHES_MAX: usize = 1_000;

/// A detection once read.
#[derive(Clone)]
pub(super) struct Detection {
    pub(super) searches: Vec<Search>,
    pub(super) condition: Expr,
    pub(super) conditions: Vec<ConditionText>,
}

/// Reads the section of a rule.
pub(super) fn read(node: &Node, allowance: &Allowance<'_>) -> Result<Draft, Problem> {
    let entries = node.entries("detection")?;
    read_entries(entries, node, "detection", allowance)
}

/// Reads searches and the condition among `entries`.
pub(super) fn read_entries(
    entries: &[Entry],
    node: &Node,
    within: &'static str,
    allowance: &Allowance<'_>,
) -> Result<Draft, Problem> {
    let mut searches = Vec::new();
    let mut condition_node = None;
    for entry in entries {
        match entry.key.as_str() {
            "condition" => condition_node = Some(&entry.value),
            "timeframe" => {
                let reason = "a timeframe belongs to the aggregations of old rules; write a correlation with timespan";
                return Err(Problem::new(
                    entry.position,
                    ErrorKind::Value {
                        value: entry.key.clone(),
                        reason: reason.to_owned(),
                    },
                ));
            }
            _ if searches.len() >= SEARCHES_MAX => {
                let reason = format!("a rule with more than {SEARCHES_MAX} searches; split it");
                return Err(Problem::new(
                    entry.position,
                    ErrorKind::Condition { reason },
                ));
            }
            name => searches.push(DraftSearch {
                name: Arc::from(name),
                branch: read_search(&entry.value, allowance)?,
                position: entry.position,
            }),
        }
    }
    let Some(condition_node) = condition_node else {
        let names = entries.iter().map(|entry| entry.key.as_str());
        let suggestion = crate::error::nearest("condition", names);
        return Err(Problem::new(
            node.position,
            ErrorKind::MissingKey {
                key: "condition",
                within,
                suggestion,
            },
        ));
    };
    if searches.is_empty() {
        let reason =
            "a detection without a search can never hold; add one, for example `selection:`"
                .to_owned();
        return Err(Problem::new(node.position, ErrorKind::Condition { reason }));
    }
    let texts = condition_node.texts("condition")?;
    if texts.is_empty() {
        return Err(condition_node.wrong("condition", "text or a list of texts"));
    }
    let conditions = texts.into_iter().map(|(text, position)| ConditionText {
        text: Arc::from(text),
        position,
    });
    Ok(Draft {
        searches,
        conditions: conditions.collect(),
    })
}

/// A search: a map (And), a list of maps (Or), a list of keywords (Or), or one keyword.
fn read_search(node: &Node, allowance: &Allowance<'_>) -> Result<Branch, Problem> {
    let keyword = |node| Item::keyword().draft(node, allowance).map(Branch::Item);
    match &node.kind {
        Kind::Map(entries) => read_map(entries, node, allowance),
        Kind::List(items) if items.is_empty() => {
            Err(node.wrong("a search", "a list of at least one value or map"))
        }
        Kind::List(items) => {
            let is_scalar = |item: &Rc<Node>| matches!(item.kind, Kind::Scalar(_));
            if items.iter().all(is_scalar) {
                return keyword(node);
            }
            let parts = items
                .iter()
                .map(|item| match &item.kind {
                    Kind::Map(entries) => read_map(entries, item, allowance),
                    Kind::Scalar(_) => keyword(item),
                    Kind::List(_) => Err(item.wrong("an item of a search", "a value or a map")),
                })
                .collect::<Result<_, Problem>>()?;
            Ok(Branch::Group(Link::Any, parts))
        }
        Kind::Scalar(scalar) if scalar.value == Resolved::Null => {
            Err(node.wrong("a search", "a map, or a list of values or maps"))
        }
        Kind::Scalar(_) => keyword(node),
    }
}

pub(super) fn read_map(
    entries: &[Entry],
    node: &Node,
    allowance: &Allowance<'_>,
) -> Result<Branch, Problem> {
    if entries.is_empty() {
        return Err(node.wrong("a search", "a map with at least one field"));
    }
    let items = entries.iter().map(|entry| {
        let item = Item::parse(&entry.key, entry.position)?;
        item.draft(&entry.value, allowance).map(Branch::Item)
    });
    Ok(Branch::Group(
        Link::All,
        items.collect::<Result<_, Problem>>()?,
    ))
}
