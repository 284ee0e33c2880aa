//! The inner loops of [`super::simd`] with AVX-512: 64 bytes at a time, ends of texts in one masked
//! step, and sets of bytes that are exact, where halves of bytes only come near.

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Buckets of literals that [`Letters`] tells apart.
pub(super) const BUCKETS: usize = 16;

/// Buckets that [`Letters::each_place`] tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any but the last two.
    Other,
    LastButOne,
    Last,
}

/// For four bytes in a row, the buckets whose literals have such a byte there. Bytes beyond ASCII
/// count as the ASCII byte with the same lower bits. A place where one bucket is left over all four
/// may hold one of its literals.
#[derive(Clone, Debug)]
pub(super) struct Letters {
    /// By eight buckets, place and byte.
    buckets: [[[u8; 128]; 4]; BUCKETS / 8],
}

impl Letters {
    /// No literal yet.
    pub(super) fn new() -> Self {
        Self {
            buckets: [[[0; 128]; 4]; BUCKETS / 8],
        }
    }

    /// Adds a window of up to four bytes (lower-case) to a bucket; bytes that it lacks may be any.
    pub(super) fn add(&mut self, bucket: usize, window: &[u8]) {
        let tables = &mut self.buckets[bucket / 8];
        let bit = 1 << (bucket % 8);
        for (place, table) in tables.iter_mut().enumerate() {
            match window.get(place) {
                Some(byte) => {
                    for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
                        table[usize::from(byte & 0x7F)] |= bit;
                    }
                }
                None => table.iter_mut().for_each(|buckets| *buckets |= bit),
            }
        }
    }

    /// Calls `on` with each place of `text` where a literal may be, and which buckets it may be of.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi2")]
    pub(super) fn each_place(&self, text: &[u8], on: &mut impl FnMut(usize, Kind)) {
        // Of the second eight buckets, the last two.
        let (last, last_but_one) = (_mm512_set1_epi8(i8::MIN), _mm512_set1_epi8(0x40));
        let mut at = 0;
        while at < text.len() {
            let (mut first, mut second) = (_mm512_set1_epi8(-1), _mm512_set1_epi8(-1));
            // The tables are read for each block: there are more than registers for them, and to save them all elsewhere first
            // takes longer than most texts.
            let tables = std::hint::black_box(&self.buckets);
            for (place, (one, other)) in tables[0].iter().zip(&tables[1]).enumerate() {
                let bytes = load_start(text.get(at + place..).unwrap_or(&[]));
                first = _mm512_and_si512(first, classes(one, bytes));
                second = _mm512_and_si512(second, classes(other, bytes));
            }
            let others = _mm512_or_si512(
                first,
                _mm512_andnot_si512(_mm512_or_si512(last, last_but_one), second),
            );
            for (mut hits, kind) in [
                (_mm512_test_epi8_mask(others, others), Kind::Other),
                (
                    _mm512_test_epi8_mask(second, last_but_one),
                    Kind::LastButOne,
                ),
                (_mm512_test_epi8_mask(second, last), Kind::Last),
            ] {
                while hits != 0 {
                    on(at + hits.trailing_zeros() as usize, kind);
                    hits &= hits - 1;
                }
            }
            at += 64;
        }
    }
}

/// What a table says of 64 bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn classes(table: &[u8; 128], bytes: __m512i) -> __m512i {
    // SAFETY: the table has 128 bytes, two vectors of 64.
    let (low, high) = unsafe {
        (
            _mm512_loadu_si512(table.as_ptr().cast()),
            _mm512_loadu_si512(table.as_ptr().add(64).cast()),
        )
    };
    _mm512_permutex2var_epi8(low, bytes, high)
}

/// The first 64 bytes, zeroes where there are fewer.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,bmi2")]
pub(super) fn load_start(bytes: &[u8]) -> __m512i {
    match bytes.first_chunk::<64>() {
        // SAFETY: the chunk has 64 bytes.
        Some(chunk) => unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) },
        None => {
            let mask = (1 << bytes.len()) - 1;
            // SAFETY: the mask has a bit for each byte that there is, fewer than 64; others are not read.
            unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
        }
    }
}

/// Most bytes that [`places_in_filter`] looks at.
pub(super) const CHUNK: usize = 1_024;
/// Room for a place of each gram of a chunk, and for a vector more. Nothing need be in it: to fill it would take longer than
/// most searches.
pub(super) type Places = [MaybeUninit<u32>; CHUNK / 4 + 16];

/// Writes to `places` each multiple of four where the gram of four bytes of `chunk`, folded, multiplied and shifted, hits
/// a bit of `filter`, and returns them. Nothing in it depends on where they are: a branch for each would be
/// guessed wrong, and what was under way for the next bytes lost.
///
/// # Panics
/// When the chunk is longer than [`CHUNK`], or `filter` has fewer than 2^(32 - `shift`) bits.
#[target_feature(enable = "avx512f,avx512bw,bmi2,popcnt")]
pub(super) fn places_in_filter<'p>(
    chunk: &[u8],
    filter: &[u32],
    factor: u32,
    shift: u32,
    places: &'p mut Places,
) -> &'p [u32] {
    assert!(
        chunk.len() <= CHUNK && (1..32).contains(&shift) && filter.len() * 32 >= 1 << (32 - shift),
        "the filter covers all hashes"
    );
    let fold = _mm512_set1_epi8(0x20);
    let factor = _mm512_set1_epi32(factor.cast_signed());
    let shift = _mm_cvtsi32_si128(shift.cast_signed());
    let mut at = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60);
    let mut count = 0;
    for block in chunk.chunks(64) {
        let grams = _mm512_or_si512(load_start(block), fold);
        let bits = _mm512_srl_epi32(_mm512_mullo_epi32(grams, factor), shift);
        let words = _mm512_srli_epi32::<5>(bits);
        // SAFETY: each bit is below 2^(32 - shift), so its word is in the filter, as was checked above.
        let words = unsafe { _mm512_i32gather_epi32::<4>(words, filter.as_ptr().cast()) };
        let wanted = _mm512_sllv_epi32(
            _mm512_set1_epi32(1),
            _mm512_and_si512(bits, _mm512_set1_epi32(31)),
        );
        // As many grams as lie within the block.
        let whole = u16::MAX >> (16 - block.len() / 4).min(15);
        let whole = if block.len() < 4 { 0 } else { whole };
        let hits = _mm512_mask_test_epi32_mask(whole, words, wanted);
        let room = &mut places[count..count + 16];
        // SAFETY: there is room for 16 numbers, a vector.
        unsafe {
            _mm512_storeu_si512(
                room.as_mut_ptr().cast(),
                _mm512_maskz_compress_epi32(hits, at),
            );
        }
        count += hits.count_ones() as usize;
        at = _mm512_add_epi32(at, _mm512_set1_epi32(64));
    }
    // SAFETY: the first `count` were written, as numbers.
    unsafe { std::slice::from_raw_parts(places.as_ptr().cast(), count) }
}
