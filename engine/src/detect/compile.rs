//! From a rule set to what a [`Matcher`] runs on.

use std::sync::Arc;

use citywatch_rules::Rule;
use citywatch_rules::rule::{CompareOp, Meta, Presence, Relation};

use super::denials::Denials;
use super::error::CompileError;
use super::gram_frequencies::GramFrequencies;
use super::grams::GramIndex;
use super::index::{IndexBuilder, SubjectIndex, slot};
use super::keys::index_u32;
use super::literals::{Folder, Literals};
use super::matcher::{Matcher, Plan};
use super::memo::{Finding, Proof};
use super::names::{FieldIndex, Names};
use super::predicate::{Check, Predicate, PredicateId, Subject};
use super::program::{Program, Programs};
use super::routing::{LogSourceMode, Routing, RuleBits};
use super::telling::{Maker, Tellings};
use super::tree::{PredicateTable, Tree};
use super::witness::{self, Frequencies};
use crate::matches::RuleInfo;

/// A rule: its index in the rules that were compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u32);

impl RuleIndex {
    /// As an index into a list of the rules.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// Most rules of one engine: ten times what anyone has; tables and bit sets stay small.
pub const RULES_MAX: usize = 1 << 17;

/// Rules compiled for matching: immutable, shared by all threads.
#[derive(Debug)]
pub struct Compiled {
    pub(super) rules: Vec<Arc<Rule>>,
    infos: Vec<Arc<RuleInfo>>,
    pub(super) plans: Vec<RulePlan>,
    pub(super) predicates: Box<[Predicate]>,
    /// Per predicate what it means that an index found it: apart, because predicates are many bytes each.
    proofs: Box<[Proof]>,
    /// Per predicate the rules that it is a witness of.
    pub(super) witnessed: Lists,
    /// Values that rule out rules without witness.
    pub(super) denials: Denials,
    pub(super) programs: Programs,
    pub(super) trees: Vec<Tree>,
    pub(super) tellings: Tellings,
    pub(super) literals: Literals,
    pub(super) names: Names,
    /// The bit of each field in the masks of fields that must be there.
    pub(super) field_bits: Box<[u64]>,
    /// By field, keywords last.
    pub(super) indexes: Box<[Option<SubjectIndex>]>,
    frequencies: GramFrequencies,
    pub(super) folder: Folder,
    pub(super) routing: Routing,
}

/// What the engine knows of a rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct RulePlan {
    pub(super) program: Program,
    /// Fields without which it cannot hold.
    pub(super) required: u64,
    /// Whether it must be asked for every event.
    pub(super) always: bool,
}

/// Lists of rules, one after the other.
#[derive(Debug)]
pub(super) struct Lists {
    starts: Box<[u32]>,
    items: Box<[u32]>,
}

impl Lists {
    fn new(lists: &[Vec<u32>]) -> Self {
        let mut starts = vec![0];
        let mut items = Vec::new();
        for list in lists {
            items.extend_from_slice(list);
            starts.push(index_u32(items.len()));
        }
        Self {
            starts: starts.into(),
            items: items.into(),
        }
    }

    /// The list at `index`.
    #[inline]
    pub(super) fn get(&self, index: usize) -> &[u32] {
        &self.items[self.starts[index] as usize..self.starts[index + 1] as usize]
    }
}

