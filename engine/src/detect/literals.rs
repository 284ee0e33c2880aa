//! The literal texts of all rules in one buffer, and comparing with them.
//!
//! Literals of case-insensitive tests are folded when the rules are read. A text that is compared
//! with them is either all ASCII, and then letters compare whatever their case, or it was folded
//! before ([`Folder`]); so one comparison serves both. They are found in a text by [`super::find`].

use citywatch_rules::fold::fold_char;

use super::keys::index_u32;

/// A literal: a place in [`Literals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    start: u32,
    len: u32,
}

/// All literals, one after the other.
#[derive(Debug, Default)]
pub(super) struct Literals {
    bytes: Vec<u8>,
}

impl Literals {
    /// Adds a literal.
    pub(super) fn add(&mut self, text: &str) -> Literal {
        let literal = Literal {
            start: index_u32(self.bytes.len()),
            len: index_u32(text.len()),
        };
        self.bytes.extend_from_slice(text.as_bytes());
        literal
    }

    /// Its bytes.
    #[inline]
    pub(super) fn get(&self, literal: Literal) -> &[u8] {
        &self.bytes[literal.start as usize..literal.start as usize + literal.len as usize]
    }
}

impl Literal {
    /// Length in bytes.
    #[inline]
    pub(super) fn len(self) -> usize {
        self.len as usize
    }
}

/// Folds texts beyond ASCII, by a table where Unicode is asked often.
#[derive(Debug)]
pub(super) struct Folder {
    /// Folded forms of the characters below [`TABLE_END`].
    table: Box<[char]>,
}

/// Latin with all its extensions (Vietnamese lies at U+1E00 to U+1EFF), Greek, Cyrillic.
const TABLE_END: u32 = 0x2000;

impl Folder {
    /// Fills the table.
    pub(super) fn new() -> Self {
        Self {
            table: (0..TABLE_END)
                .map(|code| char::from_u32(code).map_or('\0', fold_char))
                .collect(),
        }
    }

    /// Appends the folded form of `text`, the same as [`citywatch_rules::fold::fold_text`] gives.
    pub(super) fn fold_into(&self, text: &str, folded: &mut String) {
        folded.reserve(text.len());
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if c.is_ascii() {
                // Most text is ASCII even where not all of it is.
                let end = rest.bytes().position(|byte| !byte.is_ascii());
                let (ascii, after) = rest.split_at(end.unwrap_or(rest.len()));
                let start = folded.len();
                folded.push_str(ascii);
                folded[start..].make_ascii_lowercase();
                rest = after;
                continue;
            }
            let known = self.table.get(c as usize).copied();
            folded.push(known.unwrap_or_else(|| fold_char(c)));
            rest = &rest[c.len_utf8()..];
        }
    }
}

/// How often a byte occurs in logs, roughly, in permille.
pub(super) fn byte_frequency(byte: u8) -> u32 {
    u32::from(BYTE_FREQUENCIES[usize::from(byte)])
}

static BYTE_FREQUENCIES: [u8; 256] = byte_frequencies();

const fn byte_frequencies() -> [u8; 256] {
    const COMMON: &[u8] = b"eiantrosldcmup\\/ -.:0f1h2=3gw";
    let mut frequencies = [0; 256];
    let mut byte = 0;
    while byte < frequencies.len() {
        #[expect(clippy::cast_possible_truncation, reason = "one of 256")]
        let character = byte as u8;
        frequencies[byte] = match character {
            _ if character.is_ascii_alphanumeric() => 4,
            _ if character.is_ascii() => 2,
            _ => 1,
        };
        byte += 1;
    }
    let mut rank = 0;
    let mut frequency = 60;
    while rank < COMMON.len() {
        frequencies[COMMON[rank].to_ascii_uppercase() as usize] = frequency;
        frequencies[COMMON[rank] as usize] = frequency;
        rank += 1;
        frequency -= 2;
    }
    frequencies
}

#[cfg(test)]
mod tests {
    use super::*;
    use citywatch_rules::fold::fold_text;

    #[test]
    fn folds_as_the_rules_do() {
        let all: String = ('\0'..=char::MAX).collect();
        let mut folded = String::new();
        Folder::new().fold_into(&all, &mut folded);
        assert!(folded == fold_text(&all));
    }
}
