//! What can be wrong with a rule set that was read without error.

use thiserror::Error;

/// Why rules could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The reader checks that a regular expression compiles; the engine's limits refused it all the same.
    #[error(
        "regular expression `{pattern}` does not compile: {reason}; write it shorter, or split the rule"
    )]
    Regex {
        /// As written in the rule.
        pattern: String,
        /// What the regex crate says.
        reason: String,
    },
}
