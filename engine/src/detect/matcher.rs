//! Matches events: one per thread, with the buffers that a match needs.
//!
//! 1. Route: the event's log sources give the rules that apply (kept from event to event).
//! 2. Search: each field that has witnesses is searched in its indexes, once.
//! 3. Collect: the rules of the witnesses found, less those that want a field the event lacks.
//! 4. Judge: each such rule's program asks the predicates it needs; answers are kept for the event.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use citywatch_parsers::bytes::same_bytes;
use citywatch_parsers::{Event, LogSource};

use super::compile::{Compiled, RuleIndex};
use super::denials::Denied;
use super::matched::MatchedPlaces;
use super::predicate::PredicateId;
use super::program::Program;
use super::routing::{Candidates, RuleBits, hash_sources};
use super::search::Searcher;
use super::steps::Steps;
use super::values::Memory;
use super::view::View;

/// A rule held for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleHit {
    /// Which rule.
    pub rule: RuleIndex,
    /// The fields that made it hold.
    pub matched: MatchedPlaces,
}

/// Times the judging of rules. The clock is the caller's: this module has none.
pub trait JudgeTimer {
    /// A rule is about to be judged.
    fn begin(&mut self);
    /// This rule was judged.
    fn end(&mut self, rule: RuleIndex);
}

/// Nobody wants to know.
struct NotTimed;

impl JudgeTimer for NotTimed {
    #[inline]
    fn begin(&mut self) {}

    #[inline]
    fn end(&mut self, _rule: RuleIndex) {}
}

/// Most combinations of log sources whose plans are kept; hostile records can name any number.
const PLANS_MAX: u32 = 1_024;

const RECENT_PLANS: usize = 256;

/// Matches events against compiled rules. Cheap to use, not so cheap to make: one per thread.
#[derive(Debug)]
pub struct Matcher {
    compiled: Arc<Compiled>,
    memory: Memory,
    searcher: Searcher,
    candidates: Candidates,
    /// The rules of the event that are judged, with their programs.
    judged: Vec<(u32, Program)>,
    /// By a hash of their log sources.
    plans: HashMap<u64, Vec<Arc<Plan>>>,
    /// How many there are: the number of the next one.
    plans_made: u32,
    /// The last plan of events with the same names in the same order: most often it is the next one's too.
    guesses: Box<[Option<Arc<Plan>>]>,
    /// Some of the plans, found at once by their log sources.
    recent_plans: Box<[Option<Arc<Plan>>]>,
    plans_dropped: u64,
    candidates_judged: u64,
}

/// The rules for one combination of log sources.
#[derive(Debug)]
pub(super) struct Plan {
    /// Tells it from the other plans that there are at the time.
    pub(super) number: u32,
    sources: SourceKey,
    pub(super) rules: RuleBits,
    /// Rules that must be asked for every event of which no value rules them out.
    always: Box<[(u32, Denied)]>,
    /// By field, keywords last: whether a rule of the plan has a witness there.
    pub(super) searched: Box<[bool]>,
    asked: OnceLock<Box<[bool]>>,
}

/// Log sources, their parts in one text, so that comparing them waits for one place in memory alone.
#[derive(Debug)]
struct SourceKey(Box<[u8]>);

/// Ends a part: no text has it.
const PART_END: u8 = 0xFF;

