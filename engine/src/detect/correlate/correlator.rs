//! The correlator: matches in, matches of correlations out.

use std::collections::BTreeSet;
use std::sync::Arc;

use citywatch_parsers::{AgentId, StreamId, Timestamp};
use citywatch_rules::Correlation;
use citywatch_rules::correlation::RuleTarget;

use super::fields::hash_texts;
use super::group::{Entry, Group, Shown};
use super::input::{CorrelationInput, CorrelationLimits, CorrelationStatus};
use super::node::{Arriving, Node};
use super::watermark::{StreamIndex, Streams, Waiting};
use crate::detect::RuleIndex;
use crate::matches::Match;

/// Bins of evidence per timespan.
const BINS: i64 = 16;
/// Events kept as evidence per bin and group: all that a match shows can come from one.
const BIN_EVENTS_MAX: usize = 100;

/// Correlates matches. A pure function of what it is told: no clock, no I/O.
#[derive(Debug)]
pub struct Correlator {
    nodes: Vec<Node>,
    /// Per rule the correlations that refer to it, with the place in their lists.
    by_rule: Vec<Vec<(usize, u16)>>,
    streams: Streams,
    limits: CorrelationLimits,
    status: CorrelationStatus,
    /// Groups to be looked at, in the order of the correlations: those that others refer to come first.
    pending: BTreeSet<Waiting>,
}

