//! What a matcher remembers of the event it is looking at: where its fields are, folded texts,
//! witnesses found, predicates answered. All of it is forgotten by counting up one number.

use citywatch_parsers::Value;

use super::compile::Compiled;
use super::index::SubjectIndex;
use super::keys::index_u32;
use super::literals::Folder;
use super::memo::{Finding, Origin, Proof};
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

/// A field of the event.
#[derive(Clone, Copy, Debug)]
struct Slot {
    epoch: u32,
    position: u32,
    /// `None` until it is asked for.
    place: Option<Place>,
}

/// What is known of a predicate, tagged with the event's number.
const FALSE: u32 = 0;
const TRUE: u32 = 1;
/// An index found it, which does not prove it.
const FOUND: u32 = 2;
const STATES: u32 = 4;
const EPOCH_MAX: u32 = u32::MAX / STATES - 1;

/// The memory of one event.
#[derive(Debug)]
pub(super) struct Memory {
    epoch: u32,
    slots: Box<[Slot]>,
    answers: Box<[u32]>,
    found: Vec<PredicateId>,
    /// Keywords found, with the positions of the fields that hold them.
    keyword_places: Vec<(PredicateId, u32)>,
    /// The positions of the values that are neither numbers nor pieces of the raw text, once they were asked for in the event
    /// of that number.
    apart: Vec<u32>,
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
            place: None,
        };
        Self {
            epoch: 0,
            slots: vec![slot; fields].into(),
            answers: vec![0; predicates].into(),
            found: Vec::new(),
            keyword_places: Vec::new(),
            apart: Vec::new(),
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
        self.keyword_places.clear();
        self.folded.clear();
    }

    /// Notes where a field is; the first of a name counts.
    #[inline]
    pub(super) fn set_field(&mut self, name: FieldIndex, position: usize) {
        let slot = &mut self.slots[name.0 as usize];
        if slot.epoch != self.epoch {
            *slot = Slot {
                epoch: self.epoch,
                position: index_u32(position),
                place: None,
            };
        }
    }

    /// Notes where the folded form of a field's text is.
    #[inline]
    pub(super) fn set_place(&mut self, name: FieldIndex, position: usize, place: Place) {
        let slot = &mut self.slots[name.0 as usize];
        if slot.position == index_u32(position) {
            slot.place = Some(place);
        }
    }

    /// Position of a field among the event's, if it has it.
    #[inline]
    pub(super) fn field(&self, field: FieldIndex) -> Option<usize> {
        let slot = self.slots[field.0 as usize];
        (slot.epoch == self.epoch).then_some(slot.position as usize)
    }

    /// Where the folded form of a field's text is. `value` is the field's.
    #[inline]
    pub(super) fn place_of(
        &mut self,
        field: FieldIndex,
        folder: &Folder,
        value: Value<'_>,
    ) -> Place {
        if let Some(place) = self.slots[field.0 as usize].place {
            return place;
        }
        let place = self.place(folder, value);
        self.slots[field.0 as usize].place = Some(place);
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
    pub(super) fn answer(&self, id: PredicateId) -> Option<bool> {
        let answer = self.answers[id.0 as usize];
        if answer / STATES != self.epoch {
            return None;
        }
        match answer % STATES {
            FALSE => Some(false),
            TRUE => Some(true),
            _ => None,
        }
    }

    /// Keeps an answer.
    #[inline]
    pub(super) fn keep(&mut self, id: PredicateId, answer: bool) {
        self.answers[id.0 as usize] = self.epoch * STATES + if answer { TRUE } else { FALSE };
    }

    /// Whether an index found it.
    #[inline]
    pub(super) fn is_found(&self, id: PredicateId) -> bool {
        self.answers[id.0 as usize] / STATES == self.epoch
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

    /// Notes what the search of the value at `position` found.
    #[inline]
    pub(super) fn note(&mut self, findings: &[Finding], position: usize) {
        for finding in findings {
            let id = finding.predicate;
            note(
                &mut self.answers,
                &mut self.found,
                self.epoch,
                id,
                finding.proof,
            );
            if finding.origin == Origin::Keywords {
                self.keyword_places.push((id, index_u32(position)));
            }
        }
    }

    /// The keywords found, each with the position of the field that holds it; a pair may be there twice.
    pub(super) fn keyword_places(&self) -> &[(PredicateId, u32)] {
        &self.keyword_places
    }

    /// Whether [`Self::set_apart`] was told of this event.
    #[inline]
    pub(super) fn knows_apart(&self) -> bool {
        self.apart_of == self.epoch
    }

    /// Keeps the positions of the values that are neither numbers nor pieces of the event's raw text.
    pub(super) fn set_apart(&mut self, positions: impl Iterator<Item = usize>) {
        self.apart.clear();
        self.apart.extend(positions.map(index_u32));
        self.apart_of = self.epoch;
    }

    /// What [`Self::set_apart`] kept.
    #[inline]
    pub(super) fn apart(&self) -> &[u32] {
        &self.apart
    }

    /// Brings them into the order of the fields.
    pub(super) fn sort_keyword_places(&mut self) {
        self.keyword_places.sort_by_key(|(_, position)| *position);
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
        note(
            answers,
            found,
            epoch,
            id,
            compiled.predicates[id.0 as usize].indexed.into(),
        );
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
