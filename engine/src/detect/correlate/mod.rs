//! Correlation: what several matches have in common within a time.
//!
//! README.md of the rules crate ("Correlation: windows, alerts, identity") says what windows, moments,
//! cells and alerts are; everything there is a function of the set of matches. This module computes it
//! as matches come, in any order within the lateness bound:
//!
//! - a monotone condition raises its alert with the match that makes it true;
//! - any other is judged when the watermark has passed its window;
//! - an alert is told again when it is settled, if more events belong to it by then; its id stays.
//!
//! Correlations that gather the same matches share the groups that hold them ([`shelf`]).
//!
//! Memory is bounded by [`CorrelationLimits`]; what does not fit is counted in [`CorrelationStatus`].

mod admit;
mod adopt;
mod alert;
mod bag;
mod clusters;
mod correlator;
mod entries;
mod evidence;
mod fields;
mod first;
mod group;
mod input;
mod keep;
mod look;
mod node;
mod numbers;
mod pending;
mod raised;
mod ranked;
mod shelf;
mod tally;
mod watermark;
mod windows;

pub use correlator::Correlator;
pub use fields::FieldNames;
pub use input::{CorrelationInput, CorrelationLimits, CorrelationStatus};
