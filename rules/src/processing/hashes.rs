//! Items that become several: `hashes_fields` and `extract_fields`.

use std::sync::Arc;

use super::regex::PythonRegex;
use crate::error::ErrorKind;
use crate::load::draft::{Branch, DraftItem, Link, Value};
use crate::load::values::Template;
use crate::rule::{Case, Number};

/// `hashes_fields`: `SHA1=...,MD5=...` in one field become fields of their own.
#[derive(Debug)]
pub(super) struct HashesFields {
    pub(super) algorithms: Vec<String>,
    pub(super) field_prefix: String,
    /// Whether the algorithm is left out of the new names.
    pub(super) drop_algorithm: bool,
    pub(super) fields: Vec<String>,
}

/// `extract_fields`: what an expression's named groups find becomes fields of their own.
#[derive(Debug)]
pub(super) struct ExtractFields {
    pub(super) regex: PythonRegex,
    pub(super) field_prefix: Option<String>,
    pub(super) preserve_unmatched: bool,
}

/// The texts of an item that has nothing else.
fn texts(item: &DraftItem) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::Text(template) => Some(template.plain()),
        _ => None,
    };
    item.values.iter().map(|(value, _)| text(value)).collect()
}

fn new_item(field: Option<Arc<str>>, values: Vec<Value>, old: &DraftItem) -> Branch {
    let position = old.position;
    Branch::Item(DraftItem {
        field,
        values: values.into_iter().map(|value| (value, position)).collect(),
        link: Link::Any,
        negated: false,
        case: Case::Insensitive,
        position,
        processed_by: Vec::new(),
    })
}

impl HashesFields {
    /// What the item becomes; none where it stays.
    pub(super) fn apply(&self, item: &DraftItem) -> Result<Option<Branch>, ErrorKind> {
        let is_meant = |field: &str| self.fields.iter().any(|other| other == field);
        if !item.field.as_deref().is_some_and(is_meant) {
            return Ok(None);
        }
        let Some(texts) = texts(item) else {
            return Ok(None);
        };
        let mut fields: Vec<(String, Vec<Value>)> = Vec::new();
        for text in &texts {
            let Some((algorithm, digest)) = self.digest(text) else {
                continue;
            };
            let algorithm = if self.drop_algorithm { "" } else { &algorithm };
            let name = format!("{}{algorithm}", self.field_prefix);
            let value = Value::Text(Template::parse(digest));
            match fields.iter_mut().find(|(other, _)| *other == name) {
                Some((_, values)) => values.push(value),
                None => fields.push((name, vec![value])),
            }
        }
        if fields.is_empty() {
            let known = self.algorithms.join(", ");
            return Err(ErrorKind::Value {
                value: texts.first().cloned().unwrap_or_default(),
                reason: format!(
                    "hashes_fields finds no digest of {known} in {}",
                    item.field.as_deref().unwrap_or_default()
                ),
            });
        }
        let branches =
            fields
                .into_iter()
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, values)| {
                    let field = (name != "keyword").then(|| Arc::from(name));
                    new_item(field, values, item)
                });
        Ok(Some(negated(
            item,
            Branch::Group(Link::Any, branches.collect()),
        )))
    }

    /// Algorithm and digest of `SHA1=abc`, `SHA1|abc` or a digest alone, which its length tells.
    fn digest<'t>(&self, text: &'t str) -> Option<(String, &'t str)> {
        const LENGTHS: &[(usize, &str)] =
            &[(32, "MD5"), (40, "SHA1"), (64, "SHA256"), (128, "SHA512")];
        let separator = if text.contains('|') { '|' } else { '=' };
        let parts: Vec<&str> = text.split(separator).collect();
        let wildcards = ['*', '?'];
        let (algorithm, digest) = match parts.as_slice() {
            [algorithm, digest] => {
                let algorithm = algorithm.trim_start_matches('*').to_uppercase();
                (algorithm, digest.trim_matches(wildcards))
            }
            _ => {
                let digest = parts[0].trim_matches(wildcards);
                let length = digest.chars().count();
                let (_, name) = LENGTHS.iter().find(|(known, _)| *known == length)?;
                ((*name).to_owned(), digest)
            }
        };
        self.algorithms
            .contains(&algorithm)
            .then_some((algorithm, digest))
    }
}

/// `neq` of an item that became a group is kept: none of the new items may hold.
fn negated(item: &DraftItem, branch: Branch) -> Branch {
    match branch {
        Branch::Group(_, branches) if item.negated => {
            let negate = |branch| match branch {
                Branch::Item(mut new) => {
                    new.negated = true;
                    Branch::Item(new)
                }
                group => group,
            };
            Branch::Group(Link::All, branches.into_iter().map(negate).collect())
        }
        branch => branch,
    }
}

impl ExtractFields {
    /// What the item becomes; none where it stays.
    ///
    /// # Errors
    /// For an item that must not hold: of several fields it would say something else.
    pub(super) fn apply(&self, item: &DraftItem) -> Result<Option<Branch>, ErrorKind> {
        let Some(texts) = texts(item) else {
            return Ok(None);
        };
        let mut found: Vec<Branch> = Vec::new();
        for (text, (value, _)) in texts.iter().zip(&item.values) {
            let Some(captures) = self.regex.captures_at_start(text) else {
                if self.preserve_unmatched {
                    found.push(new_item(item.field.clone(), vec![value.clone()], item));
                }
                continue;
            };
            let fields: Vec<Branch> = self
                .regex
                .group_names()
                .into_iter()
                .filter_map(|group| {
                    let text = captures.name(group)?.as_str();
                    let name = match &self.field_prefix {
                        Some(prefix) => format!("{prefix}.{group}"),
                        None => group.to_owned(),
                    };
                    let field = Some(Arc::from(name));
                    (!text.is_empty()).then(|| new_item(field, vec![typed(text)], item))
                })
                .collect();
            if !fields.is_empty() {
                found.push(Branch::Group(Link::All, fields));
            }
        }
        if item.negated && !found.is_empty() {
            return Err(ErrorKind::Modifier {
                modifier: "neq",
                reason: "cannot stand where extract_fields makes several fields of one; write the item without neq and negate its search".to_owned(),
            });
        }
        Ok(match found.len() {
            0 => None,
            1 => found.pop(),
            _ => Some(Branch::Group(item.link, found)),
        })
    }
}

/// A number where it is written as one without leading zeros, null where it says so, text otherwise.
fn typed(text: &str) -> Value {
    if ["null", "none"].contains(&text.to_lowercase().as_str()) {
        return Value::Null;
    }
    let is_padded = text != "0" && text.starts_with('0');
    match Number::parse(text).filter(|_| !is_padded) {
        Some(number) => Value::Number {
            number,
            text: text.to_owned(),
        },
        None => Value::Text(Template::parse(text)),
    }
}
