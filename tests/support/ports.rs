//! Ports of loopback for programs under test.
//!
//! A port that the system gives for 0 is one of those that outgoing connections get as well: between the
//! question and the program's start somebody else may have it. These ports lie beside that range, and each
//! is claimed by a name that every test process of the machine sees, until the process ends.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this module"
)]

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};

/// Ports worth the name of a choice.
const PORTS_MIN: u16 = 2_000;

/// What this process has claimed, and where it looks next.
struct Claims {
    names: Vec<UnixDatagram>,
    next: Option<u16>,
}

static CLAIMS: Mutex<Claims> = Mutex::new(Claims {
    names: Vec::new(),
    next: None,
});

/// A port that nobody listens on, over TCP and UDP, and that no other test gets.
pub fn free_port() -> u16 {
    free_ports_in_a_row(1)
}

/// The first of `count` such ports in a row.
pub fn free_ports_in_a_row(count: u16) -> u16 {
    let range = beside_outgoing_connections();
    let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in range.clone() {
        let first = claims.next.unwrap_or_else(|| {
            // Processes that start together begin at different places.
            let offset = std::process::id().wrapping_mul(97) % u32::from(range.end - range.start);
            range.start + u16::try_from(offset).unwrap()
        });
        let wraps = first + count >= range.end - count;
        claims.next = Some(if wraps { range.start } else { first + count });
        let names: Option<Vec<_>> = (first..first + count).map(claim).collect();
        if let Some(names) = names {
            claims.names.extend(names);
            return first;
        }
    }
    panic!("no port from {range:?} is free");
}

/// The claim of a port that is free; it lasts as long as the socket.
fn claim(port: u16) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("citywatch-test-port-{port}")).unwrap();
    let claimed = match UnixDatagram::bind_addr(&name) {
        Ok(claimed) => claimed,
        Err(error) if error.kind() == ErrorKind::AddrInUse => return None,
        // Without such names it is at least free now.
        Err(_) => UnixDatagram::unbound().unwrap(),
    };
    TcpListener::bind(("127.0.0.1", port)).ok()?;
    UdpSocket::bind(("127.0.0.1", port)).ok()?;
    Some(claimed)
}

/// Ports that no outgoing connection gets.
fn beside_outgoing_connections() -> Range<u16> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let text = text.unwrap_or_else(|_| "32768 60999".to_owned());
    let mut bounds = text.split_whitespace().map(|bound| bound.parse::<u16>());
    let (Some(Ok(low)), Some(Ok(high))) = (bounds.next(), bounds.next()) else {
        panic!("the range of ports for outgoing connections reads {text:?}");
    };
    if low >= 10_000 + PORTS_MIN {
        10_000..low
    } else if high <= u16::MAX - PORTS_MIN {
        high + 1..u16::MAX
    } else {
        // All of them are given away: any of them is as good.
        10_000..u16::MAX
    }
}
