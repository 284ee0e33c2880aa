//! Texts written as JSON strings (RFC 8259, section 7), for those who write many: 32 bytes at a time where the
//! processor can.

/// Bytes that must be free for a text of so many bytes: six for each and two quotes, and what is written at once.
pub const fn room_for(bytes: usize) -> usize {
    6 * bytes + 2 + 64
}

/// Writes `text` in quotes to the front of `out` and returns the number of bytes written. Quotes, backslashes and
/// control characters are escaped, the others stand as they are.
///
/// # Panics
/// When `out` has fewer than [`room_for`] bytes.
#[inline]
pub fn escape(text: &str, out: &mut [u8]) -> usize {
    assert!(out.len() >= room_for(text.len()), "no room for the text");
    #[cfg(target_arch = "x86_64")]
    if wide::is_there() {
        // SAFETY: the processor has what the function needs.
        return unsafe { wide::escape(text.as_bytes(), out) };
    }
    escape_words(text.as_bytes(), out)
}

/// Eight bytes at a time.
fn escape_words(text: &[u8], out: &mut [u8]) -> usize {
    out[0] = b'"';
    let (mut at, mut read) = (1, 0);
    while read < text.len() {
        let word = match text[read..].first_chunk::<8>() {
            Some(word) => *word,
            None => {
                let mut word = [0; 8];
                word[..text.len() - read].copy_from_slice(&text[read..]);
                word
            }
        };
        out[at..at + 8].copy_from_slice(&word);
        let plain = plain_bytes(word).min(text.len() - read);
        at += plain;
        read += plain;
        if plain < 8 && read < text.len() {
            at += escape_byte(text[read], &mut out[at..]);
            read += 1;
        }
    }
    out[at] = b'"';
    at + 1
}

/// How many bytes at the front JSON takes as they are.
#[inline]
fn plain_bytes(word: [u8; 8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let word = u64::from_le_bytes(word);
    let zero_bytes = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let special = zero_bytes(word ^ (ONES * u64::from(b'"')))
        | zero_bytes(word ^ (ONES * u64::from(b'\\')))
        | control;
    // A borrow may mark a byte too many, but only behind a right one: the lowest is right.
    (special & HIGH).trailing_zeros() as usize / 8
}

/// Writes the escape of a byte.
fn escape_byte(byte: u8, out: &mut [u8]) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
            out[..6].copy_from_slice(&[b'\\', b'u', b'0', b'0', digits[0], digits[1]]);
            return 6;
        }
    };
    out[..2].copy_from_slice(&[b'\\', short]);
    2
}

/// With AVX-512: a backslash is put before each byte, and those that are not wanted are squeezed out.
#[cfg(target_arch = "x86_64")]
mod wide {
    use std::arch::is_x86_feature_detected as has;
    use std::arch::x86_64::*;

    /// Bytes that are read at once.
    const CHUNK: usize = 32;
    /// By control character the letter of its short escape, 0 where it has none.
    const LETTERS: [u8; CHUNK] = {
        let mut letters = [0; CHUNK];
        letters[b'\n' as usize] = b'n';
        letters[b'\r' as usize] = b'r';
        letters[b'\t' as usize] = b't';
        letters
    };

    /// Whether the processor has what [`escape`] needs.
    #[inline]
    pub(super) fn is_there() -> bool {
        has!("avx512f")
            && has!("avx512bw")
            && has!("avx512vl")
            && has!("avx512vbmi")
            && has!("avx512vbmi2")
            && has!("bmi2")
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi2,popcnt")]
    pub(super) fn escape(text: &[u8], out: &mut [u8]) -> usize {
        // SAFETY: the table has as many bytes as a vector.
        let letters = unsafe { _mm256_loadu_si256(LETTERS.as_ptr().cast()) };
        out[0] = b'"';
        let mut at = 1;
        for chunk in text.chunks(CHUNK) {
            let there = u32::MAX >> (CHUNK - chunk.len());
            // SAFETY: only bytes of the chunk are read: the mask has a bit for each of them.
            let bytes = unsafe { _mm256_maskz_loadu_epi8(there, chunk.as_ptr().cast()) };
            let quotes = _mm256_cmpeq_epi8_mask(bytes, _mm256_set1_epi8(b'"'.cast_signed()));
            let slashes = _mm256_cmpeq_epi8_mask(bytes, _mm256_set1_epi8(b'\\'.cast_signed()));
            let controls = _mm256_mask_cmplt_epu8_mask(there, bytes, _mm256_set1_epi8(0x20));
            let short = _mm256_permutexvar_epi8(bytes, letters);
            if _mm256_mask_testn_epi8_mask(controls, short, short) != 0 {
                for &byte in chunk {
                    if byte < 0x20 || byte == b'"' || byte == b'\\' {
                        at += super::escape_byte(byte, &mut out[at..]);
                    } else {
                        out[at] = byte;
                        at += 1;
                    }
                }
                continue;
            }
            let shown = _mm256_mask_mov_epi8(bytes, controls, short);
            let pairs = _mm512_or_si512(
                _mm512_slli_epi16::<8>(_mm512_cvtepu8_epi16(shown)),
                _mm512_set1_epi16(i16::from(b'\\')),
            );
            let special = quotes | slashes | controls;
            let wanted = _pdep_u64(special.into(), 0x5555_5555_5555_5555)
                | _pdep_u64(there.into(), 0xAAAA_AAAA_AAAA_AAAA);
            let room: &mut [u8] = &mut out[at..at + 2 * CHUNK];
            // SAFETY: there is room for a vector of 64 bytes.
            unsafe {
                let packed = _mm512_maskz_compress_epi8(wanted, pairs);
                _mm512_storeu_si512(room.as_mut_ptr().cast(), packed);
            }
            at += wanted.count_ones() as usize;
        }
        out[at] = b'"';
        at + 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str, how: impl Fn(&mut [u8]) -> usize) -> String {
        let mut out = vec![0; room_for(text.len())];
        let written = how(&mut out);
        String::from_utf8(out[..written].to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn texts_are_read_back_as_they_were(text in "([a-z]{0,40}[\\\\\"\r\n\t]|\\PC{0,9}|[\u{0}-\u{1f}]){0,12}") {
            let words = escaped(&text, |out| escape_words(text.as_bytes(), out));
            let best = escaped(&text, |out| escape(&text, out));
            prop_assert_eq!(&words, &best);
            let read: String = serde_json::from_str(&best).unwrap();
            prop_assert_eq!(read, text);
        }
    }

    #[test]
    fn each_character_is_escaped_wherever_it_stands() {
        for character in (0..=0x100u32).filter_map(char::from_u32) {
            for place in 0..70 {
                let text = format!("{}{character}{}", "a".repeat(place), "b".repeat(70 - place));
                let theirs = serde_json::to_string(&text).unwrap();
                let ours = escaped(&text, |out| escape(&text, out));
                if !matches!(character, '\u{8}' | '\u{c}') {
                    assert_eq!(ours, theirs);
                }
                assert_eq!(
                    escaped(&text, |out| escape_words(text.as_bytes(), out)),
                    ours
                );
            }
        }
    }
}
