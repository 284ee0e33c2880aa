//! The `filter` section (Sigma Filters Specification).

use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::allowance::Allowance;
use super::detection::{self, Detection};
use crate::error::{ErrorKind, Problem};
use crate::rule::{Expr, Meta, Position, Rule, Search};
use crate::yaml::{Entry, Kind, Node};

/// A filter: what must hold besides, for the rules that it names.
pub(super) struct Filter {
    pub(super) meta: Meta,
    pub(super) log_source: LogSource<'static>,
    pub(super) rules: Targets,
    pub(super) detection: Detection,
    /// What it adds to a rule: tests and operators, and bytes of names.
    parts: usize,
    text_bytes: usize,
}

/// Which rules a filter is for.
pub(super) enum Targets {
    /// All whose log source it covers: `rules: any` (as in pySigma).
    Any,
    /// Those with these ids or names.
    Named(Vec<(Arc<str>, Position)>),
}

/// Reads the section.
pub(super) fn read(
    meta: Meta,
    log_source: LogSource<'static>,
    node: &Node,
    allowance: &Allowance<'_>,
) -> Result<Filter, Problem> {
    let entries = node.entries("filter")?;
    let Some(rules) = entries.iter().find(|entry| entry.key == "rules") else {
        let suggestion =
            crate::error::nearest("rules", entries.iter().map(|entry| entry.key.as_str()));
        let kind = ErrorKind::MissingKey {
            key: "rules",
            within: "filter",
            suggestion,
        };
        return Err(Problem::new(node.position, kind));
    };
    let names: Vec<(Arc<str>, Position)> = rules
        .value
        .texts("rules")?
        .into_iter()
        .map(|(name, position)| (Arc::from(name), position))
        .collect();
    let any = match &rules.value.kind {
        Kind::Scalar(scalar) => scalar.text.eq_ignore_ascii_case("any"),
        _ => names.is_empty(),
    };
    let searches: Vec<Entry> = entries
        .iter()
        .filter(|entry| entry.key != "rules")
        .cloned()
        .collect();
    let detection = detection::read_entries(&searches, node, "filter", allowance)?;
    let exprs = detection.searches.iter().map(|search| &search.expr);
    let parts = exprs.chain([&detection.condition]).map(Expr::parts).sum();
    let searches = detection.searches.iter().map(|search| search.name.len());
    let text_bytes = searches.map(|bytes| bytes + 1 + meta.title.len()).sum();
    Ok(Filter {
        meta,
        log_source,
        rules: if any {
            Targets::Any
        } else {
            Targets::Named(names)
        },
        detection,
        parts,
        text_bytes,
    })
}

impl Filter {
    /// Whether each part of the log source that the filter names is the rule's.
    pub(super) fn covers(&self, log_source: &LogSource<'_>) -> bool {
        let covers = |mine: &str, other: &str| mine.is_empty() || mine == other;
        covers(&self.log_source.product, &log_source.product)
            && covers(&self.log_source.category, &log_source.category)
            && covers(&self.log_source.service, &log_source.service)
    }

    /// The rule becomes `(rule) and (filter)`.
    ///
    /// # Errors
    /// When the rule, or all rules together, would become too large: it stays as it was.
    pub(super) fn apply(
        &self,
        rule: &mut Rule,
        allowance: &Allowance<'_>,
    ) -> Result<(), ErrorKind> {
        allowance.take_parts(self.parts)?;
        allowance.take_text(self.text_bytes)?;
        let own = std::mem::replace(&mut rule.condition, Expr::Const(true));
        rule.condition = Expr::And(vec![own, self.detection.condition.clone()]);
        rule.searches
            .extend(self.detection.searches.iter().map(|search| Search {
                name: Arc::from(format!("{}/{}", self.meta.title, search.name)),
                expr: search.expr.clone(),
                position: search.position,
            }));
        rule.conditions
            .extend(self.detection.conditions.iter().cloned());
        let hashes = [&rule.meta.content_hash, &self.meta.content_hash].map(|hash| hash.as_bytes());
        rule.meta.content_hash = Arc::from(super::document::sha256_hex(hashes));
        Ok(())
    }
}
