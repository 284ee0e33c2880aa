//! What time it is: a value that is handed in, so that tests move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use citywatch_parsers::Timestamp;

/// A clock.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// One that stands still until it is moved.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at `now`.
    pub fn manual(now: Timestamp) -> Self {
        Self::Manual(Arc::new(AtomicI64::new(now.as_micros())))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp(jiff::Timestamp::now().as_microsecond()),
            Self::Manual(micros) => Timestamp(micros.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock on to `time`, never back; the system's clock goes by itself.
    pub fn move_to(&self, time: Timestamp) {
        if let Self::Manual(micros) = self {
            micros.fetch_max(time.as_micros(), Ordering::SeqCst);
        }
    }

    /// Moves a manual clock forward; the system's clock goes by itself.
    pub fn advance(&self, seconds: i64) {
        if let Self::Manual(micros) = self {
            micros.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
        }
    }
}

/// Microseconds in a minute.
pub(crate) const MINUTE_MICROS: i64 = 60_000_000;
/// Microseconds in an hour.
pub(crate) const HOUR_MICROS: i64 = 60 * MINUTE_MICROS;
/// Microseconds in a day.
pub(crate) const DAY_MICROS: i64 = 24 * HOUR_MICROS;
