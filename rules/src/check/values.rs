//! The values of items: wildcards, lists, and what no event's field can hold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::metadata::is_invisible;
use super::searches::{Item, is_alone};
use super::{Document, Fix, Notes, regexes, scalars};
use crate::rule::Position;
use crate::yaml::{Kind, Resolved, Scalar};

/// Shorter texts are found nearly everywhere.
const CONTAINED_CHARS_MIN: usize = 3;
/// Pairs of values of one item that are compared.
const COMPARED_MAX: usize = 200;

pub(super) fn check(document: &Document<'_>, item: &Item<'_>, notes: &mut Notes<'_>) {
    if let Kind::List(items) = &item.value.kind
        && items.is_empty()
    {
        notes.add("CW307", item.value.position, "an empty list of values");
    }
    let values = scalars(item.value);
    if values.len() > 1 {
        let compared = compared(item, &values);
        twice(document, item, &values, &compared, notes);
        subsumed(item, &values, &compared, notes);
    }
    let is_text = ![
        "re", "cidr", "exists", "fieldref", "lt", "lte", "gt", "gte", "minute", "hour", "day",
        "week", "month", "year",
    ]
    .iter()
    .any(|modifier| item.has(modifier));
    // Once for all values: some lists are about such characters.
    if let Some((_, at)) = values
        .iter()
        .find(|(value, _)| !value.text.is_ascii() && value.text.chars().any(is_invisible))
    {
        notes.add(
            "CW337",
            *at,
            "the value holds characters that cannot be seen",
        );
    }
    let product = product(document);
    let (is_regex, is_expanded) = (item.has("re"), item.has("expand"));
    for (value, at) in &values {
        if is_regex {
            regexes::check(item, &value.text, *at, notes);
        }
        if is_text {
            wildcards(document, item, value, *at, notes);
            spelling(document, product, item, value, *at, notes);
        }
        if !is_expanded && is_placeholder(&value.text) {
            notes.add(
                "CW322",
                *at,
                format!(
                    "{:?} looks like a placeholder, but the item has no expand",
                    value.text
                ),
            );
        }
    }
}

/// `%name%`, and no variable of Windows.
fn is_placeholder(text: &str) -> bool {
    text.strip_prefix('%')
        .and_then(|rest| rest.strip_suffix('%'))
        .is_some_and(|name| {
            !name.is_empty()
                && name.chars().any(|c| c.is_ascii_lowercase())
                && name.contains('_')
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        })
}

/// The values as they are compared with one another: case does not count unless it is told to.
fn compared(item: &Item<'_>, values: &[(&Scalar, Position)]) -> Vec<String> {
    let is_exact = ["cased", "re", "base64", "base64offset"]
        .iter()
        .any(|modifier| item.has(modifier));
    let texts = values.iter().map(|(value, _)| &value.text);
    texts
        .map(|text| {
            if is_exact {
                text.clone()
            } else {
                text.to_lowercase()
            }
        })
        .collect()
}

/// Values that are there twice.
fn twice(
    document: &Document<'_>,
    item: &Item<'_>,
    values: &[(&Scalar, Position)],
    compared: &[String],
    notes: &mut Notes<'_>,
) {
    let mut seen: HashMap<&str, u32> = HashMap::with_capacity(values.len());
    for ((value, at), key) in values.iter().zip(compared) {
        let first = match seen.entry(key) {
            Entry::Occupied(first) => *first.get(),
            Entry::Vacant(free) => {
                free.insert(at.line);
                continue;
            }
        };
        let message = format!(
            "{:?} is there twice (first in line {first}); remove one",
            value.text
        );
        if is_alone(document, *at, &value.text) && !item.has("all") {
            notes.fix("CW233", *at, message, Fix::RemoveLine);
        } else {
            notes.add("CW233", *at, message);
        }
    }
}

/// Values of which another holds whenever they do.
fn subsumed(
    item: &Item<'_>,
    values: &[(&Scalar, Position)],
    lower: &[String],
    notes: &mut Notes<'_>,
) {
    if item.has("all")
        || item.has("re")
        || item.has("base64")
        || item.has("base64offset")
        || item.has("windash")
        || values.len() > COMPARED_MAX
    {
        return;
    }
    let relation = ["contains", "startswith", "endswith"]
        .into_iter()
        .find(|one| item.has(one));
    let Some(relation) = relation else { return };
    for (place, longer) in lower.iter().enumerate() {
        let covers = |shorter: &&String| {
            shorter.len() < longer.len()
                && !shorter.contains(['*', '?', '\\'])
                && !longer.contains(['*', '?'])
                && match relation {
                    "contains" => longer.contains(shorter.as_str()),
                    "startswith" => longer.starts_with(shorter.as_str()),
                    _ => longer.ends_with(shorter.as_str()),
                }
        };
        if let Some(shorter) = lower.iter().find(covers) {
            let (value, at) = &values[place];
            notes.add(
                "CW234",
                *at,
                format!(
                    "{:?} is never needed: {shorter:?} holds whenever it does",
                    value.text
                ),
            );
        }
    }
}

