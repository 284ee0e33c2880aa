//! ModSecurity's audit log in its own form ("ModSecurity 2 Data Formats", audit log): parts between lines
//! `--BOUNDARY-LETTER--`, from A to Z; version 3 writes `---BOUNDARY---LETTER--`. All of a transaction is one record.
//! Its fields get the names that the same log has as JSON.

use bumpalo::collections::Vec as ArenaVec;

use super::{Fit, Format, NotThisFormat, modsecurity, shapes};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};

pub(super) const MODSECURITY: Format = Format {
    name: shapes::MODSECURITY.name,
    description: "ModSecurity's audit log, as JSON or in its own form",
    begins: Begins::OTHER,
    detect: |text| {
        // Most texts are told by their first letters, without a look for the line's end.
        let line = text.starts_with("--").then(|| first_line(text))?;
        boundary(line)?;
        Some("begins with the boundary of part A of ModSecurity's audit log")
    },
    read: |draft, text| {
        if boundary(first_line(text)).is_some() {
            read(draft, text)
        } else {
            (shapes::MODSECURITY.read)(draft, text)
        }
    },
};

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

/// What stands before the letter in the line that opens part A.
fn boundary(line: &str) -> Option<&str> {
    let boundary = line.strip_suffix("A--")?;
    let name = boundary.strip_prefix("--")?.trim_matches('-');
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (boundary.len() <= 64 && boundary.ends_with('-') && is_name(name)).then_some(boundary)
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let boundary = boundary(first_line(text)).ok_or(NotThisFormat)?;
    let mut is_whole = false;
    let mut has_start = false;
    let parts = Parts {
        rest: text,
        boundary,
    };
    for (letter, part) in parts {
        match letter {
            b'A' => has_start = start(draft, part),
            b'B' => headers(draft, part, "request"),
            b'C' | b'I' => draft.text("request.body", part.trim_end()),
            b'F' => headers(draft, part, "response"),
            b'H' => trailer(draft, part),
            b'Z' => is_whole = true,
            _ => {}
        }
    }
    if !has_start {
        return Err(NotThisFormat);
    }
    if !is_whole {
        draft.note(
            ProblemKind::Partial,
            "the end of the transaction is missing",
        );
    }
    modsecurity::finish(draft);
    draft.event.format = MODSECURITY.name;
    Ok(())
}

/// Letters and texts of the parts. Only lines with the boundary of part A separate them: what a client sends may have
/// any others in it.
struct Parts<'a, 't> {
    rest: &'a str,
    boundary: &'t str,
}

impl<'a> Iterator for Parts<'a, '_> {
    type Item = (u8, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let letter = letter_of(line, self.boundary)?;
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            if letter_of(line, self.boundary).is_some() {
                break;
            }
            end += line.len();
        }
        let (part, rest) = rest.split_at(end);
        self.rest = rest;
        Some((letter, part))
    }
}

fn letter_of(line: &str, boundary: &str) -> Option<u8> {
    match line.trim_end().strip_prefix(boundary)?.as_bytes() {
        [letter @ b'A'..=b'Z', b'-', b'-'] => Some(*letter),
        _ => None,
    }
}

/// `[22/Nov/2026:09:15:30 +0700] ID CLIENT PORT SERVER PORT`
fn start<'a>(draft: &mut Draft<'a, '_>, part: &'a str) -> bool {
    let line = first_line(part);
    let Some((time, rest)) = line
        .strip_prefix('[')
        .and_then(|line| line.split_once("] "))
    else {
        return false;
    };
    draft.text("transaction.time", time);
    let names = [
        "transaction.transaction_id",
        "transaction.remote_address",
        "transaction.remote_port",
        "transaction.local_address",
        "transaction.local_port",
    ];
    for (name, word) in names.into_iter().zip(rest.split_ascii_whitespace()) {
        draft.number(name, word);
    }
    true
}

/// The request's or the response's first line and headers.
fn headers<'a>(draft: &mut Draft<'a, '_>, part: &'a str, whose: &str) {
    let mut lines = part.lines();
    let first = lines.next().unwrap_or("");
    if whose == "request" {
        draft.text("request.request_line", first);
    } else {
        let (protocol, status) = first.split_once(' ').unwrap_or((first, ""));
        draft.text("response.protocol", protocol);
        draft.number("response.status", status.split(' ').next().unwrap_or(""));
    }
    for line in lines {
        if let Some((name, value)) = line.split_once(": ") {
            let name = draft.concat(&[whose, ".headers.", name]);
            draft.text(name, value);
        }
    }
}

/// What the rules said of it.
fn trailer<'a>(draft: &mut Draft<'a, '_>, part: &'a str) {
    let mut messages = ArenaVec::new_in(draft.arena);
    let mut is_denied = false;
    for line in part.lines() {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        match name {
            "Message" | "ModSecurity" => {
                is_denied |= value.starts_with("Access denied");
                messages.push(Value::Str(value));
            }
            "Action" => is_denied |= value.starts_with("Intercepted"),
            "Producer" => draft.text("audit_data.producer", value),
            "Server" => draft.text("audit_data.server", value),
            "Engine-Mode" => draft.text("audit_data.engine_mode", value.trim_matches('"')),
            "Apache-Error" => draft.text("audit_data.apache_error", value),
            _ => {}
        }
    }
    if !messages.is_empty() {
        draft.push(
            "audit_data.messages",
            Value::List(messages.into_bump_slice()),
        );
    }
    if is_denied {
        draft.push("audit_data.action.intercepted", Value::Bool(true));
    }
}
