//! Times as numbers since 1970-01-01.

use crate::time::Timestamp;

/// Seconds, milliseconds, microseconds or nanoseconds since the epoch, told apart by their size: each unit is
/// taken where it means a time between 1973 and 2200.
pub(crate) fn epoch(number: f64) -> Option<Timestamp> {
    const SECONDS_MIN: f64 = 1e8;
    const SECONDS_MAX: f64 = 7.3e9;
    [1e6, 1e3, 1.0, 1e-3]
        .into_iter()
        .find_map(|micros_per_unit| {
            let micros = number * micros_per_unit;
            let seconds = micros / 1e6;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "within the bounds just checked"
            )]
            (SECONDS_MIN..SECONDS_MAX)
                .contains(&seconds)
                .then_some(Timestamp(micros as i64))
        })
}

/// Whole seconds and digits of their fraction, exactly: `1684329817.579`.
pub(crate) fn epoch_text(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let exact = seconds.len() <= 10 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !exact {
        return text.parse().ok().and_then(epoch);
    }
    let whole = seconds.parse::<u64>().ok()?;
    let mut rest = fraction.bytes();
    let micros = (0..6).fold(0_i64, |micros, _| {
        micros * 10 + i64::from(rest.next().unwrap_or(b'0') - b'0')
    });
    (whole > 100_000_000).then(|| Timestamp(i64::try_from(whole).unwrap_or(0) * 1_000_000 + micros))
}
