//! What the specification's JSON schemas demand, the engine does without, and no other check says.

use std::collections::HashSet;

use super::{Document, Notes, scalar, scalars};
use crate::rule::Position;
use crate::yaml::{Entry, Kind, Node, Resolved};

/// Keys of a document that are lists.
const LISTS: &[&str] = &["references", "falsepositives", "fields", "tags", "scope"];
/// Characters of a timespan as it is written, and of the name of a field in a condition.
const TIMESPAN_CHARS_MAX: usize = 10;
const FIELD_CHARS_MAX: usize = 256;

pub(super) fn check(document: &Document<'_>, notes: &mut Notes<'_>) {
    // A correlation's schema takes one text for its false positives.
    let is_correlation = document.entry("correlation").is_some();
    for key in LISTS {
        let Some(entry) = document.entry(key) else {
            continue;
        };
        if !(is_correlation && *key == "falsepositives") {
            is_list(entry, notes);
        }
        if *key == "scope" {
            are_texts("an item of scope", &entry.value, notes);
        }
    }
    if let Some(license) = document.entry("license") {
        is_text("license", &license.value, notes);
    }
    let log_source = document.section("logsource").unwrap_or_default();
    if let Some(definition) = log_source.iter().find(|entry| entry.key == "definition") {
        is_text("definition", &definition.value, notes);
    }
    if let Some(related) = document.entry("related") {
        related_texts(&related.value, notes);
    }
    if let Some(section) = document.section("detection") {
        let searches = section
            .iter()
            .filter(|entry| !matches!(entry.key.as_str(), "condition" | "timeframe"));
        single_searches(searches, notes);
    }
    if let Some(section) = document.section("filter") {
        let searches = section
            .iter()
            .filter(|entry| !matches!(entry.key.as_str(), "condition" | "rules"));
        single_searches(searches, notes);
        if let Some(rules) = section.iter().find(|entry| entry.key == "rules") {
            let words = "is named twice; the filter applies to a rule once; remove one";
            twice("CW511", &rules.value, words, notes);
        }
    }
    if let Some(section) = document.section("correlation") {
        correlation(section, notes);
    }
}

fn correlation(section: &[Entry], notes: &mut Notes<'_>) {
    let get = |key: &str| section.iter().find(|entry| entry.key == key);
    if let Some(group_by) = get("group-by") {
        is_list(group_by, notes);
        let words = "is there twice and groups once; remove one";
        twice("CW429", &group_by.value, words, notes);
    }
    if let Some((text, at)) = get("timespan").and_then(|entry| text_of(&entry.value))
        && text.chars().count() > TIMESPAN_CHARS_MAX
    {
        let words = format!(
            "{text:?} has more than the {TIMESPAN_CHARS_MAX} characters that a timespan may have; write it shorter"
        );
        notes.add("CW430", at, words);
    }
    let Some(Kind::Map(condition)) = get("condition").map(|entry| &entry.value.kind) else {
        return;
    };
    let Some(field) = condition.iter().find(|entry| entry.key == "field") else {
        return;
    };
    for (name, at) in scalars(&field.value) {
        if name.text.chars().count() > FIELD_CHARS_MAX {
            let words = format!("the name of a field has at most {FIELD_CHARS_MAX} characters");
            notes.add("CW431", at, words);
        }
    }
}

fn is_list(entry: &Entry, notes: &mut Notes<'_>) {
    if let Some((text, at)) = text_of(&entry.value) {
        let words = format!(
            "{} is a list: write `- {text}` in a line of its own",
            entry.key
        );
        notes.add("CW170", at, words);
    }
}

/// Searches are lists or maps; the engine takes a single value as a list of one.
fn single_searches<'d>(searches: impl Iterator<Item = &'d Entry>, notes: &mut Notes<'_>) {
    for search in searches {
        if let Some((text, at)) = text_of(&search.value) {
            let words = format!(
                "the search {:?} is a single value; a search is a list or a map: write `- {text}` in a line of its own",
                search.key
            );
            notes.add("CW237", at, words);
        }
    }
}

fn is_text(what: &str, node: &Node, notes: &mut Notes<'_>) {
    if !matches!(node.kind, Kind::Scalar(_)) {
        let words = format!("{what} is {}, and should be a text", node.describe());
        notes.add("CW171", node.position, words);
    }
}

fn are_texts(what: &str, node: &Node, notes: &mut Notes<'_>) {
    if let Kind::List(items) = &node.kind {
        for item in items {
            is_text(what, item, notes);
        }
    }
}

fn related_texts(related: &Node, notes: &mut Notes<'_>) {
    let Kind::List(items) = &related.kind else {
        return;
    };
    for item in items {
        let Kind::Map(entries) = &item.kind else {
            continue;
        };
        for entry in entries {
            match entry.key.as_str() {
                "id" => is_text("the id of a related rule", &entry.value, notes),
                "type" => is_text("the type of a relation", &entry.value, notes),
                _ => {}
            }
        }
    }
}

/// Values of a list that are there before.
fn twice(code: &'static str, node: &Node, words: &str, notes: &mut Notes<'_>) {
    let mut seen = HashSet::new();
    for (value, at) in scalars(node) {
        if !seen.insert(&value.text) {
            notes.add(code, at, format!("{:?} {words}", value.text));
        }
    }
}

/// A single value that is there.
fn text_of(node: &Node) -> Option<(&str, Position)> {
    scalar(node)
        .filter(|value| value.value != Resolved::Null)
        .map(|value| (value.text.as_str(), node.position))
}
