//! Looking at groups that something has changed for: what is new in them, what is settled, what is over.

use std::collections::BTreeMap;

use super::correlator::Correlator;
use super::group::Group;
use super::node::Arriving;
use super::shelf::Shelf;
use super::watermark::{StreamIndex, Streams};
use crate::matches::Match;

/// The slowest streams of what chained correlations are made of, by their shelf, as far as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Below(BTreeMap<usize, Option<(StreamIndex, i64)>>);

impl Below {
    /// That of a shelf; `None` where it waits for no other.
    pub(super) fn of(
        &mut self,
        index: usize,
        shelves: &[Shelf],
        streams: &Streams,
    ) -> Option<(StreamIndex, i64)> {
        if !shelves[index].is_chained() {
            return None;
        }
        *self.0.entry(index).or_insert_with(|| {
            let others = shelves[index].refers_to.iter();
            streams.slowest(others.flat_map(|&other| shelves[other].open_streams.keys().copied()))
        })
    }
}

impl Correlator {
    /// Looks at what is new in a group: raises and settles alerts, passes moments on, lets go what is over.
    /// `below` is the slowest stream of the correlations that its own refer to.
    pub(super) fn look_at(
        &mut self,
        index: usize,
        key: u128,
        below: Option<(StreamIndex, i64)>,
        matches: &mut Vec<Match>,
    ) {
        let shelf = &self.shelves[index];
        let Some(group) = self.clusters.group(index, key) else {
            return;
        };
        group.is_pending = false;
        let below = below.map(|(stream, _)| stream);
        let slowest = self.streams.slowest(group.streams().chain(below));
        let watermark_us = slowest
            .map_or(i64::MIN, |(_, watermark_us)| watermark_us)
            .saturating_sub(shelf.delay_us);
        let dirty_us = group.dirty_us.take();
        let needed_from_us = shelf.needed_from_us(&self.nodes, watermark_us);
        // Those of each correlation that others refer to.
        let mut passed_on: Vec<(usize, Vec<Arriving<'static>>)> = Vec::new();
        let (gathered, views) = group.split();
        for (&place, view) in shelf.nodes.iter().zip(&mut *views) {
            let node = &self.nodes[place];
            let moments = node.new_moments(gathered, view, dirty_us, watermark_us);
            node.raise(gathered, view, &moments, matches);
            let moments = node.pass_on(gathered, view, &moments, &self.held);
            if !moments.is_empty() {
                passed_on.push((place, moments));
            }
            node.settle(gathered, view, watermark_us, matches);
            node.drop_logs_before(view, node.needed_from_us(watermark_us));
            node.forget_alerts(view, needed_from_us);
        }
        let is_settled = views
            .iter()
            .all(|view| view.raised.first_unsettled().is_none());
        let streams: Vec<StreamIndex> = match passed_on.is_empty() {
            true => Vec::new(),
            false => group.streams().collect(),
        };
        let dropped = group.drop_before(needed_from_us);
        self.status.entries -= dropped.entries;
        if group.entries.is_empty() {
            if is_settled {
                self.clusters.remove_group(index, key);
            }
        } else if let Some((stream, _)) = slowest {
            let due_us = shelf.due_us(&self.nodes, group.gathered(), &group.views);
            if !is_woken(group, &self.streams, stream, due_us) {
                group.waiting = Some((stream, due_us));
                self.streams.wait(stream, due_us, (index, key));
            }
        }
        for stream in dropped.streams {
            self.shelves[index].close(stream);
        }
        for (node, mut moments) in passed_on {
            for place in 0..self.nodes[node].referred_by.len() {
                let (other, position) = self.nodes[node].referred_by[place];
                let other = self.shelf_of[other];
                let fields = self.shelves[other].fields[usize::from(position)];
                // Where it groups by what this group has in common, all go into one group.
                let is_common = self.nodes[node].adds(fields.group_by(), &self.lists);
                let mut known = None;
                for arriving in &mut moments {
                    let key = match known {
                        Some(key) => Some(key),
                        None => fields.group(&mut self.lists, arriving.fields()),
                    };
                    if let Some(key) = key {
                        if known.is_none() {
                            self.bring_first(key, other);
                        }
                        known = is_common.then_some(key);
                        self.admit((other, key), position, arriving, &streams);
                    }
                }
            }
        }
    }
}

/// Whether a group that must be looked at when `slowest` has come to `due_us` will be anyway: it waits for that
/// stream, or for another that it has matches from, to come there or less far.
pub(super) fn is_woken(
    group: &Group,
    streams: &Streams,
    slowest: StreamIndex,
    due_us: i64,
) -> bool {
    group.waiting.is_some_and(|(stream, waits_for_us)| {
        waits_for_us <= due_us
            && streams.watermark_us(stream) < waits_for_us
            && (stream == slowest || group.streams().any(|other| other == stream))
    })
}
