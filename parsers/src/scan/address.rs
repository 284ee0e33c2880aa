//! Addresses in texts.

use std::net::{IpAddr, Ipv4Addr};

use crate::bytes::{are_four_octets, four_octets};

/// An address, with or without brackets and zone index; IPv4 in IPv6's clothes is given as IPv4.
pub(crate) fn ip(text: &str) -> Option<IpAddr> {
    let text = without_brackets(text);
    match ipv4(text.as_bytes()) {
        Some(address) => Some(IpAddr::V4(address)),
        None => longer_ip(text),
    }
}

/// Whether it is an address, as [`ip`].
pub(crate) fn is_ip(text: &str) -> bool {
    let text = without_brackets(text);
    are_four_octets(text.as_bytes()) || longer_ip(text).is_some()
}

#[inline]
fn without_brackets(text: &str) -> &str {
    match text.as_bytes() {
        [b'[', .., b']'] => &text[1..text.len() - 1],
        _ => text,
    }
}

/// An address that is not four octets.
fn longer_ip(text: &str) -> Option<IpAddr> {
    // The cheapest way to say no to the many words that are none.
    if !text
        .as_bytes()
        .first()
        .is_some_and(|byte| byte.is_ascii_hexdigit() || *byte == b':')
    {
        return None;
    }
    let text = text.split_once('%').map_or(text, |(address, _)| address);
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

/// As the standard library reads it, and faster.
#[inline]
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    four_octets(text).map(Ipv4Addr::from)
}

/// An address and a port: `1.2.3.4:80`, `[::1]:80`, `::ffff:1.2.3.4:80`.
pub(crate) fn ip_and_port(text: &str) -> Option<(&str, &str)> {
    let (address, port) = text.rsplit_once(':')?;
    let port_ok =
        !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    let address = address
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(address);
    (port_ok && is_ip(address)).then_some((address, port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_have_many_forms() {
        assert_eq!(ip("::ffff:1.2.3.4"), ip("1.2.3.4"));
        assert!(ip("fe80::1%eth0").is_some() && ip("[::1]").is_some());
        assert!(ip("example.com").is_none() && ip("").is_none() && ip("1.2.3").is_none());
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "256.1.1.1",
            "01.2.3.4",
            "1.2.3.4.",
            "1.2.3.4.5",
            "1..2.3",
            "1.2.3.1000",
            "1.2.3.04",
            "001.2.3.4",
            "1.2.3.",
            ".1.2.3",
            "1.2.3.4a",
            "1.2.3:4",
            "111.222.33.44",
            "199.200.249.250",
            "255.255.255.256",
            "1234.1.1.1",
            "1.1.1.1234",
            "1.22.333.4",
            "1.2.3",
            "1.1.1.1.",
            "1.1.1\x001",
            "10.20.30.40 ",
        ] {
            assert_eq!(ipv4(text.as_bytes()), text.parse().ok(), "{text}");
            assert_eq!(is_ip(text), ip(text).is_some(), "{text}");
        }
        assert_eq!(ip_and_port("[::1]:80"), Some(("::1", "80")));
        assert_eq!(ip_and_port("1.2.3.4:80"), Some(("1.2.3.4", "80")));
        assert_eq!(ip_and_port("host:80"), None);
    }

    proptest! {
        #[test]
        fn addresses_are_told_by_their_shape(
            text in "([0-2]?[0-9]?[0-9][.]){3}[0-2]?[0-9]?[0-9]|[0-9.]{6,16}|([0-9]{1,4}[.:]){2,4}[0-9]{0,3}|25[0-9][.]2[4-6][0-9][.][0-9]{1,3}[.]25[4-7]",
        ) {
            let is_one = text.parse::<Ipv4Addr>().is_ok();
            prop_assert_eq!(are_four_octets(text.as_bytes()), is_one);
            prop_assert_eq!(ipv4(text.as_bytes()).is_some(), is_one);
        }
    }
}
