//! Syslog from devices that have no agent: UDP, TCP and TLS (RFC 5425), IPv4 and IPv6.
//!
//! What arrives here cannot be read again, so it goes to a spool first. Each sender's address is a
//! stream of its own; its records are numbered from the listener's start, which is part of the
//! stream's name. TCP messages are framed by a line end or by their length (RFC 6587, 3.4).

mod framing;
mod listener;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::senders::{SenderSettings, network_problems};
use super::tls::ListenTls;
use crate::spool::WhenFull;

pub(crate) use listener::{Bound, bind, serve};

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// Address and port, for example `0.0.0.0:514` or `[::]:514`.
    pub listen: SocketAddr,
    /// What to listen for.
    #[serde(default = "default_protocols")]
    pub protocols: Vec<Protocol>,
    /// Name of the format in the parsers' table.
    #[serde(default = "default_format")]
    pub format: String,
    /// The office of all senders that `units` does not name; the agent's own if absent.
    #[serde(default)]
    pub unit: Option<String>,
    /// The offices by the senders' networks, for example `"10.7.0.0/16" = "ward-7"`; the narrowest wins.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// What is masked of its records; as `[masking]` says if absent.
    #[serde(default)]
    pub mask: Option<Vec<String>>,
    /// What happens when its records fill their spool: with this, they have one of their own; without, that of `[spool]`.
    #[serde(default)]
    pub when_full: Option<WhenFull>,
    /// Certificate and key for the protocol `tls`.
    #[serde(default)]
    pub tls: Option<ListenTls>,
}

/// How syslog travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One message per datagram.
    Udp,
    /// Lines or counted messages.
    Tcp,
    /// The same within TLS.
    Tls,
}

impl Protocol {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}

impl SyslogConfig {
    /// What makes no sense, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.protocols.is_empty() {
            problems.push("protocols: empty; choose of `udp`, `tcp` and `tls`".into());
        }
        let (is_tcp, is_tls) = (self.has(Protocol::Tcp), self.has(Protocol::Tls));
        if is_tcp && is_tls && self.listen.port() != 0 {
            problems.push(
                "protocols: `tcp` and `tls` cannot share a port; give each a section of its own"
                    .into(),
            );
        }
        if is_tls && self.tls.is_none() {
            problems.push("tls: missing; name `certificate` and `key`".into());
        }
        if !is_tls && self.tls.is_some() {
            problems.push("tls: not used; add `tls` to `protocols`".into());
        }
        problems.extend(self.tls.as_ref().and_then(ListenTls::problem));
        problems.extend(network_problems(&self.units));
        problems
    }

    fn has(&self, protocol: Protocol) -> bool {
        self.protocols.contains(&protocol)
    }

    fn senders(&self) -> SenderSettings {
        SenderSettings {
            listen: self.listen,
            format: self.format.clone(),
            unit: self.unit.clone(),
            units: self.units.clone(),
        }
    }
}

fn default_protocols() -> Vec<Protocol> {
    vec![Protocol::Udp, Protocol::Tcp]
}

fn default_format() -> String {
    "syslog".into()
}

#[cfg(test)]
mod tests;
