//! The detection as it is written: searches, items, and the condition that speaks of them.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::{Document, Fix, Notes, fields, filled, line_of, scalar, scalars, values};
use crate::condition::{self, Condition, Quantity};
use crate::error::nearest;
use crate::rule::{Expr, Position, Rule};
use crate::yaml::{Entry, Kind, Node, Resolved};

/// An item of a search: `field|modifier: values`.
pub(super) struct Item<'d> {
    pub(super) field: &'d str,
    pub(super) modifiers: Vec<&'d str>,
    pub(super) key: &'d str,
    pub(super) position: Position,
    pub(super) value: &'d Node,
}

impl Item<'_> {
    pub(super) fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }
}

pub(super) fn check(document: &Document<'_>, notes: &mut Notes<'_>) {
    let (section, name) = match (document.section("detection"), document.section("filter")) {
        (Some(section), _) => (section, "detection"),
        (None, Some(section)) => (section, "filter"),
        (None, None) => return,
    };
    let searches: Vec<&Entry> = section
        .iter()
        .filter(|entry| !matches!(entry.key.as_str(), "condition" | "timeframe" | "rules"))
        .collect();
    if name == "filter" {
        filter(document, section, &searches, notes);
    }
    conditions(section, &searches, notes);
    let source = log_source(document);
    let known = Known {
        fields: fields::fields_of(&source),
        event_ids: fields::event_ids(&source),
        filled: filled::filled(&source),
    };
    for search in &searches {
        check_search(document, search, &known, notes);
    }
    identical(&searches, notes);
}

fn filter(document: &Document<'_>, section: &[Entry], searches: &[&Entry], notes: &mut Notes<'_>) {
    let at = document
        .entry("filter")
        .map_or(document.root.position, |entry| entry.position);
    if searches.is_empty() {
        notes.add("CW503", at, "the filter has no search");
    }
    if let Some(rules) = section.iter().find(|entry| entry.key == "rules") {
        if matches!(&rules.value.kind, Kind::List(items) if items.is_empty()) {
            notes.add("CW502", rules.position, "the filter names no rules, so it applies to all that its logsource covers; write `any` to mean it");
        }
        for (rule, at) in scalars(&rules.value) {
            if rule.text.contains(' ') {
                notes.add(
                    "CW508",
                    at,
                    format!("{:?} is a title; name rules by id or name", rule.text),
                );
            }
        }
    }
}

/// Checks the condition against the searches that there are.
fn conditions(section: &[Entry], searches: &[&Entry], notes: &mut Notes<'_>) {
    let Some(entry) = section.iter().find(|entry| entry.key == "condition") else {
        return;
    };
    let mut used = HashSet::new();
    let mut readable = true;
    for (text, at) in scalars(&entry.value) {
        if text.text.contains('|') {
            notes.add(
                "CW215",
                at,
                "aggregations in conditions are of old rules; write a correlation",
            );
            readable = false;
            continue;
        }
        let Ok(condition) = condition::parse(&text.text, at) else {
            readable = false;
            continue;
        };
        use_names(&condition, searches, at, &mut used, notes);
        negations(&condition, at, notes);
        repeated(&condition, at, notes);
    }
    if !readable {
        return;
    }
    for search in searches {
        if !used.contains(search.key.as_str()) {
            let hint = if search.key.starts_with('_') {
                "; names that begin with _ are left out of `them` and patterns"
            } else {
                ""
            };
            notes.add(
                "CW219",
                search.position,
                format!(
                    "the condition does not speak of {:?}{hint}; use it or remove it",
                    search.key
                ),
            );
        }
    }
}

