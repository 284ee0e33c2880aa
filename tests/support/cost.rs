//! What work costs: the time that its own thread was computing, whatever else the machine does meanwhile.

use std::time::{Duration, Instant};

/// Does `work`; returns what it gives and what it cost.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let (begun, before) = (Instant::now(), computed());
    let done = work();
    let cost = match (before, computed()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        // Where the kernel does not say it, the time that has passed is all there is to know.
        _ => begun.elapsed(),
    };
    (done, cost)
}

/// How long this thread has been computing: the first number of its `schedstat`, in nanoseconds.
fn computed() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}
