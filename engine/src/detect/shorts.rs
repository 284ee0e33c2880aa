//! A few short literals, found 32 bytes at a time.
//!
//! Keywords of three to six letters (`drop`, `delete`, `dir`) would make the search for grams probe
//! nearly every byte. As there are few of them, each block of 32 bytes is compared with all at once, by
//! the halves of its bytes ("Teddy", from Hyperscan); what seems to fit is then compared in full.

use super::grams::{Entry, GramFrequencies, Needle, report_fitting};
use super::keys::{KeyTable, index_u32};
use super::literals::Literals;
use super::simd::{self, Bucket};

/// Most literals: with more, too many places seem to fit.
const LITERALS_MAX: usize = 64;
/// Buckets for literals of at least four bytes; the eighth is for those of three.
const BUCKETS: usize = 7;
const FOLD: u32 = 0x2020_2020;

/// An index over a few literals of three to six bytes.
#[derive(Debug)]
pub(super) struct Shorts<T> {
    nibbles: simd::Nibbles,
    /// By their windows of four bytes.
    fours: KeyTable<Entry<T>>,
    /// Those of three bytes.
    threes: KeyTable<Entry<T>>,
}

impl<T: Copy> Shorts<T> {
    /// An index, if there are few literals and the processor can search for them so.
    pub(super) fn new(
        needles: &[Needle<T>],
        literals: &Literals,
        frequencies: &GramFrequencies,
    ) -> Option<Self> {
        if needles.is_empty() || needles.len() > LITERALS_MAX || !simd::available() {
            return None;
        }
        let mut windows: Vec<(Needle<T>, usize, &[u8])> = Vec::new();
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
        windows.sort_by_key(|window| window.2);
        let long = windows
            .iter()
            .filter(|window| window.2.len() == 4)
            .count()
            .max(1);
        let mut nibbles = simd::Nibbles::new();
        let (mut fours, mut threes) = (Vec::new(), Vec::new());
        let mut number = 0;
        for (needle, start, window) in windows {
            let bucket = if window.len() == 4 {
                number * BUCKETS / long
            } else {
                BUCKETS
            };
            number += usize::from(window.len() == 4);
            nibbles.add(u8::try_from(bucket).unwrap_or(7), window);
            let entry = Entry {
                needle,
                offset: index_u32(start),
            };
            match *window {
                [a, b, c, d] => fours.push((four([a, b, c, d]), entry)),
                _ => threes.push((three(window), entry)),
            }
        }
        Some(Self {
            nibbles,
            fours: KeyTable::new(fours),
            threes: KeyTable::new(threes),
        })
    }

    /// Reports the literals that occur in `text` with the places where, some perhaps several times.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        let mut verify = |at: usize, bucket: Bucket| {
            if bucket == Bucket::LastAlso
                && let Some(window) = text.get(at..at + 3)
            {
                report_fitting(self.threes.get(three(window)), text, at, literals, report);
            }
            if let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk()) {
                report_fitting(self.fours.get(four(*window)), text, at, literals, report);
            }
        };
        // SAFETY: there is no index on processors without AVX2.
        unsafe { self.nibbles.each_place(text, &mut verify) };
        let done = text.len().saturating_sub(simd::BLOCK - 32) / 32 * 32;
        let mut padded = [0; 2 * simd::BLOCK];
        let rest = &text[done..];
        padded[..rest.len()].copy_from_slice(rest);
        let mut verify_rest = |at: usize, bucket: Bucket| verify(done + at, bucket);
        // SAFETY: as above.
        unsafe {
            self.nibbles
                .each_place(&padded[..rest.len() + simd::BLOCK - 1], &mut verify_rest)
        };
    }
}

/// The key of a window of four bytes, folded.
#[inline]
fn four(window: [u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(window) | FOLD)
}

/// The key of a window of three bytes, folded.
#[inline]
fn three(window: &[u8]) -> u64 {
    u64::from(
        (u32::from(window[0]) | u32::from(window[1]) << 8 | u32::from(window[2]) << 16) | FOLD >> 8,
    )
}
