//! Values of a match's fields as text, and hashes of them.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use citywatch_rules::correlation::{Correlation, CorrelationKind};
use citywatch_rules::millionths::millionths_of_text;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::entries::EntryValue;
use super::evidence::Chain;
use crate::matches::EventSnapshot;

/// Another one in each process, so that values that fall together in a table cannot be chosen beforehand.
static HASH_SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one("values"));

/// A list of fields whose values are taken together: an index into [`FieldLists`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ListIndex(usize);

/// The lists of fields that correlations read. Many read the same, so each is read once per match.
#[derive(Debug, Default)]
pub(super) struct FieldLists {
    lists: Vec<Vec<String>>,
    /// What was read of each, with the number of the match that it was read of.
    answers: Vec<(u64, Option<u128>)>,
    match_number: u64,
    bytes: Vec<u8>,
}

/// Names of fields, to be asked for each field of many events.
#[derive(Clone, Debug, Default)]
pub struct FieldNames {
    /// A bit for each length and beginning that a name among them has: most names of an event have none.
    marks: u64,
    /// By length, which tells most others apart; the last ones are all that are longer.
    by_length: Vec<Vec<Box<str>>>,
}

/// From this length on names are in one list.
const LONG_NAME: usize = 128;

impl FieldNames {
    /// Whether the name is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.marks & mark_of(name) != 0 && self.is_listed(name)
    }

    fn is_listed(&self, name: &str) -> bool {
        let names = self.by_length.get(name.len().min(LONG_NAME));
        names.is_some_and(|names| names.iter().any(|known| **known == *name))
    }
}

/// One bit, by the name's length and first byte.
fn mark_of(name: &str) -> u64 {
    let first = name.as_bytes().first().copied().unwrap_or(0);
    1 << ((usize::from(first) + 11 * name.len()) % 64)
}

impl<'n> FromIterator<&'n str> for FieldNames {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        let mut all = Self::default();
        for name in names {
            if !all.contains(name) {
                let length = name.len().min(LONG_NAME);
                let lengths = all.by_length.len().max(length + 1);
                all.by_length.resize_with(lengths, Vec::new);
                all.by_length[length].push(name.into());
                all.marks |= mark_of(name);
            }
        }
        all
    }
}

/// Where values are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'m> {
    pub(super) event: &'m EventSnapshot,
    /// For a match of a correlation.
    pub(super) chain: Option<&'m Chain>,
}

impl FieldLists {
    fn index_of(&mut self, names: Vec<String>) -> ListIndex {
        let known = self.lists.iter().position(|list| *list == names);
        ListIndex(known.unwrap_or_else(|| {
            self.lists.push(names);
            self.answers.push((0, None));
            self.lists.len() - 1
        }))
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().flatten().map(String::as_str)
    }

    /// The names of a list.
    pub(super) fn names_of(&self, ListIndex(list): ListIndex) -> impl Iterator<Item = &str> {
        self.lists[list].iter().map(String::as_str)
    }

    /// Whether a correlation reads the field.
    pub(super) fn reads(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Another match is read from now on.
    pub(super) fn next_match(&mut self) {
        self.match_number += 1;
    }

    /// A hash of the values; `None` when one is absent or null.
    pub(super) fn hash(&mut self, ListIndex(list): ListIndex, fields: Fields<'_>) -> Option<u128> {
        let (match_number, answer) = self.answers[list];
        // A match of a correlation has its own values.
        if fields.chain.is_none() && match_number == self.match_number {
            return answer;
        }
        let answer = self.hash_anew(list, fields);
        if fields.chain.is_none() {
            self.answers[list] = (self.match_number, answer);
        }
        answer
    }

    fn hash_anew(&mut self, list: usize, fields: Fields<'_>) -> Option<u128> {
        self.bytes.clear();
        for name in &self.lists[list] {
            let text = fields.text(name)?;
            self.bytes
                .extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.bytes.extend_from_slice(text.as_bytes());
        }
        Some(xxh3_128_with_seed(&self.bytes, *HASH_SEED))
    }
}

/// The fields that a correlation reads, for one of its rules. `None` where an alias says nothing
/// about the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldsOfRule {
    group_by: Option<ListIndex>,
    values: Option<ListIndex>,
    /// Whether it computes with the first of the values.
    computes: bool,
}

