//! The correlator: matches in, matches of correlations out.

use std::collections::BTreeSet;
use std::sync::Arc;

use citywatch_parsers::{AgentId, StreamId, Timestamp};
use citywatch_rules::Correlation;
use citywatch_rules::correlation::RuleTarget;

use super::evidence::{Charge, Held, Kept, Shown};
use super::fields::FieldLists;
use super::group::{Entry, Group};
use super::input::{CorrelationInput, CorrelationLimits, CorrelationStatus};
use super::node::{Arrived, Arriving, Node};
use super::tally::IdMap;
use super::watermark::{StreamIndex, Streams, Waiting};
use crate::detect::RuleIndex;
use crate::matches::Match;

/// Bins of evidence per timespan.
const BINS: i64 = 16;
/// Events kept as evidence per bin and group: all that a match shows can come from one.
const BIN_EVENTS_MAX: usize = 100;
/// Of the bytes that may be held, evidence is no longer kept beyond this share: the rest is for groups.
const EVIDENCE_BYTES_SHARE: usize = 2;

/// Correlates matches. A pure function of what it is told: no clock, no I/O.
#[derive(Debug)]
pub struct Correlator {
    nodes: Vec<Node>,
    /// By node.
    groups: Vec<IdMap<Box<Group>>>,
    /// Per rule the correlations that refer to it, with the place in their lists.
    by_rule: Vec<Vec<(usize, u16)>>,
    lists: FieldLists,
    streams: Streams,
    limits: CorrelationLimits,
    status: CorrelationStatus,
    held: Arc<Held>,
    pending: Pending,
}

/// Groups to be looked at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// By node.
    groups: Vec<Vec<u128>>,
    /// Nodes that have some: those that others refer to come first.
    nodes: BTreeSet<usize>,
}

impl Pending {
    fn add(&mut self, (node, key): Waiting) {
        let groups = &mut self.groups[node];
        if groups.is_empty() {
            self.nodes.insert(node);
        }
        groups.push(key);
    }

    /// All of them.
    pub(super) fn into_groups(self) -> impl Iterator<Item = Waiting> {
        let nodes = self.groups.into_iter().enumerate();
        nodes.flat_map(|(node, keys)| keys.into_iter().map(move |key| (node, key)))
    }
}

/// What a correlator holds, for another that goes on with it.
pub(super) struct State {
    pub(super) streams: Streams,
    pub(super) pending: Pending,
    pub(super) nodes: Vec<Node>,
    pub(super) groups: Vec<IdMap<Box<Group>>>,
    pub(super) held: Arc<Held>,
}

