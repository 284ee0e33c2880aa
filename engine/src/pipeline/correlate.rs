//! Correlation within the pipeline: feeds the correlator and tells what is new of what it says.

use std::sync::Arc;

use citywatch_parsers::Timestamp;

use super::config::PipelineConfig;
use super::positions::StreamKey;
use super::rules::LoadedRules;
use super::worker::Found;
use crate::matches::Match;
use crate::store::{Store, StoreError, StoredMatch};

/// What a delivery's matches led to.
#[derive(Debug, Default)]
pub(super) struct Correlated {
    /// Correlations that held for the first time: to be stored.
    pub(super) first_seen: Vec<Match>,
    /// All that alerting should know of, grown evidence included.
    pub(super) alerting: Vec<Match>,
}

/// The correlator with its memory of what was said already.
#[derive(Debug)]
pub(super) struct Correlation {
    rules: Arc<LoadedRules>,
}

impl Correlation {
    pub(super) fn new(rules: &Arc<LoadedRules>, _config: &PipelineConfig) -> Self {
        Self { rules: Arc::clone(rules) }
    }

    /// Whether there is nothing to correlate.
    pub(super) fn is_idle(&self) -> bool {
        self.rules.set().correlations.is_empty()
    }

    /// The matches that open windows may need.
    pub(super) async fn stored_matches(&self, _store: &Store) -> Result<Vec<StoredMatch>, StoreError> {
        Ok(Vec::new())
    }

    /// Takes them in again, without saying anything.
    pub(super) fn replay(&mut self, _stored: Vec<StoredMatch>) {}

    /// Takes in what was found in a stream.
    pub(super) fn observe(
        &mut self,
        _stream: &StreamKey,
        _found: &[Found],
        _newest_event: Option<Timestamp>,
    ) -> Correlated {
        Correlated::default()
    }
}
