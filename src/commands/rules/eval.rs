//! `citywatch rules eval`: match files of records against rules, one line per match.
//!
//! The form of the output is stable; other programs build on it.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Instant;

use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher};
use citywatch_parsers::{Event, ParseContext, Parser, Taxonomy, Timestamp};
use citywatch_rules::{LoadOptions, RuleSet};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::inputs::{InputBatch, InputSettings, read_all};
use crate::report::UsageError;

/// Options of `citywatch rules eval`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules eval --rules rules/library /var/log/auth.log
  citywatch rules eval --rules rules/ --stats events.ndjson > matches.ndjson
  zcat old.gz | citywatch rules eval --rules one.yml --output table -

Exit code 0 also when nothing matched; 1 when a rule or a file was left out; 2 for a wrong command line.")]
pub struct EvalArgs {
    /// Rule files, or directories with all below them
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Format of the records: a parser's name, or `auto`
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// How a rule's log source is held against an event's
    #[arg(long, value_enum, default_value_t = Routing::Strict)]
    logsource: Routing,
    /// Threads that parse and match
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256), value_name = "N")]
    threads: u16,
    /// How to show matches
    #[arg(long, value_enum, default_value_t = Output::Ndjson)]
    output: Output,
    /// Print one JSON object of counts and times on standard error
    #[arg(long)]
    stats: bool,
    /// Files of records, directories, .gz, .zip, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Routing {
    /// One of the event's log sources equals the rule's on every part that the rule names
    Strict,
    /// A rule applies unless a part is set on both sides and differs; events are taken as recorded:
    /// only a record's own fields count, and its `product`, `category` and `service` as log source
    Loose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Ndjson,
    Table,
}

#[derive(Debug, Default, Serialize)]
struct Stats {
    records: u64,
    events: u64,
    problems: u64,
    matches: u64,
    rules_loaded: usize,
    rules_skipped: usize,
    load_s: f64,
    eval_s: f64,
}

#[derive(Serialize)]
struct MatchLine<'a> {
    rule_id: &'a str,
    title: &'a str,
    level: &'a str,
    file: &'a str,
    record: u64,
    event_time: String,
    matched: BTreeMap<&'a str, &'a str>,
    tags: &'a [String],
}

