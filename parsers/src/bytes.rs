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

/// One bit per byte that is the one wanted, the first lowest.
#[inline(always)]
pub fn places_of(wanted: u8, bytes: &[u8; 96]) -> u128 {
    let (blocks, _) = bytes.as_chunks::<16>();
    let mut places = 0;
    for (number, block) in blocks.iter().enumerate() {
        places |= u128::from(places_in([wanted], block)) << (number * 16);
    }
    places
}

/// The bytes of a text of at most eight as one number, the first lowest; zeros behind them.
#[inline(always)]
pub fn word_of(bytes: &[u8]) -> u64 {
    let length = bytes.len();
    match length {
        0 => 0,
        1..=3 => {
            u64::from(bytes[0])
                | u64::from(bytes[length / 2]) << (8 * (length / 2))
                | u64::from(bytes[length - 1]) << (8 * (length - 1))
        }
        4..=7 => {
            u64::from(u32_at(bytes, 0)) | u64::from(u32_at(bytes, length - 4)) << (8 * (length - 4))
        }
        _ => u64_at(bytes, 0),
    }
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The number that one to eight digits are; `None` where not all of them are digits.
#[inline]
pub fn number_of_digits(digits: &[u8]) -> Option<u32> {
    let length = digits.len();
    if !(1..=8).contains(&length) {
        return None;
    }
    // Zeros come before them.
    let missing = 8 * (8 - length) as u32;
    let before = ZEROS & !u64::MAX.checked_shl(missing).unwrap_or(0);
    let values = (word_of(digits) << missing | before) ^ ZEROS;
    (beyond_nine(values) == 0).then(|| value_of_eight(values))
}

/// How many digits a text begins with, up to seven, and the number that they and zeros behind them are, of eight digits;
/// `None` where there are more, or where the text ends within the next eight bytes.
#[inline]
pub fn leading_digits(text: &[u8]) -> Option<(usize, u32)> {
    let values = u64::from_le_bytes(*text.first_chunk()?) ^ ZEROS;
    let digits = beyond_nine(values).trailing_zeros() / 8;
    let values = values & !u64::MAX.checked_shl(8 * digits)?;
    Some((digits as usize, value_of_eight(values)))
}

/// How many digits a text begins with, one to seven, and the number that they are; `None` also where the text ends within the
/// next eight bytes.
#[inline]
pub(crate) fn leading_number(text: &[u8]) -> Option<(usize, u32)> {
    let values = u64::from_le_bytes(*text.first_chunk()?) ^ ZEROS;
    let digits = beyond_nine(values).trailing_zeros() / 8;
    if !(1..=7).contains(&digits) {
        return None;
    }
    Some((
        digits as usize,
        value_of_eight(values << (8 * (8 - digits))),
    ))
}

/// Hours, minutes and seconds of `21:03:11`, each up to 99.
#[inline]
pub(crate) fn clock_of(text: [u8; 8]) -> Option<[u8; 3]> {
    const ZERO: u64 = u64::from_le_bytes(*b"00:00:00");
    const COLONS: u64 = u64::from_le_bytes([0, 0, 0xFF, 0, 0, 0xFF, 0, 0]);
    let values = u64::from_le_bytes(text) ^ ZERO;
    if beyond_nine(values) | values & COLONS != 0 {
        return None;
    }
    let numbers = (values * 10 + (values >> 8)).to_le_bytes();
    Some([numbers[0], numbers[3], numbers[6]])
}

/// The highest bit of each byte that is more than nine.
#[inline(always)]
fn beyond_nine(values: u64) -> u64 {
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    const UP_TO_HIGH: u64 = u64::from_le_bytes([0x80 - 10; 8]);
    (((values & !HIGH) + UP_TO_HIGH) | values) & HIGH
}

/// The number of eight digits, given as their values, the first lowest.
#[inline(always)]
fn value_of_eight(values: u64) -> u32 {
    const EVERY_FOURTH: u64 = 0x0000_00FF_0000_00FF;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let high = (pairs & EVERY_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let low = (pairs >> 16 & EVERY_FOURTH).wrapping_mul(1 + (10_000 << 32));
    (high.wrapping_add(low) >> 32) as u32
}

/// Writes a text of a few bytes without a call, as far as there is room, and gives the place behind it.
#[inline(always)]
pub fn put_short(room: &mut [u8], at: usize, text: &[u8]) -> Option<usize> {
    let length = text.len();
    let room = room.get_mut(at..at.checked_add(length)?)?;
    match length {
        0 => {}
        1..=3 => {
            room[0] = text[0];
            room[length / 2] = text[length / 2];
            room[length - 1] = text[length - 1];
        }
        4..=7 => {
            room[..4].copy_from_slice(&text[..4]);
            room[length - 4..].copy_from_slice(&text[length - 4..]);
        }
        8..=16 => {
            room[..8].copy_from_slice(&text[..8]);
            room[length - 8..].copy_from_slice(&text[length - 8..]);
        }
        _ => room.copy_from_slice(text),
    }
    Some(at + length)
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
    let (blocks, _) = bytes.as_chunks::<16>();
    for (place, block) in blocks.iter().enumerate() {
        let found = places_in(wanted, block);
        if found != 0 {
            return Some(place * 16 + found.trailing_zeros() as usize);
        }
    }
    if let Some(last) = bytes.last_chunk::<16>() {
        // The last block overlaps those before, in which there is none.
        let found = places_in(wanted, last);
        return (found != 0).then(|| bytes.len() - 16 + found.trailing_zeros() as usize);
    }
    let found = places_in_short(wanted, bytes);
    (found != 0).then(|| found.trailing_zeros() as usize)
}

/// One bit per byte of a text of less than 16 bytes that is one of those wanted.
#[inline(always)]
fn places_in_short<const N: usize>(wanted: [u8; N], bytes: &[u8]) -> u16 {
    let length = bytes.len();
    if length >= 16 {
        return 0;
    }
    places_in(wanted, &sixteen_of(bytes)) & !(u16::MAX << length)
}

/// The bytes of a text of less than 16 and zeros behind them.
#[inline(always)]
fn sixteen_of(bytes: &[u8]) -> [u8; 16] {
    let length = bytes.len();
    let low = u128::from(word_of(bytes));
    let both = match length {
        // The last eight bytes may be some of the first once more, in the same places.
        9..=15 => low | u128::from(u64_at(bytes, length - 8)) << (8 * (length - 8)),
        _ => low,
    };
    both.to_le_bytes()
}

/// Four numbers up to 255 with dots between them, without leading zeros.
#[inline]
pub fn four_octets(text: &[u8]) -> Option<[u8; 4]> {
    let length = text.len();
    if !(7..=15).contains(&length) {
        return None;
    }
    let bytes = sixteen_of(text);
    let dots = places_in([b'.'], &bytes);
    // The places of three dots and no more.
    let behind_first = dots & dots.wrapping_sub(1);
    let behind_second = behind_first & behind_first.wrapping_sub(1);
    let is_three = behind_second != 0 && behind_second & behind_second.wrapping_sub(1) == 0;
    if !is_three || dots | digits_in(&bytes) != !(u16::MAX << length) {
        return None;
    }
    let ends = [
        dots.trailing_zeros() as usize,
        behind_first.trailing_zeros() as usize,
        behind_second.trailing_zeros() as usize,
        length,
    ];
    // Some zeros behind them, so that four bytes can be read at each.
    let mut all = [0; 20];
    all[..16].copy_from_slice(&bytes);
    let mut octets = [0; 4];
    let mut is_right = true;
    let mut begin = 0;
    for (octet, end) in octets.iter_mut().zip(ends) {
        let digits = end - begin;
        is_right &= digits.wrapping_sub(1) < 3;
        let missing = 8 * (3 - digits.min(3)) as u32;
        // The last digit is in the third place, and nothing is before the first.
        let placed = u32_at(&all, begin) << missing & 0x0F_0F0F;
        let value = (placed & 0xFF) * 100 + (placed >> 8 & 0xFF) * 10 + (placed >> 16);
        let least = [0, 0, 10, 100][digits & 3];
        is_right &= value >= least && value < 256;
        *octet = value as u8;
        begin = end + 1;
    }
    is_right.then_some(octets)
}

/// Whether [`four_octets`] reads a text: seen from where its digits and dots stand, which is cheaper than reading it.
#[inline]
pub fn are_four_octets(text: &[u8]) -> bool {
    let length = text.len();
    if !(7..=15).contains(&length) {
        return false;
    }
    let bytes = sixteen_of(text);
    let places = |byte: u8| u32::from(places_in([byte], &bytes));
    let above = |byte: u8| u32::from(places_above(byte, &bytes));
    let (dots, digits) = (places(b'.'), u32::from(digits_in(&bytes)));
    // The places of three dots and no more.
    let behind_first = dots & dots.wrapping_sub(1);
    let behind_second = behind_first & behind_first.wrapping_sub(1);
    let is_three = behind_second != 0 && behind_second & behind_second.wrapping_sub(1) == 0;
    if !is_three || dots | digits != !(u32::MAX << length) {
        return false;
    }
    // Where an octet begins, and where its end stands one, two and three places behind that.
    let begins = dots << 1 | 1;
    let ends = dots | 1 << length;
    let (one, two, three) = (ends >> 1, ends >> 2, ends >> 3);
    let of_three = begins & three & !two & !one;
    // Of three digits, what is above 255.
    let above_five = above(b'5');
    let twos = (of_three & places(b'2')) << 1;
    let too_much =
        of_three & above(b'2') | twos & above_five | (twos & places(b'5')) << 1 & above_five;
    let with_zero_before = begins & places(b'0') & !one;
    let misplaced = begins & !(digits & (one | two | three));
    misplaced | too_much | with_zero_before == 0
}

/// Whether a text, which mostly is short, has nothing in it but digits and dots.
#[inline]
pub(crate) fn are_digits_or_dots(text: &[u8]) -> bool {
    let length = text.len();
    if length < 16 {
        let bytes = sixteen_of(text);
        return digits_in(&bytes) | places_in([b'.'], &bytes) == !(u16::MAX << length);
    }
    let is_one = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.');
    text.iter().all(is_one)
}

/// One bit per byte of a block that is a digit.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn digits_in(block: &[u8; 16]) -> u16 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8,
        _mm_sub_epi8,
    };
    // SAFETY: the block is 16 readable bytes; these instructions are part of every x86-64.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let values = _mm_sub_epi8(bytes, _mm_set1_epi8(b'0'.cast_signed()));
        let bounded = _mm_min_epu8(values, _mm_set1_epi8(9));
        _mm_movemask_epi8(_mm_cmpeq_epi8(values, bounded)) as u16
    }
}

