//! Whom and what an incident is about: hosts, users, addresses, files and hashes, read from the fields of its events.

use std::collections::BTreeSet;
use std::net::IpAddr;

use citywatch_engine::{EventSnapshot, Match};
use serde_json::Value;

use crate::database::storable;

/// A kind of entity; where not all can be kept, the first kinds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EntityKind {
    Host,
    User,
    Address,
    Hash,
    File,
}

impl EntityKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::File => "file",
            Self::Hash => "hash",
            Self::Host => "host",
            Self::User => "user",
        }
    }

    /// The kind of that name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [
            Self::Address,
            Self::File,
            Self::Hash,
            Self::Host,
            Self::User,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
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

/// Field names, lower-case, that hold paths of files: what was run, written or loaded.
const FILE_FIELDS: &[&str] = &[
    "image",
    "targetfilename",
    "imageloaded",
    "newprocessname",
    "exe",
    "file_path",
    "filepath",
    "file_name",
    "filename",
    "process.executable",
    "file.path",
];

/// Field names, lower-case, that hold digests; Sysmon writes several into one: `SHA256=...,IMPHASH=...`.
const HASH_FIELDS: &[&str] = &[
    "hashes",
    "hash",
    "md5",
    "sha1",
    "sha256",
    "imphash",
    "file_hash",
    "file.hash.sha256",
    "file.hash.md5",
    "process.hash.sha256",
];

/// Values that say "none".
const NOBODY: &[&str] = &["", "-", "?", "(unknown)", "(none)", "unset", "null"];

/// The entities of matches.
pub(super) fn of_matches(matches: &[&Match]) -> BTreeSet<(EntityKind, String)> {
    let mut found = BTreeSet::new();
    for evidence in matches.iter().flat_map(|found| &found.evidence) {
        collect(&evidence.event, &mut found);
    }
    found
}

/// The entities of a stored event: its host, and what its fields name.
pub(crate) fn of_event(host: &str, fields: &[(String, Value)]) -> BTreeSet<(EntityKind, String)> {
    let mut found = BTreeSet::new();
    add(EntityKind::Host, host, &mut found);
    for (name, value) in fields {
        let Some(kind) = kind_of(name) else { continue };
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for text in values.iter().filter_map(Value::as_str) {
            add(kind, text, &mut found);
        }
    }
    found
}

/// What the values of a field name, as the query language calls it; none where they are nobody and nothing.
pub(crate) fn kind_of_name(name: &str) -> Option<EntityKind> {
    match name {
        "host" => Some(EntityKind::Host),
        "process" | "parent_process" => Some(EntityKind::File),
        name => kind_of(name),
    }
}

/// The entity that a value of a field names.
pub(crate) fn of_value(kind: EntityKind, value: &str) -> Option<String> {
    let mut found = BTreeSet::new();
    add(kind, value, &mut found);
    found.pop_first().map(|(_, value)| value)
}

/// Adds an event's entities to `found`.
fn collect(event: &EventSnapshot, found: &mut BTreeSet<(EntityKind, String)>) {
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
    } else if is(FILE_FIELDS) {
        Some(EntityKind::File)
    } else if is(HASH_FIELDS) {
        Some(EntityKind::Hash)
    } else {
        None
    }
}

fn add(kind: EntityKind, value: &str, found: &mut BTreeSet<(EntityKind, String)>) {
    if kind == EntityKind::Hash {
        found.extend(digests(value).map(|digest| (kind, digest)));
        return;
    }
    let value = value.trim();
    if value.len() > VALUE_BYTES_MAX || NOBODY.contains(&value.to_ascii_lowercase().as_str()) {
        return;
    }
    let value = match kind {
        EntityKind::Address => match canonical_address(value) {
            Some(address) => address,
            None => return,
        },
        // A name without a folder says little, and Windows does not care about case.
        EntityKind::File if value.contains('\\') => storable(&value.to_lowercase()).into_owned(),
        EntityKind::File if !value.contains('/') => return,
        _ => storable(value).into_owned(),
    };
    found.insert((kind, value));
}

/// The digests in a value: 32, 40 or 64 hexadecimal digits, alone or as `NAME=digest`, with commas between; those of
/// nothing (an empty file, all zeros) name no file.
fn digests(value: &str) -> impl Iterator<Item = String> {
    value
        .split([',', ';', ' '])
        .filter_map(|part| {
            let digest = part.rsplit(['=', ':']).next().unwrap_or("").trim();
            let fits = matches!(digest.len(), 32 | 40 | 64)
                && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
            fits.then(|| digest.to_ascii_lowercase())
        })
        .filter(|digest| {
            !digest.bytes().all(|byte| byte == b'0') && !OF_NOTHING.contains(&digest.as_str())
        })
}

/// MD5, SHA-1 and SHA-256 of no bytes.
const OF_NOTHING: &[&str] = &[
    "d41d8cd98f00b204e9800998ecf8427e",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

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
    fn files_and_digests_are_read() {
        let mut found = BTreeSet::new();
        add(EntityKind::File, r"C:\Users\An\Evil.EXE", &mut found);
        add(EntityKind::File, "/tmp/Evil", &mut found);
        add(EntityKind::File, "evil.exe", &mut found);
        let md5 = "0123456789ABCDEF0123456789abcdef";
        let hashes = format!("MD5={md5},IMPHASH=00000000000000000000000000000000,SHA1=short");
        add(EntityKind::Hash, &hashes, &mut found);
        add(EntityKind::Hash, OF_NOTHING[2], &mut found);
        let found: Vec<_> = found.into_iter().collect();
        assert_eq!(
            found,
            [
                (EntityKind::Hash, md5.to_lowercase()),
                (EntityKind::File, "/tmp/Evil".to_owned()),
                (EntityKind::File, r"c:\users\an\evil.exe".to_owned()),
            ]
        );
    }

    #[test]
    fn a_stored_event_has_the_same_entities() {
        let fields = [
            ("Image", serde_json::json!(r"C:\Windows\Cmd.exe")),
            ("IpAddress", serde_json::json!(["::ffff:203.0.113.5", 7])),
            ("pid", serde_json::json!("12")),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let found: Vec<_> = of_event("web-01", &fields).into_iter().collect();
        assert_eq!(
            found,
            [
                (EntityKind::Host, "web-01".to_owned()),
                (EntityKind::Address, "203.0.113.5".to_owned()),
                (EntityKind::File, r"c:\windows\cmd.exe".to_owned()),
            ]
        );
        assert_eq!(kind_of_name("process"), Some(EntityKind::File));
        assert_eq!(of_value(EntityKind::File, "sshd"), None);
        let same = of_value(EntityKind::File, r"C:\Windows\Cmd.exe");
        assert_eq!(same.as_deref(), Some(r"c:\windows\cmd.exe"));
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
