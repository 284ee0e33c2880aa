//! What can be wrong with a rule: where, what, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::rule::{Position, RuleId};

/// A rule, correlation or filter that could not be loaded, or not fully.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}:{position}: {kind}")]
pub struct RuleError {
    /// The file.
    pub path: Arc<str>,
    /// The place in the file.
    pub position: Position,
    /// The rule's title, as far as it could be read.
    pub title: Option<Arc<str>>,
    /// The rule's id, as far as it could be read.
    pub id: Option<RuleId>,
    /// What is wrong.
    pub kind: ErrorKind,
}

/// What is wrong with a rule. The texts say what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ErrorKind {
    /// The file is larger than the bound.
    #[error(
        "the file has {bytes} bytes, more than the {bytes_max} that a rule file may have; split it"
    )]
    FileTooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Not YAML.
    #[error("not valid YAML: {reason}")]
    Yaml {
        /// In the words of the YAML scanner.
        reason: String,
    },
    /// Structure nested deeper than the bound.
    #[error("nested deeper than {depth_max} levels; rules need far fewer")]
    TooDeep {
        /// The bound.
        depth_max: usize,
    },
    /// More nodes than the bound, aliases expanded.
    #[error(
        "the document has more than {nodes_max} values once its aliases are expanded; write it without aliases or split it"
    )]
    TooManyNodes {
        /// The bound.
        nodes_max: usize,
    },
    /// Aliases make much of little.
    #[error(
        "its aliases stand for more than {bytes_max} bytes, far more than is written; write it without aliases"
    )]
    TooLongExpanded {
        /// The bound.
        bytes_max: usize,
    },
    /// A key twice in one map.
    #[error(
        "the key {:?} is written twice in this map (first in line {first_line}); join the two or rename one",
        short(.key)
    )]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of the first.
        first_line: u32,
    },
    /// A mandatory key is missing.
    #[error("the key {key:?} is missing in {within}{}", suggest(.suggestion.as_deref()))]
    MissingKey {
        /// The key.
        key: &'static str,
        /// In what.
        within: &'static str,
        /// A key that looks like it.
        suggestion: Option<String>,
    },
    /// A key that means nothing here.
    #[error("unknown key {:?} in {within}{}", short(.key), suggest(.suggestion.as_deref()))]
    UnknownKey {
        /// The key.
        key: String,
        /// In what.
        within: &'static str,
        /// The nearest known key.
        suggestion: Option<String>,
    },
    /// A value of the wrong kind.
    #[error("{what} must be {expected}, but is {found}")]
    WrongType {
        /// Of what.
        what: String,
        /// What it must be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A value outside a fixed set.
    #[error("{:?} is no {what}{}", short(.value), suggest(.suggestion.as_deref()))]
    UnknownValue {
        /// Of what.
        what: &'static str,
        /// The value.
        value: String,
        /// The nearest known value, or all of them.
        suggestion: Option<String>,
    },
    /// A modifier that does not exist.
    #[error("unknown modifier {:?}{}", short(.modifier), suggest(.suggestion.as_deref()))]
    UnknownModifier {
        /// The modifier.
        modifier: String,
        /// The nearest known one.
        suggestion: Option<String>,
    },
    /// A modifier that cannot be used so.
    #[error("the modifier {modifier:?} {reason}")]
    Modifier {
        /// The modifier.
        modifier: &'static str,
        /// Why not, and what to write.
        reason: String,
    },
    /// A value that cannot be used so.
    #[error("{:?}: {reason}", short(.value))]
    Value {
        /// The value.
        value: String,
        /// Why not, and what to write.
        reason: String,
    },
    /// A regular expression that does not compile or cannot run in linear time.
    #[error("regular expression {:?}: {reason}", short(.regex))]
    Regex {
        /// The expression as written.
        regex: String,
        /// Why not, and what to write.
        reason: String,
    },
    /// A placeholder that the configuration has no value for.
    #[error(
        "the placeholder %{}% has no value; set it in the configuration (placeholders) or leave the rule out",
        short(.placeholder)
    )]
    Placeholder {
        /// Its name without the percent signs.
        placeholder: String,
    },
    /// One item stands for more patterns than the bound.
    #[error("this item stands for {patterns} patterns, more than {patterns_max}; split it")]
    TooManyPatterns {
        /// How many.
        patterns: usize,
        /// The bound.
        patterns_max: usize,
    },
    /// The patterns of one item are longer than the bound.
    #[error(
        "this item stands for {bytes} bytes of patterns, more than {bytes_max}; shorten its values or split it"
    )]
    TooLongPatterns {
        /// How long.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// All rules together would take more than the bound.
    #[error(
        "with this rule, all rules that are loaded together would have more than {count_max} {what}; shorten it or leave rules out"
    )]
    TooMuchInAll {
        /// Of what.
        what: &'static str,
        /// The bound.
        count_max: usize,
    },
    /// Too much is wrong with the file for the rest of it to be worth reading.
    #[error(
        "more than {problems_max} problems in one file: what follows is not read; is it a file of rules?"
    )]
    TooManyProblems {
        /// The bound.
        problems_max: usize,
    },
    /// A condition that cannot be read.
    #[error("condition: {reason}")]
    Condition {
        /// Why not, and what to write.
        reason: String,
    },
    /// A condition speaks of a search that does not exist.
    #[error("the condition speaks of {:?}, but there is no such search{}", short(.name), suggest(.suggestion.as_deref()))]
    UnknownSearch {
        /// The name.
        name: String,
        /// The nearest search.
        suggestion: Option<String>,
    },
    /// A pattern of a condition that fits no search.
    #[error(
        "no search fits {:?} (names that begin with _ are left out of patterns); rename the searches or correct the pattern",
        short(.pattern)
    )]
    NoSearchFits {
        /// The pattern.
        pattern: String,
    },
    /// An id or name that another rule has.
    #[error("the {what} {:?} belongs to the rule at {first} already; give this rule another", short(.value))]
    Duplicate {
        /// `id`, `name` or `title` (of rules without either).
        what: &'static str,
        /// Its value.
        value: String,
        /// Path, line and column of the first.
        first: String,
    },
    /// A reference to a rule that is not there.
    #[error("no rule that was loaded has the id or name {:?}{}", short(.reference), suggest(.suggestion.as_deref()))]
    UnknownRule {
        /// The reference.
        reference: String,
        /// The nearest name.
        suggestion: Option<String>,
    },
    /// Correlations that refer to each other in a circle.
    #[error("correlations refer to each other in a circle: {circle}; break it")]
    Cycle {
        /// Their names in order.
        circle: String,
    },
    /// A step of a processing pipeline refuses the rule, or cannot be applied to it.
    #[error("processing pipeline {place}: {reason}")]
    Pipeline {
        /// Path, line and column of the step.
        place: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A filter whose log source does not cover a rule that it names.
    #[error(
        "the filter names the rule {:?}, but its logsource does not cover that rule's; correct one of them",
        short(.rule)
    )]
    FilterLogSource {
        /// The rule as the filter names it.
        rule: String,
    },
}

impl ErrorKind {
    /// Whether the rule itself is fine and only the configuration lacks a value for it.
    pub fn is_missing_placeholder(&self) -> bool {
        matches!(self, Self::Placeholder { .. })
    }
}

/// An error on its way to the place that knows file and rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) position: Position,
    pub(crate) kind: ErrorKind,
}

impl Problem {
    pub(crate) fn new(position: Position, kind: ErrorKind) -> Self {
        Self { position, kind }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Characters of a rule's own words that a message repeats.
const SHOWN_MAX: usize = 200;

/// A rule's own words for a message: somebody may have written megabytes.
fn short(words: &str) -> Cow<'_, str> {
    match words.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}...", &words[..end])),
        None => Cow::Borrowed(words),
    }
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion
        .map(|word| format!("; did you mean {word:?}?"))
        .unwrap_or_default()
}

/// The candidate nearest to `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.chars().count();
            let distance_max = 1 + other.min(length) / 4;
            // Comparing is quadratic in the length, and files may be full of long keys.
            if other.abs_diff(length) > distance_max || length > 200 {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance <= distance_max).then_some((distance, candidate))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate.to_owned())
}