/// One bit per byte of a block that is a digit.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn digits_in(block: &[u8; 16]) -> u16 {
    block.iter().rev().fold(0, |places, byte| {
        places << 1 | u16::from(byte.is_ascii_digit())
    })
}

/// One bit per byte of a block, ASCII characters, that is above this one.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn places_above(least: u8, block: &[u8; 16]) -> u16 {
    use std::arch::x86_64::{_mm_cmpgt_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: the block is 16 readable bytes; these instructions are part of every x86-64.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        _mm_movemask_epi8(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(least.cast_signed()))) as u16
    }
}

/// One bit per byte of a block, ASCII characters, that is above this one.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn places_above(least: u8, block: &[u8; 16]) -> u16 {
    block
        .iter()
        .rev()
        .fold(0, |places, byte| places << 1 | u16::from(*byte > least))
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
    places_in_short([wanted], rest)
        .checked_ilog2()
        .map(|place| place as usize)
}

/// One bit per byte of a block that is one of those wanted.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn places_in<const N: usize>(wanted: [u8; N], block: &[u8; 16]) -> u16 {
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
pub(crate) fn places_in<const N: usize>(wanted: [u8; N], block: &[u8; 16]) -> u16 {
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
        for length in 0..200 {
            let mut bytes = vec![b'.'; length];
            assert_eq!(find_any([b'a', b'b'], &bytes), None);
            assert_eq!(find_last(b'a', &bytes), None);
            assert_eq!(find_any([0], &bytes), None);
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
    fn places_are_those_of_the_byte() {
        let bytes: [u8; 96] = std::array::from_fn(|at| if at % 7 == 3 { b' ' } else { b'x' });
        let places = places_of(b' ', &bytes);
        for (at, byte) in bytes.iter().enumerate() {
            assert_eq!(places >> at & 1 == 1, *byte == b' ');
        }
    }

    #[test]
    fn a_clock_is_digits_and_colons() {
        assert_eq!(clock_of(*b"21:03:59"), Some([21, 3, 59]));
        assert_eq!(clock_of(*b"00:00:00"), Some([0, 0, 0]));
        assert_eq!(clock_of(*b"99:99:99"), Some([99, 99, 99]));
        for place in 0..8 {
            for other in 0..=u8::MAX {
                let mut text = *b"12:34:56";
                let is_fit = match place {
                    2 | 5 => other == b':',
                    _ => other.is_ascii_digit(),
                };
                text[place] = other;
                assert_eq!(clock_of(text).is_some(), is_fit, "{text:?}");
            }
        }
    }

    #[test]
    fn a_number_ends_where_its_digits_do() {
        for digits in 0..=9 {
            let text = format!("{}] and more", &"123456789"[..digits]);
            let wanted = (1..=7)
                .contains(&digits)
                .then(|| (digits, text[..digits].parse().unwrap()));
            assert_eq!(leading_number(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(leading_number(b"0012 more"), Some((4, 12)));
        assert_eq!(leading_number(b"1234567"), None);
    }

    #[test]
    fn digits_are_numbers() {
        for text in [
            "0", "7", "42", "007", "1234", "65535", "123456", "7654321", "12345678", "99999999",
        ] {
            assert_eq!(
                number_of_digits(text.as_bytes()),
                text.parse().ok(),
                "{text}"
            );
            for place in 0..text.len() {
                for other in [b'/', b':', b' ', b'a', 0, 0x80, 0xFF, b'0' | 0x80] {
                    let mut text = text.as_bytes().to_vec();
                    text[place] = other;
                    assert_eq!(number_of_digits(&text), None, "{text:?}");
                }
            }
            let followed = format!("{text}Z.......");
            let (digits, number) = match leading_digits(followed.as_bytes()) {
                Some(read) => read,
                None => {
                    assert_eq!(text.len(), 8);
                    continue;
                }
            };
            assert_eq!(digits, text.len());
            let padded = format!("{text:0<8}");
            assert_eq!(Some(number), padded.parse().ok(), "{text}");
        }
        assert_eq!(number_of_digits(b""), None);
        assert_eq!(number_of_digits(b"123456789"), None);
        assert_eq!(leading_digits(b"1234567"), None);
        assert_eq!(leading_digits(b"x1234567"), Some((0, 0)));
    }

    #[test]
    fn short_texts_are_put_behind_each_other() {
        let text: Vec<u8> = (1..40).collect();
        for length in 0..text.len() {
            let mut room = [0; 40];
            let end = put_short(&mut room, 1, &text[..length]);
            assert_eq!(end, Some(length + 1));
            assert_eq!(&room[1..=length], &text[..length]);
            assert!(room[length + 1..].iter().all(|byte| *byte == 0));
            assert_eq!(put_short(&mut room, 41 - length, &text[..length]), None);
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
