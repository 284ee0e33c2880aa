//! Finds which of thousands of literals occur in a text, reading only every few bytes of it.
//!
//! A literal of at least `WIDTH + STRIDE - 1` bytes covers, wherever it lies, one whole gram of
//! `WIDTH` bytes that begins at a multiple of `STRIDE`. So the index holds for each literal the
//! grams of `STRIDE` neighbouring places (the rarest such run in it), and a scan probes only the
//! grams at multiples of `STRIDE`. The cost of a scan does not grow with the number of literals,
//! as long as their grams are rare in the text: that is why the choice of the run matters, and why
//! only witnesses are put in (see [`super::witness`]).
//!
//! Literals are sorted into classes by their length; a scan makes one pass per class that has any.

use super::keys::{KeyTable, index_u32, u32_at};
use super::literals::{Literal, Literals, byte_frequency};

/// Sets the bit that tells upper from lower case (and maps some other characters together, which
/// the comparison afterwards sorts out).
const FOLD: u32 = 0x2020_2020;

/// A literal to be found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needle<T> {
    /// Its text, folded.
    pub(super) literal: Literal,
    /// What is reported when it occurs.
    pub(super) payload: T,
}

/// The literals of one class that have a gram in common.
#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    needle: Needle<T>,
    /// Where in the literal the gram lies.
    offset: u32,
}

/// An index over literals.
#[derive(Debug)]
pub(super) struct GramIndex<T> {
    long: KeyTable<Entry<T>>,
    middle: KeyTable<Entry<T>>,
    four: KeyTable<Entry<T>>,
    three: KeyTable<Entry<T>>,
    two: KeyTable<Entry<T>>,
    one: KeyTable<Entry<T>>,
}

/// A class: how many bytes a gram has and how far apart the probes are.
#[derive(Clone, Copy)]
struct Class {
    width: usize,
    stride: usize,
}

const LONG: Class = Class {
    width: 4,
    stride: 4,
};
const MIDDLE: Class = Class {
    width: 3,
    stride: 3,
};
const FOUR: Class = Class {
    width: 3,
    stride: 2,
};
const THREE: Class = Class {
    width: 2,
    stride: 2,
};
const TWO: Class = Class {
    width: 2,
    stride: 1,
};
const ONE: Class = Class {
    width: 1,
    stride: 1,
};

impl Class {
    fn of_length(length: usize) -> Self {
        match length {
            0 | 1 => ONE,
            2 => TWO,
            3 => THREE,
            4 => FOUR,
            5 | 6 => MIDDLE,
            _ => LONG,
        }
    }

    fn mask(self) -> u32 {
        u32::MAX >> (32 - 8 * self.width)
    }

    fn gram(self, bytes: &[u8]) -> u32 {
        let mut padded = [0; 4];
        padded[..self.width].copy_from_slice(&bytes[..self.width]);
        (u32::from_le_bytes(padded) | FOLD) & self.mask()
    }
}

/// How often the grams of literals occur, for the choice of rare ones: what many rules look for is
/// what logs hold often (`\\windows\\`, `.exe`, `powershell`).
#[derive(Debug)]
pub(super) struct GramFrequencies {
    counts: Box<[u32]>,
}

impl GramFrequencies {
    /// Counts the grams of all literals.
    pub(super) fn of<'a>(literals: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut counts = vec![0u32; 1 << 16];
        for literal in literals {
            for window in literal.windows(LONG.width) {
                counts[Self::slot(window)] += 1;
            }
        }
        Self {
            counts: counts.into(),
        }
    }

    fn slot(gram: &[u8]) -> usize {
        let folded = gram.iter().fold(0u32, |hash, &byte| {
            (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193)
        });
        (folded >> 16 ^ folded) as usize & 0xFFFF
    }

    /// A number that grows with how often a gram occurs in logs.
    fn cost(&self, gram: &[u8]) -> u64 {
        let letters: u64 = gram
            .iter()
            .map(|&byte| u64::from(byte_frequency(byte)))
            .product();
        letters.isqrt() + 50 * u64::from(self.counts[Self::slot(gram)])
    }
}

