//! A worker thread: parses the records of its streams, matches the events, makes their rows.

use std::collections::HashSet;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_collector::{Receipt, frame};
use citywatch_parsers::{
    Definitions, Event, Origin, ParseContext, Parser, Record, RecordBatch, Timestamp,
};
use tokio::sync::{mpsc, watch};

use super::block::day_of;
use super::clock::ClockBounds;
use super::costs::Sample;
use super::dispatch::Assigned;
use super::positions::{InFlight, StreamKey};
use super::rules::{CurrentRules, LoadedRules};
use super::status::StatusHandle;
use crate::detect::{Matcher, RuleHit, RuleIndex};
use crate::matches::{EventId, EventSnapshot, Evidence, Match, MatchId};
use crate::store::{DeadLetterRow, EventRow};

/// What is parsed before it is matched.
const RECORDS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: u32 = 128 << 10;

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
    /// Where its records came from.
    pub(super) origin: Arc<Origin>,
    /// The rules that its events were matched by.
    pub(super) rules: Arc<LoadedRules>,
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
    /// Held until its rows are stored or dropped.
    pub(super) in_flight: InFlight,
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
    rules: CurrentRules,
    matcher: Matcher,
    parser: Parser,
    definitions: watch::Receiver<Definitions>,
    arena: Bump,
    sample: Sample,
    clock: ClockBounds,
    status: StatusHandle,
}

impl Worker {
    pub(super) fn new(
        context: &ParseContext,
        rules: CurrentRules,
        mut definitions: watch::Receiver<Definitions>,
        status: StatusHandle,
    ) -> Self {
        let mut parser = Parser::new(context.clone());
        parser.set_definitions(definitions.borrow_and_update().clone());
        Self {
            matcher: rules.get().compiled().matcher(),
            rules,
            parser,
            definitions,
            arena: Bump::new(),
            sample: Sample::default(),
            clock: ClockBounds::of(context),
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
            if self.definitions.has_changed().unwrap_or(false) {
                self.parser
                    .set_definitions(self.definitions.borrow_and_update().clone());
            }
            let result = self.process(work);
            if processed.blocking_send(result).is_err() {
                return;
            }
        }
    }

