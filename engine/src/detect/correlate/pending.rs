//! Groups that are to be looked at.

use std::collections::BTreeSet;

use super::watermark::Waiting;

/// Groups to be looked at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// By shelf.
    groups: Vec<Vec<u128>>,
    /// Shelves that have some: those whose correlations others refer to come first.
    shelves: BTreeSet<usize>,
}

impl Pending {
    /// None so far, of so many shelves.
    pub(super) fn new(shelves: usize) -> Self {
        Self {
            groups: vec![Vec::new(); shelves],
            shelves: BTreeSet::new(),
        }
    }

    /// Adds one.
    pub(super) fn add(&mut self, (shelf, key): Waiting) {
        let groups = &mut self.groups[shelf];
        if groups.is_empty() {
            self.shelves.insert(shelf);
        }
        groups.push(key);
    }

    /// Takes out the keys of the first shelf that has some.
    pub(super) fn pop_first(&mut self) -> Option<(usize, Vec<u128>)> {
        let shelf = self.shelves.pop_first()?;
        Some((shelf, std::mem::take(&mut self.groups[shelf])))
    }

    /// Gives back a list of keys that were looked at, so that its memory is used again.
    pub(super) fn give_back(&mut self, shelf: usize, mut keys: Vec<u128>) {
        if self.groups[shelf].is_empty() {
            keys.clear();
            self.groups[shelf] = keys;
        }
    }

    /// All of them.
    pub(super) fn into_groups(self) -> impl Iterator<Item = Waiting> {
        let shelves = self.groups.into_iter().enumerate();
        shelves.flat_map(|(shelf, keys)| keys.into_iter().map(move |key| (shelf, key)))
    }
}
