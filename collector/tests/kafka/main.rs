//! Producer and consumer against a real broker; skipped, visibly, where none has been fetched.

#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

mod bounds;
#[path = "../../../tests/support/broker.rs"]
mod broker;
mod engines;
mod messages;
#[path = "../../../tests/support/ports.rs"]
mod ports;
mod reading;
