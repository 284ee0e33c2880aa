//! What runs in this process and how it fares: the register behind `citywatch status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::saying::Saying;

/// Where a part stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// Not ready yet.
    Starting,
    /// Does its work.
    Running,
    /// Something it needs is missing: it tries again by itself.
    Retrying,
    /// Ended.
    Stopped,
}

/// A part with its last words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its state.
    pub state: PartState,
    /// In English: an address, a path, or what is wrong and what to do.
    pub detail: String,
    /// The same as a code with parameters; [`crate::saying::Saying`] has them. Null from a program that has none.
    #[serde(default)]
    pub said: serde_json::Value,
    /// How often it was tried again since the start.
    pub retries: u64,
}

/// The register; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Parts(Arc<Mutex<BTreeMap<&'static str, Part>>>);

impl Parts {
    /// Notes that a part is in `state`. Going to [`PartState::Retrying`] counts a retry.
    pub fn set(&self, name: &'static str, state: PartState, saying: Saying) {
        let mut parts = self.lock();
        let part = parts.entry(name).or_insert_with(|| Part {
            state,
            detail: String::new(),
            said: serde_json::Value::Null,
            retries: 0,
        });
        part.state = state;
        part.detail = saying.to_string();
        part.said = serde_json::to_value(saying).unwrap_or_default();
        if state == PartState::Retrying {
            part.retries += 1;
            metrics::counter!("citywatch_part_retries_total", "part" => name).increment(1);
        }
    }

    /// A copy of the register.
    pub fn snapshot(&self) -> BTreeMap<String, Part> {
        self.lock()
            .iter()
            .map(|(name, part)| ((*name).to_owned(), part.clone()))
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Part>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
