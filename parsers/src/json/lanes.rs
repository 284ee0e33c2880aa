//! Bytes of a text looked at side by side: where in a block a string ends or has an escape.

/// Bytes of a block.
pub(super) const BLOCK: usize = 32;

/// A way to look at a block.
pub(super) trait Lanes {
    /// One bit per byte that a string cannot simply go on over: a quote, a backslash, a control character.
    fn stops(block: &[u8; BLOCK]) -> u32;
}

/// The block at `at`. Beyond the end it is zeroes, at which every string stops.
#[inline(always)]
pub(super) fn block(bytes: &[u8], at: usize) -> [u8; BLOCK] {
    match bytes
        .get(at..at + BLOCK)
        .and_then(|block| block.first_chunk())
    {
        Some(block) => *block,
        None => last_block(bytes, at),
    }
}

#[cold]
fn last_block(bytes: &[u8], at: usize) -> [u8; BLOCK] {
    let rest = bytes.get(at..).unwrap_or(&[]);
    let mut block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

/// With 256-bit registers. Only for functions that run where AVX2 is known to be there.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx2 {
    #[inline(always)]
    fn stops(block: &[u8; BLOCK]) -> u32 {
        use std::arch::x86_64::{
            _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_max_epu8, _mm256_movemask_epi8,
            _mm256_or_si256, _mm256_set1_epi8,
        };
        // SAFETY: the block is 32 readable bytes; that AVX2 is there is the condition for using this type.
        unsafe {
            let bytes = _mm256_loadu_si256(block.as_ptr().cast());
            let quotes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'"' as i8));
            let backslashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
            let highest = _mm256_set1_epi8(0x1F);
            let controls = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, highest), highest);
            let stops = _mm256_or_si256(_mm256_or_si256(quotes, backslashes), controls);
            _mm256_movemask_epi8(stops).cast_unsigned()
        }
    }
}

/// With plain integers, eight bytes at a time.
pub(super) struct Portable;

impl Lanes for Portable {
    #[inline(always)]
    fn stops(block: &[u8; BLOCK]) -> u32 {
        let (words, _) = block.as_chunks::<8>();
        words.iter().rev().fold(0, |stops, word| {
            stops << 8 | u32::from(stops_of_word(u64::from_le_bytes(*word)))
        })
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;
const LOW: u64 = 0x7F * ONES;

/// One bit per byte. No carry passes from byte to byte: each sum stays below 256.
fn stops_of_word(word: u64) -> u8 {
    let is_zero = |bytes: u64| !(((bytes & LOW) + LOW) | bytes) & HIGH;
    let quotes = is_zero(word ^ (u64::from(b'"') * ONES));
    let backslashes = is_zero(word ^ (u64::from(b'\\') * ONES));
    let controls = is_zero(word & (0xE0 * ONES));
    let marked = (quotes | backslashes | controls) >> 7;
    // Gathers the lowest bits of the bytes in the highest byte.
    (marked.wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_see_the_same() {
        for byte in 0..=u8::MAX {
            for place in 0..BLOCK {
                for rest in [b'a', 0xFF, b'!'] {
                    let mut block = [rest; BLOCK];
                    block[place] = byte;
                    let stop = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let wanted = if stop { 1 << place } else { 0 };
                    assert_eq!(Portable::stops(&block), wanted, "{byte:#x} at {place}");
                    #[cfg(target_arch = "x86_64")]
                    if std::arch::is_x86_feature_detected!("avx2") {
                        assert_eq!(Avx2::stops(&block), wanted, "{byte:#x} at {place}");
                    }
                }
            }
        }
    }
}
