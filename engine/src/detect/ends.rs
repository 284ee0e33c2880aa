//! Finds which of thousands of literals a text equals, begins with or ends with, by a few look-ups.
//!
//! Ends: the last 8 bytes (4, 2 or 1 for shorter literals) lead to the literals that end so.
//! Beginnings are poor keys (all paths begin with `c:\windows`), so they have more lengths of key.

use citywatch_parsers::bytes::{u32_at, u64_at};

use super::keys::{KeyTable, mix, sketch};
use super::literals::{Literal, Literals};

const FOLD: u64 = 0x2020_2020_2020_2020;

/// Which end of the text a literal must be at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The text is the literal.
    Whole,
    /// The text begins with it.
    Start,
    /// The text ends with it.
    End,
}

/// An index over literals at the ends of texts.
#[derive(Debug)]
pub(super) struct EndIndex<T> {
    table: KeyTable<(Place, Literal, T)>,
    has_whole: bool,
    /// Lengths of keys that occur.
    starts: Vec<usize>,
    ends: Vec<usize>,
}

const START_LENGTHS: [usize; 8] = [48, 32, 24, 16, 12, 8, 4, 1];
const END_LENGTHS: [usize; 4] = [8, 4, 2, 1];

impl<T: Copy> EndIndex<T> {
    /// An index of these; a literal at the start or end may not be empty.
    pub(super) fn new(needles: Vec<(Place, Literal, T)>, literals: &Literals) -> Self {
        let key_length = |place: Place, length: usize| match place {
            Place::Whole => 0,
            Place::Start => START_LENGTHS
                .into_iter()
                .find(|&key| key <= length)
                .unwrap_or(1),
            Place::End => END_LENGTHS
                .into_iter()
                .find(|&key| key <= length)
                .unwrap_or(1),
        };
        let lengths = |place: Place, all: &[usize]| -> Vec<usize> {
            let used = |key: usize| {
                needles
                    .iter()
                    .any(|n| n.0 == place && key_length(place, n.1.len()) == key)
            };
            all.iter().copied().filter(|&key| used(key)).collect()
        };
        let starts = lengths(Place::Start, &START_LENGTHS);
        let ends = lengths(Place::End, &END_LENGTHS);
        let has_whole = needles.iter().any(|needle| needle.0 == Place::Whole);
        let entries = needles.into_iter().map(|needle| {
            let bytes = literals.get(needle.1);
            let length = key_length(needle.0, bytes.len());
            let key = match needle.0 {
                Place::Whole => sketch(bytes, FOLD),
                Place::Start => start_key(bytes, length),
                Place::End => end_key(bytes, length),
            };
            (key, needle)
        });
        Self {
            table: KeyTable::new(entries.collect()),
            has_whole,
            starts,
            ends,
        }
    }

    /// Reports each literal that fits `text` at its place. `text` is ASCII or folded.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T)) {
        let mut probe = |key: u64, place: Place| {
            for &(wanted, literal, payload) in self.table.get(key) {
                if wanted == place && fits(place, text, literals.get(literal)) {
                    report(payload);
                }
            }
        };
        if self.has_whole {
            probe(sketch(text, FOLD), Place::Whole);
        }
        for &length in self.ends.iter().filter(|&&length| length <= text.len()) {
            probe(end_key(text, length), Place::End);
        }
        for &length in self.starts.iter().filter(|&&length| length <= text.len()) {
            probe(start_key(text, length), Place::Start);
        }
    }
}

#[inline]
fn fits(place: Place, text: &[u8], literal: &[u8]) -> bool {
    match place {
        Place::Whole => text.eq_ignore_ascii_case(literal),
        Place::Start => text
            .get(..literal.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(literal)),
        Place::End => text
            .len()
            .checked_sub(literal.len())
            .is_some_and(|at| text[at..].eq_ignore_ascii_case(literal)),
    }
}

/// Key of the last `length` (one of [`END_LENGTHS`]) bytes.
#[inline]
fn end_key(bytes: &[u8], length: usize) -> u64 {
    let from = bytes.len() - length;
    let tail = match length {
        8 => u64_at(bytes, from) | FOLD,
        4 => u64::from(u32_at(bytes, from)) | FOLD,
        2 => u64::from(bytes[from]) | u64::from(bytes[from + 1]) << 8 | FOLD,
        _ => u64::from(bytes[from]) | FOLD,
    };
    mix(tail.wrapping_add(length as u64))
}

/// Key of the first `length` (one of [`START_LENGTHS`]) bytes: a sketch of its ends and its middle.
#[inline]
fn start_key(bytes: &[u8], length: usize) -> u64 {
    let start = &bytes[..length];
    let middle = if length >= 24 {
        u64_at(start, length - 16) | FOLD
    } else {
        0
    };
    mix(sketch(start, FOLD) ^ middle.rotate_left(32)).wrapping_add(length as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_comparison_one_by_one_finds(
            stem in "[abAB\\\\]{0,60}",
            needles in prop::collection::vec((0..3u8, 0..60usize, "[ab\\\\]{0,3}"), 0..40),
        ) {
            let folded = stem.to_ascii_lowercase();
            let mut literals = Literals::default();
            let mut listed = Vec::new();
            let mut expected = Vec::new();
            for (number, (place, cut, extra)) in needles.iter().enumerate() {
                let cut = (*cut).min(folded.len());
                let (place, text) = match place {
                    0 => (Place::Whole, format!("{}{extra}", &folded[..cut])),
                    1 => (Place::Start, format!("{}{extra}", &folded[..cut])),
                    _ => (Place::End, format!("{extra}{}", &folded[cut..])),
                };
                if text.is_empty() && place != Place::Whole {
                    continue;
                }
                let fits = match place {
                    Place::Whole => folded == text,
                    Place::Start => folded.starts_with(&text),
                    Place::End => folded.ends_with(&text),
                };
                if fits {
                    expected.push(number);
                }
                listed.push((place, literals.add(&text), number));
            }
            let index = EndIndex::new(listed, &literals);
            let mut found = Vec::new();
            index.scan(stem.as_bytes(), &literals, &mut |number| found.push(number));
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
