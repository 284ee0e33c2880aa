//! ArcSight Common Event Format: `CEF:0|vendor|product|version|id|name|severity|key=value ...`.

use bumpalo::collections::String as ArenaString;

use super::{Fit, Format, NotThisFormat};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::Value;
use crate::scan;
use crate::when;

pub(super) const CEF: Format = Format {
    name: "cef",
    description: "ArcSight Common Event Format",
    begins: Begins::LETTER.or(Begins::DIGIT),
    detect,
    read,
};

const HEADER: [&str; 7] = [
    "cef_version",
    "device_vendor",
    "device_product",
    "device_version",
    "signature_id",
    "name",
    "severity",
];

fn body(text: &str) -> Option<&str> {
    scan::after(text, "CEF:").map(|rest| rest.trim_start_matches(' '))
}

fn detect(text: &str) -> Option<&'static str> {
    if let Some(body) = body(text) {
        return body
            .starts_with(|c: char| c.is_ascii_digit())
            .then_some("begins with CEF:");
    }
    // Some senders leave the mark out.
    let behind = text.strip_prefix(['0', '1'])?;
    let pipes = || behind.bytes().filter(|byte| *byte == b'|').count();
    (behind.starts_with('|') && pipes() >= HEADER.len())
        .then_some("has the seven parts of CEF's header")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let mut rest = body(text).unwrap_or(text);
    for (place, name) in HEADER.into_iter().enumerate() {
        let (value, behind) = match header_part(rest) {
            Some(found) => found,
            // A header alone, without extension, is cut off by many senders.
            None if place == HEADER.len() - 1 => (rest, ""),
            None => return Err(NotThisFormat),
        };
        if place == 0 && !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NotThisFormat);
        }
        let value = unescape(draft, value);
        draft.text(name, value);
        rest = behind;
    }
    extension(draft, rest.trim());
    finish(draft);
    Ok(())
}

/// Up to the next `|` that no backslash stands before.
fn header_part(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let end = memchr::memchr_iter(b'|', bytes).find(|&at| at == 0 || bytes[at - 1] != b'\\')?;
    Some((&text[..end], &text[end + 1..]))
}

/// `key=value key=value`: a value ends where ` word=` begins.
fn extension<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    let mut rest = text;
    while let Some(equals) = next_equals(rest) {
        let key = rest[..equals].trim();
        let value_text = &rest[equals + 1..];
        let end = match next_equals(value_text) {
            Some(next) => value_text[..next].rfind(' ').unwrap_or(0),
            None => value_text.len(),
        };
        let value = unescape(draft, value_text[..end].trim());
        if !key.is_empty() && !key.contains(' ') {
            draft.number(key, value);
        }
        rest = &value_text[end..];
    }
}

/// Longest key; the standard's are shorter than half of it.
const KEY_BYTES_MAX: usize = 64;

/// The next `=` that ends a key: a word stands before it and no backslash.
fn next_equals(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'=', bytes).find(|&at| {
        let window = &bytes[at.saturating_sub(KEY_BYTES_MAX + 1)..at];
        let key = match memchr::memrchr(b' ', window) {
            Some(space) => &window[space + 1..],
            None if at <= KEY_BYTES_MAX => window,
            None => return false,
        };
        let is_key_byte = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-[]".contains(byte);
        !key.is_empty() && key.iter().all(is_key_byte)
    })
}

fn unescape<'a>(draft: &Draft<'a, '_>, text: &'a str) -> &'a str {
    if !text.contains('\\') {
        return text;
    }
    let mut plain = ArenaString::with_capacity_in(text.len(), draft.arena);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some(c @ ('\\' | '|' | '=')) => plain.push(c),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain.into_bump_str()
}

/// Names of CEF's dictionary that have one of ours.
const ALIASES: [(&str, &str); 10] = [
    ("src", "SourceIp"),
    ("spt", "SourcePort"),
    ("dst", "DestinationIp"),
    ("dpt", "DestinationPort"),
    ("suser", "User"),
    ("duser", "TargetUser"),
    ("act", "action"),
    ("msg", "message"),
    ("request", "url"),
    ("proto", "protocol"),
];

fn finish(draft: &mut Draft<'_, '_>) {
    for (from, to) in ALIASES {
        draft.alias(from, to);
    }
    draft.alias("name", "message");
    if let Some(time) = ["rt", "end", "start", "deviceReceiptTime"]
        .iter()
        .find_map(|name| match draft.get(name)? {
            Value::Str(text) => when::any(text, draft.context).or_else(|| {
                when::bsd(text, draft.event.record.received_at, draft.context).map(|(time, _)| time)
            }),
            #[expect(
                clippy::cast_precision_loss,
                reason = "epoch milliseconds have fewer than 53 bits"
            )]
            Value::Int(number) => when::epoch(number as f64),
            _ => None,
        })
    {
        draft.time(time);
    }
    if let Some(host) = draft.get_str("dvchost") {
        draft.host(host);
    }
    device_sources(draft);
    outcome_of_action(draft);
}

/// Products whose rules SigmaHQ has.
const SOURCES: [(&str, &str, &str); 5] = [
    ("fortinet", "fortigate", "event"),
    ("palo alto networks", "paloalto", ""),
    ("cisco", "cisco", ""),
    ("check point", "checkpoint", ""),
    ("microsoft", "windows", ""),
];

/// Log sources by vendor and by the addresses, which get the names that firewall rules use. LEEF has the same vendors.
pub(super) fn device_sources(draft: &mut Draft<'_, '_>) {
    let vendor = draft.get_str("device_vendor").unwrap_or("");
    if let Some((_, product, service)) = SOURCES
        .iter()
        .find(|(known, ..)| vendor.eq_ignore_ascii_case(known))
    {
        draft.source(product, "", service);
    }
    if draft.get("src").is_some() && draft.get("dst").is_some() {
        for (from, to) in [
            ("src", "src_ip"),
            ("dst", "dst_ip"),
            ("spt", "src_port"),
            ("dpt", "dst_port"),
        ] {
            draft.alias(from, to);
        }
        draft.source("", "firewall", "");
    }
}

/// Words of devices for what they let through and what they did not.
const OUTCOMES: [(&str, &str); 16] = [
    ("accept", "success"),
    ("accepted", "success"),
    ("allow", "success"),
    ("allowed", "success"),
    ("permit", "success"),
    ("permitted", "success"),
    ("pass", "success"),
    ("drop", "failure"),
    ("dropped", "failure"),
    ("deny", "failure"),
    ("denied", "failure"),
    ("block", "failure"),
    ("blocked", "failure"),
    ("reject", "failure"),
    ("rejected", "failure"),
    ("prevent", "failure"),
];

/// How it ended, where the device's word for what it did says so and nothing else does.
pub(super) fn outcome_of_action(draft: &mut Draft<'_, '_>) {
    if draft.get("outcome").is_some() {
        return;
    }
    let action = draft.get_str("action").unwrap_or("");
    let known = OUTCOMES
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(action));
    if let Some((_, outcome)) = known {
        draft.action("", outcome);
    }
}
