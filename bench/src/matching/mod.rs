//! Matching: events per second on one core, from bytes to matches, net of loading; what more rules and more
//! threads do to it.

mod engine;

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use crate::corpus::{self, Corpus};
use crate::lanes::{self, Lane, Making};
use crate::peer::Rsigma;
use crate::process::{cpu_s, median_cpu_s, pin, resident_mb};
use crate::results;
use engine::Engine;
pub(crate) use engine::Scorer;

/// What is matched against what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Directories of rules; SigmaHQ's `rules` of ../shared when none is given.
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Kind of events: windows (the recordings as they are), sysmon, syslog, auditd, quiet, many, or all
    #[arg(long, default_value = "windows", value_parser = parse_lanes)]
    lane: Lanes,
    /// Files of one JSON event per line, instead of a lane
    #[arg(long)]
    events: Vec<PathBuf>,
    /// Only so many rules, evenly chosen of all
    #[arg(long)]
    rules_max: Option<usize>,
    /// Also measure with 100, 500 and 1,000 rules, evenly chosen of all
    #[arg(long)]
    growth: bool,
    /// Also measure how much faster so many threads are than one; the machine must be quiet
    #[arg(long)]
    threads: Option<usize>,
    /// Also measure with the judging of rules timed for one event of 1,024, as the pipeline does, and for each
    #[arg(long)]
    timed: bool,
    /// How log sources are compared.
    #[arg(long, value_enum, default_value_t = Mode::Loose)]
    logsource: Mode,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// The core to run on; further threads run on those after it
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Write the result to bench/results under this name.
    #[arg(long)]
    save: Option<String>,
    #[command(flatten)]
    making: Making,
}

/// How log sources are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// As the pipeline does: events are classified.
    Strict,
    /// As rsigma does: only what a record itself says about its log source counts.
    Loose,
}

/// One lane or all.
#[derive(Clone, Debug)]
struct Lanes(Vec<Lane>);

fn parse_lanes(text: &str) -> Result<Lanes, String> {
    if text == "all" {
        return Ok(Lanes(Lane::ALL.to_vec()));
    }
    Lane::from_str(text, true).map(|lane| Lanes(vec![lane]))
}

/// How many times as fast as rsigma we want to be.
const GOAL_TIMES_RSIGMA: f64 = 20.0;
/// Of what reading alone reaches, this share is enough where it is less than that. Not for the recordings.
const GOAL_SHARE_OF_READING: f64 = 0.5;
/// The most that all rules may cost of what 100 cost.
const GOAL_GROWTH: f64 = 3.0;
/// Sizes of rule sets whose cost is compared with that of all rules.
const GROWTH_RULES: [usize; 3] = [100, 500, 1_000];
/// Runs of the measurement with threads.
const THREADS_RUNS: usize = 7;

/// Measures and prints.
pub(crate) fn measure(options: &Options) -> Result<()> {
    pin(options.core)?;
    let directories = corpus::rule_directories(&options.rules);
    // Rules first: what they cost in memory is then all that the process has.
    let before_mb = resident_mb();
    let begin = cpu_s(libc::RUSAGE_SELF);
    let mut set = corpus::rules(&directories)?;
    let read_s = cpu_s(libc::RUSAGE_SELF) - begin;
    if let Some(most) = options.rules_max {
        set.rules = spread(&set.rules, most);
    }
    let begin = cpu_s(libc::RUSAGE_SELF);
    let engine = Engine::new(&set.rules, options.logsource)?;
    let compile_s = cpu_s(libc::RUSAGE_SELF) - begin;
    let compiled = &engine.compiled;
    let mut measured = json!({
        "rules": compiled.len(),
        "rules_not_loaded": set.problems.len(),
        "predicates": compiled.predicates(),
        "rules_without_witness": compiled.unwitnessed().count(),
        "rules_read_s": read_s,
        "rules_compile_s": compile_s,
        "rules_load_s": read_s + compile_s,
        "memory_mb": resident_mb(),
        "memory_before_rules_mb": before_mb,
        "lanes": {},
    });
    let comparable =
        options.logsource == Mode::Loose && options.rules_max.is_none() && directories.len() == 1;
    let peer = if comparable {
        Rsigma::find(&directories[0], options.runs)
    } else {
        eprintln!(
            "skipped: rsigma, which takes one directory, all its rules and --logsource loose"
        );
        None
    };
    for (name, lane, corpus) in inputs(options, &engine) {
        let corpus = corpus()?;
        eprintln!("{name}: {} events", corpus.records);
        let mut result = measure_lane(options, lane, &engine, &corpus, peer.as_ref())?;
        if options.growth {
            result["growth"] = growth(options, &set.rules, &corpus)?;
        }
        if options.timed {
            result["timed"] = timed(options, &engine, &corpus);
        }
        if let Some(threads) = options.threads {
            result["threads"] = scaling(options, threads, lane, &engine, &corpus)?;
        }
        measured["lanes"][name] = result;
    }
    println!("{}", serde_json::to_string_pretty(&measured)?);
    match &options.save {
        Some(name) => results::write(name, &measured),
        None => Ok(()),
    }
}

/// What makes a corpus when its turn comes: one at a time is held in memory.
type Maker<'o> = Box<dyn FnOnce() -> Result<Corpus> + 'o>;

fn inputs<'o>(options: &'o Options, engine: &Engine) -> Vec<(&'static str, Lane, Maker<'o>)> {
    if !options.events.is_empty() {
        let read: Maker<'o> = Box::new(|| Corpus::read(&options.events));
        return vec![("given", Lane::Windows, read)];
    }
    let scorer = Scorer::of(engine);
    let made = options.lane.0.iter().map(|&lane| {
        let scorer = scorer.clone();
        let make: Maker<'o> = Box::new(move || lanes::make(lane, &options.making, &scorer));
        (lane.name(), lane, make)
    });
    made.collect()
}

