//! Why the API refuses something: a code with parameters, which the console puts into its reader's language, and the same
//! in English for everybody else. A new variant is a new code of the OpenAPI document; the console does not compile until
//! it has words for it.

use std::fmt;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::Role;

/// Why a request was refused, or failed. Names and error texts are as they are in every language.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// A field of the request is wrong: `errors` says which.
    WrongInput,
    /// The body or the query cannot be read at all.
    Unreadable {
        /// Why, in the words of who reads.
        error: String,
    },
    /// Nobody is signed in.
    SignedOut,
    /// Signing in failed.
    WrongNameOrPassword,
    /// The role is too low.
    RoleTooLow {
        /// The role that is needed.
        #[schema(value_type = String)]
        needed: &'static str,
        /// The caller's.
        #[schema(value_type = String)]
        yours: &'static str,
    },
    /// Another site's page asks.
    ForeignPage,
    /// The CSRF token is missing or wrong.
    WrongCsrfToken,
    /// A token asks for what only people have.
    NotForTokens,
    /// One's own account.
    OwnAccount,
    /// The tree of units belongs to who sees the whole city.
    TreeOfWholeCity,
    /// Rules are switched by who sees the whole city.
    RulesOfWholeCity,
    /// The audit log is read by who sees the whole city.
    AuditOfWholeCity,
    /// There is no such thing, or not for this person.
    Missing {
        /// What.
        thing: Thing,
    },
    /// The API has no such address.
    NoSuchAddress,
    /// The address does not take the method.
    WrongMethod,
    /// The incident is part of another.
    Merged,
    /// There is a person of that name.
    NameTaken {
        /// The name.
        name: String,
    },
    /// There is a view of that name.
    ViewNameTaken,
    /// A closed incident would have no verdict.
    VerdictNeeded,
    /// The report was handed in before.
    ReportedBefore,
    /// The route is not signed.
    NotSigned,
    /// The message was not given up.
    NotGivenUp,
    /// Too many suppressions hold.
    TooManySuppressions,
    /// The suppression has ended.
    EndedBefore,
    /// The same request is still being worked on.
    StillRunning,
    /// The same request was begun before, and what became of it is not known.
    OutcomeUnknown,
    /// The key of another request.
    KeyUsedBefore,
    /// Somebody changed it in between.
    ChangedMeanwhile,
    /// The body is too long.
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// The site has another name.
    NotCalledSo {
        /// The name that it was called by.
        host: String,
    },
    /// If-Match is missing.
    VersionMissing,
    /// Too many wrong passwords.
    TooManyPasswords {
        /// When to try again.
        minutes: i64,
    },
    /// The database of incidents does not answer.
    DatabaseAway,
    /// There is no event store.
    StoreNotSet,
    /// The event store does not answer.
    StoreAway,
    /// The event store refused.
    StoreRefused,
    /// Too many streams are open.
    TooManyFollowers,
    /// It took too long.
    TimedOut,
}

/// What there is none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Thing {
    Incident,
    Event,
    Entity,
    Rule,
    Unit,
    Suppression,
    View,
    User,
    Token,
    NotificationRoute,
    Message,
}

impl Thing {
    fn name(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Event => "event",
            Self::Entity => "entity",
            Self::Rule => "rule",
            Self::Unit => "unit",
            Self::Suppression => "suppression",
            Self::View => "view",
            Self::User => "user",
            Self::Token => "token",
            Self::NotificationRoute => "notification route",
            Self::Message => "message",
        }
    }
}

