//! Parses and matches blocks: one per thread.

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, Matcher, RuleHit, RuleIndex};
use citywatch_parsers::bytes::prefetch_text;
use citywatch_parsers::{Event, ParseContext, Parser};
use citywatch_rules::RuleSet;
use citywatch_rules::rule::Alerts;

use super::blocks::Block;
use super::correlated::{Gathered, Wanted};
use super::line_buffer::LineBuffer;
use super::lines::{Output, Place, PlaceText, RuleLine, TimeText};

/// What is parsed before it is matched: few enough records that the events stay in the second-level cache.
const RECORDS_AT_ONCE: usize = 64;
const BYTES_AT_ONCE: usize = 128 << 10;
/// Bytes of the next record that are asked for beforehand.
const PREFETCH_BYTES_MAX: usize = 4 << 10;

/// All that threads share.
#[derive(Debug)]
pub struct Rules {
    compiled: Arc<Compiled>,
    context: ParseContext,
    output: Output,
    /// By rule; none for those whose matches only feed correlations.
    lines: Vec<Option<RuleLine>>,
    wanted: Option<Wanted>,
}

impl Rules {
    /// Rules with the form of their lines.
    pub fn new(
        set: &RuleSet,
        compiled: Arc<Compiled>,
        context: ParseContext,
        output: Output,
    ) -> Self {
        let rules = (0u32..).map(RuleIndex).zip(&set.rules);
        let lines = rules.map(|(index, rule)| {
            (rule.meta.alerts == Alerts::Own).then(|| RuleLine::new(compiled.info(index), output))
        });
        Self {
            lines: lines.collect(),
            wanted: (!set.correlations.is_empty()).then(|| Wanted::of(set)),
            compiled,
            context,
            output,
        }
    }
}

/// What came of a block.
#[derive(Debug, Default)]
pub struct Evaluated {
    /// To be printed.
    pub lines: LineBuffer,
    /// Records read.
    pub records: u64,
    /// Events parsed from them.
    pub events: u64,
    /// Problems of events, and records that could not be read.
    pub problems: u64,
    /// Lines.
    pub matches: u64,
    /// Matches that correlations refer to.
    pub gathered: Vec<Gathered>,
}

/// One thread's tools.
pub struct Evaluator<'r> {
    rules: &'r Rules,
    matcher: Matcher,
    parser: Parser,
    arena: Bump,
    hits: Vec<RuleHit>,
    time: TimeText,
    place: PlaceText,
}

impl<'r> Evaluator<'r> {
    /// Tools for `rules`.
    pub fn new(rules: &'r Rules) -> Self {
        Self {
            rules,
            matcher: rules.compiled.matcher(),
            parser: Parser::new(rules.context.clone()),
            arena: Bump::new(),
            hits: Vec::new(),
            time: TimeText::default(),
            place: PlaceText::default(),
        }
    }

    /// Adds what comes of a block to `result`.
    pub fn evaluate(&mut self, block: &Block, result: &mut Evaluated) {
        result.records += block.len() as u64 + block.unreadable;
        result.problems += block.unreadable;
        self.read_headers(block);
        let mut next = 0;
        while next < block.len() {
            let end = block.up_to(next, RECORDS_AT_ONCE, BYTES_AT_ONCE);
            let mut events: Vec<Event<'_>> = Vec::with_capacity(end - next);
            for index in next..end {
                // The next record is on its way while this one is read.
                if index + 1 < block.len() {
                    prefetch_text(block.record(index + 1).raw, PREFETCH_BYTES_MAX);
                }
                self.parser
                    .parse_record(block.record(index), &self.arena, &mut events);
            }
            for event in &events {
                result.events += 1;
                result.problems += event.problems.len() as u64;
                self.hits.clear();
                self.matcher.match_event(event, &mut self.hits);
                if !self.hits.is_empty() {
                    let hits = &self.hits;
                    if let Some(wanted) = &self.rules.wanted {
                        wanted.gather(event, hits, &block.source, &mut result.gathered);
                    }
                    let place = Place {
                        file: &block.source.name,
                        record: event.record.position,
                        event_time: self.time.of(event.event_time),
                    };
                    self.place.set(place, self.rules.output);
                    tell(self.rules, &self.place, event, hits, result);
                }
            }
            drop(events);
            self.arena.reset();
            next = end;
        }
    }
}

impl Evaluator<'_> {
    /// Lets the parser know what another thread may have read.
    fn read_headers(&mut self, block: &Block) {
        let mut events = Vec::new();
        for record in block.headers() {
            self.parser.parse_record(record, &self.arena, &mut events);
        }
        drop(events);
        self.arena.reset();
    }
}

/// Writes the lines of an event's matches.
fn tell(
    rules: &Rules,
    place: &PlaceText,
    event: &Event<'_>,
    hits: &[RuleHit],
    result: &mut Evaluated,
) {
    for hit in hits {
        if let Some(line) = &rules.lines[hit.rule.as_usize()] {
            result.matches += 1;
            let matched = hit.matched.pairs(event);
            line.write(place, matched, rules.output, &mut result.lines);
        }
    }
}