fn use_names<'s>(
    condition: &Condition,
    searches: &[&'s Entry],
    at: Position,
    used: &mut HashSet<&'s str>,
    notes: &mut Notes<'_>,
) {
    match condition {
        Condition::Name(name) => {
            used.extend(
                searches
                    .iter()
                    .filter(|search| search.key == *name)
                    .map(|search| search.key.as_str()),
            );
        }
        Condition::Of { quantity, pattern } => {
            let names = searches.iter().map(|search| search.key.as_str());
            let fitting: Vec<&str> = names
                .filter(|name| condition::fits(pattern.as_deref(), name))
                .collect();
            let written = pattern.as_deref().unwrap_or("them");
            if let [only] = fitting.as_slice() {
                let what = match quantity {
                    Quantity::All => "all".to_owned(),
                    Quantity::AtLeast(count) => count.to_string(),
                };
                notes.add(
                    "CW221",
                    at,
                    format!("`{what} of {written}` fits {only:?} alone; write its name"),
                );
            }
            let filters = fitting.iter().filter(|name| name.starts_with("filter"));
            if filters.count() > 0
                && pattern
                    .as_deref()
                    .is_none_or(|pattern| !pattern.starts_with("filter"))
            {
                notes.add(
                    "CW222",
                    at,
                    format!(
                        "`of {written}` speaks of filters, too; name the searches that are meant"
                    ),
                );
            }
            used.extend(fitting);
        }
        Condition::And(parts) | Condition::Or(parts) => {
            parts
                .iter()
                .for_each(|part| use_names(part, searches, at, used, notes));
        }
        Condition::Not(part) => use_names(part, searches, at, used, notes),
    }
}

fn negations(condition: &Condition, at: Position, notes: &mut Notes<'_>) {
    match condition {
        Condition::Not(part) => {
            if matches!(**part, Condition::Not(_)) {
                notes.add("CW227", at, "`not not` says nothing; remove both");
            }
            negations(part, at, notes);
        }
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().for_each(|part| negations(part, at, notes))
        }
        Condition::Name(_) | Condition::Of { .. } => {}
    }
}

fn repeated(condition: &Condition, at: Position, notes: &mut Notes<'_>) {
    if let Condition::And(parts) | Condition::Or(parts) = condition {
        for (place, part) in parts.iter().enumerate() {
            if parts[..place].contains(part) {
                notes.add("CW228", at, "the condition says the same twice; remove one");
            }
            repeated(part, at, notes);
        }
    } else if let Condition::Not(part) = condition {
        repeated(part, at, notes);
    }
}

fn check_search(document: &Document<'_>, search: &Entry, known: &Known, notes: &mut Notes<'_>) {
    match &search.value.kind {
        Kind::Map(entries) => items(document, entries, known, notes),
        Kind::List(list) => {
            if let [only] = list.as_slice()
                && matches!(only.kind, Kind::Map(_))
            {
                notes.add(
                    "CW231",
                    only.position,
                    format!("{:?} is a list of one map; leave out the dash", search.key),
                );
            }
            for item in list {
                if let Kind::Map(entries) = &item.kind {
                    items(document, entries, known, notes);
                }
            }
            let keyword = Item {
                field: "",
                modifiers: Vec::new(),
                key: "",
                position: search.position,
                value: &search.value,
            };
            if list.iter().any(|item| scalar(item).is_some()) {
                values::check(document, &keyword, notes);
            }
        }
        Kind::Scalar(_) => {
            let keyword = Item {
                field: "",
                modifiers: Vec::new(),
                key: "",
                position: search.position,
                value: &search.value,
            };
            values::check(document, &keyword, notes);
        }
    }
}

fn items(document: &Document<'_>, entries: &[Entry], known: &Known, notes: &mut Notes<'_>) {
    for entry in entries {
        let mut words = entry.key.split('|');
        let field = words.next().unwrap_or("");
        let item = Item {
            field,
            modifiers: words.collect(),
            key: &entry.key,
            position: entry.position,
            value: &entry.value,
        };
        if field != field.trim() {
            notes.add(
                "CW239",
                entry.position,
                format!("the field {field:?} begins or ends with a blank, as no event's does"),
            );
        }
        modifiers(&item, notes);
        known.check(&item, notes);
        values::check(document, &item, notes);
    }
}

