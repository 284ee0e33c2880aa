//! RFC 3164's time by the date that was read last.

use jiff::tz::TimeZone;

use super::Read;
use super::bsd::{PLAIN_BSD_BYTES, bsd, latest_time, plain_bsd, plain_bsd_clock, year_of};
use super::civil::Civil;
use super::cursor::two_digits;
use super::{iso, plain_iso};
use crate::bytes::number_of_digits;
use crate::context::ParseContext;
use crate::time::Timestamp;

/// The date that was read last, and what its midnight is: records that follow each other mostly have the same.
#[derive(Default)]
pub(crate) struct Dates {
    last: Option<Date>,
    last_iso: Option<IsoDate>,
}

/// A date of ISO 8601 with what stood behind its clock.
struct IsoDate {
    /// `2024-08-26T`.
    written: [u8; ISO_DATE_BYTES],
    /// `+07:00`.
    offset: [u8; OFFSET_BYTES],
    /// What its midnight is with this offset.
    midnight_micros: i64,
}

const ISO_DATE_BYTES: usize = 11;
const OFFSET_BYTES: usize = 6;
/// `2024-08-26T01:33:38.572449+07:00`.
const FULL_ISO_BYTES: usize = 32;

struct Date {
    /// As RFC 3164 writes it: `Feb  9`.
    written: [u8; 6],
    /// The day in the zone in which the latest time lay that was possible then: its midnight, which is another than the date's.
    latest_day_micros: i64,
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

    /// As [`iso`], for a text that is nothing else; by the date that was read last if it is the same.
    #[inline]
    pub(crate) fn iso<'t>(&mut self, text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
        match self.same_iso_date(text.as_bytes()) {
            Some(time) => Some((time, "")),
            None => self.other_iso_date(text, zone),
        }
    }

    fn same_iso_date(&self, text: &[u8]) -> Option<Timestamp> {
        let date = self.last_iso.as_ref()?;
        let text: &[u8; FULL_ISO_BYTES] = text.try_into().ok()?;
        let is_same = text.first_chunk() == Some(&date.written)
            && text.last_chunk() == Some(&date.offset)
            && [text[13], text[16], text[19]] == *b"::.";
        if !is_same {
            return None;
        }
        let seconds = [
            two_digits(text, 11)?,
            two_digits(text, 14)?,
            two_digits(text, 17)?,
        ];
        let [hour, minute, second] = seconds.map(i64::from);
        let micros = number_of_digits(&text[20..26])?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let clock = (hour * 3_600 + minute * 60 + second) * 1_000_000 + i64::from(micros);
        Some(Timestamp(date.midnight_micros + clock))
    }

    #[inline(never)]
    fn other_iso_date<'t>(&mut self, text: &'t str, zone: &TimeZone) -> Read<'t, Timestamp> {
        let (time, rest) = iso(text, zone)?;
        if let (Some(civil), Ok(full), "") = (
            plain_iso(text.as_bytes()),
            <&[u8; FULL_ISO_BYTES]>::try_from(text.as_bytes()),
            rest,
        ) && let Some(clock) = civil.micros_of_day()
            && full[10] == b'T'
            && let (Some(written), Some(offset)) = (full.first_chunk(), full.last_chunk())
            && matches!(full[FULL_ISO_BYTES - OFFSET_BYTES], b'+' | b'-')
            && let Some(micros) = number_of_digits(&full[20..26])
        {
            self.last_iso = Some(IsoDate {
                written: *written,
                offset: *offset,
                midnight_micros: time.0 - clock - i64::from(micros),
            });
        }
        Some((time, rest))
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
        let is_same = (0..DAY_MICROS).contains(&(latest - date.latest_day_micros));
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
        latest_day_micros: latest - (latest + offset_micros).rem_euclid(DAY_MICROS),
        midnight_micros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn an_iso_date_that_is_remembered_is_read_alike(
            texts in prop::collection::vec((
                prop::sample::select(vec!["2024-02-28T", "2024-02-29T", "2023-02-29T", "2026-11-22T", "2026-11-22 "]),
                "([01][0-9]|2[0-9]):[0-6][0-9]:[0-6][0-9]",
                prop::sample::select(vec![".000001", ".999999", ".123", ",123456", ".12a456", ""]),
                prop::sample::select(vec!["+07:00", "-03:30", "+00:00", "Z", "", "+07:00 x", "   UTC"]),
            ), 1..30)
        ) {
            let zone = ParseContext::default().default_zone;
            let mut dates = Dates::default();
            for (date, clock, fraction, offset) in texts {
                let text = format!("{date}{clock}{fraction}{offset}");
                prop_assert_eq!(dates.iso(&text, &zone), iso(&text, &zone), "{}", text);
            }
        }

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
}
