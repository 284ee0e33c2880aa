//! A socket's address as the kernel holds it, which auditd logs in hexadecimal.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address and port of `struct sockaddr_in` or `sockaddr_in6` (Linux, little endian).
pub(super) fn internet_address(bytes: &[u8]) -> Option<(IpAddr, u16)> {
    const INET: [u8; 2] = [2, 0];
    const INET6: [u8; 2] = [10, 0];
    let port = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    match [bytes[0], bytes[1]] {
        INET => {
            let octets: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some((IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        INET6 => {
            let octets: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some((IpAddr::V6(Ipv6Addr::from(octets)).to_canonical(), port))
        }
        _ => None,
    }
}
