//! Regular expressions of pipelines: Python's, as far as they run in linear time.

use crate::error::ErrorKind;
use crate::pcre::{self, Flags};

/// An expression, compiled.
#[derive(Clone, Debug)]
pub(super) struct PythonRegex {
    regex: regex::Regex,
}

impl PythonRegex {
    pub(super) fn new(source: &str) -> Result<Self, ErrorKind> {
        let (pattern, _) = pcre::translate(source, Flags::default())?;
        Ok(Self {
            regex: pattern.regex,
        })
    }

    /// Whether it matches at the beginning: Python's `match`.
    pub(super) fn matches_start(&self, text: &str) -> bool {
        self.regex
            .find(text)
            .is_some_and(|found| found.start() == 0)
    }

    /// The same with its groups.
    pub(super) fn captures_at_start<'t>(&self, text: &'t str) -> Option<regex::Captures<'t>> {
        let captures = self.regex.captures(text)?;
        (captures.get(0)?.start() == 0).then_some(captures)
    }

    pub(super) fn regex(&self) -> &regex::Regex {
        &self.regex
    }

    /// Names of its groups, in the order in which they are written.
    pub(super) fn group_names(&self) -> Vec<&str> {
        self.regex.capture_names().flatten().collect()
    }
}
