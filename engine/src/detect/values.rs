//! What a matcher remembers of the event it is looking at: where its fields are, folded texts,
//! witnesses found, predicates answered. All of it is forgotten by counting up one number.

use citywatch_parsers::Value;

use super::compile::Compiled;
use super::index::SubjectIndex;
use super::literals::Folder;
use super::names::FieldIndex;
use super::predicate::{Indexed, PredicateId, Text, write_value};

/// Where the folded form of a text is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The text is ASCII (or not a text): its folded form is itself.
    Same,
    /// In the buffer of folded texts.
    Folded { start: usize, end: usize },
}

/// Where the raw record is as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawPlace {
    encoding: Encoding,
    folded: Place,
}

/// Whether the raw record is text as it is.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Utf8,
    /// In the buffer, with what is not UTF-8 replaced.
    Replaced,
}

fn raw_text<'t>(raw: &'t [u8], replaced: &'t str, place: RawPlace) -> &'t str {
    match place.encoding {
        // Checked when the place was taken; checking again costs little and needs no unsafe code.
        Encoding::Utf8 => std::str::from_utf8(raw).unwrap_or(replaced),
        Encoding::Replaced => replaced,
    }
}

/// A field of the event.
#[derive(Clone, Copy, Debug)]
struct Slot {
    epoch: u32,
    position: u32,
    place: Place,
}

/// What is known of a predicate, tagged with the event's number.
const FALSE: u32 = 0;
const TRUE: u32 = 1;
/// An index found it, which does not prove it.
const FOUND: u32 = 2;
const STATES: u32 = 4;
const EPOCH_MAX: u32 = u32::MAX / STATES;

/// The memory of one event.
#[derive(Debug)]
pub(super) struct Memory {
    epoch: u32,
    slots: Box<[Slot]>,
    answers: Box<[u32]>,
    found: Vec<PredicateId>,
    folded: String,
    number: String,
    raw: String,
    raw_place: Option<RawPlace>,
}

impl Memory {
    /// For so many fields and predicates.
    pub(super) fn new(fields: usize, predicates: usize) -> Self {
        Self {
            epoch: 0,
            slots: vec![
                Slot {
                    epoch: 0,
                    position: 0,
                    place: Place::Same
                };
                fields
            ]
            .into(),
            answers: vec![0; predicates].into(),
            found: Vec::new(),
            folded: String::new(),
            number: String::new(),
            raw: String::new(),
            raw_place: None,
        }
    }

    /// Forgets the last event.
    pub(super) fn begin(&mut self) {
        if self.epoch == EPOCH_MAX {
            self.epoch = 0;
            self.answers.fill(0);
            self.slots.iter_mut().for_each(|slot| slot.epoch = 0);
        }
        self.epoch += 1;
        self.found.clear();
        self.folded.clear();
        self.raw_place = None;
    }

    /// Notes where a field is, and folds its text where that is not ASCII.
    #[inline]
    pub(super) fn place(
        &mut self,
        compiled: &Compiled,
        name: Option<FieldIndex>,
        position: usize,
        value: Value<'_>,
    ) -> Place {
        let place = self.place_unnamed(&compiled.folder, value);
        if let Some(name) = name {
            let slot = &mut self.slots[name.0 as usize];
            if slot.epoch != self.epoch {
                *slot = Slot {
                    epoch: self.epoch,
                    position: super::keys::index_u32(position),
                    place,
                };
            }
        }
        place
    }

    /// Folds a text where it is not ASCII.
    #[inline]
    pub(super) fn place_unnamed(&mut self, folder: &Folder, value: Value<'_>) -> Place {
        match value {
            Value::Str(text) if !text.is_ascii() => {
                let start = self.folded.len();
                folder.fold_into(text, &mut self.folded);
                Place::Folded {
                    start,
                    end: self.folded.len(),
                }
            }
            _ => Place::Same,
        }
    }

