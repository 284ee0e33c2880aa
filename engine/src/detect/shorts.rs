//! Some short literals, found 32 or 64 bytes at a time.
//!
//! Keywords of a few letters (`drop`, `delete`, `dir`) would make the search for grams probe
//! nearly every byte. As there are few of them, each block is compared with all at once, by
//! the halves of its bytes ("Teddy", from Hyperscan); what seems to fit is then compared in full.

use std::ops::Range;

use super::gram_frequencies::GramFrequencies;
use super::grams::{Entry, Needle};
use super::keys::KeyTable;
use super::level::{Instructions, Level};
use super::literals::Literals;
use super::simd::{self, Bucket};
use super::simd512::{self, Kind};

/// Most literals of one index: with more, too many places seem to fit.
const LETTERS_LITERALS_MAX: usize = 128;
const NIBBLES_LITERALS_MAX: usize = 64;
/// Most indexes, each of which is searched.
const INDEXES_MAX: usize = 4;
/// Buckets for literals of at least four bytes; the eighth is for those of three.
const BUCKETS: usize = 7;
const FOLD: u32 = 0x2020_2020;

/// An index over some literals of up to six bytes.
#[derive(Debug)]
pub(super) struct Shorts<T> {
    places: Places,
    /// By their windows of four bytes.
    fours: KeyTable<Entry<T>>,
    /// Those of three bytes, two and one.
    shorter: [KeyTable<Entry<T>>; 3],
}

/// Where a literal may be, by what the processor can do.
#[derive(Debug)]
enum Places {
    Letters(Box<simd512::Letters>),
    Nibbles(Box<simd::Nibbles>),
}

/// A literal, and the rarest four bytes of it with their place.
type Window<'l, T> = (Needle<T>, usize, &'l [u8]);

impl<T: Copy> Shorts<T> {
    /// The lengths of the literals that it can hold.
    pub(super) fn lengths(level: Level) -> Range<usize> {
        match level.instructions() {
            Instructions::Avx512 => 1..7,
            _ => 3..7,
        }
    }

    /// Indexes, if there are few literals and the processor can search for them so.
    pub(super) fn all(
        needles: &[Needle<T>],
        literals: &Literals,
        frequencies: &GramFrequencies,
        level: Level,
    ) -> Vec<Self> {
        let literals_max = match level.instructions() {
            Instructions::Avx512 => LETTERS_LITERALS_MAX,
            Instructions::Avx2 => NIBBLES_LITERALS_MAX,
            Instructions::Plain => 0,
        };
        if needles.len() > literals_max * INDEXES_MAX {
            return Vec::new();
        }
        let mut windows: Vec<Window<'_, T>> = Vec::new();
        for needle in needles {
            let bytes = literals.get(needle.literal);
            let width = bytes.len().min(4);
            let starts = 0..=bytes.len() - width;
            let start = starts
                .min_by_key(|&start| frequencies.cost(&bytes[start..start + width]))
                .unwrap_or(0);
            windows.push((*needle, start, &bytes[start..start + width]));
        }
        // Windows that begin alike share a bucket: together they fit fewer places.
        windows.sort_by_key(|window| (window.2.len(), window.2));
        let indexes = windows.len().div_ceil(literals_max.max(1));
        let each = windows.len().div_ceil(indexes.max(1)).max(1);
        let indexes = windows
            .chunks(each)
            .map(|windows| match level.instructions() {
                Instructions::Avx512 => Self::with_letters(windows, literals),
                _ => Self::with_nibbles(windows, literals),
            });
        indexes.collect()
    }

