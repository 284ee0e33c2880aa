//! Matching: events per second on one core, from bytes to matches, net of loading.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher};
use citywatch_parsers::{ParseContext, Parser, RecordBatch, Taxonomy};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::corpus::{self, Corpus};
use crate::results;

/// What is matched against what.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Directories of rules; SigmaHQ's `rules` of ../shared when none is given.
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Files of one JSON event per line; the Windows recordings of ../shared when none is given.
    #[arg(long)]
    events: Vec<PathBuf>,
    /// Only so many rules, the first of all, to see what a rule costs.
    #[arg(long)]
    rules_max: Option<usize>,
    /// How log sources are compared.
    #[arg(long, value_enum, default_value_t = Mode::Loose)]
    logsource: Mode,
    /// Runs of each measurement; the median counts.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// The core to run on.
    #[arg(long, default_value_t = 0)]
    core: usize,
    /// Write the result to bench/results under this name.
    #[arg(long)]
    save: Option<String>,
}

/// How log sources are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// As the pipeline does: events are classified.
    Strict,
    /// As rsigma does: only what a record itself says about its log source counts.
    Loose,
}

/// Measures and prints.
pub(crate) fn measure(options: &Options) -> Result<()> {
    pin(options.core)?;
    let files = if options.events.is_empty() {
        corpus::windows_recordings()?
    } else {
        options.events.clone()
    };
    let directories = if options.rules.is_empty() {
        vec![corpus::shared().join("sigma/rules")]
    } else {
        options.rules.clone()
    };
    let corpus = Corpus::read(&files)?;
    let begin = Instant::now();
    let mut set = corpus::rules(&directories)?;
    let read_s = begin.elapsed().as_secs_f64();
    if let Some(most) = options.rules_max {
        set.rules.truncate(most);
    }
    let begin = Instant::now();
    let mode = if options.logsource == Mode::Strict {
        LogSourceMode::Strict
    } else {
        LogSourceMode::Loose
    };
    let compiled = Arc::new(Compiled::new(&set.rules, mode)?);
    let compile_s = begin.elapsed().as_secs_f64();
    let mut lane = Lane {
        corpus: &corpus,
        mode: options.logsource,
        matcher: compiled.matcher(),
        matches: 0,
    };
    let tape = median(options.runs, || tape(&corpus));
    let parse = median(options.runs, || lane.parse());
    let whole = median(options.runs, || lane.run());
    let events = corpus.records as f64;
    let runs = (options.runs + 1) as u64;
    let mut measured = json!({
        "rules": compiled.len(),
        "rules_not_loaded": set.problems.len(),
        "predicates": compiled.predicates(),
        "rules_without_witness": compiled.unwitnessed().count(),
        "rules_read_s": read_s,
        "rules_compile_s": compile_s,
        "memory_mb": resident_mb(),
        "events": corpus.records,
        "bytes_per_event": corpus.bytes / corpus.records.max(1),
        "corpus_sha256": corpus.hash,
        "matches": lane.matches / runs,
        "rules_judged_per_event": lane.matcher.candidates_judged() as f64 / events / runs as f64,
        "events_per_s": (events / whole).round(),
        "parse_only_events_per_s": (events / parse).round(),
        "json_tape_events_per_s": (events / tape).round(),
        "share_of_json_tape": tape / whole,
        "matching_us_per_event": (whole - parse) / events * 1e6,
    });
    if let Some(peer) = rsigma(options, &directories, &corpus)? {
        measured["rsigma"] = peer;
    }
    println!("{}", serde_json::to_string_pretty(&measured)?);
    match &options.save {
        Some(name) => results::write(name, &measured),
        None => Ok(()),
    }
}

struct Lane<'c> {
    corpus: &'c Corpus,
    mode: Mode,
    matcher: Matcher,
    matches: u64,
}

impl Lane<'_> {
    fn parse(&mut self) {
        self.each_batch(|_, _| ());
    }

    fn run(&mut self) {
        let mut hits = Vec::new();
        let mut matches = 0;
        self.each_batch(|matcher, event| {
            matcher.match_event(event, &mut hits);
            matches += hits.len() as u64;
            hits.clear();
        });
        self.matches += matches;
    }

    fn each_batch(&mut self, mut each: impl FnMut(&mut Matcher, &citywatch_parsers::Event<'_>)) {
        let mut parser = Parser::new(ParseContext {
            taxonomy: match self.mode {
                Mode::Strict => Taxonomy::Sigma,
                Mode::Loose => Taxonomy::AsRecorded,
            },
            ..ParseContext::default()
        });
        let mut arena = Bump::new();
        for batch in &self.corpus.batches {
            let mut events = Vec::with_capacity(batch.len());
            parser.parse_batch(batch, &arena, &mut events);
            events
                .iter()
                .for_each(|event| each(&mut self.matcher, event));
            drop(events);
            arena.reset();
        }
    }
}