/// Wildcards that a modifier says better, or that say nothing.
fn wildcards(
    document: &Document<'_>,
    item: &Item<'_>,
    value: &Scalar,
    at: Position,
    notes: &mut Notes<'_>,
) {
    let text = value.text.as_str();
    let relation = ["contains", "startswith", "endswith"]
        .into_iter()
        .find(|one| item.has(one));
    if !text.is_empty() && text.chars().all(|c| c == '*') && !item.field.is_empty() {
        let message = "a lone wildcard asks whether the field has a text; write `|exists: true` to ask whether it is there";
        notes.add("CW308", at, message);
        return;
    }
    let begins = text.starts_with('*') && !text.starts_with("**");
    let ends = text.ends_with('*') && !text.ends_with("\\*") && text.len() > 1;
    match relation {
        Some(relation) => {
            let idle_begin = begins && matches!(relation, "contains" | "endswith");
            let idle_end = ends && matches!(relation, "contains" | "startswith");
            if idle_begin || idle_end {
                let mut to = text;
                if idle_begin {
                    to = &to[1..];
                }
                if idle_end {
                    to = &to[..to.len() - 1];
                }
                let message =
                    format!("the wildcard at the end of {text:?} says nothing beside {relation}");
                // What is quoted or folded is found only as it is written.
                if document.written(at).contains(text) && !to.is_empty() && !to.contains(['*', '?'])
                {
                    let written = document.written(at);
                    let quote = written
                        .chars()
                        .next()
                        .filter(|c| matches!(c, '\'' | '"'))
                        .map(String::from)
                        .unwrap_or_default();
                    let from = format!("{quote}{text}{quote}");
                    notes.fix(
                        "CW309",
                        at,
                        message,
                        Fix::Replace {
                            from,
                            to: format!("{quote}{to}{quote}"),
                        },
                    );
                } else {
                    notes.add("CW309", at, message);
                }
            }
        }
        None if item.field.is_empty() && (begins || ends) => {
            notes.add(
                "CW309",
                at,
                "a keyword is found anywhere; wildcards at its ends say nothing",
            );
        }
        None if begins || ends => {
            let better = match (begins, ends) {
                (true, true) => "contains",
                (true, false) => "endswith",
                _ => "startswith",
            };
            let inner = text.strip_prefix('*').unwrap_or(text);
            let inner = inner.strip_suffix('*').unwrap_or(inner);
            if !inner.contains(['*', '?']) && matches!(item.value.kind, Kind::Scalar(_)) {
                notes.add(
                    "CW310",
                    at,
                    format!("{text:?} is better written with |{better}"),
                );
            }
        }
        None => {}
    }
    if relation == Some("contains") && !item.has("all") {
        let length = text.chars().filter(|c| !matches!(c, '*' | '?')).count();
        // A letter beyond ASCII is rare by itself.
        let is_common = text.is_ascii() && !text.chars().all(|c| c.is_numeric());
        if length < CONTAINED_CHARS_MIN && length > 0 && is_common {
            notes.add(
                "CW332",
                at,
                format!(
                    "{text:?} is so short that it is found nearly everywhere, and dear to look for"
                ),
            );
        }
    }
    let has_path = text
        .strip_suffix("\\*")
        .is_some_and(|before| before.contains('\\'));
    if text.ends_with("\\*") && !text.ends_with("\\\\*") && relation.is_none() && has_path {
        notes.add("CW331", at, format!("{text:?} ends with an escaped star, a real `*`; write `\\\\*` for a backslash and anything"));
    }
}

