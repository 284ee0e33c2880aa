//! GELF, Graylog's JSON ("GELF payload specification"): `version`, `host`, `short_message` and fields that begin with an
//! underscore, which rules know without it.

use super::{read_message, shapes, windows};
use crate::draft::Draft;
use crate::event::Value;

/// Of each of these lists one name must be there.
pub(super) const NEEDS: &[&[&str]] = &[&["short_message"], &["version"], &["host"]];

/// Severities by number, as RFC 5424 table 1 has them.
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

pub(super) fn finish<'a>(draft: &mut Draft<'a, '_>) {
    if draft.get("_EventID").is_some() || draft.get("_event_id").is_some() {
        plain_names(draft);
        if windows::is_windows_event(draft) {
            windows::finish(draft);
        }
    } else {
        let message = draft.get_str("short_message").unwrap_or("");
        read_message(draft, message);
        plain_names(draft);
    }
    draft.alias("short_message", "message");
    draft.alias("host", "hostname");
    let severity = draft
        .get_int("level")
        .and_then(|level| SEVERITIES.get(usize::try_from(level).ok()?));
    if let Some(severity) = severity {
        draft.push_if_absent("severity", Value::Str(severity));
    }
    draft.event.format = shapes::GELF.name;
}

/// Gives the fields that begin with an underscore their names without it, where these are free.
fn plain_names(draft: &mut Draft<'_, '_>) {
    for place in 0..draft.fields().len() {
        let field = draft.fields()[place];
        let name = field.name.strip_prefix('_').unwrap_or("");
        if !name.is_empty() {
            draft.push_made_if_absent(name, field.value);
        }
    }
}
