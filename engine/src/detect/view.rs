//! One event on its way through the rules: its fields are searched, predicates asked, and what made
//! a rule hold is told.

use std::borrow::Cow;

use citywatch_parsers::{Event, Value};
use citywatch_rules::rule::{Case, Presence, Relation};

use super::compile::Compiled;
use super::index::slot;
use super::matched::MatchedPlaces;
use super::names::FieldIndex;
use super::predicate::{
    Check, Indexed, Predicate, PredicateId, Subject, Text, relate, write_value,
};
use super::tree::Tree;
use super::values::{Memory, Place};

/// An event, the rules it is held against, and what is known of it.
pub(super) struct View<'v, 'e> {
    pub(super) compiled: &'v Compiled,
    pub(super) event: &'v Event<'e>,
    pub(super) memory: &'v mut Memory,
    /// By field, keywords last: whether the indexes are searched for this event.
    pub(super) searched: &'v [bool],
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
        self.memory.field(field).is_some()
    }

    /// Whether a predicate holds.
    #[inline]
    pub(super) fn answer(&mut self, id: PredicateId) -> bool {
        if let Some(answer) = self.memory.answer(id) {
            return answer;
        }
        let predicate = &self.compiled.predicates[id.0 as usize];
        let answer = if self.ruled_out(id, predicate) {
            false
        } else {
            self.evaluate(predicate)
        };
        self.memory.keep(id, answer);
        answer
    }

    /// Whether its index was searched and did not find it.
    fn ruled_out(&self, id: PredicateId, predicate: &Predicate) -> bool {
        predicate.indexed != Indexed::No
            && self.was_searched(predicate.subject)
            && !self.memory.is_found(id)
    }

    fn was_searched(&self, subject: Subject) -> bool {
        self.searched[slot(subject, self.compiled.names.len())]
    }

    fn evaluate(&mut self, predicate: &Predicate) -> bool {
        match predicate.subject {
            Subject::Field(field) => self.evaluate_field(field, &predicate.check),
            Subject::Keyword => self.evaluate_keyword(&predicate.check),
        }
    }

    fn evaluate_field(&mut self, field: FieldIndex, check: &Check) -> bool {
        let Some(position) = self.memory.field(field) else {
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
                let place = self.memory.place_of(field, &self.compiled.folder, value);
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
        if !self.event.record.is_document() {
            self.load_raw();
            let (memory, literals) = (&*self.memory, &self.compiled.literals);
            if self.raw.as_ref().is_some_and(|(raw, place)| {
                check.holds_for_text(memory.text(raw, *place), literals)
            }) {
                return true;
            }
            if check.holds_for_whole() && !check.may_hold_for_whole_number(literals) {
                whole = self.event.record.raw;
            }
        }
        if whole.is_empty() {
            return (0..self.event.fields.len()).any(|position| self.keyword_in(check, position));
        }
        // Most values are pieces of the text, or numbers: which are not is found out once.
        if !self.memory.knows_apart() {
            let fields = self.event.fields.iter().enumerate();
            let apart = fields.filter(|(_, field)| {
                !matches!(field.value, Value::Int(_) | Value::UInt(_))
                    && !is_piece(field.value, whole)
            });
            self.memory.set_apart(apart.map(|(position, _)| position));
        }
        (0..self.memory.apart().len())
            .any(|place| self.keyword_in(check, self.memory.apart()[place] as usize))
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
        let Some(position) = self.memory.field(other) else {
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

    /// The fields that made a rule hold: in the order of its tests, each once.
    pub(super) fn matched(&mut self, rule: u32) -> MatchedPlaces {
        let compiled = self.compiled;
        let mut places = MatchedPlaces::default();
        self.collect(&compiled.trees[rule as usize], &mut places);
        places
    }

    /// `tree` is known to hold.
    fn collect(&mut self, tree: &Tree, places: &mut MatchedPlaces) {
        match tree {
            Tree::And(parts) | Tree::Or(parts) => {
                for part in parts {
                    if self.may_add(part, places) && self.tree_holds(part) {
                        self.collect(part, places);
                    }
                }
            }
            Tree::Leaf(id) => match self.compiled.predicates[id.0 as usize].subject {
                Subject::Field(field) => {
                    if let Some(position) = self.memory.field(field) {
                        places.add(position);
                    }
                }
                Subject::Keyword => self.collect_keyword(*id, places),
            },
            // What a Not hides was not found, so there is nothing to tell.
            Tree::Not(_) | Tree::Const(_) => {}
        }
    }

    /// Whether a test can add a field to those that are told: most rules ask one field for a dozen values.
    fn may_add(&self, tree: &Tree, places: &MatchedPlaces) -> bool {
        let Tree::Leaf(id) = tree else { return true };
        match self.compiled.predicates[id.0 as usize].subject {
            Subject::Field(field) => self
                .memory
                .field(field)
                .is_some_and(|position| !places.has(position)),
            Subject::Keyword => true,
        }
    }

    fn tree_holds(&mut self, tree: &Tree) -> bool {
        match tree {
            Tree::And(parts) => parts.iter().all(|part| self.tree_holds(part)),
            Tree::Or(parts) => parts.iter().any(|part| self.tree_holds(part)),
            Tree::Not(part) => !self.tree_holds(part),
            Tree::Leaf(id) => self.answer(*id),
            Tree::Const(value) => *value,
        }
    }

    /// The fields that hold a keyword; the raw text, without a name, where none does.
    fn collect_keyword(&mut self, id: PredicateId, places: &mut MatchedPlaces) {
        let predicate = &self.compiled.predicates[id.0 as usize];
        let mut anywhere = false;
        if predicate.indexed == Indexed::Exactly && self.was_searched(predicate.subject) {
            for number in 0..self.memory.keyword_places().len() {
                let (found, position) = self.memory.keyword_places()[number];
                if found == id {
                    anywhere = true;
                    places.add(position as usize);
                }
            }
        } else {
            for position in 0..self.event.fields.len() {
                if self.keyword_in(&predicate.check, position) {
                    anywhere = true;
                    places.add(position);
                }
            }
        }
        if !anywhere && !self.event.record.is_document() {
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
