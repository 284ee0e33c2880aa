//! What binds documents together: ids and names, filters, references of correlations.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use citywatch_parsers::LogSource;

use super::RuleSet;
use super::allowance::Allowance;
use super::correlation::UnboundCorrelation;
use super::document::Document;
use super::draft::DraftRule;
use super::filter::{Filter, Targets};
use crate::correlation::{Alias, Correlation, Generate, RuleRef, RuleTarget};
use crate::error::{ErrorKind, Problem, RuleError, nearest};
use crate::processing::{self, Subject};
use crate::rule::{Alerts, Meta, Position, Rule};

/// Comparisons of names that all suggestions of one load may take: enough for dozens of typing errors among all
/// of SigmaHQ, and an end for a file of a hundred thousand of them.
const COMPARISONS_MAX: usize = 200_000;

/// Gathers documents and binds them at the end.
pub(super) struct Binder<'a> {
    rules: Vec<Rule>,
    /// The rules where pipelines are to change them: `rules` has what is known of each until then.
    drafts: Vec<DraftRule>,
    correlations: Vec<UnboundCorrelation>,
    filters: Vec<Filter>,
    pub(super) problems: Vec<RuleError>,
    /// Whom an id or a name belongs to: where it is written.
    taken: HashMap<Arc<str>, String>,
    allowance: &'a Allowance<'a>,
    comparisons_left: Cell<usize>,
}

/// An index into the rules or the correlations as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Rule(usize),
    Correlation(usize),
}

impl<'a> Binder<'a> {
    pub(super) fn new(allowance: &'a Allowance<'a>) -> Self {
        Self {
            rules: Vec::new(),
            drafts: Vec::new(),
            correlations: Vec::new(),
            filters: Vec::new(),
            problems: Vec::new(),
            taken: HashMap::new(),
            allowance,
            comparisons_left: Cell::new(COMPARISONS_MAX),
        }
    }

    /// Takes a document unless its id or name belongs to another.
    pub(super) fn add(&mut self, document: Document) -> Result<(), Box<RuleError>> {
        let meta = document.meta();
        let place = format!("{}:{}", meta.path, meta.position);
        let id = Arc::clone(&meta.id.0);
        let names = [Some(&id), meta.name.as_ref().filter(|name| **name != id)];
        for (index, value) in names.into_iter().flatten().enumerate() {
            if let Some(first) = self.taken.get(value) {
                let what = match (index, meta.name.as_ref()) {
                    (1, _) => "name",
                    (_, Some(name)) if name == value => "name",
                    _ => "id",
                };
                let kind = ErrorKind::Duplicate {
                    what,
                    value: value.to_string(),
                    first: first.clone(),
                };
                return Err(Box::new(error_of(meta, Problem::new(meta.position, kind))));
            }
        }
        for value in names.into_iter().flatten() {
            self.taken.insert(Arc::clone(value), place.clone());
        }
        match document {
            Document::Rule(rule) => self.rules.push(rule),
            Document::Draft(draft) => {
                self.rules.push(draft.outline());
                self.drafts.push(*draft);
            }
            Document::Correlation(correlation) => self.correlations.push(correlation),
            Document::Filter(filter) => self.filters.push(filter),
        }
        Ok(())
    }

    /// Applies filters, resolves correlations, sorts problems.
    pub(super) fn finish(mut self) -> RuleSet {
        self.apply_filters();
        self.apply_pipelines();
        let names = self.names();
        let order = self.sort_correlations(&names);
        let mut correlations: Vec<Arc<Correlation>> = Vec::new();
        // Where each correlation that was read ends up.
        let mut places = vec![None; self.correlations.len()];
        for index in order {
            match self.resolve(&self.correlations[index], &names, &places, &correlations) {
                Ok(correlation) => {
                    places[index] = Some(correlations.len());
                    correlations.push(Arc::new(correlation));
                }
                Err(problem) => self
                    .problems
                    .push(error_of(&self.correlations[index].meta, problem)),
            }
        }
        self.set_alerts(&mut correlations);
        let mut problems = self.problems;
        let mut order: HashMap<Arc<str>, usize> = HashMap::new();
        for problem in &problems {
            let next = order.len();
            order.entry(Arc::clone(&problem.path)).or_insert(next);
        }
        problems.sort_by_key(|problem| (order.get(&problem.path).copied(), problem.position));
        RuleSet {
            rules: self.rules.into_iter().map(Arc::new).collect(),
            correlations,
            problems,
        }
    }

