//! Counts refused tokens by address: who guesses is made to wait.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const FAILURES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(600);
const ADDRESSES_MAX: usize = 10_000;

/// Failures by address. Kept in memory: what guards against guessing is the length of tokens, not this.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Failures {
    /// Counts a try as a failure before it is looked at, so that many at once are counted too; `Err` with
    /// how long to wait once there were too many.
    pub(super) fn begin(&self, address: IpAddr) -> Result<(), Duration> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX {
            counts.retain(|_, (since, _)| since.elapsed() < WINDOW);
            if counts.len() >= ADDRESSES_MAX {
                counts.clear();
            }
        }
        let (since, failures) = counts
            .entry(network(address))
            .or_insert_with(|| (Instant::now(), 0));
        if since.elapsed() >= WINDOW {
            (*since, *failures) = (Instant::now(), 0);
        }
        if *failures >= FAILURES_MAX {
            return Err(WINDOW.saturating_sub(since.elapsed()));
        }
        *failures += 1;
        Ok(())
    }

    /// It was none.
    pub(super) fn succeeded(&self, address: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, failures)) = counts.get_mut(&network(address)) {
            *failures = failures.saturating_sub(1);
        }
    }
}

/// Who has one IPv6 address has the whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_waits_and_others_do_not() {
        let failures = Failures::default();
        let guesser: IpAddr = "2001:db8::1".parse().unwrap();
        let beside: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "10.0.0.1".parse().unwrap();
        for _ in 0..FAILURES_MAX {
            failures.begin(guesser).unwrap();
        }
        assert!(failures.begin(guesser).is_err() && failures.begin(beside).is_err());
        for _ in 0..100 {
            failures.begin(other).unwrap();
            failures.succeeded(other);
        }
    }
}