    fn with_nibbles(windows: &[Window<'_, T>], literals: &Literals) -> Self {
        let long = windows
            .iter()
            .filter(|window| window.2.len() == 4)
            .count()
            .max(1);
        let mut nibbles = simd::Nibbles::new();
        let mut number = 0;
        for (_, _, window) in windows {
            let bucket = if window.len() == 4 {
                number * BUCKETS / long
            } else {
                BUCKETS
            };
            number += usize::from(window.len() == 4);
            nibbles.add(u8::try_from(bucket).unwrap_or(7), window);
        }
        Self::new_by_key(Places::Nibbles(Box::new(nibbles)), windows, literals)
    }

    fn with_letters(windows: &[Window<'_, T>], literals: &Literals) -> Self {
        let mut letters = simd512::Letters::new();
        // The shorter ones fit anything behind them, so they have a bucket for themselves.
        let whole = windows.iter().filter(|window| window.2.len() == 4).count();
        let buckets = simd512::BUCKETS - 2;
        let mut number = 0;
        for (_, _, window) in windows {
            let bucket = match window.len() {
                4 => {
                    number += 1;
                    (number - 1) * buckets / whole
                }
                3 => buckets,
                _ => buckets + 1,
            };
            letters.add(bucket, window);
        }
        Self::new_by_key(Places::Letters(Box::new(letters)), windows, literals)
    }

    fn new_by_key(places: Places, windows: &[Window<'_, T>], literals: &Literals) -> Self {
        let (mut fours, mut shorter) = (Vec::new(), [const { Vec::new() }; 3]);
        for &(needle, start, window) in windows {
            let entry = Entry::new(needle, literals.get(needle.literal), start);
            match *window {
                [a, b, c, d] => fours.push((four([a, b, c, d]), entry)),
                _ => shorter[3 - window.len()].push((key(window), entry)),
            }
        }
        Self {
            places,
            fours: KeyTable::new(fours),
            shorter: shorter.map(KeyTable::new),
        }
    }

    /// Reports the literals that occur in `text` with the places where, some perhaps several times.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        match &self.places {
            // SAFETY: there is no such index on processors without AVX-512.
            Places::Letters(letters) => unsafe {
                letters.each_place(text, &mut |at, kind| match kind {
                    Kind::Other => self.verify_four(text, at, literals, report),
                    Kind::LastButOne => self.verify::<3>(text, at, literals, report),
                    Kind::Last => {
                        self.verify::<2>(text, at, literals, report);
                        self.verify::<1>(text, at, literals, report);
                    }
                });
            },
            Places::Nibbles(nibbles) => {
                let mut verify = |at: usize, bucket: Bucket| {
                    // There are no shorter ones.
                    if bucket == Bucket::LastAlso {
                        self.verify::<3>(text, at, literals, report);
                    }
                    self.verify_four(text, at, literals, report);
                };
                // SAFETY: there is no such index on processors without AVX2.
                unsafe { nibbles.each_place(text, &mut verify) };
                let done = text.len().saturating_sub(simd::BLOCK - 32) / 32 * 32;
                let mut padded = [0; 2 * simd::BLOCK];
                let rest = &text[done..];
                padded[..rest.len()].copy_from_slice(rest);
                let mut verify_rest = |at: usize, bucket: Bucket| verify(done + at, bucket);
                // SAFETY: as above.
                unsafe {
                    nibbles.each_place(&padded[..rest.len() + simd::BLOCK - 1], &mut verify_rest)
                };
            }
        }
    }
}

impl<T: Copy> Shorts<T> {
    /// Reports the literals of at least four bytes whose window may be at a place.
    #[inline(always)]
    fn verify_four(
        &self,
        text: &[u8],
        at: usize,
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        if let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk()) {
            for entry in self.fours.get(four(*window)) {
                entry.report_if_fitting(text, at, literals, report);
            }
        }
    }

    /// Reports the literals of so many bytes, fewer than four, that are at a place.
    #[inline(always)]
    fn verify<const WIDTH: usize>(
        &self,
        text: &[u8],
        at: usize,
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        let table = &self.shorter[3 - WIDTH];
        if !table.is_empty()
            && let Some(window) = text.get(at..at + WIDTH)
        {
            for entry in table.get(key(window)) {
                entry.report_if_fitting(text, at, literals, report);
            }
        }
    }
}

/// The key of a window of four bytes, folded.
#[inline]
fn four(window: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(window) | FOLD)
}

/// The key of a window of fewer bytes, folded.
#[inline]
fn key(window: &[u8]) -> u64 {
    let folded = window.iter().map(|byte| u64::from(byte | 0x20));
    folded.fold(0, |key, byte| key << 8 | byte)
}
