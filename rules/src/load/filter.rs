//! The `filter` section (Sigma Filters Specification).

use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::allowance::Allowance;
use super::detection::{self, Detection};
use super::draft::{Draft, DraftRule};
use crate::error::{ErrorKind, Problem};
use crate::rule::{Expr, Meta, Position, Rule, Search};
use crate::yaml::{Entry, Kind, Node};

/// A filter: what must hold besides, for the rules that it names.
pub(super) struct Filter {
    pub(super) meta: Meta,
    pub(super) log_source: LogSource<'static>,
    pub(super) rules: Targets,
    body: Body,
}

/// What a filter adds to a rule.
enum Body {
    Lowered {
        detection: Detection,
        /// Tests and operators, and bytes of names.
        parts: usize,
        text_bytes: usize,
    },
    /// Where pipelines come between.
    Draft(Draft),
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
    let draft = detection::read_entries(&searches, node, "filter", allowance)?;
    let rules = if any {
        Targets::Any
    } else {
        Targets::Named(names)
    };
    if !allowance.options.pipelines.is_empty() {
        return Ok(Filter {
            meta,
            log_source,
            rules,
            body: Body::Draft(draft),
        });
    }
    let detection = draft.lower(allowance)?;
    let exprs = detection.searches.iter().map(|search| &search.expr);
    let parts = exprs.chain([&detection.condition]).map(Expr::parts).sum();
    let searches = detection.searches.iter().map(|search| search.name.len());
    let text_bytes = searches.map(|bytes| bytes + 1 + meta.title.len()).sum();
    Ok(Filter {
        meta,
        log_source,
        rules,
        body: Body::Lowered {
            detection,
            parts,
            text_bytes,
        },
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
        if let Body::Lowered {
            detection,
            parts,
            text_bytes,
        } = &self.body
        {
            allowance.take_parts(*parts)?;
            allowance.take_text(*text_bytes)?;
            join(rule, &self.meta.title, detection.clone());
            self.mark(&mut rule.meta);
        }
        Ok(())
    }

    /// The same for a rule that pipelines will change first.
    pub(super) fn apply_to_draft(&self, rule: &mut DraftRule) {
        if let Body::Draft(draft) = &self.body {
            let title = Arc::clone(&self.meta.title);
            rule.filters.push((title, draft.clone()));
            self.mark(&mut rule.meta);
        }
    }

    /// Another version of the rule than without this filter.
    fn mark(&self, meta: &mut Meta) {
        let hashes = [meta.content_hash(), self.meta.content_hash()];
        let hashes = hashes.iter().map(|hash| hash.as_bytes());
        meta.changed_hash = Some(Arc::from(super::document::sha256_hex(hashes)));
    }
}

/// The rule becomes `(rule) and (filter)`.
pub(super) fn join(rule: &mut Rule, title: &str, filter: Detection) {
    let own = std::mem::replace(&mut rule.condition, Expr::Const(true));
    rule.condition = Expr::And(vec![own, filter.condition]);
    let searches = filter.searches.into_iter().map(|search| Search {
        name: Arc::from(format!("{title}/{}", search.name)),
        ..search
    });
    rule.searches.extend(searches);
    rule.conditions.extend(filter.conditions);
}