/// What timing the rules costs: events per second without, with one event of 1,024 timed, with each; taken in
/// turn, so that a change of the machine's speed falls on all.
fn timed(options: &Options, engine: &Engine, corpus: &Corpus) -> Value {
    let mut seconds: [Vec<f64>; 3] = Default::default();
    for _ in 0..options.runs.max(1) {
        for (one_of, seconds) in [u32::MAX, 1_024, 1].into_iter().zip(&mut seconds) {
            let begin = cpu_s(libc::RUSAGE_SELF);
            engine.run_timed(corpus, one_of);
            seconds.push(cpu_s(libc::RUSAGE_SELF) - begin);
        }
    }
    let [none, sampled, all] = seconds.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        (corpus.records as f64 / seconds[seconds.len() / 2]).round()
    });
    json!({
        "events_per_s_untimed": none,
        "events_per_s_one_of_1024": sampled,
        "events_per_s_each": all,
    })
}

fn measure_lane(
    options: &Options,
    lane: Lane,
    engine: &Engine,
    corpus: &Corpus,
    peer: Option<&Rsigma<'_>>,
) -> Result<Value> {
    let events = corpus.records as f64;
    let is_json = lane.format() == "json";
    let tape_s = is_json.then(|| median_cpu_s(options.runs, || engine::tape(corpus)));
    let parse_s = median_cpu_s(options.runs, || engine.parse(corpus));
    let mut found = engine::Found::default();
    let whole_s = median_cpu_s(options.runs, || found = engine.run(corpus));
    let ours = events / whole_s;
    let mut result = Map::new();
    let mut put = |name: &str, value: Value| result.insert(name.to_owned(), value);
    put("events", corpus.records.into());
    put(
        "bytes_per_event",
        (corpus.bytes / corpus.records.max(1)).into(),
    );
    put("corpus_sha256", corpus.hash.clone().into());
    put("matches", found.matches.into());
    put(
        "rules_judged_per_event",
        (found.rules_judged as f64 / events).into(),
    );
    put("events_per_s", ours.round().into());
    put("parse_only_events_per_s", (events / parse_s).round().into());
    put(
        "matching_us_per_event",
        ((whole_s - parse_s) / events * 1e6).into(),
    );
    if let Some(tape_s) = tape_s {
        put("json_tape_events_per_s", (events / tape_s).round().into());
        put("share_of_json_tape", (tape_s / whole_s).into());
    } else {
        put("share_of_parse_only", (parse_s / whole_s).into());
    }
    // Half of what reading alone reaches bounds the goal, but not that of the recordings.
    let mut goal = match lane {
        Lane::Windows => f64::INFINITY,
        _ => GOAL_SHARE_OF_READING * events / tape_s.unwrap_or(parse_s),
    };
    if let Some(peer) = peer {
        let theirs = peer.run(corpus, lane.rsigma_format())?;
        goal = goal.min(GOAL_TIMES_RSIGMA * theirs.events_per_s);
        put(
            "rsigma",
            json!({
                "input_format": lane.rsigma_format(),
                "load_s": theirs.load_s,
                "matches": theirs.matches,
                "events_per_s": theirs.events_per_s,
            }),
        );
        put("times_rsigma", (ours / theirs.events_per_s).into());
    }
    if goal.is_finite() {
        put("goal_events_per_s", goal.round().into());
        put("share_of_goal", (ours / goal).into());
    }
    Ok(result.into())
}

/// What an event costs with few rules and with all of them.
fn growth(
    options: &Options,
    rules: &[std::sync::Arc<citywatch_rules::Rule>],
    corpus: &Corpus,
) -> Result<Value> {
    let mut costs = Vec::new();
    for count in GROWTH_RULES.into_iter().chain([rules.len()]) {
        let engine = Engine::new(&spread(rules, count), options.logsource)?;
        let seconds = median_cpu_s(options.runs, || {
            engine.run(corpus);
        });
        costs.push((engine.compiled.len(), seconds));
    }
    let (Some(few), Some(all)) = (costs.first(), costs.last()) else {
        bail!("no rules");
    };
    let ratio = all.1 / few.1;
    let listed: Vec<Value> = costs
        .iter()
        .map(|(rules, seconds)| {
            json!({ "rules": rules, "events_per_s": (corpus.records as f64 / seconds).round() })
        })
        .collect();
    Ok(json!({ "sizes": listed, "cost_of_all_to_first": ratio, "goal": GOAL_GROWTH }))
}

/// So many of the rules, evenly spread over their folders.
fn spread<T: Clone>(rules: &[T], count: usize) -> Vec<T> {
    let count = count.min(rules.len());
    (0..count)
        .map(|place| rules[place * rules.len() / count].clone())
        .collect()
}

fn scaling(
    options: &Options,
    threads: usize,
    lane: Lane,
    engine: &Engine,
    corpus: &Corpus,
) -> Result<Value> {
    let (ours, tape) = engine::scaling(engine, corpus, threads, options.core, THREADS_RUNS)?;
    let mut result = json!({ "threads": threads, "scaling": ours });
    if lane.format() == "json" {
        result["tape_scaling"] = tape.into();
        result["share_of_tape_scaling"] = (ours / tape).into();
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rules_are_spread_over_all() {
        let all: Vec<usize> = (0..10).collect();
        assert_eq!(spread(&all, 4), [0, 2, 5, 7]);
        assert_eq!(spread(&all, 20), all);
    }
}
