//! Whose a message of others' is: the office by the address of the device that it tells of.
//!
//! Devices without an agent send to a relay, and the relay to Kafka. Its topic's settings say which addresses are whose.
//! The address is taken from where relays put it, never the office itself: what a payload claims to be of is not
//! believed.

use std::net::IpAddr;

use memchr::memmem;

/// Longest address in a text, `::ffff:255.255.255.255` with room for a port.
const ADDRESS_BYTES_MAX: usize = 64;
/// Where in a message a host is looked for that is not JSON.
const HEAD_BYTES: usize = 256;

/// Names under which relays put the sender's address into JSON, and no log its own: rsyslog, Vector, syslog-ng, NXLog.
const ADDRESS_NAMES: [&str; 4] = [
    "fromhost-ip",
    "source_ip",
    "SOURCEIP",
    "MessageSourceAddress",
];

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AddressRange {
    /// IPv4 addresses are mapped.
    base: u128,
    bits: u32,
}

impl AddressRange {
    /// `10.20.0.0/16`, `2001:db8::/32`, or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.trim().parse().ok()?;
        let (width, before) = match address {
            IpAddr::V4(_) => (32, 96),
            IpAddr::V6(_) => (128, 0),
        };
        let length = length.unwrap_or(width);
        let range = Self {
            base: mapped(address),
            bits: before + length,
        };
        (length <= width && range.base & !range.mask() == 0).then_some(range)
    }

    fn mask(self) -> u128 {
        u128::MAX.checked_shl(128 - self.bits).unwrap_or(0)
    }

    fn holds(self, address: IpAddr) -> bool {
        mapped(address) & self.mask() == self.base
    }
}

/// Offices by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnitsByAddress {
    ranges: Vec<(AddressRange, String)>,
    /// The member that holds the address, where it is none of the usual.
    field: Option<String>,
}

impl UnitsByAddress {
    /// From a topic's settings, which were checked.
    pub(crate) fn new<'s>(
        settings: impl Iterator<Item = (&'s String, &'s String)>,
        field: Option<String>,
    ) -> Self {
        let mut ranges: Vec<_> = settings
            .filter_map(|(range, unit)| Some((AddressRange::parse(range)?, unit.clone())))
            .collect();
        // The narrowest range decides.
        ranges.sort_by_key(|(range, _)| std::cmp::Reverse(range.bits));
        Self { ranges, field }
    }

    /// The office of a message, if its sender's address is of a range.
    pub(crate) fn unit_of(&self, key: Option<&[u8]>, payload: &[u8]) -> Option<&str> {
        if self.ranges.is_empty() {
            return None;
        }
        let address = key
            .and_then(address_of)
            .or_else(|| sender_of(payload, self.field.as_deref()))?;
        let mut ranges = self.ranges.iter();
        let (_, unit) = ranges.find(|(range, _)| range.holds(address))?;
        Some(unit)
    }
}

fn mapped(address: IpAddr) -> u128 {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    u128::from(address)
}

/// The address that a relay noted beside the message.
fn sender_of(payload: &[u8], field: Option<&str>) -> Option<IpAddr> {
    if payload.trim_ascii_start().first() == Some(&b'{') {
        if let Some(field) = field {
            return in_json(payload, field);
        }
        return ADDRESS_NAMES.iter().find_map(|name| in_json(payload, name));
    }
    // The host in the header of a syslog line.
    if payload.first() != Some(&b'<') {
        return None;
    }
    let head = &payload[..payload.len().min(HEAD_BYTES)];
    let mut words = head
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .take(4);
    words.find_map(address_of)
}

