//! What the tests need: matches of their own making, a running site, a client.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part of this"
)]

pub mod client;
pub mod described;
pub mod matches;
#[path = "../../../tests/support/ports.rs"]
pub mod ports;
pub mod receivers;
pub mod site;

pub use client::{Client, Reply};
pub use matches::{correlation, delivery, found, rule, send, with_fields};
pub use site::{Place, Site};

use citywatch_parsers::Timestamp;

/// The time at which tests begin.
pub const NOON: Timestamp = Timestamp::from_seconds(1_790_000_000);

/// `NOON` and so many seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp(NOON.0 + seconds * 1_000_000)
}
