//! Where a literal is in a text, whatever the case of its letters.
//!
//! Two bytes of the literal that logs have seldom are looked for at their distance from each other, as many places at
//! a time as a vector has bytes; where both are, the rest is compared.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use super::literals::byte_frequency;

/// The places in a literal of its two rarest bytes, among those that a number of 16 bits tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    first: u16,
    second: u16,
}

impl Pair {
    /// Those of a literal; the same twice where it has one byte, and of no use where it has none.
    pub(super) fn of(needle: &[u8]) -> Self {
        let places = || 0..u16::try_from(needle.len()).unwrap_or(u16::MAX);
        let frequency = |place: &u16| byte_frequency(needle[usize::from(*place)]);
        let first = places().min_by_key(frequency).unwrap_or(0);
        let others = places().filter(|place| *place != first);
        // Not the same byte once more: a text that has one has the other.
        let second = others.min_by_key(|place| {
            let is_same = needle[usize::from(*place)] == needle[usize::from(first)];
            (is_same, frequency(place))
        });
        Self {
            first,
            second: second.unwrap_or(first),
        }
    }

    /// Where in the literal they are.
    #[inline(always)]
    pub(super) fn places(self) -> [usize; 2] {
        [self.first, self.second].map(usize::from)
    }
}

/// Where `needle` (folded) begins first in `text`, which is ASCII or folded.
#[inline]
pub(super) fn find_folded(text: &[u8], needle: &[u8], pair: Pair) -> Option<usize> {
    let last = text.len().checked_sub(needle.len())?;
    if needle.is_empty() {
        return Some(0);
    }
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let search = Search {
            text,
            needle,
            pair,
            last,
        };
        if has!("avx512f") && has!("avx512bw") {
            // SAFETY: the processor has them.
            return unsafe { search.with_avx512() };
        }
        if has!("avx2") && last >= 31 {
            // SAFETY: the processor has it.
            return unsafe { search.with_avx2() };
        }
    }
    find_one_by_one(text, needle, usize::from(pair.first))
}

/// The same with the instructions that every processor has.
fn find_one_by_one(text: &[u8], needle: &[u8], rare: usize) -> Option<usize> {
    let last = text.len().checked_sub(needle.len())?;
    let Some(&byte) = needle.get(rare) else {
        return Some(0);
    };
    let places = &text[rare..=last + rare];
    let fits = |at: &usize| text[*at..*at + needle.len()].eq_ignore_ascii_case(needle);
    if byte.is_ascii_lowercase() {
        memchr::memchr2_iter(byte, byte.to_ascii_uppercase(), places).find(fits)
    } else {
        memchr::memchr_iter(byte, places).find(fits)
    }
}

/// A search for a literal that has a byte at least.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
struct Search<'s> {
    text: &'s [u8],
    needle: &'s [u8],
    pair: Pair,
    /// The last place where it may begin.
    last: usize,
}

/// Sets the bit that tells upper from lower case; what else it makes alike is told apart afterwards.
#[cfg(target_arch = "x86_64")]
const FOLD: u8 = 0x20;

