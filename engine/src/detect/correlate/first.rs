//! The first match of a key, for correlations that cannot hold with one.
//!
//! Most addresses that passwords are guessed from are seen once, and then no more. For such a match no group is
//! made: it is kept by itself until a second one comes, and then taken into the groups of all its correlations
//! as if it came just before. Nothing can hold in between, so nothing can be missed.

use std::sync::Arc;

use super::evidence::Kept;
use super::fields::ListIndex;
use super::watermark::StreamIndex;

/// Correlations that read the same fields of a rule's matches as their groups: each with the rule's place in
/// its list.
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
    pub(super) kept: Arc<Kept>,
    pub(super) time_us: i64,
    /// The watermark of its stream at which it is old for all of them.
    pub(super) due_us: i64,
    pub(super) stream: StreamIndex,
    /// Its rule.
    pub(super) rule: u32,
    /// The place among the families of its rule.
    pub(super) family: u32,
}