    /// Where a field is, if the event has it.
    #[inline]
    pub(super) fn field(&self, field: FieldIndex) -> Option<(usize, Place)> {
        let slot = self.slots[field.0 as usize];
        (slot.epoch == self.epoch).then_some((slot.position as usize, slot.place))
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
                Indexed::Perhaps,
            );
        }
    }

    /// Searches a text.
    #[inline]
    pub(super) fn scan_text(
        &mut self,
        index: &SubjectIndex,
        compiled: &Compiled,
        raw: &str,
        place: Place,
    ) {
        let folded = match place {
            Place::Same => raw,
            Place::Folded { start, end } => &self.folded[start..end],
        };
        let (answers, found, epoch) = (&mut self.answers, &mut self.found, self.epoch);
        index.scan_text(folded, raw, &compiled.literals, &mut |id| {
            note(
                answers,
                found,
                epoch,
                id,
                compiled.predicates[id.0 as usize].indexed,
            );
        });
    }

    /// Searches a number or boolean.
    #[inline]
    pub(super) fn scan_plain(
        &mut self,
        index: &SubjectIndex,
        compiled: &Compiled,
        value: Value<'_>,
    ) {
        let (answers, found, epoch) = (&mut self.answers, &mut self.found, self.epoch);
        let mut report = |id: PredicateId| {
            note(
                answers,
                found,
                epoch,
                id,
                compiled.predicates[id.0 as usize].indexed,
            )
        };
        index.scan_plain(value, &mut report);
        if index.reads_text() {
            write_value(value, &mut self.number);
            index.scan_text(&self.number, "", &compiled.literals, &mut report);
        }
    }

    /// Takes the raw record as text, once per event.
    pub(super) fn raw_place(&mut self, folder: &Folder, raw: &[u8]) -> RawPlace {
        if let Some(known) = self.raw_place {
            return known;
        }
        let (text, encoding) = match std::str::from_utf8(raw) {
            Ok(text) => (text, Encoding::Utf8),
            Err(_) => {
                self.raw.clear();
                self.raw.push_str(&String::from_utf8_lossy(raw));
                (&*self.raw, Encoding::Replaced)
            }
        };
        let folded = if text.is_ascii() {
            Place::Same
        } else {
            let start = self.folded.len();
            folder.fold_into(text, &mut self.folded);
            Place::Folded {
                start,
                end: self.folded.len(),
            }
        };
        let place = RawPlace { encoding, folded };
        self.raw_place = Some(place);
        place
    }

    /// The raw record as text: bytes that are not UTF-8 replaced.
    pub(super) fn raw<'t>(&'t self, raw: &'t [u8], place: RawPlace) -> Text<'t> {
        self.text(raw_text(raw, &self.raw, place), place.folded)
    }

    /// Searches the raw record.
    pub(super) fn scan_raw(
        &mut self,
        index: &SubjectIndex,
        compiled: &Compiled,
        raw: &[u8],
        place: RawPlace,
    ) {
        let raw = raw_text(raw, &self.raw, place);
        let folded = match place.folded {
            Place::Same => raw,
            Place::Folded { start, end } => &self.folded[start..end],
        };
        let (answers, found, epoch) = (&mut self.answers, &mut self.found, self.epoch);
        index.scan_text(folded, "", &compiled.literals, &mut |id| {
            note(
                answers,
                found,
                epoch,
                id,
                compiled.predicates[id.0 as usize].indexed,
            );
        });
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

#[inline]
fn note(
    answers: &mut [u32],
    found: &mut Vec<PredicateId>,
    epoch: u32,
    id: PredicateId,
    indexed: Indexed,
) {
    let answer = &mut answers[id.0 as usize];
    if *answer / STATES != epoch {
        found.push(id);
        *answer = epoch * STATES + FOUND;
    }
    if indexed == Indexed::Exactly {
        *answer = epoch * STATES + TRUE;
    }
}