impl Compiled {
    /// Compiles the rules of a rule set; a [`RuleIndex`] is an index into `rules`.
    ///
    /// # Errors
    /// When there are more than [`RULES_MAX`] rules.
    pub fn new(rules: &[Arc<Rule>], mode: LogSourceMode) -> Result<Self, CompileError> {
        if rules.len() > RULES_MAX {
            return Err(CompileError::TooManyRules {
                rules: rules.len(),
                rules_max: RULES_MAX,
            });
        }
        let mut table = PredicateTable::default();
        let trees: Vec<Tree> = rules
            .iter()
            .map(|rule| table.lower(&rule.condition))
            .collect();
        let likely = Frequencies::of(&table);
        let witnesses: Vec<_> = trees
            .iter()
            .map(|tree| witness::choose(tree, &table, &likely))
            .collect();
        let mut witnessed = vec![Vec::new(); table.predicates.len()];
        for (rule, witnesses) in witnesses.iter().enumerate() {
            for predicate in witnesses.iter().flat_map(|witnesses| &witnesses.predicates) {
                let list: &mut Vec<u32> = &mut witnessed[predicate.0 as usize];
                if list.last() != Some(&index_u32(rule)) {
                    list.push(index_u32(rule));
                }
            }
        }
        let companions = companions(&trees, &witnesses, &table, &likely);
        let longest = |test| super::anchors::longest_literal(test);
        let tests = table.tests.iter().copied();
        let frequencies = GramFrequencies::of(tests.filter_map(longest));
        let indexes = build_indexes(&mut table, &witnessed, &companions, &frequencies);
        let field_bits = field_bits(&table);
        let mut programs = Programs::default();
        let plans = trees
            .iter()
            .zip(&witnesses)
            .map(|(tree, witnesses)| RulePlan {
                program: programs.add(tree, &table.predicates, table.names.len(), &likely),
                required: required(tree, true, &table.predicates, &field_bits),
                always: witnesses.is_none(),
            });
        let plans: Vec<_> = plans.collect();
        let denials = Denials::new(&plans, &trees, &table.predicates, table.names.len());
        let mut maker = Maker {
            predicates: &table.predicates,
            fields: table.names.len(),
            likely: &likely,
            programs: &mut programs,
        };
        let mut tellings = Tellings::default();
        for tree in &trees {
            tellings.add(tree, &mut maker);
        }
        Ok(Self {
            plans,
            denials,
            tellings,
            proofs: table
                .predicates
                .iter()
                .map(|predicate| predicate.indexed.into())
                .collect(),
            trees,
            infos: rules.iter().map(|rule| Arc::new(rule_info(rule))).collect(),
            routing: Routing::new(rules.iter().map(|rule| &**rule), mode),
            rules: rules.to_vec(),
            witnessed: Lists::new(&witnessed),
            predicates: table.predicates.into(),
            programs,
            literals: table.literals,
            names: table.names.build(),
            field_bits,
            indexes,
            frequencies,
            folder: Folder::new(),
        })
    }

    /// A matcher for one thread.
    pub fn matcher(self: &Arc<Self>) -> Matcher {
        Matcher::new(Arc::clone(self))
    }

    /// What alerting needs to know of a rule.
    ///
    /// # Panics
    /// When the index is not one of this rule set's.
    pub fn info(&self, rule: RuleIndex) -> &Arc<RuleInfo> {
        &self.infos[rule.as_usize()]
    }

    /// The rule as it was read.
    ///
    /// # Panics
    /// When the index is not one of this rule set's.
    pub fn rule(&self, rule: RuleIndex) -> &Arc<Rule> {
        &self.rules[rule.as_usize()]
    }

    /// Number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Number of distinct tests that all rules are made of.
    pub fn predicates(&self) -> usize {
        self.predicates.len()
    }

