//! Bytes in, Events out: the one place that knows what a log line means.
//!
//! Invariants:
//! - Parsing never fails: each [`Record`] gives an [`Event`], at worst one that holds the raw text
//!   as its message and says so in its [`Problem`]s.
//! - No I/O, no clock, no globals but a counter that tells parsers apart: time zone and the like come in with [`ParseContext`].
//! - Events borrow from the batch they were read from and from the arena of that batch.
//!
//! [`parse_batch`] is what a pipeline calls; [`FORMATS`] is the table of what is understood;
//! [`pivots()`] gives what analysts pivot on. README.md of this crate is the field taxonomy.

mod beginning;
pub mod bytes;
mod classify;
mod context;
mod decode;
pub mod definitions;
mod detect;
mod draft;
pub mod escape;
pub mod event;
pub mod evtx;
mod format_name;
mod formats;
mod headers;
mod json;
mod layouts;
mod messages;
mod names;
mod parse;
pub mod pivots;
pub mod record;
mod scan;
pub mod time;
mod view;
mod when;

pub use context::{ParseContext, Taxonomy};
pub use decode::{Charset, encoding};
pub use definitions::Definitions;
pub use detect::{Detection, Known, detect_format};
pub use event::{Event, Field, LogSource, LogSources, Problem, ProblemKind, Value};
pub use format_name::FormatName;
pub use formats::{FORMATS, Format, format_by_name, otlp_exports};
pub use headers::{header_of_file, names_columns};
pub use layouts::{Layouts, NameOrder};
pub use parse::{Parser, parse_batch, parse_record};
pub use pivots::{Pivots, pivots};
pub use record::{AgentId, Origin, Record, RecordBatch, RecordId, StreamId, UnitId};
pub use time::{Timestamp, is_time_zone};
pub use view::EventJson;
