//! Processing pipelines: rules that were written for another taxonomy, changed before they are lowered to tests.
//!
//! A pipeline is a YAML file in pySigma's form: transformations of field names, values, log sources and conditions, each
//! with conditions of its own. What a transformation does to a rule is what pySigma 1.5 does; README.md of this crate
//! lists where the two differ and why. What speaks of a query language (query expressions, postprocessing, finalizers)
//! or needs more than the file (files, HTTP, commands) is refused when the pipeline is read.
//!
//! Source: pySigma's documentation, "Processing Pipelines", and its source, `sigma/processing`.

mod apply;
mod attributes;
mod conditions;
mod fields;
mod hashes;
mod items;
mod outline;
mod parameters;
mod placeholders;
mod plain;
mod read;
mod regex;
mod replace;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use apply::{Subject, apply};
pub(crate) use attributes::{Attribute, read_attributes};
#[doc(hidden)]
pub use outline::outline;

use crate::error::RuleError;
use crate::load::RuleSource;
use items::Item;

/// Processing pipelines in the order in which they are applied. The default has none.
#[derive(Clone, Default)]
pub struct Pipelines {
    items: Arc<[Item]>,
    vars: Arc<BTreeMap<String, Vec<String>>>,
    /// SHA-256 of the texts in order; empty when there is none.
    digest: Arc<str>,
}

impl Pipelines {
    /// Reads pipelines, one YAML document each. They are applied in the order of their priority (the lowest first),
    /// those of equal priority in the order of their paths, as pySigma does; a variable of a later one replaces
    /// that of an earlier one.
    ///
    /// # Errors
    /// All that is wrong with them, with path, line and column.
    pub fn read(sources: impl IntoIterator<Item = RuleSource>) -> Result<Self, Vec<RuleError>> {
        let (mut files, mut errors) = (Vec::new(), Vec::new());
        for source in sources {
            match read::read_file(&source) {
                Ok(file) => files.push((file, source)),
                Err(more) => errors.extend(more),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        files.sort_by(|(a, a_source), (b, b_source)| {
            (a.priority, &a_source.path).cmp(&(b.priority, &b_source.path))
        });
        if files.is_empty() {
            return Ok(Self::default());
        }
        let texts = files.iter().map(|(_, source)| source.text.as_bytes());
        let digest = Arc::from(crate::load::sha256_hex(texts));
        let (mut items, mut vars) = (Vec::new(), BTreeMap::new());
        for (file, _) in files {
            items.extend(file.items);
            vars.extend(file.vars);
        }
        Ok(Self {
            items: items.into(),
            vars: Arc::new(vars),
            digest,
        })
    }

    /// Whether there is none, so that rules stay as they are written.
    pub fn is_empty(&self) -> bool {
        self.digest.is_empty()
    }

    /// SHA-256 of the pipelines' texts: it becomes part of what tells versions of a rule apart.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

impl PartialEq for Pipelines {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Pipelines {}

impl std::fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Pipelines({} items, {})",
            self.items.len(),
            &self.digest[..self.digest.len().min(8)]
        )
    }
}
