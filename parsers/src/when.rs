//! The forms in which logs write time, each a function from text to the time and what follows it.
//! A form that names no zone is read in the zone given; one that names no year, near the time of receipt.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::context::ParseContext;
use crate::time::Timestamp;

/// A time and the text behind it.
pub(crate) type Read<'t, T> = Option<(T, &'t str)>;

/// What a clock on the wall shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    year: i16,
    month: i8,
    day: i8,
    hour: i8,
    minute: i8,
    /// 60 during a leap second, which POSIX time counts as the next minute's first.
    second: i8,
    micros: i32,
}

impl Civil {
    fn is_possible(self) -> bool {
        (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_of_month(self.year, self.month)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second)
    }

    /// Whole seconds since midnight, if there is such a time.
    fn micros_of_day(self) -> Option<i64> {
        let is_possible = (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        let seconds =
            i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        is_possible.then_some(seconds * 1_000_000)
    }

    /// Read as UTC plus `offset_seconds`.
    fn at_offset(self, offset_seconds: i64) -> Timestamp {
        let days = days_from_civil(
            i64::from(self.year),
            i64::from(self.month),
            i64::from(self.day),
        );
        let seconds = days * 86_400
            + i64::from(self.hour) * 3_600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
            - offset_seconds;
        Timestamp(seconds * 1_000_000 + i64::from(self.micros))
    }

    /// Read in `zone`; a time that a clock change skips or repeats is read with the offset before the change.
    fn in_zone(self, zone: &TimeZone) -> Timestamp {
        if let Ok(offset) = zone.to_fixed_offset() {
            return self.at_offset(i64::from(offset.seconds()));
        }
        let wall = DateTime::new(
            self.year,
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second.min(59),
            0,
        )
        .ok()
        .and_then(|wall| zone.to_ambiguous_timestamp(wall).compatible().ok());
        match wall {
            Some(time) => {
                let leap = i64::from(self.second == 60);
                Timestamp(time.as_microsecond() + i64::from(self.micros) + leap * 1_000_000)
            }
            None => self.at_offset(0),
        }
    }
}

fn is_leap(year: i16) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of_month(year: i16, month: i8) -> i8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The month by the first three letters of its name.
fn month_named(name: &[u8; 3]) -> Option<i8> {
    let month = match &[name[0] | 0x20, name[1] | 0x20, name[2] | 0x20] {
        b"jan" => 1,
        b"feb" => 2,
        b"mar" => 3,
        b"apr" => 4,
        b"may" => 5,
        b"jun" => 6,
        b"jul" => 7,
        b"aug" => 8,
        b"sep" => 9,
        b"oct" => 10,
        b"nov" => 11,
        b"dec" => 12,
        _ => return None,
    };
    Some(month)
}

/// Reads from the front of a text, byte by byte; every step may fail.
#[derive(Clone, Copy)]
struct Cursor<'t>(&'t str);

