//! Correlations over files: matches are gathered while files are read, and correlated in event time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use citywatch_engine::detect::{
    CorrelationInput, CorrelationLimits, Correlator, FieldNames, RuleHit, RuleIndex,
};
use citywatch_engine::{EventId, EventSnapshot, Match, MatchId, MatchedField, RuleInfo};
use citywatch_parsers::{AgentId, Event, RecordId, StreamId, Timestamp};
use citywatch_rules::RuleSet;
use citywatch_rules::rule::Alerts;

use super::blocks::Source;

/// Matches that are sorted at once; where there are more, those that are older than the newest by
/// more than the lateness bound go on first.
const GATHERED_MAX: usize = 1_000_000;
/// A record's number shares a word with its file's: so many bits are the record's.
const RECORD_BITS: u32 = 40;

/// What of an event correlations need.
#[derive(Debug)]
pub struct Wanted {
    rules: Vec<bool>,
    fields: FieldNames,
}

/// What tells an event from all others that are correlated.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Its id.
    pub id: EventId,
    /// Its place among all that is read; what [`Correlated`] tells as file and record.
    pub place: u64,
}

/// A match of a rule that a correlation refers to.
#[derive(Debug)]
pub struct Gathered {
    rule: RuleIndex,
    event: Arc<EventSnapshot>,
}

impl Wanted {
    /// What the correlations of `set` read.
    pub fn of(set: &RuleSet) -> Self {
        let correlator = Correlator::new(
            &set.correlations,
            set.rules.len(),
            CorrelationLimits::default(),
        );
        let rules = (0u32..).take(set.rules.len());
        Self {
            rules: rules
                .map(|rule| correlator.wants(RuleIndex(rule)))
                .collect(),
            fields: correlator.fields_read(),
        }
    }

    /// Whether a correlation refers to the rule.
    pub fn wants(&self, rule: RuleIndex) -> bool {
        self.rules[rule.as_usize()]
    }

    /// The matches among `hits` that correlations refer to.
    pub fn gather(
        &self,
        event: &Event<'_>,
        hits: &[RuleHit],
        source: &Source,
        gathered: &mut Vec<Gathered>,
    ) {
        let position = event.record.position;
        let identity = || Identity {
            id: EventId::of("eval", &source.name, position, event.sub_index),
            place: source.index << RECORD_BITS | position,
        };
        self.gather_as(event, hits, identity, gathered);
    }

    /// The same of an event with an identity of its own.
    pub fn gather_as(
        &self,
        event: &Event<'_>,
        hits: &[RuleHit],
        identity: impl Fn() -> Identity,
        gathered: &mut Vec<Gathered>,
    ) {
        let mut snapshot = None;
        for hit in hits.iter().filter(|hit| self.wants(hit.rule)) {
            let event = snapshot.get_or_insert_with(|| Arc::new(self.snapshot(event, identity())));
            gathered.push(Gathered {
                rule: hit.rule,
                event: Arc::clone(event),
            });
        }
    }

    /// Only what correlations read, and as position the place among all that is read.
    fn snapshot(&self, event: &Event<'_>, identity: Identity) -> EventSnapshot {
        let record = RecordId {
            agent: AgentId::default(),
            stream: StreamId::default(),
            position: identity.place,
        };
        EventSnapshot::of_few(event, identity.id, record, |name| {
            self.fields.contains(name)
        })
    }
}

/// A correlation that holds, as it is told.
#[derive(Debug)]
pub struct Correlated {
    /// The correlation.
    pub rule: Arc<RuleInfo>,
    /// File of the last event, by [`Source::index`].
    pub file: u64,
    /// Its record's number.
    pub record: u64,
    /// Its time.
    pub event_time: Timestamp,
    /// The group-by names with their values.
    pub group: Vec<(String, String)>,
}

/// Gathers matches and correlates them.
#[derive(Debug)]
pub struct Correlating {
    correlator: Correlator,
    lateness_us: i64,
    gathered: Vec<Gathered>,
    /// Times and places of what the correlator was told, in order of time.
    told: Vec<(i64, u64)>,
    /// What holds, as last heard of.
    held: HashMap<MatchId, (usize, Match)>,
    silent: HashSet<String>,
}

