//! One event on its way through the rules: its fields are searched, predicates asked, and what made
//! a rule hold is told.

use std::borrow::Cow;

use citywatch_parsers::{Event, Value};
use citywatch_rules::rule::{Case, Presence, Relation};
use smallvec::SmallVec;

use super::compile::Compiled;
use super::matched::MatchedPlaces;
use super::names::FieldIndex;
use super::predicate::{Check, Predicate, PredicateId, Subject, Text, relate, write_value};
use super::steps::FieldPlaces;
use super::telling::{Ask, Telling};
use super::values::{Apart, Known, Memory, Place};

/// An event, the rules it is held against, and what is known of it.
pub(super) struct View<'v, 'e> {
    pub(super) compiled: &'v Compiled,
    pub(super) event: &'v Event<'e>,
    pub(super) memory: &'v mut Memory,
    /// By field, keywords last: whether the indexes are searched for this event.
    pub(super) searched: &'v [bool],
    /// Where its fields are, once that was found.
    pub(super) places: &'v FieldPlaces,
    /// The raw record as text, and where it is folded, once it was asked for.
    pub(super) raw: Option<(Cow<'e, str>, Place)>,
}

impl<'v, 'e> View<'v, 'e> {
    pub(super) fn new(
        compiled: &'v Compiled,
        event: &'v Event<'e>,
        memory: &'v mut Memory,
        searched: &'v [bool],
    ) -> Self {
        Self {
            compiled,
            event,
            memory,
            searched,
            places: FieldPlaces::NONE,
            raw: None,
        }
    }

    /// Takes the raw record as text: bytes that are not UTF-8 replaced.
    pub(super) fn load_raw(&mut self) {
        if self.raw.is_none() {
            let raw = self.event.record.raw;
            let text = std::str::from_utf8(raw)
                .map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed);
            let place = self.memory.fold(&self.compiled.folder, &text);
            self.raw = Some((text, place));
        }
    }

    /// Whether the event has a field.
    #[inline]
    pub(super) fn has(&self, field: FieldIndex) -> bool {
        self.places.get(field).is_some()
    }

    /// Whether a predicate holds.
    #[inline]
    pub(super) fn answer(&mut self, id: PredicateId) -> bool {
        let predicate = &self.compiled.predicates[id.0 as usize];
        let index = predicate.index(self.compiled.names.len());
        self.answer_of(id, index)
    }

    /// Whether a predicate holds that this index finds, if any does: where that was searched, nothing need be known of those
    /// that it did not find.
    #[inline(always)]
    pub(super) fn answer_of(&mut self, id: PredicateId, index: Option<u32>) -> bool {
        match self.memory.known(id) {
            Known::Answer(answer) => answer,
            Known::Nothing if index.is_some_and(|index| self.searched[index as usize]) => false,
            Known::Nothing | Known::Found => self.ask(id),
        }
    }

    #[inline(never)]
    fn ask(&mut self, id: PredicateId) -> bool {
        let answer = self.evaluate(&self.compiled.predicates[id.0 as usize]);
        self.memory.keep(id, answer);
        answer
    }

    fn evaluate(&mut self, predicate: &Predicate) -> bool {
        match predicate.subject {
            Subject::Field(field) => self.evaluate_field(field, &predicate.check),
            Subject::Keyword => self.evaluate_keyword(&predicate.check),
        }
    }

    fn evaluate_field(&mut self, field: FieldIndex, check: &Check) -> bool {
        let Some(position) = self.places.get(field) else {
            return check.holds_when_absent();
        };
        let value = self.event.fields[position].value;
        match check {
            Check::Exists(presence) => *presence == Presence::Present,
            Check::Null => holds_null(value),
            Check::FieldRef {
                other,
                relation,
                case,
            } => self.evaluate_reference(value, *other, *relation, *case),
            _ => {
                let place = self
                    .memory
                    .place_of(field, position, &self.compiled.folder, value);
                self.holds(check, value, place)
            }
        }
    }