impl<T: Copy> GramIndex<T> {
    /// An index of these needles; none may be empty.
    pub(super) fn new(
        needles: &[Needle<T>],
        literals: &Literals,
        frequencies: &GramFrequencies,
    ) -> Self {
        let table = |class: Class| {
            let mut entries = Vec::new();
            for needle in needles {
                let bytes = literals.get(needle.literal);
                let own = Class::of_length(bytes.len());
                if (own.width, own.stride) == (class.width, class.stride) {
                    add_grams(class, *needle, bytes, frequencies, &mut entries);
                }
            }
            KeyTable::new(entries)
        };
        Self {
            long: table(LONG),
            middle: table(MIDDLE),
            four: table(FOUR),
            three: table(THREE),
            two: table(TWO),
            one: table(ONE),
        }
    }

    /// Whether there is nothing to be found.
    pub(super) fn is_empty(&self) -> bool {
        [
            &self.long,
            &self.middle,
            &self.four,
            &self.three,
            &self.two,
            &self.one,
        ]
        .iter()
        .all(|table| table.is_empty())
    }

    /// Reports the needles that occur in `text`, some perhaps several times. `text` is ASCII or folded.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T)) {
        scan_class::<4, 4, T>(&self.long, text, literals, report);
        scan_class::<3, 3, T>(&self.middle, text, literals, report);
        scan_class::<3, 2, T>(&self.four, text, literals, report);
        scan_class::<2, 2, T>(&self.three, text, literals, report);
        scan_class::<2, 1, T>(&self.two, text, literals, report);
        scan_class::<1, 1, T>(&self.one, text, literals, report);
    }
}

/// Adds the rarest run of `stride` grams of a literal.
fn add_grams<T: Copy>(
    class: Class,
    needle: Needle<T>,
    bytes: &[u8],
    frequencies: &GramFrequencies,
    entries: &mut Vec<(u64, Entry<T>)>,
) {
    let Some(last_run) = (bytes.len() + 1).checked_sub(class.width + class.stride) else {
        return;
    };
    let cost = |start: usize| -> u64 {
        (start..start + class.stride)
            .map(|at| frequencies.cost(&bytes[at..at + class.width]))
            .sum()
    };
    let start = (0..=last_run).min_by_key(|&start| cost(start)).unwrap_or(0);
    for offset in start..start + class.stride {
        entries.push((
            u64::from(class.gram(&bytes[offset..])),
            Entry {
                needle,
                offset: index_u32(offset),
            },
        ));
    }
}

#[inline]
fn scan_class<const WIDTH: usize, const STRIDE: usize, T: Copy>(
    table: &KeyTable<Entry<T>>,
    text: &[u8],
    literals: &Literals,
    report: &mut impl FnMut(T),
) {
    if table.is_empty() {
        return;
    }
    let class = Class {
        width: WIDTH,
        stride: STRIDE,
    };
    let mask = class.mask();
    let mut probe = |gram: u32, at: usize| {
        for entry in table.get(u64::from(gram)) {
            if occurs(
                literals.get(entry.needle.literal),
                text,
                at,
                entry.offset as usize,
            ) {
                report(entry.needle.payload);
            }
        }
    };
    let mut at = 0;
    while at + 4 <= text.len() {
        probe((u32_at(text, at) | FOLD) & mask, at);
        at += STRIDE;
    }
    while at + WIDTH <= text.len() {
        probe(class.gram(&text[at..]), at);
        at += STRIDE;
    }
}

/// Whether `literal` lies in `text` such that its byte at `offset` is at `at`.
#[inline]
fn occurs(literal: &[u8], text: &[u8], at: usize, offset: usize) -> bool {
    at.checked_sub(offset)
        .and_then(|start| text.get(start..start + literal.len()))
        .is_some_and(|place| place.eq_ignore_ascii_case(literal))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_search_one_by_one_finds(text in "[abcABC\\\\@]{0,40}", needles in prop::collection::vec("[abc\\\\@]{1,12}", 0..40)) {
            let mut literals = Literals::default();
            let listed: Vec<Needle<usize>> =
                needles.iter().enumerate().map(|(payload, text)| Needle { literal: literals.add(text), payload }).collect();
            let frequencies = GramFrequencies::of(needles.iter().map(|text| text.as_bytes()));
            let index = GramIndex::new(&listed, &literals, &frequencies);
            let mut found: Vec<usize> = Vec::new();
            index.scan(text.as_bytes(), &literals, &mut |payload| found.push(payload));
            found.sort_unstable();
            found.dedup();
            let folded = text.to_ascii_lowercase();
            let expected: Vec<usize> = (0..needles.len()).filter(|&n| folded.contains(&needles[n])).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
