//! People: who they are, what they may, and that it is them.
//!
//! Invariants:
//! - No default password: the first administrator's is made at random and told once.
//! - Passwords are kept as argon2id hashes, session tokens as SHA-256; neither ever reaches a log.

mod password;
mod people;
mod rate;
mod session;
mod tokens;
mod units;
mod users;

pub(crate) use password::{Passwords, random_password, random_token};
pub(crate) use people::{Person, PersonChange};
pub(crate) use rate::{SignInLimits, Verdict};
pub(crate) use session::{Session, Sessions};
pub(crate) use tokens::{NewToken, Token, TokenView, Tokens};
pub(crate) use units::{Imported, LineFault, TreeError, Unit, UnitPast, Units};
pub use users::UserError;
pub(crate) use users::{User, Users, normalised};

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a person may do; each role may all that the ones before it may.
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
pub enum Role {
    /// Sees.
    Viewer,
    /// Works on incidents.
    Analyst,
    /// Decides what is hidden and who works on what.
    Lead,
    /// Manages people and settings.
    Administrator,
}

impl Role {
    /// All, from the least.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Analyst, Self::Lead, Self::Administrator];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::Lead => "lead",
            Self::Administrator => "administrator",
        }
    }

    /// The role of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which units a person sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// All of the city's.
    City,
    /// This one and those below it.
    Subtree(String),
}

impl Scope {
    /// The unit at its top; empty for the city.
    pub(crate) fn root(&self) -> &str {
        match self {
            Self::City => "",
            Self::Subtree(root) => root,
        }
    }

    /// From the database: empty is the city.
    pub(crate) fn of_root(root: String) -> Self {
        if root.is_empty() {
            Self::City
        } else {
            Self::Subtree(root)
        }
    }
}

/// A new password, to be shown once to who asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct FirstPassword {
    /// The name to sign in with.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for FirstPassword {
    /// Without the password: a `{:?}` in a log must not tell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstPassword")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}
