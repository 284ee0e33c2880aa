//! Compiles Sigma rules, matches Events, correlates Matches, streams records from collector to
//! store, and keeps the ClickHouse store.
//!
//! Invariants:
//! - [`detect`] does no I/O, reads no clock and has no globals: time and input are arguments.
//! - A position is acknowledged only when all that came before it is durable downstream.
//! - A block's `events` rows are its commit record: what else the block produces (matches, alerts,
//!   dead letters) is durable before them, so a restart sees exactly what is missing.

pub mod detect;
pub mod matches;
pub mod pipeline;
mod snapshot_fields;
pub mod store;
pub mod watch;

pub use matches::{
    EventId, EventSnapshot, Evidence, Match, MatchDelivery, MatchId, MatchedField, RuleInfo,
};
pub use snapshot_fields::{FieldValue, SnapshotFields};
