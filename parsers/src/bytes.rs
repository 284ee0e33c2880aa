//! Bytes read and compared as words: for the short texts that names and most values are.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_see_every_byte() {
        let text: Vec<u8> = (0..200u8).collect();
        for length in 0..text.len() {
            let text = &text[..length];
            assert!(same_bytes(text, &text.to_vec()));
            for at in 0..length {
                let mut other = text.to_vec();
                other[at] ^= 1;
                assert!(!same_bytes(text, &other), "byte {at} of {length}");
            }
        }
    }
}
