//! What a matcher remembers of the event it is looking at: where its fields are, folded texts,
//! witnesses found, predicates answered. All of it is forgotten by counting up one number.

use citywatch_parsers::Value;

use super::compile::Compiled;
use super::denials::Denied;
use super::index::SubjectIndex;
use super::keys::index_u32;
use super::literals::Folder;
use super::memo::{Finding, Proof};
use super::names::FieldIndex;
use super::predicate::{PredicateId, Text};

/// Where the folded form of a text is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The text is ASCII (or not a text): its folded form is itself.
    Same,
    /// In the buffer of folded texts.
    Folded { start: usize, end: usize },
}

/// Where the folded form of a field's text is, in the event of that number.
#[derive(Clone, Copy, Debug)]
struct Slot {
    epoch: u32,
    position: u32,
    place: Place,
}

/// What is known of a predicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// No index found it, and it was not asked.
    Nothing,
    /// An index found it, which does not prove it.
    Found,
    /// Whether it holds.
    Answer(bool),
}

/// The same as a number, which is tagged with the event's.
const FALSE: u32 = 0;
const TRUE: u32 = 1;
/// An index found it, which does not prove it.
const FOUND: u32 = 2;
const STATES: u32 = 4;
const EPOCH_MAX: u32 = u32::MAX / STATES - 1;

/// A byte that UTF-8 does not have: what stands between texts that are searched together.
pub(super) const BETWEEN: u8 = 0xFF;

/// Values of an event that are not pieces of its raw text.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// Those that are ASCII, each with [`BETWEEN`] behind it: a text is looked for in all of them at once.
    pub(super) texts: Vec<u8>,
    /// Where each of them begins, and its position.
    starts: Vec<(u32, u32)>,
    /// The positions of the others.
    pub(super) others: Vec<u32>,
}

impl Apart {
    /// The position of the value that a place in [`Self::texts`] is of.
    pub(super) fn position_at(&self, place: usize) -> usize {
        let behind = self
            .starts
            .partition_point(|start| start.0 as usize <= place);
        self.starts[behind - 1].1 as usize
    }
}

/// The memory of one event.
#[derive(Debug)]
pub(super) struct Memory {
    epoch: u32,
    slots: Box<[Slot]>,
    answers: Box<[u32]>,
    found: Vec<PredicateId>,
    /// The rules that values rule out.
    pub(super) denied: Denied,
    /// What is in no piece of the raw text, once it was asked for in the event of that number.
    apart: Apart,
    apart_of: u32,
    folded: String,
    number: String,
}

impl Memory {
    /// For so many fields and predicates.
    pub(super) fn new(fields: usize, predicates: usize) -> Self {
        let slot = Slot {
            epoch: 0,
            position: 0,
            place: Place::Same,
        };
        Self {
            epoch: 0,
            slots: vec![slot; fields].into(),
            answers: vec![0; predicates].into(),
            found: Vec::new(),
            denied: 0,
            apart: Apart::default(),
            apart_of: 0,
            folded: String::new(),
            number: String::new(),
        }
    }

    /// Forgets the last event.
    pub(super) fn begin(&mut self) {
        if self.epoch == EPOCH_MAX {
            self.epoch = 0;
            self.answers.fill(0);
            self.slots.iter_mut().for_each(|slot| slot.epoch = 0);
            self.apart_of = 0;
        }
        self.epoch += 1;
        self.found.clear();
        self.denied = 0;
        self.folded.clear();
    }

    /// Notes where the folded form of the text is that a field has at this position.
    #[inline]
    pub(super) fn set_place(&mut self, name: FieldIndex, position: usize, place: Place) {
        self.slots[name.0 as usize] = Slot {
            epoch: self.epoch,
            position: index_u32(position),
            place,
        };
    }

    /// Where the folded form of a field's text is. `value` is the field's, at this position.
    #[inline]
    pub(super) fn place_of(
        &mut self,
        field: FieldIndex,
        position: usize,
        folder: &Folder,
        value: Value<'_>,
    ) -> Place {
        let slot = self.slots[field.0 as usize];
        if slot.epoch == self.epoch && slot.position as usize == position {
            return slot.place;
        }
        let place = self.place(folder, value);
        self.set_place(field, position, place);
        place
    }

    /// Folds a text where it is not ASCII.
    #[inline]
    pub(super) fn place(&mut self, folder: &Folder, value: Value<'_>) -> Place {
        match value {
            Value::Str(text) => self.fold(folder, text),
            _ => Place::Same,
        }
    }

    /// Folds a text where it is not ASCII.
    #[inline]
    pub(super) fn fold(&mut self, folder: &Folder, text: &str) -> Place {
        if text.is_ascii() {
            return Place::Same;
        }
        let start = self.folded.len();
        folder.fold_into(text, &mut self.folded);
        Place::Folded {
            start,
            end: self.folded.len(),
        }
    }

