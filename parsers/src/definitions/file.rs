//! What may stand in a definition's file, as serde reads it; `compile` judges whether it makes sense.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
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
    pub(super) fields: BTreeMap<Spanned<String>, FieldOrNames>,
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
    #[serde(deserialize_with = "texts")]
    pub(super) programs: Vec<String>,
    #[serde(deserialize_with = "texts")]
    pub(super) prefix: Vec<String>,
    #[serde(deserialize_with = "texts")]
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
    #[serde(deserialize_with = "one_or_many")]
    pub(super) from: Vec<Spanned<String>>,
    #[serde(deserialize_with = "one_or_many")]
    pub(super) format: Vec<Spanned<String>>,
    pub(super) zone: Option<Spanned<String>>,
}

/// `src = "SourceIp"` and `src = ["src_ip", "SourceIp"]` say the names only.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FieldFile {
    /// Names that the event gives it; its own by default.
    #[serde(deserialize_with = "texts")]
    pub(super) names: Vec<String>,
    #[serde(rename = "type")]
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

/// What stands under a field's name in `[fields]`.
#[derive(Debug)]
pub(super) struct FieldOrNames(pub(super) FieldFile);

impl<'de> Deserialize<'de> for FieldOrNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = FieldFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a name (\"SourceIp\"), a list of names, or { names = [...], type = \"...\" }",
                )
            }

            fn visit_str<E>(self, name: &str) -> Result<FieldFile, E> {
                Ok(FieldFile {
                    names: vec![name.to_owned()],
                    ..FieldFile::default()
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<FieldFile, A::Error> {
                let mut field = FieldFile::default();
                while let Some(name) = items.next_element()? {
                    field.names.push(name);
                }
                Ok(field)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldFile, A::Error> {
                FieldFile::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Reader).map(Self)
    }
}

/// One text or a list of them.
struct OneOrMany(Vec<Spanned<String>>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text in quotes, or a list of them in [ ]")
            }

            fn visit_str<E>(self, text: &str) -> Result<OneOrMany, E> {
                Ok(OneOrMany(vec![Spanned::new(0..0, text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = items.next_element()? {
                    texts.push(text);
                }
                Ok(OneOrMany(texts))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Spanned<String>>, D::Error> {
    let whole = Spanned::<OneOrMany>::deserialize(deserializer)?;
    let span = whole.span();
    let texts = whole.into_inner().0.into_iter();
    Ok(texts
        .map(|text| {
            let own = text.span();
            let span = if own.is_empty() { span.clone() } else { own };
            Spanned::new(span, text.into_inner())
        })
        .collect())
}

fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = OneOrMany::deserialize(deserializer)?.0;
    Ok(texts.into_iter().map(Spanned::into_inner).collect())
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
    if let Some(key) = message
        .strip_prefix("missing field `")
        .and_then(|rest| rest.strip_suffix('`'))
    {
        return match key {
            "name" | "description" => {
                format!("`{key}` is missing: add `{key} = \"...\"` at the top of the file")
            }
            _ => format!("`{key}` is missing here"),
        };
    }
    if message.starts_with("missing escaped value") {
        return "within double quotes a backslash is special; write the expression in single quotes: '...'".to_owned();
    }
    if let Some((found, expected)) = message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.rsplit_once(", expected "))
    {
        let found = found
            .replace("sequence", "a list")
            .replace("map", "a table");
        return match expected.trim_end() {
            "a sequence" if found == "a table" => {
                "this may come several times: write its name in double brackets, [[pattern]], [[message]], [[logsource]] or [[test]]".to_owned()
            }
            "a sequence" => format!("a list must stand here, [...], not {found}"),
            "a string" => format!("a text in quotes must stand here, not {found}"),
            "a map" => format!("a table must stand here, {{ name = \"...\" }}, not {found}"),
            "a boolean" => format!("true or false must stand here, not {found}"),
            other if other.starts_with("struct ") => {
                format!("a table must stand here, not {found}")
            }
            other => format!("there must stand {other}, not {found}"),
        };
    }
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
