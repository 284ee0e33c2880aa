//! Numbers: whole ones as integers, all others as doubles.

use crate::event::Value;

/// Digits that surely fit 64 bits.
const SHORT_DIGITS: usize = 18;

/// The number that begins at `from`, and where it ends.
#[inline(always)]
pub(super) fn number<'a>(text: &str, from: usize) -> Option<(Value<'a>, usize)> {
    let bytes = text.as_bytes();
    let is_negative = bytes.get(from) == Some(&b'-');
    let first = from + usize::from(is_negative);
    let mut at = first;
    let mut number = 0_i64;
    while let Some(digit @ b'0'..=b'9') = bytes.get(at) {
        number = number
            .wrapping_mul(10)
            .wrapping_add(i64::from(digit - b'0'));
        at += 1;
    }
    let digits = at - first;
    if digits == 0 || digits > 1 && bytes[first] == b'0' {
        return None;
    }
    if digits > SHORT_DIGITS || matches!(bytes.get(at), Some(b'.' | b'e' | b'E')) {
        return long_number(text, from, at);
    }
    Some((Value::Int(if is_negative { -number } else { number }), at))
}

/// Numbers with a fraction, an exponent or many digits; `at` is the end of the whole part.
#[cold]
fn long_number<'a>(text: &str, from: usize, at: usize) -> Option<(Value<'a>, usize)> {
    let bytes = text.as_bytes();
    let digits_from = |at: usize| {
        let count = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        (count > 0).then_some(at + count)
    };
    let mut end = at;
    if bytes.get(end) == Some(&b'.') {
        end = digits_from(end + 1)?;
    }
    if let Some(b'e' | b'E') = bytes.get(end) {
        let is_signed = matches!(bytes.get(end + 1), Some(b'+' | b'-'));
        end = digits_from(end + 1 + usize::from(is_signed))?;
    }
    let written = text.get(from..end)?;
    if let Some(number) = short_fraction(written.as_bytes()) {
        return Some((Value::Float(number), end));
    }
    if end == at {
        if let Ok(number) = written.parse::<i64>() {
            return Some((Value::Int(number), end));
        }
        if let Ok(number) = written.parse::<u64>() {
            return Some((Value::UInt(number), end));
        }
    }
    let number = written
        .parse::<f64>()
        .ok()
        .filter(|number| number.is_finite())?;
    Some((Value::Float(number), end))
}

/// A number with a fraction, without an exponent and of few digits: its digits as a whole number and the power of ten are
/// doubles, so that one division gives what is nearest (Clinger, "How to read floating point numbers accurately").
fn short_fraction(written: &[u8]) -> Option<f64> {
    /// Digits that fit a double's 53 bits.
    const DIGITS_MAX: usize = 15;
    const TENS: [f64; DIGITS_MAX + 1] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    ];
    let digits = written.strip_prefix(b"-").unwrap_or(written);
    if digits.len() > DIGITS_MAX + 1 {
        return None;
    }
    let mut number = 0_i64;
    let mut point = None;
    for (place, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => number = number * 10 + i64::from(byte - b'0'),
            b'.' => point = Some(place),
            _ => return None,
        }
    }
    let behind = digits.len() - point? - 1;
    #[expect(clippy::cast_precision_loss, reason = "at most 15 digits fit 53 bits")]
    let number = number as f64 / TENS[behind];
    Some(if digits.len() < written.len() {
        -number
    } else {
        number
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_fractions_are_what_the_standard_library_reads(
            text in "-?(0|[1-9][0-9]{0,11})\\.[0-9]{1,14}"
        ) {
            let wanted: f64 = text.parse().unwrap();
            if let Some(number) = short_fraction(text.as_bytes()) {
                prop_assert_eq!(number.to_bits(), wanted.to_bits());
            }
            prop_assert_eq!(number(&text, 0), Some((Value::Float(wanted), text.len())));
        }
    }

    #[test]
    fn the_shortest_and_the_longest() {
        for text in [
            "0.0",
            "-0.0",
            "0.1",
            "123456789012345.6",
            "12345678901234.5",
            "0.00000000000001",
        ] {
            let wanted: f64 = text.parse().unwrap();
            let Some((Value::Float(found), _)) = number(text, 0) else {
                panic!("{text} is a number");
            };
            assert_eq!(found.to_bits(), wanted.to_bits(), "{text}");
        }
    }
}
