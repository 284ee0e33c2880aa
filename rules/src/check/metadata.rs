//! What a rule says of itself: title, id, dates, lists (rules specification, "Components"; SigmaHQ's conventions).

use std::collections::HashSet;

use super::{CheckOptions, Document, Fix, Notes, line_of, scalar, scalars};
use crate::error::nearest;
use crate::rule::{Level, Position, Status};
use crate::yaml::{Entry, Kind, Resolved};

const TITLE_CHARS_MAX: usize = 256;
/// SigmaHQ's own bound.
const TITLE_CHARS_SHORT: usize = 110;
const NAME_CHARS_MAX: usize = 256;
const DESCRIPTION_CHARS_MIN: usize = 16;
const DESCRIPTION_CHARS_MAX: usize = 65_535;

/// The order in which SigmaHQ writes them.
pub(crate) const KEY_ORDER: &[&str] = &[
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "scope",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "fields",
    "falsepositives",
    "level",
    "generate",
];

const RELATIONS: &[&str] = &["derived", "obsolete", "merged", "renamed", "similar"];

pub(super) fn check(document: &Document<'_>, options: &CheckOptions, notes: &mut Notes<'_>) {
    keys(document, notes);
    title(document, notes);
    identity(document, notes);
    status_and_level(document, notes);
    description(document, notes);
    dates(document, options, notes);
    lists(document, notes);
    related(document, notes);
}

fn keys(document: &Document<'_>, notes: &mut Notes<'_>) {
    let mut last = 0;
    for entry in document.entries {
        let has_capitals = entry.key.chars().any(char::is_uppercase);
        let lower = || entry.key.to_lowercase();
        if has_capitals && KEY_ORDER.contains(&lower().as_str()) {
            let lower = lower();
            notes.fix(
                "CW008",
                entry.position,
                format!(
                    "the key {:?} is not in lower case; write {lower:?}",
                    entry.key
                ),
                Fix::Replace {
                    from: entry.key.clone(),
                    to: lower.clone(),
                },
            );
            continue;
        }
        let Some(place) = KEY_ORDER.iter().position(|key| *key == entry.key) else {
            if matches!(entry.key.as_str(), "reference") {
                let words = "the list is called references; `reference` is of older rules";
                notes.fix(
                    "CW131",
                    entry.position,
                    words,
                    Fix::Replace {
                        from: "reference".to_owned(),
                        to: "references".to_owned(),
                    },
                );
            } else if let Some(meant) = misspelt(&entry.key, document) {
                notes.fix(
                    "CW009",
                    entry.position,
                    format!("unknown key {:?}; did you mean {meant:?}?", entry.key),
                    Fix::Replace {
                        from: entry.key.clone(),
                        to: meant.to_owned(),
                    },
                );
            }
            continue;
        };
        if place < last {
            let words = format!(
                "{:?} stands behind {:?}; `citywatch rules fmt` puts keys into the usual order",
                entry.key, KEY_ORDER[last]
            );
            notes.add("CW027", entry.position, words);
        }
        last = last.max(place);
        if matches!(&entry.value.kind, Kind::Scalar(scalar) if scalar.value == Resolved::Null)
            && !matches!(entry.key.as_str(), "title" | "logsource" | "detection")
        {
            notes.add(
                "CW163",
                entry.position,
                format!("{:?} has no value; fill it or remove it", entry.key),
            );
        }
    }
}

