//! Values that rule out rules which would be asked for every event.
//!
//! A rule without a witness says what is not: it holds unless a field has one of many usual values. Whether a value rules
//! it out, whatever else the event has, is found out once for the value and remembered with it.

use citywatch_rules::rule::Presence;

use super::compile::{Compiled, RulePlan};
use super::names::FieldIndex;
use super::predicate::{Check, Predicate, PredicateId, Subject, Text};
use super::tree::Tree;

/// Some of the rules, a bit each.
pub(super) type Denied = u8;

/// Rules that are asked for every event, and the field whose value may rule each out. Rules beyond the eighth are always
/// asked.
#[derive(Debug)]
pub(super) struct Denials {
    rules: Box<[(u32, FieldIndex)]>,
    /// By field, which of the rules it may rule out.
    by_field: Box<[Denied]>,
}

impl Denials {
    /// Of these rules, by index.
    pub(super) fn new(
        plans: &[RulePlan],
        trees: &[Tree],
        predicates: &[Predicate],
        fields: usize,
    ) -> Self {
        let rules: Box<[_]> = (0..)
            .zip(plans.iter().zip(trees))
            .filter(|(_, (plan, _))| plan.always)
            .filter_map(|(rule, (_, tree))| Some((rule, most_tested(tree, predicates)?)))
            .take(Denied::BITS as usize)
            .collect();
        let mut by_field = vec![0; fields];
        for (place, (_, field)) in rules.iter().enumerate() {
            by_field[field.0 as usize] |= 1 << place;
        }
        Self {
            rules,
            by_field: by_field.into(),
        }
    }

    /// The rules that values of a field may rule out.
    pub(super) fn of_field(&self, field: FieldIndex) -> Denied {
        self.by_field[field.0 as usize]
    }

    /// The bit of a rule; none where nothing rules it out.
    pub(super) fn of_rule(&self, rule: u32) -> Denied {
        let place = self.rules.iter().position(|(known, _)| *known == rule);
        place.map_or(0, |place| 1 << place)
    }

    /// The rules that do not hold for any event whose `field` has this text.
    pub(super) fn of_text(&self, compiled: &Compiled, field: FieldIndex, text: Text<'_>) -> Denied {
        let holds = |predicate: &Predicate| {
            (predicate.subject == Subject::Field(field)).then_some(())?;
            match &predicate.check {
                Check::Exists(presence) => Some(*presence == Presence::Present),
                Check::Null => Some(false),
                // What the other field has is not known.
                Check::FieldRef { .. } => None,
                check => Some(check.holds_for_text(text, &compiled.literals)),
            }
        };
        let mut denied = 0;
        for (place, (rule, of)) in self.rules.iter().enumerate() {
            let tree = &compiled.trees[*rule as usize];
            let known = |id: PredicateId| holds(&compiled.predicates[id.0 as usize]);
            if *of == field && tree.outcome(&known) == Some(false) {
                denied |= 1 << place;
            }
        }
        denied
    }
}

/// The field that most tests of a rule are of.
fn most_tested(tree: &Tree, predicates: &[Predicate]) -> Option<FieldIndex> {
    let mut fields = Vec::new();
    tree.each_leaf(&mut |id| {
        if let Subject::Field(field) = predicates[id.0 as usize].subject {
            fields.push(field.0);
        }
    });
    let tests_of = |field: u32| fields.iter().filter(|other| **other == field).count();
    let most = fields.iter().copied().max_by_key(|field| tests_of(*field));
    most.map(FieldIndex)
}
