//! What correlation rules cost of the throughput: the same lane with and without them, in one run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bumpalo::Bump;
use citywatch_engine::detect::{
    Compiled, CorrelationInput, CorrelationLimits, Correlator, FieldNames, LogSourceMode, Matcher,
    RuleHit, RuleIndex,
};
use citywatch_engine::{EventId, EventSnapshot, Evidence, Match, MatchId, MatchedField};
use citywatch_parsers::{Event, ParseContext, Parser, RecordId};
use citywatch_rules::{Correlation, RuleSet};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::Options;
use crate::corpus::{self, Corpus};
use crate::lanes;
use crate::process::cpu_s;

/// The rules on SSH: five correlations, three of them read the rule that the lane's events match, one of
/// those is read by another.
const SSH_RULES: &str = "../rules/library/linux/ssh";
/// All rules of our own.
const ALL_RULES: &str = "../rules/library";
/// Correlation rules may cost at most this share of the throughput.
const GOAL_COST: f64 = 0.2;

/// What is made of an event that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Its fields that correlations read, and nothing where there are no correlations: as in `rules eval`.
    FieldsRead,
    /// All of it, as evidence, with and without correlations: as in the pipeline.
    Whole,
}

/// SigmaHQ's rules and those of a folder of ours, which has correlations among them.
struct Rules {
    set: RuleSet,
    compiled: Arc<Compiled>,
}

impl Rules {
    fn with(ours: &str) -> Result<Self> {
        let mut directories = corpus::rule_directories(&[]);
        directories.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(ours));
        let set = corpus::rules(&directories)?;
        ensure!(!set.correlations.is_empty(), "{ours} holds no correlation");
        let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Strict)?);
        Ok(Self { set, compiled })
    }

    fn told(&self) -> Value {
        json!({ "rules": self.set.rules.len(), "correlations": self.set.correlations.len() })
    }

    /// What the correlations cost of a corpus.
    fn cost_over(&self, corpus: &Corpus, options: &Options) -> Value {
        let mut measured = json!({ "events": corpus.records, "corpus_sha256": corpus.hash });
        for (name, kept) in [
            ("fields_read_kept", Kept::FieldsRead),
            ("whole_events_kept", Kept::Whole),
        ] {
            let mut found = [Found::default(); 2];
            let mut seconds = [Vec::new(), Vec::new()];
            // Taken in turn, so that a change of the machine's speed falls on both; the first pair warms up.
            for run in 0..=options.runs.max(1) {
                let choices = [&[][..], &self.set.correlations[..]];
                for (with, correlations) in choices.into_iter().enumerate() {
                    let mut pass = Run::new(self, correlations, kept, options.batch_records);
                    let begin = cpu_s(libc::RUSAGE_SELF);
                    pass.over(corpus);
                    if run > 0 {
                        seconds[with].push(cpu_s(libc::RUSAGE_SELF) - begin);
                    }
                    found[with] = pass.keeping.found;
                }
            }
            let events = corpus.records as f64;
            let [without_s, with_s] = seconds.map(|mut seconds| {
                seconds.sort_by(f64::total_cmp);
                seconds[seconds.len() / 2]
            });
            let observed = found[1].observed;
            measured[name] = json!({
                "events_per_s_without": (events / without_s).round(),
                "events_per_s_with": (events / with_s).round(),
                "throughput_lost": 1.0 - without_s / with_s,
                "us_per_match_read": (with_s - without_s) / observed.max(1) as f64 * 1e6,
                "matches_read": observed,
                "correlation_matches": found[1].correlated,
            });
        }
        measured
    }
}

/// A lane of syslog with so many percent of failed sign-ins, at each share, with and without correlation rules.
pub(super) fn of_sign_ins(options: &Options) -> Result<Value> {
    let rules = Rules::with(SSH_RULES)?;
    let mut shares = Vec::new();
    for &share in &options.shares {
        let corpus = lanes::failed_sign_ins(&options.making, share)?;
        eprintln!("{share}% of {} events", corpus.records);
        let mut measured = rules.cost_over(&corpus, options);
        measured["share_percent"] = json!(share);
        shares.push(measured);
    }
    let mut measured = rules.told();
    measured["batch_records"] = json!(options.batch_records);
    measured["goal_throughput_lost"] = json!(GOAL_COST);
    measured["shares"] = json!(shares);
    Ok(measured)
}

/// The lanes of matching, as they are, with and without all correlations of the library.
pub(super) fn of_lanes(options: &Options) -> Result<Value> {
    let rules = Rules::with(ALL_RULES)?;
    let scorer = crate::matching::Scorer::new(&rules.set)?;
    let mut measured = rules.told();
    measured["batch_records"] = json!(options.batch_records);
    measured["goal_throughput_lost"] = json!(GOAL_COST);
    for &lane in &options.lanes {
        let corpus = lanes::make(lane, &options.making, &scorer)?;
        eprintln!("{}: {} events", lane.name(), corpus.records);
        measured["lanes"][lane.name()] = rules.cost_over(&corpus, options);
    }
    Ok(measured)
}

#[derive(Clone, Copy, Debug, Default)]
struct Found {
    observed: u64,
    correlated: u64,
}

