//! Checks rules: what the specification and SigmaHQ's conventions demand, and what only an engine knows.
//!
//! [`check`] takes texts and returns [`Remark`]s; [`CATALOGUE`] is the table of all kinds, each with a code. A comment
//! `# citywatch: allow CW123` on a line, or alone on the line before, takes remarks away; `allow-file` for a whole file.

mod across;
mod catalogue;
mod correlations;
mod fields;
mod filled;
mod fix;
mod loading;
mod log_sources;
mod logic;
mod metadata;
mod regexes;
mod schema;
mod searches;
mod suppress;
mod tags;
mod text;
mod values;

use std::sync::Arc;

pub use catalogue::{CATALOGUE, Kind, Severity, kind_by_code};
pub use fields::fields_of;
pub use fix::{Fix, apply};
pub(crate) use metadata::KEY_ORDER;
pub(crate) use tags::is_technique;

use crate::load::{LoadOptions, Onlooker, RuleSource, load_before};
use crate::rule::Position;
use crate::threads::in_ranges;
use crate::yaml;

/// What was noticed about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// What kind it is of.
    pub kind: &'static Kind,
    /// The file.
    pub path: Arc<str>,
    /// The place.
    pub position: Position,
    /// What is wrong and what to do, in words.
    pub message: String,
    /// What would put it right without a change of meaning.
    pub fix: Option<Fix>,
}

/// How rules are checked.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// Values of placeholders.
    pub load: LoadOptions,
    /// Today, as `2026-11-22`, if dates in the future are to be found.
    pub today: Option<String>,
    /// Remarks below this are left out.
    pub least: Severity,
}

/// Remarks that go by the names that Citywatch's events have.
const OF_OWN_NAMES: &[&str] = &["CW204", "CW206", "CW220", "CW240", "CW241", "CW253"];

/// Rules that a thread takes at a time.
const RULES_AT_ONCE: usize = 128;

/// Checks rules together: what refers to what, what is there twice. Remarks are sorted by source and place.
pub fn check(sources: &[RuleSource], options: &CheckOptions) -> Vec<Remark> {
    let (set, seen) = load_before(sources, &options.load, &Looking { options });
    let (mut remarks, mut across) = (Vec::new(), across::Across::default());
    for mut part in seen {
        remarks.append(&mut part.remarks);
        across.append(part.across);
    }
    if !options.load.pipelines.is_empty() {
        // Names of another taxonomy say nothing; those that pipelines make of them do.
        remarks.retain(|remark| !OF_OWN_NAMES.contains(&remark.kind.code));
        for rule in &set.rules {
            let mut notes = Notes::new(&rule.meta.path, options.least, &mut remarks);
            searches::check_processed(rule, &mut notes);
        }
    }
    loading::add(&set.problems, &mut remarks);
    let parts = in_ranges(set.rules.len(), RULES_AT_ONCE, |range| {
        let mut remarks = Vec::new();
        for rule in &set.rules[range] {
            let mut notes = Notes::new(&rule.meta.path, options.least, &mut remarks);
            logic::check(rule, &mut notes);
        }
        remarks
    });
    remarks.extend(parts.into_iter().flatten());
    correlations::check(&set, options.least, &mut remarks);
    across.check(&set, options.least, &mut remarks);
    finish(sources, options, remarks)
}

/// Looks at files and documents while they are loaded.
struct Looking<'o> {
    options: &'o CheckOptions,
}

/// What files and documents show by themselves, and what of it must be compared.
#[derive(Default)]
struct Looked {
    remarks: Vec<Remark>,
    across: across::Across,
}

impl Onlooker for Looking<'_> {
    type Seen = Looked;
    const DOCUMENTS_MAX: usize = 10_000;

    fn file(&self, source: &RuleSource, seen: &mut Looked) {
        let least = self.options.least;
        text::check(
            source,
            &mut Notes::new(&source.path, least, &mut seen.remarks),
        );
    }

    fn document(&self, source: &RuleSource, yaml: &yaml::Document<'_>, seen: &mut Looked) {
        check_document(
            source,
            yaml,
            self.options,
            &mut seen.across,
            &mut seen.remarks,
        );
    }
}

