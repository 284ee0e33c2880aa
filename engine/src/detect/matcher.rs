//! Matches events: one per thread, with the buffers that a match needs.
//!
//! 1. Route: the event's log sources give the rules that apply (kept from event to event).
//! 2. Search: each field that has witnesses is searched in its indexes, once.
//! 3. Collect: the rules of the witnesses found, less those that want a field the event lacks.
//! 4. Judge: each such rule's program asks the predicates it needs; answers are kept for the event.

use std::collections::HashMap;
use std::sync::Arc;

use citywatch_parsers::{Event, LogSource, Value};
use citywatch_rules::rule::{Case, Presence, Relation};

use super::compile::{Compiled, RuleIndex};
use super::index::SubjectIndex;
use super::names::FieldIndex;
use super::predicate::{
    Check, Indexed, Predicate, PredicateId, Subject, Text, relate, write_value,
};
use super::routing::{RuleBits, hash_sources};
use super::values::{Memory, Place};
use crate::matches::MatchedField;

/// A rule held for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHit {
    /// Which rule.
    pub rule: RuleIndex,
    /// The fields that made it hold.
    pub matched: Vec<MatchedField>,
}

/// Most combinations of log sources whose plans are kept; hostile records can name any number.
const PLANS_MAX: usize = 1_024;

/// Matches events against compiled rules. Cheap to use, not so cheap to make: one per thread.
#[derive(Debug)]
pub struct Matcher {
    compiled: Arc<Compiled>,
    memory: Memory,
    candidates: RuleBits,
    plans: HashMap<u64, Arc<Plan>>,
    last_plan: Option<Arc<Plan>>,
    plans_dropped: u64,
    candidates_judged: u64,
}

/// The rules for one combination of log sources.
#[derive(Debug)]
struct Plan {
    sources: Vec<LogSource<'static>>,
    rules: RuleBits,
    /// Rules that must be asked for every event.
    always: RuleBits,
    /// By field, keywords last: whether a rule of the plan has a witness there.
    searched: Box<[bool]>,
}

impl Matcher {
    pub(super) fn new(compiled: Arc<Compiled>) -> Self {
        Self {
            memory: Memory::new(compiled.names.len(), compiled.predicates.len()),
            candidates: RuleBits::empty(compiled.len()),
            plans: HashMap::new(),
            last_plan: None,
            plans_dropped: 0,
            candidates_judged: 0,
            compiled,
        }
    }

    /// The rules that it matches.
    pub fn compiled(&self) -> &Arc<Compiled> {
        &self.compiled
    }

    /// How often the plans kept per combination of log sources were thrown away because there were too many.
    pub fn plans_dropped(&self) -> u64 {
        self.plans_dropped
    }

    /// How many rules were judged for all events so far: the rest was ruled out by the indexes.
    pub fn candidates_judged(&self) -> u64 {
        self.candidates_judged
    }

    /// Appends the rules that hold for `event` to `hits`, in the order of the rule set.
    pub fn match_event(&mut self, event: &Event<'_>, hits: &mut Vec<RuleHit>) {
        let plan = self.plan(&event.log_sources);
        let compiled = &*self.compiled;
        self.memory.begin();
        self.candidates.0.copy_from_slice(&plan.always.0);
        let mut view = View {
            compiled,
            event,
            memory: &mut self.memory,
            searched: &plan.searched,
        };
        let present = view.search();
        collect(compiled, view.memory, &mut self.candidates);
        for (word, (candidates, allowed)) in self.candidates.0.iter().zip(&plan.rules.0).enumerate()
        {
            let mut left = candidates & allowed;
            while left != 0 {
                let rule = super::keys::index_u32(word * 64) + left.trailing_zeros();
                left &= left - 1;
                let plan = &compiled.plans[rule as usize];
                if plan.required & !present != 0 {
                    continue;
                }
                self.candidates_judged += 1;
                if compiled
                    .programs
                    .run(plan.program, |predicate| view.answer(predicate))
                {
                    hits.push(RuleHit {
                        rule: RuleIndex(rule),
                        matched: view.matched(rule),
                    });
                }
            }
        }
        self.last_plan = Some(plan);
    }

