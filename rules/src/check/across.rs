//! What shows across all rules: titles, logic and references that are there twice or nowhere.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Document, Notes, Remark, Severity, scalar};
use crate::load::RuleSet;
use crate::rule::{Expr, Position, Rule, Test};

/// A test that more rules have tells nothing of likeness.
const SHARED_BY_MAX: usize = 20;
/// Tests that rules must have to be compared, and the share that must be the same, in percent.
const TESTS_MIN: usize = 5;
const SAME_PERCENT: usize = 90;

/// What is gathered document by document.
#[derive(Default)]
pub(super) struct Across {
    titles: HashMap<String, (Arc<str>, Position)>,
    doubled: Vec<(Arc<str>, Position, String)>,
    ids: HashSet<String>,
    related: Vec<(Arc<str>, Position, String)>,
    filters: Vec<(Arc<str>, Position, [String; 3])>,
}

impl Across {
    pub(super) fn take(&mut self, path: &Arc<str>, document: &Document<'_>) {
        if let Some(title) = document.entry("title")
            && let Some(text) = scalar(&title.value)
        {
            let key = text.text.trim().to_lowercase();
            let at = title.value.position;
            match self.titles.get(&key) {
                Some((first, place)) => {
                    let words = format!(
                        "{:?} is the title of the rule at {first}:{place}, too",
                        text.text
                    );
                    self.doubled.push((Arc::clone(path), at, words));
                }
                None => {
                    self.titles.insert(key, (Arc::clone(path), at));
                }
            }
        }
        if let Some(id) = document.text_of("id") {
            self.ids.insert(id.to_owned());
        }
        if document.entry("filter").is_some() {
            let part = |key: &str| {
                let section = document.section("logsource").unwrap_or_default();
                let entry = section.iter().find(|entry| entry.key == key);
                entry
                    .and_then(|entry| scalar(&entry.value))
                    .map(|value| value.text.to_lowercase())
                    .unwrap_or_default()
            };
            let source = ["product", "category", "service"].map(part);
            self.filters
                .push((Arc::clone(path), document.root.position, source));
        }
        let related = document.entry("related").map(|entry| &entry.value.kind);
        if let Some(crate::yaml::Kind::List(items)) = related {
            for item in items {
                let crate::yaml::Kind::Map(entries) = &item.kind else {
                    continue;
                };
                let get = |key: &str| {
                    entries
                        .iter()
                        .find(|entry| entry.key == key)
                        .and_then(|entry| Some((scalar(&entry.value)?, entry.value.position)))
                };
                // What was renamed, merged or obsoleted need not be there any more.
                if let (Some((id, at)), Some((kind, _))) = (get("id"), get("type"))
                    && kind.text == "derived"
                {
                    self.related.push((Arc::clone(path), at, id.text.clone()));
                }
            }
        }
    }

    pub(super) fn check(self, set: &RuleSet, least: Severity, remarks: &mut Vec<Remark>) {
        for (path, at, words) in &self.doubled {
            Notes::new(path, least, remarks).add("CW603", *at, words.clone());
        }
        if self.ids.len() > 1 {
            for (path, at, id) in self
                .related
                .iter()
                .filter(|(_, _, id)| !self.ids.contains(id))
            {
                Notes::new(path, least, remarks).add(
                    "CW606",
                    *at,
                    format!("no rule that was read has the id {id}"),
                );
            }
        }
        for (path, at, [product, category, service]) in &self.filters {
            let covers = |rule: &Arc<Rule>| {
                let fits = |mine: &str, other: &str| mine.is_empty() || mine == other;
                fits(product, &rule.log_source.product)
                    && fits(category, &rule.log_source.category)
                    && fits(service, &rule.log_source.service)
            };
            if !set.rules.is_empty() && !set.rules.iter().any(covers) {
                Notes::new(path, least, remarks).add(
                    "CW510",
                    *at,
                    "the filter's logsource covers no rule that was read",
                );
            }
        }
        alike(set, least, remarks);
    }
}

/// Rules that say the same, or nearly.
fn alike(set: &RuleSet, least: Severity, remarks: &mut Vec<Remark>) {
    let mut same: HashMap<u64, usize> = HashMap::new();
    let mut tests: Vec<HashSet<u64>> = Vec::with_capacity(set.rules.len());
    let mut holders: HashMap<u64, Vec<usize>> = HashMap::new();
    for (index, rule) in set.rules.iter().enumerate() {
        let mut own = HashSet::new();
        let mut hasher = DefaultHasher::new();
        rule.log_source.hash(&mut hasher);
        hash_expr(&rule.condition, &mut own).hash(&mut hasher);
        let place = |rule: &Rule| format!("{}:{}", rule.meta.path, rule.meta.position);
        if let Some(first) = same.insert(hasher.finish(), index) {
            let other = &set.rules[first];
            let words = format!(
                "the rule at {} asks for exactly the same ({:?})",
                place(other),
                other.meta.title
            );
            Notes::new(&rule.meta.path, least, remarks).add("CW604", rule.meta.position, words);
            own.clear();
        }
        if least == Severity::Info && own.len() >= TESTS_MIN {
            let mut shared: HashMap<usize, usize> = HashMap::new();
            for test in &own {
                let holders = holders.entry(*test).or_default();
                for other in holders.iter() {
                    *shared.entry(*other).or_default() += 1;
                }
                if holders.len() < SHARED_BY_MAX {
                    holders.push(index);
                }
            }
            let near = shared.into_iter().filter(|(other, count)| {
                let all = own.len() + tests[*other].len() - count;
                count * 100 >= all * SAME_PERCENT && set.rules[*other].log_source == rule.log_source
            });
            if let Some((other, count)) =
                near.max_by_key(|&(other, count)| (count, std::cmp::Reverse(other)))
            {
                let other = &set.rules[other];
                let words = format!(
                    "{count} of {} tests are those of the rule at {} ({:?})",
                    own.len(),
                    place(other),
                    other.meta.title
                );
                Notes::new(&rule.meta.path, least, remarks).add("CW605", rule.meta.position, words);
            }
        }
        tests.push(own);
    }
}

/// A hash that does not depend on the order of what And and Or join; leaves go into `tests`.
fn hash_expr(expr: &Expr, tests: &mut HashSet<u64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            matches!(expr, Expr::And(_)).hash(&mut hasher);
            let sum = parts
                .iter()
                .fold(0u64, |sum, part| sum.wrapping_add(hash_expr(part, tests)));
            (sum, parts.len()).hash(&mut hasher);
            return hasher.finish();
        }
        Expr::Not(part) => {
            ("not", hash_expr(part, tests)).hash(&mut hasher);
            return hasher.finish();
        }
        Expr::Field(test) => {
            test.field.hash(&mut hasher);
            hash_test(&test.test, &mut hasher);
        }
        Expr::Keyword(test) => {
            "keyword".hash(&mut hasher);
            hash_test(test, &mut hasher);
        }
        Expr::Const(value) => value.hash(&mut hasher),
    }
    let hash = hasher.finish();
    tests.insert(hash);
    hash
}

fn hash_test(test: &Test, hasher: &mut DefaultHasher) {
    match test {
        Test::Text(pattern) => pattern.hash(hasher),
        Test::Regex(pattern) => pattern.hash(hasher),
        Test::Cidr(block) => block.hash(hasher),
        other => format!("{other:?}").hash(hasher),
    }
}
