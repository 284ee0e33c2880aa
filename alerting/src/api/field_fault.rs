//! What is wrong with a field of a request, as code with parameters and in English; see [`super::refusal`].

use std::fmt;

use citywatch_engine::store::SearchFault;
use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::LineFault;
use crate::notification::TemplateError;
use crate::severity::Severity;

/// What is wrong with a field. Texts that somebody gave, and what a library says of them, are as they are in every language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub(crate) enum FieldFault {
    /// It is not there.
    Missing,
    /// It cannot be read.
    Malformed {
        /// Why, in the words of who reads.
        error: String,
    },
    /// Nothing is in it.
    Empty,
    /// It is too long.
    TooLong {
        /// The limit.
        bytes_max: usize,
    },
    /// It is too short or too long.
    Length {
        /// At least.
        bytes_min: usize,
        /// At most.
        bytes_max: usize,
    },
    /// Too few or too many are in it.
    Count {
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
    /// The number is too small or too large.
    Range {
        /// At least.
        min: i64,
        /// At most.
        max: i64,
    },
    /// It is none of the known ones.
    Unknown {
        /// What was given.
        given: String,
        /// What is known.
        known: Vec<String>,
    },
    /// The cursor is none of ours.
    NoCursor,
    /// It is no time.
    NoTime {
        /// What was given.
        given: String,
    },
    /// `from` lies after `to`.
    FromAfterTo,
    /// It lies in the past.
    Past,
    /// It lies too far in the future.
    TooFar {
        /// At most so many days.
        days_max: i64,
    },
    /// It is no version.
    NoVersion,
    /// It is no entity.
    NoEntity,
    /// Nobody is called so.
    NoSuchPerson {
        /// The name.
        name: String,
    },
    /// Somebody who only looks, or who does not see the incident.
    MayNotWorkOnIt {
        /// The name.
        name: String,
    },
    /// There is no such unit.
    NoSuchUnit,
    /// The unit is not within the caller's.
    OutsideUnits,
    /// A unit must be named.
    UnitNeeded,
    /// It is the thing itself.
    Itself,
    /// It would hide everything.
    HidesEverything,
    /// It cannot be changed.
    Fixed,
    /// No name that a person may have.
    NoUserName,
    /// The new password is too short.
    ShortPassword {
        /// At least so many characters.
        characters_min: usize,
    },
    /// The password is wrong.
    WrongPassword,
    /// No mail server is set.
    NoMailServer,
    /// It is no mail address.
    NoMailAddress {
        /// What was given.
        given: String,
    },
    /// It is no URL.
    NoUrl,
    /// The URL holds name and password.
    UrlWithPassword,
    /// The template has an unknown name.
    TemplateName {
        /// The name.
        given: String,
        /// What is known there.
        known: Vec<String>,
    },
    /// The template opens what it does not close.
    TemplateOpen {
        /// What.
        opened: &'static str,
        /// What would close it.
        close: &'static str,
    },
    /// The template makes no JSON.
    TemplateNoJson {
        /// Why.
        error: String,
    },
    /// A line of a table is wrong.
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// A unit would stand above itself.
    UnitLoop {
        /// Its id.
        unit: String,
    },
    /// A unit stands below one that does not exist.
    UnknownParent {
        /// Its id.
        unit: String,
        /// The unknown one.
        parent: String,
    },
    /// A search line is wrong.
    Search {
        /// What is wrong with it.
        fault: SearchFaultCode,
        /// The same in English.
        #[serde(skip)]
        reason: String,
    },
}

/// What is wrong with a search line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SearchFaultCode {
    TooLong,
    UnexpectedClose,
    OpenQuote,
    OpenParenthesis,
    MissingOperand,
    MissingValue,
    BadAddress,
    BadNumber,
    TooDeep,
    TooMany,
}

impl From<SearchFault> for SearchFaultCode {
    fn from(fault: SearchFault) -> Self {
        match fault {
            SearchFault::TooLong => Self::TooLong,
            SearchFault::UnexpectedClose => Self::UnexpectedClose,
            SearchFault::OpenQuote => Self::OpenQuote,
            SearchFault::OpenParenthesis => Self::OpenParenthesis,
            SearchFault::MissingOperand => Self::MissingOperand,
            SearchFault::MissingValue => Self::MissingValue,
            SearchFault::BadAddress => Self::BadAddress,
            SearchFault::BadNumber => Self::BadNumber,
            SearchFault::TooDeep => Self::TooDeep,
            SearchFault::TooMany => Self::TooMany,
        }
    }
}

