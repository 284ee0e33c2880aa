//! RFC 3164's time, which names no year: it is read near the time of receipt.

use jiff::tz::TimeZone;

use super::Read;
use super::civil::{Civil, month_named};
use super::cursor::{Cursor, two_digits};
use crate::bytes::clock_of;
use crate::context::ParseContext;
use crate::time::Timestamp;

/// RFC 3164: `Feb  9 04:55:57`, with or without a fraction; the year at the front, before or behind the clock or behind the
/// zone; the zone by offset or by name.
pub(crate) fn bsd<'t>(
    text: &'t str,
    received_at: Timestamp,
    context: &ParseContext,
) -> Read<'t, Timestamp> {
    if let Some(civil) = plain_bsd(text.as_bytes()) {
        let time = near(received_at, context, |year| {
            let civil = Civil { year, ..civil };
            civil
                .is_possible()
                .then(|| civil.in_zone(&context.default_zone))
        })?;
        return Some((time, &text[PLAIN_BSD_BYTES..]));
    }
    let mut at = Cursor(text);
    let mut ahead = at;
    let mut year = ahead.year().filter(|_| ahead.spaces().is_some());
    if year.is_some() {
        at = ahead;
    }
    let month = at.month()?;
    at.spaces()?;
    let day = at.small(1)?;
    at.spaces()?;
    let mut ahead = at;
    if let Some(before) = ahead.year().filter(|_| ahead.spaces().is_some()) {
        year = Some(before);
        at = ahead;
    }
    let (hour, minute, second, micros) = at.clock()?;
    if year.is_none() {
        year = year_behind(&mut at);
    }
    let mut ahead = at;
    let mut offset = ahead.zone();
    if ahead.0.len() < at.0.len() && (is_offset(at) || !is_host(at, ahead)) {
        at = ahead;
        if year.is_none() {
            year = year_behind(&mut at);
        }
    } else {
        offset = None;
    }
    let time_in = |year| {
        let civil = Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        };
        let zone = &context.default_zone;
        civil
            .is_possible()
            .then(|| offset.map_or_else(|| civil.in_zone(zone), |offset| civil.at_offset(offset)))
    };
    let time = match year {
        Some(year) => time_in(year)?,
        None => near(received_at, context, time_in)?,
    };
    Some((time, at.0))
}

/// Snort: `11/21-21:00:00.123456`, or with the year in two digits `11/21/26-21:00:00.123456`.
pub(crate) fn month_first_near<'t>(
    text: &'t str,
    received_at: Timestamp,
    context: &ParseContext,
) -> Read<'t, Timestamp> {
    let mut at = Cursor(text);
    let month = at.small(2)?;
    at.byte(b'/')?;
    let day = at.small(2)?;
    let mut ahead = at;
    let year = ahead.byte(b'/').and_then(|()| ahead.digits(2, 2));
    if year.is_some() {
        at = ahead;
    }
    at.byte(b'-')?;
    let (hour, minute, second, micros) = at.clock()?;
    let time_in = |year| {
        let civil = Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        };
        civil
            .is_possible()
            .then(|| civil.in_zone(&context.default_zone))
    };
    let time = match year {
        Some(year) => time_in(i16::try_from(2000 + year).ok()?)?,
        None => near(received_at, context, time_in)?,
    };
    Some((time, at.0))
}

/// ` 2026` behind the clock or behind the zone.
fn year_behind(at: &mut Cursor<'_>) -> Option<i16> {
    let mut ahead = *at;
    let year = ahead.spaces().and_then(|()| ahead.year()).filter(|year| {
        (1970..2200).contains(year) && matches!(ahead.peek(), None | Some(b' ' | b':'))
    })?;
    *at = ahead;
    Some(year)
}

fn is_offset(at: Cursor<'_>) -> bool {
    !at.0
        .trim_start_matches(' ')
        .starts_with(|c: char| c.is_ascii_uppercase())
        || at.0.starts_with('Z')
}

