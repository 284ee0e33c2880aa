//! Finds which rules hold for an event, and correlates what was found.
//!
//! The reference evaluator of the rules crate defines what a rule means; this module gives the same
//! answers fast. Three ideas carry it:
//!
//! - **Shared predicates.** Each distinct test of a field is one predicate for all rules, asked at
//!   most once per event.
//! - **Witnesses.** Each rule has a few predicates of which one must hold for it to hold, chosen for
//!   being rare. They stand in indexes that are searched with a few look-ups per field; a rule of
//!   which no witness is found is never looked at.
//! - **Work by what an event has**, not by what rules ask: what its names mean is worked out once for
//!   all events with the same names (`steps`), and what its values hold is known where they were there a
//!   moment ago (`memo`).
//!
//! No I/O, no clock, no globals: everything is a function of rules and events.

mod anchors;
mod codes;
mod common;
mod compile;
mod correlate;
mod denials;
mod digests;
mod ends;
mod error;
mod find;
mod gram_frequencies;
mod gram_table;
mod grams;
mod index;
mod keys;
mod level;
mod literals;
mod matched;
mod matcher;
mod memo;
mod merged;
mod names;
mod payoff;
mod predicate;
mod program;
mod routing;
mod search;
#[cfg(target_arch = "x86_64")]
mod shorts;
#[cfg(target_arch = "x86_64")]
mod simd;
#[cfg(target_arch = "x86_64")]
mod simd512;
mod steps;
mod telling;
mod tree;
mod typical;
mod values;
mod view;
mod witness;

pub(crate) use compile::info_of;
pub use compile::{Compiled, RULES_MAX, RuleIndex};
pub use correlate::{
    CorrelationInput, CorrelationLimits, CorrelationStatus, Correlator, FieldNames,
};
pub use error::CompileError;
pub use matched::MatchedPlaces;
pub use matcher::{JudgeTimer, Matcher, RuleHit};
pub use routing::LogSourceMode;

#[cfg(test)]
mod tests;
