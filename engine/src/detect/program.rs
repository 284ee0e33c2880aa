//! A rule's condition as a straight program: ask a predicate, go on depending on the answer.

use citywatch_parsers::bytes::prefetch;

use super::keys::index_u32;
use super::names::FieldIndex;
use super::predicate::{Predicate, PredicateId, Subject};
use super::tree::Tree;
use super::view::View;

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
    /// Adds the program of a condition. Within an And or Or the cheapest comes first.
    pub(super) fn add(&mut self, tree: &Tree, predicates: &[Predicate]) -> Program {
        Program(self.emit(tree, ACCEPT, REJECT, predicates))
    }

    /// Emits `tree`, whose ends are given, and returns where it begins. Programs are emitted from
    /// their ends, so that all targets are known.
    fn emit(
        &mut self,
        tree: &Tree,
        on_true: Target,
        on_false: Target,
        predicates: &[Predicate],
    ) -> Target {
        match tree {
            Tree::Const(true) => on_true,
            Tree::Const(false) => on_false,
            Tree::Not(child) => self.emit(child, on_false, on_true, predicates),
            Tree::Leaf(predicate) => {
                let asked = &predicates[predicate.0 as usize];
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
                    on_absent,
                    on_true,
                    on_false,
                });
                index_u32(self.operations.len() - 1)
            }
            Tree::And(children) => {
                let dearest_first = dearest_first(children, predicates);
                dearest_first.into_iter().fold(on_true, |next, child| {
                    self.emit(child, next, on_false, predicates)
                })
            }
            Tree::Or(children) => {
                let dearest_first = dearest_first(children, predicates);
                dearest_first.into_iter().fold(on_false, |next, child| {
                    self.emit(child, on_true, next, predicates)
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
            } else if view.answer(operation.predicate) {
                operation.on_true
            } else {
                operation.on_false
            };
        }
        target == ACCEPT
    }
}

fn dearest_first<'t>(children: &'t [Tree], predicates: &[Predicate]) -> Vec<&'t Tree> {
    let mut sorted: Vec<(u32, &Tree)> = children
        .iter()
        .map(|child| (cost(child, predicates), child))
        .collect();
    sorted.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
    sorted.into_iter().map(|(_, child)| child).collect()
}

/// How dear a condition is at most.
fn cost(tree: &Tree, predicates: &[Predicate]) -> u32 {
    match tree {
        Tree::And(children) | Tree::Or(children) => children
            .iter()
            .map(|child| cost(child, predicates))
            .fold(0, u32::saturating_add),
        Tree::Not(child) => cost(child, predicates),
        Tree::Leaf(id) => {
            let predicate = &predicates[id.0 as usize];
            predicate.check.cost(predicate.subject)
        }
        Tree::Const(_) => 0,
    }
}
