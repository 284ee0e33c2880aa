//! The forms in which logs write time, each a function from text to the time and what follows it.
//! A form that names no zone is read in the zone given; one that names no year, near the time of receipt.

mod bsd;
mod civil;
mod cursor;
mod dates;
mod epoch;
mod zone_names;

use jiff::tz::TimeZone;

use crate::bytes::number_of_digits;
use crate::context::ParseContext;
use crate::time::Timestamp;
pub(crate) use bsd::{bsd, month_first_near};
use civil::Civil;
use cursor::{Cursor, two_digits};
pub(crate) use dates::Dates;
pub(crate) use epoch::{epoch, epoch_text};

/// A time and the text behind it.
pub(crate) type Read<'t, T> = Option<(T, &'t str)>;

/// ISO 8601 and its relatives: `2024-08-26T01:33:38.572449+00:00`, `2021-05-28 18:08:01,124`, `2022/07/11 10:29:01`.
pub(crate) fn iso<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    if let Some(civil) = plain_iso(text.as_bytes()) {
        let mut at = Cursor(&text[PLAIN_ISO_BYTES..]);
        let micros = at.fraction();
        return at.finish(Civil { micros, ..civil }, zone);
    }
    let mut at = Cursor(text);
    let year = at.year()?;
    let separator = at.one_of(b"-/.")?;
    let month = at.small(1)?;
    at.byte(separator)?;
    let day = at.small(1)?;
    at.one_of(b"T t_")?;
    // MySQL pads the hour.
    at.0 = at.0.trim_start_matches(' ');
    let (hour, minute, second, micros) = at.clock()?;
    at.finish(
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        },
        zone,
    )
}

/// `2024-08-26T01:33:38`.
const PLAIN_ISO_BYTES: usize = 19;

/// ISO 8601 as it mostly is: every character in its place, up to the seconds.
fn plain_iso(text: &[u8]) -> Option<Civil> {
    let text = text.first_chunk::<PLAIN_ISO_BYTES>()?;
    let is_plain = text[4] == b'-'
        && text[7] == b'-'
        && matches!(text[10], b'T' | b' ')
        && text[13] == b':'
        && text[16] == b':';
    if !is_plain {
        return None;
    }
    let (century, year) = (two_digits(text, 0)?, two_digits(text, 2)?);
    Some(Civil {
        year: i16::from(century) * 100 + i16::from(year),
        month: two_digits(text, 5)?,
        day: two_digits(text, 8)?,
        hour: two_digits(text, 11)?,
        minute: two_digits(text, 14)?,
        second: two_digits(text, 17)?,
        micros: 0,
    })
}

/// ISO 8601 in UTC with a point before the fraction, as most programs write it: `2024-08-26T01:33:38.572Z`.
#[inline]
fn plain_utc(text: &[u8]) -> Option<Timestamp> {
    let text = text.strip_suffix(b"Z")?;
    let micros = match text.get(PLAIN_ISO_BYTES..)? {
        [] => 0,
        [b'.', digits @ ..] => number_of_digits(digits)? * FRACTION_UNITS[digits.len()] / 100,
        _ => return None,
    };
    let civil = Civil {
        micros: micros.cast_signed(),
        ..plain_iso(text)?
    };
    civil.is_possible().then(|| civil.at_offset(0))
}

/// By the digits of a fraction, what makes of them one of eight digits.
const FRACTION_UNITS: [u32; 9] = [0, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// MySQL before 5.7: `221128 14:49:17`, the hour padded with a space.
pub(crate) fn compact<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    let mut at = Cursor(text);
    let year = at.digits(2, 2)?;
    let (month, day) = (at.small(2)?, at.small(2)?);
    at.spaces()?;
    let (hour, minute, second, micros) = at.clock()?;
    let year = i16::try_from(2000 + year).ok()?;
    at.finish(
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        },
        zone,
    )
}

/// Common Log Format: `08/Jun/2020:06:49:01 +0000`.
pub(crate) fn clf<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    let mut at = Cursor(text);
    let day = at.small(1)?;
    at.byte(b'/')?;
    let month = at.month()?;
    at.byte(b'/')?;
    let year = at.year()?;
    at.byte(b':')?;
    let (hour, minute, second, micros) = at.clock()?;
    at.finish(
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        },
        zone,
    )
}

/// C's `ctime`: `Mon Jun  8 12:08:44.123456 2020`; `date` and Java put the zone before the year: `Mon Jun  8 12:08:44 ICT 2020`.
pub(crate) fn ctime<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    let (weekday, rest) = text.split_at_checked(4)?;
    weekday
        .bytes()
        .take(3)
        .all(|byte| byte.is_ascii_alphabetic())
        .then_some(())?;
    let mut at = Cursor(rest);
    let month = at.month()?;
    at.spaces()?;
    let day = at.small(1)?;
    at.spaces()?;
    let (hour, minute, second, micros) = at.clock()?;
    let offset = at.zone();
    at.spaces()?;
    let year = at.year()?;
    let civil = Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    match offset {
        Some(offset) => civil.is_possible().then(|| (civil.at_offset(offset), at.0)),
        None => at.finish(civil, zone),
    }
}

