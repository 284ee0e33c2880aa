//! Check Point's Log Exporter in its form `syslog`: the header of RFC 5424, then `[name:"value"; name:"value"; ...]`, and
//! in its newer form structured data `[Fields@1.3.6.1.4.1.2620 Action="Drop" ...]`.

use super::Fit;
use crate::bytes::find_any;
use crate::draft::Draft;
use crate::event::Value;
use crate::scan;
use crate::when;

/// Whether what follows the header is such a list.
#[inline]
pub(super) fn is_one(text: &str) -> bool {
    scan::after(text, "[").is_some_and(|text| {
        // Structured data, which mostly stands there, has a space before its first colon.
        let colon = find_any([b':', b' ', b']'], text.as_bytes()).unwrap_or(0);
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        colon > 0
            && scan::begins(&text[colon..], ":\"")
            && text.as_bytes()[..colon].iter().all(is_word)
    }) || scan::begins(text, "[Fields@1.3.6.1.4.1.2620")
}

/// A dash for "no structured data" may stand before the list.
#[inline]
pub(super) fn fields_of(text: &str) -> Option<&str> {
    scan::after(text, "- ").filter(|text| is_one(text))
}

/// Names that rules and analysts know by another.
const NAMES: [(&str, &str); 12] = [
    ("src", "src_ip"),
    ("dst", "dst_ip"),
    ("s_port", "src_port"),
    ("service", "dst_port"),
    ("proto", "protocol"),
    ("rule_name", "rule"),
    ("src_user_name", "User"),
    ("administrator", "User"),
    ("user", "User"),
    ("client_ip", "SourceIp"),
    ("orig_log_server_ip", "log_server"),
    ("origin", "origin_ip"),
];

/// Check Point's words for what became of a connection.
const VERDICTS: [(&str, &str, &str); 8] = [
    ("accept", "allow", "success"),
    ("drop", "block", "failure"),
    ("reject", "block", "failure"),
    ("prevent", "block", "failure"),
    ("block", "block", "failure"),
    ("detect", "detect", ""),
    ("log in", "login", "success"),
    ("failed log in", "login", "failure"),
];

pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    draft.text("message", text);
    let mut rest = text.strip_prefix('[').unwrap_or(text);
    if let Some(fields) = rest.strip_prefix("Fields@") {
        rest = fields.split_once(' ').map_or("", |(_, fields)| fields);
    }
    while let Some(pair) = pair(&mut rest) {
        let (name, value) = pair;
        if value.is_empty() {
            continue;
        }
        let value = scan::unescape(value, draft.arena);
        draft.number(name, value);
    }
    for (from, to) in NAMES {
        draft.alias(from, to);
    }
    // The newer form writes some names in capitals.
    for (from, to) in [("Action", "action"), ("Src", "src_ip"), ("Dst", "dst_ip")] {
        draft.alias(from, to);
    }
    verdict(draft);
    if let Some(time) = draft.get("time") {
        let text = draft.format(format_args!("{time}"));
        if let Some(time) = when::any(text, draft.context) {
            draft.time(time);
        }
    }
    draft.source("checkpoint", "", "fw1");
    if draft.get("src_ip").is_some() && draft.get("dst_ip").is_some() {
        draft.source("", "firewall", "");
    }
    Ok(())
}

fn verdict(draft: &mut Draft<'_, '_>) {
    let word = draft.get_str("action").unwrap_or("");
    let found = VERDICTS
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(word));
    if let Some((_, action, outcome)) = found {
        draft.set("action", Value::Str(action));
        if !outcome.is_empty() {
            draft.set("outcome", Value::Str(outcome));
        }
    }
}

/// The next `name:"value"` or `name="value"`.
fn pair<'t>(rest: &mut &'t str) -> Option<(&'t str, &'t str)> {
    let text = rest.trim_start_matches([' ', ';']);
    let end = text.find([':', '=', ']'])?;
    let (name, behind) = text.split_at(end);
    let quoted = behind.strip_prefix([':', '='])?;
    let (after, value) = scan::quoted(quoted).ok()?;
    *rest = after;
    (!name.is_empty()).then_some((name.trim(), value))
}