/// One pass over the lane.
struct Run {
    parser: Parser,
    matcher: Matcher,
    arena: Bump,
    batch_records: usize,
    keeping: Keeping,
}

impl Run {
    fn new(
        rules: &Rules,
        correlations: &[Arc<Correlation>],
        kept: Kept,
        batch_records: usize,
    ) -> Self {
        let limits = CorrelationLimits::default();
        let correlator = Correlator::new(correlations, rules.set.rules.len(), limits);
        Self {
            // The lane's clocks are seven hours ahead, and half of its lines do not say so.
            parser: Parser::new(ParseContext {
                default_zone: TimeZone::fixed(jiff::tz::offset(7)),
                ..ParseContext::default()
            }),
            matcher: rules.compiled.matcher(),
            arena: Bump::new(),
            batch_records,
            keeping: Keeping {
                read: correlator.fields_read(),
                correlates: !correlations.is_empty(),
                correlator,
                kept,
                found: Found::default(),
                matches: Vec::new(),
                gathered: Vec::new(),
                nothing: Arc::from([]),
            },
        }
    }

    fn over(&mut self, corpus: &Corpus) {
        let (mut hits, mut told) = (Vec::new(), Vec::new());
        let mut records = 0;
        for batch in &corpus.batches {
            let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.len());
            self.parser.parse_batch(batch, &self.arena, &mut events);
            for event in &events {
                hits.clear();
                self.matcher.match_event(event, &mut hits);
                if !hits.is_empty() {
                    self.keeping.take(self.matcher.compiled(), event, &hits);
                }
            }
            drop(events);
            self.arena.reset();
            records += batch.len();
            if records >= self.batch_records {
                records = 0;
                self.keeping.correlate(&mut told);
            }
        }
        self.keeping.correlate(&mut told);
    }
}

/// What is made of the events that rules match.
struct Keeping {
    correlator: Correlator,
    correlates: bool,
    read: FieldNames,
    kept: Kept,
    found: Found,
    /// The matches of a batch, whole.
    matches: Vec<(RuleIndex, Match)>,
    /// The same with the fields alone that correlations read.
    gathered: Vec<(RuleIndex, Arc<EventSnapshot>)>,
    nothing: Arc<[MatchedField]>,
}

impl Keeping {
    fn take(&mut self, compiled: &Compiled, event: &Event<'_>, hits: &[RuleHit]) {
        match self.kept {
            Kept::Whole => self.keep_whole(compiled, event, hits),
            Kept::FieldsRead => self.keep_read(event, hits),
        }
    }

    fn keep_whole(&mut self, compiled: &Compiled, event: &Event<'_>, hits: &[RuleHit]) {
        let id = event_id(event);
        let snapshot = Arc::new(EventSnapshot::of(event, id));
        for hit in hits {
            let rule = compiled.info(hit.rule);
            let evidence = Evidence {
                event: Arc::clone(&snapshot),
                matched: hit.matched.fields(event).into(),
            };
            let found = Match {
                id: MatchId::of_event(&rule.id, id),
                rule: Arc::clone(rule),
                unit: snapshot.unit.clone(),
                host: snapshot.host.clone(),
                event_time: snapshot.event_time,
                group: Vec::new(),
                window: None,
                evidence: vec![evidence],
                event_count: 1,
            };
            self.matches.push((hit.rule, found));
        }
    }

    fn keep_read(&mut self, event: &Event<'_>, hits: &[RuleHit]) {
        let mut snapshot = None;
        for hit in hits {
            if self.correlates && self.correlator.wants(hit.rule) {
                let event =
                    snapshot.get_or_insert_with(|| Arc::new(fields_read(event, &self.read)));
                self.gathered.push((hit.rule, Arc::clone(event)));
            }
        }
    }

    /// Tells the correlator of a batch once all of it is matched, as the pipeline's writer does.
    fn correlate(&mut self, told: &mut Vec<Match>) {
        let (correlator, found) = (&mut self.correlator, &mut self.found);
        if self.correlates {
            let gathered = self.gathered.iter();
            let gathered = gathered.map(|(rule, event)| (*rule, event, &self.nothing));
            let whole = self.matches.iter().map(|(rule, whole)| {
                let evidence = &whole.evidence[0];
                (*rule, &evidence.event, &evidence.matched)
            });
            for (rule, event, matched) in gathered.chain(whole) {
                found.observed += u64::from(correlator.wants(rule));
                correlator.observe(CorrelationInput {
                    rule,
                    event,
                    matched,
                });
            }
            correlator.drain(told);
            found.correlated += told.drain(..).count() as u64;
        }
        std::hint::black_box(&self.matches);
        self.matches.clear();
        self.gathered.clear();
    }
}

fn event_id(event: &Event<'_>) -> EventId {
    let record = &event.record;
    EventId::of(
        record.origin.agent.as_str(),
        record.origin.stream.as_str(),
        record.position,
        event.sub_index,
    )
}

/// Only these fields.
fn fields_read(event: &Event<'_>, read: &FieldNames) -> EventSnapshot {
    let origin = event.record.origin;
    let record = RecordId {
        agent: origin.agent.clone(),
        stream: origin.stream.clone(),
        position: event.record.position,
    };
    EventSnapshot::of_few(event, event_id(event), record, |name| read.contains(name))
}
