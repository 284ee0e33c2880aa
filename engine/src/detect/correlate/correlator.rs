//! The correlator: matches in, matches of correlations out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use citywatch_parsers::{AgentId, LogSource, StreamId, Timestamp};
use citywatch_rules::Correlation;
use citywatch_rules::correlation::{CorrelationKind, RuleTarget};

use super::alert::{Named, witnesses_in};
use super::fields::{FieldsOfRule, hash_texts};
use super::group::{Entry, Group, Shown};
use super::input::{CorrelationInput, CorrelationLimits, CorrelationStatus};
use super::tally::IdMap;
use super::watermark::{StreamIndex, Streams, Waiting};
use super::windows::{self, Moment, Step};
use crate::detect::RuleIndex;
use crate::detect::compile::info_of;
use crate::matches::{Match, RuleInfo};

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

/// A correlation with its groups.
#[derive(Debug)]
struct Node {
    correlation: Arc<Correlation>,
    info: Arc<RuleInfo>,
    /// By place in its list of rules.
    fields: Vec<FieldsOfRule>,
    groups: IdMap<Group>,
    /// Correlations that refer to this one, with the place in their lists.
    referred_by: Vec<(usize, u16)>,
    /// Correlations whose matches it is made of, directly and through others.
    refers_to: BTreeSet<usize>,
    /// How much later than their times its matches may come, because correlations that it refers to wait.
    delay_us: i64,
    /// The streams that its groups wait for, with the number of groups.
    open_streams: BTreeMap<StreamIndex, usize>,
}

/// A match on its way into a group.
#[derive(Clone)]
struct Arriving {
    time_us: i64,
    /// Which match it is.
    origin: u128,
    /// What counts as one event.
    source: u128,
    shown: Shown,
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

impl Node {
    fn new(correlation: &Arc<Correlation>) -> Self {
        let values = value_fields(&correlation.kind);
        let places = 0..correlation.rules.len();
        Self {
            info: Arc::new(info_of(&correlation.meta, LogSource::default(), true)),
            fields: places
                .map(|place| FieldsOfRule::new(correlation, &values, place))
                .collect(),
            groups: IdMap::default(),
            referred_by: Vec::new(),
            refers_to: BTreeSet::new(),
            delay_us: 0,
            open_streams: BTreeMap::new(),
            correlation: Arc::clone(correlation),
        }
    }

    /// A group waits for a stream no longer.
    fn close(&mut self, stream: StreamIndex) {
        if let Some(groups) = self.open_streams.get_mut(&stream) {
            *groups -= 1;
            if *groups == 0 {
                self.open_streams.remove(&stream);
            }
        }
    }

    fn named(&self) -> Named<'_> {
        Named {
            correlation: &self.correlation,
            info: &self.info,
        }
    }

    fn is_monotone(&self) -> bool {
        self.correlation.kind.is_monotone()
    }

    fn cell_of(&self, time_us: i64) -> i64 {
        time_us.div_euclid(self.correlation.timespan_us)
    }

    fn cell_start_us(&self, cell: i64) -> i64 {
        cell.saturating_mul(self.correlation.timespan_us)
    }

    /// How much later than their times its moments may come.
    fn moment_delay_us(&self) -> i64 {
        let own_us = if self.is_monotone() {
            0
        } else {
            self.correlation.timespan_us
        };
        self.delay_us.saturating_add(own_us)
    }

    /// The moments that are new, or may be. Of a cell that has raised its alert only those that others ask for.
    fn new_moments(&self, group: &mut Group, watermark_us: i64) -> Vec<Moment> {
        let mut moments = Vec::new();
        let dirty_from_us = group.dirty_from_us.take();
        if !self.is_monotone() {
            let judged_us = group.judged_until_us;
            let from_us = dirty_from_us.map_or(judged_us, |from| {
                judged_us.min(from.saturating_sub(self.correlation.timespan_us))
            });
            let until_us = watermark_us.saturating_sub(self.correlation.timespan_us);
            windows::full(&self.correlation, group, from_us..until_us, |moment| {
                moments.push(moment);
                Step::Next
            });
            group.judged_until_us = until_us.max(judged_us);
            return moments;
        }
        let Some(from_us) = dirty_from_us else {
            return moments;
        };
        let mut cursor = group.cursor.take();
        let passes_on = !self.referred_by.is_empty();
        let skip = |time_us: i64| {
            let cell = self.cell_of(time_us);
            (!passes_on && group.raised.contains_key(&cell)).then(|| self.cell_start_us(cell + 1))
        };
        windows::monotone(
            &self.correlation,
            group,
            from_us..i64::MAX,
            &mut cursor,
            skip,
            |moment| {
                moments.push(moment);
                let next_cell_us = self.cell_start_us(self.cell_of(moment.time_us) + 1);
                if passes_on {
                    Step::Next
                } else {
                    Step::SkipTo(next_cell_us)
                }
            },
        );
        group.cursor = cursor;
        moments
    }

    /// Raises the alerts of cells that have none.
    fn raise(&self, group: &mut Group, moments: &[Moment], matches: &mut Vec<Match>) {
        for moment in moments {
            let cell = self.cell_of(moment.time_us);
            if !group.raised.contains_key(&cell) {
                let (found, told) =
                    self.named()
                        .describe(group, cell, &[(moment.from_us, moment.time_us)]);
                group.raised.insert(cell, told);
                matches.push(found);
            }
        }
    }