impl FieldsOfRule {
    /// Resolves the names of `group-by` and of the condition for `rules[position]`.
    pub(super) fn new(correlation: &Correlation, position: usize, lists: &mut FieldLists) -> Self {
        let mut resolve = |names: Vec<&str>| {
            let fields = names
                .into_iter()
                .map(|name| correlation.field_of(name, position).map(str::to_owned));
            let fields: Option<Vec<String>> = fields.collect();
            fields.map(|fields| lists.index_of(fields))
        };
        let values = value_fields(&correlation.kind);
        Self {
            group_by: resolve(correlation.group_by.iter().map(AsRef::as_ref).collect()),
            computes: matches!(
                correlation.kind,
                CorrelationKind::ValueSum { .. }
                    | CorrelationKind::ValueAvg { .. }
                    | CorrelationKind::ValuePercentile { .. }
            ),
            values: (!values.is_empty()).then(|| resolve(values)).flatten(),
        }
    }

    /// The group-by fields; `None` where an alias says nothing about the rule.
    pub(super) fn group_by(&self) -> Option<ListIndex> {
        self.group_by
    }

    /// A hash of the values of the group-by fields; `None` when the match lacks one.
    pub(super) fn group(&self, lists: &mut FieldLists, fields: Fields<'_>) -> Option<u128> {
        lists.hash(self.group_by?, fields)
    }

    /// The values of the group-by fields; none when the match lacks one.
    pub(super) fn group_values(&self, lists: &FieldLists, fields: Fields<'_>) -> Box<[Box<str>]> {
        let names = self.group_by.map_or(&[][..], |list| &lists.lists[list.0]);
        names
            .iter()
            .filter_map(|name| fields.text(name))
            .map(|text| text.into())
            .collect()
    }

    /// What the match contributes: the values of the condition's fields.
    pub(super) fn value(&self, lists: &mut FieldLists, fields: Fields<'_>) -> EntryValue {
        let Some(list) = self.values else {
            return EntryValue::NONE;
        };
        let Some(text) = lists.hash(list, fields) else {
            return EntryValue::NONE;
        };
        let first = self.computes.then(|| lists.lists[list.0].first()).flatten();
        let number = first
            .and_then(|name| fields.text(name))
            .and_then(|text| millionths_of_text(&text));
        EntryValue::new(text, number)
    }
}

impl<'m> Fields<'m> {
    /// A field's value as text; `None` when it is absent or null.
    fn text(self, name: &str) -> Option<Cow<'m, str>> {
        let extra = self.chain.iter().flat_map(|chain| chain.extra.iter());
        if let Some((_, text)) = extra.into_iter().find(|(known, _)| known == name) {
            return Some(Cow::Borrowed(text));
        }
        self.event.fields.get(name)?.text()
    }
}

/// The condition's fields.
pub(super) fn value_fields(kind: &CorrelationKind) -> Vec<&str> {
    match kind {
        CorrelationKind::ValueCount { fields, .. } => fields.iter().map(AsRef::as_ref).collect(),
        CorrelationKind::ValueSum { field, .. }
        | CorrelationKind::ValueAvg { field, .. }
        | CorrelationKind::ValuePercentile { field, .. } => vec![field],
        CorrelationKind::EventCount { .. }
        | CorrelationKind::Temporal { .. }
        | CorrelationKind::TemporalOrdered { .. }
        | CorrelationKind::TemporalExtended { .. } => Vec::new(),
    }
}
