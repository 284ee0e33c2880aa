//! Where the store is and how long it keeps what.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::watch::SpaceConfig;

/// Longest retention in days. ClickHouse's TTL counts in 32-bit seconds, which end in 2106: what
/// would expire after that wraps around to the past and is deleted at once.
const RETENTION_DAYS_MAX: u32 = 10_000;

/// How to reach the store and what it keeps: section `[store]` of `citywatch.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Address of ClickHouse's HTTP interface, `http://host:port`. Empty: `citywatch up` sets it
    /// to the store process that it starts.
    pub url: String,
    /// User to sign in as.
    pub user: String,
    /// The user's password.
    pub password: Password,
    /// Database that holds the tables; created if missing.
    pub database: String,
    /// Days for which events of the class `standard` are kept, counted from their receipt.
    pub retention_days: u32,
    /// Days for which events of other classes are kept, by name of the class. An event of a class
    /// that is not named here is kept as `standard`.
    pub retention_classes: BTreeMap<String, u32>,
    /// Days for which matches are kept.
    pub match_retention_days: u32,
    /// Days for which dead letters are kept.
    pub dead_letter_retention_days: u32,
    /// Whether an insert is on the disk itself when it is acknowledged.
    pub sync_to_disk: SyncToDisk,
    /// Longest wait for an answer to an insert, in seconds.
    pub insert_timeout_seconds: u64,
    /// Longest wait for an answer to a query, in seconds.
    pub query_timeout_seconds: u64,
    /// How much it may have on disk.
    pub space: SpaceConfig,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            user: "default".into(),
            password: Password::default(),
            database: "citywatch".into(),
            retention_days: 365,
            retention_classes: BTreeMap::new(),
            match_retention_days: 730,
            dead_letter_retention_days: 90,
            sync_to_disk: SyncToDisk::Always,
            insert_timeout_seconds: 120,
            query_timeout_seconds: 60,
            space: SpaceConfig::default(),
        }
    }
}

/// What an acknowledged insert survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncToDisk {
    /// A power cut: parts are synced when they are written and when they are merged.
    #[default]
    Always,
    /// The end of the process, but not of the machine: for replicated servers, where another
    /// replica has the part.
    Never,
}

impl StoreConfig {
    /// Host and port.
    fn authority(&self) -> Option<&str> {
        self.url.strip_prefix("http://")?.split('/').next()
    }

    /// Whether what is sent to it never leaves the machine.
    pub(super) fn is_on_this_machine(&self) -> bool {
        let authority = self.authority().unwrap_or_default();
        let without_port = authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let host = without_port.map_or(authority, |(host, _)| host);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address: Option<IpAddr> = address.parse().ok();
        host == "localhost" || address.is_some_and(|address| address.is_loopback())
    }

    /// # Errors
    /// [`StoreError::Invalid`] for the first value that cannot be used.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.url.starts_with("https://") {
            return Err(StoreError::invalid(
                "store url",
                &self.url,
                "the store is not reached over TLS: write http://host:port of a server on this machine or in a network of your own, or of a tunnel to it",
            ));
        }
        if self.authority().is_none_or(str::is_empty) {
            return Err(StoreError::invalid(
                "store url",
                &self.url,
                "write it as http://host:port",
            ));
        }
        let space = &self.space;
        let percents = [space.resume_percent, space.pause_percent];
        if percents.contains(&0)
            || space.pause_percent > 100
            || space.resume_percent > space.pause_percent
        {
            let found = format!("{} and {}", space.resume_percent, space.pause_percent);
            let reason = "resume_percent lies between 1 and pause_percent, which is 100 at most";
            return Err(StoreError::invalid(
                "store space in percent",
                &found,
                reason,
            ));
        }
        if self.database.is_empty() {
            return Err(StoreError::invalid("store database", "", "give it a name"));
        }
        let named = [
            self.retention_days,
            self.match_retention_days,
            self.dead_letter_retention_days,
        ];
        for days in named
            .into_iter()
            .chain(self.retention_classes.values().copied())
        {
            if !(1..=RETENTION_DAYS_MAX).contains(&days) {
                let reason = format!("keep between 1 and {RETENTION_DAYS_MAX} days");
                return Err(StoreError::invalid(
                    "retention in days",
                    &days.to_string(),
                    &reason,
                ));
            }
        }
        Ok(())
    }
}

/// A password that no log line and no debug output shows.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// The password itself, for the request that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "(none)"
        } else {
            "(hidden)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reachable() -> StoreConfig {
        StoreConfig {
            url: "http://127.0.0.1:8123".into(),
            ..StoreConfig::default()
        }
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        assert!(reachable().check().is_ok());
        let config = StoreConfig {
            retention_days: 40_000,
            ..reachable()
        };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "retention in days \"40000\" is not valid: keep between 1 and 10000 days"
        );
        let config = StoreConfig {
            url: "127.0.0.1:8123".into(),
            ..reachable()
        };
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "store url \"127.0.0.1:8123\" is not valid: write it as http://host:port"
        );
        let config = StoreConfig {
            url: "https://clickhouse:8443".into(),
            ..reachable()
        };
        let told = config.check().unwrap_err().to_string();
        assert!(told.contains("not reached over TLS"), "{told}");
    }

    #[test]
    fn what_leaves_the_machine_is_known_by_its_address() {
        for (url, is_here) in [
            ("http://127.0.0.1:8123", true),
            ("http://[::1]:8123/", true),
            ("http://localhost", true),
            ("http://localhost.example:8123", false),
            ("http://10.1.2.3:8123", false),
            ("http://[2001:db8::1]:8123", false),
            ("http://clickhouse", false),
        ] {
            let config = StoreConfig {
                url: url.into(),
                ..reachable()
            };
            assert_eq!(config.is_on_this_machine(), is_here, "{url}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = StoreConfig {
            password: "secret".into(),
            ..StoreConfig::default()
        };
        assert!(!format!("{config:?}").contains("secret"));
    }
}
