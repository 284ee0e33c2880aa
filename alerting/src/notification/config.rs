//! How notifications leave: the section `[alerting.notifications]`. Where they go is set in the console.

use std::path::PathBuf;

use serde::Deserialize;

/// How notifications leave.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationsConfig {
    /// The console's address as people reach it, for links: `https://soc.example.vn`. Empty: no links.
    pub console_url: String,
    /// For so long a message that cannot be delivered is tried again.
    pub retry_hours: u32,
    /// Messages that were sent or given up are kept for so long.
    pub keep_days: u32,
    /// The mail server; unset: no e-mail.
    pub smtp: Option<SmtpConfig>,
}

impl Default for NotificationsConfig {
    fn default() -> Self {
        Self {
            console_url: String::new(),
            retry_hours: 48,
            keep_days: 90,
            smtp: None,
        }
    }
}

/// The mail server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its name.
    pub host: String,
    /// Its port; unset: 587 with STARTTLS, 465 with TLS, 25 without.
    pub port: Option<u16>,
    /// Whether what is said to it can be read on the way.
    #[serde(default)]
    pub encryption: SmtpEncryption,
    /// PEM file with certificates of authorities that may vouch for it, beside those that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// The sender: `soc@example.vn` or `Citywatch <soc@example.vn>`.
    pub from: String,
    /// Name to sign in with; unset: without.
    pub user: Option<String>,
    /// File that holds the password.
    pub password_file: Option<PathBuf>,
}

/// Encryption on the way to the mail server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpEncryption {
    /// Begins in the open and must change over.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
    /// None: for a server on the same machine or in a network of its own.
    None,
}
