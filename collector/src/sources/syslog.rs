//! Syslog from devices that have no agent: UDP and TCP, IPv4 and IPv6.
//!
//! What arrives here cannot be read again, so it goes to a spool first. Each sender's address is a
//! stream of its own; its records are numbered from the listener's start, which is part of the
//! stream's name. TCP messages are framed by a line end or by their length (RFC 6587, 3.4).

mod framing;
mod listener;
mod senders;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

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
}

/// How syslog travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// One message per datagram.
    Udp,
    /// Lines or counted messages.
    Tcp,
}

impl Protocol {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

impl SyslogConfig {
    /// What makes no sense, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.protocols.is_empty() {
            problems.push("protocols: empty; choose `udp`, `tcp` or both".into());
        }
        for network in self
            .units
            .keys()
            .filter(|network| parse_network(network).is_none())
        {
            problems.push(format!(
                "units: `{network}` is not a network; write it as `10.7.0.0/16`"
            ));
        }
        problems
    }

    /// The office of a sender, if this configuration names it.
    fn unit_of(&self, sender: IpAddr) -> Option<&str> {
        let networks = self
            .units
            .iter()
            .filter_map(|(network, unit)| Some((parse_network(network)?, unit)));
        let holding = networks.filter(|((address, bits), _)| holds(*address, *bits, sender));
        let narrowest = holding
            .max_by_key(|((_, bits), _)| *bits)
            .map(|(_, unit)| unit.as_str());
        narrowest.or(self.unit.as_deref())
    }
}

fn default_protocols() -> Vec<Protocol> {
    vec![Protocol::Udp, Protocol::Tcp]
}

fn default_format() -> String {
    "syslog".into()
}

/// An address as 128 bits; IPv4 is mapped, so that one comparison does for both.
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A network's address and how many of its 128 bits count.
fn parse_network(text: &str) -> Option<(u128, u32)> {
    let (address, length) = text.split_once('/')?;
    let (address, length) = (address.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?);
    let (above, most) = if address.is_ipv4() {
        (96, 32)
    } else {
        (0, 128)
    };
    (length <= most).then(|| (bits_of(address), above + length))
}

fn holds(network: u128, bits: u32, sender: IpAddr) -> bool {
    (network ^ bits_of(sender)).leading_zeros() >= bits
}

#[cfg(test)]
mod tests;