/// A known key that is not there and nearly is what is written.
fn misspelt(key: &str, document: &Document<'_>) -> Option<&'static str> {
    if key.len() < 4 || key.len() > 20 {
        return None;
    }
    KEY_ORDER.iter().copied().find(|known| {
        known.len() > 3
            && document.entry(known).is_none()
            && strsim::damerau_levenshtein(key, known) <= 1 + usize::from(known.len() > 8)
    })
}

fn title(document: &Document<'_>, notes: &mut Notes<'_>) {
    let Some(entry) = document.entry("title") else {
        notes.add("CW101", document.root.position, "the rule has no title");
        return;
    };
    let Some(title) = scalar(&entry.value)
        .map(|scalar| scalar.text.trim())
        .filter(|title| !title.is_empty())
    else {
        if matches!(entry.value.kind, Kind::Scalar(_)) {
            notes.add("CW102", entry.value.position, "the title is empty");
        }
        return;
    };
    let at = entry.value.position;
    let length = title.chars().count();
    if length > TITLE_CHARS_MAX {
        notes.add(
            "CW103",
            at,
            format!("the title has {length} characters, more than {TITLE_CHARS_MAX}"),
        );
    } else if length > TITLE_CHARS_SHORT {
        notes.add(
            "CW104",
            at,
            format!(
                "the title has {length} characters; up to {TITLE_CHARS_SHORT} are read in lists"
            ),
        );
    }
    const SMALL: &[&str] = &[
        "a", "an", "and", "as", "at", "by", "for", "from", "in", "into", "of", "on", "or", "over",
        "per", "the", "to", "up", "via", "vs", "with", "without",
    ];
    let is_small = |word: &&str| {
        word.starts_with(|c: char| c.is_lowercase())
            && !SMALL.contains(word)
            && word.chars().all(char::is_alphabetic)
    };
    if let Some(word) = title.split_whitespace().find(is_small) {
        notes.add(
            "CW105",
            at,
            format!("titles are written in capitals: {word:?}"),
        );
    }
    if title.ends_with('.') {
        notes.add("CW106", at, "a title ends without a full stop");
    }
    if title.to_lowercase().starts_with("detects ") {
        notes.add(
            "CW107",
            at,
            "a title names the matter; leave out \"Detects\"",
        );
    }
    if title.chars().any(is_invisible) {
        notes.add(
            "CW165",
            at,
            "the title holds characters that cannot be seen; write it anew",
        );
    }
}

/// Characters of no width, and those that turn the direction of writing.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{00AD}')
}

fn identity(document: &Document<'_>, notes: &mut Notes<'_>) {
    match document.entry("id") {
        None => notes.add(
            "CW110",
            document.root.position,
            "the rule has no id; `citywatch rules new` makes one",
        ),
        Some(entry) => {
            if let Some(id) = scalar(&entry.value) {
                check_uuid(&id.text, entry.value.position, notes);
            }
        }
    }
    for (key, code) in [("name", "CW156"), ("taxonomy", "CW157")] {
        if let Some(entry) = document.entry(key)
            && scalar(&entry.value).is_some_and(|value| value.text.chars().count() > NAME_CHARS_MAX)
        {
            notes.add(
                code,
                entry.value.position,
                format!("{key} has more than {NAME_CHARS_MAX} characters"),
            );
        }
    }
    if let Some(entry) = document.entry("license")
        && let Some(license) = scalar(&entry.value)
    {
        let fits =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '+' | '(' | ')' | ' ');
        let is_spdx = license.text.chars().all(fits)
            && license.text.split_whitespace().all(|word| {
                !word.eq_ignore_ascii_case("license") && !word.eq_ignore_ascii_case("the")
            });
        if !is_spdx {
            notes.add(
                "CW160",
                entry.value.position,
                format!(
                    "{:?} is no SPDX license identifier, such as Apache-2.0",
                    license.text
                ),
            );
        }
    }
}

fn check_uuid(id: &str, at: Position, notes: &mut Notes<'_>) {
    if !is_uuid(id) {
        notes.add("CW111", at, format!("{id:?} is no UUID"));
    } else if id.as_bytes()[14] != b'4' {
        notes.add(
            "CW112",
            at,
            "the id is a UUID, but not of version 4 (random)",
        );
    }
}

pub(super) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
}

