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

use super::digests::Digests;
use super::gram_frequencies::GramFrequencies;
use super::gram_table::{Class, FOUR, GramTable, LONG, MIDDLE, ONE, THREE, TWO, add_grams};
use super::keys::index_u32;
use super::level::Level;
use super::literals::{Literal, Literals};
#[cfg(target_arch = "x86_64")]
use super::shorts::Shorts;

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
    digests: Digests<T>,
    /// Those of up to six bytes, if they are few; the tables for what it holds are empty then.
    #[cfg(target_arch = "x86_64")]
    shorts: Vec<Shorts<T>>,
    middle: GramTable<T>,
    four: GramTable<T>,
    three: GramTable<T>,
    two: GramTable<T>,
    one: GramTable<T>,
    /// Those with letters beyond ASCII, of which some rules have thousands and most texts none.
    beyond: Option<Box<GramIndex<T>>>,
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
        let (ascii, beyond): (Vec<_>, Vec<_>) = needles
            .iter()
            .partition(|needle| literals.get(needle.literal).is_ascii());
        let mut index = Self::of_one_kind(&ascii, literals, frequencies, level);
        if !beyond.is_empty() {
            let beyond = Self::of_one_kind(&beyond, literals, frequencies, level);
            index.beyond = Some(Box::new(beyond));
        }
        index
    }

    /// An index that is searched as a whole.
    fn of_one_kind(
        needles: &[Needle<T>],
        literals: &Literals,
        frequencies: &GramFrequencies,
        level: Level,
    ) -> Self {
        let (needles, digests) = Digests::take_from(needles, literals);
        let length = |needle: &Needle<T>| literals.get(needle.literal).len();
        #[cfg(target_arch = "x86_64")]
        let (shorts, in_shorts) = {
            let lengths = Shorts::<T>::lengths(level);
            let short = needles
                .iter()
                .filter(|needle| lengths.contains(&length(needle)));
            let short: Vec<_> = short.copied().collect();
            let shorts = Shorts::all(&short, literals, frequencies, level);
            let held = if shorts.is_empty() { 0..0 } else { lengths };
            (shorts, held)
        };
        #[cfg(not(target_arch = "x86_64"))]
        let in_shorts = 0..0;
        let table = |class: Class| {
            let mut entries = Vec::new();
            for needle in needles
                .iter()
                .filter(|needle| Class::of_length(length(needle)) == class)
            {
                if !in_shorts.contains(&length(needle)) {
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
            digests,
            #[cfg(target_arch = "x86_64")]
            shorts,
            middle: table(MIDDLE),
            four: table(FOUR),
            three: table(THREE),
            two: table(TWO),
            one: table(ONE),
            beyond: None,
        }
    }

    /// Reports the needles that occur in `text` with places in them, some perhaps several times. `text` is ASCII or folded.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        self.scan_ascii(text, literals, report);
        if let Some(beyond) = &self.beyond
            && !text.is_ascii()
        {
            beyond.scan_ascii(text, literals, report);
        }
    }

    /// Reports the needles of ASCII letters alone.
    #[inline]
    fn scan_ascii(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        self.long.scan_long(text, literals, report);
        self.digests.scan(text, literals, report);
        #[cfg(target_arch = "x86_64")]
        for shorts in &self.shorts {
            shorts.scan(text, literals, report);
        }
        self.middle.scan::<3, 3>(text, literals, report);
        self.four.scan::<3, 2>(text, literals, report);
        self.three.scan::<2, 2>(text, literals, report);
        self.two.scan::<2, 1>(text, literals, report);
        self.one.scan::<1, 1>(text, literals, report);
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
        fn finds_what_a_search_one_by_one_finds(
            text in "([abcABC\\\\@]{0,140}|[abcA@é=0]{0,140})",
            needles in prop::collection::vec("([abc\\\\@]{1,12}|[abc\\\\@é=0]{1,12})", 0..200),
        ) {
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
