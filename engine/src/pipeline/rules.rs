//! The rules of a running pipeline: compiled for events, kept for correlation, replaced while it runs.

use std::sync::Arc;

use citywatch_parsers::LogSource;
use citywatch_rules::RuleSet;
use citywatch_rules::rule::Alerts;
use thiserror::Error;
use tokio::sync::watch;

use crate::detect::{CompileError, Compiled, LogSourceMode, RuleIndex, info_of};
use crate::matches::RuleInfo;

/// Rules could not be made ready.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The matcher could not be built.
    #[error("the rules cannot be compiled: {0}")]
    Compile(#[from] CompileError),
}

/// Gives a running pipeline other rules.
///
/// Each worker takes them over between two batches, so every event is matched once, by the rules before or
/// by these; correlation goes on with what the correlations that stay the same have gathered.
#[derive(Clone, Debug)]
pub struct RulesHandle(watch::Sender<Arc<LoadedRules>>);

impl RulesHandle {
    pub(super) fn new(rules: Arc<LoadedRules>) -> Self {
        Self(watch::Sender::new(rules))
    }

    /// Replaces the rules.
    pub fn replace(&self, rules: Arc<LoadedRules>) {
        self.0.send_replace(rules);
    }

    /// The rules now and whenever they are replaced.
    pub fn watch(&self) -> watch::Receiver<Arc<LoadedRules>> {
        self.0.subscribe()
    }

    pub(super) fn subscribe(&self) -> CurrentRules {
        CurrentRules {
            rules: Arc::clone(&self.0.borrow()),
            changes: self.0.subscribe(),
        }
    }
}

/// The rules that a part of the pipeline works with, and those that are to follow.
#[derive(Debug)]
pub(super) struct CurrentRules {
    rules: Arc<LoadedRules>,
    changes: watch::Receiver<Arc<LoadedRules>>,
}

impl CurrentRules {
    /// The rules now.
    pub(super) fn get(&self) -> &Arc<LoadedRules> {
        &self.rules
    }

    /// Takes over what was loaded since; whether that is another set.
    pub(super) fn catch_up(&mut self) -> bool {
        // A handle that is gone means that no other rules come.
        if !self.changes.has_changed().unwrap_or(false) {
            return false;
        }
        self.rules = Arc::clone(&self.changes.borrow_and_update());
        true
    }
}

/// A rule set with all that is derived from it once.
#[derive(Debug)]
pub struct LoadedRules {
    set: RuleSet,
    compiled: Arc<Compiled>,
}

impl LoadedRules {
    /// Compiles `set`.
    ///
    /// # Errors
    /// When the matcher cannot be built.
    pub fn new(set: RuleSet, mode: LogSourceMode) -> Result<Self, RulesError> {
        let compiled = Arc::new(Compiled::new(&set.rules, mode)?);
        Ok(Self { set, compiled })
    }

    /// The rules as they were read.
    pub fn set(&self) -> &RuleSet {
        &self.set
    }

    /// The matcher.
    pub fn compiled(&self) -> &Arc<Compiled> {
        &self.compiled
    }

    /// What alerting needs to know of each rule and correlation whose matches become alerts.
    pub fn infos(&self) -> Vec<RuleInfo> {
        let rules = self.set.rules.iter().map(|rule| {
            let log_source = rule.log_source.clone();
            (&rule.meta, info_of(&rule.meta, log_source, false))
        });
        let correlations = self.set.correlations.iter().map(|correlation| {
            let meta = &correlation.meta;
            (meta, info_of(meta, LogSource::default(), true))
        });
        rules
            .chain(correlations)
            .filter(|(meta, _)| meta.alerts == Alerts::Own)
            .map(|(_, info)| info)
            .collect()
    }

    /// Whether matches of a rule become alerts of their own.
    pub fn alerts(&self, rule: RuleIndex) -> bool {
        self.set.rules[rule.as_usize()].meta.alerts == Alerts::Own
    }

    /// Whether a correlation's matches become alerts; one that is no longer there keeps those it has raised.
    pub fn correlation_alerts(&self, id: &str) -> bool {
        let mut correlations = self.set.correlations.iter();
        correlations
            .find(|correlation| correlation.meta.id.as_str() == id)
            .is_none_or(|correlation| correlation.meta.alerts == Alerts::Own)
    }

    /// Number of rules and correlations.
    pub fn len(&self) -> usize {
        self.set.rules.len() + self.set.correlations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
