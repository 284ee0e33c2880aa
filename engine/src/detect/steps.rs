//! What is done with each field of an event, worked out once for all events that have the same names in the same
//! order.
//!
//! Events of one source have the same fields in the same order. The parser, which had to tell their names apart
//! anyway, says which order an event has; so no name is looked at here but those of an order that is new.

use citywatch_parsers::{Event, NameOrder};

use super::compile::Compiled;
use super::keys::mix;
use super::matcher::Plan;
use super::memo::{MemoKey, Remembered};
use super::names::FieldIndex;
use super::payoff::{Payoff, Whole};

/// Orders that are kept for look-up, and fields in all of them together; hostile records can bring any number.
const SLOTS: usize = 4_096;
const STEPS_MAX: usize = 128 << 10;
/// Most fields of an event whose order is kept.
const FIELDS_MAX: usize = 512;
const NO_FIELD: u32 = u32::MAX;

/// What is done with one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    field: u32,
    /// Whether the field's own index is searched, and whether any is.
    searches_own: bool,
    pub(super) searches: bool,
    /// How its texts are searched, but for whether keywords are looked for.
    key: MemoKey,
    /// Whether remembering its values pays.
    pub(super) payoff: Payoff,
    /// The value that it had last.
    pub(super) last: Remembered,
}

/// What is done with the fields of an event under a plan.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// The order, and the plan's number.
    of: Option<(NameOrder, u32)>,
    /// The bits of the fields that are there.
    pub(super) present: u64,
    pub(super) steps: Vec<Step>,
    /// Whether searching a whole document first pays.
    pub(super) whole: Whole,
}

/// The steps of the orders that were seen lately.
#[derive(Debug)]
pub(super) struct StepCache {
    slots: Box<[Option<Box<Steps>>]>,
    steps: usize,
    /// For an event whose order is not kept.
    passing: Steps,
}

impl Step {
    /// The field, if a rule reads it.
    #[inline]
    pub(super) fn field(&self) -> Option<FieldIndex> {
        (self.field != NO_FIELD).then_some(FieldIndex(self.field))
    }

    /// How its texts are searched.
    #[inline]
    pub(super) fn text_key(&self, with_keywords: bool) -> MemoKey {
        self.key.with_keywords(with_keywords)
    }

    /// Whether the field's own index is searched.
    #[inline]
    pub(super) fn searches_own(&self) -> bool {
        self.searches_own
    }

    /// The field, if its own index is searched.
    #[inline]
    pub(super) fn own(&self) -> Option<FieldIndex> {
        self.searches_own.then_some(FieldIndex(self.field))
    }
}

impl Steps {
    fn fill(&mut self, compiled: &Compiled, plan: &Plan, event: &Event<'_>) {
        self.present = 0;
        self.steps.clear();
        self.whole = Whole::default();
        let keywords = plan.searches_keywords();
        for field in &event.fields {
            let known = compiled.names.get(field.name);
            if let Some(known) = known {
                self.present |= compiled.field_bits[known.0 as usize];
            }
            let searches_own = known.is_some_and(|known| plan.searched[known.0 as usize]);
            self.steps.push(Step {
                field: known.map_or(NO_FIELD, |known| known.0),
                key: MemoKey::of_text(plan.number, known.filter(|_| searches_own)),
                searches_own,
                searches: searches_own || keywords,
                payoff: Payoff::default(),
                last: Remembered::default(),
            });
        }
    }
}

impl StepCache {
    /// Knows no order yet.
    pub(super) fn new() -> Self {
        Self {
            slots: std::iter::repeat_with(|| None).take(SLOTS).collect(),
            steps: 0,
            passing: Steps::default(),
        }
    }

    /// Forgets all.
    pub(super) fn forget(&mut self) {
        self.slots.fill_with(|| None);
        self.steps = 0;
    }

    /// What is done with the fields of `event`: as many steps as it has fields.
    #[inline]
    pub(super) fn of(&mut self, compiled: &Compiled, plan: &Plan, event: &Event<'_>) -> &mut Steps {
        let Some(order) = event.order.filter(|_| event.fields.len() <= FIELDS_MAX) else {
            self.passing.fill(compiled, plan, event);
            return &mut self.passing;
        };
        let of = Some((order, plan.number));
        let hash = mix(u64::from(order.place()) << 32 | u64::from(plan.number));
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a hash: any of its bits do"
        )]
        let slot = (hash >> 32) as usize % SLOTS;
        let known = matches!(&self.slots[slot], Some(steps) if steps.of == of && steps.steps.len() == event.fields.len());
        if !known {
            self.learn(slot, of, compiled, plan, event);
        }
        self.slots[slot]
            .as_mut()
            .expect("just filled where it was empty")
    }

    #[cold]
    fn learn(
        &mut self,
        slot: usize,
        of: Option<(NameOrder, u32)>,
        compiled: &Compiled,
        plan: &Plan,
        event: &Event<'_>,
    ) {
        if self.steps + event.fields.len() > STEPS_MAX {
            self.forget();
        }
        let steps = self.slots[slot].get_or_insert_default();
        self.steps -= steps.steps.len();
        steps.fill(compiled, plan, event);
        steps.of = of;
        self.steps += steps.steps.len();
    }
}
