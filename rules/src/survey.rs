//! Numbers about rules: what they are about, which fields they ask, what of ATT&CK they cover.

use std::collections::{BTreeMap, BTreeSet};

use citywatch_parsers::LogSource;

use crate::attack::{TACTICS, Techniques};
use crate::check::{fields_of, is_technique};
use crate::load::RuleSet;
use crate::rule::{Expr, Meta, Status, Test};

/// How many rules have what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rules.
    pub rules: usize,
    /// Correlations.
    pub correlations: usize,
    /// By level; without one under `none`.
    pub levels: BTreeMap<String, usize>,
    /// By status.
    pub statuses: BTreeMap<String, usize>,
    /// By log source, as `product/category/service`.
    pub log_sources: BTreeMap<String, usize>,
    /// By kind of test: `text`, `regex`, ...; tests, not rules.
    pub tests: BTreeMap<String, usize>,
    /// By type of correlation timespans in seconds, the longest.
    pub timespan_max_s: i64,
}

/// Counts.
pub fn statistics(set: &RuleSet) -> Statistics {
    let mut counted = Statistics {
        rules: set.rules.len(),
        correlations: set.correlations.len(),
        ..Statistics::default()
    };
    let timespans = set
        .correlations
        .iter()
        .map(|one| one.timespan_us / 1_000_000);
    counted.timespan_max_s = timespans.max().unwrap_or(0);
    for meta in metas(set) {
        let level = meta.level.map_or("none", |level| level.name());
        *counted.levels.entry(level.to_owned()).or_default() += 1;
        let status = meta
            .status
            .and_then(|status| Status::ALL.iter().find(|(_, one)| *one == status));
        let status = status.map_or("none", |(name, _)| name);
        *counted.statuses.entry(status.to_owned()).or_default() += 1;
    }
    for rule in &set.rules {
        *counted
            .log_sources
            .entry(log_source_path(&rule.log_source))
            .or_default() += 1;
        rule.condition.walk(&mut |expr| {
            let kind = match expr {
                Expr::Field(test) => test_kind(&test.test),
                Expr::Keyword(_) => "keyword",
                _ => return,
            };
            *counted.tests.entry(kind.to_owned()).or_default() += 1;
        });
    }
    counted
}

fn metas(set: &RuleSet) -> impl Iterator<Item = &Meta> {
    let rules = set.rules.iter().map(|rule| &rule.meta);
    rules.chain(set.correlations.iter().map(|one| &one.meta))
}

/// `windows/process_creation/*`.
pub fn log_source_path(source: &LogSource<'_>) -> String {
    let part = |part: &str| {
        if part.is_empty() {
            "*".to_owned()
        } else {
            part.to_owned()
        }
    };
    [&source.product, &source.category, &source.service]
        .map(|one| part(one))
        .join("/")
}

fn test_kind(test: &Test) -> &'static str {
    match test {
        Test::Text(_) => "text",
        Test::Regex(_) => "regex",
        Test::Cidr(_) => "cidr",
        Test::Compare { .. } => "comparison",
        Test::Number(_) => "number",
        Test::Bool(_) => "boolean",
        Test::Exists(_) => "exists",
        Test::Null => "null",
        Test::FieldRef(_) => "fieldref",
        Test::TimePart { .. } => "time",
    }
}

/// A field that rules ask of events of a log source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedField {
    /// `windows/process_creation/*`.
    pub log_source: String,
    /// Its name.
    pub field: String,
    /// Rules that ask it.
    pub rules: usize,
    /// Whether events of the log source have it, where that is known.
    pub known: Option<bool>,
}

/// The fields that rules ask, sorted by log source, the most asked first.
pub fn fields(set: &RuleSet) -> Vec<AskedField> {
    let mut asked: BTreeMap<(String, String), (usize, Option<bool>)> = BTreeMap::new();
    for rule in &set.rules {
        let known = fields_of(&rule.log_source);
        let mut names = BTreeSet::new();
        rule.condition.walk(&mut |expr| {
            if let Expr::Field(test) = expr {
                names.insert(&*test.field);
            }
        });
        for name in names {
            let key = (log_source_path(&rule.log_source), name.to_owned());
            let is_known = known.as_ref().map(|known| known.contains(&name));
            asked.entry(key).or_insert((0, is_known)).0 += 1;
        }
    }
    let mut all: Vec<AskedField> = asked
        .into_iter()
        .map(|((log_source, field), (rules, known))| AskedField {
            log_source,
            field,
            rules,
            known,
        })
        .collect();
    all.sort_by(|a, b| (&a.log_source, b.rules, &a.field).cmp(&(&b.log_source, a.rules, &b.field)));
    all
}

/// What of ATT&CK rules cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By tactic the techniques with the number of their rules.
    pub tactics: BTreeMap<String, BTreeMap<String, usize>>,
    /// By technique (`T1059.001`) the titles of its rules.
    pub techniques: BTreeMap<String, Vec<String>>,
    /// Rules that name no technique.
    pub untagged: usize,
}

/// Reads the tags. They do not say which technique belongs to which tactic: the table of ATT&CK's techniques does.
pub fn coverage(set: &RuleSet) -> Coverage {
    let known = Techniques::enterprise();
    let mut covered = Coverage::default();
    for meta in metas(set) {
        let names: Vec<String> = meta
            .tags
            .iter()
            .filter_map(|tag| Some(tag.to_lowercase().strip_prefix("attack.")?.to_owned()))
            .collect();
        let techniques: BTreeSet<String> = names
            .iter()
            .filter(|name| is_technique(name))
            .map(|name| name.to_uppercase())
            .collect();
        let dashed = names.iter().map(|name| name.replace('_', "-"));
        let tactics: Vec<&'static str> = dashed
            .filter_map(|name| TACTICS.into_iter().find(|tactic| *tactic == name))
            .collect();
        if techniques.is_empty() {
            covered.untagged += 1;
        }
        for technique in techniques {
            let mut below = known.tactics_of(&technique, &tactics);
            if below.is_empty() {
                below.push("unknown");
            }
            for tactic in below {
                *covered
                    .tactics
                    .entry(tactic.to_owned())
                    .or_default()
                    .entry(technique.clone())
                    .or_default() += 1;
            }
            covered
                .techniques
                .entry(technique)
                .or_default()
                .push(meta.title.to_string());
        }
    }
    covered
}
