//! Finds which of thousands of literals occur in a text, reading only every few bytes of it.
//!
//! A literal of at least `WIDTH + STRIDE - 1` bytes covers, wherever it lies, one whole gram of
//! `WIDTH` bytes that begins at a multiple of `STRIDE`. So the index holds for each literal the
//! grams of `STRIDE` neighbouring places (the rarest such run in it), and a scan probes only the
//! grams at multiples of `STRIDE`. The cost of a scan does not grow with the number of literals,
//! as long as their grams are rare in the text: that is why the choice of the run matters, and why
//! only witnesses are put in (see [`super::witness`]).
//!
//! Literals are sorted into classes by their length; a scan makes one pass per class that has any. Short
//! ones, as long as they are few, are searched in another way ([`super::shorts`]).

use citywatch_parsers::bytes::{prefetch, u32_at};

use super::keys::index_u32;
use super::level::{Instructions, Level};
use super::literals::{Literal, Literals, byte_frequency};
use super::typical::TYPICAL;
#[cfg(target_arch = "x86_64")]
use super::{shorts::Shorts, simd, simd512};

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
pub(super) struct Entry<T> {
    pub(super) needle: Needle<T>,
    /// Where in the literal the gram lies.
    offset: u32,
    /// The first and the last byte of the literal: most that do not fit differ there already, and
    /// then the literal itself need not be fetched.
    ends: [u8; 2],
}

impl<T> Entry<T> {
    /// The literal of `needle`, whose text is `bytes`, with a gram at `offset`.
    pub(super) fn new(needle: Needle<T>, bytes: &[u8], offset: usize) -> Self {
        let end = |byte: Option<&u8>| byte.copied().unwrap_or(0) | 0x20;
        Self {
            needle,
            offset: index_u32(offset),
            ends: [end(bytes.first()), end(bytes.last())],
        }
    }
}

/// An index over literals.
#[derive(Debug)]
pub(super) struct GramIndex<T> {
    long: GramTable<T>,
    /// Those of three to six bytes, if they are few; the next three tables are empty then.
    #[cfg(target_arch = "x86_64")]
    shorts: Option<Shorts<T>>,
    middle: GramTable<T>,
    four: GramTable<T>,
    three: GramTable<T>,
    two: GramTable<T>,
    one: GramTable<T>,
    any: bool,
}

/// The literals of one class by their grams, behind a bitmap of the grams.
#[derive(Debug)]
struct GramTable<T> {
    level: Level,
    filter: Box<[u32]>,
    factor: u32,
    shift: u32,
    /// Grams and their literals, by the upper bits of the gram's hash.
    entries: Box<[(u32, Entry<T>)]>,
    /// Where the entries of a hash start.
    starts: Box<[u32]>,
    starts_shift: u32,
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

/// What an occurrence in the typical text counts, against one in a literal.
const TYPICAL_WEIGHT: u32 = 20;

/// How often the grams of literals occur, for the choice of rare ones: what many rules look for is
/// what logs hold often (`\\windows\\`, `.exe`, `powershell`).
#[derive(Debug)]
pub(super) struct GramFrequencies {
    counts: Box<[u32]>,
}

impl GramFrequencies {
    /// Counts the grams of all literals and of a typical text.
    pub(super) fn of<'a>(literals: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut counts = vec![0u32; 1 << 16];
        for (text, weight) in literals
            .map(|literal| (literal, 1))
            .chain([(TYPICAL.as_bytes(), TYPICAL_WEIGHT)])
        {
            for window in (2..=LONG.width).flat_map(|width| text.windows(width)) {
                counts[Self::slot(window)] += weight;
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
    pub(super) fn cost(&self, gram: &[u8]) -> u64 {
        let letters: u32 = gram.iter().map(|&byte| byte_frequency(byte)).product();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number that is not negative"
        )]
        let letters = f64::from(letters).sqrt() as u64;
        letters + 50 * u64::from(self.counts[Self::slot(gram)])
    }
}

impl<T: Copy> GramIndex<T> {
    /// An index of these needles; none may be empty.
    pub(super) fn new(
        needles: &[Needle<T>],
        literals: &Literals,
        frequencies: &GramFrequencies,
    ) -> Self {
        Self::with_level(needles, literals, frequencies, Level::best())
    }

    /// The same for a level that the processor has.
    fn with_level(
        needles: &[Needle<T>],
        literals: &Literals,
        frequencies: &GramFrequencies,
        level: Level,
    ) -> Self {
        let length = |needle: &Needle<T>| literals.get(needle.literal).len();
        #[cfg(target_arch = "x86_64")]
        let shorts = {
            let short: Vec<_> = needles
                .iter()
                .filter(|needle| (3..7).contains(&length(needle)))
                .copied()
                .collect();
            Shorts::new(&short, literals, frequencies, level)
        };
        #[cfg(target_arch = "x86_64")]
        let shorts_found = shorts.is_some();
        #[cfg(not(target_arch = "x86_64"))]
        let shorts_found = false;
        let table = |class: Class| {
            let mut entries = Vec::new();
            for needle in needles
                .iter()
                .filter(|needle| Class::of_length(length(needle)) == class)
            {
                if !(shorts_found && (3..7).contains(&length(needle))) {
                    add_grams(
                        class,
                        *needle,
                        literals.get(needle.literal),
                        frequencies,
                        &mut entries,
                    );
                }
            }
            GramTable::new(class, entries, level)
        };
        Self {
            long: table(LONG),
            #[cfg(target_arch = "x86_64")]
            shorts,
            middle: table(MIDDLE),
            four: table(FOUR),
            three: table(THREE),
            two: table(TWO),
            one: table(ONE),
            any: !needles.is_empty(),
        }
    }