impl<'t> Cursor<'t> {
    fn peek(self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    fn byte(&mut self, wanted: u8) -> Option<()> {
        if self.peek() != Some(wanted) {
            return None;
        }
        self.0 = &self.0[1..];
        Some(())
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let found = self.peek().filter(|byte| wanted.contains(byte))?;
        self.0 = &self.0[1..];
        Some(found)
    }

    /// A number of `least` to `most` digits.
    fn digits(&mut self, least: usize, most: usize) -> Option<i32> {
        let bytes = self.0.as_bytes();
        let count = bytes
            .iter()
            .take(most)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if count < least {
            return None;
        }
        let number = bytes[..count]
            .iter()
            .fold(0, |number, digit| number * 10 + i32::from(digit - b'0'));
        self.0 = &self.0[count..];
        Some(number)
    }

    fn small(&mut self, least: usize) -> Option<i8> {
        self.digits(least, 2)
            .map(|number| i8::try_from(number).expect("two digits fit"))
    }

    fn month(&mut self) -> Option<i8> {
        let month = month_named(self.0.as_bytes().first_chunk::<3>()?)?;
        self.0 = &self.0[3..];
        Some(month)
    }

    fn year(&mut self) -> Option<i16> {
        self.digits(4, 4).and_then(|year| i16::try_from(year).ok())
    }

    fn spaces(&mut self) -> Option<()> {
        self.byte(b' ')?;
        while self.byte(b' ').is_some() {}
        Some(())
    }

    /// `hh:mm:ss` with an optional fraction behind `.` or `,`.
    fn clock(&mut self) -> Option<(i8, i8, i8, i32)> {
        let hour = self.small(1)?;
        self.byte(b':')?;
        let minute = self.small(2)?;
        self.byte(b':')?;
        let second = self.small(2)?;
        Some((hour, minute, second, self.fraction()))
    }

    /// Microseconds of an optional fraction of up to nine digits and more.
    fn fraction(&mut self) -> i32 {
        let bytes = self.0.as_bytes();
        if !matches!(bytes, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
            return 0;
        }
        let digits = bytes[1..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let micros = (0..6).fold(0, |micros, place| {
            micros * 10
                + if place < digits {
                    i32::from(bytes[1 + place] - b'0')
                } else {
                    0
                }
        });
        self.0 = &self.0[1 + digits..];
        micros
    }

    /// `Z`, `+07:00`, `+0700`, `+07`; a space may stand before it.
    fn offset(&mut self) -> Option<i64> {
        let mut ahead = *self;
        let spaced = ahead.byte(b' ').is_some();
        let sign = match ahead.one_of(b"Zz+-")? {
            b'Z' | b'z' if spaced => return None,
            b'Z' | b'z' => {
                *self = ahead;
                return Some(0);
            }
            b'-' => -1,
            _ => 1,
        };
        let hours = ahead.digits(2, 2)?;
        let colon = ahead.byte(b':').is_some();
        let minutes = match ahead.digits(2, 2) {
            Some(minutes) => minutes,
            // PostgreSQL writes ` +07 `.
            None if !colon && (!spaced || matches!(ahead.peek(), None | Some(b' '))) => 0,
            None => return None,
        };
        *self = ahead;
        Some(sign * i64::from(hours * 3_600 + minutes * 60))
    }

    /// ` UTC`, ` GMT`.
    fn utc_word(&mut self) -> Option<i64> {
        let rest = self
            .0
            .strip_prefix(" UTC")
            .or_else(|| self.0.strip_prefix(" GMT"))?;
        self.0 = rest;
        Some(0)
    }

    fn finish(mut self, civil: Civil, zone: &TimeZone) -> Read<'t, Timestamp> {
        if !civil.is_possible() {
            return None;
        }
        let offset = self.offset().or_else(|| self.utc_word());
        let time = offset.map_or_else(|| civil.in_zone(zone), |offset| civil.at_offset(offset));
        Some((time, self.0))
    }
}

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

/// The number that two digits are.
#[inline]
fn two_digits(text: &[u8], at: usize) -> Option<i8> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| (tens * 10 + ones).cast_signed())
}

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

/// The date that was read last, and what its midnight is: records that follow each other mostly have the same.
#[derive(Default)]
pub(crate) struct Dates {
    last: Option<Date>,
}

struct Date {
    /// As RFC 3164 writes it: `Feb  9`.
    written: [u8; 6],
    /// The day in which the latest time lay that was possible then, counted from 1970 in the zone.
    latest_day: i64,
    /// What the zone is ahead of UTC.
    offset_micros: i64,
    midnight_micros: i64,
}

const DAY_MICROS: i64 = 86_400_000_000;