/// How values are written, and what no event's field can hold.
fn spelling(
    document: &Document<'_>,
    product: Option<&str>,
    item: &Item<'_>,
    value: &Scalar,
    at: Position,
    notes: &mut Notes<'_>,
) {
    let text = value.text.as_str();
    let plain = item.modifiers.is_empty();
    let has_wildcard = text.contains(['*', '?']);
    if plain && !item.field.is_empty() && text != text.trim() && value.value == Resolved::Text {
        notes.add(
            "CW243",
            at,
            format!("{text:?} begins or ends with a blank, and the whole value must be so"),
        );
    }
    if value.value == Resolved::Text
        && matches!(
            text,
            "yes" | "no" | "on" | "off" | "Yes" | "No" | "On" | "Off"
        )
        && !is_quoted(document, at)
    {
        notes.add("CW335", at, format!("{text} without quotes is true or false to some YAML readers and text to others; quote it"));
    }
    if matches!(value.value, Resolved::Number(_))
        && (text.starts_with("0x")
            || text.len() > 1 && text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit()))
    {
        notes.add(
            "CW334",
            at,
            format!("{text} without quotes is a number to YAML; quote it to mean the text"),
        );
    }
    let is_path = matches!(
        item.field,
        "Image"
            | "ParentImage"
            | "SourceImage"
            | "TargetImage"
            | "ImageLoaded"
            | "NewProcessName"
            | "ParentProcessName"
    );
    if is_path && product == Some("windows") {
        if text.contains('/') && !text.contains('\\') && !text.is_empty() {
            notes.add(
                "CW246",
                at,
                format!("{text:?}: paths of Windows are written with \\, so this never matches"),
            );
        } else if plain
            && !has_wildcard
            && !text.contains('\\')
            && !text.is_empty()
            && !matches!(
                text,
                "System" | "Registry" | "MemCompression" | "Idle" | "vmmem" | "-"
            )
        {
            notes.add("CW247", at, format!("{text:?}: {} is a whole path, so a name alone never matches; write |endswith: '\\{text}'", item.field));
        } else if item.has("endswith")
            && text.to_lowercase().ends_with(".exe")
            && !text.starts_with(['\\', '*', '/'])
        {
            notes.add(
                "CW248",
                at,
                format!("{text:?} also fits longer names; write '\\{text}' for this program alone"),
            );
        }
    }
    if is_path
        && product == Some("linux")
        && text.contains('\\')
        && !text.contains('/')
        && !has_wildcard
    {
        notes.add(
            "CW249",
            at,
            format!("{text:?}: paths of Linux are written with /, so this never matches"),
        );
    }
    if item.field == "TargetObject"
        && product == Some("windows")
        && !item.has("contains")
        && !text.starts_with('*')
    {
        let upper = text.to_uppercase();
        if upper.starts_with("HKEY_") && !item.has("endswith") {
            notes.add(
                "CW252",
                at,
                format!("{text:?}: Sysmon writes HKLM\\, HKU\\ and HKCR\\, so this never matches"),
            );
        } else if upper.starts_with("HKCU\\") {
            notes.add("CW252", at, format!("{text:?}: Sysmon writes HKU\\<SID>\\ for the user's own branch, so this never matches"));
        }
    }
    if matches!(item.field, "Hashes" | "Hash") {
        hashes(item, text, at, notes);
    }
    if item.field.ends_with("Port")
        && !has_wildcard
        && let Ok(port) = text.parse::<u64>()
        && port > 65_535
    {
        notes.add("CW244", at, format!("{port} is no port: there are 65535"));
    }
    if matches!(
        item.field,
        "SourceIp" | "DestinationIp" | "c-ip" | "IpAddress" | "src_ip" | "dst_ip"
    ) && plain
        && !has_wildcard
        && text.contains('/')
        && text.chars().next().is_some_and(|c| c.is_ascii_hexdigit())
    {
        notes.add(
            "CW245",
            at,
            format!("{text:?} is a network, and the field an address; write |cidr"),
        );
    }
}

/// `SHA256=` and 64 digits.
fn hashes(item: &Item<'_>, text: &str, at: Position, notes: &mut Notes<'_>) {
    for part in text.split(',') {
        let Some((kind, digest)) = part.trim_matches('*').split_once('=') else {
            continue;
        };
        let wanted = match kind.to_ascii_uppercase().as_str() {
            "MD5" | "IMPHASH" => 32,
            "SHA1" => 40,
            "SHA256" => 64,
            _ => continue,
        };
        let is_digest = digest.chars().all(|c| c.is_ascii_hexdigit());
        if digest.len() > wanted
            || !is_digest && !digest.contains(['*', '?'])
            || digest.len() < wanted
                && !item.has("contains")
                && !item.has("startswith")
                && !digest.contains('*')
        {
            notes.add(
                "CW251",
                at,
                format!("{part:?}: {kind} has {wanted} hexadecimal digits, so this never matches"),
            );
        }
    }
}

fn product<'d>(document: &Document<'d>) -> Option<&'d str> {
    let section = document.section("logsource")?;
    let entry = section.iter().find(|entry| entry.key == "product")?;
    super::scalar(&entry.value).map(|value| value.text.as_str())
}

fn is_quoted(document: &Document<'_>, at: Position) -> bool {
    document.written(at).starts_with(['\'', '"', '|', '>'])
}