impl Refusal {
    pub(super) fn role_too_low(needed: Role, yours: Role) -> Self {
        Self::RoleTooLow {
            needed: needed.name(),
            yours: yours.name(),
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::WrongInput | Self::Unreadable { .. } => StatusCode::BAD_REQUEST,
            Self::SignedOut | Self::WrongNameOrPassword => StatusCode::UNAUTHORIZED,
            Self::RoleTooLow { .. }
            | Self::ForeignPage
            | Self::WrongCsrfToken
            | Self::NotForTokens
            | Self::OwnAccount
            | Self::TreeOfWholeCity
            | Self::RulesOfWholeCity
            | Self::AuditOfWholeCity => StatusCode::FORBIDDEN,
            Self::Missing { .. } | Self::NoSuchAddress => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Merged
            | Self::NameTaken { .. }
            | Self::ViewNameTaken
            | Self::ReportedBefore
            | Self::NotSigned
            | Self::NotGivenUp
            | Self::TooManySuppressions
            | Self::EndedBefore
            | Self::StillRunning
            | Self::OutcomeUnknown => StatusCode::CONFLICT,
            Self::KeyUsedBefore | Self::VerdictNeeded => StatusCode::UNPROCESSABLE_ENTITY,
            Self::ChangedMeanwhile => StatusCode::PRECONDITION_FAILED,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotCalledSo { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::VersionMissing => StatusCode::PRECONDITION_REQUIRED,
            Self::TooManyPasswords { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::DatabaseAway
            | Self::StoreNotSet
            | Self::StoreAway
            | Self::StoreRefused
            | Self::TooManyFollowers => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongInput => "A field is wrong.",
            Self::Unreadable { error } => error,
            Self::SignedOut => "You are not signed in, or your session has ended: sign in.",
            Self::WrongNameOrPassword => "Name or password is wrong.",
            Self::RoleTooLow { needed, yours } => {
                return write!(f, "This needs the role {needed}; yours is {yours}. Ask an administrator.");
            }
            Self::ForeignPage => "The request comes from a page of another site.",
            Self::WrongCsrfToken => {
                "The header X-CSRF-Token is missing or wrong: send the token that GET /api/v1/session tells."
            }
            Self::NotForTokens => "This is for people, not for tokens.",
            Self::OwnAccount => "Another administrator must change your account.",
            Self::TreeOfWholeCity => "Only who sees the whole city changes its tree of units.",
            Self::RulesOfWholeCity => {
                "A rule is switched for the whole city, and you see a part of it: set a suppression for your unit."
            }
            Self::AuditOfWholeCity => "The audit log is about the whole city.",
            Self::Missing { thing } => {
                return write!(f, "There is no such {}, or it is outside of your units.", thing.name());
            }
            Self::NoSuchAddress => "There is no such address in this API.",
            Self::WrongMethod => "This address does not take that method.",
            Self::Merged => "The incident was merged into another: open that one.",
            Self::NameTaken { name } => return write!(f, "There is a user {name:?} already."),
            Self::ViewNameTaken => {
                "You have a view of that name for this screen: change that one, or choose another name."
            }
            Self::VerdictNeeded => {
                "A closed incident needs a verdict: send one in the same change, or reopen the incident to take its verdict away."
            }
            Self::ReportedBefore => "This report was handed in before: look at the history.",
            Self::NotSigned => "Only webhooks are signed; this route sends e-mail.",
            Self::NotGivenUp => {
                "This message was not given up: it was sent, or it waits and is tried again by itself."
            }
            Self::TooManySuppressions => {
                "Too many suppressions hold at once: end some that are no longer needed."
            }
            Self::EndedBefore => "This suppression has ended already.",
            Self::StillRunning => "The same request is still being worked on: ask again in a moment.",
            Self::OutcomeUnknown => {
                "The same request was begun before and its outcome is not known: look whether it was done, then decide."
            }
            Self::KeyUsedBefore => {
                "This Idempotency-Key was sent with another request: choose a new key for each request."
            }
            Self::ChangedMeanwhile => {
                "Somebody changed this since you read it: read it again, then decide."
            }
            Self::TooLong { bytes_max } => {
                return write!(f, "The request is longer than {bytes_max} bytes.");
            }
            Self::NotCalledSo { host } => {
                return write!(
                    f,
                    "This site is not called {host:?}. Add the name to [alerting] host_names if it should be."
                );
            }
            Self::VersionMissing => "The header If-Match is missing: send the version that you saw.",
            Self::TooManyPasswords { minutes } => {
                return write!(f, "Too many wrong passwords. Try again in {minutes} minutes.");
            }
            Self::DatabaseAway => {
                "The database of incidents does not answer. Nothing was changed; try again."
            }
            Self::StoreNotSet => {
                "This process has no event store: set [store] url in its configuration. Incidents work without."
            }
            Self::StoreAway => "The event store does not answer in time. Narrow the time range, or try again.",
            Self::StoreRefused => {
                "The event store refused the search. The log of this process says why."
            }
            Self::TooManyFollowers => "Too many pages follow the incidents; try again later.",
            Self::TimedOut => "This took longer than 30 seconds and was given up. Look whether it was done, or ask for less.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_as_code_and_in_words() {
        let refusal = Refusal::role_too_low(Role::Analyst, Role::Viewer);
        assert_eq!(
            refusal.to_string(),
            "This needs the role analyst; yours is viewer. Ask an administrator."
        );
        assert_eq!(
            serde_json::to_value(&refusal).unwrap(),
            serde_json::json!({ "code": "role_too_low", "needed": "analyst", "yours": "viewer" })
        );
        let missing = Refusal::Missing {
            thing: Thing::NotificationRoute,
        };
        assert_eq!(
            serde_json::to_value(&missing).unwrap(),
            serde_json::json!({ "code": "missing", "thing": "notification_route" })
        );
    }
}
