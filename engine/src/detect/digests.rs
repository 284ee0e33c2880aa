//! Finds digests behind an equals sign (`IMPHASH=` and 32 hexadecimal digits) by one look-up for each such sign.
//!
//! SigmaHQ asks for five thousand digests in one field. Their grams are as common as those of any other digest, so that
//! the search for grams would look at many of them for each value.

use citywatch_parsers::bytes::u64_at;

use super::grams::{Entry, Needle};
use super::keys::KeyTable;
use super::literals::Literals;

/// Digits of a digest that are looked up.
const DIGITS: usize = 8;
/// Fewest digests for which it is worth while.
const NEEDLES_MIN: usize = 16;
const FOLD: u64 = 0x2020_2020_2020_2020;

/// An index over texts that hold an equals sign and a digest.
#[derive(Debug)]
pub(super) struct Digests<T> {
    /// By the first digits.
    table: KeyTable<Entry<T>>,
}

impl<T: Copy> Digests<T> {
    /// An index over those of `needles` that are such texts, if they are many, and the other needles.
    pub(super) fn take_from(needles: &[Needle<T>], literals: &Literals) -> (Vec<Needle<T>>, Self) {
        let place = |needle: &Needle<T>| place_of_digits(literals.get(needle.literal));
        let (found, others): (Vec<Needle<T>>, Vec<_>) =
            needles.iter().partition(|needle| place(needle).is_some());
        if found.len() < NEEDLES_MIN {
            let table = KeyTable::default();
            return (needles.to_vec(), Self { table });
        }
        let entries = found.into_iter().filter_map(|needle| {
            let (bytes, at) = (literals.get(needle.literal), place(&needle)?);
            Some((u64_at(bytes, at) | FOLD, Entry::new(needle, bytes, at)))
        });
        let table = KeyTable::new(entries.collect());
        (others, Self { table })
    }

    /// Reports the needles that occur in `text` with places in them.
    #[inline]
    pub(super) fn scan(&self, text: &[u8], literals: &Literals, report: &mut impl FnMut(T, usize)) {
        if self.table.is_empty() {
            return;
        }
        for sign in memchr::memchr_iter(b'=', text) {
            let at = sign + 1;
            if at + DIGITS <= text.len() {
                for entry in self.table.get(u64_at(text, at) | FOLD) {
                    entry.report_if_fitting(text, at, literals, report);
                }
            }
        }
    }
}

/// Where in a text the digits behind an equals sign begin, if there are enough.
fn place_of_digits(text: &[u8]) -> Option<usize> {
    let at = memchr::memchr(b'=', text)? + 1;
    let digits = text.get(at..at + DIGITS)?;
    digits.iter().all(u8::is_ascii_hexdigit).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_behind_their_signs_and_other_texts_are_left() {
        let mut literals = Literals::default();
        let mut texts: Vec<String> = (0..20u32)
            .map(|number| {
                format!(
                    "imphash={:08x}{number:024x}",
                    number.wrapping_mul(0x9E37_79B1)
                )
            })
            .collect();
        texts.extend(["md5=short", "=0123456x", "a=b=0011223344", "none"].map(String::from));
        let needles: Vec<Needle<usize>> = (0..texts.len())
            .map(|payload| Needle {
                literal: literals.add(&texts[payload]),
                payload,
            })
            .collect();
        let (others, digests) = Digests::take_from(&needles, &literals);
        let others: Vec<usize> = others.iter().map(|needle| needle.payload).collect();
        assert_eq!(others, [20, 21, 22, 23]);
        let mut found = Vec::new();
        let text = format!("MD5=00,{},x={}", texts[3].to_uppercase(), texts[7]);
        digests.scan(text.as_bytes(), &literals, &mut |payload, _| {
            found.push(payload)
        });
        assert_eq!(found, [3, 7]);
        // Cut off behind the digits that are looked up.
        found.clear();
        digests.scan(&text.as_bytes()[..30], &literals, &mut |payload, _| {
            found.push(payload)
        });
        assert!(found.is_empty());
    }
}
