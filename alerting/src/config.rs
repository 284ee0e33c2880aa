//! What can be set about alerting: the section `[alerting]` of `citywatch.toml`. Every key has a default.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};

use crate::clocks::ClocksConfig;
use crate::notification::NotificationsConfig;
use crate::severity::Severity;

/// Settings of alerting.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertingConfig {
    /// Folder of the SQLite database and of the console's own certificate.
    pub data_dir: PathBuf,
    /// `postgres://user:password@host/database`; unset: SQLite in `data_dir`.
    pub database_url: Option<DatabaseUrl>,
    /// Where console and API listen. Plain HTTP on loopback, HTTPS everywhere else.
    pub listen: SocketAddr,
    /// Names by which browsers reach the console; on loopback `localhost` and addresses always do.
    /// Empty: any name, but on loopback none beside those.
    pub host_names: Vec<String>,
    /// The console's certificate.
    pub tls: TlsConfig,
    /// Which matches raise alerts.
    pub alerts: AlertsConfig,
    /// How alerts become incidents.
    pub incidents: IncidentsConfig,
    /// Within what time incidents are acknowledged, resolved and reported.
    pub clocks: ClocksConfig,
    /// How notifications leave.
    pub notifications: NotificationsConfig,
    /// How long a sign-in lasts.
    pub sessions: SessionsConfig,
    /// How many wrong passwords are too many.
    pub sign_in: SignInConfig,
    /// Where heads of the audit log go.
    pub audit: AuditConfig,
}

impl Default for AlertingConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("citywatch-data/alerting"),
            database_url: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 8787)),
            host_names: Vec::new(),
            tls: TlsConfig::default(),
            alerts: AlertsConfig::default(),
            incidents: IncidentsConfig::default(),
            clocks: ClocksConfig::default(),
            notifications: NotificationsConfig::default(),
            sessions: SessionsConfig::default(),
            sign_in: SignInConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

/// A database's address, password included: shown without it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The address as it was given. Not for logs.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Display for DatabaseUrl {
    /// Scheme, host and path; what stands before `@` or after `?` may be secret and is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let rest = rest.split_once('?').map_or(rest, |(path, _)| path);
        write!(f, "{scheme}://{rest}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<'de> Deserialize<'de> for DatabaseUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let url = String::deserialize(deserializer)?;
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(serde::de::Error::custom(
                "must begin with postgres:// (leave it out for SQLite in data_dir)",
            ));
        }
        Ok(Self(url))
    }
}

/// The console's certificate: both or none of the two.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM file with the certificate and its chain; unset: an own one is made in `data_dir`.
    pub certificate: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    pub private_key: Option<PathBuf>,
}

/// Which matches raise alerts, and which of them are one alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsConfig {
    /// Rules below this level raise none.
    pub level_min: Severity,
    /// Rules of these statuses raise none.
    pub statuses_off: Vec<String>,
    /// Ids of rules that raise none whatever their level.
    pub rules_off: Vec<String>,
    /// Ids of rules that raise alerts whatever their level.
    pub rules_on: Vec<String>,
    /// Matches of a rule on one host within one such window are one alert. Windows are aligned to the
    /// epoch, so that an alert is the same in whatever order its matches arrive.
    pub window_minutes: u32,
    /// For how long counted matches are remembered, so that a replay counts none twice.
    pub match_memory_days: u32,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            level_min: Severity::Low,
            statuses_off: vec!["deprecated".to_owned(), "unsupported".to_owned()],
            rules_off: Vec::new(),
            rules_on: Vec::new(),
            window_minutes: 15,
            match_memory_days: 30,
        }
    }
}

/// How alerts become incidents.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IncidentsConfig {
    /// An alert joins an open incident of its group when no more than this lies between their events.
    pub gap_minutes: u32,
    /// Events copied into an incident; more are counted, not copied.
    pub evidence_events_max: u32,
    /// Entities kept per incident.
    pub entities_max: u32,
    /// Alerts of other rules join an open incident of their unit that names the same host, user, address or
    /// digest, within `gap_minutes`.
    pub join_by_entities: bool,
    /// What is seen on more hosts than this within that time joins nothing.
    pub entity_hosts_max: u32,
    /// An incident of more alerts takes none in because of what they share.
    pub shared_alerts_max: u32,
    /// Nor does it grow beyond this time from its first to its last event because of it.
    pub shared_span_hours_max: u32,
}

impl Default for IncidentsConfig {
    fn default() -> Self {
        Self {
            gap_minutes: 240,
            evidence_events_max: 200,
            entities_max: 100,
            join_by_entities: true,
            entity_hosts_max: 5,
            shared_alerts_max: 500,
            shared_span_hours_max: 24,
        }
    }
}

/// How long a sign-in lasts.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// It ends after so long without a request.
    pub idle_minutes: u32,
    /// It ends after so long in any case.
    pub absolute_hours: u32,
    /// Sessions one person may have; the oldest ends when one more begins.
    pub per_user_max: u32,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            idle_minutes: 60,
            absolute_hours: 12,
            per_user_max: 20,
        }
    }
}

/// How many wrong passwords are too many, within `window_minutes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignInConfig {
    /// From one address (IPv6: one /64) for one name.
    pub failures_per_user_and_address_max: u32,
    /// From one address, whatever the name.
    pub failures_per_address_max: u32,
    /// For one name, whatever the address.
    pub failures_per_user_max: u32,
    /// The window in which they are counted.
    pub window_minutes: u32,
}

impl Default for SignInConfig {
    fn default() -> Self {
        Self {
            failures_per_user_and_address_max: 5,
            failures_per_address_max: 20,
            failures_per_user_max: 100,
            window_minutes: 15,
        }
    }
}

/// Where heads of the audit log go, beside this program's own log: at the end and every so many minutes. With a head
/// that was kept elsewhere, `citywatch audit verify` finds a cut tail.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditConfig {
    /// Between two heads.
    pub head_minutes: u32,
    /// A file that gets a line each time; belongs on another machine, by a mount or a shipper.
    pub head_file: Option<PathBuf>,
    /// A URL to which it is posted as JSON.
    pub head_webhook: Option<SecretUrl>,
    /// `udp://host:514` or `tcp://host:601`: a syslog server that gets it as a message of RFC 5424.
    pub head_syslog: Option<String>,
}

impl Default for AuditConfig {
    fn default() -> Self {
        Self {
            head_minutes: 60,
            head_file: None,
            head_webhook: None,
            head_syslog: None,
        }
    }
}

/// A URL whose path may be a key: shown without it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// The URL as it was given. Not for logs.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = rest[..end].rsplit('@').next().unwrap_or("");
        write!(f, "{scheme}://{host}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_url_is_shown_without_its_secrets() {
        let url = DatabaseUrl::from("postgres://cw:hunter2@db.example:5432/citywatch?password=x");
        assert_eq!(format!("{url:?}"), "postgres://db.example:5432/citywatch");
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = serde_json::from_str::<AlertingConfig>(r#"{"listne": "127.0.0.1:1"}"#);
        assert!(error.unwrap_err().to_string().contains("listne"));
    }
}
