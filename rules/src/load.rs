//! Reading rules: texts in, a [`RuleSet`] out, with a problem for each document that is not right.
//!
//! Documents are read one by one ([`document`]), then what binds them together is resolved: ids and
//! names, filters, references of correlations ([`bind`]). A broken document never stops another.

mod allowance;
mod bind;
mod correlation;
mod detection;
mod document;
pub(crate) mod draft;
mod filter;
mod item;
pub(crate) mod keys;
mod modifiers;
mod placeholders;
mod read;
pub(crate) mod values;

pub(crate) use correlation::UnboundCorrelation;
pub(crate) use document::sha256_hex;
pub(crate) use draft::{DraftDocument, DraftRule, read_added_search, read_drafts};
pub use placeholders::read_placeholders;
pub(crate) use read::{Onlooker, load as load_before};

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::correlation::Correlation;
use crate::error::RuleError;
use crate::processing::Pipelines;
use crate::rule::Rule;

/// Bytes that a rule file may have.
pub const FILE_BYTES_MAX: usize = 10 << 20;

/// Problems of one file that are told.
const FILE_PROBLEMS_MAX: usize = 1_000;

/// A file of rules: one or more YAML documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSource {
    /// What messages call it.
    pub path: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

impl RuleSource {
    /// A source.
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

/// What the configuration says about reading rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Values of placeholders, by name without the percent signs. A value is a pattern: `*` and `?`
    /// are wildcards. A placeholder with an empty list has no value.
    pub placeholders: BTreeMap<String, Vec<String>>,
    /// What is changed in each rule before it becomes tests.
    pub pipelines: Pipelines,
}

/// All rules that were read, ready to be evaluated or compiled.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules, filters applied, in the order of the sources.
    pub rules: Vec<Arc<Rule>>,
    /// Correlations; each comes after those that it refers to.
    pub correlations: Vec<Arc<Correlation>>,
    /// What could not be loaded, or not fully, in the order of the sources.
    pub problems: Vec<RuleError>,
}

impl RuleSet {
    /// Reads all sources. What is wrong with one rule is a problem of that rule alone.
    pub fn load(sources: impl IntoIterator<Item = RuleSource>, options: &LoadOptions) -> RuleSet {
        let sources: Vec<RuleSource> = sources.into_iter().collect();
        read::load(&sources, options, &read::Nobody).0
    }

    /// The rule with this id or name.
    pub fn rule(&self, reference: &str) -> Option<&Arc<Rule>> {
        self.rules
            .iter()
            .find(|rule| is_called(&rule.meta, reference))
    }

    /// The correlation with this id or name.
    pub fn correlation(&self, reference: &str) -> Option<&Arc<Correlation>> {
        self.correlations
            .iter()
            .find(|correlation| is_called(&correlation.meta, reference))
    }
}

fn is_called(meta: &crate::rule::Meta, reference: &str) -> bool {
    meta.id.as_str() == reference || meta.name.as_deref() == Some(reference)
}
