//! Values of a match's fields as text, and hashes of them.

use std::borrow::Cow;

use citywatch_rules::correlation::Correlation;
use citywatch_rules::millionths::millionths_of_text;
use serde_json::Value;
use xxhash_rust::xxh3::Xxh3;

use super::group::{EntryValue, Shown};

/// The fields that a correlation reads, for one of its rules. `None` for an alias that says nothing
/// about the rule.
#[derive(Debug)]
pub(super) struct FieldsOfRule {
    group_by: Vec<Option<String>>,
    values: Vec<Option<String>>,
}

impl FieldsOfRule {
    /// Resolves the names of `group-by` and of the condition for `rules[position]`.
    pub(super) fn new(correlation: &Correlation, values: &[&str], position: usize) -> Self {
        let resolve = |name: &str| correlation.field_of(name, position).map(str::to_owned);
        Self {
            group_by: correlation
                .group_by
                .iter()
                .map(|name| resolve(name))
                .collect(),
            values: values.iter().map(|name| resolve(name)).collect(),
        }
    }

    /// The values of the group-by fields; `None` when the match lacks one.
    pub(super) fn group<'m>(&self, matched: &'m Shown) -> Option<Vec<Cow<'m, str>>> {
        self.group_by
            .iter()
            .map(|name| text_of(matched, name.as_deref()?))
            .collect()
    }

    /// What the match contributes: the values of the condition's fields.
    pub(super) fn value(&self, matched: &Shown) -> EntryValue {
        let texts: Option<Vec<Cow<'_, str>>> = self
            .values
            .iter()
            .map(|name| text_of(matched, name.as_deref()?))
            .collect();
        match texts.as_deref() {
            None | Some([]) => EntryValue::default(),
            Some(texts @ [first, ..]) => EntryValue {
                text: Some(hash_texts(texts.iter().map(AsRef::as_ref))),
                millionths: millionths_of_text(first),
            },
        }
    }
}

/// A field's value as text; `None` when it is absent or null.
fn text_of<'m>(matched: &'m Shown, name: &str) -> Option<Cow<'m, str>> {
    if let Some((_, text)) = matched
        .extra
        .iter()
        .flat_map(|extra| extra.iter())
        .find(|(known, _)| known == name)
    {
        return Some(Cow::Borrowed(text));
    }
    let (_, value) = matched
        .event
        .fields
        .iter()
        .find(|(known, _)| known == name)?;
    json_text(value)
}

/// The text of a JSON value, the same that the event's own value has.
fn json_text(value: &Value) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::Null => return None,
        Value::String(text) => Cow::Borrowed(text),
        Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), ..) => Cow::Owned(number.to_string()),
            (_, Some(number), _) => Cow::Owned(number.to_string()),
            (.., Some(number)) => Cow::Owned(number.to_string()),
            _ => Cow::Owned(number.to_string()),
        },
        Value::Array(values) => {
            let texts: Vec<Cow<'_, str>> = values
                .iter()
                .map(|value| json_text(value).unwrap_or_default())
                .collect();
            Cow::Owned(texts.join(","))
        }
        Value::Object(_) => Cow::Owned(value.to_string()),
    })
}

/// A hash of texts with their lengths.
pub(super) fn hash_texts<'t>(texts: impl Iterator<Item = &'t str>) -> u128 {
    let mut hasher = Xxh3::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.digest128()
}
