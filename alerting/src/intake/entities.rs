//! Whom and what an incident is about: hosts, users and addresses, read from the fields of its events.

use std::collections::BTreeSet;
use std::net::IpAddr;

use citywatch_engine::EventSnapshot;
use serde_json::Value;

use crate::database::storable;

/// A kind of entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntityKind {
    Address,
    Host,
    User,
}

impl EntityKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Host => "host",
            Self::User => "user",
        }
    }
}

/// Longer values are no names.
const VALUE_BYTES_MAX: usize = 256;

/// Field names, lower-case, that hold users: of Windows and Sysmon, Linux, web servers, clouds.
const USER_FIELDS: &[&str] = &[
    "user",
    "username",
    "user_name",
    "targetusername",
    "subjectusername",
    "accountname",
    "samaccountname",
    "acct",
    "ruser",
    "sudo_user",
    "target_user",
    "remote_user",
    "cs-username",
    "useridentity.username",
];

/// Field names, lower-case, that hold addresses.
const ADDRESS_FIELDS: &[&str] = &[
    "src_ip",
    "dst_ip",
    "source_address",
    "destination_address",
    "sourceip",
    "destinationip",
    "sourceaddress",
    "destaddress",
    "ipaddress",
    "clientaddress",
    "client_ip",
    "clientip",
    "c-ip",
    "remote_addr",
    "rhost",
    "addr",
    "id.orig_h",
    "id.resp_h",
    "sourceipaddress",
];

/// Field names, lower-case, that hold hosts beside the event's own.
const HOST_FIELDS: &[&str] = &[
    "computer",
    "computername",
    "workstationname",
    "destinationhostname",
];

/// Values that say "none".
const NOBODY: &[&str] = &["", "-", "?", "(unknown)", "(none)", "unset", "null"];

/// Adds an event's entities to `found`.
pub(crate) fn collect(event: &EventSnapshot, found: &mut BTreeSet<(EntityKind, String)>) {
    add(EntityKind::Host, &event.host, found);
    for (name, value) in &event.fields {
        let Some(kind) = kind_of(name) else { continue };
        match value.as_str() {
            Some(text) => add(kind, text, found),
            None => {
                let value = value.to_json();
                let values = value.as_array().into_iter().flatten();
                values
                    .filter_map(Value::as_str)
                    .for_each(|text| add(kind, text, found));
            }
        }
    }
}

fn kind_of(field: &str) -> Option<EntityKind> {
    let is = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(field));
    if is(ADDRESS_FIELDS) {
        Some(EntityKind::Address)
    } else if is(USER_FIELDS) {
        Some(EntityKind::User)
    } else if is(HOST_FIELDS) {
        Some(EntityKind::Host)
    } else {
        None
    }
}

fn add(kind: EntityKind, value: &str, found: &mut BTreeSet<(EntityKind, String)>) {
    let value = value.trim();
    if value.len() > VALUE_BYTES_MAX || NOBODY.contains(&value.to_ascii_lowercase().as_str()) {
        return;
    }
    let value = match kind {
        EntityKind::Address => match canonical_address(value) {
            Some(address) => address,
            None => return,
        },
        EntityKind::Host | EntityKind::User => storable(value).into_owned(),
    };
    found.insert((kind, value));
}

/// An address as text, mapped IPv4 as IPv4; none for what is no address or names no other machine.
fn canonical_address(text: &str) -> Option<String> {
    let address: IpAddr = text.trim_matches(['[', ']']).parse().ok()?;
    let address = address.to_canonical();
    (!address.is_unspecified() && !address.is_loopback()).then(|| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_canonical_and_point_elsewhere() {
        assert_eq!(
            canonical_address("::ffff:203.0.113.5").as_deref(),
            Some("203.0.113.5")
        );
        assert_eq!(
            canonical_address("[2001:DB8::1]").as_deref(),
            Some("2001:db8::1")
        );
        for none in ["127.0.0.1", "::1", "0.0.0.0", "web-01", ""] {
            assert_eq!(canonical_address(none), None, "{none}");
        }
    }

    #[test]
    fn placeholders_are_nobody() {
        let mut found = BTreeSet::new();
        for value in ["-", "", " ? ", "root"] {
            add(EntityKind::User, value, &mut found);
        }
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [(EntityKind::User, "root".to_owned())]
        );
    }
}
