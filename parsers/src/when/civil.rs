//! What a clock on the wall shows, and which instant that is in a zone.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// What a clock on the wall shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i16,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
    /// 60 during a leap second, which POSIX time counts as the next minute's first.
    pub(super) second: i8,
    pub(super) micros: i32,
}

impl Civil {
    pub(super) fn is_possible(self) -> bool {
        (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= days_of_month(self.year, self.month)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second)
    }

    /// Whole seconds since midnight, if there is such a time.
    pub(super) fn micros_of_day(self) -> Option<i64> {
        let is_possible = (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        let seconds =
            i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        is_possible.then_some(seconds * 1_000_000)
    }

    /// Read as UTC plus `offset_seconds`.
    pub(super) fn at_offset(self, offset_seconds: i64) -> Timestamp {
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
    pub(super) fn in_zone(self, zone: &TimeZone) -> Timestamp {
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
pub(super) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The month by the first three letters of its name.
pub(super) fn month_named(name: &[u8; 3]) -> Option<i8> {
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