    /// Whether a value, or one of its elements, passes.
    fn holds(&mut self, check: &Check, value: Value<'_>, place: Place) -> bool {
        match value {
            Value::Null => false,
            Value::Str(raw) => {
                check.holds_for_text(self.memory.text(raw, place), &self.compiled.literals)
            }
            Value::List(values) => values.iter().any(|&value| {
                let place = self.memory.place(&self.compiled.folder, value);
                self.holds(check, value, place)
            }),
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => check
                .holds_for_plain(value, &self.compiled.literals)
                .unwrap_or_else(|| {
                    let mut text = self.memory.take_number_text();
                    write_value(value, &mut text);
                    let holds = check.holds_for_text(
                        Text {
                            raw: &text,
                            folded: &text,
                        },
                        &self.compiled.literals,
                    );
                    self.memory.return_number_text(text);
                    holds
                }),
        }
    }

    fn evaluate_keyword(&mut self, check: &Check) -> bool {
        let mut whole: &[u8] = &[];
        let literals = &self.compiled.literals;
        if !self.event.record.is_document() {
            self.load_raw();
            let memory = &*self.memory;
            if self.raw.as_ref().is_some_and(|(raw, place)| {
                check.holds_for_text(memory.text(raw, *place), literals)
            }) {
                return true;
            }
            whole = self.event.record.raw;
        }
        if !check.holds_for_whole() || check.may_hold_for_whole_number(literals) {
            return (0..self.event.fields.len()).any(|position| self.keyword_in(check, position));
        }
        let apart = self.apart_from(whole);
        check.is_within(&apart.texts, literals)
            || (0..apart.others.len())
                .any(|place| self.keyword_in(check, self.memory.apart().others[place] as usize))
    }

    /// The values that are neither numbers nor pieces of the raw text (of a document, which is none: all that are no
    /// numbers), found out once.
    fn apart_from(&mut self, raw: &[u8]) -> &Apart {
        if !self.memory.knows_apart() {
            let values = self.event.fields.iter().map(|field| field.value);
            let apart = values.enumerate().filter(|(_, value)| match value {
                Value::Int(_) | Value::UInt(_) | Value::Null => false,
                Value::List(values) => !values.iter().all(|&value| is_piece(value, raw)),
                _ => !is_piece(*value, raw),
            });
            self.memory.set_apart(apart);
        }
        self.memory.apart()
    }

    fn keyword_in(&mut self, check: &Check, position: usize) -> bool {
        let value = self.event.fields[position].value;
        let place = self.memory.place(&self.compiled.folder, value);
        self.holds(check, value, place)
    }

