//! What shows across all rules: titles, logic and references that are there twice or nowhere.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Document, Notes, Remark, Severity, scalar};
use crate::load::RuleSet;
use crate::rule::{Expr, Position, Rule, Test};
use crate::threads::in_ranges;

/// A test that more rules have tells nothing of likeness.
const SHARED_BY_MAX: usize = 20;
/// Tests that rules must have to be compared, and the share that must be the same, in percent.
const TESTS_MIN: usize = 5;
const SAME_PERCENT: usize = 90;

/// What is gathered document by document.
#[derive(Default)]
pub(super) struct Across {
    titles: Vec<(Arc<str>, Position, String)>,
    ids: HashSet<String>,
    related: Vec<(Arc<str>, Position, String)>,
    filters: Vec<(Arc<str>, Position, [String; 3])>,
}

impl Across {
    pub(super) fn take(&mut self, path: &Arc<str>, document: &Document<'_>) {
        if let Some(title) = document.entry("title")
            && let Some(text) = scalar(&title.value)
        {
            self.titles
                .push((Arc::clone(path), title.value.position, text.text.clone()));
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

    /// Adds what was gathered from what comes behind.
    pub(super) fn append(&mut self, mut other: Self) {
        self.titles.append(&mut other.titles);
        self.ids.extend(other.ids);
        self.related.append(&mut other.related);
        self.filters.append(&mut other.filters);
    }

    fn check_titles(&self, least: Severity, remarks: &mut Vec<Remark>) {
        let mut first_with: HashMap<String, (&Arc<str>, Position)> = HashMap::new();
        for (path, at, title) in &self.titles {
            match first_with.entry(title.trim().to_lowercase()) {
                Entry::Vacant(free) => {
                    free.insert((path, *at));
                }
                Entry::Occupied(first) => {
                    let (first, place) = first.get();
                    let words =
                        format!("{title:?} is the title of the rule at {first}:{place}, too");
                    Notes::new(path, least, remarks).add("CW603", *at, words);
                }
            }
        }
    }

    pub(super) fn check(self, set: &RuleSet, least: Severity, remarks: &mut Vec<Remark>) {
        self.check_titles(least, remarks);
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

/// What two rules are compared by.
struct Likeness {
    /// Of all that a rule asks for.
    whole: u64,
    /// Of each test, where near likeness is looked for.
    tests: HashSet<u64>,
}

impl Likeness {
    fn of(rule: &Rule, least: Severity) -> Self {
        let mut tests = (least == Severity::Info).then(HashSet::new);
        let mut hasher = DefaultHasher::new();
        rule.log_source.hash(&mut hasher);
        hash_expr(&rule.condition, &mut tests).hash(&mut hasher);
        Self {
            whole: hasher.finish(),
            tests: tests.unwrap_or_default(),
        }
    }
}

/// Rules that say the same, or nearly.
fn alike(set: &RuleSet, least: Severity, remarks: &mut Vec<Remark>) {
    let rules = &set.rules;
    let parts = in_ranges(rules.len(), super::RULES_AT_ONCE, |range| {
        let rules = rules[range].iter();
        rules
            .map(|rule| Likeness::of(rule, least))
            .collect::<Vec<_>>()
    });
    let mut same: HashMap<u64, usize> = HashMap::new();
    let mut near = Near::default();
    for (index, likeness) in parts.into_iter().flatten().enumerate() {
        let rule = &rules[index];
        let place = |rule: &Rule| format!("{}:{}", rule.meta.path, rule.meta.position);
        let mut notes = Notes::new(&rule.meta.path, least, remarks);
        if let Some(first) = same.insert(likeness.whole, index) {
            let other = &rules[first];
            let words = format!(
                "the rule at {} asks for exactly the same ({:?})",
                place(other),
                other.meta.title
            );
            notes.add("CW604", rule.meta.position, words);
            near.add(rules, HashSet::new());
        } else if let Some((other, count, tests)) = near.add(rules, likeness.tests) {
            let other = &rules[other];
            let words = format!(
                "{count} of {tests} tests are those of the rule at {} ({:?})",
                place(other),
                other.meta.title
            );
            notes.add("CW605", rule.meta.position, words);
        }
    }
}

/// Finds rules that have nearly all tests of another.
#[derive(Default)]
struct Near {
    /// By rule.
    tests: Vec<HashSet<u64>>,
    /// Rules that have a test.
    holders: HashMap<u64, Vec<usize>>,
}

impl Near {
    /// Adds the next rule's tests: the rule nearest to it among those before, with how many of how many tests.
    fn add(&mut self, rules: &[Arc<Rule>], own: HashSet<u64>) -> Option<(usize, usize, usize)> {
        let index = self.tests.len();
        let count_own = own.len();
        let mut shared: HashMap<usize, usize> = HashMap::new();
        if count_own >= TESTS_MIN {
            for test in &own {
                let holders = self.holders.entry(*test).or_default();
                for other in holders.iter() {
                    *shared.entry(*other).or_default() += 1;
                }
                if holders.len() < SHARED_BY_MAX {
                    holders.push(index);
                }
            }
        }
        self.tests.push(own);
        let near = shared.into_iter().filter(|(other, count)| {
            let all = count_own + self.tests[*other].len() - count;
            count * 100 >= all * SAME_PERCENT && rules[*other].log_source == rules[index].log_source
        });
        near.max_by_key(|&(other, count)| (count, std::cmp::Reverse(other)))
            .map(|(other, count)| (other, count, count_own))
    }
}

/// A hash that does not depend on the order of what And and Or join; leaves go into `tests`.
fn hash_expr(expr: &Expr, tests: &mut Option<HashSet<u64>>) -> u64 {
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
    if let Some(tests) = tests {
        tests.insert(hash);
    }
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
