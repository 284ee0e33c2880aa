//! The rules of a running pipeline: compiled for events, kept for correlation.

use std::sync::Arc;

use citywatch_rules::RuleSet;
use citywatch_rules::rule::Alerts;
use thiserror::Error;

use crate::detect::{CompileError, Compiled, LogSourceMode, RuleIndex};

/// Rules could not be made ready.
#[derive(Debug, Error)]
pub enum RulesError {
    /// The matcher could not be built.
    #[error("the rules cannot be compiled: {0}")]
    Compile(#[from] CompileError),
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

    /// Whether matches of a rule become alerts of their own.
    pub fn alerts(&self, rule: RuleIndex) -> bool {
        self.set.rules[rule.as_usize()].meta.alerts == Alerts::Own
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
