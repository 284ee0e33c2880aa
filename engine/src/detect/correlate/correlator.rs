//! The correlator: matches in, matches of correlations out.

use std::collections::BTreeSet;
use std::sync::Arc;

use citywatch_parsers::{AgentId, StreamId, Timestamp};
use citywatch_rules::Correlation;
use citywatch_rules::correlation::RuleTarget;

use super::clusters::Clusters;
use super::entries::Entry;
use super::evidence::{Charge, Held, Kept, Shown};
use super::fields::{FieldLists, FieldNames};
use super::first::{Family, First};
use super::group::Group;
use super::input::{CorrelationInput, CorrelationLimits, CorrelationStatus};
use super::node::{Arrived, Arriving, Node};
use super::watermark::{FIRST_MATCH, StreamIndex, Streams, Waiting};
use crate::detect::RuleIndex;
use crate::matches::Match;

/// Bins of evidence per timespan.
const BINS: i64 = 16;
/// Events kept as evidence per bin and group: all that a match shows can come from one.
const BIN_EVENTS_MAX: usize = 100;
/// Groups or first matches that are fetched from memory together.
const FETCHED_AT_ONCE: usize = 16;
/// Of the bytes that may be held, evidence is no longer kept beyond this share: the rest is for groups.
const EVIDENCE_BYTES_SHARE: usize = 2;

/// Correlates matches. A pure function of what it is told: no clock, no I/O.
#[derive(Debug)]
pub struct Correlator {
    nodes: Vec<Node>,
    clusters: Clusters,
    /// Per rule the correlations that refer to it.
    by_rule: Vec<Vec<Family>>,
    lists: FieldLists,
    streams: Streams,
    limits: CorrelationLimits,
    status: CorrelationStatus,
    /// Groups that the first matches of their keys would have.
    groups_of_firsts: usize,
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
    pub(super) clusters: Clusters,
    pub(super) held: Arc<Held>,
}

impl Correlator {
    /// A correlator for the correlations of a rule set, which has `rules` rules.
    pub fn new(correlations: &[Arc<Correlation>], rules: usize, limits: CorrelationLimits) -> Self {
        let mut nodes: Vec<Node> = Vec::new();
        let mut by_rule: Vec<Vec<(usize, u16)>> = vec![Vec::new(); rules];
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
            clusters: Clusters::default(),
            by_rule: by_rule
                .into_iter()
                .map(|referred| families_of(&nodes, &referred))
                .collect(),
            pending: Pending {
                groups: vec![Vec::new(); nodes.len()],
                nodes: BTreeSet::new(),
            },
            nodes,
            lists,
            streams: Streams::default(),
            limits,
            status: CorrelationStatus::default(),
            groups_of_firsts: 0,
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
        let mut firsts = Vec::new();
        for (node, key) in self.streams.take_ready() {
            match node {
                FIRST_MATCH => firsts.push(key),
                _ => self.pending.add((node, key)),
            }
        }
        for keys in firsts.chunks(FETCHED_AT_ONCE) {
            self.clusters.fetch_firsts(keys);
            keys.iter().for_each(|key| self.drop_first(*key));
        }
        while let Some(node) = self.pending.nodes.pop_first() {
            // A correlation passes moments on only to those that come after it.
            let mut keys = std::mem::take(&mut self.pending.groups[node]);
            let below = self.nodes[node]
                .refers_to
                .iter()
                .flat_map(|&other| self.nodes[other].open_streams.keys().copied());
            let below = self.streams.slowest(below);
            for keys in keys.chunks(FETCHED_AT_ONCE) {
                self.clusters.fetch_groups(node, keys);
                for &key in keys {
                    self.look_at(node, key, below, matches);
                }
            }
            keys.clear();
            self.pending.groups[node] = keys;
        }
    }

    /// What it holds, for another that goes on with it.
    pub(super) fn into_state(mut self) -> State {
        // Which correlations wait for a second match is another question with other rules.
        for key in self.clusters.keys_with_first() {
            if let Some(first) = self.clusters.take_first(key, |_| true) {
                self.take_in(key, &first);
            }
        }
        State {
            streams: self.streams,
            pending: self.pending,
            nodes: self.nodes,
            clusters: self.clusters,
            held: self.held,
        }
    }

