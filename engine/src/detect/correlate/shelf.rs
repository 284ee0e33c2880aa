//! Correlations that gather the same matches, and therefore share the groups that hold them.
//!
//! Correlations of one subject read the same rule and group by the same fields: one says how often is too often,
//! another how many hosts are too many, a third is to be followed by something worse. Each match is put into one
//! list for all of them; what each makes of it is its own [`View`] of the group.

use std::collections::{BTreeMap, BTreeSet};

use citywatch_rules::correlation::RuleTarget;
use smallvec::SmallVec;

use super::alert::BIN_EVENTS_MAX;
use super::entries::Bins;
use super::fields::{FieldsOfRule, ListIndex};
use super::first::Leaves;
use super::group::{Gathered, View};
use super::node::Node;
use super::watermark::StreamIndex;

/// Correlations that share their groups.
#[derive(Debug)]
pub(super) struct Shelf {
    /// Which they are. A group has its views in the same order.
    pub(super) nodes: Vec<usize>,
    /// What they read, by place in their list of rules.
    pub(super) fields: Vec<FieldsOfRule>,
    /// The bins of which the first events are shown.
    pub(super) bins: Bins,
    /// Whether another correlation refers to one of them, and needs the fields of all of its matches.
    pub(super) is_referred_to: bool,
    /// The shelves of all correlations that theirs are made of.
    pub(super) refers_to: BTreeSet<usize>,
    /// How much later than their times its matches may come.
    pub(super) delay_us: i64,
    /// The streams that its groups have matches from, with the number of groups.
    pub(super) open_streams: BTreeMap<StreamIndex, usize>,
}

impl Shelf {
    /// A group waits for a stream.
    pub(super) fn open(&mut self, stream: StreamIndex) {
        *self.open_streams.entry(stream).or_insert(0) += 1;
    }

    /// A group waits for a stream no longer.
    pub(super) fn close(&mut self, stream: StreamIndex) {
        if let Some(groups) = self.open_streams.get_mut(&stream) {
            *groups -= 1;
            if *groups == 0 {
                self.open_streams.remove(&stream);
            }
        }
    }

    /// Whether its correlations are made of others' moments.
    pub(super) fn is_chained(&self) -> bool {
        !self.refers_to.is_empty()
    }

    /// Its correlations.
    pub(super) fn nodes<'n>(&'n self, all: &'n [Node]) -> impl Iterator<Item = &'n Node> {
        self.nodes.iter().map(|&node| &all[node])
    }

    /// Whether the entry at a place changes nothing for any of them but what is told once that settles.
    pub(super) fn is_asleep(
        &self,
        all: &[Node],
        group: Gathered<'_>,
        views: &[View],
        (at, time_us): (usize, i64),
    ) -> bool {
        self.nodes(all)
            .zip(views)
            .all(|(node, view)| node.is_quiet(group) || node.is_told(group, view, at, time_us))
    }

    /// The watermark at which the group must be looked at again.
    pub(super) fn due_us(&self, all: &[Node], group: Gathered<'_>, views: &[View]) -> i64 {
        let acts = self
            .nodes(all)
            .zip(views)
            .filter_map(|(node, view)| node.acts_at_us(group, view));
        let first_us = group.entries.first_us();
        let acts = acts.map(|due_us| due_us.saturating_add(self.delay_us));
        let leaves = first_us.map(|time_us| self.leaves(all, time_us).last_us);
        acts.chain(leaves).min().unwrap_or(i64::MAX)
    }

    /// When an entry of this time is old for them.
    pub(super) fn leaves(&self, all: &[Node], time_us: i64) -> Leaves {
        let each = self.nodes(all).map(|node| {
            let due_us = node.lets_go_us(time_us).saturating_add(self.delay_us);
            Leaves {
                first_us: due_us,
                last_us: due_us,
            }
        });
        each.fold(Leaves::NEVER, Leaves::and)
    }