impl SourceKey {
    fn of(sources: &[LogSource<'_>]) -> Self {
        let mut key = Vec::new();
        for part in sources.iter().flat_map(parts_of) {
            key.extend_from_slice(part.as_bytes());
            key.push(PART_END);
        }
        Self(key.into())
    }

    /// Whether these are the log sources.
    #[inline]
    fn is(&self, sources: &[LogSource<'_>]) -> bool {
        let mut rest = &*self.0;
        for part in sources.iter().flat_map(parts_of) {
            let Some((own, [PART_END, others @ ..])) = rest.split_at_checked(part.len()) else {
                return false;
            };
            if !same_bytes(own, part.as_bytes()) {
                return false;
            }
            rest = others;
        }
        rest.is_empty()
    }
}

fn parts_of<'s>(source: &'s LogSource<'_>) -> [&'s str; 3] {
    [&source.product, &source.category, &source.service]
}

impl Matcher {
    pub(super) fn new(compiled: Arc<Compiled>) -> Self {
        Self {
            memory: Memory::new(compiled.names.len(), compiled.predicates.len()),
            searcher: Searcher::new(),
            candidates: Candidates::empty(compiled.len()),
            judged: Vec::new(),
            plans: HashMap::new(),
            plans_made: 0,
            guesses: vec![None; RECENT_PLANS].into(),
            recent_plans: vec![None; RECENT_PLANS].into(),
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
        self.match_event_timed(event, hits, &mut NotTimed);
    }

    /// The same; `timer` is told of each rule that is judged.
    pub fn match_event_timed(
        &mut self,
        event: &Event<'_>,
        hits: &mut Vec<RuleHit>,
        timer: &mut impl JudgeTimer,
    ) {
        let guess = self.guess(event);
        let plan = match self.guesses[guess].take() {
            Some(plan) if plan.sources.is(&event.log_sources) => plan,
            _ => self.plan(&event.log_sources),
        };
        let compiled = &*self.compiled;
        self.memory.begin();
        let mut view = View::new(compiled, event, &mut self.memory, &plan.searched);
        let Steps {
            present, places, ..
        } = self.searcher.search(&mut view, &plan);
        view.places = places;
        collect(compiled, view.memory.found(), &mut self.candidates);
        self.judged.clear();
        for &(rule, denial) in &plan.always {
            if view.memory.denied & denial == 0 {
                self.candidates.insert(rule);
            }
        }
        while let Some((word, candidates)) = self.candidates.take_word() {
            let mut left = candidates & plan.rules.0[word];
            while left != 0 {
                let rule = super::keys::index_u32(word * 64) + left.trailing_zeros();
                left &= left - 1;
                let plan = &compiled.plans[rule as usize];
                if plan.required & !*present == 0 {
                    // All programs are asked for before the first is waited for.
                    compiled.programs.prefetch(plan.program);
                    self.judged.push((rule, plan.program));
                }
            }
        }
        self.candidates_judged += self.judged.len() as u64;
        for &(rule, program) in &self.judged {
            timer.begin();
            if compiled.programs.run(program, &mut view) {
                hits.push(RuleHit {
                    rule: RuleIndex(rule),
                    matched: view.matched(rule),
                });
            }
            timer.end(RuleIndex(rule));
        }
        self.guesses[guess] = Some(plan);
    }

    /// Where the plan of an event like this one is kept: one of the same fields in the same order, whose service looks alike.
    #[inline]
    fn guess(&self, event: &Event<'_>) -> usize {
        let order = event.order.map_or(0, |order| order.place() as usize);
        let services = event
            .log_sources
            .first()
            .map_or(0, |source| look_of(source.service.as_bytes()));
        order.wrapping_add(services) % RECENT_PLANS
    }

    fn plan(&mut self, sources: &[LogSource<'_>]) -> Arc<Plan> {
        let hash = hash_sources(sources);
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a hash: any of its bits do"
        )]
        let recent = (hash >> 32) as usize % RECENT_PLANS;
        if let Some(plan) = &self.recent_plans[recent]
            && plan.sources.is(sources)
        {
            return Arc::clone(plan);
        }
        let plan = self.kept_plan(hash, sources);
        self.recent_plans[recent] = Some(Arc::clone(&plan));
        plan
    }

    fn kept_plan(&mut self, hash: u64, sources: &[LogSource<'_>]) -> Arc<Plan> {
        let known = self.plans.get(&hash).into_iter().flatten();
        if let Some(plan) = known.into_iter().find(|plan| plan.sources.is(sources)) {
            return Arc::clone(plan);
        }
        if self.plans_made >= PLANS_MAX {
            self.plans.clear();
            self.recent_plans.fill(None);
            self.guesses.fill(None);
            self.plans_made = 0;
            // What is remembered by the numbers of plans is theirs no longer.
            self.searcher.forget();
            self.plans_dropped += 1;
        }
        let plan = Arc::new(Plan::new(&self.compiled, sources, self.plans_made));
        self.plans_made += 1;
        let same_hash = self.plans.entry(hash).or_default();
        same_hash.push(Arc::clone(&plan));
        plan
    }
}

/// A number that mostly differs between the names of services; far cheaper than a hash.
#[inline]
fn look_of(name: &[u8]) -> usize {
    match name {
        [first, .., last] => name.len() + usize::from(*first) * 29 + usize::from(*last) * 7,
        [only] => usize::from(*only),
        [] => 0,
    }
}

/// Marks the rules of the witnesses that were found.
fn collect(compiled: &Compiled, found: &[PredicateId], candidates: &mut Candidates) {
    for predicate in found {
        for &rule in compiled.witnessed.get(predicate.0 as usize) {
            candidates.insert(rule);
        }
    }
}

impl Plan {
    fn new(compiled: &Compiled, sources: &[LogSource<'_>], number: u32) -> Self {
        let rules = compiled.routing.rules(sources);
        let always = compiled.unwitnessed().map(|rule| rule.0);
        let always = always.filter(|rule| rules.contains(*rule));
        let always = always.map(|rule| (rule, compiled.denials.of_rule(rule)));
        let always = always.collect();
        Self {
            number,
            sources: SourceKey::of(sources),
            searched: compiled.searched(&rules),
            rules,
            always,
            asked: OnceLock::new(),
        }
    }

    /// By predicate: whether a rule of the plan asks for it.
    pub(super) fn asked(&self, compiled: &Compiled) -> &[bool] {
        self.asked.get_or_init(|| {
            let mut asked = vec![false; compiled.predicates.len()];
            for (rule, tree) in compiled.trees.iter().enumerate() {
                if self.rules.contains(super::keys::index_u32(rule)) {
                    tree.each_leaf(&mut |id| asked[id.0 as usize] = true);
                }
            }
            asked.into()
        })
    }

    /// Whether a rule of the plan has a keyword as witness.
    pub(super) fn searches_keywords(&self) -> bool {
        self.searched.last().copied().unwrap_or(false)
    }
}
