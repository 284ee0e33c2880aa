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
