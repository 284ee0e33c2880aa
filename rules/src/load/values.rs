//! Text values on their way through the modifiers: escapes, placeholders, dashes, encodings.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::LoadOptions;
use super::item::{PATTERNS_MAX, check_bytes};
use crate::error::ErrorKind;
use crate::rule::{Case, TextPart, TextPattern};

/// A part of a value. Literals are bytes, since UTF-16 between two modifiers is no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(Vec<u8>),
    One,
    Any,
    /// `%name%` behind `expand`, until it has values.
    Placeholder(Arc<str>),
}

/// A value as the modifiers change it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

/// Encodings of UTF-16 (modifiers specification, "Encoding").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Utf16 {
    LittleEndian,
    BigEndian,
    /// Little-endian behind a byte order mark.
    WithMark,
}

/// Wildcards that one value may have. A record is up to a megabyte long, and where many `?` stand behind letters that
/// are everywhere in it, each place of the record is compared with all of them.
const WILDCARDS_MAX: usize = 256;

/// Dashes that Windows takes for one another (modifiers specification, `windash`).
const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];

impl Template {
    /// Reads wildcards and escapes: `\*`, `\?` and `\\` stand for the second character, any other
    /// backslash for itself (rules specification, "Escape Character").
    pub(crate) fn parse(text: &str) -> Self {
        let mut template = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let plain = rest.find(['\\', '*', '?']).unwrap_or(rest.len());
            template.push_text(&rest[..plain]);
            rest = &rest[plain..];
            let mut bytes = rest.bytes();
            match (bytes.next(), bytes.next()) {
                (Some(b'\\'), Some(b'*' | b'?' | b'\\')) => {
                    template.push_text(&rest[1..2]);
                    rest = &rest[2..];
                    continue;
                }
                (Some(b'*'), _) => template.pieces.push(Piece::Any),
                (Some(b'?'), _) => template.pieces.push(Piece::One),
                (Some(_), _) => template.push_text(&rest[..1]),
                (None, _) => break,
            }
            rest = &rest[1..];
        }
        template
    }

    /// The same for a value with `expand`: `%name%` is a placeholder, `\%` a percent sign (rules specification,
    /// "Placeholders").
    pub(crate) fn with_placeholders(text: &str) -> Self {
        let mut pieces = Vec::new();
        for part in split_placeholders(text) {
            match part {
                Part::Text(text) => pieces.extend(Self::parse(&text).pieces),
                Part::Percent => pieces.push(Piece::Literal(b"%".to_vec())),
                Part::Placeholder(name) => pieces.push(Piece::Placeholder(Arc::from(name))),
            }
        }
        Self { pieces }.joined()
    }

    /// Whether a placeholder still lacks its values.
    pub(crate) fn has_placeholder(&self) -> bool {
        let is_placeholder = |piece: &Piece| matches!(piece, Piece::Placeholder(_));
        self.pieces.iter().any(is_placeholder)
    }

    /// A template for each value of the placeholders in it, of each with each of the others.
    pub(super) fn expanded(self, options: &LoadOptions) -> Result<Vec<Self>, ErrorKind> {
        self.replaced(|name| {
            let values = placeholder(name, options)?;
            Ok(values.iter().map(|value| Self::parse(value)).collect())
        })
    }

    /// The same with what `choices` says about each placeholder.
    pub(crate) fn replaced<E: From<ErrorKind>>(
        self,
        choices: impl Fn(&str) -> Result<Vec<Self>, E>,
    ) -> Result<Vec<Self>, E> {
        let mut templates = vec![Self::default()];
        for piece in self.pieces {
            let Piece::Placeholder(name) = &piece else {
                templates
                    .iter_mut()
                    .for_each(|template| template.pieces.push(piece.clone()));
                continue;
            };
            let choices = choices(name)?;
            let patterns = templates.len().saturating_mul(choices.len());
            if patterns > PATTERNS_MAX {
                return Err(E::from(ErrorKind::TooManyPatterns {
                    patterns,
                    patterns_max: PATTERNS_MAX,
                }));
            }
            let old: usize = templates.iter().map(Self::bytes).sum();
            let new: usize = choices.iter().map(Self::bytes).sum();
            check_bytes(old * choices.len() + new * templates.len())?;
            templates = templates
                .iter()
                .flat_map(|before| {
                    choices.iter().map(|after| Self {
                        pieces: [&before.pieces[..], &after.pieces].concat(),
                    })
                })
                .collect();
        }
        Ok(templates.into_iter().map(Self::joined).collect())
    }

    /// Its text as pySigma's pipelines see it: wildcards as they are written, the characters `*` and `?` behind a
    /// backslash, other backslashes single, placeholders between percent signs.
    pub(crate) fn plain(&self) -> String {
        let mut plain = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Any => plain.push('*'),
                Piece::One => plain.push('?'),
                Piece::Placeholder(name) => plain.extend(["%", name, "%"]),
                Piece::Literal(bytes) => {
                    for c in String::from_utf8_lossy(bytes).chars() {
                        if matches!(c, '*' | '?') {
                            plain.push('\\');
                        }
                        plain.push(c);
                    }
                }
            }
        }
        plain
    }

    /// Whether there is a wildcard in it.
    pub(crate) fn has_wildcard(&self) -> bool {
        let is_wildcard = |piece: &Piece| matches!(piece, Piece::Any | Piece::One);
        self.pieces.iter().any(is_wildcard)
    }

    /// The same with each literal changed; what is no text (UTF-16 of letters beyond ASCII) stays.
    pub(crate) fn map_literals(&self, change: impl Fn(&str) -> Vec<Piece>) -> Self {
        let pieces = self.pieces.iter().flat_map(|piece| match piece {
            Piece::Literal(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => change(text),
                Err(_) => vec![piece.clone()],
            },
            _ => vec![piece.clone()],
        });
        Self::of(pieces.collect())
    }

    /// Of these pieces.
    pub(crate) fn of(pieces: Vec<Piece>) -> Self {
        Self { pieces }.joined()
    }

    /// Its pieces.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Bytes of its literals.
    pub(super) fn bytes(&self) -> usize {
        let literals = self.pieces.iter().map(|piece| match piece {
            Piece::Literal(bytes) => bytes.len(),
            Piece::One | Piece::Any | Piece::Placeholder(_) => 0,
        });
        literals.sum()
    }

    fn push_char(&mut self, c: char) {
        self.push_text(c.encode_utf8(&mut [0; 4]));
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Literal(literal)) => literal.extend_from_slice(text.as_bytes()),
            _ => self.pieces.push(Piece::Literal(text.as_bytes().to_vec())),
        }
    }

    /// Literals that touch become one.
    fn joined(self) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for piece in self.pieces {
            match (piece, pieces.last_mut()) {
                (Piece::Literal(more), Some(Piece::Literal(literal))) => literal.extend(more),
                (piece, _) => pieces.push(piece),
            }
        }
        Self { pieces }
    }

    /// `contains`, `endswith`: anything may come before.
    pub(crate) fn any_before(mut self) -> Self {
        if self.pieces.first() != Some(&Piece::Any) {
            self.pieces.insert(0, Piece::Any);
        }
        self
    }

    /// `contains`, `startswith`: anything may come behind.
    pub(crate) fn any_behind(mut self) -> Self {
        if self.pieces.last() != Some(&Piece::Any) {
            self.pieces.push(Piece::Any);
        }
        self
    }

    /// `windash`: each dash that begins a word and follows none becomes each of [`DASHES`].
    pub(super) fn windash(self) -> Result<Vec<Self>, ErrorKind> {
        let bytes_all = self.bytes();
        let mut done = vec![Self::default()];
        for piece in self.pieces {
            let Piece::Literal(bytes) = piece else {
                done.iter_mut()
                    .for_each(|template| template.pieces.push(piece.clone()));
                continue;
            };
            let chars: Vec<char> = utf8(&bytes)?.chars().collect();
            for (index, &c) in chars.iter().enumerate() {
                let is_word = |c: &char| c.is_alphanumeric() || *c == '_';
                let begins = DASHES.contains(&c)
                    && chars.get(index + 1).is_some_and(is_word)
                    && !index
                        .checked_sub(1)
                        .and_then(|before| chars.get(before))
                        .is_some_and(is_word);
                if !begins {
                    done.iter_mut().for_each(|template| template.push_char(c));
                    continue;
                }
                let patterns = done.len() * DASHES.len();
                check_bytes(patterns * bytes_all)?;
                if patterns > PATTERNS_MAX {
                    return Err(ErrorKind::TooManyPatterns {
                        patterns,
                        patterns_max: PATTERNS_MAX,
                    });
                }
                done = DASHES
                    .iter()
                    .flat_map(|&choice| {
                        done.iter().cloned().map(move |mut template| {
                            template.push_char(choice);
                            template
                        })
                    })
                    .collect();
            }
        }
        Ok(done)
    }

    /// `utf16le`, `wide`, `utf16be`, `utf16`: literals become the bytes of their encoding.
    pub(super) fn utf16(mut self, encoding: Utf16) -> Result<Self, ErrorKind> {
        let mut first = true;
        for piece in &mut self.pieces {
            if let Piece::Literal(bytes) = piece {
                let units: Vec<u16> = utf8(bytes)?.encode_utf16().collect();
                let mut encoded = if encoding == Utf16::WithMark && first {
                    vec![0xFF, 0xFE]
                } else {
                    Vec::new()
                };
                encoded.extend(units.into_iter().flat_map(|unit| match encoding {
                    Utf16::BigEndian => unit.to_be_bytes(),
                    Utf16::LittleEndian | Utf16::WithMark => unit.to_le_bytes(),
                }));
                *bytes = encoded;
                first = false;
            }
        }
        Ok(self)
    }

    /// `base64`.
    pub(super) fn base64(self) -> Result<Self, ErrorKind> {
        let bytes = self.only_literal("base64")?;
        Ok(Self {
            pieces: vec![Piece::Literal(STANDARD.encode(bytes).into_bytes())],
        })
    }

    /// `base64offset`: the characters that are the same wherever the bytes stand in what was encoded,
    /// for each of the three offsets. They depend on the number of bytes, not of characters.
    pub(super) fn base64_offsets(self) -> Result<Vec<Self>, ErrorKind> {
        let bytes = self.only_literal("base64offset")?;
        if bytes.len() < 2 {
            let reason = "base64offset needs at least two bytes: of one byte, no character is sure"
                .to_owned();
            return Err(ErrorKind::Value {
                value: String::from_utf8_lossy(&bytes).into_owned(),
                reason,
            });
        }
        let variant = |offset: usize| {
            let mut shifted = vec![0; offset];
            shifted.extend(&bytes);
            let encoded = STANDARD.encode(&shifted);
            // Bits of the bytes before reach into this many characters; what comes behind changes the
            // last character when the length is no multiple of three, and padding falls away.
            let start = [0, 2, 3][offset];
            let end = encoded.len() - [0, 3, 2][shifted.len() % 3];
            Self {
                pieces: vec![Piece::Literal(encoded.as_bytes()[start..end].to_vec())],
            }
        };
        Ok((0..3).map(variant).collect())
    }

    fn only_literal(self, modifier: &'static str) -> Result<Vec<u8>, ErrorKind> {
        let reason = match self.pieces.as_slice() {
            [Piece::Literal(bytes)] => return Ok(bytes.clone()),
            [] => "cannot encode an empty value",
            _ => {
                "cannot encode wildcards; escape them (\\*, \\?) to mean the characters, or put contains behind it"
            }
        };
        Err(ErrorKind::Modifier {
            modifier,
            reason: reason.to_owned(),
        })
    }

    /// The pattern of the finished value.
    pub(super) fn pattern(self, case: Case) -> Result<TextPattern, ErrorKind> {
        let mut parts = Vec::with_capacity(self.pieces.len());
        for piece in self.pieces {
            parts.push(match piece {
                Piece::One => TextPart::One,
                Piece::Any => TextPart::Any,
                Piece::Placeholder(name) => {
                    return Err(ErrorKind::Placeholder {
                        placeholder: name.to_string(),
                    });
                }
                Piece::Literal(bytes) => {
                    // The byte order mark of utf16 is the character U+FEFF in text.
                    TextPart::Literal(match bytes.strip_prefix(&[0xFF, 0xFE]) {
                        Some(rest) => Arc::from(format!("\u{FEFF}{}", utf8(rest)?)),
                        None => Arc::from(utf8(&bytes)?),
                    })
                }
            });
        }
        let pattern = TextPattern::new(parts, case);
        let wildcards = pattern
            .parts()
            .iter()
            .filter(|part| !matches!(part, TextPart::Literal(_)))
            .count();
        if wildcards > WILDCARDS_MAX {
            let mut value = pattern.to_string();
            value.truncate(value.floor_char_boundary(40));
            return Err(ErrorKind::Value {
                value: value + "...",
                reason: format!(
                    "{wildcards} wildcards in one value, the limit is {WILDCARDS_MAX}; write a regular expression"
                ),
            });
        }
        Ok(pattern)
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, ErrorKind> {
    std::str::from_utf8(bytes).map_err(|_| ErrorKind::Value {
        value: String::from_utf8_lossy(bytes).into_owned(),
        reason: "UTF-16 of letters beyond ASCII is no text; put base64 or base64offset behind it"
            .to_owned(),
    })
}

/// A regular expression with `expand`: placeholders replaced by their values as they are.
pub(super) fn expand_regex(text: &str, options: &LoadOptions) -> Result<Vec<String>, ErrorKind> {
    let mut texts = vec![String::new()];
    for part in split_placeholders(text) {
        let choices: Vec<String> = match part {
            Part::Text(text) => vec![text],
            Part::Percent => vec!["%".to_owned()],
            Part::Placeholder(name) => placeholder(name, options)?.to_vec(),
        };
        let patterns = texts.len().saturating_mul(choices.len());
        if patterns > PATTERNS_MAX {
            return Err(ErrorKind::TooManyPatterns {
                patterns,
                patterns_max: PATTERNS_MAX,
            });
        }
        let old: usize = texts.iter().map(String::len).sum();
        let new: usize = choices.iter().map(String::len).sum();
        check_bytes(old * choices.len() + new * texts.len())?;
        texts = texts
            .iter()
            .flat_map(|before| choices.iter().map(move |after| format!("{before}{after}")))
            .collect();
    }
    Ok(texts)
}

/// The texts that a text with placeholders becomes where `values` knows some of them; the others stay as written.
pub(crate) fn replace_in_text(
    text: &str,
    values: impl Fn(&str) -> Result<Option<Vec<String>>, ErrorKind>,
) -> Result<Vec<String>, ErrorKind> {
    let mut texts = vec![String::new()];
    for part in split_placeholders(text) {
        let choices = match part {
            Part::Text(text) => vec![text],
            Part::Percent => vec!["\\%".to_owned()],
            Part::Placeholder(name) => values(name)?.unwrap_or_else(|| vec![format!("%{name}%")]),
        };
        let patterns = texts.len().saturating_mul(choices.len());
        if patterns > PATTERNS_MAX {
            return Err(ErrorKind::TooManyPatterns {
                patterns,
                patterns_max: PATTERNS_MAX,
            });
        }
        texts = texts
            .iter()
            .flat_map(|before| choices.iter().map(move |after| format!("{before}{after}")))
            .collect();
    }
    Ok(texts)
}

fn placeholder<'a>(name: &str, options: &'a LoadOptions) -> Result<&'a [String], ErrorKind> {
    match options.placeholders.get(name) {
        Some(values) if !values.is_empty() => Ok(values),
        _ => Err(ErrorKind::Placeholder {
            placeholder: name.to_owned(),
        }),
    }
}

/// A part of a value with `expand`.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Text(String),
    /// An escaped `%`.
    Percent,
    Placeholder(&'a str),
}

fn split_placeholders(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let name = (c == '%')
            .then(|| after.split_once('%'))
            .flatten()
            .map(|(name, _)| name);
        let part = match name {
            Some(name)
                if !name.is_empty()
                    && name
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) =>
            {
                rest = &after[name.len() + 1..];
                Part::Placeholder(name)
            }
            _ if rest.starts_with("\\%") => {
                rest = &rest[2..];
                Part::Percent
            }
            _ => {
                // A backslash takes the next character along: `\\%name%` is a backslash and a placeholder.
                let length = if rest.starts_with("\\\\") {
                    2
                } else {
                    c.len_utf8()
                };
                plain.push_str(&rest[..length]);
                rest = &rest[length..];
                continue;
            }
        };
        if !plain.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut plain)));
        }
        parts.push(part);
    }
    if !plain.is_empty() {
        parts.push(Part::Text(plain));
    }
    parts
}
