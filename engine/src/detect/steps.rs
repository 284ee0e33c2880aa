//! What is done with each field of an event, worked out once for all events that have the same names in the same
//! order.
//!
//! Events of one source have the same fields in the same order. The parser, which had to tell their names apart
//! anyway, says which order an event has; so no name is looked at here but those of an order that is new.

use citywatch_parsers::{Event, NameOrder};

use super::compile::Compiled;
use super::denials::Denied;
use super::keys::{index_u32, mix};
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
    /// The rules that its values may rule out.
    pub(super) denies: Denied,
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
    /// Where they are.
    pub(super) places: FieldPlaces,
    pub(super) steps: Vec<Step>,
    /// Whether searching a whole document first pays.
    pub(super) whole: Whole,
}

/// Where the fields of an event are that some rule reads: known with its names' order, so that nothing is noted for each event.
#[derive(Debug, Default)]
pub(super) struct FieldPlaces {
    /// Fields and places, by the field's hash, open addressing; more than there are fields, or none.
    slots: Vec<(u32, u32)>,
}

impl FieldPlaces {
    /// Of none.
    pub(super) const NONE: &'static Self = &Self { slots: Vec::new() };

    /// Knows these from now on, in the order of the event: the first of a field counts.
    fn fill(&mut self, fields: impl ExactSizeIterator<Item = Option<FieldIndex>>) {
        let slots = (fields.len() * 2).next_power_of_two();
        self.slots.clear();
        self.slots.resize(slots, (NO_FIELD, 0));
        for (position, field) in fields.enumerate() {
            let Some(field) = field else { continue };
            let slot = self.slot(field);
            if self.slots[slot].0 == NO_FIELD {
                self.slots[slot] = (field.0, index_u32(position));
            }
        }
    }

    /// The place of a field among the event's, if it has it.
    #[inline]
    pub(super) fn get(&self, field: FieldIndex) -> Option<usize> {
        let (known, place) = *self.slots.get(self.slot(field))?;
        (known == field.0).then_some(place as usize)
    }

    /// Where a field is, or would be.
    #[inline]
    fn slot(&self, field: FieldIndex) -> usize {
        let mask = self.slots.len().wrapping_sub(1);
        let mut slot = (field.0.wrapping_mul(0x9E37_79B1) >> 16) as usize & mask;
        while let Some((known, _)) = self.slots.get(slot)
            && *known != field.0
            && *known != NO_FIELD
        {
            slot = (slot + 1) & mask;
        }
        slot
    }
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
    fn field(&self) -> Option<FieldIndex> {
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
                denies: 0,
                searches: searches_own || keywords,
                payoff: Payoff::default(),
                last: Remembered::default(),
            });
        }
        self.places.fill(self.steps.iter().map(Step::field));
        // Rules read the first field of a name.
        for (position, step) in self.steps.iter_mut().enumerate() {
            if let Some(own) = step.own()
                && self.places.get(own) == Some(position)
            {
                step.denies = compiled.denials.of_field(own);
            }
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
