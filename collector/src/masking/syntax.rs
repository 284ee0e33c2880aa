//! What a record's syntax asks of a token that is put into it.

use std::ops::Range;

/// The syntax of a text, as far as tokens are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Syntax {
    /// Where JSON begins, if there is any: a record of JSON, or one that ends in it.
    json_from: usize,
    is_xml: bool,
}

impl Syntax {
    /// Of a record.
    pub(super) fn of(text: &[u8]) -> Self {
        let start = text.iter().position(|byte| !byte.is_ascii_whitespace());
        let start = start.unwrap_or(text.len());
        let json_from = match text.get(start) {
            Some(b'{' | b'[') => start,
            _ => memchr::memmem::find(text, b"{\"").unwrap_or(text.len()),
        };
        Self {
            json_from,
            is_xml: memchr::memmem::find(text, b"</").is_some()
                || memchr::memmem::find(text, b"/>").is_some(),
        }
    }

    /// Whether what stands there is JSON.
    pub(super) fn is_json_at(self, place: usize) -> bool {
        place >= self.json_from
    }

    /// For writing tokens in the order of their places.
    pub(super) fn places(self, text: &[u8]) -> Places<'_> {
        Places {
            syntax: self,
            text,
            seen: self.json_from.min(text.len()),
            is_in_string: false,
        }
    }
}

/// Follows JSON's strings from token to token.
pub(super) struct Places<'t> {
    syntax: Syntax,
    text: &'t [u8],
    seen: usize,
    is_in_string: bool,
}

impl Places<'_> {
    /// Writes a token in the place of `range`.
    pub(super) fn write(&mut self, range: &Range<usize>, token: &str, masked: &mut Vec<u8>) {
        if self.syntax.is_json_at(range.start) {
            self.follow(range.start);
            if !self.is_in_string && self.is_bare(range) {
                masked.extend_from_slice(format!("\"{token}\"").as_bytes());
                return;
            }
        }
        // JSON may hold XML as text; an escaped token is good there, too.
        if self.syntax.is_xml {
            let inner = &token[1..token.len() - 1];
            masked.extend_from_slice(format!("&lt;{inner}&gt;").as_bytes());
        } else {
            masked.extend_from_slice(token.as_bytes());
        }
    }

    fn follow(&mut self, to: usize) {
        while self.seen < to {
            let rest = &self.text[self.seen..to];
            let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
                self.seen = to;
                return;
            };
            if rest[at] == b'"' {
                self.is_in_string = !self.is_in_string;
                self.seen += at + 1;
            } else {
                self.seen += at + 2;
            }
        }
    }

    /// Whether it is a whole value between JSON's marks: a number.
    fn is_bare(&self, range: &Range<usize>) -> bool {
        let before = self.text[..range.start].last();
        let behind = self.text.get(range.end);
        before.is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b':' | b',' | b'['))
            && behind
                .is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']'))
    }
}

/// Bytes of an escape that a value seems to begin with, though they belong to what stands before it: `n` of
/// `\n`, `u00e1`, the `20` of `%20`. `start` is where letters and digits begin.
pub(super) fn escape_bytes(text: &[u8], start: usize, syntax: Syntax) -> usize {
    let is_hex = |count: usize, from: usize| {
        text.get(from..from + count)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    match text[..start].last() {
        Some(b'%') if is_hex(2, start) => 2,
        Some(b'\\') if text.get(start) == Some(&b'u') && is_hex(4, start + 1) => 5,
        Some(b'\\') if syntax.is_json_at(start) => 1,
        _ => 0,
    }
}
