//! Parser and matcher over a corpus, on one thread or on several.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::Result;
use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, JudgeTimer, LogSourceMode, Matcher, RuleHit, RuleIndex};
use citywatch_parsers::{Event, ParseContext, Parser, RecordBatch, Taxonomy};
use citywatch_rules::RuleSet;

use super::Mode;
use crate::corpus::Corpus;
use crate::process::pin;
use crate::tape::Tape;

/// Compiled rules, and how events are read for them.
#[derive(Clone)]
pub(super) struct Engine {
    pub(super) compiled: Arc<Compiled>,
    mode: Mode,
}

/// What a run over a corpus found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    pub(super) matches: u64,
    pub(super) rules_judged: u64,
}

impl Engine {
    pub(super) fn new(rules: &[Arc<citywatch_rules::Rule>], mode: Mode) -> Result<Self> {
        let compared = match mode {
            Mode::Strict => LogSourceMode::Strict,
            Mode::Loose => LogSourceMode::Loose,
        };
        Ok(Self {
            compiled: Arc::new(Compiled::new(rules, compared)?),
            mode,
        })
    }

    fn parser(&self) -> Parser {
        Parser::new(ParseContext {
            taxonomy: match self.mode {
                Mode::Strict => Taxonomy::Sigma,
                Mode::Loose => Taxonomy::AsRecorded,
            },
            ..ParseContext::default()
        })
    }

    /// Reads all records.
    pub(super) fn parse(&self, corpus: &Corpus) {
        let mut work = Work::new(self);
        corpus.batches.iter().for_each(|batch| work.parse(batch));
    }

    /// The same; of one event of so many the judging of its rules is timed, as the pipeline does.
    pub(super) fn run_timed(&self, corpus: &Corpus, one_of: u32) {
        let mut work = Work::new(self);
        work.timing = Some(Timing {
            one_of,
            ..Timing::default()
        });
        corpus.batches.iter().for_each(|batch| work.run(batch));
        std::hint::black_box(&work.timing);
    }

    /// Reads all records and matches their events.
    pub(super) fn run(&self, corpus: &Corpus) -> Found {
        let mut work = Work::new(self);
        corpus.batches.iter().for_each(|batch| work.run(batch));
        work.found()
    }
}

/// One thread's tools.
struct Work {
    parser: Parser,
    matcher: Matcher,
    arena: Bump,
    hits: Vec<RuleHit>,
    matches: u64,
    timing: Option<Timing>,
}

/// Times single rules.
#[derive(Debug, Default)]
struct Timing {
    one_of: u32,
    seen: u32,
    begun: Option<Instant>,
    nanos: Vec<(RuleIndex, u128)>,
}

impl JudgeTimer for Timing {
    fn begin(&mut self) {
        self.begun = Some(Instant::now());
    }

    fn end(&mut self, rule: RuleIndex) {
        let begun = self.begun.take();
        self.nanos
            .extend(begun.map(|begun| (rule, begun.elapsed().as_nanos())));
    }
}

impl Work {
    fn new(engine: &Engine) -> Self {
        Self {
            parser: engine.parser(),
            matcher: engine.compiled.matcher(),
            arena: Bump::new(),
            hits: Vec::new(),
            matches: 0,
            timing: None,
        }
    }

    fn parse(&mut self, batch: &RecordBatch) {
        let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.len());
        self.parser.parse_batch(batch, &self.arena, &mut events);
        std::hint::black_box(&events);
        drop(events);
        self.arena.reset();
    }

    fn run(&mut self, batch: &RecordBatch) {
        let mut events: Vec<Event<'_>> = Vec::with_capacity(batch.len());
        self.parser.parse_batch(batch, &self.arena, &mut events);
        for event in &events {
            match &mut self.timing {
                Some(timing) if timing.seen + 1 == timing.one_of => {
                    timing.seen = 0;
                    self.matcher
                        .match_event_timed(event, &mut self.hits, timing);
                }
                Some(timing) => {
                    timing.seen += 1;
                    self.matcher.match_event(event, &mut self.hits);
                }
                None => self.matcher.match_event(event, &mut self.hits),
            }
            self.matches += self.hits.len() as u64;
            self.hits.clear();
        }
        drop(events);
        self.arena.reset();
    }

    fn found(&self) -> Found {
        Found {
            matches: self.matches,
            rules_judged: self.matcher.candidates_judged(),
        }
    }
}

/// simd-json's tape of every record.
pub(super) fn tape(corpus: &Corpus) {
    let mut tape = Tape::default();
    corpus.batches.iter().for_each(|batch| tape.read(batch));
}

/// How much faster so many threads are than one, of us and of the tape: seconds of the clock, so the
/// machine must be quiet. `core` is the first one's.
pub(super) fn scaling(
    engine: &Engine,
    corpus: &Corpus,
    threads: usize,
    core: usize,
    runs: usize,
) -> Result<(f64, f64)> {
    let ours = |threads| {
        clock_s(corpus, threads, core, || {
            let mut work = Work::new(engine);
            move |batch: &RecordBatch| work.run(batch)
        })
    };
    let tapes = |threads| {
        clock_s(corpus, threads, core, || {
            let mut tape = Tape::default();
            move |batch: &RecordBatch| tape.read(batch)
        })
    };
    let ratio = |seconds: &dyn Fn(usize) -> Result<f64>| -> Result<f64> {
        seconds(threads)?;
        // Each pair is taken together, so that a change of the machine's speed falls on both.
        let mut ratios = Vec::new();
        for _ in 0..runs.max(1) {
            ratios.push(seconds(1)? / seconds(threads)?);
        }
        ratios.sort_by(f64::total_cmp);
        Ok(ratios[ratios.len() / 2])
    };
    Ok((ratio(&ours)?, ratio(&tapes)?))
}

/// Seconds that so many threads take for the batches of a corpus, each taking the next few that are left.
fn clock_s<W: FnMut(&RecordBatch)>(
    corpus: &Corpus,
    threads: usize,
    core: usize,
    worker: impl Fn() -> W + Sync,
) -> Result<f64> {
    /// Batches taken at once.
    const TAKEN: usize = 16;
    let next = AtomicUsize::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let (next, worker) = (&next, &worker);
                scope.spawn(move || -> Result<()> {
                    pin(core + thread)?;
                    let mut work = worker();
                    loop {
                        let from = next.fetch_add(TAKEN, Ordering::Relaxed);
                        if from >= corpus.batches.len() {
                            return Ok(());
                        }
                        let to = (from + TAKEN).min(corpus.batches.len());
                        corpus.batches[from..to].iter().for_each(&mut work);
                    }
                })
            })
            .collect();
        for thread in running {
            match thread.join() {
                Ok(done) => done?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<(), anyhow::Error>(())
    })?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Says how many rules match a recorded event.
#[derive(Clone)]
pub(crate) struct Scorer(Rc<RefCell<Work>>);

impl Scorer {
    /// For these rules, log sources compared loosely.
    pub(crate) fn new(rules: &RuleSet) -> Result<Self> {
        Ok(Self::of(&Engine::new(&rules.rules, Mode::Loose)?))
    }

    pub(super) fn of(engine: &Engine) -> Self {
        Self(Rc::new(RefCell::new(Work::new(engine))))
    }

    /// How many rules match the event of this JSON record.
    pub(crate) fn matches(&self, line: &[u8]) -> usize {
        let one = Corpus::of_lines("json", std::iter::once(line.to_vec()));
        let mut work = self.0.borrow_mut();
        let before = work.matches;
        one.batches.iter().for_each(|batch| work.run(batch));
        (work.matches - before) as usize
    }
}
