//! Where the reader's days begin.

use super::field_fault::FieldFault;
use super::problem::Problem;
use crate::clock::MINUTE_MICROS;

/// No clock of the world is further from UTC.
const UTC_OFFSET_MINUTES_MAX: i32 = 14 * 60;

/// How far the reader's clock is ahead of UTC, in microseconds, from the parameter `utc_offset_minutes`.
///
/// # Errors
/// When no clock is so far from UTC.
pub(super) fn ahead_micros(utc_offset_minutes: Option<i32>) -> Result<i64, Problem> {
    let ahead = utc_offset_minutes.unwrap_or(0);
    if ahead.abs() > UTC_OFFSET_MINUTES_MAX {
        return Err(Problem::field(
            "utc_offset_minutes",
            FieldFault::Range {
                min: i64::from(-UTC_OFFSET_MINUTES_MAX),
                max: i64::from(UTC_OFFSET_MINUTES_MAX),
            },
        ));
    }
    Ok(i64::from(ahead) * MINUTE_MICROS)
}
