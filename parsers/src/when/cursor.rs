//! Reading a time's parts from the front of a text, byte by byte.

use jiff::tz::TimeZone;

use super::Read;
use super::civil::{Civil, month_named};
use super::zone_names::{NAME_BYTES_MAX, ZoneName, zone_named};
use crate::bytes::leading_digits;
use crate::time::Timestamp;

/// Reads from the front of a text, byte by byte; every step may fail.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t>(pub(super) &'t str);

impl<'t> Cursor<'t> {
    pub(super) fn peek(self) -> Option<u8> {
        self.0.as_bytes().first().copied()
    }

    pub(super) fn byte(&mut self, wanted: u8) -> Option<()> {
        if self.peek() != Some(wanted) {
            return None;
        }
        self.0 = &self.0[1..];
        Some(())
    }

    pub(super) fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let found = self.peek().filter(|byte| wanted.contains(byte))?;
        self.0 = &self.0[1..];
        Some(found)
    }

    /// A number of `least` to `most` digits.
    pub(super) fn digits(&mut self, least: usize, most: usize) -> Option<i32> {
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

    pub(super) fn small(&mut self, least: usize) -> Option<i8> {
        self.digits(least, 2)
            .map(|number| i8::try_from(number).expect("two digits fit"))
    }

    pub(super) fn month(&mut self) -> Option<i8> {
        let month = month_named(self.0.as_bytes().first_chunk::<3>()?)?;
        self.0 = &self.0[3..];
        Some(month)
    }

    pub(super) fn year(&mut self) -> Option<i16> {
        self.digits(4, 4).and_then(|year| i16::try_from(year).ok())
    }

    pub(super) fn spaces(&mut self) -> Option<()> {
        self.byte(b' ')?;
        while self.byte(b' ').is_some() {}
        Some(())
    }

    /// `hh:mm:ss` with an optional fraction behind `.` or `,`.
    pub(super) fn clock(&mut self) -> Option<(i8, i8, i8, i32)> {
        let hour = self.small(1)?;
        self.byte(b':')?;
        let minute = self.small(2)?;
        self.byte(b':')?;
        let second = self.small(2)?;
        Some((hour, minute, second, self.fraction()))
    }

    /// Microseconds of an optional fraction of up to nine digits and more.
    pub(super) fn fraction(&mut self) -> i32 {
        let bytes = self.0.as_bytes();
        if !matches!(bytes, [b'.' | b',', digit, ..] if digit.is_ascii_digit()) {
            return 0;
        }
        if let Some((digits, of_eight)) = leading_digits(&bytes[1..]) {
            self.0 = &self.0[1 + digits..];
            return (of_eight / 100).cast_signed();
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
    pub(super) fn offset(&mut self) -> Option<i64> {
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

    /// ` UTC`, ` ICT`: a zone's name that ends there.
    pub(super) fn zone_name(&mut self) -> Option<ZoneName> {
        let rest = self.0.strip_prefix(' ')?;
        let letters = rest
            .bytes()
            .take(NAME_BYTES_MAX + 1)
            .take_while(u8::is_ascii_uppercase)
            .count();
        if letters < 2
            || rest
                .as_bytes()
                .get(letters)
                .is_some_and(u8::is_ascii_alphanumeric)
        {
            return None;
        }
        let (name, behind) = rest.split_at(letters);
        let found = zone_named(name)?;
        self.0 = behind;
        Some(found)
    }

    /// What says how far ahead of UTC the clock is, by offset or by name.
    pub(super) fn zone(&mut self) -> Option<i64> {
        self.offset().or_else(|| match self.zone_name()? {
            ZoneName::Offset(seconds) => Some(seconds),
            ZoneName::Ambiguous => None,
        })
    }

    pub(super) fn finish(mut self, civil: Civil, zone: &TimeZone) -> Read<'t, Timestamp> {
        if !civil.is_possible() {
            return None;
        }
        let offset = self.zone();
        let time = offset.map_or_else(|| civil.in_zone(zone), |offset| civil.at_offset(offset));
        Some((time, self.0))
    }
}

/// The number that two digits are.
#[inline]
pub(super) fn two_digits(text: &[u8], at: usize) -> Option<i8> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| (tens * 10 + ones).cast_signed())
}
