//! The literals of one length class, found by their grams.

#[cfg(target_arch = "x86_64")]
use std::mem::MaybeUninit;

use citywatch_parsers::bytes::{prefetch, u32_at};

use super::gram_frequencies::GramFrequencies;
use super::grams::{Entry, Needle};
use super::keys::index_u32;
use super::level::{Instructions, Level};
use super::literals::Literals;
use super::typical::TYPICAL;
#[cfg(target_arch = "x86_64")]
use super::{simd, simd512};

/// Sets the bit that tells upper from lower case (and maps some other characters together, which
/// the comparison afterwards sorts out).
const FOLD: u32 = 0x2020_2020;

/// The literals of one class by their grams, behind a bitmap of the grams.
#[derive(Debug)]
pub(super) struct GramTable<T> {
    level: Level,
    filter: Box<[u32]>,
    factor: u32,
    shift: u32,
    /// Grams by the upper bits of their hash, and with each two bytes of its literal: most literals that do not fit
    /// differ there already.
    heads: Box<[Head]>,
    /// The literals of the grams.
    entries: Box<[Entry<T>]>,
    /// Where the entries of a hash start.
    starts: Box<[u32]>,
    starts_shift: u32,
}

/// A gram of a literal, and the literal's bytes farthest from it (at most 255 bytes away).
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    gram: u32,
    ends: [u8; 2],
    /// How far before the gram's first byte, and behind it, those are.
    before: u8,
    behind: u8,
}

impl Head {
    /// For the gram at `offset` of a literal.
    fn new(gram: u32, bytes: &[u8], offset: usize) -> Self {
        let distance = |bytes: usize| u8::try_from(bytes).unwrap_or(u8::MAX);
        let before = distance(offset);
        let behind = distance(bytes.len() - 1 - offset);
        let byte = |at: usize| bytes[at] | 0x20;
        Self {
            gram,
            ends: [
                byte(offset - usize::from(before)),
                byte(offset + usize::from(behind)),
            ],
            before,
            behind,
        }
    }

    /// Whether its literal may lie in `text` with this gram at `at`.
    #[inline]
    fn may_fit(self, gram: u32, text: &[u8], at: usize) -> bool {
        if self.gram != gram {
            return false;
        }
        let first = at.checked_sub(usize::from(self.before));
        let last = text.get(at + usize::from(self.behind));
        first
            .zip(last)
            .is_some_and(|(first, last)| [text[first] | 0x20, last | 0x20] == self.ends)
    }
}

/// Multiplied with one of these, a gram's hash is in the upper bits. Each table takes the one under
/// which the fewest grams of typical text pass its bitmap.
const FACTORS: [u32; 8] = [
    0x9E37_79B1,
    0x85EB_CA6B,
    0xC2B2_AE35,
    0x27D4_EB2F,
    0x1656_67B1,
    0xB529_7A4D,
    0x68E3_1DA4 | 1,
    0x7FEB_352D,
];
/// Bits of the bitmap per gram: one unknown gram in 64 passes it.
const FILTER_BITS_PER_GRAM: usize = 64;
/// Most bits of the bitmap: 32 KiB, what the first-level cache can hold.
const FILTER_BITS_MAX: usize = 1 << 18;

/// A class: how many bytes a gram has and how far apart the probes are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) width: usize,
    pub(super) stride: usize,
}

pub(super) const LONG: Class = Class {
    width: 4,
    stride: 4,
};
pub(super) const MIDDLE: Class = Class {
    width: 3,
    stride: 3,
};
pub(super) const FOUR: Class = Class {
    width: 3,
    stride: 2,
};
pub(super) const THREE: Class = Class {
    width: 2,
    stride: 2,
};
pub(super) const TWO: Class = Class {
    width: 2,
    stride: 1,
};
pub(super) const ONE: Class = Class {
    width: 1,
    stride: 1,
};