    fn plan(&mut self, sources: &[LogSource<'_>]) -> Arc<Plan> {
        if let Some(plan) = self.last_plan.take()
            && plan.sources == sources
        {
            return plan;
        }
        let hash = hash_sources(sources);
        if let Some(plan) = self.plans.get(&hash)
            && plan.sources == sources
        {
            return Arc::clone(plan);
        }
        if self.plans.len() >= PLANS_MAX {
            self.plans.clear();
            self.plans_dropped += 1;
        }
        let plan = Arc::new(Plan::new(&self.compiled, sources));
        self.plans.insert(hash, Arc::clone(&plan));
        plan
    }
}

/// Marks the rules of the witnesses that were found.
fn collect(compiled: &Compiled, memory: &Memory, candidates: &mut RuleBits) {
    for predicate in memory.found() {
        for &rule in compiled.witnessed.get(predicate.0 as usize) {
            candidates.insert(rule);
        }
    }
}

impl Plan {
    fn new(compiled: &Compiled, sources: &[LogSource<'_>]) -> Self {
        let rules = compiled.routing.rules(sources);
        let mut always = RuleBits::empty(compiled.len());
        compiled
            .unwitnessed()
            .filter(|rule| rules.contains(rule.0))
            .for_each(|rule| always.insert(rule.0));
        let owned = |text: &str| std::borrow::Cow::Owned(text.to_owned());
        let sources = sources.iter().map(|source| LogSource {
            product: owned(&source.product),
            category: owned(&source.category),
            service: owned(&source.service),
        });
        Self {
            sources: sources.collect(),
            searched: compiled.searched(&rules),
            rules,
            always,
        }
    }
}

/// One event on its way through the rules.
struct View<'v, 'e> {
    compiled: &'v Compiled,
    event: &'v Event<'e>,
    memory: &'v mut Memory,
    searched: &'v [bool],
}

impl View<'_, '_> {
    /// Finds the event's fields, searches them for witnesses, and returns the bits of the fields that are there.
    fn search(&mut self) -> u64 {
        let compiled = self.compiled;
        let keywords = self.searched.last().copied().unwrap_or(false);
        let keywords = if keywords {
            compiled.indexes.last().and_then(Option::as_ref)
        } else {
            None
        };
        let mut present = 0;
        for (position, field) in self.event.fields.iter().enumerate() {
            let known = compiled.names.get(field.name);
            if let Some(name) = known {
                present |= compiled.field_bits[name.0 as usize];
            }
            let own = known.filter(|name| self.searched[name.0 as usize]);
            let own = own.and_then(|name| compiled.indexes[name.0 as usize].as_ref());
            let place = self.memory.place(compiled, known, position, field.value);
            if let Some(index) = own {
                self.memory.find_all(&index.present);
                self.search_value(index, field.value, place);
            }
            if let Some(index) = keywords {
                self.search_value(index, field.value, place);
            }
        }
        if let Some(index) = keywords {
            self.memory.find_all(&index.present);
            let raw = self
                .memory
                .raw_place(&compiled.folder, self.event.record.raw);
            self.memory
                .scan_raw(index, compiled, self.event.record.raw, raw);
        }
        present
    }

    fn search_value(&mut self, index: &SubjectIndex, value: Value<'_>, place: Place) {
        let compiled = self.compiled;
        match value {
            Value::Null => {}
            Value::Str(raw) => self.memory.scan_text(index, compiled, raw, place),
            Value::List(values) => {
                for &value in values {
                    let place = self.memory.place_unnamed(&compiled.folder, value);
                    self.search_value(index, value, place);
                }
            }
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
                self.memory.scan_plain(index, compiled, value)
            }
        }
    }

    /// Whether a predicate holds.
    #[inline]
    fn answer(&mut self, id: PredicateId) -> bool {
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
            && self.searched[super::index::slot(predicate.subject, self.compiled.names.len())]
            && !self.memory.is_found(id)
    }

    fn evaluate(&mut self, predicate: &Predicate) -> bool {
        match predicate.subject {
            Subject::Field(field) => self.evaluate_field(field, &predicate.check),
            Subject::Keyword => self.evaluate_keyword(&predicate.check),
        }
    }

    fn evaluate_field(&mut self, field: FieldIndex, check: &Check) -> bool {
        let Some((position, place)) = self.memory.field(field) else {
            return check.holds_when_absent();
        };
        let value = self.event.fields[position].value;
        match check {
            Check::Exists(presence) => *presence == Presence::Present,
            Check::Null => value == Value::Null,
            Check::FieldRef {
                other,
                relation,
                case,
            } => self.evaluate_reference(value, *other, *relation, *case),
            _ => self.holds(check, value, place),
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
                let place = self.memory.place_unnamed(&self.compiled.folder, value);
                self.holds(check, value, place)
            }),
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => {
                check.holds_for_plain(value).unwrap_or_else(|| {
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
                })
            }
        }
    }

    fn evaluate_keyword(&mut self, check: &Check) -> bool {
        let event = self.event;
        let in_values = event.fields.iter().any(|field| {
            let place = self
                .memory
                .place_unnamed(&self.compiled.folder, field.value);
            self.holds(check, field.value, place)
        });
        in_values || {
            let place = self
                .memory
                .raw_place(&self.compiled.folder, event.record.raw);
            check.holds_for_text(
                self.memory.raw(event.record.raw, place),
                &self.compiled.literals,
            )
        }
    }

    /// Compares texts of one field with those of another. Rare, so it may allocate.
    fn evaluate_reference(
        &self,
        value: Value<'_>,
        other: FieldIndex,
        relation: Relation,
        case: Case,
    ) -> bool {
        let Some((position, _)) = self.memory.field(other) else {
            return false;
        };
        let other = self.event.fields[position].value;
        let texts = |value: Value<'_>| {
            let mut texts = Vec::new();
            collect_texts(value, case, &mut texts);
            texts
        };
        let others = texts(other);
        texts(value).iter().any(|text| {
            others
                .iter()
                .any(|other| relate(relation, text.as_bytes(), other.as_bytes()))
        })
    }

    /// The fields that made a rule hold.
    fn matched(&mut self, rule: u32) -> Vec<MatchedField> {
        let _ = rule;
        Vec::new()
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
