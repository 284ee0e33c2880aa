//! Indexes for long values: what a field's own index and that of keywords look for is found in one
//! search, and only what rules of the plan ask for.
//!
//! Most searching is done in a few fields with long values that never repeat (`Message`,
//! `ContextInfo`, `ScriptBlockText`). Which ones depends on the logs, so these indexes are made
//! when enough such values came.

use std::collections::HashMap;

use super::compile::Compiled;
use super::grams::GramIndex;
use super::matcher::Plan;
use super::names::FieldIndex;
use super::predicate::PredicateId;

/// Shortest value that is worth an index of its own.
pub(super) const LONG_BYTES_MIN: usize = 128;
/// Long values of a field after which its index is made.
const VALUES_MIN: u32 = 256;
/// Most indexes, and most texts in all of them together: some 5 MB.
const INDEXES_MAX: usize = 64;
const NEEDLES_MAX: usize = 32_768;

/// Indexes made so far, by plan and field.
#[derive(Debug, Default)]
pub(super) struct MergedIndexes {
    fields: HashMap<(u32, Option<FieldIndex>), State>,
    made: usize,
    needles: usize,
}

#[derive(Debug)]
enum State {
    /// So many long values came.
    Waiting(u32),
    /// The bounds are reached: the general indexes must do.
    Refused,
    Made(Box<GramIndex<PredicateId>>),
}

impl MergedIndexes {
    /// The index for long values of a field (`None`: of one that no rule of the plan reads), once there is one.
    pub(super) fn get(
        &mut self,
        compiled: &Compiled,
        plan: &Plan,
        own: Option<FieldIndex>,
    ) -> Option<&GramIndex<PredicateId>> {
        let waiting = State::Waiting(0);
        let state = self.fields.entry((plan.number, own)).or_insert(waiting);
        if let State::Waiting(values) = state {
            *values += 1;
            if *values < VALUES_MIN {
                return None;
            }
            *state = State::Refused;
            if self.made < INDEXES_MAX && self.needles < NEEDLES_MAX {
                let (index, needles) = compiled.merged_grams(plan, own);
                self.made += 1;
                self.needles += needles;
                *state = State::Made(Box::new(index));
            }
        }
        match state {
            State::Made(index) => Some(index),
            State::Waiting(_) | State::Refused => None,
        }
    }

    /// Forgets all plans.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
