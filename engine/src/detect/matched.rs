//! What made a rule hold, as places in the event: texts are made only for those who want them.

use std::borrow::Cow;

use citywatch_parsers::{Event, Value};
use smallvec::SmallVec;

use super::keys::index_u32;
use crate::matches::MatchedField;

/// Bytes that a matched field's value is cut at.
const MATCHED_BYTES_MAX: usize = 1_024;

/// Stands for the raw text, which has no place among the fields.
const RAW: u32 = u32::MAX;

/// The fields that made a rule hold, in the order of its tests, each once. The raw text, without a
/// name, where a keyword is in no field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchedPlaces(SmallVec<[u32; 6]>);

impl MatchedPlaces {
    pub(super) fn add(&mut self, position: usize) {
        self.add_place(index_u32(position));
    }

    /// Whether a field was told already.
    pub(super) fn has(&self, position: usize) -> bool {
        self.0.contains(&index_u32(position))
    }

    pub(super) fn add_raw(&mut self) {
        self.add_place(RAW);
    }

    fn add_place(&mut self, place: u32) {
        if !self.0.contains(&place) {
            self.0.push(place);
        }
    }

    /// Names and values, long ones cut. `event` is the one that was matched.
    pub fn pairs<'e>(&self, event: &'e Event<'_>) -> impl Iterator<Item = (&'e str, Cow<'e, str>)> {
        self.0.iter().map(|&place| {
            if place == RAW {
                return ("", raw_text(event.record.raw));
            }
            let field = &event.fields[place as usize];
            let value = match field.value {
                Value::Str(text) => Cow::Borrowed(cut(text)),
                value => Cow::Owned(cut(&value.to_string()).to_owned()),
            };
            (field.name, value)
        })
    }

    /// The same, owned. `event` is the one that was matched.
    pub fn fields(&self, event: &Event<'_>) -> Vec<MatchedField> {
        let mut fields: Vec<MatchedField> = Vec::with_capacity(self.0.len());
        for (name, value) in self.pairs(event) {
            // The raw text may be what a field without a name holds.
            let known = name.is_empty()
                && fields
                    .iter()
                    .any(|field| field.name.is_empty() && field.value == value);
            if !known {
                fields.push(MatchedField {
                    name: name.into(),
                    value: value.into(),
                });
            }
        }
        fields
    }
}

/// The beginning of a raw record as text: bytes that are not UTF-8 replaced.
fn raw_text(raw: &[u8]) -> Cow<'_, str> {
    // A character that the bound cuts is left out by the second cut.
    let head = &raw[..raw.len().min(MATCHED_BYTES_MAX + 4)];
    match std::str::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(cut(text)),
        Err(_) => Cow::Owned(cut(&String::from_utf8_lossy(head)).to_owned()),
    }
}

/// The first [`MATCHED_BYTES_MAX`] bytes, or a few less so that no character is cut.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MATCHED_BYTES_MAX)]
}