    /// Compares texts of one field with those of another. Rare, so it may allocate.
    fn evaluate_reference(
        &self,
        value: Value<'_>,
        other: FieldIndex,
        relation: Relation,
        case: Case,
    ) -> bool {
        let Some(position) = self.places.get(other) else {
            return false;
        };
        let texts = |value: Value<'_>| {
            let mut texts = Vec::new();
            collect_texts(value, case, &mut texts);
            texts
        };
        let others = texts(self.event.fields[position].value);
        texts(value).iter().any(|text| {
            others
                .iter()
                .any(|other| relate(relation, text.as_bytes(), other.as_bytes()))
        })
    }

    /// The fields that made a rule hold, which is known to: in the order of its tests, each once.
    pub(super) fn matched(&mut self, rule: u32) -> MatchedPlaces {
        let compiled = self.compiled;
        let mut places = MatchedPlaces::default();
        let steps = compiled.tellings.of(rule);
        let mut next = steps.start;
        while next < steps.end {
            let step = compiled.tellings.step(next);
            next += 1;
            match step {
                Telling::Field(field) => {
                    if let Some(position) = self.places.get(field) {
                        places.add(position);
                    }
                }
                Telling::FieldIfAny { field, start, end } => {
                    if let Some(position) = self.places.get(field)
                        && !places.has(position)
                        && self.is_any(field, compiled.tellings.asks(start, end))
                    {
                        places.add(position);
                    }
                }
                Telling::Keyword(id) => self.collect_keyword(id, &mut places),
                Telling::KeywordIfAny(id) => {
                    if self.answer(id) {
                        self.collect_keyword(id, &mut places);
                    }
                }
                Telling::If { program, end } => {
                    if !compiled.programs.run(program, self) {
                        next = end;
                    }
                }
            }
        }
        places
    }

    /// Whether a field that is there passes one of these tests.
    fn is_any(&mut self, field: FieldIndex, asks: &[Ask]) -> bool {
        // The rule was judged before: mostly one of them is known to hold.
        let known = |ask: &Ask| self.memory.known(ask.predicate()) == Known::Answer(true);
        asks.iter().any(known)
            || asks.iter().any(|ask| {
                let index = ask.is_indexed().then_some(field.0);
                self.answer_of(ask.predicate(), index)
            })
    }

    /// The fields that hold a keyword, which is known to be there.
    fn collect_keyword(&mut self, id: PredicateId, places: &mut MatchedPlaces) {
        let check = &self.compiled.predicates[id.0 as usize].check;
        if self.event.record.is_document() {
            self.collect_keyword_of_document(check, places);
        } else {
            self.collect_keyword_of_text(check, places);
        }
    }

    fn collect_keyword_of_document(&mut self, check: &Check, places: &mut MatchedPlaces) {
        let literals = &self.compiled.literals;
        let found = if check.may_hold_for_whole_number(literals) {
            None
        } else {
            check.places_within(&self.apart_from(&[]).texts, literals)
        };
        let Some(found) = found else {
            for position in 0..self.event.fields.len() {
                if self.keyword_in(check, position) {
                    places.add(position);
                }
            }
            return;
        };
        let apart = self.memory.apart();
        let mut holding: SmallVec<[usize; 16]> = found
            .starts()
            .iter()
            .map(|&start| apart.position_at(start))
            .collect();
        for place in 0..apart.others.len() {
            let position = self.memory.apart().others[place] as usize;
            if self.keyword_in(check, position) {
                holding.push(position);
            }
        }
        holding.sort_unstable();
        holding
            .into_iter()
            .for_each(|position| places.add(position));
    }

    /// The raw text, without a name, where no field holds it.
    fn collect_keyword_of_text(&mut self, check: &Check, places: &mut MatchedPlaces) {
        let (compiled, event) = (self.compiled, self.event);
        // Most values are pieces of the text: where it is in that says which hold it.
        let text = event.record.raw;
        let found = if text.is_ascii() {
            check.places_within(text, &compiled.literals)
        } else {
            None
        };
        let apart = found.is_some() && {
            let apart = self.apart_from(text);
            check.is_within(&apart.texts, &compiled.literals)
        };
        let mut anywhere = false;
        for (position, field) in event.fields.iter().enumerate() {
            let holds = match (&found, field.value) {
                (Some(found), Value::Str(value)) if is_piece(field.value, text) => {
                    found.is_within(text, value)
                }
                // What is ASCII was looked at with the others.
                (Some(_), Value::Str(value)) if !apart && value.is_ascii() => false,
                _ => self.keyword_in(check, position),
            };
            if holds {
                anywhere = true;
                places.add(position);
            }
        }
        if !anywhere {
            places.add_raw();
        }
    }
}

/// Whether a value is a piece of `text`: not one like it, but that very place in memory.
#[inline]
pub(super) fn is_piece(value: Value<'_>, text: &[u8]) -> bool {
    let Value::Str(value) = value else {
        return false;
    };
    let (whole, piece) = (text.as_ptr_range(), value.as_bytes().as_ptr_range());
    // Two that are empty may be at the same place by chance.
    !text.is_empty() && whole.start <= piece.start && piece.end <= whole.end
}

/// Whether a value is null, or one of its elements.
fn holds_null(value: Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::List(values) => values.iter().any(|&value| holds_null(value)),
        _ => false,
    }
}

/// The texts of a value and its elements, folded where case does not count.
fn collect_texts(value: Value<'_>, case: Case, texts: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::List(values) => values
            .iter()
            .for_each(|&value| collect_texts(value, case, texts)),
        _ => {
            let mut text = String::new();
            write_value(value, &mut text);
            if case == Case::Insensitive {
                text = citywatch_rules::fold::fold_text(&text).into_owned();
            }
            texts.push(text);
        }
    }
}
