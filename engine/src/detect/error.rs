//! What can be wrong with a rule set that was read without error.

use thiserror::Error;

/// Why rules could not be compiled.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CompileError {
    /// More rules than the engine is made for.
    #[error(
        "{rules} rules are more than the {rules_max} that one engine can hold; load fewer, or split them over engines"
    )]
    TooManyRules {
        /// How many there are.
        rules: usize,
        /// How many there may be.
        rules_max: usize,
    },
}
