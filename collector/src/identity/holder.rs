//! Whom a certificate names, as a URI among its subject's alternative names:
//!
//! ```text
//! citywatch://unit/hcmc/linh-xuan/agent/web01     speaks for hcmc/linh-xuan
//! citywatch://unit/hcmc/linh-xuan/relay/gw01      ... and for all units below it
//! ```
//! Bytes beyond letters, digits and `-._~` are percent-encoded (RFC 3986), in the unit all but the slash.

use std::fmt;

use citywatch_parsers::{AgentId, UnitId};

const SCHEME: &str = "citywatch://unit/";
/// Longest name of a unit or an agent, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Which units a certificate vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// The holder's own.
    Unit,
    /// The holder's own and those below it: of a relay, which receives for others.
    Below,
}

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    unit: UnitId,
    agent: AgentId,
    reach: Reach,
}

/// Why something names no holder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HolderError {
    /// A unit's id that cannot be one.
    #[error(
        "unit \"{unit}\": a unit's id has 1 to {NAME_BYTES_MAX} bytes, no control characters, and no empty part between slashes"
    )]
    Unit {
        /// As given.
        unit: String,
    },
    /// An agent's name that cannot be one.
    #[error(
        "agent \"{agent}\": an agent's name has 1 to {NAME_BYTES_MAX} bytes and no control characters"
    )]
    Agent {
        /// As given.
        agent: String,
    },
    /// Another kind of URI.
    #[error("\"{uri}\" is not of the form {SCHEME}<unit>/agent/<name>")]
    Uri {
        /// As given.
        uri: String,
    },
}

impl Holder {
    /// The agent `agent` of `unit`.
    ///
    /// # Errors
    /// For names that cannot be ones.
    pub fn new(unit: &str, agent: &str, reach: Reach) -> Result<Self, HolderError> {
        if !is_name(unit) || unit.split('/').any(str::is_empty) {
            return Err(HolderError::Unit { unit: shown(unit) });
        }
        if !is_name(agent) {
            return Err(HolderError::Agent {
                agent: shown(agent),
            });
        }
        Ok(Self {
            unit: unit.into(),
            agent: agent.into(),
            reach,
        })
    }

    /// Whom a URI names.
    ///
    /// # Errors
    /// [`HolderError`]; what a certificate says is checked as strictly as what people type.
    pub fn from_uri(uri: &str) -> Result<Self, HolderError> {
        let wrong = || HolderError::Uri { uri: shown(uri) };
        let rest = uri.strip_prefix(SCHEME).ok_or_else(wrong)?;
        let (rest, agent) = rest.rsplit_once('/').ok_or_else(wrong)?;
        let (unit, kind) = rest.rsplit_once('/').ok_or_else(wrong)?;
        let reach = match kind {
            "agent" => Reach::Unit,
            "relay" => Reach::Below,
            _ => return Err(wrong()),
        };
        let unit = decode(unit).ok_or_else(wrong)?;
        let agent = decode(agent).ok_or_else(wrong)?;
        Self::new(&unit, &agent, reach)
    }

    /// The URI that names it.
    pub fn uri(&self) -> String {
        let kind = match self.reach {
            Reach::Unit => "agent",
            Reach::Below => "relay",
        };
        let unit: Vec<String> = self.unit.as_str().split('/').map(encode).collect();
        format!(
            "{SCHEME}{}/{kind}/{}",
            unit.join("/"),
            encode(self.agent.as_str())
        )
    }

    /// The office.
    pub fn unit(&self) -> &UnitId {
        &self.unit
    }

    /// The agent's name, unique in the city.
    pub fn agent(&self) -> &AgentId {
        &self.agent
    }

    /// Which units it vouches for.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether it may speak for `unit`.
    pub fn vouches_for(&self, unit: &str) -> bool {
        let own = self.unit.as_str();
        unit == own
            || self.reach == Reach::Below
                && unit
                    .strip_prefix(own)
                    .is_some_and(|below| below.starts_with('/'))
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.agent, self.unit)
    }
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control)
}

/// What is wrong may be of any length; a message is not.
fn shown(name: &str) -> String {
    name.chars().take(NAME_BYTES_MAX + 1).collect()
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_names_the_same_holder_again() {
        for (unit, agent, reach, uri) in [
            (
                "hcmc/linh-xuan",
                "web01",
                Reach::Unit,
                "citywatch://unit/hcmc/linh-xuan/agent/web01",
            ),
            (
                "hcmc",
                "gw01",
                Reach::Below,
                "citywatch://unit/hcmc/relay/gw01",
            ),
            (
                "a/agent/b",
                "agent",
                Reach::Unit,
                "citywatch://unit/a/agent/b/agent/agent",
            ),
            (
                "phường 1",
                "a/b%",
                Reach::Unit,
                "citywatch://unit/ph%C6%B0%E1%BB%9Dng%201/agent/a%2Fb%25",
            ),
        ] {
            let holder = Holder::new(unit, agent, reach).unwrap();
            assert_eq!(holder.uri(), uri);
            assert_eq!(Holder::from_uri(uri).unwrap(), holder);
        }
    }

    #[test]
    fn what_names_nobody_is_refused() {
        for uri in [
            "https://unit/a/agent/b",
            "citywatch://unit/a/b",
            "citywatch://unit//agent/b",
            "citywatch://unit/a//b/agent/c",
            "citywatch://unit/a/agent/",
            "citywatch://unit/a/server/b",
            "citywatch://unit/a%0A/agent/b",
            "citywatch://unit/a%f/agent/b",
            "citywatch://unit/%FF/agent/b",
        ] {
            assert!(Holder::from_uri(uri).is_err(), "{uri}");
        }
        assert!(Holder::new("a", &"x".repeat(201), Reach::Unit).is_err());
    }

    #[test]
    fn only_a_relay_speaks_for_units_below_its_own() {
        let agent = Holder::new("hcmc/thu-duc", "a", Reach::Unit).unwrap();
        let relay = Holder::new("hcmc/thu-duc", "a", Reach::Below).unwrap();
        for (unit, by_agent, by_relay) in [
            ("hcmc/thu-duc", true, true),
            ("hcmc/thu-duc/linh-xuan", false, true),
            ("hcmc/thu-duc-2", false, false),
            ("hcmc", false, false),
            ("", false, false),
        ] {
            assert_eq!(agent.vouches_for(unit), by_agent, "{unit}");
            assert_eq!(relay.vouches_for(unit), by_relay, "{unit}");
        }
    }
}
