//! The compiled engine against the reference evaluator: all of SigmaHQ's rules on the regression cases, the recorded
//! events and the log lines of `../shared`, strict (events classified) and loose (events as recorded, so that nearly
//! every rule is asked for every event).
//!
//! `CITYWATCH_ALL=1` runs all events; otherwise a sample of them, the same in each run. `CITYWATCH_MATRIX_STEP=N`
//! runs about one event in N.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "corpus/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod corpus;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use bumpalo::Bump;
use citywatch_engine::MatchedField;
use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher};
use citywatch_parsers::{Event, LogSource, ParseContext, Parser, RecordBatch, Taxonomy};
use citywatch_rules::{Rule, reference};

/// One record in so many is in the sample of `make test`: a debug build judges some twenty events a second.
const SAMPLE_STEP: u64 = 1_000;
/// Differences that are told in full.
const DIFFERENCES_TOLD: usize = 20;
/// A matched value is told up to this length by the engine.
const VALUE_BYTES_MAX: usize = 1_024;

/// What came of comparing some events.
#[derive(Default)]
struct Tally {
    events: u64,
    rules_judged: u64,
    matches: u64,
    differences: u64,
    told: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.rules_judged += other.rules_judged;
        self.matches += other.matches;
        self.differences += other.differences;
        self.told.extend(other.told);
        self.told.truncate(DIFFERENCES_TOLD);
    }
}

/// Compares events in one mode.
struct Comparison<'r> {
    rules: &'r [Arc<Rule>],
    mode: LogSourceMode,
    parser: Parser,
    matcher: Matcher,
    /// The rules that apply to events of these log sources.
    applying: HashMap<Vec<LogSource<'static>>, Vec<u32>>,
    tally: Tally,
}

impl<'r> Comparison<'r> {
    fn new(rules: &'r [Arc<Rule>], compiled: &Arc<Compiled>, mode: LogSourceMode) -> Self {
        let taxonomy = match mode {
            LogSourceMode::Strict => Taxonomy::Sigma,
            LogSourceMode::Loose => Taxonomy::AsRecorded,
        };
        let context = ParseContext {
            taxonomy,
            ..ParseContext::default()
        };
        Self {
            rules,
            mode,
            parser: Parser::new(context),
            matcher: compiled.matcher(),
            applying: HashMap::new(),
            tally: Tally::default(),
        }
    }

    fn compare(&mut self, name: &str, batch: &RecordBatch) {
        let arena = Bump::new();
        let mut events = Vec::new();
        self.parser.parse_batch(batch, &arena, &mut events);
        for event in &events {
            self.compare_event(name, event);
        }
    }

    fn compare_event(&mut self, name: &str, event: &Event<'_>) {
        let mut hits = Vec::new();
        self.matcher.match_event(event, &mut hits);
        let found: Vec<(u32, Vec<MatchedField>)> = hits
            .into_iter()
            .map(|hit| (hit.rule.0, hit.matched.fields(event)))
            .collect();
        let expected = self.by_reference(event);
        self.tally.events += 1;
        self.tally.matches += expected.len() as u64;
        if found == expected {
            return;
        }
        self.tally.differences += 1;
        if self.tally.told.len() < DIFFERENCES_TOLD {
            let only = |these: &[(u32, Vec<MatchedField>)], those: &[(u32, Vec<MatchedField>)]| {
                let only = these.iter().filter(|hit| !those.contains(hit));
                only.map(|(rule, fields)| {
                    format!("{}: {fields:?}", self.rules[*rule as usize].meta.title)
                })
                .collect::<Vec<_>>()
            };
            self.tally.told.push(format!(
                "{name}:{} {:?}\nonly the engine: {:#?}\nonly the reference: {:#?}",
                event.record.position,
                self.mode,
                only(&found, &expected),
                only(&expected, &found),
            ));
        }
    }

    /// What the reference says of all rules that apply.
    fn by_reference(&mut self, event: &Event<'_>) -> Vec<(u32, Vec<MatchedField>)> {
        let applying = self
            .applying
            .entry(event.log_sources.iter().map(owned).collect())
            .or_insert_with(|| {
                let applies = |rule: &Rule| self.mode.applies(&rule.log_source, &event.log_sources);
                let rules = (0..).zip(self.rules);
                rules
                    .filter(|(_, rule)| applies(rule))
                    .map(|(index, _)| index)
                    .collect()
            });
        self.tally.rules_judged += applying.len() as u64;
        let hits = applying.iter().filter_map(|&index| {
            let fields = reference::matches(&self.rules[index as usize], event)?;
            let fields = fields.into_iter().map(|field| MatchedField {
                value: field.value[..field.value.floor_char_boundary(VALUE_BYTES_MAX)].into(),
                name: field.name.into(),
            });
            Some((index, fields.collect()))
        });
        hits.collect()
    }
}