    pub(super) fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Goes on with these streams and groups to be looked at, and with the groups that its nodes have got.
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
            let nodes = &self.nodes;
            let is_needed = |index| {
                nodes
                    .iter()
                    .any(|node| node.open_streams.contains_key(&index))
            };
            for (node, key) in self.streams.forget(is_needed) {
                let Some(group) = self.clusters.group(node, key) else {
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

    /// Takes the match of a rule in for a family of correlations.
    fn arrive(
        &mut self,
        (rule, place): (RuleIndex, usize),
        arriving: &mut Arriving<'_>,
        stream: StreamIndex,
    ) {
        let family = &self.by_rule[rule.as_usize()][place];
        let (patient, eager) = (family.patient.len(), family.eager.len());
        let refused_before = self.status.entries_refused;
        let Some(key) = self.lists.hash(family.group_by, arriving.fields()) else {
            return;
        };
        if patient > 0 && !self.is_first(key, (rule, place), arriving, stream) {
            for member in 0..patient {
                let (node, position) = self.by_rule[rule.as_usize()][place].patient[member];
                self.admit((node, key), position, arriving, &[stream]);
            }
        }
        for member in 0..eager {
            let (node, position) = self.by_rule[rule.as_usize()][place].eager[member];
            self.admit((node, key), position, arriving, &[stream]);
        }
        if self.status.entries_refused > refused_before {
            self.clusters.tidy(key);
        }
    }

    /// Keeps a match as the first of its key, if it is, or was already. Otherwise the one that was the first so far
    /// goes into its groups, and this one shall as well.
    fn is_first(
        &mut self,
        key: u128,
        (rule, place): (RuleIndex, usize),
        arriving: &mut Arriving<'_>,
        stream: StreamIndex,
    ) -> bool {
        let family = &self.by_rule[rule.as_usize()][place];
        let cluster = self.clusters.at(key);
        if let Some(first) = &cluster.first {
            let is_same = (first.rule, first.time_us) == (rule.0, arriving.time_us)
                && first.kept.event.id.0 == arriving.origin;
            if !is_same && let Some(first) = cluster.first.take() {
                self.take_in(key, &first);
            }
            return is_same;
        }
        let nodes = || family.patient.iter().map(|&(node, _)| node);
        let leaves_us = nodes().map(|node| self.nodes[node].leaves_us(arriving.time_us));
        let (soonest_us, due_us) = leaves_us.fold((i64::MAX, i64::MIN), |(soonest, latest), at| {
            (soonest.min(at), latest.max(at))
        });
        let is_late = self.streams.watermark_us(stream) >= soonest_us;
        if is_late || cluster.has_group_of(nodes()) {
            cluster.fetch_groups();
            return false;
        }
        let groups = family.patient.len();
        let has_room = self.status.entries + groups <= self.limits.entries_max;
        let kept = has_room
            .then(|| keep_for_others(arriving, &self.held, &self.lists, self.limits))
            .flatten();
        let Some(Shown { kept, .. }) = kept else {
            self.status.entries_refused += groups as u64;
            return true;
        };
        let is_whole = kept.is_whole();
        cluster.first = Some(First {
            kept,
            time_us: arriving.time_us,
            due_us,
            stream,
            rule: rule.0,
            family: u32::try_from(place).expect("a rule has far fewer than 4 billion correlations"),
        });
        for (node, _) in &family.patient {
            let node = &mut self.nodes[*node];
            node.open(stream);
            let is_hidden = !is_whole && node.referred_by.is_empty();
            self.status.evidence_dropped += u64::from(is_hidden);
        }
        self.status.entries += groups;
        self.groups_of_firsts += groups;
        self.streams.wait(stream, due_us, (FIRST_MATCH, key));
        true
    }

    /// Puts a match that was the first of its key into its groups.
    fn take_in(&mut self, key: u128, first: &First) {
        self.let_go(first);
        let watermark_us = self.streams.watermark_us(first.stream);
        // What was read of the fields so far is another match's.
        self.lists.next_match();
        let mut arriving = Arriving {
            time_us: first.time_us,
            origin: first.kept.event.id.0,
            source: first.kept.event.id.0,
            what: Arrived::First(&first.kept),
        };
        for member in 0..self.family_of(first).patient.len() {
            let (node, position) = self.family_of(first).patient[member];
            if watermark_us < self.nodes[node].leaves_us(first.time_us) {
                self.admit((node, key), position, &mut arriving, &[first.stream]);
            }
        }
        self.lists.next_match();
    }

    /// Drops a match that was the only one of its key, if it is old.
    fn drop_first(&mut self, key: u128) {
        let streams = &self.streams;
        let is_old = |first: &First| streams.watermark_us(first.stream) >= first.due_us;
        if let Some(first) = self.clusters.take_first(key, is_old) {
            self.let_go(&first);
        }
    }

    fn let_go(&mut self, first: &First) {
        let family = &self.by_rule[first.rule as usize][first.family as usize];
        for (node, _) in &family.patient {
            self.nodes[*node].close(first.stream);
        }
        self.status.entries -= family.patient.len();
        self.groups_of_firsts -= family.patient.len();
    }

    fn family_of(&self, first: &First) -> &Family {
        &self.by_rule[first.rule as usize][first.family as usize]
    }

    /// Puts a match into a group.
    fn admit(
        &mut self,
        (index, key): Waiting,
        position: u16,
        arriving: &mut Arriving<'_>,
        streams: &[StreamIndex],
    ) {
        let node = &mut self.nodes[index];
        let fields = &node.fields[usize::from(position)];
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
        let group = self.clusters.group_or_insert(index, key, || {
            let values = fields.group_values(&self.lists, arriving.fields());
            let bytes = values.iter().map(|value| value.len());
            let charge = Charge::new(&self.held, size_of::<Group>() + bytes.sum::<usize>());
            Group::new(values, charge)
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
                node.open(stream);
            }
        }
        self.status.entries += 1;
        if is_referred_to {
            node.log(group, at);
        } else {
            let bin_us = (node.correlation.timespan_us / BINS).max(1);
            let shown = group
                .entries
                .is_shown(at, bin_us, BIN_EVENTS_MAX)
                .then(|| keep_as_evidence(arriving, &self.held, self.limits))
                .flatten();
            let is_hidden = match shown {
                Some(shown) => group.entries.show(at, shown, bin_us, BIN_EVENTS_MAX),
                None => true,
            };
            // That of a first match was counted when it came.
            let is_counted = matches!(arriving.what, Arrived::First(_));
            self.status.evidence_dropped += u64::from(is_hidden && !is_counted);
        }
        if node.is_told(group, at, arriving.time_us) {
            let due_us = node.due_us(group).saturating_add(node.delay_us);
            let is_woken = |&stream| is_woken(group, &self.streams, stream, due_us);
            if group.is_pending || streams.iter().any(is_woken) {
                return;
            }
        }
        group.mark(arriving.time_us);
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
    /// `below` is the slowest stream of the correlations that its own refers to.
    fn look_at(
        &mut self,
        index: usize,
        key: u128,
        below: Option<(StreamIndex, i64)>,
        matches: &mut Vec<Match>,
    ) {
        let node = &self.nodes[index];
        let Some(group) = self.clusters.group(index, key) else {
            return;
        };
        group.is_pending = false;
        let below = below.map(|(stream, _)| stream);
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
            if group.raised.first_unsettled().is_none() {
                self.clusters.remove_group(index, key);
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
                let fields = &self.nodes[other].fields[usize::from(position)];
                if let Some(key) = fields.group(&mut self.lists, arriving.fields()) {
                    self.admit((other, key), position, &mut arriving, &streams);
                }
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
        Arrived::First(kept) => kept.is_whole().then(|| Shown::new(kept, None)),
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
            kept.as_ref().map(|kept| Shown::new(kept, None))
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
    let (event, kept) = match &mut arriving.what {
        Arrived::Rule { event, kept, .. } => (event, kept),
        Arrived::First(kept) => return Some(Shown::new(kept, None)),
        Arrived::Moment(_) => return None,
    };
    if held.bytes() < limits.bytes_max {
        let fields_only = Kept::fields_only(held, event, |name| lists.reads(name));
        *kept = Some(Arc::new(fields_only));
    }
    kept.as_ref().map(|kept| Shown::new(kept, None))
}

/// The correlations that refer to a rule, by the fields that they group its matches by. One that an alias says nothing
/// to about the rule has no groups for them.
fn families_of(nodes: &[Node], referred: &[(usize, u16)]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for &(node, position) in referred {
        let Some(group_by) = nodes[node].fields[usize::from(position)].group_by() else {
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
        match nodes[node].is_patient() {
            true => family.patient.push((node, position)),
            false => family.eager.push((node, position)),
        }
    }
    families
}
