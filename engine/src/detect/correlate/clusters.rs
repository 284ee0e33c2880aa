//! The groups of all correlations, by the values that their matches have in common.
//!
//! Correlations of one subject group by the same field, so a match goes into a group of each with one key.
//! What is known of a key is therefore kept together: one look-up finds it, and in a flood most keys are
//! seen once.

use super::evidence::fetch;
use super::first::First;
use super::group::Group;
use super::tally::IdMap;

/// What is known of one combination of values.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    /// The only match so far for correlations that cannot hold with one: they have no group yet.
    pub(super) first: Option<First>,
    /// Groups with the index of their shelf, in no order.
    groups: Vec<(usize, Box<Group>)>,
}

impl Cluster {
    /// Whether one of these shelves has a group.
    pub(super) fn has_group_of(&self, mut shelves: impl Iterator<Item = usize>) -> bool {
        !self.groups.is_empty() && shelves.any(|shelf| self.place(shelf).is_some())
    }

    fn place(&self, shelf: usize) -> Option<usize> {
        self.groups.iter().position(|(known, _)| *known == shelf)
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.groups.is_empty()
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    by_key: IdMap<Cluster>,
    groups: usize,
}

impl Clusters {
    /// How many groups there are.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// What is known of a key, empty where nothing is. See [`Clusters::tidy`].
    pub(super) fn at(&mut self, key: u128) -> &mut Cluster {
        self.by_key.entry(key).or_default()
    }

    /// Takes out the match that is the only one of its key.
    pub(super) fn take_first(
        &mut self,
        key: u128,
        is_meant: impl FnOnce(&First) -> bool,
    ) -> Option<First> {
        let cluster = self.by_key.get_mut(&key)?;
        let first = cluster.first.take_if(|first| is_meant(first));
        if cluster.is_empty() {
            self.by_key.remove(&key);
        }
        first
    }

    /// Has the processor fetch a shelf's groups of many keys at once. See [`Group::touch`].
    pub(super) fn fetch_groups(&self, shelf: usize, keys: &[u128]) {
        let groups = keys.iter().filter_map(|key| {
            let cluster = self.by_key.get(key)?;
            let place = cluster.place(shelf)?;
            Some(cluster.groups[place].1.touch())
        });
        std::hint::black_box(groups.fold(0, |all, one| all ^ one));
    }

    /// Has the processor fetch the first matches of many keys at once.
    pub(super) fn fetch_firsts(&self, keys: &[u128]) {
        let firsts = || {
            let clusters = keys.iter().filter_map(|key| self.by_key.get(key));
            clusters.filter_map(|cluster| cluster.first.as_ref())
        };
        std::hint::black_box(
            firsts()
                .map(|first| first.time_us as usize)
                .fold(0, usize::wrapping_add),
        );
        fetch(firsts().map(|first| &first.kept));
    }

    /// The keys of which there is only one match for some correlations.
    pub(super) fn keys_with_first(&self) -> Vec<u128> {
        let clusters = self.by_key.iter();
        clusters
            .filter(|(_, cluster)| cluster.first.is_some())
            .map(|(key, _)| *key)
            .collect()
    }

    /// Forgets a key of which nothing is known.
    pub(super) fn tidy(&mut self, key: u128) {
        if self.by_key.get(&key).is_some_and(Cluster::is_empty) {
            self.by_key.remove(&key);
        }
    }

    /// The group of a shelf.
    pub(super) fn group(&mut self, shelf: usize, key: u128) -> Option<&mut Group> {
        let cluster = self.by_key.get_mut(&key)?;
        let place = cluster.place(shelf)?;
        Some(&mut cluster.groups[place].1)
    }

    /// The group of a shelf, made where there is none.
    pub(super) fn group_or_insert(
        &mut self,
        shelf: usize,
        key: u128,
        make: impl FnOnce() -> Group,
    ) -> &mut Group {
        let cluster = self.by_key.entry(key).or_default();
        let place = cluster.place(shelf).unwrap_or_else(|| {
            self.groups += 1;
            cluster.groups.push((shelf, Box::new(make())));
            cluster.groups.len() - 1
        });
        &mut cluster.groups[place].1
    }

    /// Drops a shelf's group.
    pub(super) fn remove_group(&mut self, shelf: usize, key: u128) {
        let Some(cluster) = self.by_key.get_mut(&key) else {
            return;
        };
        if let Some(place) = cluster.place(shelf) {
            cluster.groups.swap_remove(place);
            self.groups -= 1;
        }
        if cluster.is_empty() {
            self.by_key.remove(&key);
        }
    }

    /// The same for other shelves: groups of those that have no place among them are dropped, the others changed.
    pub(super) fn with_places(
        mut self,
        place: impl Fn(usize) -> Option<usize>,
        change: impl Fn(usize, &mut Group),
    ) -> Self {
        self.by_key.retain(|_, cluster| {
            cluster
                .groups
                .retain_mut(|(shelf, group)| match place(*shelf) {
                    Some(other) => {
                        *shelf = other;
                        change(other, group);
                        true
                    }
                    None => false,
                });
            !cluster.is_empty()
        });
        self.groups = self
            .by_key
            .values()
            .map(|cluster| cluster.groups.len())
            .sum();
        self
    }

    /// All groups.
    pub(super) fn all(&self) -> impl Iterator<Item = &Group> {
        let groups = self.by_key.values().flat_map(|cluster| &cluster.groups);
        groups.map(|(_, group)| &**group)
    }
}
