//! Values that are codes: numbers, addresses, identifiers of hexadecimal digits. They never repeat, so that each is searched;
//! but hardly any literal is of such characters alone, and one that is not cannot be in a code. Of those that are, two bytes
//! each are looked for at their distance from each other, as in [`super::find`].

use super::find::Pair;
use super::level::{Instructions, Level};
use super::values::BETWEEN;

/// Most pairs that are looked for: with more, the index is as cheap.
const PAIRS_MAX: usize = 4;

/// Sets the bit that tells upper from lower case; what else it makes alike only finds more.
const FOLD: u8 = 0x20;

/// What codes are made of, by ASCII character: all bits where it is one of theirs.
static OF_CODES: [u8; 128] = {
    let mut table = [0; 128];
    let characters = b"0123456789abcdefABCDEF.:-";
    let mut at = 0;
    while at < characters.len() {
        table[characters[at] as usize] = u8::MAX;
        at += 1;
    }
    table
};

/// Two bytes (folded) and how far they are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Apart {
    bytes: [u8; 2],
    distance: usize,
}

/// Tells of a code that no literal of an index is in it.
#[derive(Debug)]
pub(super) struct Codes {
    /// Of the literals that are codes themselves; nothing where they are too many, or where the processor has no cheap way to
    /// look for them.
    pairs: Option<Vec<Apart>>,
}

impl Codes {
    /// For these literals, folded.
    pub(super) fn new<'l>(literals: impl Iterator<Item = &'l [u8]>, level: Level) -> Self {
        Self {
            pairs: pairs(literals, level),
        }
    }

    /// Whether a text (ASCII or folded, or several with [`BETWEEN`] between them) is made of codes that hold none of the
    /// literals.
    #[inline]
    pub(super) fn lack_all(&self, text: &[u8]) -> bool {
        match &self.pairs {
            // SAFETY: there are pairs for this level alone, which the processor was seen to have.
            #[cfg(target_arch = "x86_64")]
            Some(pairs) => unsafe { codes_without(text, pairs) },
            _ => false,
        }
    }
}

fn pairs<'l>(literals: impl Iterator<Item = &'l [u8]>, level: Level) -> Option<Vec<Apart>> {
    match level.instructions() {
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => {}
        _ => return None,
    }
    let is_of_codes = |byte: &u8| OF_CODES.get(usize::from(*byte)).is_some_and(|is| *is != 0);
    let mut pairs = Vec::new();
    for literal in literals.filter(|literal| literal.iter().all(is_of_codes)) {
        let places = Pair::of(literal).places();
        let (first, last) = (places[0].min(places[1]), places[0].max(places[1]));
        let pair = Apart {
            bytes: [literal.get(first)? | FOLD, literal.get(last)? | FOLD],
            distance: last - first,
        };
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
        if pairs.len() > PAIRS_MAX {
            return None;
        }
    }
    Some(pairs)
}

/// Whether a text is made of codes in which none of the pairs is.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
fn codes_without(text: &[u8], pairs: &[Apart]) -> bool {
    use super::simd512::{classes, load_start};
    use std::arch::x86_64::*;

    let fold = _mm512_set1_epi8(FOLD.cast_signed());
    let between = _mm512_set1_epi8(BETWEEN.cast_signed());
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let block = load_start(rest);
        let within = u64::MAX >> (64 - rest.len().min(64));
        let of_codes = _mm512_movepi8_mask(classes(&OF_CODES, block)) & !_mm512_movepi8_mask(block);
        let of_codes = of_codes | _mm512_cmpeq_epi8_mask(block, between);
        if of_codes & within != within {
            return false;
        }
        let block = _mm512_or_si512(block, fold);
        let mut hits = 0;
        for pair in pairs {
            let [first, second] = pair.bytes.map(|byte| _mm512_set1_epi8(byte.cast_signed()));
            let behind = load_start(rest.get(pair.distance..).unwrap_or(&[]));
            let behind = _mm512_or_si512(behind, fold);
            let firsts = _mm512_mask_cmpeq_epi8_mask(within, block, first);
            hits |= _mm512_mask_cmpeq_epi8_mask(firsts, behind, second);
        }
        if hits != 0 {
            return false;
        }
        at += 64;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(literals: &[impl AsRef<str>]) -> Codes {
        let literals = literals.iter().map(|literal| literal.as_ref().as_bytes());
        Codes::new(literals, Level::best())
    }

    proptest! {
        #[test]
        fn never_says_that_a_text_lacks_what_is_in_it(
            text in "([abAB0.]{0,140}|[abcABC@\\\\ 0-9.:é]{0,20}|(0|-){60,70}[a0]{0,70})",
            literals in prop::collection::vec("([abc0-9.]{1,12}|[abc\\\\é]{1,5}|0{30,70}a)", 0..5),
        ) {
            let folded = text.to_ascii_lowercase();
            let holds = literals.iter().any(|literal| folded.contains(literal.as_str()));
            prop_assert!(!(holds && codes(&literals).lack_all(text.as_bytes())));
            let gathered = [folded.as_bytes(), &[BETWEEN], b"10.1.2.3", &[BETWEEN]].concat();
            prop_assert!(!(holds && codes(&literals).lack_all(&gathered)));
        }
    }

    #[test]
    fn says_that_most_codes_lack_them() {
        let some = codes(&["union select", "aaa", ".b64 "]);
        if some.pairs.is_none() {
            return;
        }
        let gathered = b"C412445c114e559aed\xFF10.28.187.136\xFF10.19.109.223\xFF";
        assert!(some.lack_all(gathered));
        assert!(some.lack_all(b"") && some.lack_all(b"00:1B:44:11:3A:B7"));
        assert!(some.lack_all(&b"0123456789".repeat(20)));
        for refused in ["id=1", "0aAa0", "0é", "0\u{7f}", "0xff", "0\0"] {
            assert!(!some.lack_all(refused.as_bytes()), "{refused}");
        }
        assert!(codes(&["ab", "cd", "ef", "a0", "b0"]).pairs.is_none());
    }
}
