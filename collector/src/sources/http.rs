//! Records over HTTP: a record per line to `/`, and Elastic's `_bulk`, so that Beats can send.
//!
//! A sender is answered when its records are durable in the spool. What it then sends again, because
//! the answer was lost, is taken again: HTTP gives records no identity.

mod body;
mod bulk;
mod connections;
mod server;
mod sign_in;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::senders::{SenderSettings, network_problems};
use super::tls::ListenTls;
use crate::spool::WhenFull;

pub(crate) use server::{Bound, bind, serve};
pub use sign_in::SignIn;

/// An address to listen on for HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// Address and port, for example `127.0.0.1:9200`.
    pub listen: SocketAddr,
    /// Name of the format in the parsers' table, or `auto`.
    #[serde(default = "super::auto")]
    pub format: String,
    /// The office of all senders that `units` does not name; the agent's own if absent.
    #[serde(default)]
    pub unit: Option<String>,
    /// The offices by the senders' networks; the narrowest wins.
    #[serde(default)]
    pub units: BTreeMap<String, String>,
    /// Most bytes a request may have, unpacked.
    #[serde(default = "default_body_bytes_max")]
    pub body_bytes_max: usize,
    /// What is masked of its records; as `[masking]` says if absent.
    #[serde(default)]
    pub mask: Option<Vec<String>>,
    /// What happens when its records fill their spool: with this, they have one of their own; without, that of `[spool]`.
    #[serde(default)]
    pub when_full: Option<WhenFull>,
    /// Certificate and key; without them the address speaks plain HTTP.
    #[serde(default)]
    pub tls: Option<ListenTls>,
    /// What senders must know; without it anyone who reaches the address may send.
    #[serde(default)]
    pub sign_in: Option<SignIn>,
}

const BODY_BYTES_MAX: usize = 64 << 20;

impl HttpConfig {
    /// What makes no sense, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = network_problems(&self.units);
        if !(1..=BODY_BYTES_MAX).contains(&self.body_bytes_max) {
            let found = self.body_bytes_max;
            problems.push(format!(
                "body_bytes_max: {found} is out of range; choose 1 to {BODY_BYTES_MAX}"
            ));
        }
        problems.extend(self.tls.as_ref().and_then(ListenTls::problem));
        let sign_in = self.sign_in.iter().flat_map(SignIn::problems);
        problems.extend(sign_in.map(|problem| format!("sign_in.{problem}")));
        problems
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
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

fn default_body_bytes_max() -> usize {
    16 << 20
}

#[cfg(test)]
mod tests;
