//! A rule's condition as a straight program: ask a predicate, go on depending on the answer.

use std::collections::HashMap;

use citywatch_parsers::bytes::prefetch;

use super::keys::index_u32;
use super::names::FieldIndex;
use super::predicate::{Predicate, PredicateId, Subject};
use super::tree::Tree;
use super::view::View;
use super::witness::Frequencies;

/// Where a program goes on: an operation, or an end.
type Target = u32;
const ACCEPT: Target = u32::MAX;
const REJECT: Target = u32::MAX - 1;

/// Ask one predicate.
#[derive(Clone, Copy, Debug)]
struct Operation {
    predicate: PredicateId,
    /// The field that it looks at, and where to go on when the event lacks it: past all that
    /// asks for the same field.
    field: Option<FieldIndex>,
    /// The index that finds the predicate, if any does.
    index: Option<u32>,
    on_absent: Target,
    on_true: Target,
    on_false: Target,
}

/// The programs of all rules.
#[derive(Debug, Default)]
pub(super) struct Programs {
    operations: Vec<Operation>,
}

/// Where a rule's program begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program(Target);

impl Programs {
    /// Adds the program of a condition. Within an And or Or comes first what decides it for the least work.
    pub(super) fn add(
        &mut self,
        tree: &Tree,
        predicates: &[Predicate],
        fields: usize,
        likely: &Frequencies,
    ) -> Program {
        let guess = Guess {
            predicates,
            fields,
            likely,
        };
        Program(self.emit(tree, ACCEPT, REJECT, guess))
    }

    /// Emits `tree`, whose ends are given, and returns where it begins. Programs are emitted from
    /// their ends, so that all targets are known.
    fn emit(&mut self, tree: &Tree, on_true: Target, on_false: Target, guess: Guess<'_>) -> Target {
        match tree {
            Tree::Const(true) => on_true,
            Tree::Const(false) => on_false,
            Tree::Not(child) => self.emit(child, on_false, on_true, guess),
            Tree::Leaf(predicate) => {
                let asked = &guess.predicates[predicate.0 as usize];
                let field = match asked.subject {
                    Subject::Field(field) => Some(field),
                    Subject::Keyword => None,
                };
                let next = if asked.check.holds_when_absent() {
                    on_true
                } else {
                    on_false
                };
                // What comes next was emitted before.
                let on_absent = match self.operations.get(next as usize) {
                    Some(operation) if operation.field == field => operation.on_absent,
                    _ => next,
                };
                self.operations.push(Operation {
                    predicate: *predicate,
                    field,
                    index: asked.index(guess.fields),
                    on_absent,
                    on_true,
                    on_false,
                });
                index_u32(self.operations.len() - 1)
            }
            Tree::And(children) => {
                let last_first = guess.last_first(children, Decisive::False);
                last_first.into_iter().fold(on_true, |next, child| {
                    self.emit(child, next, on_false, guess)
                })
            }
            Tree::Or(children) => {
                let last_first = guess.last_first(children, Decisive::True);
                last_first.into_iter().fold(on_false, |next, child| {
                    self.emit(child, on_true, next, guess)
                })
            }
        }
    }

    /// Asks for the start of a program, which will be run soon.
    #[inline]
    pub(super) fn prefetch(&self, program: Program) {
        prefetch(&self.operations, program.0 as usize);
    }

    /// Whether a program accepts a view.
    #[inline]
    pub(super) fn run(&self, program: Program, view: &mut View<'_, '_>) -> bool {
        let mut target = program.0;
        while let Some(operation) = self.operations.get(target as usize) {
            target = if operation.field.is_some_and(|field| !view.has(field)) {
                operation.on_absent
            } else if view.answer_of(operation.predicate, operation.index) {
                operation.on_true
            } else {
                operation.on_false
            };
        }
        target == ACCEPT
    }
}

/// Which answer of a part is that of the whole.
#[derive(Clone, Copy)]
enum Decisive {
    /// An Or's.
    True,
    /// An And's.
    False,
}

/// What is guessed of predicates.
#[derive(Clone, Copy)]
struct Guess<'g> {
    predicates: &'g [Predicate],
    /// How many there are that rules read.
    fields: usize,
    likely: &'g Frequencies,
}

impl Guess<'_> {
    /// The parts of an And or Or in the reverse of the order in
    /// which they are asked: what is the cheapest for its chance to decide comes first, and with it all other tests of
    /// the same field, so that one look is enough where the event lacks it.
    fn last_first(self, parts: &[Tree], decisive: Decisive) -> Vec<&Tree> {
        let worth = |part: &Tree| {
            let holds = self.likely.of_tree(part);
            let decides = match decisive {
                Decisive::True => holds,
                Decisive::False => 1.0 - holds,
            };
            f64::from(self.cost(part)) / decides.max(1e-6)
        };
        let mut parts: Vec<(Option<Subject>, f64, &Tree)> = parts
            .iter()
            .map(|part| (self.subject(part), worth(part), part))
            .collect();
        let mut first: HashMap<Subject, f64> = HashMap::new();
        for (subject, worth, _) in &parts {
            if let Some(subject) = subject {
                let first = first.entry(*subject).or_insert(*worth);
                *first = first.min(*worth);
            }
        }
        let group =
            |subject: Option<Subject>, worth: f64| subject.map_or(worth, |subject| first[&subject]);
        parts.sort_by(|left, right| {
            let groups = group(right.0, right.1).total_cmp(&group(left.0, left.1));
            groups
                .then_with(|| right.0.cmp(&left.0))
                .then_with(|| right.1.total_cmp(&left.1))
        });
        parts.into_iter().map(|(_, _, part)| part).collect()
    }

    /// What a single test is about.
    fn subject(self, part: &Tree) -> Option<Subject> {
        match part {
            Tree::Leaf(id) => Some(self.predicates[id.0 as usize].subject),
            _ => None,
        }
    }

    /// How dear a condition is at most.
    fn cost(self, tree: &Tree) -> u32 {
        match tree {
            Tree::And(children) | Tree::Or(children) => children
                .iter()
                .map(|child| self.cost(child))
                .fold(0, u32::saturating_add),
            Tree::Not(child) => self.cost(child),
            Tree::Leaf(id) => {
                let predicate = &self.predicates[id.0 as usize];
                predicate.check.cost(predicate.subject)
            }
            Tree::Const(_) => 0,
        }
    }
}
