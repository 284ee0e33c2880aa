//! Tells the head of the audit log to other machines: who cuts the log's end here cannot cut it there.

use std::io::Write as _;
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::time::Duration;

use citywatch_parsers::Timestamp;

use super::{Audit, AuditHead};
use crate::config::AuditConfig;
use crate::notification::post_json;

/// Facility "log audit", severity "informational" (RFC 5424).
const PRIORITY: u8 = 13 * 8 + 6;
const SYSLOG_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a head was not exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("cannot append to {path}: {source}; check [alerting.audit] head_file")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("{0}; check [alerting.audit] head_webhook")]
    Webhook(String),
    #[error("cannot send to {address}: {source}; check [alerting.audit] head_syslog")]
    Syslog {
        address: String,
        source: std::io::Error,
    },
}

impl Audit {
    /// Tells the head to this program's log and wherever else it is to go; what failed at one place is tried at the
    /// others all the same.
    pub(crate) async fn export_head(&self, config: &AuditConfig) -> Vec<ExportError> {
        let head = match self.head().await {
            Ok(Some(head)) => head,
            Ok(None) => return Vec::new(),
            Err(error) => return vec![error.into()],
        };
        let line = serde_json::to_string(&head).expect("texts and numbers always serialize");
        tracing::info!(target: "citywatch_audit_head", "{line}");
        let (config, now) = (config.clone(), self.clock.now());
        let told = tokio::task::spawn_blocking(move || tell(&config, &head, &line, now)).await;
        told.unwrap_or_default()
    }
}

/// Blocks.
fn tell(config: &AuditConfig, head: &AuditHead, line: &str, now: Timestamp) -> Vec<ExportError> {
    let mut failed = Vec::new();
    if let Some(file) = &config.head_file {
        let told = append_line(file, line);
        failed.extend(told.err().map(|source| ExportError::File {
            path: file.display().to_string(),
            source,
        }));
    }
    if let Some(url) = &config.head_webhook {
        // Who gets it checks the head's own signature.
        let id = format!("audit-head-{}", head.sequence);
        let told = post_json(url.secret(), &id, &head.signature, line);
        failed.extend(told.err().map(|error| ExportError::Webhook(error.text)));
    }
    if let Some(address) = &config.head_syslog {
        let told = send_syslog(address, line, now);
        failed.extend(told.err().map(|source| ExportError::Syslog {
            address: address.clone(),
            source,
        }));
    }
    failed
}

fn append_line(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?;
    writeln!(file, "{line}")?;
    file.sync_data()
}

/// One message of RFC 5424 to `udp://host:port` or `tcp://host:port` (framed by its length, RFC 6587).
fn send_syslog(address: &str, line: &str, now: Timestamp) -> std::io::Result<()> {
    let message = format!("<{PRIORITY}>1 {now} - citywatch - audit-head - {line}");
    let wrong = |what: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, what.to_owned());
    let (kind, place) = address
        .split_once("://")
        .ok_or_else(|| wrong("write it like udp://host:514 or tcp://host:601"))?;
    let to = place
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| wrong("the name has no address"))?;
    match kind {
        "udp" => {
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(from)?.send_to(message.as_bytes(), to)?;
            Ok(())
        }
        "tcp" => {
            let mut stream = TcpStream::connect_timeout(&to, SYSLOG_TIMEOUT)?;
            stream.set_write_timeout(Some(SYSLOG_TIMEOUT))?;
            write!(stream, "{} {message}", message.len())?;
            stream.flush()
        }
        _ => Err(wrong("write it like udp://host:514 or tcp://host:601")),
    }
}
