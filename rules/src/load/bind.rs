//! What binds documents together: ids and names, filters, references of correlations.

use std::collections::HashMap;
use std::sync::Arc;

use super::correlation::UnboundCorrelation;
use super::document::Document;
use super::filter::{Filter, Targets};
use super::{RuleSet, is_called};
use crate::correlation::{Alias, Correlation, Generate, RuleRef, RuleTarget};
use crate::error::{ErrorKind, Problem, RuleError, nearest};
use crate::rule::{Alerts, Meta, Position, Rule};

/// Gathers documents and binds them at the end.
#[derive(Default)]
pub(super) struct Binder {
    rules: Vec<Rule>,
    correlations: Vec<UnboundCorrelation>,
    filters: Vec<Filter>,
    pub(super) problems: Vec<RuleError>,
    /// Whom an id or a name belongs to: where it is written.
    taken: HashMap<Arc<str>, String>,
}

/// An index into the rules or the correlations as they were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Rule(usize),
    Correlation(usize),
}

impl Binder {
    /// Takes a document unless its id or name belongs to another.
    pub(super) fn add(&mut self, document: Document) {
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
                let error = error_of(meta, Problem::new(meta.position, kind));
                self.problems.push(error);
                return;
            }
        }
        for value in names.into_iter().flatten() {
            self.taken.insert(Arc::clone(value), place.clone());
        }
        match document {
            Document::Rule(rule) => self.rules.push(rule),
            Document::Correlation(correlation) => self.correlations.push(correlation),
            Document::Filter(filter) => self.filters.push(filter),
        }
    }

    /// Applies filters, resolves correlations, sorts problems.
    pub(super) fn finish(mut self) -> RuleSet {
        self.apply_filters();
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
        for filter in &self.filters {
            match &filter.rules {
                Targets::Any => {
                    self.rules
                        .iter_mut()
                        .filter(|rule| filter.covers(&rule.log_source))
                        .for_each(|rule| filter.apply(rule));
                }
                Targets::Named(names) => {
                    for (name, position) in names {
                        let found = self
                            .rules
                            .iter()
                            .position(|rule| is_called(&rule.meta, name));
                        let kind = match found {
                            Some(index) if filter.covers(&self.rules[index].log_source) => {
                                filter.apply(&mut self.rules[index]);
                                continue;
                            }
                            Some(_) => ErrorKind::FilterLogSource {
                                rule: name.to_string(),
                            },
                            None => {
                                let known = self.rules.iter().flat_map(|rule| {
                                    [Some(rule.meta.id.as_str()), rule.meta.name.as_deref()]
                                        .into_iter()
                                        .flatten()
                                });
                                ErrorKind::UnknownRule {
                                    reference: name.to_string(),
                                    suggestion: nearest(name, known),
                                }
                            }
                        };
                        self.problems
                            .push(error_of(&filter.meta, Problem::new(*position, kind)));
                    }
                }
            }
        }
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
        let mut order = Vec::new();
        let mut placed = vec![false; needs.len()];
        loop {
            let before = order.len();
            for index in 0..needs.len() {
                if !placed[index] && needs[index].iter().all(|&need| placed[need]) {
                    placed[index] = true;
                    order.push(index);
                }
            }
            if order.len() == before {
                break;
            }
        }
        for index in (0..needs.len()).filter(|&index| !placed[index]) {
            // Each of these waits for another of these: following them must come back somewhere.
            let mut walk = vec![index];
            let circle = loop {
                let last = walk[walk.len() - 1];
                let Some(&next) = needs[last].iter().find(|&&need| !placed[need]) else {
                    break &walk[..];
                };
                match walk.iter().position(|&seen| seen == next) {
                    Some(start) => {
                        walk.push(next);
                        break &walk[start..];
                    }
                    None => walk.push(next),
                }
            };
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
        let unknown = |name: &str, position: Position, known: Vec<&str>| {
            let suggestion = nearest(name, known);
            Problem::new(
                position,
                ErrorKind::UnknownRule {
                    reference: name.to_owned(),
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
                return Err(unknown(
                    name,
                    *position,
                    names.keys().map(|name| &**name).collect(),
                ));
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
        let mut aliases = Vec::new();
        for alias in &unbound.aliases {
            let mut fields = Vec::new();
            for (name, field, position) in &alias.fields {
                // The alias may name the rule by name and the list by id, or the other way round.
                let found = names.get(name);
                let index = unbound.rules.iter().position(|(rule, _)| {
                    rule == name || (found.is_some() && names.get(rule) == found)
                });
                let Some(index) = index else {
                    return Err(unknown(
                        name,
                        *position,
                        unbound.rules.iter().map(|(rule, _)| &**rule).collect(),
                    ));
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

fn error_of(meta: &Meta, problem: Problem) -> RuleError {
    RuleError {
        path: Arc::clone(&meta.path),
        position: problem.position,
        title: Some(Arc::clone(&meta.title)),
        id: Some(meta.id.clone()),
        kind: problem.kind,
    }
}
