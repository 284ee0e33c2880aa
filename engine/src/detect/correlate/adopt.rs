//! Going on with other rules: what correlations that stay the same have gathered is kept.

use std::collections::{HashMap, HashSet};

use super::correlator::Correlator;
use super::node::Node;

impl Correlator {
    /// Takes over from the correlator of the rules before: the open windows of each correlation that has
    /// the same id and text, and how far every stream is. Correlations that are new or were changed begin anew.
    pub fn adopt(&mut self, before: Correlator) {
        let counted = before.status();
        let state = before.into_state();
        let nodes = state.nodes.into_iter().enumerate();
        let mut kept: HashMap<(String, String), (usize, Node)> = nodes
            .map(|(index, node)| (identity(&node), (index, node)))
            .collect();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (index, node) in self.nodes_mut().iter_mut().enumerate() {
            if let Some((old, before)) = kept.remove(&identity(node)) {
                node.open_streams = before.open_streams;
                places.insert(old, index);
            }
        }
        let place = |index: usize| places.get(&index).copied();
        let pending: HashSet<_> = state
            .pending
            .into_groups()
            .filter_map(|(node, group)| Some((place(node)?, group)))
            .collect();
        self.take_state(
            state.streams.with_places(place),
            state.clusters.with_places(place),
            pending,
            state.held,
            counted,
        );
    }
}

fn identity(node: &Node) -> (String, String) {
    let meta = &node.correlation.meta;
    (meta.id.to_string(), meta.content_hash.to_string())
}
