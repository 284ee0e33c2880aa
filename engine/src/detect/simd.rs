//! The two inner loops of the literal search with AVX2; [`super::simd512`] has them with AVX-512.
//! Where there is neither, the loops of [`super::grams`] do the same byte by byte.

use std::arch::x86_64::*;

/// Bytes that [`Nibbles::hits`] looks at.
pub(super) const BLOCK: usize = 35;

/// For four bytes in a row, the buckets whose literals have such a byte there: by its lower and by
/// its upper half. A place where one bucket is left over all eight may hold one of its literals.
#[derive(Clone, Debug)]
pub(super) struct Nibbles {
    low: [[u8; 32]; 4],
    high: [[u8; 32]; 4],
}

impl Nibbles {
    /// No literal yet.
    pub(super) fn new() -> Self {
        Self {
            low: [[0; 32]; 4],
            high: [[0; 32]; 4],
        }
    }

    /// Adds a window of up to four bytes (lower-case) to a bucket; bytes that it lacks may be any.
    pub(super) fn add(&mut self, bucket: u8, window: &[u8]) {
        let bit = 1 << bucket;
        for place in 0..4 {
            let wanted = window.get(place).map(|byte| byte | 0x20);
            for half in 0..16u8 {
                let low_fits = wanted.is_none_or(|byte| byte & 0x0F == half);
                let high_fits = wanted.is_none_or(|byte| byte >> 4 == half);
                for lane in [0, 16] {
                    self.low[place][lane + usize::from(half)] |= if low_fits { bit } else { 0 };
                    self.high[place][lane + usize::from(half)] |= if high_fits { bit } else { 0 };
                }
            }
        }
    }

    /// Calls `on` with each place among the first `text.len() - 34` where a literal may be, and whether
    /// it can only be one of the last bucket.
    #[target_feature(enable = "avx2")]
    pub(super) fn each_place(&self, text: &[u8], on: &mut impl FnMut(usize, Bucket)) {
        let mut at = 0;
        while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            let (mut hits, in_last) = self.hits(block);
            while hits != 0 {
                let place = hits.trailing_zeros();
                on(
                    at + place as usize,
                    if in_last >> place & 1 == 1 {
                        Bucket::LastAlso
                    } else {
                        Bucket::Others
                    },
                );
                hits &= hits - 1;
            }
            at += 32;
        }
    }

    /// A bit for each of the first 32 places of the block where a literal may be, and for each where
    /// it may be one of the last bucket.
    #[target_feature(enable = "avx2")]
    fn hits(&self, block: &[u8; BLOCK]) -> (u32, u32) {
        let half = _mm256_set1_epi8(0x0F);
        let fold = _mm256_set1_epi8(0x20);
        let mut buckets = _mm256_set1_epi8(-1);
        for place in 0..4 {
            // SAFETY: `place` is at most 3, so 32 bytes from there lie within the 35 of the block.
            let bytes = unsafe { _mm256_loadu_si256(block.as_ptr().add(place).cast()) };
            // SAFETY: both tables have 32 bytes.
            let (low, high) = unsafe {
                (
                    _mm256_loadu_si256(self.low[place].as_ptr().cast()),
                    _mm256_loadu_si256(self.high[place].as_ptr().cast()),
                )
            };
            let bytes = _mm256_or_si256(bytes, fold);
            let by_low = _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, half));
            let by_high =
                _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half));
            buckets = _mm256_and_si256(buckets, _mm256_and_si256(by_low, by_high));
        }
        let none = _mm256_cmpeq_epi8(buckets, _mm256_setzero_si256());
        // The last bucket has the top bit, which is what the mask takes.
        (
            !_mm256_movemask_epi8(none).cast_unsigned(),
            _mm256_movemask_epi8(buckets).cast_unsigned(),
        )
    }
}

/// Which buckets a place may have literals of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    /// The last one, and perhaps others.
    LastAlso,
    /// Others than the last one.
    Others,
}

/// Calls `on` with each multiple of four where the gram of four bytes, folded, multiplied and shifted, hits a bit of
/// `filter`; returns where it stopped, less than 32 bytes before the end of `text`.
///
/// # Panics
/// When `filter` has fewer than 2^(32 - `shift`) bits.
#[target_feature(enable = "avx2,bmi2")]
pub(super) fn each_gram_in_filter(
    text: &[u8],
    filter: &[u32],
    factor: u32,
    shift: u32,
    on: &mut impl FnMut(usize),
) -> usize {
    assert!(
        (1..32).contains(&shift) && filter.len() * 32 >= 1 << (32 - shift),
        "the filter covers all hashes"
    );
    let fold = _mm256_set1_epi8(0x20);
    let factor = _mm256_set1_epi32(factor.cast_signed());
    let shift = _mm_cvtsi32_si128(shift.cast_signed());
    let mut at = 0;
    while let Some(block) = text.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
        // SAFETY: the block has 32 bytes.
        let grams = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
        let hashes = _mm256_mullo_epi32(_mm256_or_si256(grams, fold), factor);
        let mut bits = [0u32; 8];
        // SAFETY: the array has 32 bytes. (Gathering from the filter is slower than loading one by one.)
        unsafe { _mm256_storeu_si256(bits.as_mut_ptr().cast(), _mm256_srl_epi32(hashes, shift)) };
        let mut hits = 0;
        for (number, bit) in bits.into_iter().enumerate() {
            // SAFETY: each bit is below 2^(32 - shift), which the filter has, as was checked above.
            let word = unsafe { filter.get_unchecked(bit as usize / 32) };
            hits |= (word >> (bit % 32) & 1) << number;
        }
        while hits != 0 {
            on(at + 4 * hits.trailing_zeros() as usize);
            hits &= hits - 1;
        }
        at += 32;
    }
    at
}
