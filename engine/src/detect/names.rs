//! The fields that some rule reads, and how an event's field names lead to them.

use std::collections::HashMap;
use std::sync::Arc;

use super::keys::{KeyTable, index_u32, sketch};

/// A field that some rule reads: an index into [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FieldIndex(pub(super) u32);

/// Collects names while rules are compiled.
#[derive(Debug, Default)]
pub(super) struct NamesBuilder {
    names: Vec<Arc<str>>,
    indexes: HashMap<Arc<str>, FieldIndex>,
}

/// All names, found by a hash of their length and ends.
#[derive(Debug)]
pub(super) struct Names {
    names: Box<[Arc<str>]>,
    table: KeyTable<FieldIndex>,
}

impl NamesBuilder {
    /// The index of `name`, new or known.
    pub(super) fn add(&mut self, name: &Arc<str>) -> FieldIndex {
        *self.indexes.entry(Arc::clone(name)).or_insert_with(|| {
            self.names.push(Arc::clone(name));
            FieldIndex(index_u32(self.names.len() - 1))
        })
    }

    /// The name of an index.
    pub(super) fn name(&self, index: FieldIndex) -> &str {
        &self.names[index.0 as usize]
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    /// Ready for use.
    pub(super) fn build(self) -> Names {
        let entries = self.names.iter().enumerate();
        let entries = entries
            .map(|(index, name)| (sketch(name.as_bytes(), 0), FieldIndex(index_u32(index))))
            .collect();
        Names {
            table: KeyTable::new(entries),
            names: self.names.into(),
        }
    }
}

impl Names {
    /// The field of that name, if a rule reads it.
    #[inline]
    pub(super) fn get(&self, name: &str) -> Option<FieldIndex> {
        let candidates = self.table.get(sketch(name.as_bytes(), 0));
        candidates
            .iter()
            .copied()
            .find(|index| &*self.names[index.0 as usize] == name)
    }

    /// Number of names.
    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}