/// The address in the text of the first member of this name, at whatever depth.
fn in_json(payload: &[u8], name: &str) -> Option<IpAddr> {
    let quoted = format!("\"{name}\"");
    memmem::find_iter(payload, quoted.as_bytes()).find_map(|at| {
        let rest = payload[at + quoted.len()..].trim_ascii_start();
        let value = rest.strip_prefix(b":")?.trim_ascii_start();
        let value = value.strip_prefix(b"\"")?;
        let end = value
            .iter()
            .take(ADDRESS_BYTES_MAX)
            .position(|byte| *byte == b'"')?;
        address_of(&value[..end])
    })
}

/// An address, with a port behind it or without.
fn address_of(text: &[u8]) -> Option<IpAddr> {
    if text.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?.trim_matches(['[', ']']);
    let plain = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|at| at.ip());
    plain()
        .or_else(with_port)
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn units() -> UnitsByAddress {
        let settings = BTreeMap::from([
            ("10.20.0.0/16".to_owned(), "district".to_owned()),
            ("10.20.7.0/24".to_owned(), "ward-7".to_owned()),
            ("2001:db8:7::/48".to_owned(), "ward-7".to_owned()),
            ("192.0.2.9".to_owned(), "camera".to_owned()),
        ]);
        UnitsByAddress::new(settings.iter(), None)
    }

    #[test]
    fn the_narrowest_range_decides() {
        let units = units();
        let of = |payload: &str| units.unit_of(None, payload.as_bytes()).map(str::to_owned);
        let ward = Some("ward-7".to_owned());
        assert_eq!(of(r#"{"msg":"x","fromhost-ip":"10.20.7.4"}"#), ward);
        assert_eq!(of(r#"{"x":{"source_ip" : "10.20.7.4:40112"}}"#), ward);
        assert_eq!(of(r#"{"source_ip":"2001:db8:7::5"}"#), ward);
        assert_eq!(of(r#"{"source_ip":"::ffff:10.20.7.4"}"#), ward);
        assert_eq!(
            of(r#"{"source_ip":"10.20.8.4"}"#).as_deref(),
            Some("district")
        );
        assert_eq!(
            of("<38>Nov 22 10:15:01 192.0.2.9 login: x").as_deref(),
            Some("camera")
        );
        assert_eq!(of("<38>1 2026-11-22T10:15:01Z 10.20.7.4 sshd - - x"), ward);
        assert_eq!(units.unit_of(Some(b"10.20.7.4"), b"{}"), Some("ward-7"));
        // Nobody's, and what only claims to be somebody's.
        assert_eq!(of(r#"{"source_ip":"198.51.100.1","unit":"ward-7"}"#), None);
        assert_eq!(of("no address at all"), None);
        assert_eq!(of("{\"source_ip\":\"10.20.7.4"), None);
        assert_eq!(of(r#"{"ip":"10.20.7.4"}"#), None);
        assert_eq!(of("login from 10.20.7.4"), None);
        // Where the settings say so, another member tells.
        let settings = BTreeMap::from([("10.20.7.0/24".to_owned(), "ward-7".to_owned())]);
        let units = UnitsByAddress::new(settings.iter(), Some("ip".to_owned()));
        let payload = br#"{"agent":{"ip":"10.20.7.4"},"source_ip":"10.9.9.9"}"#;
        assert_eq!(units.unit_of(None, payload), Some("ward-7"));
    }

    #[test]
    fn ranges_are_read_strictly() {
        for right in [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "::/0",
            "10.1.2.3",
            "2001:db8::/32",
        ] {
            assert!(AddressRange::parse(right).is_some(), "{right}");
        }
        for wrong in [
            "10.0.0.1/8",
            "10.0.0.0/33",
            "x",
            "",
            "10.0.0.0/",
            "2001:db8::1/32",
        ] {
            assert_eq!(AddressRange::parse(wrong), None, "{wrong}");
        }
        assert!(
            AddressRange::parse("0.0.0.0/0")
                .unwrap()
                .holds("9.9.9.9".parse().unwrap())
        );
        assert!(
            !AddressRange::parse("0.0.0.0/0")
                .unwrap()
                .holds("2001:db8::1".parse().unwrap())
        );
    }
}