fn status_and_level(document: &Document<'_>, notes: &mut Notes<'_>) {
    let is_filter = document.entry("filter").is_some();
    let statuses: Vec<&str> = Status::ALL.iter().map(|(name, _)| *name).collect();
    let levels: Vec<&str> = Level::ALL.iter().map(|(name, _)| *name).collect();
    for (key, known, missing, invalid, of_filter) in [
        ("status", &statuses, "CW113", "CW114", "CW506"),
        ("level", &levels, "CW126", "CW127", "CW505"),
    ] {
        match document.entry(key) {
            None if is_filter => {}
            None => notes.add(
                missing,
                document.root.position,
                format!("the rule has no {key}: {}", known.join(", ")),
            ),
            Some(entry) if is_filter => notes.fix(
                of_filter,
                entry.position,
                format!("a filter has no {key}; remove it"),
                Fix::RemoveLine,
            ),
            Some(entry) => {
                if let Some(value) = scalar(&entry.value)
                    && !known.contains(&value.text.as_str())
                {
                    let message = format!(
                        "{:?} is no {key}; there are {}",
                        value.text,
                        known.join(", ")
                    );
                    match nearest(&value.text, known.iter().copied()) {
                        Some(to) => {
                            let from = value.text.clone();
                            notes.fix(
                                invalid,
                                entry.value.position,
                                message,
                                Fix::Replace { from, to },
                            );
                        }
                        None => notes.add(invalid, entry.value.position, message),
                    }
                }
            }
        }
    }
    if document.text_of("status") == Some("deprecated") && document.entry("related").is_none() {
        let at = document
            .entry("status")
            .map_or(document.root.position, |entry| entry.value.position);
        notes.add(
            "CW154",
            at,
            "a deprecated rule names in `related` what stands in its place",
        );
    }
}

fn description(document: &Document<'_>, notes: &mut Notes<'_>) {
    let Some(entry) = document.entry("description") else {
        notes.add(
            "CW116",
            document.root.position,
            "the rule has no description",
        );
        return;
    };
    let Some(description) = scalar(&entry.value) else {
        return;
    };
    let text = description.text.trim();
    let length = text.chars().count();
    let at = entry.value.position;
    if length < DESCRIPTION_CHARS_MIN {
        notes.add(
            "CW117",
            at,
            format!(
                "the description has {length} characters; say what it means when the rule matches"
            ),
        );
    } else if length > DESCRIPTION_CHARS_MAX {
        notes.add(
            "CW118",
            at,
            format!("the description has {length} characters, more than {DESCRIPTION_CHARS_MAX}"),
        );
    } else if document.text_of("title").is_some_and(|title| {
        title
            .trim()
            .eq_ignore_ascii_case(text.trim_end_matches('.'))
    }) {
        notes.add("CW119", at, "the description only repeats the title");
    }
}

fn dates(document: &Document<'_>, options: &CheckOptions, notes: &mut Notes<'_>) {
    let mut read = [None, None];
    for (place, (key, code)) in [("date", "CW122"), ("modified", "CW123")]
        .into_iter()
        .enumerate()
    {
        let Some(entry) = document.entry(key) else {
            continue;
        };
        let Some(value) = scalar(&entry.value) else {
            continue;
        };
        let text = value.text.as_str();
        let at = entry.value.position;
        if is_date(text) {
            read[place] = Some((text, at));
            if options.today.as_deref().is_some_and(|today| text > today) {
                notes.add("CW125", at, format!("{key} {text} lies in the future"));
            }
            continue;
        }
        let mended = text.replace(['/', '.'], "-");
        let message = format!("{text:?} is no date of the form 2026-11-22");
        if is_date(&mended) {
            let from = text.to_owned();
            notes.fix(code, at, message, Fix::Replace { from, to: mended });
        } else {
            notes.add(code, at, message);
        }
    }
    if let [Some((date, _)), Some((modified, at))] = read
        && modified < date
    {
        notes.add(
            "CW124",
            at,
            format!("modified {modified} is earlier than date {date}"),
        );
    }
    for (key, code) in [("author", "CW120"), ("date", "CW121")] {
        if document.entry(key).is_none() {
            notes.add(
                code,
                document.root.position,
                format!("the rule has no {key}"),
            );
        }
    }
}

/// `2026-11-22`, and such a day exists.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