    /// Tells once more of alerts that nothing can change any more, where their events have changed.
    fn settle(&self, group: &mut Group, watermark_us: i64, matches: &mut Vec<Match>) {
        let settled_before = self.settled_before(watermark_us);
        while let Some((&cell, &told)) = group.raised.first_key_value()
            && cell < settled_before
        {
            let (found, now) = self
                .named()
                .describe(group, cell, &self.windows_of(group, cell));
            if now != told {
                matches.push(found);
            }
            group.raised.remove(&cell);
        }
    }

    /// The windows of the moments in a cell.
    fn windows_of(&self, group: &Group, cell: i64) -> Vec<(i64, i64)> {
        let times_us = self.cell_start_us(cell)..self.cell_start_us(cell + 1);
        let mut found = Vec::new();
        let mut note = |moment: Moment| {
            if times_us.contains(&moment.time_us) {
                found.push((moment.from_us, moment.time_us));
            }
            Step::Next
        };
        if self.is_monotone() {
            windows::monotone(
                &self.correlation,
                group,
                times_us.clone(),
                &mut None,
                |_| None,
                note,
            );
        } else {
            let starts_us = self.cell_start_us(cell - 1)..times_us.end;
            windows::full(&self.correlation, group, starts_us, &mut note);
        }
        merge(found)
    }

    /// Moments as matches of this correlation, for those that refer to it.
    fn pass_on(&self, group: &Group, moments: &[Moment]) -> Vec<Arriving> {
        let mut passed_on = Vec::new();
        if self.referred_by.is_empty() {
            return passed_on;
        }
        for moment in moments {
            let alert = self.named().alert_id(group, self.cell_of(moment.time_us)).0;
            let window: Arc<[_]> = witnesses_in(group, &[(moment.from_us, moment.time_us)]).into();
            let at_moment =
                group.first_at(moment.time_us)..group.first_at(moment.time_us.saturating_add(1));
            for entry in group.entries.range(at_moment) {
                let Some(shown) = &entry.shown else { continue };
                let shown = Shown {
                    extra: Some(with_group(shown.extra.as_deref(), &group.values)),
                    window: Some(Arc::clone(&window)),
                    ..shown.clone()
                };
                let origin = entry.origin ^ alert.rotate_left(64) ^ u128::from(entry.position);
                passed_on.push(Arriving {
                    time_us: moment.time_us,
                    origin,
                    source: alert,
                    shown,
                });
            }
        }
        passed_on
    }

    /// Cells before this one are settled.
    fn settled_before(&self, watermark_us: i64) -> i64 {
        let cell = self.cell_of(watermark_us);
        if self.is_monotone() {
            cell
        } else {
            cell.saturating_sub(1)
        }
    }

    /// Entries before this time take part in no window that is open.
    fn needed_from_us(&self, watermark_us: i64) -> i64 {
        self.cell_start_us(self.settled_before(watermark_us).saturating_sub(1))
    }

    /// The watermark at which the group must be looked at again.
    fn due_us(&self, group: &Group) -> i64 {
        let settles_us =
            |cell: i64| self.cell_start_us(cell + if self.is_monotone() { 1 } else { 2 });
        let settling = group.raised.keys().next().map(|&cell| settles_us(cell));
        let leaving = group
            .entries
            .front()
            .map(|entry| settles_us(self.cell_of(entry.time_us) + 1));
        let judged =
            (!self.is_monotone()).then(|| group.entries.get(group.first_at(group.judged_until_us)));
        let judging = judged.flatten().map(|entry| {
            entry
                .time_us
                .saturating_add(self.correlation.timespan_us)
                .saturating_add(1)
        });
        [settling, leaving, judging]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(i64::MAX)
    }
}

/// The condition's fields.
fn value_fields(kind: &CorrelationKind) -> Vec<&str> {
    match kind {
        CorrelationKind::ValueCount { fields, .. } => fields.iter().map(AsRef::as_ref).collect(),
        CorrelationKind::ValueSum { field, .. }
        | CorrelationKind::ValueAvg { field, .. }
        | CorrelationKind::ValuePercentile { field, .. } => vec![field],
        CorrelationKind::EventCount { .. }
        | CorrelationKind::Temporal { .. }
        | CorrelationKind::TemporalOrdered { .. }
        | CorrelationKind::TemporalExtended { .. } => Vec::new(),
    }
}

/// What earlier correlations of a chain added, and this one's group-by names with their values, which win.
fn with_group(
    extra: Option<&[(String, String)]>,
    group: &[(String, String)],
) -> Arc<[(String, String)]> {
    let kept = extra
        .unwrap_or_default()
        .iter()
        .filter(|(name, _)| group.iter().all(|(other, _)| other != name));
    kept.chain(group).cloned().collect()
}

/// Windows that overlap as one. They come in the order of their beginnings.
fn merge(windows: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from_us, to_us) in windows {
        match merged.last_mut() {
            Some(last) if from_us <= last.1 => last.1 = last.1.max(to_us),
            _ => merged.push((from_us, to_us)),
        }
    }
    merged
}
