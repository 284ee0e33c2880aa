//! The journal's export format (systemd, "Journal Export Formats"): lines `KEY=value`; a value that is no plain text stands
//! behind the line `KEY` as eight bytes of length, the lowest first, and its bytes. An entry is a record.

use super::{Fit, Format, NotThisFormat, json, shapes};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};

pub(super) const JOURNALD_EXPORT: Format = Format {
    name: "journald_export",
    description: "an entry of systemd's journal in its export format (journalctl -o export)",
    begins: Begins::PAIR,
    detect,
    read,
};

fn detect(text: &str) -> Option<&'static str> {
    ["__CURSOR=", "__REALTIME_TIMESTAMP="]
        .iter()
        .any(|mark| text.starts_with(mark))
        .then_some("begins with an address field of the journal's export format")
}

/// Reads the bytes of the record, for lengths are no text.
fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    detect(text).ok_or(NotThisFormat)?;
    // Bytes of a length are no broken text; what is broken is found again, value by value.
    let problems = &mut draft.event.problems;
    problems.retain(|problem| problem.kind != ProblemKind::BadEncoding);
    let raw: &'a [u8] = draft.event.record.raw;
    let mut rest = &raw[..raw.len().min(draft.context.record_bytes_max)];
    while !rest.is_empty() {
        let (line, behind) = split_at_byte(rest, b'\n').unwrap_or((rest, &[]));
        if let Some((name, value)) = split_at_byte(line, b'=') {
            field(draft, name, value);
            rest = behind;
        } else if line.is_empty() {
            rest = behind;
        } else {
            let (value, behind) = with_length(draft, behind);
            field(draft, line, value);
            rest = behind.strip_prefix(b"\n").unwrap_or(behind);
        }
    }
    json::finish(draft);
    shapes::finish(draft);
    draft.event.format = JOURNALD_EXPORT.name;
    Ok(())
}

fn split_at_byte(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(byte, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// The value and what follows it. One that is cut is as long as what is there.
fn with_length<'a>(draft: &mut Draft<'a, '_>, bytes: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let read = bytes.split_first_chunk::<8>().map(|(length, rest)| {
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
        rest.split_at_checked(length).ok_or(rest)
    });
    match read {
        Some(Ok(parts)) => parts,
        cut => {
            draft.note_once(ProblemKind::Partial, "a field's value is cut");
            (cut.and_then(Result::err).unwrap_or(&[]), &[])
        }
    }
}

fn field<'a>(draft: &mut Draft<'a, '_>, name: &'a [u8], value: &'a [u8]) {
    let (name, value) = (text_of(draft, name), text_of(draft, value));
    if !name.is_empty() {
        draft.push(name, Value::Str(value));
    }
}

fn text_of<'a>(draft: &mut Draft<'a, '_>, bytes: &'a [u8]) -> &'a str {
    std::str::from_utf8(bytes).unwrap_or_else(|_| {
        let replaced = "a value is no UTF-8; such bytes are replaced";
        draft.note_once(ProblemKind::BadEncoding, replaced);
        bumpalo::collections::String::from_utf8_lossy_in(bytes, draft.arena).into_bump_str()
    })
}
