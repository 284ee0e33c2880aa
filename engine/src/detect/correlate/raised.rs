//! Which cells of a group have an alert, and what was last told of it.

use std::collections::BTreeMap;

/// What was last told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// A hash of its events.
    pub(super) events: u128,
    /// It is not told again: the events before its cell are gone.
    pub(super) is_settled: bool,
}

/// Cells with an alert, by their number. What each match asks is kept beside them.
#[derive(Debug)]
pub(super) struct Raised {
    cells: BTreeMap<i64, Told>,
    first: i64,
    latest: i64,
    first_unsettled: i64,
}

impl Default for Raised {
    fn default() -> Self {
        Self {
            cells: BTreeMap::new(),
            first: i64::MAX,
            latest: i64::MIN,
            first_unsettled: i64::MAX,
        }
    }
}

impl Raised {
    /// Whether a cell has an alert.
    pub(super) fn contains(&self, cell: i64) -> bool {
        cell == self.latest || cell < self.latest && self.cells.contains_key(&cell)
    }

    /// Whether this is the latest cell with an alert.
    pub(super) fn is_latest(&self, cell: i64) -> bool {
        cell == self.latest
    }

    /// The first cell with an alert that is not settled.
    pub(super) fn first_unsettled(&self) -> Option<i64> {
        (self.first_unsettled != i64::MAX).then_some(self.first_unsettled)
    }

    /// What was last told of a cell's alert.
    pub(super) fn told(&self, cell: i64) -> Option<Told> {
        self.cells.get(&cell).copied()
    }

    /// Notes what is told of a cell's alert.
    pub(super) fn tell(&mut self, cell: i64, told: Told) {
        self.cells.insert(cell, told);
        self.first = self.first.min(cell);
        self.latest = self.latest.max(cell);
        if !told.is_settled {
            self.first_unsettled = self.first_unsettled.min(cell);
        } else if cell == self.first_unsettled {
            let mut later = self.cells.range(cell..);
            let unsettled = later.find(|(_, told)| !told.is_settled);
            self.first_unsettled = unsettled.map_or(i64::MAX, |(cell, _)| *cell);
        }
    }

    /// Forgets the settled alerts of cells before this one.
    pub(super) fn forget_before(&mut self, cell: i64) {
        if self.first >= cell {
            return;
        }
        while let Some(first) = self.cells.first_entry()
            && *first.key() < cell
            && first.get().is_settled
        {
            first.remove();
        }
        match (self.cells.first_key_value(), self.cells.last_key_value()) {
            (Some((first, _)), Some((latest, _))) => (self.first, self.latest) = (*first, *latest),
            _ => *self = Self::default(),
        }
    }
}