impl Correlator {
    /// A correlator for the correlations of a rule set, which has `rules` rules.
    pub fn new(correlations: &[Arc<Correlation>], rules: usize, limits: CorrelationLimits) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        let mut by_rule = vec![Vec::new(); rules];
        let mut lists = FieldLists::default();
        for (index, correlation) in correlations.iter().enumerate() {
            let mut node = Node::new(correlation, &mut lists);
            for (place, reference) in (0u16..).zip(&correlation.rules) {
                match reference.target {
                    RuleTarget::Rule { index: rule, .. } => by_rule[rule].push((index, place)),
                    RuleTarget::Correlation { index: other, .. } => {
                        nodes[other].referred_by.push((index, place));
                        node.refers_to.insert(other);
                        node.refers_to.extend(&nodes[other].refers_to);
                        node.delay_us = node.delay_us.max(nodes[other].moment_delay_us());
                        let reach_us = nodes[other].reach_us;
                        let reach_us = reach_us.saturating_add(correlation.timespan_us);
                        node.reach_us = node.reach_us.max(reach_us);
                    }
                }
            }
            nodes.push(node);
        }
        Self {
            groups: nodes.iter().map(|_| IdMap::default()).collect(),
            pending: Pending {
                groups: vec![Vec::new(); nodes.len()],
                nodes: BTreeSet::new(),
            },
            nodes,
            by_rule,
            lists,
            streams: Streams::default(),
            limits,
            status: CorrelationStatus::default(),
            held: Arc::default(),
        }
    }

    /// Whether some correlation refers to the rule: matches of others need not be told.
    pub fn wants(&self, rule: RuleIndex) -> bool {
        self.by_rule
            .get(rule.as_usize())
            .is_some_and(|referred| !referred.is_empty())
    }

    /// The fields of events that the correlations read.
    pub fn fields_read(&self) -> BTreeSet<&str> {
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
            groups: self.groups.iter().map(IdMap::len).sum(),
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
        self.status.late += u64::from(time_us < self.streams.watermark_us(stream));
        self.streams
            .advance(stream, time_us.saturating_sub(self.limits.lateness_us));
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
        for place in 0..self.by_rule[input.rule.as_usize()].len() {
            let (node, position) = self.by_rule[input.rule.as_usize()][place];
            self.admit(node, position, &mut arriving, &[stream]);
        }
    }

    /// Notes that a stream's events up to `latest` were seen. For a stream that is quiet, tell the time that
    /// it is known to be quiet until, or its last windows stay open.
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
        for group in self.streams.take_ready() {
            self.pending.add(group);
        }
        while let Some(node) = self.pending.nodes.pop_first() {
            // A correlation passes moments on only to those that come after it.
            let mut keys = std::mem::take(&mut self.pending.groups[node]);
            for key in keys.drain(..) {
                self.look_at(node, key, matches);
            }
            self.pending.groups[node] = keys;
        }
    }

    /// What it holds, for another that goes on with it.
    pub(super) fn into_state(self) -> State {
        State {
            streams: self.streams,
            pending: self.pending,
            nodes: self.nodes,
            groups: self.groups,
            held: self.held,
        }
    }

    pub(super) fn nodes_mut(
        &mut self,
    ) -> impl Iterator<Item = (&mut Node, &mut IdMap<Box<Group>>)> {
        self.nodes.iter_mut().zip(&mut self.groups)
    }

    /// Goes on with these streams and groups to be looked at, and with the groups that its nodes have got.
    pub(super) fn take_state(
        &mut self,
        streams: Streams,
        pending: impl IntoIterator<Item = Waiting>,
        held: Arc<Held>,
        counted: CorrelationStatus,
    ) {
        self.streams = streams;
        self.held = held;
        pending
            .into_iter()
            .for_each(|group| self.pending.add(group));
        let groups = self.groups.iter().flat_map(IdMap::values);
        self.status = CorrelationStatus {
            entries: groups.map(|group| group.entries.len()).sum(),
            ..counted
        };
    }

    fn stream(&mut self, agent: &AgentId, stream: &StreamId) -> StreamIndex {
        if self.streams.is_full() {
            let nodes = &self.nodes;
            let is_needed = |index| {
                nodes
                    .iter()
                    .any(|node| node.open_streams.contains_key(&index))
            };
            for (node, key) in self.streams.forget(is_needed) {
                let Some(group) = self.groups[node].get_mut(&key) else {
                    continue;
                };
                let is_lost = |&(stream, _): &(StreamIndex, i64)| !is_needed(stream);
                // It may have gone on to wait for another.
                if group.waiting.as_ref().is_some_and(is_lost) {
                    group.waiting = None;
                    if !std::mem::replace(&mut group.is_pending, true) {
                        self.pending.add((node, key));
                    }
                }
            }
        }
        self.streams.index(agent, stream)
    }

    /// Puts a match into its group.
    fn admit(
        &mut self,
        index: usize,
        position: u16,
        arriving: &mut Arriving<'_>,
        streams: &[StreamIndex],
    ) {
        let node = &mut self.nodes[index];
        let fields = &node.fields[usize::from(position)];
        let Some(key) = fields.group(&mut self.lists, arriving.fields()) else {
            return;
        };
        let is_referred_to = !node.referred_by.is_empty();
        // Correlations of this one read the fields of its events, so it holds all of them.
        let mut shown = None;
        if is_referred_to {
            shown = keep_for_others(arriving, &self.held, &self.lists, self.limits);
        }
        let has_room = self.status.entries < self.limits.entries_max
            && self.held.bytes() < self.limits.bytes_max;
        if !has_room || is_referred_to && shown.is_none() {
            self.status.entries_refused += 1;
            return;
        }
        let value = fields.value(&mut self.lists, arriving.fields());
        let group = self.groups[index].entry(key).or_insert_with(|| {
            let values = fields.group_values(&self.lists, arriving.fields());
            let bytes = values.iter().map(|value| value.len());
            let charge = Charge::new(&self.held, size_of::<Group>() + bytes.sum::<usize>());
            Box::new(Group::new(values, charge))
        });
        let Some(at) = group.insert(Entry {
            time_us: arriving.time_us,
            position,
            origin: arriving.origin,
            source: arriving.source,
            value,
            shown,
        }) else {
            return;
        };
        for &stream in streams {
            if group.add_stream(stream, arriving.time_us) {
                *node.open_streams.entry(stream).or_insert(0) += 1;
            }
        }
        self.status.entries += 1;
        if is_referred_to {
            node.log(group, at);
        } else {
            let bin_us = (node.correlation.timespan_us / BINS).max(1);
            let shown = group
                .is_shown(at, bin_us, BIN_EVENTS_MAX)
                .then(|| keep_as_evidence(arriving, &self.held, self.limits))
                .flatten();
            let is_hidden = match shown {
                Some(shown) => group.show(at, shown, bin_us, BIN_EVENTS_MAX),
                None => true,
            };
            self.status.evidence_dropped += u64::from(is_hidden);
        }
        if group.is_pending {
            return;
        }
        if node.is_quiet(group)
            && let [stream] = *streams
        {
            // All that is to be done is to drop its matches once they are old.
            let due_us = node.due_us(group).saturating_add(node.delay_us);
            if is_woken(group, &self.streams, stream, due_us) {
                return;
            }
            if self.streams.watermark_us(stream) < due_us {
                group.waiting = Some((stream, due_us));
                self.streams.wait(stream, due_us, (index, key));
                return;
            }
        }
        group.is_pending = true;
        self.pending.add((index, key));
    }

    /// Looks at what is new in a group: raises and settles alerts, passes moments on, lets go what is over.
    fn look_at(&mut self, index: usize, key: u128, matches: &mut Vec<Match>) {
        let node = &self.nodes[index];
        let Some(group) = self.groups[index].get_mut(&key) else {
            return;
        };
        group.is_pending = false;
        let below = node
            .refers_to
            .iter()
            .flat_map(|&other| self.nodes[other].open_streams.keys().copied());
        let slowest = self.streams.slowest(group.streams().chain(below));
        let watermark_us = slowest
            .map_or(i64::MIN, |(_, watermark_us)| watermark_us)
            .saturating_sub(node.delay_us);
        let moments = node.new_moments(group, watermark_us);
        node.raise(group, &moments, matches);
        let passed_on = node.pass_on(group, &moments, &self.held);
        node.settle(group, watermark_us, matches);
        let streams: Vec<StreamIndex> = match passed_on.is_empty() {
            true => Vec::new(),
            false => group.streams().collect(),
        };
        let needed_from_us = node.needed_from_us(watermark_us);
        let dropped = group.drop_before(needed_from_us);
        node.drop_logs_before(group, needed_from_us);
        node.forget_alerts(group, needed_from_us);
        self.status.entries -= dropped.entries;
        if group.entries.is_empty() {
            if group.unsettled().is_none() {
                self.groups[index].remove(&key);
            }
        } else if let Some((stream, _)) = slowest {
            let due_us = node.due_us(group).saturating_add(node.delay_us);
            if !is_woken(group, &self.streams, stream, due_us) {
                group.waiting = Some((stream, due_us));
                self.streams.wait(stream, due_us, (index, key));
            }
        }
        for stream in dropped.streams {
            self.nodes[index].close(stream);
        }
        for mut arriving in passed_on {
            for place in 0..self.nodes[index].referred_by.len() {
                let (other, position) = self.nodes[index].referred_by[place];
                self.admit(other, position, &mut arriving, &streams);
            }
        }
    }
}

