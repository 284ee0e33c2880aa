//! The correlator: matches in, matches of correlations out.

use std::sync::Arc;

use citywatch_parsers::{AgentId, StreamId, Timestamp};
use citywatch_rules::Correlation;
use citywatch_rules::correlation::RuleTarget;

use super::clusters::Clusters;
use super::evidence::Held;
use super::fields::{FieldLists, FieldNames};
use super::first::{Family, families_of};
use super::input::{CorrelationInput, CorrelationLimits, CorrelationStatus};
use super::look::Below;
use super::node::{Arrived, Arriving, Node};
use super::pending::Pending;
use super::shelf::{Shelf, shelves_of};
use super::watermark::{FIRST_MATCH, FIRST_MATCH_OF_CHAIN, StreamIndex, Streams, Waiting};
use crate::detect::RuleIndex;
use crate::matches::Match;

/// Groups or first matches that are fetched from memory together.
const FETCHED_AT_ONCE: usize = 16;

/// Correlates matches. A pure function of what it is told: no clock, no I/O.
#[derive(Debug)]
pub struct Correlator {
    pub(super) nodes: Vec<Node>,
    /// Correlations that share their groups: those that refer to others come after these.
    pub(super) shelves: Vec<Shelf>,
    /// By correlation its shelf.
    pub(super) shelf_of: Vec<usize>,
    pub(super) clusters: Clusters,
    /// Per rule the correlations that refer to it.
    pub(super) by_rule: Vec<Vec<Family>>,
    pub(super) lists: FieldLists,
    pub(super) streams: Streams,
    pub(super) limits: CorrelationLimits,
    pub(super) status: CorrelationStatus,
    /// Groups that the first matches of their keys would have.
    pub(super) groups_of_firsts: usize,
    pub(super) held: Arc<Held>,
    pub(super) pending: Pending,
}

/// What a correlator holds, for another that goes on with it.
pub(super) struct State {
    pub(super) streams: Streams,
    pub(super) pending: Pending,
    pub(super) nodes: Vec<Node>,
    pub(super) shelves: Vec<Shelf>,
    pub(super) clusters: Clusters,
    pub(super) held: Arc<Held>,
}

