//! Chooses for each rule its witnesses: predicates of which at least one must hold for the rule to.
//!
//! A rule is looked at only when one of its witnesses is found in the event, so witnesses should
//! seldom hold. How seldom is guessed from the predicate alone: long literals are rarer than short
//! ones, and what many rules ask for (`\powershell.exe`, event id 1) is common.

use std::net::{IpAddr, Ipv4Addr};

use citywatch_rules::rule::{CidrBlock, CompareOp, Presence, Relation, Test, TextPart};

use super::keys::index_u32;
use super::predicate::{Check, PredicateId, Subject, Text};
use super::tree::{PredicateTable, Tree};
use super::{anchors, common};

/// Witnesses of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Witnesses {
    /// The share of events in which one of them holds, as guessed.
    pub(super) frequency: f64,
    /// The predicates.
    pub(super) predicates: Vec<PredicateId>,
}

/// The share of events in which each predicate holds, as guessed.
#[derive(Debug)]
pub(super) struct Frequencies(Box<[f64]>);

impl Frequencies {
    /// Those of all predicates.
    pub(super) fn of(table: &PredicateTable<'_>) -> Self {
        let ids = (0..index_u32(table.predicates.len())).map(PredicateId);
        Self(ids.map(|id| frequency(id, table)).collect())
    }

    /// That of a predicate.
    pub(super) fn get(&self, id: PredicateId) -> f64 {
        self.0[id.0 as usize]
    }

    /// The share of events in which a condition holds, as if its tests knew nothing of each other.
    pub(super) fn of_tree(&self, tree: &Tree) -> f64 {
        match tree {
            Tree::And(children) => children.iter().map(|child| self.of_tree(child)).product(),
            Tree::Or(children) => {
                1.0 - children
                    .iter()
                    .map(|child| 1.0 - self.of_tree(child))
                    .product::<f64>()
            }
            Tree::Not(child) => 1.0 - self.of_tree(child),
            Tree::Leaf(id) => self.get(*id),
            Tree::Const(value) => f64::from(u8::from(*value)),
        }
    }
}

/// The witnesses of `tree` with the lowest frequency; `None` when it can hold without any (it is
/// made of negations, or asks for absence).
pub(super) fn choose(
    tree: &Tree,
    table: &PredicateTable<'_>,
    frequencies: &Frequencies,
) -> Option<Witnesses> {
    signed(tree, true, table, frequencies)
}

fn signed(
    tree: &Tree,
    positive: bool,
    table: &PredicateTable<'_>,
    frequencies: &Frequencies,
) -> Option<Witnesses> {
    match (tree, positive) {
        (Tree::And(children), true) | (Tree::Or(children), false) => children
            .iter()
            .filter_map(|child| signed(child, positive, table, frequencies))
            .min_by(|left, right| left.frequency.total_cmp(&right.frequency)),
        (Tree::Or(children), true) | (Tree::And(children), false) => {
            let mut all = Witnesses {
                frequency: 0.0,
                predicates: Vec::new(),
            };
            for child in children {
                let own = signed(child, positive, table, frequencies)?;
                all.frequency += own.frequency;
                all.predicates.extend(own.predicates);
            }
            Some(all)
        }
        (Tree::Not(child), _) => signed(child, !positive, table, frequencies),
        (Tree::Leaf(id), true) => {
            let check = &table.predicates[id.0 as usize].check;
            (!check.holds_when_absent()).then(|| Witnesses {
                frequency: frequencies.get(*id),
                predicates: vec![*id],
            })
        }
        (Tree::Leaf(_), false) => None,
        (Tree::Const(value), _) => (*value != positive).then(|| Witnesses {
            frequency: 0.0,
            predicates: Vec::new(),
        }),
    }
}

/// The share of events in which a predicate holds, as guessed.
fn frequency(id: PredicateId, table: &PredicateTable<'_>) -> f64 {
    let index = id.0 as usize;
    let subject = table.predicates[index].subject;
    let popularity = 1.0 + f64::from(table.uses[index]) / 4.0;
    let base = match (table.tests[index], &table.predicates[index].check) {
        (Test::Text(_), Check::Text(check)) if subject == Subject::Keyword => {
            of_keyword(check.literal.len())
        }
        (Test::Text(pattern), Check::Text(check)) => {
            of_length(check.relation, check.literal.len()) * of_signs(pattern.parts())
        }
        (Test::Text(pattern), Check::Glob(..)) => {
            let longest = pattern
                .parts()
                .iter()
                .map(|part| {
                    if let TextPart::Literal(text) = part {
                        text.len()
                    } else {
                        0
                    }
                })
                .max();
            of_length(Relation::Contains, longest.unwrap_or(0)) / 2.0
        }
        (Test::Regex(regex), _) => of_regex(&regex.pattern),
        (_, Check::Compare(CompareOp::Equal, _)) => 0.004,
        (_, Check::Cidr(block)) => of_network(block),
        (_, Check::FieldRef { .. }) => 0.02,
        (_, Check::Bool(_)) => 0.3,
        (_, Check::Exists(Presence::Present)) => 0.5,
        _ => 0.2,
    };
    match common_share(id, table) {
        Some(share) => share.max(base),
        // Of what many rules ask for we guess that it is common.
        None => (base * popularity).min(1.0),
    }
}

