//! Clocks that are far off: a time that cannot be right must not decide where an event is found, and close or open
//! windows of correlations.
//!
//! Ahead of its receipt an event cannot have happened: beyond some hours, which wrong time zones explain, the time of
//! receipt takes its time's place. Behind it lies every backlog; half a year is more than spool and Kafka hold of an office
//! that was cut off, so that what is older is taken for a clock that is wrong. Archives are read with another bound. The
//! record keeps what it said.

use citywatch_parsers::{Event, ParseContext, ProblemKind};

const HOUR_US: i64 = 3_600 * 1_000_000;
const DAY_US: i64 = 24 * HOUR_US;

/// How far event times may lie from their receipt.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClockBounds {
    ahead_us: i64,
    behind_us: i64,
}

impl ClockBounds {
    pub(super) fn of(context: &ParseContext) -> Self {
        let behind_us = match context.clock_behind_max_days {
            0 => i64::MAX,
            days => i64::from(days) * DAY_US,
        };
        Self {
            ahead_us: i64::from(context.clock_ahead_max_hours) * HOUR_US,
            behind_us,
        }
    }

    /// Gives an event the time of its receipt where its own cannot be right, and marks it.
    #[inline]
    pub(super) fn apply(self, event: &mut Event<'_>) {
        let received_us = event.record.received_at.as_micros();
        let ahead_us = event.event_time.as_micros().saturating_sub(received_us);
        if ahead_us <= self.ahead_us && ahead_us >= -self.behind_us {
            return;
        }
        self.clamp(event, ahead_us);
    }

    #[cold]
    fn clamp(self, event: &mut Event<'_>, ahead_us: i64) {
        let (direction, off_us) = match ahead_us {
            0.. => ("ahead of", ahead_us),
            _ => ("behind", ahead_us.saturating_neg()),
        };
        let hint = match ahead_us {
            0.. => "",
            _ => ", or raise [engine] clock_behind_max_days to read an archive",
        };
        let hours = off_us / HOUR_US;
        metrics::counter!("citywatch_event_times_clamped_total", "clock" => direction).increment(1);
        event.note(
            ProblemKind::BadTime,
            format!(
                "its time {} lies {hours} hours {direction} its receipt, which stands in: look at the clock{hint}",
                event.event_time
            ),
        );
        event.event_time = event.record.received_at;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bumpalo::Bump;
    use citywatch_parsers::record::Truncated;
    use citywatch_parsers::{Origin, RecordBatch, Timestamp};

    use super::*;

    const RECEIVED_S: i64 = 1_800_000_000;

    /// The event's time after it was looked at, relative to its receipt in hours, and what is said of it.
    fn looked_at(context: &ParseContext, hours: i64) -> (i64, Vec<String>) {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        let received_at = Timestamp::from_seconds(RECEIVED_S);
        batch.push(b"x", 0, received_at, Truncated::No);
        let arena = Bump::new();
        let mut event = Event::new(batch.get(0).unwrap(), "test", &arena);
        event.event_time = Timestamp::from_seconds(RECEIVED_S + hours * 3_600);
        ClockBounds::of(context).apply(&mut event);
        let hours = (event.event_time.as_micros() - received_at.as_micros()) / HOUR_US;
        let problems = event
            .problems
            .iter()
            .map(|problem| problem.detail.to_string());
        (hours, problems.collect())
    }

    #[test]
    fn a_clock_a_year_ahead_is_clamped_and_marked() {
        let context = ParseContext::default();
        let (hours, problems) = looked_at(&context, 365 * 24);
        assert_eq!(hours, 0);
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0].contains("8760 hours ahead of its receipt"),
            "{problems:?}"
        );
        // A wrong time zone is no wrong clock.
        assert_eq!(looked_at(&context, 7), (7, Vec::new()));
    }

    #[test]
    fn a_clock_a_year_behind_is_clamped_and_a_backlog_is_not() {
        let context = ParseContext::default();
        for years in [1, 30] {
            let (hours, problems) = looked_at(&context, -years * 365 * 24);
            assert_eq!((hours, problems.len()), (0, 1));
            assert!(problems[0].contains("behind its receipt"), "{problems:?}");
        }
        assert_eq!(looked_at(&context, -100 * 24), (-100 * 24, Vec::new()));
        // A site without backlogs may be stricter, one that reads archives laxer.
        let strict = ParseContext {
            clock_behind_max_days: 30,
            ..ParseContext::default()
        };
        assert_eq!(looked_at(&strict, -100 * 24).0, 0);
        let lax = ParseContext {
            clock_behind_max_days: 0,
            ..ParseContext::default()
        };
        assert_eq!(looked_at(&lax, -40 * 365 * 24).0, -40 * 365 * 24);
    }
}
