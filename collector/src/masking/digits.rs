//! Groups of digits as numbers are written: `0901 234 567`, `4111-1111-1111-1111`.

use std::ops::Range;

use super::syntax::{Syntax, escape_bytes};

/// A run of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) range: Range<usize>,
}

/// More groups than any number has.
pub(super) const GROUPS_MAX: usize = 6;

impl Group {
    pub(super) fn len(&self) -> usize {
        self.range.len()
    }
}

/// All groups of a text, without digits that belong to an escape.
pub(super) fn groups(text: &[u8], syntax: Syntax) -> Vec<Group> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].iter().position(u8::is_ascii_digit) {
        let start = at + start;
        let length = text[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        at = start + length;
        let mut begin = start;
        // `%20`, where the digits are the escape's; `\u0020`, where they follow the letter.
        begin += match text[..start].last() {
            Some(b'u') if text[..start - 1].last() == Some(&b'\\') => 4,
            _ => escape_bytes(text, start, syntax),
        };
        if begin < at {
            found.push(Group { range: begin..at });
        }
    }
    found
}

/// What stands between a group and the next, if they may be parts of one number.
pub(super) fn separator<'t>(text: &'t [u8], first: &Group, second: &Group) -> Option<&'t [u8]> {
    let between = text.get(first.range.end..second.range.start)?;
    matches!(between, b" " | b"." | b"-" | b")" | b") " | b")-").then_some(between)
}

/// Whether a number may begin there: not within a word, a fraction or a UUID.
pub(super) fn may_begin(text: &[u8], start: usize, syntax: Syntax) -> bool {
    match &text[..start] {
        [] => true,
        [.., digit, b'.'] if digit.is_ascii_digit() => false,
        [.., b'-', a, b, c, d, b'-'] => ![a, b, c, d]
            .into_iter()
            .all(|byte| byte.is_ascii_hexdigit()),
        [.., last] if !last.is_ascii_alphanumeric() && *last != b'_' => true,
        before => ends_in_escape(before, syntax),
    }
}

/// Whether a number may end there.
pub(super) fn may_end(text: &[u8], end: usize) -> bool {
    match &text[end..] {
        [b'.', digit, ..] if digit.is_ascii_digit() => false,
        [next, ..] => !next.is_ascii_alphanumeric() && *next != b'_',
        [] => true,
    }
}

/// `\n`, `%20` or `\u00e1` at the end.
fn ends_in_escape(before: &[u8], syntax: Syntax) -> bool {
    let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    match before {
        [.., b'%', a, b] if is_hex(&[*a, *b]) => true,
        [.., b'\\', b'n' | b't' | b'r' | b'b' | b'f'] => syntax.is_json_at(before.len()),
        [.., b'\\', b'u', a, b, c, d] => is_hex(&[*a, *b, *c, *d]),
        _ => false,
    }
}