impl Correlator {
    /// A correlator for the correlations of a rule set, which has `rules` rules.
    pub fn new(correlations: &[Arc<Correlation>], rules: usize, limits: CorrelationLimits) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        let mut by_rule = vec![Vec::new(); rules];
        for (index, correlation) in correlations.iter().enumerate() {
            let mut node = Node::new(correlation);
            for (place, reference) in (0u16..).zip(&correlation.rules) {
                match reference.target {
                    RuleTarget::Rule { index: rule, .. } => by_rule[rule].push((index, place)),
                    RuleTarget::Correlation { index: other, .. } => {
                        nodes[other].referred_by.push((index, place));
                        node.refers_to.insert(other);
                        node.refers_to.extend(&nodes[other].refers_to);
                        node.delay_us = node.delay_us.max(nodes[other].moment_delay_us());
                    }
                }
            }
            nodes.push(node);
        }
        let (streams, status) = (Streams::default(), CorrelationStatus::default());
        Self {
            nodes,
            by_rule,
            streams,
            limits,
            status,
            pending: BTreeSet::new(),
        }
    }

    /// Whether some correlation refers to the rule: matches of others need not be told.
    pub fn wants(&self, rule: RuleIndex) -> bool {
        self.by_rule
            .get(rule.as_usize())
            .is_some_and(|referred| !referred.is_empty())
    }

    /// How far back matches can matter to open windows, in microseconds before the latest event: after a
    /// restart, matches from there on are to be observed again.
    pub fn horizon_us(&self) -> i64 {
        let longest = self.nodes.iter().map(|node| {
            node.correlation
                .timespan_us
                .saturating_mul(3)
                .saturating_add(node.delay_us)
        });
        longest
            .max()
            .unwrap_or(0)
            .saturating_add(self.limits.lateness_us)
    }

    /// What it holds and what it had to let go.
    pub fn status(&self) -> CorrelationStatus {
        CorrelationStatus {
            groups: self.nodes.iter().map(|node| node.groups.len()).sum(),
            ..self.status
        }
    }

    /// Takes in a match. What it leads to is told by [`Correlator::drain`]. The same match again changes nothing.
    pub fn observe(&mut self, input: CorrelationInput<'_>) {
        if !self.wants(input.rule) {
            return;
        }
        let record = &input.event.record;
        let stream = self.streams.index(&record.agent, &record.stream);
        let time_us = input.event.event_time.as_micros();
        self.status.late += u64::from(self.streams.has_passed(stream, time_us));
        self.streams
            .advance(stream, time_us.saturating_sub(self.limits.lateness_us));
        let shown = Shown {
            event: Arc::clone(input.event),
            matched: input.matched.into(),
            extra: None,
            window: None,
        };
        let arriving = Arriving {
            time_us,
            origin: input.event.id.0,
            source: input.event.id.0,
            shown,
        };
        for place in 0..self.by_rule[input.rule.as_usize()].len() {
            let (node, position) = self.by_rule[input.rule.as_usize()][place];
            self.admit(node, position, arriving.clone(), &[stream]);
        }
    }

    /// Notes that a stream's events up to `latest` were seen. For a stream that is quiet, tell the time that
    /// it is known to be quiet until, or its last windows stay open.
    pub fn advance(&mut self, agent: &AgentId, stream: &StreamId, latest: Timestamp) {
        let stream = self.streams.index(agent, stream);
        self.streams.advance(
            stream,
            latest.as_micros().saturating_sub(self.limits.lateness_us),
        );
    }

    /// Appends the matches of correlations that hold by now: each when it first holds, and once more, with
    /// the same id, when nothing can change it any more, if its events have changed since.
    pub fn drain(&mut self, matches: &mut Vec<Match>) {
        let mut ready = Vec::new();
        self.streams.take_ready(&mut ready);
        self.pending.extend(ready);
        while let Some((node, key)) = self.pending.pop_first() {
            self.look_at(node, key, matches);
        }
    }

    /// What it holds, for another that goes on with it.
    pub(super) fn into_state(self) -> (Streams, BTreeSet<Waiting>, Vec<Node>) {
        (self.streams, self.pending, self.nodes)
    }

    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Goes on with these streams and groups to be looked at, and with the groups that its nodes have got.
    pub(super) fn take_state(
        &mut self,
        streams: Streams,
        pending: impl IntoIterator<Item = Waiting>,
        counted: CorrelationStatus,
    ) {
        self.streams = streams;
        self.pending.extend(pending);
        let groups = self.nodes.iter().flat_map(|node| node.groups.values());
        let held = groups.map(Group::held);
        let (entries, evidence_events) =
            held.fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
        self.status = CorrelationStatus {
            entries,
            evidence_events,
            ..counted
        };
    }

    /// Puts a match into its group.
    fn admit(&mut self, index: usize, position: u16, arriving: Arriving, streams: &[StreamIndex]) {
        let node = &mut self.nodes[index];
        let fields = &node.fields[usize::from(position)];
        let Some(values) = fields.group(&arriving.shown) else {
            return;
        };
        if self.status.entries >= self.limits.entries_max {
            self.status.entries_refused += 1;
            return;
        }
        let key = hash_texts(values.iter().map(AsRef::as_ref));
        let names = &node.correlation.group_by;
        let group = node.groups.entry(key).or_insert_with(|| {
            Group::new(
                names
                    .iter()
                    .zip(&values)
                    .map(|(name, value)| (name.to_string(), value.to_string()))
                    .collect(),
            )
        });
        let value = fields.value(&arriving.shown);
        let Arriving {
            time_us,
            origin,
            source,
            shown,
        } = arriving;
        for &stream in streams {
            if group.add_stream(stream, time_us) {
                *node.open_streams.entry(stream).or_insert(0) += 1;
            }
        }
        let is_referred_to = !node.referred_by.is_empty();
        let keep = is_referred_to || self.status.evidence_events < self.limits.evidence_events_max;
        let shown = keep.then_some(shown);
        let Some(at) = group.insert(Entry {
            time_us,
            position,
            origin,
            source,
            value,
            shown,
        }) else {
            return;
        };
        self.status.entries += 1;
        self.status.evidence_events += usize::from(keep);
        self.status.evidence_dropped += u64::from(!keep);
        // Correlations of this one read the fields of its events, so it keeps them all.
        if !is_referred_to
            && group.thin_evidence(
                at,
                (node.correlation.timespan_us / BINS).max(1),
                BIN_EVENTS_MAX,
            )
        {
            self.status.evidence_events -= 1;
            self.status.evidence_dropped += 1;
        }
        self.pending.insert((index, key));
    }

    /// Looks at what is new in a group: raises and settles alerts, passes moments on, lets go what is over.
    fn look_at(&mut self, index: usize, key: u128, matches: &mut Vec<Match>) {
        let node = &mut self.nodes[index];
        let Some(mut group) = node.groups.remove(&key) else {
            return;
        };
        let refers_to: Vec<usize> = node.refers_to.iter().copied().collect();
        let below = refers_to
            .iter()
            .flat_map(|&other| self.nodes[other].open_streams.keys().copied());
        let slowest = self.streams.slowest(group.streams().chain(below));
        let node = &mut self.nodes[index];
        let watermark_us = slowest
            .map_or(i64::MIN, |(_, watermark_us)| watermark_us)
            .saturating_sub(node.delay_us);
        let moments = node.new_moments(&mut group, watermark_us);
        node.raise(&mut group, &moments, matches);
        let passed_on = node.pass_on(&group, &moments);
        node.settle(&mut group, watermark_us, matches);
        let streams: Vec<StreamIndex> = group.streams().collect();
        let dropped = group.drop_before(node.needed_from_us(watermark_us));
        self.status.entries -= dropped.entries;
        self.status.evidence_events -= dropped.evidence_events;
        dropped
            .streams
            .iter()
            .for_each(|stream| node.close(*stream));
        if let Some(stream) = slowest.map(|slowest| slowest.0)
            && !group.entries.is_empty()
        {
            let due_us = node.due_us(&group).saturating_add(node.delay_us);
            if group.waits_for(stream, due_us) {
                self.streams.wait(stream, due_us, (index, key));
            }
        }
        if !group.entries.is_empty() || !group.raised.is_empty() {
            node.groups.insert(key, group);
        }
        for arriving in passed_on {
            for place in 0..self.nodes[index].referred_by.len() {
                let (other, position) = self.nodes[index].referred_by[place];
                self.admit(other, position, arriving.clone(), &streams);
            }
        }
    }
}
