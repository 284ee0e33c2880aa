//! `citywatch rules bench`: what each rule costs, the dearest first.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, JudgeTimer, LogSourceMode, Matcher, RuleHit, RuleIndex};
use citywatch_parsers::{Parser, Timestamp};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::blocks::{Block, Sink, Stopped};
use super::inputs::{InputFormat, Inputs};
use super::loaded::load;
use super::style::{Style, printable};
use super::watched_file::Progressing;
use crate::rule_pipelines::PipelineArgs;

/// Options of `citywatch rules bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules bench --rules rules/ events/             the twenty dearest rules over these events
  citywatch rules bench --rules rules/ --top 5 auth.log

A rule is judged only for events in which its rarest part was found; that search is shared by all rules and told as such. A rule
that is judged for many events and matches few lacks a rare part: name a program, an event id, a longer text.")]
pub struct BenchArgs {
    /// Rule files, or directories with all below them
    #[arg(long, required = true, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Rules that are shown
    #[arg(long, default_value_t = 20, value_name = "N")]
    top: usize,
    /// Format of the records
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// How to show costs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Configuration: placeholders, time zone, your own formats
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// Files of records, directories, .gz, .zip, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For reading
    Table,
    /// One JSON object
    Json,
}

/// What one rule cost.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    judged: u64,
    matches: u64,
    spent: Duration,
}

struct Clock {
    begun: Instant,
    costs: Vec<Cost>,
}

impl JudgeTimer for Clock {
    fn begin(&mut self) {
        self.begun = Instant::now();
    }

    fn end(&mut self, rule: RuleIndex) {
        let cost = &mut self.costs[rule.as_usize()];
        cost.judged += 1;
        cost.spent += self.begun.elapsed();
    }
}

struct Measuring {
    parser: Parser,
    matcher: Matcher,
    hits: Vec<RuleHit>,
    clock: Clock,
    events: u64,
    parsing: Duration,
    matching: Duration,
}

impl Sink for Measuring {
    fn take(&mut self, block: Block) -> Result<(), Stopped> {
        let arena = Bump::new();
        let mut events = Vec::new();
        let begun = Instant::now();
        for index in 0..block.len() {
            self.parser
                .parse_record(block.record(index), &arena, &mut events);
        }
        self.parsing += begun.elapsed();
        let begun = Instant::now();
        for event in &events {
            self.events += 1;
            self.hits.clear();
            self.matcher
                .match_event_timed(event, &mut self.hits, &mut self.clock);
            for hit in &self.hits {
                self.clock.costs[hit.rule.as_usize()].matches += 1;
            }
        }
        self.matching += begun.elapsed();
        Ok(())
    }

    fn spare(&mut self) -> Option<Block> {
        None
    }
}

/// Runs it.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.rules, args.config.as_deref(), &args.pipelines)?;
    let format = InputFormat::of_name(&args.format, &loaded.context.definitions)?;
    let compiled = Arc::new(Compiled::new(&loaded.set.rules, LogSourceMode::Strict)?);
    let mut measuring = Measuring {
        parser: Parser::new(loaded.context.clone()),
        matcher: compiled.matcher(),
        hits: Vec::new(),
        clock: Clock {
            begun: Instant::now(),
            costs: vec![Cost::default(); loaded.set.rules.len()],
        },
        events: 0,
        parsing: Duration::ZERO,
        matching: Duration::ZERO,
    };
    let read = Inputs::new(format, Timestamp::from_seconds(0), &mut measuring)
        .progressing(Progressing::Shown)
        .read_all(&args.files);
    let unread = read.map_or(1, |read| read.files);
    let mut order: Vec<usize> = (0..loaded.set.rules.len()).collect();
    order.sort_by_key(|&rule| {
        std::cmp::Reverse((
            measuring.clock.costs[rule].spent,
            measuring.clock.costs[rule].judged,
        ))
    });
    order.retain(|&rule| measuring.clock.costs[rule].judged > 0);
    order.truncate(args.top);
    let row = |&rule: &usize| (&loaded.set.rules[rule].meta, measuring.clock.costs[rule]);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let judging: Duration = measuring.clock.costs.iter().map(|cost| cost.spent).sum();
    match args.output {
        Output::Json => {
            let rules: Vec<_> = order
                .iter()
                .map(row)
                .map(|(meta, cost)| {
                    json!({"rule_id": meta.id.as_str(), "title": &*meta.title, "path": &*meta.path, "spent_us": cost.spent.as_secs_f64() * 1e6,
                        "judged": cost.judged, "matches": cost.matches})
                })
                .collect();
            let all = json!({"events": measuring.events, "parsing_s": measuring.parsing.as_secs_f64(), "matching_s": measuring.matching.as_secs_f64(),
                "judging_s": judging.as_secs_f64(), "rules": rules});
            writeln!(out, "{all:#}")?;
        }
        Output::Table => {
            let style = Style::of_stdout();
            writeln!(
                out,
                "{}",
                style.strong("   spent    judged   matches  rule")
            )?;
            for (meta, cost) in order.iter().map(row) {
                let spent = format!("{:.1} us", cost.spent.as_secs_f64() * 1e6);
                writeln!(
                    out,
                    "{spent:>11} {:>9} {:>9}  {} ({})",
                    cost.judged,
                    cost.matches,
                    printable(&meta.title),
                    meta.path
                )?;
            }
            writeln!(
                out,
                "{} events: parsing {:.3} s, matching {:.3} s, of which judging single rules {:.3} s (measuring it included)",
                measuring.events,
                measuring.parsing.as_secs_f64(),
                measuring.matching.as_secs_f64(),
                judging.as_secs_f64()
            )?;
        }
    }
    out.flush()?;
    Ok(if loaded.left_out > 0 || unread > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