impl Class {
    pub(super) fn of_length(length: usize) -> Self {
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

/// Adds the rarest run of `stride` grams of a literal.
pub(super) fn add_grams<T: Copy>(
    class: Class,
    needle: Needle<T>,
    bytes: &[u8],
    frequencies: &GramFrequencies,
    entries: &mut Vec<(Head, Entry<T>)>,
) {
    let Some(last_run) = (bytes.len() + 1).checked_sub(class.width + class.stride) else {
        return;
    };
    // The cost of a run is that of its neighbour, less one gram and with another.
    let cost = |at: usize| frequencies.cost(&bytes[at..at + class.width]);
    let mut run: u64 = (0..class.stride).map(cost).sum();
    let (mut start, mut least) = (0, run);
    for next in 1..=last_run {
        run = run + cost(next + class.stride - 1) - cost(next - 1);
        if run < least {
            (start, least) = (next, run);
        }
    }
    for offset in start..start + class.stride {
        entries.push((
            Head::new(class.gram(&bytes[offset..]), bytes, offset),
            Entry::new(needle, bytes, offset),
        ));
    }
}

impl<T: Copy> GramTable<T> {
    /// The literals of a class.
    pub(super) fn new(class: Class, mut entries: Vec<(Head, Entry<T>)>, level: Level) -> Self {
        let bits = (entries.len() * FILTER_BITS_PER_GRAM)
            .next_power_of_two()
            .clamp(64, FILTER_BITS_MAX);
        let buckets = entries.len().next_power_of_two().max(2);
        let mut table = Self {
            filter: Box::default(),
            level,
            factor: 0,
            shift: 32 - bits.trailing_zeros(),
            starts: Box::default(),
            starts_shift: 32 - buckets.trailing_zeros(),
            heads: entries.iter().map(|entry| entry.0).collect(),
            entries: Box::default(),
        };
        let factors: &[u32] = if entries.is_empty() {
            &FACTORS[..1]
        } else {
            &FACTORS
        };
        let filters = factors.iter().map(|&factor| {
            table.factor = factor;
            table.filter = table.filter_of(bits);
            (table.passing(class), factor)
        });
        table.factor = filters.min().map_or(FACTORS[0], |(_, factor)| factor);
        table.filter = table.filter_of(bits);
        let (factor, shift) = (table.factor, table.starts_shift);
        let bucket = |gram: u32| (gram.wrapping_mul(factor) >> shift) as usize;
        entries.sort_by_key(|entry| bucket(entry.0.gram));
        table.heads = entries.iter().map(|entry| entry.0).collect();
        table.entries = entries.into_iter().map(|entry| entry.1).collect();
        let heads = &table.heads;
        table.starts = (0..=buckets)
            .map(|number| index_u32(heads.partition_point(|head| bucket(head.gram) < number)))
            .collect();
        table
    }

    fn filter_of(&self, bits: usize) -> Box<[u32]> {
        let mut filter = vec![0; bits / 32];
        for head in &self.heads {
            let bit = self.bit(head.gram);
            filter[bit / 32] |= 1 << (bit % 32);
        }
        filter.into()
    }

    /// How many grams of the typical text pass the bitmap.
    fn passing(&self, class: Class) -> usize {
        let windows = TYPICAL.as_bytes().windows(class.width);
        windows
            .filter(|window| self.may_hold(class.gram(window)))
            .count()
    }

    #[inline(always)]
    fn bit(&self, gram: u32) -> usize {
        (gram.wrapping_mul(self.factor) >> self.shift) as usize
    }

    #[inline(always)]
    fn bucket(&self, gram: u32) -> usize {
        (gram.wrapping_mul(self.factor) >> self.starts_shift) as usize
    }

    /// Whether a gram may be in the table.
    #[inline(always)]
    fn may_hold(&self, gram: u32) -> bool {
        let bit = self.bit(gram);
        self.filter[bit / 32] >> (bit % 32) & 1 != 0
    }

    /// Probes all grams of four bytes at multiples of four.
    #[inline]
    pub(super) fn scan_long(
        &self,
        text: &[u8],
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        if self.entries.is_empty() || text.len() < LONG.width + LONG.stride - 1 {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        let mut verify =
            |at: usize| self.verify(u32_at(text, at) | FOLD, text, at, literals, report);
        let done = match self.level.instructions() {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                let mut places = [MaybeUninit::uninit(); _];
                for (number, chunk) in text.chunks(simd512::CHUNK).enumerate() {
                    // SAFETY: the level says that the processor has AVX-512.
                    let found = unsafe {
                        simd512::places_in_filter(
                            chunk,
                            &self.filter,
                            self.factor,
                            self.shift,
                            &mut places,
                        )
                    };
                    // All entries are asked for before the first is waited for.
                    for &place in found {
                        let at = number * simd512::CHUNK + place as usize;
                        let start = self.starts[self.bucket(u32_at(text, at) | FOLD)];
                        prefetch(&self.heads, start as usize);
                    }
                    for &place in found {
                        verify(number * simd512::CHUNK + place as usize);
                    }
                }
                return;
            }
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level says that the processor has AVX2.
            Instructions::Avx2 => unsafe {
                simd::each_gram_in_filter(text, &self.filter, self.factor, self.shift, &mut verify)
            },
            Instructions::Plain => 0,
        };
        self.scan_from::<4, 4>(done, text, literals, report);
    }

    /// Probes all grams of `text` at multiples of `STRIDE`, four at a time as long as there are.
    #[inline]
    pub(super) fn scan<const WIDTH: usize, const STRIDE: usize>(
        &self,
        text: &[u8],
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        if !self.entries.is_empty() && text.len() >= WIDTH + STRIDE - 1 {
            self.scan_from::<WIDTH, STRIDE>(0, text, literals, report);
        }
    }

    #[inline]
    fn scan_from<const WIDTH: usize, const STRIDE: usize>(
        &self,
        from: usize,
        text: &[u8],
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        let class = Class {
            width: WIDTH,
            stride: STRIDE,
        };
        let mask = class.mask();
        let mut at = from;
        while let Some(block) = text.get(at..at + 3 * STRIDE + 4) {
            let gram = |number: usize| (u32_at(block, number * STRIDE) | FOLD) & mask;
            let grams = [gram(0), gram(1), gram(2), gram(3)];
            let hits = grams.map(|gram| self.may_hold(gram));
            if hits[0] | hits[1] | hits[2] | hits[3] {
                for (number, gram) in grams.into_iter().enumerate() {
                    if hits[number] {
                        self.verify(gram, text, at + number * STRIDE, literals, report);
                    }
                }
            }
            at += 4 * STRIDE;
        }
        while at + WIDTH <= text.len() {
            let gram = class.gram(&text[at..]);
            if self.may_hold(gram) {
                self.verify(gram, text, at, literals, report);
            }
            at += STRIDE;
        }
    }

    /// Reports the literals that lie in `text` with this gram at `at`.
    #[inline(never)]
    fn verify(
        &self,
        gram: u32,
        text: &[u8],
        at: usize,
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        let bucket = self.bucket(gram);
        let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        for (head, entry) in self.heads[range.clone()].iter().zip(&self.entries[range]) {
            if head.may_fit(gram, text, at) {
                entry.report_if_fitting(text, at, literals, report);
            }
        }
    }
}