/// What is known of the log source's events.
struct Known {
    fields: Option<Vec<&'static str>>,
    event_ids: Option<&'static [i64]>,
    /// What parsers fill, where that is all that there can be.
    filled: Option<Vec<&'static str>>,
}

impl Known {
    /// What a wrapper adds (containers, the journal) has a dot or begins with an underscore, and is not known here.
    fn check_filled(&self, item: &Item<'_>, notes: &mut Notes<'_>) {
        let Some(filled) = self.filled.as_ref().filter(|_| self.fields.is_none()) else {
            return;
        };
        let may_be_added = item.field.contains('.') || item.field.starts_with('_');
        if item.field.is_empty() || may_be_added || filled.contains(&item.field) {
            return;
        }
        let meant = nearest(item.field, filled.iter().copied());
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
        let words = format!(
            "no parser fills {:?} for events of this log source{hint}",
            item.field
        );
        notes.add("CW253", item.position, words);
    }

    fn check(&self, item: &Item<'_>, notes: &mut Notes<'_>) {
        if let Some(fields) = &self.fields
            && !item.field.is_empty()
            && !fields.contains(&item.field)
        {
            let same = fields
                .iter()
                .find(|known| known.eq_ignore_ascii_case(item.field));
            match same {
                Some(known) => {
                    let fix = Fix::Replace {
                        from: item.field.to_owned(),
                        to: (*known).to_owned(),
                    };
                    let words = format!(
                        "{:?} is written {known:?} in these events; names must be exact",
                        item.field
                    );
                    notes.fix("CW240", item.position, words, fix);
                }
                None => {
                    let meant = nearest(item.field, fields.iter().copied());
                    let hint = meant
                        .map(|meant| format!("; did you mean {meant:?}?"))
                        .unwrap_or_default();
                    notes.add(
                        "CW241",
                        item.position,
                        format!(
                            "events of this log source have no field {:?}{hint}",
                            item.field
                        ),
                    );
                }
            }
        }
        self.check_filled(item, notes);
        if let Some(ids) = self.event_ids
            && item.field == "EventID"
            && item.modifiers.is_empty()
        {
            for (value, at) in scalars(item.value) {
                if value.text.parse().is_ok_and(|id: i64| !ids.contains(&id)) {
                    notes.add(
                        "CW220",
                        at,
                        format!(
                            "events of this category have the EventID {ids:?}, never {}",
                            value.text
                        ),
                    );
                }
            }
        }
    }
}

/// The fields of a rule after pipelines: where each was written is not known any more.
pub(super) fn check_processed(rule: &Rule, notes: &mut Notes<'_>) {
    let Some(known) = fields::fields_of(&rule.log_source) else {
        return;
    };
    let mut unknown = BTreeSet::new();
    rule.condition.walk(&mut |expr| {
        if let Expr::Field(test) = expr
            && !known.contains(&&*test.field)
        {
            unknown.insert(Arc::clone(&test.field));
        }
    });
    for field in unknown {
        let meant = nearest(&field, known.iter().copied());
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"));
        let words = format!(
            "after the pipelines the rule asks for {field:?}, which events of its log source do not have{hint}"
        );
        notes.add("CW241", rule.meta.position, words);
    }
}