impl Dates {
    /// As [`bsd`], by the date that was read last if it is the same.
    #[inline]
    pub(crate) fn bsd<'t>(
        &mut self,
        text: &'t str,
        received_at: Timestamp,
        context: &ParseContext,
    ) -> Read<'t, Timestamp> {
        match self.same_date(text.as_bytes(), received_at, context) {
            Some(time) => Some((time, &text[PLAIN_BSD_BYTES..])),
            None => self.other_date(text, received_at, context),
        }
    }

    fn same_date(
        &self,
        text: &[u8],
        received_at: Timestamp,
        context: &ParseContext,
    ) -> Option<Timestamp> {
        let date = self.last.as_ref()?;
        if text.first_chunk::<6>()? != &date.written {
            return None;
        }
        let clock_micros = plain_bsd_clock(text)?.micros_of_day()?;
        let latest = latest_time(received_at, context);
        let time = date.midnight_micros + clock_micros;
        let is_same = (latest + date.offset_micros).div_euclid(DAY_MICROS) == date.latest_day;
        (is_same && time <= latest).then_some(Timestamp(time))
    }

    fn other_date<'t>(
        &mut self,
        text: &'t str,
        received_at: Timestamp,
        context: &ParseContext,
    ) -> Read<'t, Timestamp> {
        let (time, rest) = bsd(text, received_at, context)?;
        self.last = date_of(text.as_bytes(), received_at, context, time);
        Some((time, rest))
    }
}

/// What is to be remembered of a date: only where the zone has one offset for ever, and where the year is that of the latest
/// time that is possible.
fn date_of(
    text: &[u8],
    received_at: Timestamp,
    context: &ParseContext,
    time: Timestamp,
) -> Option<Date> {
    let offset = context.default_zone.to_fixed_offset().ok()?;
    let civil = plain_bsd(text)?;
    let latest = latest_time(received_at, context);
    let midnight = Civil {
        year: year_of(latest, &context.default_zone),
        hour: 0,
        minute: 0,
        second: 0,
        ..civil
    };
    let midnight_micros = midnight
        .is_possible()
        .then(|| midnight.at_offset(i64::from(offset.seconds())).0)?;
    let offset_micros = i64::from(offset.seconds()) * 1_000_000;
    (midnight_micros + civil.micros_of_day()? == time.0).then_some(Date {
        written: *text.first_chunk()?,
        latest_day: (latest + offset_micros).div_euclid(DAY_MICROS),
        offset_micros,
        midnight_micros,
    })
}

/// RFC 3164: `Feb  9 04:55:57`, with or without a fraction, the year in front of or behind the clock, zone behind.
pub(crate) fn bsd<'t>(
    text: &'t str,
    received_at: Timestamp,
    context: &ParseContext,
) -> Read<'t, Timestamp> {
    if let Some(civil) = plain_bsd(text.as_bytes()) {
        let time = near(civil, received_at, context, |civil| {
            civil
                .is_possible()
                .then(|| civil.in_zone(&context.default_zone))
        })?;
        return Some((time, &text[PLAIN_BSD_BYTES..]));
    }
    let mut at = Cursor(text);
    let month = at.month()?;
    at.spaces()?;
    let day = at.small(1)?;
    at.spaces()?;
    let mut ahead = at;
    let year_before = ahead.year().filter(|_| ahead.spaces().is_some());
    if year_before.is_some() {
        at = ahead;
    }
    let (hour, minute, second, micros) = at.clock()?;
    let mut ahead = at;
    let year_behind = ahead.spaces().and_then(|()| ahead.year()).filter(|year| {
        (1970..2200).contains(year) && matches!(ahead.peek(), None | Some(b' ' | b':'))
    });
    if year_behind.is_some() && year_before.is_none() {
        at = ahead;
    }
    let civil = Civil {
        year: 0,
        month,
        day,
        hour,
        minute,
        second,
        micros,
    };
    let dated = |year| Civil { year, ..civil };
    if let Some(year) = year_before.or(year_behind) {
        return at.finish(dated(year), &context.default_zone);
    }
    let mut rest = at.0;
    let time = near(civil, received_at, context, |civil| {
        let (time, behind) = at.finish(civil, &context.default_zone)?;
        rest = behind;
        Some(time)
    })?;
    Some((time, rest))
}

/// The latest time that a record may have.
fn latest_time(received_at: Timestamp, context: &ParseContext) -> i64 {
    received_at.0 + i64::from(context.clock_ahead_max_hours) * 3_600_000_000
}

