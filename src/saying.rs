//! What parts of a process say of themselves: a code with parameters, which the console puts into its reader's language, and
//! the same in English for the command line, health and notices.

use std::fmt;

use serde::Serialize;

/// What a part says. Addresses, paths and error texts are as they are in every language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Saying {
    /// Nothing yet.
    Nothing,
    /// Where it is: an address or a path.
    At {
        /// The address or path.
        place: String,
    },
    /// What it needs failed.
    Failed {
        /// What failed, in the words of who told.
        error: String,
    },
    /// It ended as it was asked to.
    Stopped,
    /// The embedded store is being started.
    StoreEmbedded {
        /// Where it listens.
        address: String,
    },
    /// The embedded store ended and is started again.
    StoreRestarted {
        /// How it ended.
        error: String,
    },
    /// There is no event store.
    StoreNotSet,
    /// There is no rule.
    NoRules,
    /// Rules are loaded.
    RulesLoaded {
        /// How many.
        loaded: usize,
        /// How many are wrong and left out.
        left_out: usize,
    },
    /// Changed rules could not be loaded: those before stay.
    RulesKept {
        /// How many.
        loaded: usize,
        /// Why.
        error: String,
    },
    /// Definitions of formats are loaded.
    DefinitionsLoaded {
        /// How many.
        loaded: usize,
        /// How many are wrong and left out.
        left_out: usize,
    },
    /// The engine does its work.
    EngineWorks,
    /// The intake listens.
    IntakeOpen {
        /// Where.
        address: String,
        /// Whether it takes batches, too, and not only enrols agents.
        takes_batches: bool,
    },
    /// No agent runs in this process.
    AgentNotSet,
    /// The agent of this process has nothing to read.
    AgentIdle,
    /// The agent of this process reads files.
    AgentReads {
        /// How many.
        files: usize,
        /// How many of them cannot be read.
        unreadable: usize,
        /// The first of these.
        #[serde(skip_serializing_if = "Option::is_none")]
        first_unreadable: Option<Unreadable>,
        /// What else is wrong, if anything.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// A demonstration: recordings are played, nothing of it happened.
    Demonstration {
        /// Days of its history that were played.
        days_played: u32,
        /// Days of its history.
        days: u32,
    },
}

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its path.
    pub path: String,
    /// Why.
    pub error: String,
}

impl fmt::Display for Saying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = |f: &mut fmt::Formatter<'_>, loaded: &usize, left_out: &usize| {
            write!(f, "{loaded} loaded")?;
            match left_out {
                0 => Ok(()),
                _ => write!(f, ", {left_out} left out (the log says why)"),
            }
        };
        match self {
            Self::Nothing => Ok(()),
            Self::At { place } => f.write_str(place),
            Self::Failed { error } => f.write_str(error),
            Self::Stopped => f.write_str("stopped"),
            Self::StoreEmbedded { address } => write!(f, "embedded, on {address}"),
            Self::StoreRestarted { error } => write!(f, "embedded, {error}; started again"),
            Self::StoreNotSet => {
                f.write_str("none: [store] url is not set, so events cannot be searched")
            }
            Self::NoRules => {
                f.write_str("no rules: set [engine] rules to files or folders of Sigma rules")
            }
            Self::RulesLoaded { loaded, left_out } => counted(f, loaded, left_out),
            Self::RulesKept { loaded, error } => {
                write!(f, "{loaded} loaded; not loaded anew: {error}")
            }
            Self::DefinitionsLoaded { loaded, left_out } => counted(f, loaded, left_out),
            Self::EngineWorks => f.write_str("parses, matches, correlates, stores"),
            Self::IntakeOpen {
                address,
                takes_batches,
            } => {
                let takes = if *takes_batches {
                    "enrols agents and takes their batches"
                } else {
                    "enrols agents"
                };
                write!(f, "{address} {takes}")
            }
            Self::AgentNotSet => {
                f.write_str("none here: neither [agent.kafka] nor [agent.https] is set")
            }
            Self::AgentIdle => f.write_str("reads nothing: name files with [[agent.files]] paths"),
            Self::AgentReads {
                files,
                unreadable,
                first_unreadable,
                problem,
            } => {
                match files {
                    1 => f.write_str("reads 1 file")?,
                    files => write!(f, "reads {files} files")?,
                }
                if let Some(Unreadable { path, error }) = first_unreadable {
                    write!(
                        f,
                        "; {unreadable} cannot be read and are tried again, {path} first: {error}"
                    )?;
                }
                problem
                    .as_ref()
                    .map_or(Ok(()), |problem| write!(f, "; {problem}"))
            }
            Self::Demonstration { days_played, days } => write!(
                f,
                "recordings are played, nothing of it happened: {days_played} of {days} days"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(said: &Saying) -> serde_json::Value {
        serde_json::to_value(said).unwrap()
    }

    #[test]
    fn the_same_is_said_as_code_and_in_words() {
        let said = Saying::RulesLoaded {
            loaded: 3,
            left_out: 1,
        };
        assert_eq!(said.to_string(), "3 loaded, 1 left out (the log says why)");
        assert_eq!(
            json(&said),
            serde_json::json!({ "code": "rules_loaded", "loaded": 3, "left_out": 1 })
        );
        let said = Saying::AgentReads {
            files: 2,
            unreadable: 1,
            first_unreadable: Some(Unreadable {
                path: "/var/log/secure".to_owned(),
                error: "permission denied".to_owned(),
            }),
            problem: Some("/x/*.log matches nothing".to_owned()),
        };
        assert_eq!(
            said.to_string(),
            "reads 2 files; 1 cannot be read and are tried again, /var/log/secure first: permission denied; \
             /x/*.log matches nothing"
        );
        assert_eq!(json(&said)["first_unreadable"]["path"], "/var/log/secure");
        assert_eq!(
            json(&Saying::Nothing),
            serde_json::json!({ "code": "nothing" })
        );
    }
}
