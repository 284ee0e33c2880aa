//! What goes into the correlator and what bounds it.

use std::sync::Arc;

use crate::detect::RuleIndex;
use crate::matches::{EventSnapshot, MatchedField};

/// A match of a rule, on its way into correlations.
#[derive(Clone, Copy, Debug)]
pub struct CorrelationInput<'m> {
    /// The rule.
    pub rule: RuleIndex,
    /// The event: its fields are what groups and counts are made of, its record names the stream.
    pub event: &'m Arc<EventSnapshot>,
    /// The fields that made the rule match.
    pub matched: &'m Arc<[MatchedField]>,
}

/// Bounds of a [`super::Correlator`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorrelationLimits {
    /// How much later than newer ones an event may arrive and still count as on time, in microseconds.
    pub lateness_us: i64,
    /// Matches kept for open windows, over all correlations.
    pub entries_max: usize,
    /// Events kept as evidence of them, over all correlations.
    pub evidence_events_max: usize,
    /// Bytes of the events that are held and of the values of groups; evidence takes half of it at most.
    pub bytes_max: usize,
}

impl Default for CorrelationLimits {
    fn default() -> Self {
        Self {
            lateness_us: 5 * 60 * 1_000_000,
            entries_max: 2_000_000,
            evidence_events_max: 100_000,
            bytes_max: 512 << 20,
        }
    }
}

/// What a [`super::Correlator`] holds and what it had to let go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorrelationStatus {
    /// Matches held for open windows.
    pub entries: usize,
    /// Groups that they belong to.
    pub groups: usize,
    /// Events held as evidence of them, or for correlations of correlations.
    pub evidence_events: usize,
    /// Bytes of these events and of the values of groups.
    pub bytes: usize,
    /// Matches that were not taken in because `entries_max` or `bytes_max` was reached.
    pub entries_refused: u64,
    /// Matches that came later than the lateness bound allows: what they would have changed may be settled.
    pub late: u64,
    /// Matches that count but are not shown because a bound of evidence was reached.
    pub evidence_dropped: u64,
}
