//! Bytes of a text looked at side by side: where in a block a string ends or has an escape.

use std::mem::MaybeUninit;

/// Bytes of a block.
pub(super) const BLOCK: usize = 32;

/// Bytes of a wide step.
pub(super) const WIDE: usize = 64;

/// A way to look at a block.
pub(super) trait Lanes {
    /// One bit per byte that a string cannot simply go on over: a quote, a backslash, a control character.
    fn stops(block: &[u8; BLOCK]) -> u32;

    /// The place of the first such byte from `at` on; the end of the text, or one behind it, where there is none.
    #[inline(always)]
    fn first_stop(bytes: &[u8], mut at: usize) -> usize {
        loop {
            let stops = Self::stops(&block(bytes, at));
            if stops != 0 {
                return at + stops.trailing_zeros() as usize;
            }
            at += BLOCK;
        }
    }

    /// Writes the bytes of a string with what its escapes mean, if there is a way to do that for many bytes at
    /// once. Stops at the closing quote, at a control character, and at an escape that means more than one byte or
    /// nothing.
    #[inline(always)]
    fn unescape(_: &[u8], _: &mut [MaybeUninit<u8>; WIDE]) -> Option<Step> {
        None
    }
}

/// What a wide step did.
pub(super) struct Step {
    /// Bytes read: all, but for a backslash at the end, unless it stopped before.
    pub(super) read: usize,
    /// Bytes written.
    pub(super) written: usize,
    /// Whether it stopped at the byte behind those read.
    pub(super) stopped: bool,
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

/// With 512-bit registers, and instructions that look bytes up in a table and that close gaps between
/// bytes. Only for functions that run where AVX-512 with BW, VBMI and VBMI2 is known to be there.
#[cfg(target_arch = "x86_64")]
pub(super) struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Lanes for Avx512 {
    #[inline(always)]
    fn stops(block: &[u8; BLOCK]) -> u32 {
        Avx2::stops(block)
    }

    #[inline(always)]
    fn first_stop(bytes: &[u8], mut at: usize) -> usize {
        use std::arch::x86_64::{
            _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_maskz_loadu_epi8,
            _mm512_set1_epi8,
        };
        loop {
            let rest = bytes.get(at..).unwrap_or(&[]);
            // Beyond the end no byte is read: there are zeroes, at which every string stops.
            let within = within(rest);
            // SAFETY: only bytes of the text are read, as the mask says; that the instructions are there is the condition
            // for using this type.
            let stops = unsafe {
                let bytes = _mm512_maskz_loadu_epi8(within, rest.as_ptr().cast());
                _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'"' as i8))
                    | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'\\' as i8))
                    | _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20))
            };
            if stops != 0 {
                return at + stops.trailing_zeros() as usize;
            }
            at += WIDE;
        }
    }

    #[inline(always)]
    fn unescape(bytes: &[u8], to: &mut [MaybeUninit<u8>; WIDE]) -> Option<Step> {
        use std::arch::x86_64::{
            _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512,
            _mm512_mask_mov_epi8, _mm512_maskz_compress_epi8, _mm512_maskz_loadu_epi8,
            _mm512_movepi8_mask, _mm512_permutex2var_epi8, _mm512_set1_epi8, _mm512_storeu_si512,
            _mm512_testn_epi8_mask,
        };
        // Beyond the end there are zeroes, at which every string stops.
        let within = within(bytes);
        // SAFETY: of the text only bytes are read that there are, as the mask says; what is written to has 64 bytes, as have
        // both halves of the table; that the instructions are there is the condition for using this type.
        unsafe {
            let bytes = _mm512_maskz_loadu_epi8(within, bytes.as_ptr().cast());
            let backslashes = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'\\' as i8));
            let quotes = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b'"' as i8));
            let controls = _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20));
            let escaped = escaped_by(backslashes);
            let escapes = backslashes & !escaped;
            let table = PLAIN_ESCAPES.as_ptr();
            let (low, high) = (
                _mm512_loadu_si512(table.cast()),
                _mm512_loadu_si512(table.add(WIDE).cast()),
            );
            let plain = _mm512_permutex2var_epi8(low, bytes, high);
            let not_plain = _mm512_testn_epi8_mask(plain, plain) | _mm512_movepi8_mask(bytes);
            let stops = quotes & !escaped | controls | (not_plain & escaped) >> 1;
            // A backslash at the end is left to the next step.
            let read = if stops == 0 {
                WIDE as u32 - (escapes >> 63) as u32
            } else {
                stops.trailing_zeros()
            };
            let before = 1_u64.checked_shl(read).map_or(u64::MAX, |bit| bit - 1);
            let kept = before & !escapes;
            let text = _mm512_mask_mov_epi8(bytes, escaped, plain);
            let text = _mm512_maskz_compress_epi8(kept, text);
            _mm512_storeu_si512(to.as_mut_ptr().cast(), text);
            Some(Step {
                read: read as usize,
                written: kept.count_ones() as usize,
                stopped: stops != 0,
            })
        }
    }
}

/// A bit for each byte of a wide step that there is.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn within(bytes: &[u8]) -> u64 {
    match bytes.len() {
        WIDE.. => u64::MAX,
        length => (1 << length) - 1,
    }
}

/// Which bytes are escaped, when these are the backslashes and the first byte is not: of a row of backslashes each second
/// one, and what follows a row of an odd number (Langdale and Lemire, "Parsing gigabytes of JSON per second", section 3.1.1).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn escaped_by(backslashes: u64) -> u64 {
    const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
    let series = (backslashes << 1 | ODD).wrapping_sub(backslashes);
    (series ^ ODD) ^ backslashes
}

/// What stands for `n`, `t`, `"` and the like behind a backslash; 0 for what does not.
pub(super) static PLAIN_ESCAPES: [u8; 128] = {
    let mut table = [0; 128];
    let pairs = [
        (b'"', b'"'),
        (b'\\', b'\\'),
        (b'/', b'/'),
        (b'b', 0x08),
        (b'f', 0x0C),
        (b'n', b'\n'),
        (b'r', b'\r'),
        (b't', b'\t'),
    ];
    let mut at = 0;
    while at < pairs.len() {
        table[pairs[at].0 as usize] = pairs[at].1;
        at += 1;
    }
    table
};

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