#[cfg(target_arch = "x86_64")]
impl Search<'_> {
    /// The two rare bytes and their places in the literal.
    #[inline(always)]
    fn rare(self) -> [(i8, usize); 2] {
        let folded = |place: usize| (self.needle[place] | FOLD).cast_signed();
        self.pair.places().map(|place| (folded(place), place))
    }

    /// The first of these places (a bit for each, counted from `at`) where the literal is.
    #[inline(always)]
    fn first_fitting(self, at: usize, mut places: u64) -> Option<usize> {
        while places != 0 {
            let place = at + places.trailing_zeros() as usize;
            if self.text[place..place + self.needle.len()].eq_ignore_ascii_case(self.needle) {
                return Some(place);
            }
            places &= places - 1;
        }
        None
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    fn with_avx512(self) -> Option<usize> {
        let [(first, before_first), (second, before_second)] = self.rare();
        let (first, second) = (_mm512_set1_epi8(first), _mm512_set1_epi8(second));
        let fold = _mm512_set1_epi8(FOLD.cast_signed());
        assert!(before_first.max(before_second) < self.needle.len());
        let mut at = 0;
        while at <= self.last {
            let some = u64::MAX >> (63 - (self.last - at).min(63));
            // SAFETY: no place of `some` is behind the last where the literal may begin, and both bytes lie in the literal:
            // what is read is in the text.
            let (at_first, at_second) = unsafe {
                let start = self.text.as_ptr().add(at).cast::<i8>();
                (
                    _mm512_maskz_loadu_epi8(some, start.add(before_first)),
                    _mm512_maskz_loadu_epi8(some, start.add(before_second)),
                )
            };
            let hits = _mm512_mask_cmpeq_epi8_mask(some, _mm512_or_si512(at_first, fold), first);
            let hits = _mm512_mask_cmpeq_epi8_mask(hits, _mm512_or_si512(at_second, fold), second);
            if let Some(place) = self.first_fitting(at, hits) {
                return Some(place);
            }
            at += 64;
        }
        None
    }

    /// For texts with at least 32 places where the literal may begin.
    #[target_feature(enable = "avx2")]
    fn with_avx2(self) -> Option<usize> {
        let [(first, before_first), (second, before_second)] = self.rare();
        let (first, second) = (_mm256_set1_epi8(first), _mm256_set1_epi8(second));
        let fold = _mm256_set1_epi8(FOLD.cast_signed());
        assert!(before_first.max(before_second) < self.needle.len() && self.last >= 31);
        let mut at = 0;
        loop {
            // SAFETY: none of the 32 places is behind the last where the literal may begin, and both bytes lie in the
            // literal: what is read is in the text.
            let (at_first, at_second) = unsafe {
                let start = self.text.as_ptr().add(at);
                (
                    _mm256_loadu_si256(start.add(before_first).cast()),
                    _mm256_loadu_si256(start.add(before_second).cast()),
                )
            };
            let hits = _mm256_and_si256(
                _mm256_cmpeq_epi8(_mm256_or_si256(at_first, fold), first),
                _mm256_cmpeq_epi8(_mm256_or_si256(at_second, fold), second),
            );
            let hits = _mm256_movemask_epi8(hits).cast_unsigned();
            if let Some(place) = self.first_fitting(at, u64::from(hits)) {
                return Some(place);
            }
            if at + 31 >= self.last {
                return None;
            }
            // The last ones are looked at again with some before them.
            at = (at + 32).min(self.last - 31);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_search_byte_by_byte_finds(
            text in "([abAB@\\\\]{0,200}|[ab]{60,70}|ab?c?a{0,100}b)",
            needle in "([ab\\\\@`]{0,4}|a{30,70}b?)",
        ) {
            let expected = text.to_ascii_lowercase().find(&needle);
            let (text, needle) = (text.as_bytes(), needle.as_bytes());
            let pair = Pair::of(needle);
            prop_assert_eq!(find_folded(text, needle, pair), expected);
            prop_assert_eq!(find_one_by_one(text, needle, usize::from(pair.first)), expected);
            #[cfg(target_arch = "x86_64")]
            if let Some(last) = text.len().checked_sub(needle.len()).filter(|last| *last >= 31 && !needle.is_empty())
                && std::arch::is_x86_feature_detected!("avx2")
            {
                let search = Search { text, needle, pair, last };
                // SAFETY: the processor has it.
                prop_assert_eq!(unsafe { search.with_avx2() }, expected);
            }
        }
    }

    #[test]
    fn a_long_literal_has_its_pair_within_what_16_bits_tell() {
        let needle = [b"a".repeat(70_000), b"z".to_vec()].concat();
        let text = [b"A".repeat(70_050), b"Z".to_vec()].concat();
        assert_eq!(find_folded(&text, &needle, Pair::of(&needle)), Some(50));
    }
}