/// The newest time that is not later than the receipt allows, of those that differ in their year.
fn near(
    civil: Civil,
    received_at: Timestamp,
    context: &ParseContext,
    mut time_of: impl FnMut(Civil) -> Option<Timestamp>,
) -> Option<Timestamp> {
    let latest = latest_time(received_at, context);
    let this_year = year_of(latest, &context.default_zone);
    // Far enough back for a leap day around a century without one.
    (0..=8).find_map(|back| {
        let year = this_year - back;
        time_of(Civil { year, ..civil }).filter(|time| time.0 <= latest)
    })
}

/// `Feb  9 04:55:57`.
const PLAIN_BSD_BYTES: usize = 15;

/// RFC 3164's time as it mostly is: every character in its place, a word behind it that is neither a year nor a zone.
fn plain_bsd(text: &[u8]) -> Option<Civil> {
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
fn plain_bsd_clock(text: &[u8]) -> Option<Civil> {
    let text = text.first_chunk::<{ PLAIN_BSD_BYTES + 2 }>()?;
    let is_plain = text[6] == b' '
        && text[9] == b':'
        && text[12] == b':'
        && text[15] == b' '
        && text[16].is_ascii_alphabetic()
        // ` UTC`, ` GMT`
        && !matches!(text[16], b'U' | b'G');
    if !is_plain {
        return None;
    }
    Some(Civil {
        year: 0,
        month: 0,
        day: 0,
        hour: two_digits(text, 7)?,
        minute: two_digits(text, 10)?,
        second: two_digits(text, 13)?,
        micros: 0,
    })
}

/// The year that a wall clock in `zone` shows.
fn year_of(micros: i64, zone: &TimeZone) -> i16 {
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

/// C's `ctime`: `Mon Jun  8 12:08:44.123456 2020`.
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
    at.spaces()?;
    let year = at.year()?;
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

/// Day first with the month's name: `19-Oct-2022 05:34:02.425`, `14 Oct 2021 15:24:12.023984 UTC`, a weekday may stand before it.
pub(crate) fn day_first<'t>(text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
    let text = match text.split_once(", ") {
        Some((weekday, rest)) if weekday.len() == 3 => rest,
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

/// Any of the forms that stand alone in a field: ISO 8601, RFC 2822, epoch numbers, ...
pub(crate) fn any(text: &str, context: &ParseContext) -> Option<Timestamp> {
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
    use super::*;
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn a_date_that_is_remembered_is_read_alike(
            texts in prop::collection::vec((
                prop::sample::select(vec!["Feb 28", "Feb 29", "Dec 31", "Jan  1", "Mar  1", "Feb 30", "Nov 21", "Xyz  1"]),
                "([01][0-9]|2[0-9]):[0-6][0-9]:[0-6][0-9]",
                prop::sample::select(vec![" host", " UTC", " 2024 h", ".5 h", ""]),
                prop::sample::select(vec![1_709_200_000_i64, 1_709_251_140, 1_735_689_000, 1_735_689_700, 1_795_316_400]),
                -200_000_i64..200_000,
            ), 1..30)
        ) {
            let context = ParseContext::default();
            let mut dates = Dates::default();
            for (date, clock, behind, received, more) in texts {
                let text = format!("{date} {clock}{behind}");
                let received_at = Timestamp::from_seconds(received + more);
                prop_assert_eq!(
                    dates.bsd(&text, received_at, &context),
                    bsd(&text, received_at, &context),
                    "{}", text
                );
            }
        }
    }

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
    fn a_day_has_its_year() {
        for year in 1600..2400 {
            let (first, last) = (days_from_civil(year, 1, 1), days_from_civil(year, 12, 31));
            assert_eq!((year_of_day(first), year_of_day(last)), (year, year));
        }
    }

    #[test]
    fn a_clock_change_is_no_obstacle() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let time = |text| iso(text, &zone).unwrap().0.to_string();
        assert_eq!(time("2026-03-29 02:30:00"), "2026-03-29T01:30:00.000000Z");
        assert_eq!(time("2026-10-25 02:30:00"), "2026-10-25T00:30:00.000000Z");
        assert_eq!(time("2026-07-01 12:00:00"), "2026-07-01T10:00:00.000000Z");
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