/// Day first with the month's name: `19-Oct-2022 05:34:02.425`, `14 Oct 2021 15:24:12.023984 UTC`, a weekday may stand before it.
pub(crate) fn day_first<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    let text = match text.as_bytes() {
        [one, two, three, b',', b' ', ..] if ![one, two, three].contains(&&b',') => &text[5..],
        _ => text,
    };
    let mut at = Cursor(text);
    let day = at.small(1)?;
    let separator = at.one_of(b"- /")?;
    let month = at.month()?;
    at.byte(separator)?;
    let year = at.year()?;
    at.one_of(b" :T")?;
    let (hour, minute, second, micros) = at.clock()?;
    at.finish(
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        },
        zone,
    )
}

/// Month first in digits, as Suricata's fast log: `07/11/2022-10:29:01.860293`.
pub(crate) fn month_first<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    let mut at = Cursor(text);
    let month = at.small(1)?;
    at.byte(b'/')?;
    let day = at.small(1)?;
    at.byte(b'/')?;
    let year = at.year()?;
    at.one_of(b"- ")?;
    let (hour, minute, second, micros) = at.clock()?;
    at.finish(
        Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
            micros,
        },
        zone,
    )
}

/// Any of the forms that stand alone in a field: ISO 8601, RFC 2822, epoch numbers, ...
pub(crate) fn any(text: &str, context: &ParseContext) -> Option<Timestamp> {
    if let Some(time) = plain_utc(text.as_bytes()) {
        return Some(time);
    }
    let zone = &context.default_zone;
    let text = text.trim();
    [iso, clf, ctime, day_first, month_first]
        .iter()
        .find_map(|form| form(text, zone))
        .map(|(time, _)| time)
        .or_else(|| epoch_text(text))
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn a_clock_change_is_no_obstacle() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let time = |text| iso(text, &zone).unwrap().0.to_string();
        assert_eq!(time("2026-03-29 02:30:00"), "2026-03-29T01:30:00.000000Z");
        assert_eq!(time("2026-10-25 02:30:00"), "2026-10-25T00:30:00.000000Z");
        assert_eq!(time("2026-07-01 12:00:00"), "2026-07-01T10:00:00.000000Z");
    }

    proptest! {
        #[test]
        fn what_is_plain_means_the_same(
            text in "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9][T ][012][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10}|)Z",
        ) {
            if let Some(time) = plain_utc(text.as_bytes()) {
                prop_assert_eq!(iso(&text, &TimeZone::UTC), Some((time, "")));
            } else if let Some((time, "")) = iso(&text, &TimeZone::UTC) {
                // What is left to the general form: fractions of nine digits and more.
                prop_assert!(text.len() > PLAIN_ISO_BYTES + FRACTION_UNITS.len() + 1, "{text}: {time}");
            }
        }
    }

    #[test]
    fn each_form_is_read() {
        let context = ParseContext::default();
        for (text, wanted) in [
            (
                "2024-08-26T01:33:38.572449+00:00",
                "2024-08-26T01:33:38.572449Z",
            ),
            ("2024-08-26 01:33:38,572", "2024-08-25T18:33:38.572000Z"),
            (
                "2024-08-26T01:33:38.5724491Z",
                "2024-08-26T01:33:38.572449Z",
            ),
            (
                "2022-07-10T23:50:05.533101+0000",
                "2022-07-10T23:50:05.533101Z",
            ),
            ("2021-09-28 09:22:21.536 UTC", "2021-09-28T09:22:21.536000Z"),
            ("08/Jun/2020:06:49:01 +0700", "2020-06-07T23:49:01.000000Z"),
            ("Mon Jun  8 12:08:44.5 2020", "2020-06-08T05:08:44.500000Z"),
            ("19-Oct-2022 05:34:02.425", "2022-10-18T22:34:02.425000Z"),
            (
                "Thu, 14 Oct 2021 15:24:12.023984 UTC",
                "2021-10-14T15:24:12.023984Z",
            ),
            ("07/11/2022-10:29:01.860293", "2022-07-11T03:29:01.860293Z"),
            ("1684329817.579", "2023-05-17T13:23:37.579000Z"),
            ("1684329817579", "2023-05-17T13:23:37.579000Z"),
            ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z"),
            ("2026-11-22 09:15:30.123 ICT", "2026-11-22T02:15:30.123000Z"),
            ("2026-11-22 09:15:30 EDT", "2026-11-22T13:15:30.000000Z"),
            (
                "Sun Nov 22 09:15:30 ICT 2026",
                "2026-11-22T02:15:30.000000Z",
            ),
            (
                "Sun Nov 22 09:15:30 +07 2026",
                "2026-11-22T02:15:30.000000Z",
            ),
            (
                "Sun Nov 22 09:15:30 2026 +07:00",
                "2026-11-22T02:15:30.000000Z",
            ),
        ] {
            assert_eq!(
                any(text, &context).map(|time| time.to_string()).as_deref(),
                Some(wanted),
                "{text}"
            );
        }
        for text in [
            "",
            "2024-13-01T00:00:00Z",
            "2024-02-30 00:00:00",
            "yesterday",
            "24",
            "2024-01-01T25:00:00Z",
        ] {
            assert_eq!(any(text, &context), None, "{text}");
        }
    }
}
