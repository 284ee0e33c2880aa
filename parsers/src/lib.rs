//! Bytes in, Events out: the one place that knows what a log line means.
//!
//! Invariants:
//! - Parsing never fails: each [`Record`] gives an [`Event`], at worst one that holds the raw text
//!   as its message and says so in its [`Problem`]s.
//! - No I/O, no clock, no globals: time zone and the like come in with [`ParseContext`].
//! - Events borrow from the batch they were read from and from the arena of that batch.

pub mod event;
pub mod record;
pub mod time;

pub use event::{Event, Field, LogSource, Problem, Value};
pub use record::{AgentId, Origin, Record, RecordBatch, RecordId, StreamId, UnitId};
pub use time::Timestamp;
