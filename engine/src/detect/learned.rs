//! The names that events were seen to have, each with what the engine knows of it.
//!
//! Events of one source have the same fields in the same order, so a name is guessed from the one
//! before it: comparing it with the guess is all that most names cost. Names that no rule reads are
//! learned too, because keywords are searched in their values.

use super::keys::{index_u32, same_bytes, sketch};
use super::memo::Remembered;
use super::names::{FieldIndex, Names};
use super::payoff::Payoff;

/// A learned name: an index into [`LearnedNames`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId(u32);

/// Longest name that is kept: with it, what is known of a name fills one line of the cache.
const NAME_BYTES_MAX: usize = 32;
/// Most names that are kept; hostile records can bring any number.
const NAMES_MAX: usize = 4_096;
const SLOTS: usize = 2 * NAMES_MAX;
const EMPTY: u32 = u32::MAX;
const NO_FIELD: u32 = u32::MAX;

/// What is known of a name.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Learned {
    text: [u8; NAME_BYTES_MAX],
    len: u8,
    /// The name that came after it last.
    next: u32,
    field: u32,
    /// Its bit in the masks of fields that must be there.
    pub(super) bits: u64,
    /// The value that it had last.
    pub(super) last: Remembered,
    /// Whether remembering its values pays.
    pub(super) payoff: Payoff,
}

/// Names learned from events, bounded in number.
#[derive(Debug)]
pub(super) struct LearnedNames {
    names: Vec<Learned>,
    /// Open addressing by a hash of the name.
    slots: Box<[u32]>,
}

impl Learned {
    fn new(name: &[u8], field: Option<FieldIndex>, bits: u64) -> Self {
        let mut text = [0; NAME_BYTES_MAX];
        text[..name.len()].copy_from_slice(name);
        Self {
            text,
            len: u8::try_from(name.len()).expect("no longer than the bound"),
            next: 0,
            field: field.map_or(NO_FIELD, |field| field.0),
            bits,
            last: Remembered::default(),
            payoff: Payoff::default(),
        }
    }

    /// The field, if a rule reads it.
    #[inline]
    pub(super) fn field(&self) -> Option<FieldIndex> {
        (self.field != NO_FIELD).then_some(FieldIndex(self.field))
    }

    #[inline]
    fn is(&self, name: &[u8]) -> bool {
        usize::from(self.len) == name.len() && same_bytes(&self.text[..name.len()], name)
    }
}

impl LearnedNames {
    /// What stands before an event's first name.
    pub(super) const START: NameId = NameId(0);

    /// Knows no name yet.
    pub(super) fn new() -> Self {
        Self {
            names: vec![Learned::new(b"", None, 0)],
            slots: vec![EMPTY; SLOTS].into(),
        }
    }

    /// What is known of a name.
    #[inline]
    pub(super) fn get_mut(&mut self, id: NameId) -> &mut Learned {
        &mut self.names[id.0 as usize]
    }

    /// Finds `name`, which comes after `before` in an event.
    #[inline]
    pub(super) fn after(
        &mut self,
        before: NameId,
        name: &str,
        known: &Names,
        field_bits: &[u64],
    ) -> NameId {
        let guess = self.names[before.0 as usize].next;
        if guess != 0 && self.names[guess as usize].is(name.as_bytes()) {
            return NameId(guess);
        }
        self.look_up(before, name, known, field_bits)
    }

    #[inline(never)]
    fn look_up(&mut self, before: NameId, name: &str, known: &Names, field_bits: &[u64]) -> NameId {
        let describe = || {
            let field = known.get(name);
            (field, field.map_or(0, |field| field_bits[field.0 as usize]))
        };
        if name.len() > NAME_BYTES_MAX {
            // Too long to be kept: the first entry serves for the moment.
            let (field, bits) = describe();
            let passing = &mut self.names[0];
            passing.field = field.map_or(NO_FIELD, |field| field.0);
            passing.bits = bits;
            return Self::START;
        }
        let bytes = name.as_bytes();
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a hash: any of its bits do"
        )]
        let mut slot = sketch(bytes, 0) as usize % SLOTS;
        while self.slots[slot] != EMPTY {
            let id = self.slots[slot];
            if self.names[id as usize].is(bytes) {
                self.names[before.0 as usize].next = id;
                return NameId(id);
            }
            slot = (slot + 1) % SLOTS;
        }
        if self.names.len() >= NAMES_MAX {
            *self = Self::new();
            return self.look_up(Self::START, name, known, field_bits);
        }
        let (field, bits) = describe();
        let id = index_u32(self.names.len());
        self.names.push(Learned::new(bytes, field, bits));
        self.slots[slot] = id;
        self.names[before.0 as usize].next = id;
        NameId(id)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::names::NamesBuilder;
    use super::*;

    #[test]
    fn names_lead_to_their_fields_in_any_order_and_number() {
        let mut builder = NamesBuilder::default();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["Image", "User", "", &long] {
            builder.add(&Arc::from(name));
        }
        let known = builder.build();
        let bits = [1, 2, 4, 8];
        let mut learned = LearnedNames::new();
        let mut before = LearnedNames::START;
        for number in 0..3 * NAMES_MAX {
            let other = format!("other{number}");
            for (name, field) in [
                ("Image", Some(0)),
                (other.as_str(), None),
                (&long, Some(3)),
                ("User", Some(1)),
                ("", Some(2)),
            ] {
                before = learned.after(before, name, &known, &bits);
                let found = learned.get_mut(before);
                assert_eq!(found.field().map(|field| field.0), field, "{name}");
                assert_eq!(found.bits, field.map_or(0, |field| 1 << field), "{name}");
            }
        }
        assert!(learned.names.len() <= NAMES_MAX);
    }
}