fn owned(source: &LogSource<'_>) -> LogSource<'static> {
    let owned = |text: &str| std::borrow::Cow::Owned(text.to_owned());
    LogSource {
        product: owned(&source.product),
        category: owned(&source.category),
        service: owned(&source.service),
    }
}

/// Everything in `../shared` that holds records.
fn files(shared: &Path) -> Vec<PathBuf> {
    let mut files = corpus::files_below(&shared.join("sigma/regression_data"), &["evtx", "json"]);
    files.extend(corpus::files_below(&shared.join("events"), &["zip"]));
    files.extend(corpus::files_below(&shared.join("logs"), &["log"]));
    files
}

/// The records of the batch that are in the sample: by a hash of name and position, so that no two runs differ.
fn sample(name: &str, batch: RecordBatch, step: u64) -> RecordBatch {
    if step <= 1 {
        return batch;
    }
    let mut sampled = RecordBatch::new(Arc::clone(&batch.origin));
    let seed = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    for record in batch.iter() {
        let mixed = (seed ^ record.position).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if (mixed ^ (mixed >> 29)) % step == 0 {
            sampled.push(
                record.raw,
                record.position,
                record.received_at,
                record.truncated,
            );
        }
    }
    sampled
}

fn step() -> u64 {
    let asked = std::env::var("CITYWATCH_MATRIX_STEP").ok();
    match asked.and_then(|step| step.parse().ok()) {
        Some(step) => step,
        None if corpus::everything() => 1,
        None => SAMPLE_STEP,
    }
}

#[test]
fn the_engine_agrees_with_the_reference_on_all_rules_and_events() {
    let Some(shared) = corpus::shared() else {
        return;
    };
    let set = corpus::sigmahq(&shared);
    let modes = [LogSourceMode::Strict, LogSourceMode::Loose];
    let compiled = modes.map(|mode| Arc::new(Compiled::new(&set.rules, mode).unwrap()));
    let step = step();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (work, inputs) = mpsc::sync_channel::<(String, RecordBatch)>(threads * 4);
    let inputs = Mutex::new(inputs);
    let begun = std::time::Instant::now();
    let tallies = std::thread::scope(|scope| {
        let compare = || {
            let mut modes: Vec<Comparison<'_>> = modes
                .iter()
                .zip(&compiled)
                .map(|(&mode, compiled)| Comparison::new(&set.rules, compiled, mode))
                .collect();
            loop {
                let next = inputs.lock().unwrap().recv();
                let Ok((name, batch)) = next else {
                    return modes.into_iter().map(|mode| mode.tally).collect::<Vec<_>>();
                };
                for mode in &mut modes {
                    mode.compare(&name, &batch);
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(compare)).collect();
        for file in files(&shared) {
            // Regression cases are few and each is there for a reason: a thirtieth of the step.
            let step = if file.extension().is_some_and(|extension| extension == "zip") {
                step
            } else {
                step / 30
            };
            corpus::records_of(&file, &mut |name, batch| {
                let batch = sample(name, batch, step);
                if !batch.is_empty() {
                    work.send((name.to_owned(), batch)).unwrap();
                }
            });
        }
        drop(work);
        let mut tallies = modes.map(|_| Tally::default());
        for worker in workers {
            for (sum, tally) in tallies.iter_mut().zip(worker.join().unwrap()) {
                sum.add(tally);
            }
        }
        tallies
    });
    for (mode, tally) in modes.iter().zip(&tallies) {
        eprintln!(
            "{mode:?}: {} events, {} times a rule judged an event, {} matches, {} events differ",
            tally.events, tally.rules_judged, tally.matches, tally.differences
        );
    }
    eprintln!(
        "one record in {step} of {} rules, {threads} threads, {:.0} s",
        set.rules.len(),
        begun.elapsed().as_secs_f64()
    );
    let told: Vec<String> = tallies
        .iter()
        .flat_map(|tally| tally.told.clone())
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert!(
        tallies.iter().all(|tally| tally.matches > 0),
        "nothing matched"
    );
}
