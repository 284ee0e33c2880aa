//! The groups of all correlations, by the values that their matches have in common.
//!
//! Correlations of one subject group by the same field, so a match goes into a group of each with one key.
//! What is known of a key is therefore kept together: one look-up finds it, and in a flood most keys are
//! seen once.

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::evidence::fetch;
use super::first::First;
use super::group::Group;

/// What is known of one combination of values.
#[derive(Debug)]
pub(super) struct Cluster {
    key: u128,
    /// The only match so far for correlations that cannot hold with one: they have no group yet.
    pub(super) first: Option<First>,
    /// Groups with the index of their shelf, in no order.
    groups: SmallVec<[(u32, Box<Group>); 1]>,
}

impl Cluster {
    fn of(key: u128) -> Self {
        Self {
            key,
            first: None,
            groups: SmallVec::new(),
        }
    }

    /// Whether one of these shelves has a group.
    pub(super) fn has_group_of(&self, mut shelves: impl Iterator<Item = usize>) -> bool {
        !self.groups.is_empty() && shelves.any(|shelf| self.place(shelf).is_some())
    }

    fn place(&self, shelf: usize) -> Option<usize> {
        let mut groups = self.groups.iter();
        groups.position(|(known, _)| *known as usize == shelf)
    }

    fn is_empty(&self) -> bool {
        self.first.is_none() && self.groups.is_empty()
    }
}

/// All of them.
///
/// In a flood most matches bring a new key, and nothing of it is in the processor's cache. What is searched and grows is
/// therefore small, and what is known of the keys stands where it is put, the new ones one after the other.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    /// Where each key is.
    places: HashTable<Place>,
    known: Vec<Cluster>,
    /// Places among these of keys that were forgotten.
    free: Vec<u32>,
    groups: usize,
}

/// Where a key is among those that are known.
#[derive(Clone, Copy, Debug)]
struct Place {
    at: u32,
    /// A part of the key, which is a hash itself.
    hash: u32,
}