    fn process(&mut self, Assigned { delivery, known }: Assigned) -> Processed {
        if self.rules.catch_up() {
            self.matcher = self.rules.get().compiled().matcher();
        }
        let batch = delivery.batch;
        let mut processed = Processed {
            stream: StreamKey::of(&batch.origin),
            origin: Arc::clone(&batch.origin),
            rules: Arc::clone(self.rules.get()),
            events: Vec::with_capacity(batch.len()),
            dead_letters: Vec::new(),
            matches: Vec::new(),
            newest_event: None,
            matches_ahead: known.matches_ahead,
            bytes: batch.bytes(),
            receipt: delivery.receipt,
            in_flight: known.in_flight,
        };
        let fresh = |record: &Record<'_>| {
            known
                .position
                .is_none_or(|position| record.position > position)
        };
        let known_count = batch.iter().filter(|record| !fresh(record)).count();
        self.status.records_known(known_count);
        self.status.taps().records(&batch);
        if frame::is_transports_own(&batch.origin.format) {
            bury(&batch, known_count, &mut processed);
        } else {
            self.read_batch(&batch, known_count, &mut processed);
        }
        self.status.events(processed.events.len());
        self.status.dead_letters(processed.dead_letters.len());
        self.status.matches(processed.matches.len());
        self.status
            .taps()
            .matches(&processed.matches.iter().map(|found| &found.found));
        processed
    }

    /// Reads the records after the first `skip`. Positions grow within a batch, so those that the
    /// store has are its first ones.
    fn read_batch(&mut self, batch: &RecordBatch, skip: usize, processed: &mut Processed) {
        let mut next = skip;
        while next < batch.len() {
            let end = at_once(batch, next);
            if !self.read_guarded(batch, next..end, processed) {
                // One of them is at fault; the others must not go with it.
                for index in next..end {
                    self.read_alone(batch, index, processed);
                }
            }
            next = end;
        }
        self.status.costs().add(&mut self.sample, self.rules.get());
    }

    /// Reads one record. One that makes a parser or a matcher panic is a fault of ours that must not stop
    /// the stream: it is kept with its bytes, and the panic's message is in the log.
    fn read_alone(&mut self, batch: &RecordBatch, index: usize, processed: &mut Processed) {
        if self.read_guarded(batch, index..index + 1, processed) {
            return;
        }
        if let Some(record) = batch.get(index) {
            processed.dead_letters.push(DeadLetterRow::from_record(
                &record,
                "internal_error",
                "the engine failed on this record; its log has the place",
            ));
        }
    }

    /// Reads records; `false`, and nothing of them kept, when that panics.
    fn read_guarded(
        &mut self,
        batch: &RecordBatch,
        records: Range<usize>,
        processed: &mut Processed,
    ) -> bool {
        let rows = processed.events.len();
        let matches = processed.matches.len();
        let read = catch_unwind(AssertUnwindSafe(|| {
            self.read_records(batch, records, processed);
        }));
        if read.is_err() {
            processed.events.truncate(rows);
            processed.matches.truncate(matches);
            self.matcher = self.rules.get().compiled().matcher();
        }
        self.arena.reset();
        read.is_ok()
    }

    fn read_records(
        &mut self,
        batch: &RecordBatch,
        records: Range<usize>,
        processed: &mut Processed,
    ) {
        let Self {
            rules,
            matcher,
            parser,
            arena,
            sample,
            clock,
            status,
            definitions: _,
        } = self;
        let mut events: Vec<Event<'_>> = Vec::with_capacity(records.len());
        for record in records.filter_map(|index| batch.get(index)) {
            parser.parse_record(record, arena, &mut events);
        }
        for event in &mut events {
            clock.apply(event);
        }
        status.taps().events(&events);
        let mut hits = Vec::new();
        for event in &events {
            let origin = event.record.origin;
            let id = EventId::of(
                origin.agent.as_str(),
                origin.stream.as_str(),
                event.record.position,
                event.sub_index,
            );
            hits.clear();
            if sample.is_due() {
                matcher.match_event_timed(event, &mut hits, sample);
            } else {
                matcher.match_event(event, &mut hits);
            }
            add_matches(rules.get(), event, id, &mut hits, &mut processed.matches);
            processed.newest_event = processed.newest_event.max(Some(event.event_time));
            processed.events.push(EventRow::from_event(event, id));
        }
        // Counted last: records that are read again alone are not counted twice.
        for event in &events {
            status.events_with_problems(usize::from(!event.problems.is_empty()));
            for problem in &event.problems {
                metrics::counter!("citywatch_parse_problems_total", "kind" => problem.kind.name(), "format" => event.format)
                    .increment(1);
            }
        }
    }
}

/// The end of the records from `next` on that are read at once: few enough that their events stay in the
/// second-level cache between parsing and matching.
fn at_once(batch: &RecordBatch, next: usize) -> usize {
    let mut bytes = 0;
    let fitting = batch.spans()[next..]
        .iter()
        .take(RECORDS_AT_ONCE)
        .take_while(|span| {
            bytes += span.end - span.start;
            bytes <= BYTES_AT_ONCE
        });
    next + fitting.count().max(1)
}

/// Frames that the transport could not decode or that nobody vouches for are kept as they came; of messages that it could
/// not even unpack, that they are missing.
fn bury(batch: &RecordBatch, skip: usize, processed: &mut Processed) {
    let format = &*batch.origin.format;
    let named = [
        (frame::REFUSED, "refused"),
        (frame::UNREADABLE, "unreadable"),
    ];
    let named = named
        .iter()
        .find_map(|(prefix, kind)| Some((*kind, format.strip_prefix(prefix)?)));
    let kind = named.map_or("undecodable", |(kind, _)| kind);
    for record in batch.iter().skip(skip) {
        let fault = match named {
            Some(_) => None,
            None => frame::fault(record.raw).map(|fault| fault.to_string()),
        };
        let reason = named
            .map(|(_, reason)| reason)
            .or(fault.as_deref())
            .unwrap_or("the transport could not decode this frame");
        let mut row = DeadLetterRow::from_record(&record, kind, reason);
        // The reason has a column of its own.
        kind.clone_into(&mut row.format);
        processed.dead_letters.push(row);
    }
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
                    matched: hit.matched.fields(event).into(),
                }],
                event_count: 1,
            },
        });
    }
}