impl FieldFault {
    pub(super) fn unknown(given: &str, known: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Unknown {
            given: given.to_owned(),
            known: known.into_iter().map(Into::into).collect(),
        }
    }

    pub(super) fn unknown_severity(given: &str) -> Self {
        Self::unknown(given, Severity::ALL.map(|each| each.name()))
    }
}

impl From<TemplateError> for FieldFault {
    fn from(error: TemplateError) -> Self {
        match error {
            TemplateError::Name { given, known } => Self::TemplateName {
                given,
                known: known.iter().map(|&name| name.to_owned()).collect(),
            },
            TemplateError::Open { opened, close } => Self::TemplateOpen { opened, close },
            TemplateError::NoJson { error } => Self::TemplateNoJson { error },
        }
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is missing"),
            Self::Malformed { error } => f.write_str(error),
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong { bytes_max } => write!(f, "must not be longer than {bytes_max} bytes"),
            Self::Length {
                bytes_min,
                bytes_max,
            } => write!(f, "must be {bytes_min} to {bytes_max} bytes"),
            Self::Count { min: 0, max } => write!(f, "at most {max} at once"),
            Self::Count { min, max } => write!(f, "must be {min} to {max}"),
            Self::Range { min, max } => write!(f, "must be from {min} to {max}"),
            Self::Unknown { given, known } => {
                write!(f, "unknown: {given:?}; one of {}", known.join(", "))
            }
            Self::NoCursor => f.write_str("use next_cursor of an earlier answer as it is"),
            Self::NoTime { given } => write!(
                f,
                "{given:?} is no time; write it like 2026-11-22T03:04:05Z (RFC 3339)"
            ),
            Self::FromAfterTo => {
                f.write_str("from lies after to, so nothing is between them: swap them, or leave one out")
            }
            Self::Past => f.write_str("must lie in the future"),
            Self::TooFar { days_max } => write!(f, "must not be more than {days_max} days away"),
            Self::NoVersion => f.write_str("must be the version that you saw, a number"),
            Self::NoEntity => f.write_str("write it like address:203.0.113.7"),
            Self::NoSuchPerson { name } => write!(f, "nobody is called {name:?}"),
            Self::MayNotWorkOnIt { name } => write!(
                f,
                "{name:?} may not work on it: it is outside of their units, or they only look"
            ),
            Self::NoSuchUnit => f.write_str("there is no such unit"),
            Self::OutsideUnits => f.write_str("is not within your own units"),
            Self::UnitNeeded => f.write_str("name a unit: you see a part of the city only"),
            Self::Itself => f.write_str("is the same as what takes it in"),
            Self::HidesEverything => {
                f.write_str("name a rule, a unit, a host or a field: this would hide everything")
            }
            Self::Fixed => f.write_str("cannot be changed: make another route"),
            Self::NoUserName => f.write_str("must be 1 to 64 letters, digits or any of . _ @ -"),
            Self::ShortPassword { characters_min } => {
                write!(f, "must have {characters_min} characters or more")
            }
            Self::WrongPassword => f.write_str("is wrong"),
            Self::NoMailServer => f.write_str(
                "there is no mail server: set [alerting.notifications.smtp] in the configuration first",
            ),
            Self::NoMailAddress { given } => write!(f, "{given:?} is no mail address"),
            Self::NoUrl => f.write_str("is no URL; write it like https://chat.example.vn/hook"),
            Self::UrlWithPassword => {
                f.write_str("must hold no name and password: the signature says who sends")
            }
            Self::TemplateName { given, known } => write!(
                f,
                "unknown name {{{{{given}}}}}; one of {}",
                known.join(", ")
            ),
            Self::TemplateOpen { opened, close } => write!(f, "{opened} is not closed by {close}"),
            Self::TemplateNoJson { error } => write!(f, "makes no JSON: {error}"),
            Self::Line { line, fault } => write!(f, "line {line}: {fault}"),
            Self::UnitLoop { unit } => write!(
                f,
                "the unit {unit:?} is its own ancestor, or deeper than 32 levels"
            ),
            Self::UnknownParent { unit, parent } => {
                write!(f, "the unit {unit:?} has the unknown parent {parent:?}")
            }
            Self::Search { reason, .. } => f.write_str(reason),
        }
    }
}
