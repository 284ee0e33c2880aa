//! A worker thread: parses the records of its streams, matches the events, makes their rows.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_collector::{Receipt, frame};
use citywatch_parsers::{Event, ParseContext, Parser, Record, RecordBatch, Timestamp};
use tokio::sync::mpsc;

use super::block::day_of;
use super::dispatch::Assigned;
use super::positions::StreamKey;
use super::rules::LoadedRules;
use super::status::StatusHandle;
use crate::detect::{Matcher, RuleHit, RuleIndex};
use crate::matches::{EventId, EventSnapshot, Evidence, Match, MatchId};
use crate::store::{DeadLetterRow, EventRow};

/// A match with the rule that made it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) rule: RuleIndex,
    pub(super) found: Match,
}

/// A delivery after parsing and matching.
#[derive(Debug)]
pub(super) struct Processed {
    pub(super) stream: StreamKey,
    pub(super) events: Vec<EventRow>,
    pub(super) dead_letters: Vec<DeadLetterRow>,
    pub(super) matches: Vec<Found>,
    /// Newest event time in it, for the stream's watermark.
    pub(super) newest_event: Option<Timestamp>,
    /// Matches that the store has although their events are not stored yet.
    pub(super) matches_ahead: Arc<HashSet<MatchId>>,
    /// Bytes of its records.
    pub(super) bytes: usize,
    pub(super) receipt: Receipt,
}

impl Processed {
    /// Earliest day of receipt among its rows.
    pub(super) fn oldest_day(&self) -> Option<i64> {
        let events = self
            .events
            .iter()
            .map(|row| day_of(Timestamp(row.received_at)));
        let dead_letters = self
            .dead_letters
            .iter()
            .map(|row| day_of(Timestamp(row.received_at)));
        events.chain(dead_letters).min()
    }
}

/// One thread's tools; they keep their buffers from batch to batch.
pub(super) struct Worker {
    rules: Arc<LoadedRules>,
    matcher: Matcher,
    parser: Parser,
    arena: Bump,
    status: StatusHandle,
}

impl Worker {
    pub(super) fn new(
        context: &ParseContext,
        rules: &Arc<LoadedRules>,
        status: StatusHandle,
    ) -> Self {
        Self {
            matcher: rules.compiled().matcher(),
            rules: Arc::clone(rules),
            parser: Parser::new(context.clone()),
            arena: Bump::new(),
            status,
        }
    }

    /// Works until there is no more to come or nobody to give it to.
    pub(super) fn run(
        mut self,
        mut assigned: mpsc::Receiver<Assigned>,
        processed: &mpsc::Sender<Processed>,
    ) {
        while let Some(work) = assigned.blocking_recv() {
            let result = self.process(work);
            if processed.blocking_send(result).is_err() {
                return;
            }
        }
    }

    fn process(&mut self, Assigned { delivery, known }: Assigned) -> Processed {
        let batch = delivery.batch;
        let mut processed = Processed {
            stream: StreamKey::of(&batch.origin),
            events: Vec::with_capacity(batch.len()),
            dead_letters: Vec::new(),
            matches: Vec::new(),
            newest_event: None,
            matches_ahead: known.matches_ahead,
            bytes: batch.bytes(),
            receipt: delivery.receipt,
        };
        let fresh = |record: &Record<'_>| {
            known
                .position
                .is_none_or(|position| record.position > position)
        };
        let known_count = batch.iter().filter(|record| !fresh(record)).count();
        self.status.records_known(known_count);
        if &*batch.origin.format == frame::UNDECODABLE {
            bury(&batch, known_count, &mut processed);
        } else {
            self.read_batch(&batch, known_count, &mut processed);
        }
        self.status.events(processed.events.len());
        self.status.dead_letters(processed.dead_letters.len());
        self.status.matches(processed.matches.len());
        processed
    }

    /// Reads the records after the first `skip`. Positions grow within a batch, so those that the
    /// store has are its first ones.
    fn read_batch(&mut self, batch: &RecordBatch, skip: usize, processed: &mut Processed) {
        for record in batch.iter().skip(skip) {
            let rows = processed.events.len();
            let matches = processed.matches.len();
            // A record that makes a parser or a matcher panic is a fault of ours that must not
            // stop the stream: it is kept with its bytes, and the panic's message is in the log.
            let outcome = catch_unwind(AssertUnwindSafe(|| self.read_record(record, processed)));
            if outcome.is_err() {
                processed.events.truncate(rows);
                processed.matches.truncate(matches);
                self.matcher = self.rules.compiled().matcher();
                processed.dead_letters.push(DeadLetterRow::from_record(
                    &record,
                    "internal_error",
                    "the engine failed on this record; its log has the place",
                ));
            }
            self.arena.reset();
        }
    }

    fn read_record(&mut self, record: Record<'_>, processed: &mut Processed) {
        let Self {
            rules,
            matcher,
            parser,
            arena,
            status,
        } = self;
        let mut events: Vec<Event<'_>> = Vec::with_capacity(1);
        parser.parse_record(record, arena, &mut events);
        let mut hits = Vec::new();
        for event in &events {
            let origin = record.origin;
            let id = EventId::of(
                origin.agent.as_str(),
                origin.stream.as_str(),
                record.position,
                event.sub_index,
            );
            hits.clear();
            matcher.match_event(event, &mut hits);
            add_matches(rules, event, id, &mut hits, &mut processed.matches);
            processed.newest_event = processed.newest_event.max(Some(event.event_time));
            processed.events.push(EventRow::from_event(event, id));
            status.events_with_problems(usize::from(!event.problems.is_empty()));
            for problem in &event.problems {
                metrics::counter!("citywatch_parse_problems_total", "kind" => problem.kind.name(), "format" => event.format)
                    .increment(1);
            }
        }
    }
}

/// Frames that the transport could not decode are kept as they came.
fn bury(batch: &RecordBatch, skip: usize, processed: &mut Processed) {
    let reason =
        "the transport delivered a frame that cannot be decoded: damaged, or not one of ours";
    let rows = batch
        .iter()
        .skip(skip)
        .map(|record| DeadLetterRow::from_record(&record, "undecodable", reason));
    processed.dead_letters.extend(rows);
}

fn add_matches(
    rules: &LoadedRules,
    event: &Event<'_>,
    id: EventId,
    hits: &mut Vec<RuleHit>,
    matches: &mut Vec<Found>,
) {
    if hits.is_empty() {
        return;
    }
    let snapshot = Arc::new(EventSnapshot::of(event, id));
    for hit in hits.drain(..) {
        let rule = rules.compiled().info(hit.rule);
        matches.push(Found {
            rule: hit.rule,
            found: Match {
                id: MatchId::of_event(&rule.id, id),
                rule: Arc::clone(rule),
                unit: snapshot.unit.clone(),
                host: snapshot.host.clone(),
                event_time: snapshot.event_time,
                group: Vec::new(),
                window: None,
                evidence: vec![Evidence {
                    event: Arc::clone(&snapshot),
                    matched: hit.matched,
                }],
                event_count: 1,
            },
        });
    }
}