    fn apply_filters(&mut self) {
        let filters = std::mem::take(&mut self.filters);
        if filters.is_empty() {
            return;
        }
        let names = self.names();
        for filter in &filters {
            let mut problems = Vec::new();
            match &filter.rules {
                Targets::Any => {
                    let covered: Vec<usize> = (0..self.rules.len())
                        .filter(|&index| filter.covers(&self.rules[index].log_source))
                        .collect();
                    let outcome = covered
                        .into_iter()
                        .try_for_each(|index| self.filter_one(filter, index));
                    // Said once, although it holds for each of the rules that are left.
                    problems.extend(
                        outcome
                            .err()
                            .map(|kind| Problem::new(filter.meta.position, kind)),
                    );
                }
                Targets::Named(targets) => {
                    for (name, position) in targets {
                        let outcome = self.filter_named(filter, name, &names);
                        problems.extend(outcome.err().map(|kind| Problem::new(*position, kind)));
                    }
                }
            }
            let problems = problems.into_iter();
            self.problems
                .extend(problems.map(|problem| error_of(&filter.meta, problem)));
        }
    }

    fn filter_one(&mut self, filter: &Filter, index: usize) -> Result<(), ErrorKind> {
        match self.drafts.get_mut(index) {
            Some(draft) => {
                filter.apply_to_draft(draft);
                Ok(())
            }
            None => filter.apply(&mut self.rules[index], self.allowance),
        }
    }

    /// Applies the pipelines to all rules, which become tests then, and to all correlations. What is refused is a
    /// problem and left out.
    fn apply_pipelines(&mut self) {
        let pipelines = &self.allowance.options.pipelines;
        if pipelines.is_empty() {
            return;
        }
        self.rules.clear();
        for mut draft in std::mem::take(&mut self.drafts) {
            let left = self.allowance.left();
            let outcome = processing::apply(pipelines, &mut Subject::Rule(&mut draft));
            let meta = draft.meta.clone();
            match outcome.and_then(|()| draft.lower(self.allowance)) {
                Ok(rule) => self.rules.push(rule),
                Err(problem) => {
                    self.allowance.give_back(left);
                    self.problems.push(error_of(&meta, problem));
                }
            }
        }
        let names = self.names();
        let sources: Vec<Vec<LogSource<'static>>> = (0..self.correlations.len())
            .map(|index| self.log_sources(index, &names))
            .collect();
        let correlations = std::mem::take(&mut self.correlations);
        for (mut correlation, sources) in correlations.into_iter().zip(sources) {
            let mut subject = Subject::Correlation(&mut correlation, sources);
            match processing::apply(pipelines, &mut subject) {
                Ok(()) => {
                    super::draft::mark_processed(&mut correlation.meta, pipelines);
                    self.correlations.push(correlation);
                }
                Err(problem) => self.problems.push(error_of(&correlation.meta, problem)),
            }
        }
    }

