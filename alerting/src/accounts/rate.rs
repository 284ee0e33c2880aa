//! Counts wrong passwords, and says when it is enough.
//!
//! Kept in memory: a restart forgets, and each process counts for itself. What guards against guessing
//! over days is the strength of passwords, not this.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use citywatch_parsers::Timestamp;

use crate::clock::MINUTE_MICROS;
use crate::config::SignInConfig;

/// Keys counted at once; beyond, the oldest window gives way.
const KEYS_MAX: usize = 20_000;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    UserAndAddress(String, IpAddr),
    Address(IpAddr),
    User(String),
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Timestamp,
    failures: u32,
    /// Tries that were refused because of it.
    refusals: u64,
}

impl Window {
    fn begun(since: Timestamp) -> Self {
        Self {
            since,
            failures: 0,
            refusals: 0,
        }
    }
}

/// Whether a sign-in may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may.
    Allowed,
    /// Not before so many seconds.
    RetryAfter {
        /// From now.
        seconds: i64,
        /// Tries that were refused since enough failed, with this one: of this person from this address, of all from the
        /// address, or of this person from anywhere, whichever was too much.
        refusals: u64,
    },
}

/// Counts wrong passwords by person and address.
#[derive(Debug)]
pub(crate) struct SignInLimits {
    config: SignInConfig,
    windows: Mutex<HashMap<Key, Window>>,
}

impl SignInLimits {
    pub(crate) fn new(config: SignInConfig) -> Self {
        Self {
            config,
            windows: Mutex::new(HashMap::new()),
        }
    }

    /// Forgets what was counted for a person's old password: with the new one they are let in. What counts for an address stays.
    pub(crate) fn password_changed(&self, user: &str, changed_at: Timestamp) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let is_of = |key: &Key| match key {
            Key::UserAndAddress(name, _) | Key::User(name) => name == user,
            Key::Address(_) => false,
        };
        windows.retain(|key, window| window.since >= changed_at || !is_of(key));
    }

    /// Counts a try as a failure before its password is looked at, so that many at once are counted too.
    pub(crate) fn begin(&self, user: &str, address: IpAddr, now: Timestamp) -> Verdict {
        let length = i64::from(self.config.window_minutes.max(1)) * MINUTE_MICROS;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = self.keys(user, address);
        for (key, failures_max) in &keys {
            if let Some(window) = windows.get_mut(key)
                && window.failures >= *failures_max
                && now.0 - window.since.0 < length
            {
                metrics::counter!("citywatch_sign_ins_refused_total").increment(1);
                window.refusals += 1;
                return Verdict::RetryAfter {
                    refusals: window.refusals,
                    seconds: (window.since.0 + length - now.0) / 1_000_000 + 1,
                };
            }
        }
        if windows.len() + keys.len() > KEYS_MAX {
            make_room(&mut windows, now, length);
        }
        for (key, _) in keys {
            let window = windows.entry(key).or_insert(Window::begun(now));
            if now.0 - window.since.0 >= length {
                *window = Window::begun(now);
            }
            window.failures += 1;
        }
        Verdict::Allowed
    }

    /// The password was right: what was counted for this person from this address is forgotten, and the
    /// try does not count for the others.
    pub(crate) fn succeeded(&self, user: &str, address: IpAddr) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, _) in self.keys(user, address) {
            if matches!(key, Key::UserAndAddress(..)) {
                windows.remove(&key);
            } else if let Some(window) = windows.get_mut(&key) {
                window.failures = window.failures.saturating_sub(1);
            }
        }
    }

    fn keys(&self, user: &str, address: IpAddr) -> [(Key, u32); 3] {
        let (user, address) = (user.to_owned(), network(address));
        [
            (
                Key::UserAndAddress(user.clone(), address),
                self.config.failures_per_user_and_address_max,
            ),
            (Key::Address(address), self.config.failures_per_address_max),
            (Key::User(user), self.config.failures_per_user_max),
        ]
    }
}

/// Who has one IPv6 address has the whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn make_room(windows: &mut HashMap<Key, Window>, now: Timestamp, length: i64) {
    windows.retain(|_, window| now.0 - window.since.0 < length);
    if windows.len() + 3 > KEYS_MAX {
        metrics::counter!("citywatch_sign_in_limit_overflows_total").increment(1);
        let mut ages: Vec<Timestamp> = windows.values().map(|window| window.since).collect();
        ages.sort_unstable();
        let oldest_half = ages[ages.len() / 2];
        windows.retain(|_, window| window.since > oldest_half);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn the_sixth_wrong_password_waits_and_the_window_ends() {
        let limits = SignInLimits::new(SignInConfig::default());
        for _ in 0..5 {
            assert_eq!(limits.begin("an", address(1), NOW), Verdict::Allowed);
        }
        assert_eq!(
            limits.begin("an", address(1), NOW),
            Verdict::RetryAfter {
                seconds: 901,
                refusals: 1
            }
        );
        assert_eq!(
            limits.begin("an", address(2), NOW),
            Verdict::Allowed,
            "from elsewhere"
        );
        assert_eq!(
            limits.begin("binh", address(1), NOW),
            Verdict::Allowed,
            "somebody else"
        );
        let later = Timestamp(NOW.0 + 15 * MINUTE_MICROS);
        assert_eq!(limits.begin("an", address(1), later), Verdict::Allowed);
    }

    #[test]
    fn a_right_password_clears_the_count() {
        let limits = SignInLimits::new(SignInConfig::default());
        for _ in 0..50 {
            assert_eq!(limits.begin("an", address(1), NOW), Verdict::Allowed);
            limits.succeeded("an", address(1));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let limits = SignInLimits::new(SignInConfig::default());
        for number in 0..30_000_u32 {
            let from = IpAddr::V4(number.into());
            limits.begin(
                &format!("user{number}"),
                from,
                Timestamp(NOW.0 + i64::from(number)),
            );
        }
        assert!(limits.windows.lock().unwrap().len() <= KEYS_MAX);
    }
}