impl Correlating {
    /// For the correlations of `set`.
    pub fn new(set: &RuleSet) -> Self {
        let limits = CorrelationLimits::default();
        let silent = set.correlations.iter();
        let silent = silent.filter(|correlation| correlation.meta.alerts == Alerts::OnlyCorrelated);
        Self {
            correlator: Correlator::new(&set.correlations, set.rules.len(), limits),
            lateness_us: limits.lateness_us,
            gathered: Vec::new(),
            told: Vec::new(),
            held: HashMap::new(),
            silent: silent
                .map(|correlation| correlation.meta.id.to_string())
                .collect(),
        }
    }

    /// Takes in what was gathered from a block.
    pub fn add(&mut self, gathered: &mut Vec<Gathered>) {
        self.gathered.append(gathered);
        if self.gathered.len() >= GATHERED_MAX {
            self.sort();
            let newest_us = self.gathered.last().map_or(0, Gathered::time_us);
            let until_us = newest_us.saturating_sub(self.lateness_us);
            let on_time = self.gathered.partition_point(|g| g.time_us() < until_us);
            // With everything within the bound there is no better order than this one.
            let count = if on_time == 0 {
                self.gathered.len()
            } else {
                on_time
            };
            self.tell(count);
        }
    }

    /// Settles everything, and returns what holds in the order of its last events; with it how many
    /// matches had no room.
    pub fn finish(mut self) -> (Vec<Correlated>, u64) {
        self.sort();
        self.tell(self.gathered.len());
        let newest_us = self.told.last().map_or(0, |(time_us, _)| *time_us);
        // Beyond every window, however correlations are chained.
        let end_us = newest_us
            .saturating_add(self.correlator.horizon_us().saturating_mul(8))
            .saturating_add(self.lateness_us);
        let (agent, stream) = (AgentId::default(), StreamId::default());
        if !self.told.is_empty() {
            self.correlator.advance(&agent, &stream, Timestamp(end_us));
        }
        self.drain();
        let refused = self.correlator.status().entries_refused;
        let held = std::mem::take(&mut self.held);
        let mut held: Vec<(usize, Match)> = held
            .into_values()
            .filter(|(_, found)| !self.silent.contains(&found.rule.id))
            .collect();
        held.sort_by(|(first, a), (second, b)| (a.event_time, first).cmp(&(b.event_time, second)));
        let told = held.into_iter().map(|(_, found)| {
            let position = self.last_position(&found);
            Correlated {
                rule: found.rule,
                file: position >> RECORD_BITS,
                record: position & ((1 << RECORD_BITS) - 1),
                event_time: found.event_time,
                group: found.group,
            }
        });
        (told.collect(), refused)
    }

    fn sort(&mut self) {
        self.gathered
            .sort_by_key(|g| (g.time_us(), g.event.record.position, g.event.id, g.rule));
    }

    fn tell(&mut self, count: usize) {
        let matched: Arc<[MatchedField]> = Arc::from([]);
        for gathered in self.gathered.drain(..count) {
            self.told
                .push((gathered.time_us(), gathered.event.record.position));
            self.correlator.observe(CorrelationInput {
                rule: gathered.rule,
                event: &gathered.event,
                matched: &matched,
            });
            // What holds is heard of while its evidence is there.
            let mut found = Vec::new();
            self.correlator.drain(&mut found);
            hold(&mut self.held, found);
        }
    }

    fn drain(&mut self) {
        let mut found = Vec::new();
        self.correlator.drain(&mut found);
        hold(&mut self.held, found);
    }

    /// The place of the match's last event. A match shows a bounded number of its events; where the
    /// last is not among them, it is found by its time.
    fn last_position(&self, found: &Match) -> u64 {
        let shown = found.evidence.last().map(|evidence| &evidence.event);
        if let Some(event) = shown.filter(|event| event.event_time == found.event_time) {
            return event.record.position;
        }
        let after = self
            .told
            .partition_point(|(time_us, _)| *time_us <= found.event_time.as_micros());
        after.checked_sub(1).map_or(0, |index| self.told[index].1)
    }
}

impl Gathered {
    fn time_us(&self) -> i64 {
        self.event.event_time.as_micros()
    }
}

fn hold(held: &mut HashMap<MatchId, (usize, Match)>, found: Vec<Match>) {
    for found in found {
        let next = held.len();
        match held.get_mut(&found.id) {
            Some(known) => known.1 = found,
            None => {
                held.insert(found.id, (next, found));
            }
        }
    }
}
