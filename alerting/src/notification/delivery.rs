//! Why a message could not be delivered.

use serde::Serialize;

/// What it was, for who says it in another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeliveryFault {
    /// Nobody answers there, or not in time.
    Unreachable,
    /// Who answers does not take it.
    Refused,
    /// The configuration is wrong or lacks something.
    Settings,
    /// The message itself cannot be made.
    Broken,
    /// The route was removed.
    Removed,
}

impl DeliveryFault {
    const ALL: [Self; 5] = [
        Self::Unreachable,
        Self::Refused,
        Self::Settings,
        Self::Broken,
        Self::Removed,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
            Self::Settings => "settings",
            Self::Broken => "broken",
            Self::Removed => "removed",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// Why a try failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct DeliveryError {
    pub(crate) fault: DeliveryFault,
    /// In words, with what the other side said.
    pub(crate) text: String,
}

impl DeliveryError {
    pub(crate) fn new(fault: DeliveryFault, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { fault, text }
    }

    pub(crate) fn settings(text: impl Into<String>) -> Self {
        Self::new(DeliveryFault::Settings, text)
    }

    pub(crate) fn broken(error: impl std::fmt::Display) -> Self {
        Self::new(DeliveryFault::Broken, error.to_string())
    }
}