/// Runs it.
pub fn run(args: &EvalArgs) -> anyhow::Result<ExitCode> {
    known_format(&args.format)?;
    let begun = Instant::now();
    let (sources, unreadable) = crate::rule_files::read(&args.rules)?;
    let set = RuleSet::load(sources, &LoadOptions::default());
    for problem in unreadable
        .iter()
        .cloned()
        .chain(set.problems.iter().map(ToString::to_string))
    {
        eprintln!("{problem}");
    }
    let mode = match args.logsource {
        Routing::Strict => LogSourceMode::Strict,
        Routing::Loose => LogSourceMode::Loose,
    };
    let compiled = Arc::new(Compiled::new(&set.rules, mode)?);
    let mut stats = Stats {
        rules_loaded: set.rules.len(),
        rules_skipped: set.problems.len() + unreadable.len(),
        load_s: begun.elapsed().as_secs_f64(),
        ..Stats::default()
    };
    if !set.correlations.is_empty() {
        eprintln!(
            "citywatch: {} correlations are not evaluated over files: rules only",
            set.correlations.len()
        );
    }
    let begun = Instant::now();
    let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let settings = InputSettings {
        format: args.format.clone(),
        received_at: now(),
    };
    evaluate(args, &settings, &compiled, &mut out, &mut stats)?;
    out.flush()?;
    stats.eval_s = begun.elapsed().as_secs_f64();
    if args.stats {
        eprintln!("{}", serde_json::to_string(&stats)?);
    }
    Ok(if stats.rules_skipped == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

/// Batches go to the threads in turn and come back in turn, so that the output has the input's order.
fn evaluate(
    args: &EvalArgs,
    settings: &InputSettings,
    compiled: &Arc<Compiled>,
    out: &mut impl Write,
    stats: &mut Stats,
) -> anyhow::Result<()> {
    if args.threads == 1 {
        let mut evaluator = Evaluator::new(compiled, args);
        return read_all(&args.files, settings, &mut |input| {
            write_result(&evaluator.evaluate(&input), out, stats)
        });
    }
    std::thread::scope(|scope| {
        let lanes: Vec<(mpsc::SyncSender<InputBatch>, mpsc::Receiver<Evaluated>)> = (0..args
            .threads)
            .map(|_| {
                let (work, inputs) = mpsc::sync_channel::<InputBatch>(2);
                let (results, done) = mpsc::sync_channel(4);
                scope.spawn(move || {
                    let mut evaluator = Evaluator::new(compiled, args);
                    for input in inputs {
                        if results.send(evaluator.evaluate(&input)).is_err() {
                            return;
                        }
                    }
                });
                (work, done)
            })
            .collect();
        let (mut sent, mut received) = (0, 0);
        let receive = |number: usize| {
            lanes[number % lanes.len()]
                .1
                .recv()
                .map_err(|_| anyhow::anyhow!("an evaluating thread ended early"))
        };
        let in_flight_max = lanes.len() * 2;
        read_all(&args.files, settings, &mut |input| {
            if sent - received >= in_flight_max {
                write_result(&receive(received)?, out, stats)?;
                received += 1;
            }
            lanes[sent % lanes.len()]
                .0
                .send(input)
                .map_err(|_| anyhow::anyhow!("an evaluating thread ended early"))?;
            sent += 1;
            Ok(())
        })?;
        while received < sent {
            write_result(&receive(received)?, out, stats)?;
            received += 1;
        }
        Ok(())
    })
}

fn write_result(result: &Evaluated, out: &mut impl Write, stats: &mut Stats) -> anyhow::Result<()> {
    stats.records += result.records;
    stats.events += result.events;
    stats.problems += result.problems;
    stats.matches += result.matches;
    match out.write_all(&result.lines) {
        // Who reads has seen enough (`| head`).
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        outcome => Ok(outcome?),
    }
}

/// What came of a batch.
#[derive(Default)]
struct Evaluated {
    lines: Vec<u8>,
    records: u64,
    events: u64,
    problems: u64,
    matches: u64,
}

struct Evaluator {
    matcher: Matcher,
    parser: Parser,
    arena: Bump,
    output: Output,
}

impl Evaluator {
    fn new(compiled: &Arc<Compiled>, args: &EvalArgs) -> Self {
        let context = ParseContext {
            taxonomy: match args.logsource {
                Routing::Strict => Taxonomy::Sigma,
                Routing::Loose => Taxonomy::AsRecorded,
            },
            ..ParseContext::default()
        };
        Self {
            matcher: compiled.matcher(),
            parser: Parser::new(context),
            arena: Bump::new(),
            output: args.output,
        }
    }

    fn evaluate(&mut self, input: &InputBatch) -> Evaluated {
        let mut result = Evaluated {
            records: input.batch.len() as u64,
            ..Evaluated::default()
        };
        self.arena.reset();
        let mut events: Vec<Event<'_>> = Vec::with_capacity(input.batch.len());
        self.parser
            .parse_batch(&input.batch, &self.arena, &mut events);
        let mut hits = Vec::new();
        for event in &events {
            result.events += 1;
            result.problems += event.problems.len() as u64;
            hits.clear();
            self.matcher.match_event(event, &mut hits);
            for hit in &hits {
                result.matches += 1;
                let rule = self.matcher.compiled().info(hit.rule);
                let line = MatchLine {
                    rule_id: &rule.id,
                    title: &rule.title,
                    level: &rule.level,
                    file: &input.file,
                    record: event.record.position,
                    event_time: event.event_time.to_string(),
                    matched: hit
                        .matched
                        .iter()
                        .map(|field| (&*field.name, &*field.value))
                        .collect(),
                    tags: &rule.tags,
                };
                write_line(&line, self.output, &mut result.lines);
            }
        }
        result
    }
}

fn write_line(line: &MatchLine<'_>, output: Output, lines: &mut Vec<u8>) {
    match output {
        Output::Ndjson => {
            serde_json::to_writer(&mut *lines, line)
                .expect("a line of strings and numbers is always JSON");
            lines.push(b'\n');
        }
        Output::Table => {
            let place = format!("{}:{}", line.file, line.record);
            let matched: Vec<String> = line
                .matched
                .iter()
                .map(|(name, value)| format!("{name}={}", printable(value)))
                .collect();
            writeln!(
                lines,
                "{:<13} {}  {place}  {}  {}",
                line.level,
                line.event_time,
                line.title,
                matched.join(" ")
            )
            .expect("writing to memory cannot fail");
        }
    }
}

/// Log content must not command the terminal: control characters are shown as escapes.
fn printable(value: &str) -> String {
    value
        .chars()
        .take(200)
        .map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}

/// A format that no parser has is a mistake of the command line. `evtx` is a kind of file, not of record.
fn known_format(name: &str) -> Result<(), UsageError> {
    if ["auto", "evtx"].contains(&name) || citywatch_parsers::format_by_name(name).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = citywatch_parsers::FORMATS
        .iter()
        .map(|format| format.name)
        .collect();
    Err(UsageError(format!(
        "--format {name}: there is no such format; there are auto, evtx, {}",
        names.join(", ")
    )))
}