impl Correlator {
    /// A correlator for the correlations of a rule set, which has `rules` rules.
    pub fn new(correlations: &[Arc<Correlation>], rules: usize, limits: CorrelationLimits) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        let mut lists = FieldLists::default();
        for (index, correlation) in correlations.iter().enumerate() {
            let mut node = Node::new(correlation, &mut lists);
            for (place, reference) in (0u16..).zip(&correlation.rules) {
                if let RuleTarget::Correlation { index: other, .. } = reference.target {
                    nodes[other].referred_by.push((index, place));
                    node.refers_to.insert(other);
                    node.refers_to.extend(&nodes[other].refers_to);
                    node.delay_us = node.delay_us.max(nodes[other].moment_delay_us());
                    let reach_us = nodes[other].reach_us;
                    let reach_us = reach_us.saturating_add(correlation.timespan_us);
                    node.reach_us = node.reach_us.max(reach_us);
                }
            }
            nodes.push(node);
        }
        let origins = vec![None; nodes.len()];
        let mut all = Self {
            clusters: Clusters::default(),
            by_rule: (0..rules).map(|_| Vec::new()).collect(),
            pending: Pending::default(),
            nodes,
            shelves: Vec::new(),
            shelf_of: Vec::new(),
            lists,
            streams: Streams::default(),
            limits,
            status: CorrelationStatus::default(),
            groups_of_firsts: 0,
            held: Arc::default(),
        };
        all.arrange(&origins);
        all
    }

    /// Puts correlations that gather the same on one shelf, unless they come from different ones of the rules before.
    pub(super) fn arrange(&mut self, origins: &[Option<usize>]) {
        (self.shelves, self.shelf_of) = shelves_of(&mut self.nodes, origins);
        let mut by_rule: Vec<Vec<(usize, u16)>> = vec![Vec::new(); self.by_rule.len()];
        for (index, shelf) in self.shelves.iter().enumerate() {
            let first = &self.nodes[shelf.nodes[0]].correlation;
            for (place, reference) in (0u16..).zip(&first.rules) {
                if let RuleTarget::Rule { index: rule, .. } = reference.target {
                    by_rule[rule].push((index, place));
                }
            }
        }
        let families = by_rule
            .iter()
            .map(|referred| families_of(&self.nodes, &self.shelves, referred));
        self.by_rule = families.collect();
        self.pending = Pending::new(self.shelves.len());
    }

    /// Whether some correlation refers to the rule: matches of others need not be told.
    pub fn wants(&self, rule: RuleIndex) -> bool {
        self.by_rule
            .get(rule.as_usize())
            .is_some_and(|referred| !referred.is_empty())
    }

    /// The fields of events that the correlations read.
    pub fn fields_read(&self) -> FieldNames {
        self.lists.names().collect()
    }

    /// How far back matches can matter to open windows, in microseconds before the latest event: after a
    /// restart, matches from there on are to be observed again.
    pub fn horizon_us(&self) -> i64 {
        let longest = self.nodes.iter().map(|node| {
            node.correlation
                .timespan_us
                .saturating_mul(2)
                .saturating_add(node.reach_us)
                .saturating_add(node.delay_us)
        });
        longest
            .max()
            .unwrap_or(0)
            .saturating_add(self.limits.lateness_us)
    }

    /// How far before its window, and how long after, the events of a correlation's match may lie, in
    /// microseconds; 0 for one that is not known.
    pub fn reach_us(&self, correlation_id: &str) -> i64 {
        let mut nodes = self.nodes.iter();
        let node = nodes.find(|node| node.correlation.meta.id.as_str() == correlation_id);
        node.map_or(0, |node| node.reach_us.saturating_add(node.delay_us))
    }

    /// What it holds and what it had to let go.
    pub fn status(&self) -> CorrelationStatus {
        CorrelationStatus {
            groups: self.clusters.groups() + self.groups_of_firsts,
            evidence_events: self.held.events(),
            bytes: self.held.bytes(),
            ..self.status
        }
    }

    /// Takes in a match. What it leads to is told by [`Correlator::drain`]. The same match again changes nothing.
    pub fn observe(&mut self, input: CorrelationInput<'_>) {
        if !self.wants(input.rule) {
            return;
        }
        let record = &input.event.record;
        let stream = self.stream(&record.agent, &record.stream);
        let time_us = input.event.event_time.as_micros();
        self.streams
            .advance(stream, time_us.saturating_sub(self.limits.lateness_us));
        self.status.late += u64::from(time_us < self.streams.watermark_us(stream));
        self.lists.next_match();
        let mut arriving = Arriving {
            time_us,
            origin: input.event.id.0,
            source: input.event.id.0,
            what: Arrived::Rule {
                event: input.event,
                matched: input.matched,
                kept: None,
            },
        };
        for family in 0..self.by_rule[input.rule.as_usize()].len() {
            self.arrive((input.rule, family), &mut arriving, stream);
        }
    }

    /// Notes that a stream is quiet, at this time, or its last windows stay open. If it speaks of earlier times after
    /// that, it is where its events are.
    pub fn advance_quiet(&mut self, agent: &AgentId, stream: &StreamId, time: Timestamp) {
        let stream = self.stream(agent, stream);
        self.streams.advance_quiet(
            stream,
            time.as_micros().saturating_sub(self.limits.lateness_us),
        );
    }

    /// Notes that a stream's events up to `latest` were seen.
    pub fn advance(&mut self, agent: &AgentId, stream: &StreamId, latest: Timestamp) {
        let stream = self.stream(agent, stream);
        self.streams.advance(
            stream,
            latest.as_micros().saturating_sub(self.limits.lateness_us),
        );
    }

    /// Appends the matches of correlations that hold by now: each when it first holds, and once more, with
    /// the same id, when nothing can change it any more, if its events have changed since.
    pub fn drain(&mut self, matches: &mut Vec<Match>) {
        let (mut firsts, mut firsts_of_chains) = (Vec::new(), Vec::new());
        for (shelf, key) in self.streams.take_ready() {
            match shelf {
                FIRST_MATCH => firsts.push(key),
                FIRST_MATCH_OF_CHAIN => firsts_of_chains.push(key),
                _ => self.pending.add((shelf, key)),
            }
        }
        self.drop_firsts(FIRST_MATCH, &firsts);
        self.look_at_pending(matches);
        // By now all moments are passed on that could be.
        if !firsts_of_chains.is_empty() {
            self.drop_firsts(FIRST_MATCH_OF_CHAIN, &firsts_of_chains);
            self.look_at_pending(matches);
        }
    }

    fn drop_firsts(&mut self, waits_as: usize, keys: &[u128]) {
        let mut below = Below::default();
        for keys in keys.chunks(FETCHED_AT_ONCE) {
            self.clusters.fetch_firsts(keys);
            for &key in keys {
                self.drop_first((waits_as, key), &mut below);
            }
        }
    }

    fn look_at_pending(&mut self, matches: &mut Vec<Match>) {
        while let Some((shelf, keys)) = self.pending.pop_first() {
            // A correlation passes moments on only to those that come after it.
            let below = Below::default().of(shelf, &self.shelves, &self.streams);
            for keys in keys.chunks(FETCHED_AT_ONCE) {
                self.clusters.fetch_groups(shelf, keys);
                for &key in keys {
                    self.look_at(shelf, key, below, matches);
                }
            }
            self.pending.give_back(shelf, keys);
        }
    }

    /// What it holds, for another that goes on with it.
    pub(super) fn into_state(mut self) -> State {
        // Which correlations wait for a second match is another question with other rules.
        for key in self.clusters.keys_with_first() {
            if let Some(first) = self.clusters.take_first(key, |_| true) {
                self.take_in(key, first);
            }
        }
        State {
            streams: self.streams,
            pending: self.pending,
            nodes: self.nodes,
            shelves: self.shelves,
            clusters: self.clusters,
            held: self.held,
        }
    }

    /// Goes on with these streams, groups, and groups to be looked at.
    pub(super) fn take_state(
        &mut self,
        streams: Streams,
        clusters: Clusters,
        pending: impl IntoIterator<Item = Waiting>,
        held: Arc<Held>,
        counted: CorrelationStatus,
    ) {
        self.streams = streams;
        self.clusters = clusters;
        self.held = held;
        pending
            .into_iter()
            .for_each(|group| self.pending.add(group));
        let entries = self.clusters.all().map(|group| group.entries.len());
        self.status = CorrelationStatus {
            entries: entries.sum(),
            ..counted
        };
    }

    fn stream(&mut self, agent: &AgentId, stream: &StreamId) -> StreamIndex {
        if self.streams.is_full() {
            let shelves = &self.shelves;
            let is_needed = |index| {
                shelves
                    .iter()
                    .any(|shelf| shelf.open_streams.contains_key(&index))
            };
            for (shelf, key) in self.streams.forget(is_needed) {
                let Some(group) = self.clusters.group(shelf, key) else {
                    continue;
                };
                let is_lost = |&(stream, _): &(StreamIndex, i64)| !is_needed(stream);
                // It may have gone on to wait for another.
                if group.waiting.as_ref().is_some_and(is_lost) {
                    group.waiting = None;
                    if !std::mem::replace(&mut group.is_pending, true) {
                        self.pending.add((shelf, key));
                    }
                }
            }
        }
        self.streams.index(agent, stream)
    }
}