/// One by one: what does not need to know the others.
fn check_document(
    source: &RuleSource,
    yaml: &yaml::Document<'_>,
    options: &CheckOptions,
    across: &mut across::Across,
    remarks: &mut Vec<Remark>,
) {
    let Ok(root) = &yaml.root else { return };
    let yaml::Kind::Map(entries) = &root.kind else {
        return;
    };
    let mut notes = Notes::new(&source.path, options.least, remarks);
    let document = Document {
        root,
        entries,
        text: &source.text,
    };
    metadata::check(&document, options, &mut notes);
    tags::check(&document, &mut notes);
    log_sources::check(&document, &mut notes);
    searches::check(&document, &mut notes);
    correlations::check_document(&document, &mut notes);
    schema::check(&document, &mut notes);
    across.take(&source.path, &document);
}

fn finish(sources: &[RuleSource], options: &CheckOptions, mut remarks: Vec<Remark>) -> Vec<Remark> {
    remarks.retain(|remark| remark.kind.severity >= options.least);
    let order: std::collections::HashMap<&str, usize> = sources
        .iter()
        .enumerate()
        .map(|(place, source)| (&*source.path, place))
        .collect();
    remarks.sort_by(|a, b| {
        let key = |one: &Remark| (order.get(&*one.path).copied(), one.position, one.kind.code);
        key(a).cmp(&key(b))
    });
    remarks.dedup();
    let mut kept = Vec::with_capacity(remarks.len());
    let mut rest = remarks.into_iter().peekable();
    for source in sources {
        let mut own = Vec::new();
        while let Some(remark) = rest.next_if(|remark| remark.path == source.path) {
            own.push(remark);
        }
        suppress::apply(source, options.least, &mut own);
        kept.append(&mut own);
    }
    // What belongs to no source that was given.
    kept.extend(rest);
    kept
}

/// A document that is a map.
struct Document<'d> {
    root: &'d yaml::Node,
    entries: &'d [yaml::Entry],
    /// The whole file.
    text: &'d str,
}

impl<'d> Document<'d> {
    fn entry(&self, key: &str) -> Option<&'d yaml::Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The entries of a section.
    fn section(&self, key: &str) -> Option<&'d [yaml::Entry]> {
        match &self.entry(key)?.value.kind {
            yaml::Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    fn scalar(&self, key: &str) -> Option<&'d yaml::Scalar> {
        scalar(&self.entry(key)?.value)
    }

    /// The text of a scalar that is there.
    fn text_of(&self, key: &str) -> Option<&'d str> {
        self.scalar(key).map(|scalar| scalar.text.as_str())
    }

    /// What is written at a place, to the end of its line.
    fn written(&self, position: Position) -> &'d str {
        line_of(self.text, position.line)
            .char_indices()
            .nth(position.column as usize - 1)
            .map_or("", |(at, _)| &line_of(self.text, position.line)[at..])
    }
}

/// A line by its number, without its end.
fn line_of(text: &str, line: u32) -> &str {
    text.lines().nth(line as usize - 1).unwrap_or("")
}

/// A scalar that is not null.
fn scalar(node: &yaml::Node) -> Option<&yaml::Scalar> {
    match &node.kind {
        yaml::Kind::Scalar(scalar) if scalar.value != yaml::Resolved::Null => Some(scalar),
        _ => None,
    }
}

/// The scalars of a list, or of a scalar as a list of one.
fn scalars(node: &yaml::Node) -> Vec<(&yaml::Scalar, Position)> {
    match &node.kind {
        yaml::Kind::List(items) => items
            .iter()
            .filter_map(|item| Some((scalar(item)?, item.position)))
            .collect(),
        _ => scalar(node)
            .map(|one| (one, node.position))
            .into_iter()
            .collect(),
    }
}

/// Where remarks about one file go.
struct Notes<'n> {
    path: &'n Arc<str>,
    least: Severity,
    remarks: &'n mut Vec<Remark>,
}

impl<'n> Notes<'n> {
    fn new(path: &'n Arc<str>, least: Severity, remarks: &'n mut Vec<Remark>) -> Self {
        Self {
            path,
            least,
            remarks,
        }
    }

    /// Adds a remark.
    fn add(&mut self, code: &'static str, position: Position, message: impl Into<String>) {
        self.add_with(code, position, message, None);
    }

    /// Adds a remark that can be put right.
    fn fix(
        &mut self,
        code: &'static str,
        position: Position,
        message: impl Into<String>,
        fix: Fix,
    ) {
        self.add_with(code, position, message, Some(fix));
    }

    fn add_with(
        &mut self,
        code: &'static str,
        position: Position,
        message: impl Into<String>,
        fix: Option<Fix>,
    ) {
        let kind = kind_by_code(code).expect("codes are those of the catalogue");
        if kind.severity >= self.least {
            self.remarks.push(Remark {
                kind,
                path: Arc::clone(self.path),
                position,
                message: message.into(),
                fix,
            });
        }
    }
}
