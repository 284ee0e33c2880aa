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
        // Where each correlation was: its shelf and the place there.
        let mut known: HashMap<(String, String), (usize, usize)> = HashMap::new();
        for (shelf, place, node) in state.shelves.iter().enumerate().flat_map(|(index, shelf)| {
            let nodes = shelf.nodes(&state.nodes).enumerate();
            nodes.map(move |(place, node)| (index, place, node))
        }) {
            known.insert(identity(node), (shelf, place));
        }
        let kept: Vec<Option<(usize, usize)>> = self
            .nodes
            .iter()
            .map(|node| known.remove(&identity(node)))
            .collect();
        let origins: Vec<Option<usize>> = kept.iter().map(|kept| Some(kept.as_ref()?.0)).collect();
        self.arrange(&origins);
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (index, shelf) in self.shelves.iter_mut().enumerate() {
            if let Some(origin) = origins[shelf.nodes[0]]
                && !places.contains_key(&origin)
            {
                places.insert(origin, index);
                shelf.open_streams = state.shelves[origin].open_streams.clone();
            }
        }
        let place = |index: usize| places.get(&index).copied();
        let pending: HashSet<_> = state
            .pending
            .into_groups()
            .filter_map(|(shelf, group)| Some((place(shelf)?, group)))
            .collect();
        let shelves = &self.shelves;
        let clusters = state.clusters.with_places(place, |shelf, group| {
            let nodes = shelves[shelf].nodes.iter();
            let views = nodes.filter_map(|&node| kept[node]).map(|(_, place)| place);
            group.rearrange(views);
        });
        self.take_state(
            state.streams.with_places(place),
            clusters,
            pending,
            state.held,
            counted,
        );
    }
}

fn identity(node: &Node) -> (String, String) {
    let meta = &node.correlation.meta;
    (meta.id.to_string(), meta.content_hash().to_string())
}
