//! The words that definitions consist of: names of formats, fields and log sources.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Keeps each word once and for as long as the program runs, so that events can borrow names without copying
/// them. A definition that is loaded again finds its words here: memory grows only by words never written before.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<Mutex<HashSet<&'static str>>>);

impl Words {
    /// The kept word that equals `word`.
    pub(super) fn keep(&self, word: &str) -> &'static str {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = words.get(word) {
            return kept;
        }
        let kept: &'static str = Box::leak(word.to_owned().into_boxed_str());
        words.insert(kept);
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_once() {
        let words = Words::default();
        let first = words.keep("SourceIp");
        assert!(std::ptr::eq(first, words.clone().keep("SourceIp")));
    }
}
