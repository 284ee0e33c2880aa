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
