//! The one place that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use citywatch_parsers::Timestamp;

/// Now, by the system's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
