//! A rule's condition over shared predicates, and the table that shares them.

use std::collections::HashMap;
use std::sync::Arc;

use citywatch_rules::rule::{
    Case, CidrBlock, CompareOp, Expr, FieldRef, Number, Presence, RegexPattern, Test, TextPattern,
    TimePart,
};

use super::keys::index_u32;
use super::literals::Literals;
use super::names::NamesBuilder;
use super::predicate::{Check, Indexed, Predicate, PredicateId, Subject};

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
    Leaf(PredicateId),
    Const(bool),
}

impl Tree {
    /// Calls `on` with each predicate, as often as it occurs.
    pub(super) fn each_leaf(&self, on: &mut impl FnMut(PredicateId)) {
        match self {
            Self::And(children) | Self::Or(children) => {
                children.iter().for_each(|child| child.each_leaf(on));
            }
            Self::Not(child) => child.each_leaf(on),
            Self::Leaf(id) => on(*id),
            Self::Const(_) => {}
        }
    }

    /// Whether it holds, where that follows from the predicates that are known.
    pub(super) fn outcome(&self, known: &impl Fn(PredicateId) -> Option<bool>) -> Option<bool> {
        // One child that is `telling` decides; without one all must be known.
        let of_all = |children: &[Tree], telling: bool| {
            let mut outcome = Some(!telling);
            for child in children {
                match child.outcome(known) {
                    Some(holds) if holds == telling => return Some(telling),
                    Some(_) => {}
                    None => outcome = None,
                }
            }
            outcome
        };
        match self {
            Self::And(children) => of_all(children, false),
            Self::Or(children) => of_all(children, true),
            Self::Not(child) => child.outcome(known).map(|holds| !holds),
            Self::Leaf(id) => known(*id),
            Self::Const(value) => Some(*value),
        }
    }
}

/// Gives the same test of the same subject the same predicate.
#[derive(Debug, Default)]
pub(super) struct PredicateTable<'a> {
    pub(super) predicates: Vec<Predicate>,
    /// The tests, by predicate.
    pub(super) tests: Vec<&'a Test>,
    /// How many leaves of rules each has.
    pub(super) uses: Vec<u32>,
    pub(super) literals: Literals,
    pub(super) names: NamesBuilder,
    known: HashMap<(Subject, TestKey<'a>), PredicateId>,
}

/// A test as a key: equal keys hold for the same values.
#[derive(Debug, PartialEq, Eq, Hash)]
enum TestKey<'a> {
    Text(&'a TextPattern),
    Regex(&'a RegexPattern),
    Cidr(CidrBlock),
    Compare(CompareOp, NumberKey),
    Bool(bool),
    Exists(bool),
    Null,
    FieldRef(&'a str, u8, Case),
    TimePart(TimePart, CompareOp, NumberKey),
}

/// A number by value: a whole float is the whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum NumberKey {
    Int(i128),
    Float(u64),
}

impl NumberKey {
    /// The key of a number: two numbers compare as equal exactly if their keys are equal.
    pub(super) fn of(number: Number) -> Self {
        match number {
            Number::Int(number) => Self::Int(number),
            Number::Float(number) => {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "compared with the number afterwards"
                )]
                let whole = number as i128;
                if Number::Int(whole) == Number::Float(number) {
                    Self::Int(whole)
                } else {
                    Self::Float(number.to_bits())
                }
            }
        }
    }

    /// As a key of a [`super::keys::KeyTable`]: numbers that share one are told apart afterwards.
    pub(super) fn hash(self) -> u64 {
        match self {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a hash: any of its bits do"
            )]
            Self::Int(number) => number as u64,
            Self::Float(bits) => bits ^ 1,
        }
    }
}

impl<'a> TestKey<'a> {
    fn of(test: &'a Test) -> Self {
        match test {
            Test::Text(pattern) => Self::Text(pattern),
            Test::Regex(regex) => Self::Regex(regex),
            Test::Cidr(block) => Self::Cidr(*block),
            Test::Compare { op, number } => Self::Compare(*op, NumberKey::of(*number)),
            Test::Number(number) => Self::Compare(CompareOp::Equal, NumberKey::of(*number)),
            Test::Bool(wanted) => Self::Bool(*wanted),
            Test::Exists(presence) => Self::Exists(*presence == Presence::Present),
            Test::Null => Self::Null,
            Test::FieldRef(FieldRef {
                field,
                relation,
                case,
            }) => Self::FieldRef(field, *relation as u8, *case),
            Test::TimePart { part, op, number } => {
                Self::TimePart(*part, *op, NumberKey::of(*number))
            }
        }
    }
}

impl<'a> PredicateTable<'a> {
    /// Lowers a condition.
    pub(super) fn lower(&mut self, expr: &'a Expr) -> Tree {
        let mut all =
            |children: &'a [Expr]| children.iter().map(|child| self.lower(child)).collect();
        match expr {
            Expr::And(children) => Tree::And(all(children)),
            Expr::Or(children) => Tree::Or(all(children)),
            Expr::Not(child) => Tree::Not(Box::new(self.lower(child))),
            Expr::Field(field) => {
                let subject = Subject::Field(self.names.add(&field.field));
                Tree::Leaf(self.predicate(subject, &field.test))
            }
            Expr::Keyword(test) => Tree::Leaf(self.predicate(Subject::Keyword, test)),
            Expr::Const(value) => Tree::Const(*value),
        }
    }

    fn predicate(&mut self, subject: Subject, test: &'a Test) -> PredicateId {
        let key = (subject, TestKey::of(test));
        if let Some(&id) = self.known.get(&key) {
            self.uses[id.0 as usize] += 1;
            return id;
        }
        let names = &mut self.names;
        let check = Check::compile(test, &mut self.literals, |name: &Arc<str>| names.add(name));
        let id = PredicateId(index_u32(self.predicates.len()));
        self.predicates.push(Predicate {
            subject,
            check,
            indexed: Indexed::No,
        });
        self.tests.push(test);
        self.uses.push(1);
        self.known.insert(key, id);
        id
    }
}
