//! The first match of a key, for correlations that cannot hold with one.
//!
//! Most addresses that passwords are guessed from are seen once, and then no more. For such a match no group is
//! made: it is kept by itself until a second one comes, and then taken into the groups of all its correlations
//! as if it came just before. Nothing can hold in between, so nothing can be missed.

use super::evidence::Kept;
use super::fields::ListIndex;
use super::node::Node;
use super::shelf::Shelf;
use super::watermark::StreamIndex;

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
}

/// The only match of its key.
#[derive(Debug)]
pub(super) struct First {
    pub(super) kept: Kept,
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
            });
            families.len() - 1
        });
        let family = &mut families[place];
        match shelves[shelf].nodes(nodes).all(Node::is_patient) {
            true => family.patient.push((shelf, position)),
            false => family.eager.push((shelf, position)),
        }
    }
    families
}