/// Whether a group that must be looked at when `slowest` has come to `due_us` will be anyway: it waits for that
/// stream, or for another that it has matches from, to come there or less far.
fn is_woken(group: &Group, streams: &Streams, slowest: StreamIndex, due_us: i64) -> bool {
    group.waiting.is_some_and(|(stream, waits_for_us)| {
        waits_for_us <= due_us
            && streams.watermark_us(stream) < waits_for_us
            && (stream == slowest || group.streams().any(|other| other == stream))
    })
}

/// Holds a match's event as evidence, if there is room.
fn keep_as_evidence(
    arriving: &mut Arriving<'_>,
    held: &Arc<Held>,
    limits: CorrelationLimits,
) -> Option<Shown> {
    match &mut arriving.what {
        Arrived::Moment(shown) => Some(shown.clone()),
        Arrived::Rule {
            event,
            matched,
            kept,
        } => {
            let has_room = held.events() < limits.evidence_events_max
                && held.bytes() < limits.bytes_max / EVIDENCE_BYTES_SHARE;
            if kept.is_none() && has_room {
                *kept = Some(Arc::new(Kept::whole(held, event, matched)));
            }
            kept.clone().map(|kept| Shown { kept, chain: None })
        }
    }
}

/// Holds a match's event for the correlations of a correlation: as evidence, or only the fields that correlations
/// read. `None` when there is no room even for these.
fn keep_for_others(
    arriving: &mut Arriving<'_>,
    held: &Arc<Held>,
    lists: &FieldLists,
    limits: CorrelationLimits,
) -> Option<Shown> {
    if let Some(shown) = keep_as_evidence(arriving, held, limits) {
        return Some(shown);
    }
    let Arrived::Rule { event, kept, .. } = &mut arriving.what else {
        return None;
    };
    if held.bytes() < limits.bytes_max {
        let fields_only = Kept::fields_only(held, event, |name| lists.reads(name));
        *kept = Some(Arc::new(fields_only));
    }
    kept.clone().map(|kept| Shown { kept, chain: None })
}
