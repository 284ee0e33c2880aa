//! Exact sums: numbers to six decimal places, so that the order of addition cannot matter.

use crate::rule::Number;

/// Beyond this a value is not counted: sums of 10^12 of them still fit.
const MAGNITUDE_MAX: f64 = 1e18;

/// The number in millionths, rounded to the nearest (halves to even); `None` beyond ±10^18.
pub fn millionths_of_number(number: Number) -> Option<i128> {
    match number {
        Number::Int(value) => (value.unsigned_abs() <= 10u128.pow(18)).then(|| value * 1_000_000),
        #[allow(clippy::cast_possible_truncation, reason = "the range was checked")]
        Number::Float(value) => (value.abs() <= MAGNITUDE_MAX).then(|| {
            let whole = value.trunc();
            whole as i128 * 1_000_000 + ((value - whole) * 1e6).round_ties_even() as i128
        }),
    }
}

/// The number that a value's text is, in millionths, within ±10^18. Correlations see values as text.
pub fn millionths_of_text(text: &str) -> Option<i128> {
    Number::parse(text).and_then(millionths_of_number)
}
