//! Transformations of placeholders, `%name%` in values with `expand`.

use std::collections::BTreeMap;

use crate::error::ErrorKind;
use crate::load::draft::{Placeholders, RegexValue, Value};
use crate::load::values::{Piece, Template, replace_in_text};

/// Which placeholders are meant.
#[derive(Debug)]
pub(super) enum Selection {
    All,
    Include(Vec<String>),
    Exclude(Vec<String>),
}

/// What they become.
#[derive(Clone, Copy)]
pub(super) enum Becomes<'v> {
    /// `*`.
    Wildcard,
    /// The values of the variable of that name.
    Values(&'v BTreeMap<String, Vec<String>>),
}

impl Selection {
    fn selects(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Include(names) => names.iter().any(|other| other == name),
            Self::Exclude(names) => !names.iter().any(|other| other == name),
        }
    }

    /// The values that a value becomes; none where it stays.
    pub(super) fn apply(
        &self,
        value: &Value,
        becomes: Becomes<'_>,
    ) -> Result<Option<Vec<Value>>, ErrorKind> {
        match value {
            Value::Text(template) => {
                let names = template.pieces().iter().filter_map(|piece| match piece {
                    Piece::Placeholder(name) => Some(name),
                    _ => None,
                });
                if !names.into_iter().any(|name| self.selects(name)) {
                    return Ok(None);
                }
                let replaced = template
                    .clone()
                    .replaced(|name| self.templates(name, becomes))?;
                Ok(Some(replaced.into_iter().map(Value::Text).collect()))
            }
            Value::Regex(regex) if regex.placeholders == Placeholders::Written => {
                let texts = |name: &str| self.texts(name, becomes, ".*");
                let sources = replace_in_text(&regex.source, texts)?;
                Ok((sources != [regex.source.as_str()]).then(|| {
                    let with_source = |source| {
                        Value::Regex(RegexValue {
                            source,
                            ..regex.clone()
                        })
                    };
                    sources.into_iter().map(with_source).collect()
                }))
            }
            Value::Cidr { text, placeholders } if *placeholders == Placeholders::Written => {
                let sources = replace_in_text(text, |name| match becomes {
                    Becomes::Wildcard => Ok(None),
                    Becomes::Values(_) => self.texts(name, becomes, ""),
                })?;
                let placeholders = *placeholders;
                Ok((sources != [text.as_str()]).then(|| {
                    let cidr = |text| Value::Cidr { text, placeholders };
                    sources.into_iter().map(cidr).collect()
                }))
            }
            _ => Ok(None),
        }
    }

    fn templates(&self, name: &str, becomes: Becomes<'_>) -> Result<Vec<Template>, ErrorKind> {
        if !self.selects(name) {
            return Ok(vec![Template::of(vec![Piece::Placeholder(name.into())])]);
        }
        match becomes {
            Becomes::Wildcard => Ok(vec![Template::of(vec![Piece::Any])]),
            Becomes::Values(vars) => {
                let values = values_of(name, vars)?.iter();
                Ok(values.map(|value| Template::parse(value)).collect())
            }
        }
    }

    /// Texts for a placeholder in an expression or a network; none where it stays.
    fn texts(
        &self,
        name: &str,
        becomes: Becomes<'_>,
        wildcard: &str,
    ) -> Result<Option<Vec<String>>, ErrorKind> {
        if !self.selects(name) {
            return Ok(None);
        }
        match becomes {
            Becomes::Wildcard => Ok(Some(vec![wildcard.to_owned()])),
            Becomes::Values(vars) => values_of(name, vars).map(|values| Some(values.to_vec())),
        }
    }
}

fn values_of<'v>(
    name: &str,
    vars: &'v BTreeMap<String, Vec<String>>,
) -> Result<&'v [String], ErrorKind> {
    match vars.get(name) {
        Some(values) if !values.is_empty() => Ok(values),
        _ => Err(ErrorKind::Value {
            value: format!("%{name}%"),
            reason: format!(
                "the pipelines have no variable {name}; add it under vars, or leave the placeholder out with include or exclude"
            ),
        }),
    }
}