    /// A text with its folded form.
    #[inline]
    pub(super) fn text<'t>(&'t self, raw: &'t str, place: Place) -> Text<'t> {
        match place {
            Place::Same => Text { raw, folded: raw },
            Place::Folded { start, end } => Text {
                raw,
                folded: &self.folded[start..end],
            },
        }
    }

    /// What is known of a predicate.
    #[inline]
    pub(super) fn known(&self, id: PredicateId) -> Known {
        let answer = self.answers[id.0 as usize];
        if answer / STATES != self.epoch {
            return Known::Nothing;
        }
        match answer % STATES {
            FALSE => Known::Answer(false),
            TRUE => Known::Answer(true),
            _ => Known::Found,
        }
    }

    /// Keeps an answer.
    #[inline]
    pub(super) fn keep(&mut self, id: PredicateId, answer: bool) {
        self.answers[id.0 as usize] = self.epoch * STATES + if answer { TRUE } else { FALSE };
    }

    /// The witnesses found.
    pub(super) fn found(&self) -> &[PredicateId] {
        &self.found
    }

    /// Notes that predicates must be asked.
    #[inline]
    pub(super) fn find_all(&mut self, ids: &[PredicateId]) {
        for &id in ids {
            note(
                &mut self.answers,
                &mut self.found,
                self.epoch,
                id,
                Proof::Perhaps,
            );
        }
    }

    /// Searches the raw record, ASCII or folded, for keywords.
    pub(super) fn scan_raw(&mut self, index: &SubjectIndex, compiled: &Compiled, raw: &[u8]) {
        scan_raw(
            &mut self.answers,
            &mut self.found,
            self.epoch,
            index,
            compiled,
            raw,
        );
    }

    /// The same for a raw record that was folded.
    pub(super) fn scan_folded_raw(
        &mut self,
        index: &SubjectIndex,
        compiled: &Compiled,
        start: usize,
        end: usize,
    ) {
        let raw = &self.folded.as_bytes()[start..end];
        scan_raw(
            &mut self.answers,
            &mut self.found,
            self.epoch,
            index,
            compiled,
            raw,
        );
    }

    /// Notes what the search of a value found.
    #[inline]
    pub(super) fn note(&mut self, findings: &[Finding]) {
        for finding in findings {
            note(
                &mut self.answers,
                &mut self.found,
                self.epoch,
                finding.predicate,
                finding.proof,
            );
        }
    }

    /// Whether [`Self::set_apart`] was told of this event.
    #[inline]
    pub(super) fn knows_apart(&self) -> bool {
        self.apart_of == self.epoch
    }

    /// Keeps the values that are neither numbers nor pieces of the event's raw text, given with their positions.
    pub(super) fn set_apart<'e>(&mut self, values: impl Iterator<Item = (usize, Value<'e>)>) {
        self.apart.texts.clear();
        self.apart.starts.clear();
        self.apart.others.clear();
        for (position, value) in values {
            match value {
                Value::Str(text) if text.is_ascii() => {
                    let start = (index_u32(self.apart.texts.len()), index_u32(position));
                    self.apart.starts.push(start);
                    self.apart.texts.extend_from_slice(text.as_bytes());
                    self.apart.texts.push(BETWEEN);
                }
                _ => self.apart.others.push(index_u32(position)),
            }
        }
        self.apart_of = self.epoch;
    }

    /// What [`Self::set_apart`] kept.
    #[inline]
    pub(super) fn apart(&self) -> &Apart {
        &self.apart
    }

    /// The buffer for numbers as text, on loan.
    pub(super) fn take_number_text(&mut self) -> String {
        std::mem::take(&mut self.number)
    }

    /// Gives it back.
    pub(super) fn return_number_text(&mut self, text: String) {
        self.number = text;
    }
}

fn scan_raw(
    answers: &mut [u32],
    found: &mut Vec<PredicateId>,
    epoch: u32,
    index: &SubjectIndex,
    compiled: &Compiled,
    raw: &[u8],
) {
    index.scan_anywhere(raw, &compiled.literals, &mut |id| {
        note(answers, found, epoch, id, compiled.finding(id).proof);
    });
}

#[inline]
fn note(
    answers: &mut [u32],
    found: &mut Vec<PredicateId>,
    epoch: u32,
    id: PredicateId,
    proof: Proof,
) {
    let answer = &mut answers[id.0 as usize];
    if *answer / STATES != epoch {
        found.push(id);
        *answer = epoch * STATES + FOUND;
    }
    if proof == Proof::Holds {
        *answer = epoch * STATES + TRUE;
    }
}
