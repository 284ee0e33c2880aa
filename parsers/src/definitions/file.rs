//! What may stand in a definition's file, as serde reads it; `compile` judges whether it makes sense.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::{DefinitionProblem, DefinitionSource};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefinitionFile {
    pub(super) name: Spanned<String>,
    pub(super) description: String,
    /// What patterns read may hold line ends.
    #[serde(default)]
    pub(super) multiline: bool,
    #[serde(default)]
    pub(super) detect: DetectFile,
    #[serde(default)]
    pub(super) pattern: Vec<PatternFile>,
    #[serde(default)]
    pub(super) message: Vec<MessageFile>,
    pub(super) pairs: Option<PairsFile>,
    #[serde(default)]
    pub(super) time: TimeFile,
    #[serde(default)]
    pub(super) fields: BTreeMap<Spanned<String>, FieldFile>,
    #[serde(default)]
    pub(super) constants: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub(super) values: BTreeMap<Spanned<String>, BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) logsource: Vec<LogSourceFile>,
    /// Grok patterns of this file's own.
    #[serde(default)]
    pub(super) patterns: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) test: Vec<Spanned<TestFile>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DetectFile {
    pub(super) programs: Vec<String>,
    pub(super) prefix: Vec<String>,
    pub(super) contains: Vec<String>,
    pub(super) regex: Option<Spanned<String>>,
    pub(super) grok: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PatternFile {
    pub(super) regex: Option<Spanned<String>>,
    pub(super) grok: Option<Spanned<String>>,
    pub(super) columns: Option<Spanned<Vec<String>>>,
    #[serde(default)]
    pub(super) separator: Separator,
    /// Columns that must be there; all by default.
    pub(super) columns_min: Option<usize>,
    #[serde(default)]
    pub(super) set: BTreeMap<String, toml::Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Separator {
    Tab,
    Space,
    #[default]
    Comma,
    Semicolon,
    Pipe,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageFile {
    pub(super) regex: Option<Spanned<String>>,
    pub(super) grok: Option<Spanned<String>>,
    /// The field that is looked into.
    #[serde(default = "message_name")]
    pub(super) field: Spanned<String>,
    #[serde(default)]
    pub(super) set: BTreeMap<String, toml::Value>,
}

fn message_name() -> Spanned<String> {
    Spanned::new(0..0, "message".to_owned())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PairsFile {
    /// The field that holds the pairs.
    pub(super) field: Spanned<String>,
    #[serde(default)]
    pub(super) separator: PairSeparator,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum PairSeparator {
    #[default]
    Space,
    Comma,
    Semicolon,
    Pipe,
    Tab,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TimeFile {
    /// Fields that together, joined by a space, are the time; `time` by default.
    pub(super) from: Vec<Spanned<String>>,
    pub(super) format: Vec<Spanned<String>>,
    pub(super) zone: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldFile {
    /// Names that the event gives it; its own by default.
    #[serde(default)]
    pub(super) names: Vec<String>,
    #[serde(default, rename = "type")]
    pub(super) kind: Kind,
}

/// What a field's text is read as.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A number where it is one, else text.
    #[default]
    Auto,
    String,
    Int,
    Float,
    Bool,
    Ip,
    /// The host that the event speaks of.
    Host,
    /// A JSON object, whose members become fields.
    Json,
    /// A web request: method, target, version.
    Request,
    /// The target of a web request.
    Target,
    /// The status of a web request's answer.
    Status,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LogSourceFile {
    pub(super) product: String,
    pub(super) category: String,
    pub(super) service: String,
}

/// A file of tests only.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestsFile {
    pub(super) test: Vec<Spanned<TestFile>>,
}

/// A record and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    pub(super) record: String,
    /// The format that the event has: the definition's own name unless the record is wrapped.
    pub(super) format: Option<String>,
    pub(super) event_time: Option<String>,
    pub(super) host: Option<String>,
    /// Fields that the event must have; one whose value is `false` as text `absent` must not be there.
    #[serde(default)]
    pub(super) fields: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub(super) pivots: BTreeMap<String, toml::Value>,
    /// Kinds of problems that must be noted; none by default.
    #[serde(default)]
    pub(super) problems: Vec<String>,
}

/// Reads a file of this form.
pub(super) fn parse<T: DeserializeOwned>(
    source: &DefinitionSource,
) -> Result<T, DefinitionProblem> {
    // An editor's byte order mark is no mistake of the author's.
    let text = source.text.strip_prefix('\u{FEFF}').unwrap_or(&source.text);
    toml::from_str(text)
        .map_err(|error| problem(source, error.span(), said_for_people(error.message())))
}

/// A problem at that place of the file.
pub(super) fn problem(
    source: &DefinitionSource,
    span: Option<Range<usize>>,
    message: impl Into<String>,
) -> DefinitionProblem {
    let (line, column) = line_and_column(source, span.map_or(0, |span| span.start));
    DefinitionProblem {
        path: source.path.clone(),
        line,
        column,
        message: message.into(),
    }
}

pub(super) fn line_and_column(source: &DefinitionSource, at: usize) -> (usize, usize) {
    let before = source.text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

fn said_for_people(message: &str) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let kind = match message.split_once(" `") {
        Some(("unknown field", _)) => "key",
        Some(("unknown variant", _)) => "value",
        _ => return message.trim_end().replace('\n', "; "),
    };
    let found = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.collect();
    match nearest(found, known.iter().copied()) {
        Some(nearest) => format!("unknown {kind} `{found}`; did you mean `{nearest}`?"),
        None => format!("unknown {kind} `{found}`; known here: {}", known.join(", ")),
    }
}

/// The word that was probably meant.
pub(super) fn nearest<'w>(found: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    known
        .map(|word| (strsim::jaro_winkler(word, found), word))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.7)
        .map(|(_, word)| word)
}
