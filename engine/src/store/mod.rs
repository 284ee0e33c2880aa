//! The event store: ClickHouse, or chDB behind an endpoint that speaks ClickHouse's protocol.
//!
//! [`Store`] is the client of both, with the same SQL and the same blocks. [`endpoint`] is the
//! process `citywatch store`: it owns one data directory and serves it on loopback, so that a crash
//! in the database library takes nothing else along.
//!
//! Invariants:
//! - One insert is one block of one partition and becomes one part: all of it is stored, or none.
//! - Rows written are compared with rows sent, always.
//! - What came from a log reaches SQL as a parameter, never as text of a statement; what comes
//!   from a rule stands in statements as literals.
//! - An error says whether the same call can succeed later ([`StoreError::is_retryable`]).

mod agents;
mod client;
mod condition;
mod config;
mod dead_letters;
pub mod endpoint;
mod error;
mod explore;
mod field_texts;
mod fold;
mod language;
mod native;
mod neighbours;
mod plan;
mod query;
mod rows;
mod scan;
mod schema;
mod search;
mod told;
mod volumes;
mod words;

pub use agents::AgentHeard;
pub use client::{Counts, Store};
pub use config::{Password, StoreConfig, SyncToDisk};
pub use dead_letters::{DeadLetter, DeadLetterCursor, DeadLetterQuery, DeadLetterRow, Replayed};
pub use error::{SearchFault, StoreError};
pub use explore::{FieldValues, TimeBars, TopValue};
pub use field_texts::FieldTexts;
pub use fold::fold_into;
pub use neighbours::Neighbours;
pub use plan::InsertPlan;
pub use query::{EventCursor, EventQuery, EventSummary, MatchCursor, StoredEvent, StoredMatch};
pub use rows::{EventRow, MatchRow};
pub use scan::{EventScan, EventStretch, Selection};
pub use search::RecentMatches;
pub use volumes::StoreUse;
