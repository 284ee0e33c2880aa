//! The Sigma language: rules read with positions, checked, and evaluated by reference.
//!
//! This crate defines what a rule means. It does no I/O, reads no clock and has no global state:
//! texts come in, a rule set and typed problems go out. [`reference`] is the slow, obviously
//! correct evaluator that the compiled engine must agree with.
//!
//! Source: Sigma specification 2.1.0 (2025-08-02). Where it leaves room, README.md beside this
//! crate says what we decided.

pub mod attack;
pub mod check;
pub mod condition;
pub mod correlation;
pub mod error;
pub mod explain;
pub mod fold;
pub mod format;
mod load;
pub mod millionths;
mod number;
mod pattern;
mod pcre;
mod processing;
pub mod reference;
pub mod rule;
pub mod rule_tests;
pub mod sql;
pub mod survey;
mod threads;
#[doc(hidden)]
pub mod vectors;
pub mod ways;
mod yaml;

pub use correlation::{Correlation, CorrelationKind};
pub use error::{ErrorKind, RuleError};
pub use load::{FILE_BYTES_MAX, LoadOptions, RuleSet, RuleSource, read_placeholders};
pub use processing::Pipelines;
#[doc(hidden)]
pub use processing::outline;
pub use rule::{Expr, FieldTest, Rule, RuleId, Test};