    /// The rules that have no witness and are asked for every event of their log sources.
    pub fn unwitnessed(&self) -> impl Iterator<Item = RuleIndex> + '_ {
        (0..index_u32(self.plans.len()))
            .map(RuleIndex)
            .filter(|rule| self.plans[rule.as_usize()].always)
    }

    /// What it means that a search came upon a predicate.
    #[inline]
    pub(super) fn finding(&self, predicate: PredicateId) -> Finding {
        Finding {
            predicate,
            proof: self.proofs[predicate.0 as usize],
        }
    }

    /// An index over the texts that rules of a plan look for anywhere in a field, keywords
    /// included, and how many they are.
    pub(super) fn merged_grams(
        &self,
        plan: &Plan,
        own: Option<FieldIndex>,
    ) -> (GramIndex<PredicateId>, usize) {
        let asked = plan.asked(self);
        let own = own.and_then(|own| self.indexes[own.0 as usize].as_ref());
        let keywords = self.indexes.last().and_then(Option::as_ref);
        let keywords = keywords.filter(|_| plan.searches_keywords());
        let needles = own
            .into_iter()
            .chain(keywords)
            .flat_map(SubjectIndex::needles);
        let needles: Vec<_> = needles
            .filter(|needle| asked[needle.payload.0 as usize])
            .copied()
            .collect();
        (
            GramIndex::new(&needles, &self.literals, &self.frequencies),
            needles.len(),
        )
    }

    /// The fields of which some rule of the set has a witness, and whether keywords have: what must be searched.
    pub(super) fn searched(&self, rules: &RuleBits) -> Box<[bool]> {
        let mut searched = vec![false; self.indexes.len()];
        for (index, predicate) in self.predicates.iter().enumerate() {
            let slot = slot(predicate.subject, self.names.len());
            searched[slot] |= self
                .witnessed
                .get(index)
                .iter()
                .any(|&rule| rules.contains(rule));
        }
        searched.into()
    }
}

/// How often a rule's witnesses are found, as guessed, for the rest of it to be indexed too.
const OFTEN: f64 = 0.02;
/// Shortest text that is indexed for that reason where it may stand anywhere: shorter ones cost
/// each search more than they save here.
const COMPANION_BYTES_MIN: usize = 7;

/// The same for rules that are judged for most events, and for keywords, each of which would be looked for in all values.
const COMPANION_BYTES_MIN_DEAR: usize = 3;
/// How often the witnesses of rules that are judged for most events are found.
const MOSTLY: f64 = 0.25;

/// What is found in more events than this, as guessed, is better asked when it matters.
const COMPANION_FREQUENCY_MAX: f64 = 0.05;
const COMPANION_KEYWORD_FREQUENCY_MAX: f64 = 0.5;

/// The predicates that are indexed although they are no witnesses: those of rules that are judged
/// often. One search then answers all of them; the filters of some rules are a dozen texts that
/// would each be looked for in a long value.
fn companions(
    trees: &[Tree],
    witnesses: &[Option<witness::Witnesses>],
    table: &PredicateTable<'_>,
    likely: &Frequencies,
) -> Box<[bool]> {
    let mut companions = vec![false; table.predicates.len()];
    for (tree, witnesses) in trees.iter().zip(witnesses) {
        let judged = witnesses.as_ref().map_or(1.0, |found| found.frequency);
        if judged < OFTEN {
            continue;
        }
        tree.each_leaf(&mut |id| {
            let predicate = &table.predicates[id.0 as usize];
            let keyword = predicate.subject == Subject::Keyword;
            let frequency_max = if keyword {
                COMPANION_KEYWORD_FREQUENCY_MAX
            } else {
                COMPANION_FREQUENCY_MAX
            };
            if likely.get(id) >= frequency_max {
                return;
            }
            let bytes_min = if keyword || judged >= MOSTLY {
                COMPANION_BYTES_MIN_DEAR
            } else {
                COMPANION_BYTES_MIN
            };
            companions[id.0 as usize] |= match &predicate.check {
                Check::Text(check) if keyword || check.relation == Relation::Contains => {
                    check.literal.len() >= bytes_min
                }
                Check::Text(_) | Check::Compare(CompareOp::Equal, _) => !keyword,
                Check::Glob(..) | Check::Regex(..) if judged >= MOSTLY => {
                    super::anchors::texts_within(predicate, table.tests[id.0 as usize])
                        .is_some_and(|shortest| shortest >= bytes_min)
                }
                _ => false,
            };
        });
    }
    companions.into()
}

