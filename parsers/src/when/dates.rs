//! RFC 3164's time by the date that was read last.

use super::Read;
use super::bsd::{PLAIN_BSD_BYTES, bsd, latest_time, plain_bsd, plain_bsd_clock, year_of};
use super::civil::Civil;
use crate::context::ParseContext;
use crate::time::Timestamp;

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
}
