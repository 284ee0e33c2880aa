//! Keys of maps: finding them, and saying what was meant when they are not there.

use crate::error::{ErrorKind, Problem, nearest};
use crate::rule::Position;
use crate::yaml::{Entry, Node};

/// A map whose keys are known by name.
pub(crate) struct Keys<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) position: Position,
    pub(crate) within: &'static str,
}

impl<'a> Keys<'a> {
    pub(crate) fn of(node: &'a Node, within: &'static str) -> Result<Self, Problem> {
        Ok(Self {
            entries: node.entries(within)?,
            position: node.position,
            within,
        })
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &*entry.value)
    }

    /// The value of a mandatory key; `known` are the keys that are not typing errors of it.
    pub(crate) fn need(&self, key: &'static str, known: &[&str]) -> Result<&'a Node, Problem> {
        self.get(key).ok_or_else(|| {
            let others = self
                .entries
                .iter()
                .map(|entry| entry.key.as_str())
                .filter(|key| !known.contains(key));
            // The place of the key that was probably meant helps more than that of the map.
            let written = nearest(key, others);
            let position = self
                .entries
                .iter()
                .find(|entry| Some(&entry.key) == written.as_ref())
                .map_or(self.position, |entry| entry.position);
            match written {
                Some(written) => Problem::new(
                    position,
                    ErrorKind::UnknownKey {
                        key: written,
                        within: self.within,
                        suggestion: Some(key.to_owned()),
                    },
                ),
                None => Problem::new(
                    position,
                    ErrorKind::MissingKey {
                        key,
                        within: self.within,
                        suggestion: None,
                    },
                ),
            }
        })
    }

    /// Refuses every key that is not known.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self
            .entries
            .iter()
            .find(|entry| !known.contains(&entry.key.as_str()))
        {
            None => Ok(()),
            Some(entry) => Err(self.unknown(entry, nearest(&entry.key, known.iter().copied()))),
        }
    }

    /// Refuses unknown keys that can only be a typing error: one letter from a key that is not there. Where
    /// the specification allows keys of one's own, all others are those (`note` is no misspelt `name`).
    pub(crate) fn no_misspelt(&self, known: &[&str], near: &[&str]) -> Result<(), Problem> {
        for entry in self
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()) && entry.key.len() <= 20)
        {
            let key = entry.key.to_lowercase();
            let meant = near.iter().find(|near| {
                strsim::damerau_levenshtein(&key, near) <= 1 && self.get(near).is_none()
            });
            if let Some(meant) = meant {
                return Err(self.unknown(entry, Some((*meant).to_owned())));
            }
        }
        Ok(())
    }

    fn unknown(&self, entry: &Entry, suggestion: Option<String>) -> Problem {
        let kind = ErrorKind::UnknownKey {
            key: entry.key.clone(),
            within: self.within,
            suggestion,
        };
        Problem::new(entry.position, kind)
    }
}

/// The value that a text names in a table.
pub(crate) fn choose<T: Copy>(
    node: &Node,
    what: &'static str,
    table: &[(&str, T)],
) -> Result<T, Problem> {
    let text = node.text(what)?;
    match table.iter().find(|(name, _)| *name == text) {
        Some(&(_, value)) => Ok(value),
        None => {
            let names = table.iter().map(|(name, _)| *name);
            let suggestion = nearest(text, names.clone())
                .unwrap_or_else(|| names.collect::<Vec<_>>().join(" or "));
            let kind = ErrorKind::UnknownValue {
                what,
                value: text.to_owned(),
                suggestion: Some(suggestion),
            };
            Err(Problem::new(node.position, kind))
        }
    }
}
