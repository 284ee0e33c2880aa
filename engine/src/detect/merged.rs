//! Indexes for long values: what a field's own index and that of keywords look for is found in one
//! search, and only what rules of the plan ask for.
//!
//! Most searching is done in a few fields with long values that never repeat (`Message`,
//! `ContextInfo`, `ScriptBlockText`). Which ones depends on the logs, so these indexes are made
//! when enough such values came.

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

/// Indexes made so far.
#[derive(Debug, Default)]
pub(super) struct MergedIndexes {
    /// By plan and field; the first is for fields that no rule of the plan reads.
    plans: Vec<Vec<State>>,
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
        let number = plan.number as usize;
        let field = own.map_or(0, |own| own.0 as usize + 1);
        let known = self.plans.get(number).and_then(|fields| fields.get(field));
        if !matches!(known, Some(State::Made(_) | State::Refused)) {
            self.count(compiled, plan, own);
        }
        match &self.plans[number][field] {
            State::Made(index) => Some(index),
            State::Waiting(_) | State::Refused => None,
        }
    }

    /// Counts a long value, and makes the index when there were enough.
    #[cold]
    fn count(&mut self, compiled: &Compiled, plan: &Plan, own: Option<FieldIndex>) {
        let number = plan.number as usize;
        let field = own.map_or(0, |own| own.0 as usize + 1);
        if self.plans.len() <= number {
            self.plans.resize_with(number + 1, Vec::new);
        }
        let fields = &mut self.plans[number];
        if fields.len() <= field {
            fields.resize_with(field + 1, || State::Waiting(0));
        }
        let State::Waiting(values) = &mut fields[field] else {
            return;
        };
        *values += 1;
        if *values < VALUES_MIN {
            return;
        }
        fields[field] = if self.made < INDEXES_MAX && self.needles < NEEDLES_MAX {
            let (index, needles) = compiled.merged_grams(plan, own);
            self.made += 1;
            self.needles += needles;
            State::Made(Box::new(index))
        } else {
            State::Refused
        };
    }

    /// Forgets all plans.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