/// The share of the common values of its field for which a predicate holds, if it does for any.
fn common_share(id: PredicateId, table: &PredicateTable<'_>) -> Option<f64> {
    let predicate = &table.predicates[id.0 as usize];
    let Subject::Field(field) = predicate.subject else {
        return None;
    };
    let values = common::values_of(table.names.name(field));
    if values.is_empty() {
        return None;
    }
    let share = |holds: &dyn Fn(&str) -> bool| -> f64 {
        let held = values.iter().filter(|(value, _)| holds(value));
        held.map(|(_, share)| share).sum::<f64>().min(1.0)
    };
    let share = match (&predicate.check, table.tests[id.0 as usize]) {
        (Check::Text(_) | Check::Glob(..) | Check::Compare(CompareOp::Equal, _), _) => {
            share(&|value| {
                let text = Text {
                    raw: value,
                    folded: value,
                };
                predicate.check.holds_for_text(text, &table.literals)
            })
        }
        (_, Test::Regex(regex)) => {
            let texts = anchors::required_texts(&regex.pattern)?;
            share(&|value| texts.iter().any(|text| value.contains(text)))
        }
        _ => 0.0,
    };
    (share > 0.0).then_some(share)
}

/// Most addresses in a city's logs are of its own networks.
fn of_network(block: &CidrBlock) -> f64 {
    const OWN: [(IpAddr, f64); 3] = [
        (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 0.4),
        (IpAddr::V4(Ipv4Addr::new(192, 168, 0, 1)), 0.2),
        (IpAddr::V4(Ipv4Addr::new(172, 16, 0, 1)), 0.1),
    ];
    let held = OWN.iter().filter(|(address, _)| block.contains(*address));
    held.map(|(_, share)| share).sum::<f64>().max(0.02)
}

/// By the texts of which one must occur; without such, nearly any value has to be looked at.
fn of_regex(pattern: &str) -> f64 {
    let Some(texts) = anchors::required_texts(pattern) else {
        return 0.5;
    };
    let one = |text: &String| of_length(Relation::Contains, text.len());
    texts.iter().map(one).sum::<f64>().clamp(0.001, 0.5)
}

/// A keyword looks at everything: a short one stands somewhere in most events, a word of four letters in few.
fn of_keyword(letters: usize) -> f64 {
    match i32::try_from(letters) {
        Ok(letters) if letters < KEYWORD_LETTERS_RARE => 1.0,
        Ok(letters) => 0.000_5_f64.max(0.03 * 0.7_f64.powi(letters - KEYWORD_LETTERS_RARE)),
        Err(_) => 0.000_5,
    }
}

/// Letters from which on a keyword is no piece of most other words.
const KEYWORD_LETTERS_RARE: i32 = 4;

/// How much rarer a text is for what it is made of: signs alone, letters rather than digits.
fn of_signs(parts: &[TextPart]) -> f64 {
    let mut bytes = parts.iter().flat_map(|part| match part {
        TextPart::Literal(text) => text.bytes(),
        _ => "".bytes(),
    });
    let (mut letters, mut digits) = (false, false);
    for byte in &mut bytes {
        digits |= byte.is_ascii_digit();
        letters |= byte.is_ascii_alphabetic() || !byte.is_ascii();
    }
    match (letters, digits) {
        (false, false) => 0.25,
        (true, _) => 0.5,
        (false, true) => 1.0,
    }
}

fn of_length(relation: Relation, length: usize) -> f64 {
    let letters = i32::try_from(length.min(24)).unwrap_or(24);
    match relation {
        Relation::Equals => 0.002_f64.max(0.2 * 0.5_f64.powi(letters)),
        Relation::EndsWith => 0.001_f64.max(0.5 * 0.6_f64.powi(letters)),
        Relation::StartsWith => 0.004_f64.max(0.5 * 0.65_f64.powi(letters)),
        Relation::Contains => 0.000_2_f64.max(0.5_f64.powi(letters - 1)),
    }
}
