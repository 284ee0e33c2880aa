//! Which fields made a rule hold, worked out beforehand as far as its condition alone tells.
//!
//! Where all parts of a condition must hold, their fields are told without asking; so is a field that is asked for a
//! dozen values of which one must fit. Only where one part of several may be it are they asked.

use std::ops::Range;

use super::keys::index_u32;
use super::names::FieldIndex;
use super::predicate::{Indexed, Predicate, PredicateId, Subject};
use super::program::{Program, Programs};
use super::tree::Tree;
use super::witness::Frequencies;

/// What is told of a rule that holds, one step after the other.
#[derive(Clone, Copy, Debug)]
pub(super) enum Telling {
    /// This field, if it is there.
    Field(FieldIndex),
    /// This field, if it passes one of the tests `asks[start..end]`.
    FieldIfAny {
        field: FieldIndex,
        start: u32,
        end: u32,
    },
    /// The fields that hold a keyword that is known to be there.
    Keyword(PredicateId),
    /// The same if it is there.
    KeywordIfAny(PredicateId),
    /// What comes next up to `end`, if this holds.
    If { program: Program, end: u32 },
}

/// A test of a field: the predicate, and whether the field's index finds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask(u32);

const IS_INDEXED: u32 = 1 << 31;

impl Ask {
    fn new(id: PredicateId, indexed: Indexed) -> Self {
        assert!(id.0 < IS_INDEXED, "rule sets are bounded far below");
        let flag = if indexed == Indexed::No {
            0
        } else {
            IS_INDEXED
        };
        Self(id.0 | flag)
    }

    /// The predicate.
    #[inline]
    pub(super) fn predicate(self) -> PredicateId {
        PredicateId(self.0 & !IS_INDEXED)
    }

    /// Whether the field's index finds it.
    #[inline]
    pub(super) fn is_indexed(self) -> bool {
        self.0 & IS_INDEXED != 0
    }
}

/// What is told of all rules.
#[derive(Debug, Default)]
pub(super) struct Tellings {
    steps: Vec<Telling>,
    asks: Vec<Ask>,
    /// Where the steps of each rule begin, and the end of the last.
    starts: Vec<u32>,
    /// Steps up to here are closed: no test joins them.
    closed: usize,
}

/// What tellings are made of.
pub(super) struct Maker<'m> {
    pub(super) predicates: &'m [Predicate],
    /// How many fields rules read.
    pub(super) fields: usize,
    pub(super) likely: &'m Frequencies,
    pub(super) programs: &'m mut Programs,
}

impl Tellings {
    /// Adds the next rule's condition.
    pub(super) fn add(&mut self, tree: &Tree, maker: &mut Maker<'_>) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        self.closed = self.steps.len();
        self.add_holding(tree, maker);
        self.starts.push(index_u32(self.steps.len()));
    }

    /// The numbers of a rule's steps.
    #[inline]
    pub(super) fn of(&self, rule: u32) -> Range<u32> {
        self.starts[rule as usize]..self.starts[rule as usize + 1]
    }

    /// A step.
    #[inline]
    pub(super) fn step(&self, number: u32) -> Telling {
        self.steps[number as usize]
    }

    /// The tests of a step.
    #[inline]
    pub(super) fn asks(&self, start: u32, end: u32) -> &[Ask] {
        &self.asks[start as usize..end as usize]
    }

    /// Tells of a condition that is known to hold.
    fn add_holding(&mut self, tree: &Tree, maker: &mut Maker<'_>) {
        match tree {
            Tree::And(parts) => parts.iter().for_each(|part| self.add_holding(part, maker)),
            Tree::Or(parts) => match only_field(tree, maker.predicates) {
                Some(field) => self.steps.push(Telling::Field(field)),
                None => parts.iter().for_each(|part| self.add_asked(part, maker)),
            },
            Tree::Leaf(id) => self.steps.push(match subject(*id, maker.predicates) {
                Subject::Field(field) => Telling::Field(field),
                Subject::Keyword => Telling::Keyword(*id),
            }),
            // What a Not hides was not found, so there is nothing to tell.
            Tree::Not(_) | Tree::Const(_) => {}
        }
    }

    /// Tells of a part that may hold or not.
    fn add_asked(&mut self, tree: &Tree, maker: &mut Maker<'_>) {
        match tree {
            Tree::And(_) => {
                let program =
                    maker
                        .programs
                        .add(tree, maker.predicates, maker.fields, maker.likely);
                let at = self.steps.len();
                self.steps.push(Telling::If { program, end: 0 });
                self.add_holding(tree, maker);
                let end = index_u32(self.steps.len());
                self.steps[at] = Telling::If { program, end };
                self.closed = self.steps.len();
            }
            Tree::Or(parts) => parts.iter().for_each(|part| self.add_asked(part, maker)),
            Tree::Leaf(id) => match subject(*id, maker.predicates) {
                Subject::Field(field) => self.add_ask(field, *id, maker.predicates),
                Subject::Keyword => self.steps.push(Telling::KeywordIfAny(*id)),
            },
            Tree::Not(_) | Tree::Const(_) => {}
        }
    }

    /// Adds a test to those of the same field before it, if it is they that come last.
    fn add_ask(&mut self, asked: FieldIndex, id: PredicateId, predicates: &[Predicate]) {
        let at = index_u32(self.asks.len());
        let indexed = predicates[id.0 as usize].indexed;
        self.asks.push(Ask::new(id, indexed));
        match self.steps[self.closed..].last_mut() {
            Some(Telling::FieldIfAny { field, end, .. }) if *field == asked && *end == at => {
                *end = at + 1;
            }
            _ => self.steps.push(Telling::FieldIfAny {
                field: asked,
                start: at,
                end: at + 1,
            }),
        }
    }
}

fn subject(id: PredicateId, predicates: &[Predicate]) -> Subject {
    predicates[id.0 as usize].subject
}

/// The field that all of a condition is about, if it has no Not: where it holds, that field has what makes it hold.
fn only_field(tree: &Tree, predicates: &[Predicate]) -> Option<FieldIndex> {
    match tree {
        Tree::And(parts) | Tree::Or(parts) => {
            let mut fields = parts.iter().map(|part| only_field(part, predicates));
            let first = fields.next()??;
            fields.all(|field| field == Some(first)).then_some(first)
        }
        Tree::Leaf(id) => match subject(*id, predicates) {
            Subject::Field(field) => Some(field),
            Subject::Keyword => None,
        },
        Tree::Not(_) | Tree::Const(_) => None,
    }
}