    /// The log sources of the rules to which a correlation refers, also by way of others.
    fn log_sources(
        &self,
        index: usize,
        names: &HashMap<Arc<str>, Found>,
    ) -> Vec<LogSource<'static>> {
        let mut seen = vec![false; self.correlations.len()];
        let mut open = vec![index];
        let mut sources = Vec::new();
        while let Some(index) = open.pop() {
            if std::mem::replace(&mut seen[index], true) {
                continue;
            }
            for (name, _) in &self.correlations[index].rules {
                match names.get(name) {
                    Some(&Found::Rule(rule)) => sources.push(self.rules[rule].log_source.clone()),
                    Some(&Found::Correlation(other)) => open.push(other),
                    None => {}
                }
            }
        }
        sources
    }

    /// Applies a filter to the rule that it calls `name`.
    fn filter_named(
        &mut self,
        filter: &Filter,
        name: &str,
        names: &HashMap<Arc<str>, Found>,
    ) -> Result<(), ErrorKind> {
        match names.get(name) {
            Some(&Found::Rule(index)) if filter.covers(&self.rules[index].log_source) => {
                self.filter_one(filter, index)
            }
            Some(Found::Rule(_)) => Err(ErrorKind::FilterLogSource {
                rule: name.to_owned(),
            }),
            Some(Found::Correlation(_)) | None => Err(ErrorKind::UnknownRule {
                reference: name.to_owned(),
                suggestion: self.nearest(name, self.rules.iter().map(|rule| &rule.meta)),
            }),
        }
    }

    /// The id or name nearest to `name`, unless too many were looked for already.
    fn nearest<'m>(&self, name: &str, metas: impl Iterator<Item = &'m Meta>) -> Option<String> {
        let left = self.comparisons_left.get();
        let mut compared = 0;
        let known = metas
            .flat_map(|meta| [Some(meta.id.as_str()), meta.name.as_deref()])
            .flatten()
            .take(left)
            .inspect(|_| compared += 1);
        let found = nearest(name, known);
        self.comparisons_left.set(left - compared);
        found
    }

    fn names(&self) -> HashMap<Arc<str>, Found> {
        let rules = self
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| (&rule.meta, Found::Rule(index)));
        let correlations = self
            .correlations
            .iter()
            .enumerate()
            .map(|(index, correlation)| (&correlation.meta, Found::Correlation(index)));
        rules
            .chain(correlations)
            .flat_map(|(meta, found)| {
                [Some(Arc::clone(&meta.id.0)), meta.name.clone()]
                    .into_iter()
                    .flatten()
                    .map(move |name| (name, found))
            })
            .collect()
    }

    /// Correlations so that each comes after those that it refers to. Those in a circle, or behind
    /// one, become problems and are left out.
    fn sort_correlations(&mut self, names: &HashMap<Arc<str>, Found>) -> Vec<usize> {
        let refers_to = |index: usize| -> Vec<usize> {
            let found = self.correlations[index]
                .rules
                .iter()
                .filter_map(|(name, _)| names.get(name));
            found
                .filter_map(|found| match found {
                    Found::Correlation(other) => Some(*other),
                    Found::Rule(_) => None,
                })
                .collect()
        };
        let needs: Vec<Vec<usize>> = (0..self.correlations.len()).map(refers_to).collect();
        let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
        for (index, needs) in needs.iter().enumerate() {
            needs.iter().for_each(|&need| needed_by[need].push(index));
        }
        let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..needs.len())
            .filter(|&index| missing[index] == 0)
            .collect();
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            next += 1;
            for &other in &needed_by[index] {
                missing[other] -= 1;
                if missing[other] == 0 {
                    order.push(other);
                }
            }
        }
        let waiting = |index: usize| missing[index] > 0;
        for (index, circle) in circles(&needs, &waiting) {
            let meta = &self.correlations[index].meta;
            let name = |&index: &usize| {
                let meta = &self.correlations[index].meta;
                meta.name.as_deref().unwrap_or(meta.id.as_str()).to_owned()
            };
            let circle = circle.iter().map(name).collect::<Vec<_>>().join(" -> ");
            let error = error_of(
                meta,
                Problem::new(meta.position, ErrorKind::Cycle { circle }),
            );
            self.problems.push(error);
        }
        order
    }

    fn resolve(
        &self,
        unbound: &UnboundCorrelation,
        names: &HashMap<Arc<str>, Found>,
        places: &[Option<usize>],
        done: &[Arc<Correlation>],
    ) -> Result<Correlation, Problem> {
        let unknown = |name: &str, position: Position, suggestion: Option<String>| {
            let reference = name.to_owned();
            Problem::new(
                position,
                ErrorKind::UnknownRule {
                    reference,
                    suggestion,
                },
            )
        };
        let mut rules: Vec<RuleRef> = Vec::new();
        for (name, position) in &unbound.rules {
            let target = match names.get(name) {
                Some(&Found::Rule(index)) => Some(RuleTarget::Rule {
                    index,
                    id: self.rules[index].meta.id.clone(),
                }),
                Some(&Found::Correlation(index)) => {
                    places[index].map(|place| RuleTarget::Correlation {
                        index: place,
                        id: done[place].meta.id.clone(),
                    })
                }
                None => None,
            };
            let Some(target) = target else {
                let rules = self.rules.iter().map(|rule| &rule.meta);
                let correlations = self.correlations.iter().map(|other| &other.meta);
                let suggestion = self.nearest(name, rules.chain(correlations));
                return Err(unknown(name, *position, suggestion));
            };
            if rules.iter().any(|rule| rule.target == target) {
                let reason =
                    "is named twice among the rules, by id and by name; remove one".to_owned();
                return Err(Problem::new(
                    *position,
                    ErrorKind::Value {
                        value: name.to_string(),
                        reason,
                    },
                ));
            }
            rules.push(RuleRef {
                written: Arc::clone(name),
                target,
                position: *position,
            });
        }
        let named: Vec<Option<&Found>> = unbound
            .rules
            .iter()
            .map(|(name, _)| names.get(name))
            .collect();
        let mut aliases = Vec::new();
        for alias in &unbound.aliases {
            let mut fields = Vec::new();
            for (name, field, position) in &alias.fields {
                // The alias may name the rule by name and the list by id, or the other way round.
                let found = names.get(name);
                let index = found.and_then(|_| named.iter().position(|named| *named == found));
                let Some(index) = index else {
                    let known = unbound.rules.iter().map(|(rule, _)| &**rule);
                    return Err(unknown(name, *position, nearest(name, known)));
                };
                fields.push((index, Arc::clone(field)));
            }
            aliases.push(Alias {
                name: Arc::clone(&alias.name),
                fields,
            });
        }
        Ok(Correlation {
            meta: unbound.meta.clone(),
            kind: unbound.kind.clone(),
            rules,
            group_by: unbound.group_by.clone(),
            timespan_us: unbound.timespan_us,
            aliases,
            generate: unbound.generate,
        })
    }

    /// Rules that correlations refer to raise no alerts of their own, unless one of them generates them.
    fn set_alerts(&mut self, correlations: &mut [Arc<Correlation>]) {
        let mut targets: HashMap<RuleTarget, Generate> = HashMap::new();
        for correlation in correlations.iter() {
            for rule in &correlation.rules {
                let generate = targets.entry(rule.target.clone()).or_default();
                if correlation.generate == Generate::Yes {
                    *generate = Generate::Yes;
                }
            }
        }
        for (target, generate) in targets {
            let alerts = match generate {
                Generate::Yes => Alerts::Own,
                Generate::No => Alerts::OnlyCorrelated,
            };
            match target {
                RuleTarget::Rule { index, .. } => self.rules[index].meta.alerts = alerts,
                RuleTarget::Correlation { index, .. } => {
                    Arc::make_mut(&mut correlations[index]).meta.alerts = alerts
                }
            }
        }
    }
}

