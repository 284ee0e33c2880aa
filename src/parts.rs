//! What runs in this process and how it fares: the register behind `citywatch status`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

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
    /// In words: an address, a path, or what is wrong and what to do.
    pub detail: String,
    /// How often it was tried again since the start.
    pub retries: u64,
}

/// The register; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Parts(Arc<Mutex<BTreeMap<&'static str, Part>>>);

impl Parts {
    /// Notes that a part is in `state`. Going to [`PartState::Retrying`] counts a retry.
    pub fn set(&self, name: &'static str, state: PartState, detail: impl Into<String>) {
        let mut parts = self.lock();
        let part = parts.entry(name).or_insert_with(|| Part {
            state,
            detail: String::new(),
            retries: 0,
        });
        part.state = state;
        part.detail = detail.into();
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