fn log_source(document: &Document<'_>) -> LogSource<'static> {
    let part = |key: &str| {
        let section = document.section("logsource").unwrap_or_default();
        let entry = section.iter().find(|entry| entry.key == key);
        entry
            .and_then(|entry| scalar(&entry.value))
            .map(|value| value.text.to_lowercase())
            .unwrap_or_default()
            .into()
    };
    LogSource {
        product: part("product"),
        category: part("category"),
        service: part("service"),
    }
}

fn modifiers(item: &Item<'_>, notes: &mut Notes<'_>) {
    let at = item.position;
    let replace = |to: String| Fix::Replace {
        from: item.key.to_owned(),
        to,
    };
    let without = |modifier: &str| {
        let kept = item.modifiers.iter().filter(|other| **other != modifier);
        std::iter::once(item.field)
            .chain(kept.copied())
            .collect::<Vec<_>>()
            .join("|")
    };
    let count = match &item.value.kind {
        Kind::List(items) => items.len(),
        _ => 1,
    };
    if item.has("all") && count < 2 && !item.has("expand") {
        let words = "`all` needs a list of two values or more; remove it";
        notes.fix("CW304", at, words, replace(without("all")));
    }
    if item.has("all") && item.has("re") && count > 1 {
        notes.add(
            "CW305",
            at,
            "all of several regular expressions; one search per expression is easier to read",
        );
    }
    if item.has("base64offset") && !item.has("contains") {
        notes.add(
            "CW328",
            at,
            "base64offset finds a part of an encoded text; add contains behind it",
        );
    }
    let is_encoded = item.has("base64") || item.has("base64offset");
    if ["utf16", "utf16le", "utf16be", "wide"]
        .iter()
        .any(|one| item.has(one))
        && !is_encoded
    {
        notes.add(
            "CW329",
            at,
            "UTF-16 without base64 or base64offset behind it finds nothing in text",
        );
    }
    if item.field.is_empty() && item.has("contains") {
        let words = "a keyword is found anywhere; contains says nothing";
        notes.fix("CW242", at, words, replace(without("contains")));
    }
    if item.has("windash")
        && scalars(item.value).iter().all(|(value, _)| {
            !value
                .text
                .contains(['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'])
        })
    {
        notes.fix(
            "CW330",
            at,
            "windash says nothing: no value has a dash or slash",
            replace(without("windash")),
        );
    }
    if item.has("cased")
        && scalars(item.value)
            .iter()
            .all(|(value, _)| !value.text.chars().any(char::is_alphabetic))
    {
        notes.fix(
            "CW327",
            at,
            "cased says nothing: no value has a letter",
            replace(without("cased")),
        );
    }
    if item.has("expand")
        && scalars(item.value)
            .iter()
            .all(|(value, _)| value.text.matches('%').count() < 2)
    {
        notes.fix(
            "CW321",
            at,
            "expand says nothing: no value has a %placeholder%",
            replace(without("expand")),
        );
    }
    if let Kind::List(items) = &item.value.kind
        && let [only] = items.as_slice()
        && scalar(only).is_some()
        && !item.has("all")
    {
        notes.add(
            "CW232",
            only.position,
            format!("a list of one value; write `{}: value`", item.key),
        );
    }
}

/// Searches of a rule that say the same.
fn identical(searches: &[&Entry], notes: &mut Notes<'_>) {
    for (place, search) in searches.iter().enumerate() {
        let twin = searches[..place]
            .iter()
            .find(|other| same(&other.value, &search.value));
        if let Some(twin) = twin {
            let words = format!(
                "{:?} says the same as {:?}; remove one",
                search.key, twin.key
            );
            notes.add("CW235", search.position, words);
        }
    }
}

/// Whether two nodes hold the same.
pub(super) fn same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (Kind::Scalar(a), Kind::Scalar(b)) => {
            a.text == b.text && (a.value == Resolved::Null) == (b.value == Resolved::Null)
        }
        (Kind::List(a), Kind::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Kind::Map(a), Kind::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|(a, b)| a.key == b.key && same(&a.value, &b.value))
        }
        _ => false,
    }
}

/// Whether a list's item has its line for itself.
pub(super) fn is_alone(document: &Document<'_>, at: Position, value: &str) -> bool {
    let line = line_of(document.text, at.line).trim_start();
    line.strip_prefix("- ").is_some_and(|rest| {
        let rest = rest.trim();
        let bare = rest.trim_matches(['"', '\'']);
        bare == value || rest == value
    })
}
