//! Bytes read and compared as words, for the short texts that names and most values are; and asked for before they
//! are needed.

/// Four bytes at `at`.
///
/// # Panics
/// When they do not lie within.
#[inline]
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

/// Eight bytes at `at`.
///
/// # Panics
/// When they do not lie within.
#[inline]
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(
        bytes[at..at + 8]
            .try_into()
            .expect("a slice of eight bytes"),
    )
}

/// Whether two texts of the same length are the same. Short ones, as names and most values are, are
/// compared without a call, by words that may overlap.
#[inline]
pub fn same_bytes(left: &[u8], right: &[u8]) -> bool {
    let length = left.len();
    if length != right.len() {
        return false;
    }
    match length {
        0 => true,
        1..=3 => {
            left[0] == right[0]
                && left[length / 2] == right[length / 2]
                && left[length - 1] == right[length - 1]
        }
        4..=7 => {
            u32_at(left, 0) == u32_at(right, 0)
                && u32_at(left, length - 4) == u32_at(right, length - 4)
        }
        8..=16 => {
            (u64_at(left, 0) ^ u64_at(right, 0))
                | (u64_at(left, length - 8) ^ u64_at(right, length - 8))
                == 0
        }
        17..=32 => {
            let differs = |at: usize| u64_at(left, at) ^ u64_at(right, at);
            differs(0) | differs(8) | differs(length - 16) | differs(length - 8) == 0
        }
        _ => left == right,
    }
}

/// The first place of one of these bytes in a text that mostly is short: without a call to a function for texts of any length.
#[inline(always)]
pub fn find_any<const N: usize>(wanted: [u8; N], bytes: &[u8]) -> Option<usize> {
    let (blocks, rest) = bytes.as_chunks::<16>();
    for (place, block) in blocks.iter().enumerate() {
        let found = places_in(wanted, block);
        if found != 0 {
            return Some(place * 16 + found.trailing_zeros() as usize);
        }
    }
    let behind = blocks.len() * 16;
    if let Some(last) = bytes.last_chunk::<16>() {
        // The last block overlaps those before, in which there is none.
        let found = places_in(wanted, last);
        return (found != 0).then(|| bytes.len() - 16 + found.trailing_zeros() as usize);
    }
    rest.iter()
        .position(|byte| wanted.contains(byte))
        .map(|place| behind + place)
}

/// The last place of a byte, as [`find_any`].
#[inline(always)]
pub fn find_last(wanted: u8, bytes: &[u8]) -> Option<usize> {
    let (rest, blocks) = bytes.as_rchunks::<16>();
    for (place, block) in blocks.iter().enumerate().rev() {
        let found = places_in([wanted], block);
        if found != 0 {
            return Some(rest.len() + place * 16 + found.ilog2() as usize);
        }
    }
    rest.iter().rposition(|byte| *byte == wanted)
}

/// One bit per byte of a block that is one of those wanted.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn places_in<const N: usize>(wanted: [u8; N], block: &[u8; 16]) -> u16 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
        _mm_setzero_si128,
    };
    // SAFETY: the block is 16 readable bytes; these instructions are part of every x86-64.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let mut found = _mm_setzero_si128();
        for byte in wanted {
            let is_it = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
            found = _mm_or_si128(found, is_it);
        }
        _mm_movemask_epi8(found) as u16
    }
}

/// One bit per byte of a block that is one of those wanted.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn places_in<const N: usize>(wanted: [u8; N], block: &[u8; 16]) -> u16 {
    block.iter().rev().fold(0, |places, byte| {
        places << 1 | u16::from(wanted.contains(byte))
    })
}

/// Of each of these sets, whether a byte of it is in a text that mostly is short.
#[inline(always)]
pub fn holds_any<const SETS: usize, const BYTES: usize>(
    sets: [[u8; BYTES]; SETS],
    bytes: &[u8],
) -> [bool; SETS] {
    let mut found = [0; SETS];
    let (blocks, rest) = bytes.as_chunks::<16>();
    // The last block overlaps those before.
    for block in blocks.iter().chain(bytes.last_chunk()) {
        for (found, set) in found.iter_mut().zip(sets) {
            *found |= places_in(set, block);
        }
    }
    let mut holds = [false; SETS];
    for (holds, found) in holds.iter_mut().zip(found) {
        *holds = found != 0;
    }
    if blocks.is_empty() {
        for (holds, set) in holds.iter_mut().zip(sets) {
            *holds = rest.iter().any(|byte| set.contains(byte));
        }
    }
    holds
}

/// Asks for an item to be brought into the cache, because it will be read soon. Does nothing where there is no such item.
#[inline(always)]
pub fn prefetch<T>(items: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the pointer is to an item that there is.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, index);
}

/// Asks for the first bytes of a text, up to `bytes_max`.
#[inline]
pub fn prefetch_text(text: &[u8], bytes_max: usize) {
    let end = text.len().min(bytes_max);
    (0..end).step_by(64).for_each(|at| prefetch(text, at));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_are() {
        for length in 0..70 {
            let mut bytes = vec![b'.'; length];
            assert_eq!(find_any([b'a', b'b'], &bytes), None);
            assert_eq!(find_last(b'a', &bytes), None);
            for place in (0..length).rev() {
                bytes[place] = if place % 2 == 0 { b'a' } else { b'b' };
                assert_eq!(find_any([b'a', b'b'], &bytes), Some(place), "of {length}");
            }
            for (place, byte) in bytes.clone().into_iter().enumerate() {
                if byte == b'a' {
                    let last = (0..length).rev().find(|at| bytes[*at] == b'a');
                    assert_eq!(find_last(b'a', &bytes), last);
                    assert_eq!(find_last(b'a', &bytes[..=place]), Some(place));
                }
            }
        }
    }

    #[test]
    fn comparisons_see_every_byte() {
        let text: Vec<u8> = (0..200u8).collect();
        for length in 0..text.len() {
            let text = &text[..length];
            let copy = text.to_vec();
            assert!(same_bytes(text, &copy));
            for at in 0..length {
                let mut other = text.to_vec();
                other[at] ^= 1;
                assert!(!same_bytes(text, &other), "byte {at} of {length}");
            }
        }
    }
}