/// simd-json's tape of every record: the ceiling of all that reads JSON.
fn tape(corpus: &Corpus) {
    let mut buffers = simd_json::Buffers::default();
    let mut bytes = Vec::new();
    for record in corpus.batches.iter().flat_map(RecordBatch::iter) {
        bytes.clear();
        bytes.extend_from_slice(record.raw);
        let tape = simd_json::to_tape_with_buffers(&mut bytes, &mut buffers);
        std::hint::black_box(tape.is_ok());
    }
}

/// Seconds of CPU of the median run, after one that warms up. Everything measured runs on one
/// thread, so this is its time on an idle machine, and nearly so on a busy one.
fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..runs.max(1))
        .map(|_| {
            let begin = cpu_s(libc::RUSAGE_SELF);
            run();
            cpu_s(libc::RUSAGE_SELF) - begin
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Events per second of rsigma on the same rules and events, where bench/peers/build.sh has built it.
fn rsigma(options: &Options, directories: &[PathBuf], corpus: &Corpus) -> Result<Option<Value>> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/target/bin/rsigma");
    let comparable =
        options.logsource == Mode::Loose && options.rules_max.is_none() && directories.len() == 1;
    if !program.is_file() || !comparable {
        eprintln!(
            "skipped: rsigma (built by bench/peers/build.sh; only with --logsource loose, one directory and all rules)"
        );
        return Ok(None);
    }
    let file = tempfile::NamedTempFile::new()?;
    corpus.write(file.path())?;
    let run = |input: &Path| -> Result<(f64, usize)> {
        let begin = cpu_s(libc::RUSAGE_CHILDREN);
        let output = std::process::Command::new(&program)
            .args([
                "engine",
                "eval",
                "--logsource-routing",
                "--quiet",
                "--output-format",
                "ndjson",
                "-r",
            ])
            .arg(&directories[0])
            .stdin(std::fs::File::open(input)?)
            .stderr(std::process::Stdio::null())
            .output()
            .context("running rsigma")?;
        if !output.status.success() {
            bail!("rsigma failed: {}", output.status);
        }
        Ok((
            cpu_s(libc::RUSAGE_CHILDREN) - begin,
            output.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        ))
    };
    let (load_s, _) = run(Path::new("/dev/null"))?;
    let mut times = Vec::new();
    let mut matches = 0;
    for _ in 0..options.runs.clamp(1, 3) {
        let (seconds, found) = run(file.path())?;
        times.push(seconds - load_s);
        matches = found;
    }
    times.sort_by(f64::total_cmp);
    let seconds = times[times.len() / 2];
    Ok(Some(json!({
        "load_s": load_s,
        "matches": matches,
        "events_per_s": (corpus.records as f64 / seconds).round(),
    })))
}

/// Seconds of CPU used so far by this process, or by those it started and that have ended.
fn cpu_s(whose: libc::c_int) -> f64 {
    // SAFETY: `rusage` is plain numbers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid structure that lives through the call.
    let answer = unsafe { libc::getrusage(whose, &raw mut usage) };
    assert_eq!(answer, 0, "getrusage fails only for unknown processes");
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Keeps this process and those it starts on one core.
fn pin(core: usize) -> Result<()> {
    // SAFETY: `cpu_set_t` is a plain bit set for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid set; CPU_SET ignores cores beyond its size.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the pointer is to a set of the size that is given, and lives through the call.
    let answer =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if answer != 0 {
        bail!(
            "cannot run on core {core}: {}; choose another with --core",
            std::io::Error::last_os_error()
        );
    }
    Ok(())
}

/// Resident memory of this process, the corpus included.
fn resident_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or("");
    line.split_whitespace()
        .next()
        .and_then(|kilobytes| kilobytes.parse::<usize>().ok())
        .unwrap_or(0)
        / 1_024
}