/// Correlations shown of a circle.
const CIRCLE_MAX: usize = 10;

/// Correlations that wait for one another, or for one in such a circle, each with its circle, the first repeated at
/// its end. Of a long one the beginning is told.
fn circles(needs: &[Vec<usize>], waiting: &dyn Fn(usize) -> bool) -> Vec<(usize, Vec<usize>)> {
    // Following any need that still waits must come back somewhere.
    let next = |index: usize| needs[index].iter().copied().find(|&need| waiting(need));
    // Where the walk from each comes upon its circle, once it is known.
    let mut entries: Vec<Option<usize>> = vec![None; needs.len()];
    let mut steps = vec![usize::MAX; needs.len()];
    let mut found = Vec::new();
    for index in (0..needs.len()).filter(|&index| waiting(index)) {
        let mut walk = Vec::new();
        let mut at = index;
        while entries[at].is_none() && steps[at] == usize::MAX {
            steps[at] = walk.len();
            walk.push(at);
            match next(at) {
                Some(other) => at = other,
                None => break,
            }
        }
        // What was walked before the circle leads to where it begins; on the circle, each begins it.
        let circle_from = if entries[at].is_none() {
            steps[at]
        } else {
            walk.len()
        };
        let entry = entries[at].unwrap_or(at);
        for (step, &passed) in walk.iter().enumerate() {
            entries[passed] = Some(if step >= circle_from { passed } else { entry });
        }
        let start = entries[index].unwrap_or(index);
        let mut circle = vec![start];
        let mut at = start;
        while let Some(other) = next(at).filter(|_| circle.len() <= CIRCLE_MAX) {
            circle.push(other);
            at = other;
            if other == start {
                break;
            }
        }
        found.push((index, circle));
    }
    found
}

fn error_of(meta: &Meta, problem: Problem) -> RuleError {
    RuleError {
        path: Arc::clone(&meta.path),
        position: problem.position,
        title: Some(Arc::clone(&meta.title)),
        id: Some(meta.id.clone()),
        kind: problem.kind,
    }
}
