//! `replace_string`: what an expression finds in a value gives way to other text.

use super::regex::PythonRegex;
use crate::error::ErrorKind;
use crate::load::values::{Piece, Template};

/// The transformation.
#[derive(Debug)]
pub(super) struct ReplaceString {
    pub(super) regex: PythonRegex,
    pub(super) replacement: Replacement,
    pub(super) within: Within,
}

/// In what the expression is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Within {
    /// In the value as it is written.
    Whole,
    /// In each text between wildcards; what is put in is text.
    Literals,
    /// The same, and wildcards in what is put in are wildcards.
    LiteralsWithWildcards,
}

/// Text with references to groups, in Python's form.
#[derive(Debug, PartialEq)]
pub(super) struct Replacement {
    parts: Vec<ReplacementPart>,
}

#[derive(Debug, PartialEq)]
enum ReplacementPart {
    Text(String),
    Group(usize),
    Named(String),
}

impl Replacement {
    /// Reads `\1`, `\g<1>`, `\g<name>`, `\n` and the like; the groups must be those of `regex`.
    pub(super) fn parse(text: &str, regex: &PythonRegex) -> Result<Self, ErrorKind> {
        let wrong = |reason: &str| ErrorKind::Value {
            value: text.to_owned(),
            reason: reason.to_owned(),
        };
        let groups = regex.regex().captures_len();
        let group = |number: usize| {
            (number < groups)
                .then_some(ReplacementPart::Group(number))
                .ok_or_else(|| wrong("the expression has no group of this number"))
        };
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\\') {
            plain.push_str(before);
            let Some(c) = after.chars().next() else {
                return Err(wrong("it ends with a backslash; write two for one"));
            };
            rest = &after[c.len_utf8()..];
            let escaped = match c {
                '\\' => Some('\\'),
                'n' => Some('\n'),
                't' => Some('\t'),
                'r' => Some('\r'),
                _ => None,
            };
            if let Some(escaped) = escaped {
                plain.push(escaped);
                continue;
            }
            let part = if c == 'g' {
                let (name, behind) = rest
                    .strip_prefix('<')
                    .and_then(|rest| rest.split_once('>'))
                    .ok_or_else(|| wrong("behind \\g stands a group in angle brackets: \\g<1>"))?;
                rest = behind;
                match name.parse() {
                    Ok(number) => group(number)?,
                    Err(_) if regex.group_names().contains(&name) => {
                        ReplacementPart::Named(name.to_owned())
                    }
                    Err(_) => return Err(wrong("the expression has no group of this name")),
                }
            } else if c.is_ascii_digit() && c != '0' {
                let digits = rest.starts_with(|next: char| next.is_ascii_digit());
                let length = if digits { 2 } else { 1 };
                let number = &after[..length];
                rest = &after[length..];
                group(number.parse().unwrap_or(usize::MAX))?
            } else if c.is_ascii_alphanumeric() {
                return Err(wrong(
                    "a backslash before this letter means nothing; write two for one",
                ));
            } else {
                plain.extend(['\\', c]);
                continue;
            };
            if !plain.is_empty() {
                parts.push(ReplacementPart::Text(std::mem::take(&mut plain)));
            }
            parts.push(part);
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(ReplacementPart::Text(plain));
        }
        Ok(Self { parts })
    }

    fn expand(&self, captures: &regex::Captures<'_>) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                ReplacementPart::Text(plain) => text.push_str(plain),
                ReplacementPart::Group(number) => {
                    text.push_str(captures.get(*number).map_or("", |found| found.as_str()));
                }
                ReplacementPart::Named(name) => {
                    text.push_str(captures.name(name).map_or("", |found| found.as_str()));
                }
            }
        }
        text
    }
}

impl ReplaceString {
    pub(super) fn apply(&self, template: &Template) -> Template {
        match self.within {
            Within::Whole => self.in_whole(template),
            Within::Literals => template.map_literals(|text| {
                let replaced = self.in_text(text);
                vec![Piece::Literal(replaced.into_bytes())]
            }),
            Within::LiteralsWithWildcards => {
                template.map_literals(|text| Template::parse(&self.in_text(text)).pieces().to_vec())
            }
        }
    }

    fn in_text(&self, text: &str) -> String {
        let regex = self.regex.regex();
        let replaced = regex.replace_all(text, |captures: &regex::Captures<'_>| {
            self.replacement.expand(captures)
        });
        replaced.into_owned()
    }

    /// Finds in the plain text, and keeps what lies between as it is: a backslash before a wildcard must not make
    /// that a character, as reading the whole text anew would.
    fn in_whole(&self, template: &Template) -> Template {
        let has_placeholder = template.has_placeholder();
        let plain = template.plain();
        let units = units(template);
        let mut pieces = Vec::new();
        let mut done = 0;
        for captures in self.regex.regex().captures_iter(&plain) {
            let Some(found) = captures.get(0) else {
                continue;
            };
            keep(&units, &plain, done, found.start(), &mut pieces);
            let text = self.replacement.expand(&captures);
            pieces.extend(read_replaced(&text, has_placeholder));
            done = found.end();
        }
        keep(&units, &plain, done, plain.len(), &mut pieces);
        Template::of(pieces)
    }
}

/// What a stretch of the plain text stands for.
struct Unit {
    start: usize,
    end: usize,
    piece: Piece,
}

/// The plain text of a template, letter by letter, with what each letter is.
fn units(template: &Template) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut at = 0;
    let mut push = |length: usize, piece: Piece| {
        units.push(Unit {
            start: at,
            end: at + length,
            piece,
        });
        at += length;
    };
    for piece in template.pieces() {
        match piece {
            Piece::Any | Piece::One => push(1, piece.clone()),
            Piece::Placeholder(name) => push(name.len() + 2, piece.clone()),
            Piece::Literal(bytes) => {
                for c in String::from_utf8_lossy(bytes).chars() {
                    let length = c.len_utf8() + usize::from(matches!(c, '*' | '?'));
                    push(length, Piece::Literal(c.to_string().into_bytes()));
                }
            }
        }
    }
    units
}

/// Adds what stands from `start` to `end` as it is; of a unit that is cut, its letters.
fn keep(units: &[Unit], plain: &str, start: usize, end: usize, pieces: &mut Vec<Piece>) {
    let from = units.partition_point(|unit| unit.end <= start);
    for unit in units[from..].iter().take_while(|unit| unit.start < end) {
        if start <= unit.start && unit.end <= end {
            pieces.push(unit.piece.clone());
        } else {
            let cut = &plain[unit.start.max(start)..unit.end.min(end)];
            pieces.push(Piece::Literal(cut.as_bytes().to_vec()));
        }
    }
}

/// What was put in: `*` and `?` are wildcards but behind a backslash, any other backslash is one.
fn read_replaced(text: &str, has_placeholder: bool) -> Vec<Piece> {
    let mut doubled = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        doubled.push(c);
        if c == '\\' {
            match chars.peek() {
                Some('*' | '?') => doubled.extend(chars.next()),
                _ => doubled.push('\\'),
            }
        }
    }
    let template = if has_placeholder {
        Template::with_placeholders(&doubled)
    } else {
        Template::parse(&doubled)
    };
    template.pieces().to_vec()
}
