//! Where the store is and how long it keeps what.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How to reach the store and what it keeps: section `[store]` of `citywatch.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Address of ClickHouse's HTTP interface, `http://host:port`. Embedded, `citywatch up` sets it
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
    /// Longest wait for an answer to an insert, in seconds.
    pub insert_timeout_seconds: u64,
    /// Longest wait for an answer to a query, in seconds.
    pub query_timeout_seconds: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8123".into(),
            user: "default".into(),
            password: Password::default(),
            database: "citywatch".into(),
            retention_days: 365,
            retention_classes: BTreeMap::new(),
            match_retention_days: 730,
            dead_letter_retention_days: 90,
            insert_timeout_seconds: 120,
            query_timeout_seconds: 60,
        }
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