    /// Entries before this time take part in no window that is open.
    pub(super) fn needed_from_us(&self, all: &[Node], watermark_us: i64) -> i64 {
        let each = self
            .nodes(all)
            .map(|node| node.needed_from_us(watermark_us));
        each.min().unwrap_or(i64::MIN)
    }
}

/// What correlations must have in common to share their groups.
#[derive(PartialEq)]
struct Common {
    rules: Vec<usize>,
    group_by: Vec<Option<ListIndex>>,
    is_patient: bool,
    origin: Option<usize>,
}

/// Puts correlations that gather the same together, and returns the shelves with that of each correlation. Those that
/// refer to others come after these. `origins`: the shelf that a correlation was on with the rules before; what
/// was gathered there is no other's.
pub(super) fn shelves_of(
    nodes: &mut [Node],
    origins: &[Option<usize>],
) -> (Vec<Shelf>, Vec<usize>) {
    let mut shelves: Vec<Shelf> = Vec::new();
    let mut in_common: Vec<Common> = Vec::new();
    let mut shelf_of = vec![0; nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        let Some(rules) = rules_alone(node) else {
            continue;
        };
        let common = Common {
            rules,
            group_by: node.fields.iter().map(FieldsOfRule::group_by).collect(),
            is_patient: node.is_patient(),
            origin: origins[index],
        };
        let is_fit =
            |place: usize| in_common[place] == common && shelves[place].has_room_for(node, nodes);
        let place = (0..shelves.len()).find(|&place| is_fit(place));
        shelf_of[index] = match place {
            Some(place) => {
                shelves[place].add(index, node);
                place
            }
            None => {
                in_common.push(common);
                shelves.push(Shelf::of(index, node));
                shelves.len() - 1
            }
        };
    }
    for (index, node) in nodes.iter().enumerate() {
        if rules_alone(node).is_none() {
            let mut shelf = Shelf::of(index, node);
            let refers_to = node.refers_to.iter();
            shelf.refers_to = refers_to.map(|&other| shelf_of[other]).collect();
            shelf_of[index] = shelves.len();
            shelves.push(shelf);
        }
    }
    for shelf in &shelves {
        for &node in &shelf.nodes {
            let is_alone = shelf.nodes.len() == 1 || !nodes[node].referred_by.is_empty();
            nodes[node].own_bin_us = (!is_alone).then(|| nodes[node].bin_us());
        }
    }
    (shelves, shelf_of)
}

/// The rules that a correlation refers to; `None` if it refers to another correlation.
fn rules_alone(node: &Node) -> Option<Vec<usize>> {
    let targets = node.correlation.rules.iter();
    let rules = targets.map(|reference| match reference.target {
        RuleTarget::Rule { index, .. } => Some(index),
        RuleTarget::Correlation { .. } => None,
    });
    rules.collect()
}

impl Shelf {
    fn of(index: usize, node: &Node) -> Self {
        let mut shelf = Self {
            nodes: Vec::new(),
            fields: node.fields.clone(),
            bins: Bins {
                lengths_us: SmallVec::new(),
                limit: BIN_EVENTS_MAX,
            },
            is_referred_to: false,
            refers_to: BTreeSet::new(),
            delay_us: node.delay_us,
            open_streams: BTreeMap::new(),
        };
        shelf.add(index, node);
        shelf
    }

    fn add(&mut self, index: usize, node: &Node) {
        self.nodes.push(index);
        self.is_referred_to |= !node.referred_by.is_empty();
        if node.reads_values() {
            self.fields.clone_from(&node.fields);
        }
        let bin_us = node.bin_us();
        if !self.bins.lengths_us.contains(&bin_us) {
            self.bins.lengths_us.push(bin_us);
        }
    }

    /// Whether a correlation reads the same values as those that are here, or either reads none: an entry has one value.
    fn has_room_for(&self, node: &Node, all: &[Node]) -> bool {
        let is_free = !self.nodes(all).any(Node::reads_values);
        is_free || !node.reads_values() || self.fields == node.fields
    }
}