impl Place {
    /// A table asks for seven bits at the upper end and for as many at the lower end as it has places.
    fn wide(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

/// A part of a key.
fn hash_of(key: u128) -> u32 {
    key as u32
}

impl Clusters {
    /// How many groups there are.
    pub(super) fn groups(&self) -> usize {
        self.groups
    }

    /// What is known of a key, empty where nothing is. See [`Clusters::tidy`].
    pub(super) fn at(&mut self, key: u128) -> &mut Cluster {
        let at = self.find(key).unwrap_or_else(|| self.add(key));
        &mut self.known[at]
    }

    fn find(&self, key: u128) -> Option<usize> {
        let hash = hash_of(key);
        let is_meant =
            |place: &Place| place.hash == hash && self.known[place.at as usize].key == key;
        let place = self.places.find(Place::wide(hash), is_meant)?;
        Some(place.at as usize)
    }

    fn add(&mut self, key: u128) -> usize {
        let at = match self.free.pop() {
            Some(at) => {
                self.known[at as usize].key = key;
                at
            }
            None => {
                self.known.push(Cluster::of(key));
                u32::try_from(self.known.len() - 1).expect("matches are bounded far below 2^32")
            }
        };
        let place = Place {
            at,
            hash: hash_of(key),
        };
        self.places
            .insert_unique(Place::wide(place.hash), place, |known| {
                Place::wide(known.hash)
            });
        at as usize
    }

    /// Forgets a key of which nothing is known any more.
    fn forget_if_empty(&mut self, at: usize) {
        let cluster = &mut self.known[at];
        if !cluster.is_empty() {
            return;
        }
        cluster.groups = SmallVec::new();
        let hash = Place::wide(hash_of(cluster.key));
        let place = self
            .places
            .find_entry(hash, |place| place.at as usize == at);
        if let Ok(place) = place {
            let (place, _) = place.remove();
            self.free.push(place.at);
        }
    }

    /// Takes out the match that is the only one of its key.
    pub(super) fn take_first(
        &mut self,
        key: u128,
        is_meant: impl FnOnce(&First) -> bool,
    ) -> Option<First> {
        let at = self.find(key)?;
        let first = self.known[at].first.take_if(|first| is_meant(first));
        self.forget_if_empty(at);
        first
    }

    /// Has the processor fetch a shelf's groups of many keys at once. See [`Group::touch`].
    pub(super) fn fetch_groups(&self, shelf: usize, keys: &[u128]) {
        let groups = keys.iter().filter_map(|key| {
            let cluster = &self.known[self.find(*key)?];
            let place = cluster.place(shelf)?;
            Some(cluster.groups[place].1.touch())
        });
        std::hint::black_box(groups.fold(0, |all, one| all ^ one));
    }

    /// Has the processor fetch the first matches of many keys at once.
    pub(super) fn fetch_firsts(&self, keys: &[u128]) {
        let firsts = || {
            let clusters = keys.iter().filter_map(|key| self.find(*key));
            clusters.filter_map(|at| self.known[at].first.as_ref())
        };
        std::hint::black_box(
            firsts()
                .map(|first| first.time_us as usize)
                .fold(0, usize::wrapping_add),
        );
        fetch(firsts().map(|first| first.kept.get()));
    }

    /// The keys of which there is only one match for some correlations.
    pub(super) fn keys_with_first(&self) -> Vec<u128> {
        let clusters = self.known.iter();
        clusters
            .filter(|cluster| cluster.first.is_some())
            .map(|cluster| cluster.key)
            .collect()
    }

    /// Forgets a key of which nothing is known.
    pub(super) fn tidy(&mut self, key: u128) {
        if let Some(at) = self.find(key) {
            self.forget_if_empty(at);
        }
    }

    /// The group of a shelf.
    pub(super) fn group(&mut self, shelf: usize, key: u128) -> Option<&mut Group> {
        let at = self.find(key)?;
        let cluster = &mut self.known[at];
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
        let at = self.find(key).unwrap_or_else(|| self.add(key));
        let cluster = &mut self.known[at];
        let place = cluster.place(shelf).unwrap_or_else(|| {
            self.groups += 1;
            cluster.groups.push((place_of(shelf), Box::new(make())));
            cluster.groups.len() - 1
        });
        &mut cluster.groups[place].1
    }

    /// Drops a shelf's group.
    pub(super) fn remove_group(&mut self, shelf: usize, key: u128) {
        let Some(at) = self.find(key) else {
            return;
        };
        let cluster = &mut self.known[at];
        if let Some(place) = cluster.place(shelf) {
            cluster.groups.swap_remove(place);
            self.groups -= 1;
        }
        self.forget_if_empty(at);
    }

    /// The same for other shelves: groups of those that have no place among them are dropped, the others changed.
    pub(super) fn with_places(
        mut self,
        place: impl Fn(usize) -> Option<usize>,
        change: impl Fn(usize, &mut Group),
    ) -> Self {
        for at in 0..self.known.len() {
            let groups = &mut self.known[at].groups;
            groups.retain(|(shelf, group)| match place(*shelf as usize) {
                Some(other) => {
                    *shelf = place_of(other);
                    change(other, group);
                    true
                }
                None => false,
            });
            self.forget_if_empty(at);
        }
        self.groups = self.known.iter().map(|cluster| cluster.groups.len()).sum();
        self
    }

    /// All groups.
    pub(super) fn all(&self) -> impl Iterator<Item = &Group> {
        let groups = self.known.iter().flat_map(|cluster| &cluster.groups);
        groups.map(|(_, group)| &**group)
    }
}

/// A shelf's index as it is kept.
fn place_of(shelf: usize) -> u32 {
    u32::try_from(shelf).expect("there are far fewer than 2^32 correlations")
}