fn build_indexes(
    table: &mut PredicateTable<'_>,
    witnessed: &[Vec<u32>],
    companions: &[bool],
    frequencies: &GramFrequencies,
) -> Box<[Option<SubjectIndex>]> {
    let fields = table.names.len();
    let mut builders: Vec<IndexBuilder> = std::iter::repeat_with(IndexBuilder::default)
        .take(fields + 1)
        .collect();
    for (index, predicate) in table
        .predicates
        .iter_mut()
        .enumerate()
        .filter(|(index, _)| !witnessed[*index].is_empty() || companions[*index])
    {
        let builder = &mut builders[slot(predicate.subject, fields)];
        builder.add(
            PredicateId(index_u32(index)),
            predicate,
            table.tests[index],
            &mut table.literals,
        );
    }
    let built = builders
        .into_iter()
        .map(|builder| (!builder.is_empty()).then(|| builder.build(&table.literals, frequencies)));
    built.collect()
}

/// A bit for each field; the fields that many rules read have one of their own.
fn field_bits(table: &PredicateTable<'_>) -> Box<[u64]> {
    let mut uses: Vec<(u32, usize)> = (0..table.names.len()).map(|field| (0, field)).collect();
    for (predicate, count) in table.predicates.iter().zip(&table.uses) {
        if let Subject::Field(field) = predicate.subject {
            uses[field.0 as usize].0 += count;
        }
    }
    uses.sort_by_key(|(count, field)| (std::cmp::Reverse(*count), *field));
    let mut bits = vec![0; uses.len()];
    for (rank, (_, field)) in uses.into_iter().enumerate() {
        // The last sixteen bits are shared by the rest.
        bits[field] = if rank < 48 {
            1 << rank
        } else {
            1 << (48 + rank % 16)
        };
    }
    bits.into()
}

/// The bits of the fields without which a condition cannot be `positive`.
fn required(tree: &Tree, positive: bool, predicates: &[Predicate], bits: &[u64]) -> u64 {
    let own = |child: &Tree| required(child, positive, predicates, bits);
    match (tree, positive) {
        (Tree::And(children), true) | (Tree::Or(children), false) => {
            children.iter().map(own).fold(0, |all, one| all | one)
        }
        (Tree::Or(children), true) | (Tree::And(children), false) => children
            .iter()
            .map(own)
            .reduce(|all, one| all & one)
            .unwrap_or(u64::MAX),
        (Tree::Not(child), _) => required(child, !positive, predicates, bits),
        (Tree::Const(value), _) => {
            if *value == positive {
                0
            } else {
                u64::MAX
            }
        }
        (Tree::Leaf(id), _) => {
            let predicate = &predicates[id.0 as usize];
            match predicate.subject {
                Subject::Field(field) if fails_when_absent(&predicate.check, positive) => {
                    bits[field.0 as usize]
                }
                Subject::Field(_) | Subject::Keyword => 0,
            }
        }
    }
}

fn fails_when_absent(check: &Check, positive: bool) -> bool {
    match check {
        Check::Null | Check::Exists(Presence::Absent) => !positive,
        _ => positive,
    }
}

fn rule_info(rule: &Rule) -> RuleInfo {
    info_of(&rule.meta, rule.log_source.clone(), false)
}

/// What alerting needs to know of a rule or correlation.
pub(crate) fn info_of(
    meta: &Meta,
    log_source: citywatch_parsers::LogSource<'static>,
    correlation: bool,
) -> RuleInfo {
    RuleInfo {
        id: meta.id.to_string(),
        title: meta.title.to_string(),
        level: meta
            .level
            .map_or("informational", citywatch_rules::rule::Level::name)
            .to_owned(),
        description: meta.description.to_string(),
        tags: meta.tags.iter().map(ToString::to_string).collect(),
        log_source,
        text: meta.text.to_string(),
        content_hash: meta.content_hash().to_string(),
        correlation,
    }
}