/// Whether the word that could be a zone's name is the host: the program's tag follows it (`ICT sshd[7]: `).
fn is_host(before: Cursor<'_>, behind: Cursor<'_>) -> bool {
    let name = &before.0[..before.0.len() - behind.0.len()];
    // These two are no names of hosts.
    if matches!(name, " UTC" | " GMT") || !behind.0.starts_with(' ') {
        return false;
    }
    let next = behind.0[1..].split(' ').next().unwrap_or("");
    next.is_empty() || next.ends_with(':')
}

/// The latest time that a record may have.
pub(super) fn latest_time(received_at: Timestamp, context: &ParseContext) -> i64 {
    received_at.0 + i64::from(context.clock_ahead_max_hours) * 3_600_000_000
}

/// The newest time that is not later than the receipt allows, of those that differ in their year.
fn near(
    received_at: Timestamp,
    context: &ParseContext,
    time_in: impl Fn(i16) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let latest = latest_time(received_at, context);
    let this_year = year_of(latest, &context.default_zone);
    // Far enough back for a leap day around a century without one.
    (0..=8).find_map(|back| time_in(this_year - back).filter(|time| time.0 <= latest))
}

/// `Feb  9 04:55:57`.
pub(super) const PLAIN_BSD_BYTES: usize = 15;

/// RFC 3164's time as it mostly is: every character in its place, a word behind it that is neither a year nor a zone.
pub(super) fn plain_bsd(text: &[u8]) -> Option<Civil> {
    let clock = plain_bsd_clock(text)?;
    let text = text.first_chunk::<{ PLAIN_BSD_BYTES + 2 }>()?;
    if text[3] != b' ' {
        return None;
    }
    let day = match text[4] {
        b' ' => text[5]
            .is_ascii_digit()
            .then(|| (text[5] - b'0').cast_signed())?,
        _ => two_digits(text, 4)?,
    };
    Some(Civil {
        month: month_named(&[text[0], text[1], text[2]])?,
        day,
        ..clock
    })
}

/// The clock of such a time, of no day.
pub(super) fn plain_bsd_clock(text: &[u8]) -> Option<Civil> {
    let text = text.first_chunk::<{ PLAIN_BSD_BYTES + 3 }>()?;
    let is_plain = text[6] == b' '
        && text[15] == b' '
        && text[16].is_ascii_alphabetic()
        // ` UTC`, ` ICT`
        && !(text[16].is_ascii_uppercase() && text[17].is_ascii_uppercase());
    if !is_plain {
        return None;
    }
    let clock = text[7..].first_chunk().copied();
    let [hour, minute, second] = clock.and_then(clock_of)?.map(u8::cast_signed);
    Some(Civil {
        year: 0,
        month: 0,
        day: 0,
        hour,
        minute,
        second,
        micros: 0,
    })
}

/// The year that a wall clock in `zone` shows.
pub(super) fn year_of(micros: i64, zone: &TimeZone) -> i16 {
    if let Ok(offset) = zone.to_fixed_offset() {
        let seconds = micros.div_euclid(1_000_000) + i64::from(offset.seconds());
        return i16::try_from(year_of_day(seconds.div_euclid(86_400))).unwrap_or(1970);
    }
    jiff::Timestamp::from_microsecond(micros).map_or(1970, |time| zone.to_datetime(time).year())
}

/// The year of a day since 1970-01-01 (Howard Hinnant, as `days_from_civil`).
fn year_of_day(day: i64) -> i64 {
    // From 1970 until 2100 each fourth year has a leap day.
    if let Ok(day @ 0..47_482) = u32::try_from(day) {
        return i64::from(1970 + (4 * day + 2) / 1_461);
    }
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // The years of this calculation begin in March.
    let is_next = day_of_year >= 306;
    era * 400 + year_of_era + i64::from(is_next)
}

#[cfg(test)]
mod tests {
    use super::super::civil::days_from_civil;
    use super::*;

    fn read(text: &str, received: &str) -> String {
        let received_at = Timestamp(
            received
                .parse::<jiff::Timestamp>()
                .unwrap()
                .as_microsecond(),
        );
        bsd(text, received_at, &ParseContext::default())
            .map_or("none".to_owned(), |(time, _)| time.to_string())
    }