    /// Whether there is nothing to be found.
    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    /// Reports the needles that occur in `text` with places in them, some perhaps several times. `text` is ASCII or folded.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        self.long.scan_long(text, literals, report);
        #[cfg(target_arch = "x86_64")]
        if let Some(shorts) = &self.shorts {
            shorts.scan(text, literals, report);
        }
        self.middle.scan::<3, 3>(text, literals, report);
        self.four.scan::<3, 2>(text, literals, report);
        self.three.scan::<2, 2>(text, literals, report);
        self.two.scan::<2, 1>(text, literals, report);
        self.one.scan::<1, 1>(text, literals, report);
    }
}

/// Adds the rarest run of `stride` grams of a literal.
fn add_grams<T: Copy>(
    class: Class,
    needle: Needle<T>,
    bytes: &[u8],
    frequencies: &GramFrequencies,
    entries: &mut Vec<(u32, Entry<T>)>,
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
            class.gram(&bytes[offset..]),
            Entry::new(needle, bytes, offset),
        ));
    }
}

impl<T: Copy> GramTable<T> {
    fn new(class: Class, entries: Vec<(u32, Entry<T>)>, level: Level) -> Self {
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
            entries: entries.into(),
        };
        let factors: &[u32] = if table.entries.is_empty() {
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
        table.entries.sort_by_key(|entry| bucket(entry.0));
        let entries = &table.entries;
        table.starts = (0..=buckets)
            .map(|number| index_u32(entries.partition_point(|entry| bucket(entry.0) < number)))
            .collect();
        table
    }

    fn filter_of(&self, bits: usize) -> Box<[u32]> {
        let mut filter = vec![0; bits / 32];
        for (gram, _) in &self.entries {
            let bit = self.bit(*gram);
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
    fn scan_long(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        if self.entries.is_empty() || text.len() < LONG.width + LONG.stride - 1 {
            return;
        }
        #[cfg(target_arch = "x86_64")]
        let mut verify =
            |at: usize| self.verify(u32_at(text, at) | FOLD, text, at, literals, report);
        let done = match self.level.instructions() {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => {
                let mut places = [0; _];
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
                    for &place in &places[..found] {
                        let at = number * simd512::CHUNK + place as usize;
                        let start = self.starts[self.bucket(u32_at(text, at) | FOLD)];
                        prefetch(&self.entries, start as usize);
                    }
                    for &place in &places[..found] {
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
    fn scan<const WIDTH: usize, const STRIDE: usize>(
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
        for (own, entry) in &self.entries[range] {
            if *own == gram {
                entry.report_if_fitting(text, at, literals, report);
            }
        }
    }
}

impl<T: Copy> Entry<T> {
    /// Reports the literal if it lies in `text` with its gram at `at`.
    #[inline]
    pub(super) fn report_if_fitting(
        &self,
        text: &[u8],
        at: usize,
        literals: &Literals,
        report: &mut impl FnMut(T, usize),
    ) {
        let literal = self.needle.literal;
        let place = at
            .checked_sub(self.offset as usize)
            .and_then(|start| text.get(start..start + literal.len()));
        if let Some(place @ [first, .., last] | place @ [first @ last]) = place
            && [first | 0x20, last | 0x20] == self.ends
            && place.eq_ignore_ascii_case(literals.get(literal))
        {
            report(self.needle.payload, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_search_one_by_one_finds(text in "[abcABC\\\\@]{0,140}", needles in prop::collection::vec("[abc\\\\@]{1,12}", 0..90)) {
            let mut literals = Literals::default();
            let listed: Vec<Needle<usize>> =
                needles.iter().enumerate().map(|(payload, text)| Needle { literal: literals.add(text), payload }).collect();
            let frequencies = GramFrequencies::of(needles.iter().map(|text| text.as_bytes()));
            let folded = text.to_ascii_lowercase();
            let expected: Vec<usize> = (0..needles.len()).filter(|&n| folded.contains(&needles[n])).collect();
            for level in Level::available() {
                let index = GramIndex::with_level(&listed, &literals, &frequencies, level);
                let mut found: Vec<usize> = Vec::new();
                index.scan(text.as_bytes(), &literals, &mut |payload, _| found.push(payload));
                found.sort_unstable();
                found.dedup();
                prop_assert_eq!(&found, &expected, "{:?}", level);
            }
        }
    }
}
