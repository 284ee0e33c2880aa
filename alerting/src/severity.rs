//! How bad it is: the level of the rule that matched.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Severity, from the levels of the Sigma specification.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a note, not a look.
    Informational,
    /// Worth a look some day.
    Low,
    /// Worth a look today.
    Medium,
    /// Worth a look now.
    High,
    /// Wake somebody.
    Critical,
}

impl Severity {
    /// All, from the lowest.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// A rule's level; a rule that names none (the specification leaves it optional) counts as medium.
    pub fn of_level(level: &str) -> Self {
        level.parse().unwrap_or(Self::Medium)
    }

    /// Its rank in the database: 0 is the lowest.
    pub(crate) fn rank(self) -> i64 {
        self as i64
    }

    /// The severity of that rank.
    pub(crate) fn of_rank(rank: i64) -> Self {
        usize::try_from(rank)
            .ok()
            .and_then(|rank| Self::ALL.get(rank).copied())
            .unwrap_or(Self::Critical)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownSeverity(text.to_owned()))
    }
}

/// No such severity.
#[derive(Debug, thiserror::Error)]
#[error("unknown severity {0:?}; one of informational, low, medium, high, critical")]
pub struct UnknownSeverity(String);
