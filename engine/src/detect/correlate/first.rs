//! The first match of a key, for correlations that cannot hold with one.
//!
//! Most addresses that passwords are guessed from are seen once, and then no more. For such a match no group is
//! made: it is kept by itself until a second one comes, and then taken into the groups of all its correlations
//! as if it came just before. Nothing can hold in between, so nothing can be missed. For a chained correlation the
//! second one may be a moment of another correlation, even of a stream that is hours behind: before the match is let go
//! it is asked whether one may still come.

use std::sync::Arc;

use super::evidence::Kept;
use super::fields::ListIndex;
use super::node::Node;
use super::shelf::Shelf;
use super::watermark::{FIRST_MATCH, FIRST_MATCH_OF_CHAIN, StreamIndex};

/// Shelves whose correlations read the same fields of a rule's matches as their groups: each with the rule's place in
/// their lists.
#[derive(Debug)]
pub(super) struct Family {
    /// The fields.
    pub(super) group_by: ListIndex,
    /// Those that need more than one match: they wait for the second one.
    pub(super) patient: Vec<(usize, u16)>,
    /// The others.
    pub(super) eager: Vec<(usize, u16)>,
    /// What a first match waits as.
    pub(super) waits_as: usize,
}

/// When a match is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaves {
    /// The watermark at which the first correlation needs it no longer.
    pub(super) first_us: i64,
    /// That at which none does.
    pub(super) last_us: i64,
}

impl Leaves {
    /// That of no correlation.
    pub(super) const NEVER: Self = Self {
        first_us: i64::MAX,
        last_us: i64::MIN,
    };

    /// Of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            first_us: self.first_us.min(other.first_us),
            last_us: self.last_us.max(other.last_us),
        }
    }
}

impl Family {
    /// When a match of this time is old for the patient ones.
    pub(super) fn leaves(&self, shelves: &[Shelf], nodes: &[Node], time_us: i64) -> Leaves {
        let patient = self.patient.iter().map(|&(shelf, _)| &shelves[shelf]);
        let leaves = patient.map(|shelf| shelf.leaves(nodes, time_us));
        leaves.fold(Leaves::NEVER, Leaves::and)
    }
}

/// How the only match of its key is held.
#[derive(Debug)]
pub(super) enum FirstKept {
    /// Here.
    Own(Kept),
    /// Together with others: its rule's matches have several keys.
    Shared(Arc<Kept>),
}

impl FirstKept {
    /// The event and what is known of it.
    pub(super) fn get(&self) -> &Kept {
        match self {
            Self::Own(kept) => kept,
            Self::Shared(kept) => kept,
        }
    }

    /// To be held by groups.
    pub(super) fn shared(self) -> Arc<Kept> {
        match self {
            Self::Own(kept) => Arc::new(kept),
            Self::Shared(kept) => kept,
        }
    }
}

/// The only match of its key.
#[derive(Debug)]
pub(super) struct First {
    pub(super) kept: FirstKept,
    pub(super) time_us: i64,
    /// The watermark of its stream at which it is old for all of them.
    pub(super) due_us: i64,
    pub(super) stream: StreamIndex,
    /// Its rule.
    pub(super) rule: u32,
    /// The place among the families of its rule.
    pub(super) family: u32,
}

/// The shelves that refer to a rule, by the fields that they group its matches by. One that an alias says nothing
/// to about the rule has no groups for them.
pub(super) fn families_of(
    nodes: &[Node],
    shelves: &[Shelf],
    referred: &[(usize, u16)],
) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for &(shelf, position) in referred {
        let Some(group_by) = shelves[shelf].fields[usize::from(position)].group_by() else {
            continue;
        };
        let known = families
            .iter()
            .position(|family| family.group_by == group_by);
        let place = known.unwrap_or_else(|| {
            families.push(Family {
                group_by,
                patient: Vec::new(),
                eager: Vec::new(),
                waits_as: FIRST_MATCH,
            });
            families.len() - 1
        });
        let family = &mut families[place];
        match shelves[shelf].nodes(nodes).all(Node::is_patient) {
            true => family.patient.push((shelf, position)),
            false => family.eager.push((shelf, position)),
        }
        if shelves[shelf].is_chained() {
            family.waits_as = FIRST_MATCH_OF_CHAIN;
        }
    }
    families
}