fn lists(document: &Document<'_>, notes: &mut Notes<'_>) {
    let is_filter = document.entry("filter").is_some();
    for (key, missing, twice) in [
        ("references", "CW128", "CW130"),
        ("falsepositives", "CW132", "CW135"),
        ("fields", "", "CW158"),
        ("tags", "CW136", "CW139"),
    ] {
        match document.entry(key) {
            None if missing.is_empty() || is_filter => {}
            None => notes.add(
                missing,
                document.root.position,
                format!("the rule has no {key}"),
            ),
            Some(entry) => duplicates(document, entry, twice, notes),
        }
    }
    if let Some(entry) = document.entry("references") {
        for (value, at) in scalars(&entry.value) {
            let text = value.text.trim();
            let is_link = ["http://", "https://", "ftp://", "Internal", "file:"]
                .iter()
                .any(|start| text.starts_with(start));
            if !is_link {
                notes.add(
                    "CW129",
                    at,
                    format!("{text:?} is no link; write a URL, or put notes into the description"),
                );
            }
        }
    }
    if let Some(entry) = document.entry("falsepositives") {
        for (value, at) in scalars(&entry.value) {
            let text = value.text.trim();
            let lower = text.to_lowercase();
            if text.chars().count() < 2 {
                notes.add(
                    "CW133",
                    at,
                    format!("{text:?} is too short to say what else may look like this"),
                );
            } else if matches!(
                lower.as_str(),
                "none"
                    | "n/a"
                    | "na"
                    | "no"
                    | "null"
                    | "nothing"
                    | "pentest"
                    | "pentester"
                    | "tbd"
                    | "todo"
            ) {
                notes.add(
                    "CW134",
                    at,
                    format!(
                        "{text:?} says nothing; name what else may look like this, or \"Unknown\""
                    ),
                );
            } else if text.starts_with(|c: char| c.is_lowercase()) {
                let mut capital: String = text.to_owned();
                capital.replace_range(
                    ..text.chars().next().map_or(0, char::len_utf8),
                    &text
                        .chars()
                        .take(1)
                        .flat_map(char::to_uppercase)
                        .collect::<String>(),
                );
                let fix = Fix::Replace {
                    from: text.to_owned(),
                    to: capital,
                };
                notes.fix(
                    "CW137",
                    at,
                    format!("{text:?} begins with a small letter"),
                    fix,
                );
            }
        }
    }
    if let Some(entry) = document.entry("scope") {
        for (value, at) in scalars(&entry.value) {
            if value.text.trim().chars().count() < 2 {
                notes.add(
                    "CW159",
                    at,
                    format!("{:?} is too short for a scope", value.text),
                );
            }
        }
    }
}

fn duplicates(document: &Document<'_>, entry: &Entry, code: &'static str, notes: &mut Notes<'_>) {
    let mut seen = HashSet::new();
    for (value, at) in scalars(&entry.value) {
        if seen.insert(value.text.trim()) {
            continue;
        }
        let message = format!(
            "{:?} is there twice in {}; remove one",
            value.text, entry.key
        );
        // Only an item that has its line for itself can go with it.
        let line = line_of(document.text, at.line).trim_start();
        let is_alone = line.starts_with("- ")
            && line[2..]
                .trim_start()
                .trim_matches(['"', '\''])
                .starts_with(value.text.trim());
        if is_alone {
            notes.fix(code, at, message, Fix::RemoveLine);
        } else {
            notes.add(code, at, message);
        }
    }
}

fn related(document: &Document<'_>, notes: &mut Notes<'_>) {
    let Some(entry) = document.entry("related") else {
        return;
    };
    let Kind::List(items) = &entry.value.kind else {
        if scalar(&entry.value).is_some() || matches!(entry.value.kind, Kind::Map(_)) {
            notes.add(
                "CW150",
                entry.value.position,
                "related is a list of maps with id and type",
            );
        }
        return;
    };
    for item in items {
        let Kind::Map(entries) = &item.kind else {
            notes.add(
                "CW150",
                item.position,
                "an item of related is a map with id and type",
            );
            continue;
        };
        let get = |key: &str| entries.iter().find(|entry| entry.key == key);
        for key in ["id", "type"] {
            if get(key).is_none() {
                notes.add(
                    "CW153",
                    item.position,
                    format!("this item of related has no {key}"),
                );
            }
        }
        if let Some((id, at)) =
            get("id").and_then(|entry| Some((scalar(&entry.value)?, entry.value.position)))
        {
            if !is_uuid(&id.text) {
                notes.add("CW152", at, format!("{:?} is no UUID", id.text));
            } else if document.text_of("id") == Some(&id.text) {
                notes.add("CW155", at, "the rule is related to itself; remove this");
            }
        }
        if let Some((kind, at)) =
            get("type").and_then(|entry| Some((scalar(&entry.value)?, entry.value.position)))
            && !RELATIONS.contains(&kind.text.as_str())
        {
            notes.add(
                "CW151",
                at,
                format!(
                    "{:?} is no relation; there are {}",
                    kind.text,
                    RELATIONS.join(", ")
                ),
            );
        }
    }
}