    #[test]
    fn a_time_without_year_is_read_near_its_receipt() {
        assert_eq!(
            read("Feb 12 14:10:21 h", "2026-02-12T07:10:22Z"),
            "2026-02-12T07:10:21.000000Z"
        );
        // New year: the record is of the old year, the receiver already in the new one.
        assert_eq!(
            read("Dec 31 23:59:59 h", "2026-01-01T00:00:05Z"),
            "2025-12-31T16:59:59.000000Z"
        );
        // And the other way round, with a clock that is a little ahead.
        assert_eq!(
            read("Jan  1 00:00:01 h", "2025-12-31T16:59:50Z"),
            "2025-12-31T17:00:01.000000Z"
        );
        // A clock a day ahead is skew; one a month ahead is last year's log.
        assert_eq!(
            read("Mar  2 10:00:00 h", "2026-03-01T03:00:00Z"),
            "2026-03-02T03:00:00.000000Z"
        );
        assert_eq!(
            read("Apr  2 10:00:00 h", "2026-03-01T03:00:00Z"),
            "2025-04-02T03:00:00.000000Z"
        );
        // The leap day exists in leap years only.
        assert_eq!(
            read("Feb 29 12:00:00 h", "2026-03-01T03:00:00Z"),
            "2024-02-29T05:00:00.000000Z"
        );
        assert_eq!(read("Feb 30 12:00:00 h", "2026-03-01T03:00:00Z"), "none");
        assert_eq!(
            read("Aug  3 2021 12:00:00 h", "2026-03-01T03:00:00Z"),
            "2021-08-03T05:00:00.000000Z"
        );
        assert_eq!(
            read("Aug  3 12:00:00 2021 h", "2026-03-01T03:00:00Z"),
            "2021-08-03T05:00:00.000000Z"
        );
    }

    #[test]
    fn year_and_zone_stand_where_devices_put_them() {
        let received_at = Timestamp::from_seconds(1_772_334_000);
        for (text, wanted, behind) in [
            ("2021 Aug  3 12:00:00 h x", "2021-08-03T05:00:00", " h x"),
            ("Aug  3 2021 12:00:00 UTC: x", "2021-08-03T12:00:00", ": x"),
            (
                "Aug  3 12:00:00 UTC 2021 h x",
                "2021-08-03T12:00:00",
                " h x",
            ),
            (
                "Aug  3 12:00:00.5 JST h sshd[1]: x",
                "2025-08-03T03:00:00",
                " h sshd[1]: x",
            ),
            (
                "Aug  3 12:00:00 ICT h sshd[1]: x",
                "2025-08-03T05:00:00",
                " h sshd[1]: x",
            ),
            // The same word is the host where the program follows it.
            (
                "Aug  3 12:00:00 ICT sshd[1]: x",
                "2025-08-03T05:00:00",
                " ICT sshd[1]: x",
            ),
            (
                "Aug  3 12:00:00 JST sshd[1]: x",
                "2025-08-03T05:00:00",
                " JST sshd[1]: x",
            ),
            (
                "Aug  3 12:00:00 UTCSRV x: y",
                "2025-08-03T05:00:00",
                " UTCSRV x: y",
            ),
            // Several zones are called so; the one that is set counts.
            ("Aug  3 12:00:00 CST h x", "2025-08-03T05:00:00", " h x"),
            ("Aug  3 12:00:00 FW01 x", "2025-08-03T05:00:00", " FW01 x"),
            ("Aug  3 12:00:00 EDT", "2025-08-03T16:00:00", ""),
        ] {
            let (time, rest) = bsd(text, received_at, &ParseContext::default()).unwrap();
            assert_eq!((&time.to_string()[..19], rest), (wanted, behind), "{text}");
        }
    }

    #[test]
    fn a_day_has_its_year() {
        for year in 1600..2400 {
            let (first, last) = (days_from_civil(year, 1, 1), days_from_civil(year, 12, 31));
            assert_eq!((year_of_day(first), year_of_day(last)), (year, year));
        }
    }
}
