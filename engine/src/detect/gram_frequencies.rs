//! How often grams occur, for the choice of rare ones.

use super::literals::byte_frequency;
use super::typical::TYPICAL;

/// Longest gram that is counted.
const GRAM_BYTES_MAX: usize = 4;
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
            for window in (2..=GRAM_BYTES_MAX).flat_map(|width| text.windows(width)) {
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
