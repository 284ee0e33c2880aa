//! `citywatch rules eval`: match files of records against rules, one line per match.
//!
//! The form of the output is stable; other programs build on it.

use std::borrow::Cow;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use citywatch_engine::detect::{Compiled, LogSourceMode};
use citywatch_parsers::{ParseContext, Taxonomy, Timestamp};
use citywatch_rules::{LoadOptions, RuleSet};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::blocks::Stopped;
use super::correlated::Correlating;
use super::evaluator::Rules;
use super::inputs::{InputFormat, Inputs, LeftOut};
use super::lanes::{Alone, Printer, Prompt, with_threads};
use super::line_buffer::LineBuffer;
use super::lines::{Output, Place, PlaceText, RuleLine, TimeText};
use super::watched_file::Progressing;
use crate::config::Config;
use crate::definition_files;
use crate::report::{UsageError, say};
use crate::rule_pipelines::PipelineArgs;

/// Options of `citywatch rules eval`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules eval --rules rules/library /var/log/auth.log
  citywatch rules eval --rules rules/ --stats events.ndjson > matches.ndjson
  zcat old.gz | citywatch rules eval --rules one.yml --output table -

Correlations are told after all else, with the file and record of their last event. A rule that a correlation
refers to is told of its own only where the correlation says `generate: true`.

Exit code 0 also when nothing matched; 1 when a rule or a file was left out, or there was no rule at all; 2 for a wrong
command line.")]
pub struct EvalArgs {
    /// Rule files, or directories with all below them
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Configuration: values of placeholders in rules ([engine.placeholders]), time zone, your own formats ([parsers])
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// Values of placeholders in rules, instead of those of the configuration: a YAML or TOML file of names with values
    #[arg(long, value_name = "FILE")]
    placeholders: Option<PathBuf>,
    /// Format of the records: a name as `citywatch parse` knows it, `json`, `ndjson`, `evtx`, or `auto`
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
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl EvalArgs {
    /// `--rules PATH... FILE...` has no mark where rules end and records begin: what stands behind the last
    /// path that holds rules is records. A folder without rules may be among the rules (`--rules sigma/rules*`).
    fn told_apart(mut self) -> Result<Self, UsageError> {
        let holds_rules = |path: &PathBuf| crate::rule_files::holds_rules(path);
        let last = self.rules.iter().skip(1).rposition(holds_rules);
        let mut files = self.rules.split_off(last.map_or(1, |place| place + 2));
        files.append(&mut self.files);
        self.files = files;
        if self.files.is_empty() {
            return Err(UsageError(
                "no records to match: name files or directories behind the options, or - for standard input"
                    .to_owned(),
            ));
        }
        Ok(self)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Routing {
    /// One of the event's log sources equals the rule's on every part that the rule names
    Strict,
    /// A rule applies unless a part is set on both sides and differs; events are taken as recorded:
    /// only a record's own fields count, and its `product`, `category` and `service` as log source
    Loose,
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

/// Runs it.
pub fn run(args: EvalArgs) -> anyhow::Result<ExitCode> {
    let args = &args.told_apart()?;
    let config = Config::load(args.config.as_deref())?;
    let context = match &args.config {
        Some(_) => definition_files::parse_context(&config, None)?,
        None => ParseContext::default(),
    };
    let format = InputFormat::of_name(&args.format, &context.definitions)?;
    for path in args.files.iter().filter(|path| path.as_os_str() != "-") {
        std::fs::metadata(path)
            .map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
    }
    let begun = Instant::now();
    let (rules, correlating, mut stats) = load(args, config, context)?;
    stats.load_s = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let stdout = std::io::stdout();
    let out = stdout
        .as_fd()
        .try_clone_to_owned()
        .context("standard output")?;
    let prompt = if args.files.iter().any(|path| path.as_os_str() == "-") {
        Prompt::Yes
    } else {
        Prompt::No
    };
    let mut printer = Printer::new(File::from(out), prompt, correlating);
    let evaluated = evaluate(args, format, &rules, &mut printer);
    let left_out = match (evaluated, printer.error) {
        (Ok(left_out), _) => left_out,
        // Who reads has seen enough (`| head`).
        (Err(Stopped), Some(error)) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(ExitCode::SUCCESS);
        }
        (Err(Stopped), Some(error)) => return Err(error).context("cannot write the matches"),
        (Err(Stopped), None) => anyhow::bail!("an evaluating thread ended early"),
    };
    let counts = printer.counts;
    stats = Stats {
        records: counts.records,
        events: counts.events,
        problems: counts.problems,
        matches: counts.matches,
        eval_s: begun.elapsed().as_secs_f64(),
        ..stats
    };
    if args.stats {
        eprintln!("{}", serde_json::to_string(&stats)?);
    }
    Ok(
        if stats.rules_loaded > 0 && stats.rules_skipped == 0 && left_out.files == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        },
    )
}

/// Reads and compiles the rules; says what is wrong with those that are left out.
fn load(
    args: &EvalArgs,
    config: Config,
    context: ParseContext,
) -> anyhow::Result<(Rules, Option<Correlating>, Stats)> {
    let (sources, unreadable) = crate::rule_files::read(&args.rules)?;
    let mut placeholders = config.engine.placeholders;
    if let Some(path) = &args.placeholders {
        placeholders.extend(crate::placeholders::read(path)?);
    }
    let options = LoadOptions {
        placeholders,
        pipelines: args.pipelines.read(&config.engine.pipelines)?,
    };
    let set = RuleSet::load(sources, &options);
    for problem in &unreadable {
        say(problem);
    }
    for problem in &set.problems {
        say(&problem.to_string());
    }
    if set.rules.is_empty() && set.problems.is_empty() && unreadable.is_empty() {
        let paths = args.rules.iter().map(|path| path.display().to_string());
        say(&format!(
            "no rules in {}: rules are .yml and .yaml files (*.test.yml are tests, and what is hidden is left out)",
            paths.collect::<Vec<_>>().join(", ")
        ));
    }
    let (mode, taxonomy) = match args.logsource {
        Routing::Strict => (LogSourceMode::Strict, Taxonomy::Sigma),
        Routing::Loose => (LogSourceMode::Loose, Taxonomy::AsRecorded),
    };
    let compiled = Arc::new(Compiled::new(&set.rules, mode)?);
    let context = ParseContext {
        taxonomy,
        ..context
    };
    let correlating = (!set.correlations.is_empty()).then(|| Correlating::new(&set));
    let stats = Stats {
        rules_loaded: set.rules.len() + set.correlations.len(),
        rules_skipped: set.problems.len() + unreadable.len(),
        ..Stats::default()
    };
    Ok((
        Rules::new(&set, compiled, context, args.output),
        correlating,
        stats,
    ))
}

fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

fn evaluate(
    args: &EvalArgs,
    format: InputFormat,
    rules: &Rules,
    printer: &mut Printer,
) -> Result<LeftOut, Stopped> {
    // On a terminal the matches themselves show that it goes on.
    let progress = if std::io::stdout().is_terminal() {
        Progressing::Hidden
    } else {
        Progressing::Shown
    };
    let read = |sink: &mut dyn super::blocks::Sink| {
        Inputs::new(format, now(), sink)
            .progressing(progress)
            .read_all(&args.files)
    };
    let left_out = match args.threads {
        1 => read(&mut Alone::new(rules, printer))?,
        threads => with_threads(usize::from(threads), rules, printer, read)?,
    };
    if let Some(correlating) = printer.correlating.take() {
        tell_correlated(correlating, args.output, printer)?;
    }
    printer.flush()?;
    Ok(left_out)
}

/// Prints what correlations hold, with the place of the last event of each.
fn tell_correlated(
    correlating: Correlating,
    output: Output,
    printer: &mut Printer,
) -> Result<(), Stopped> {
    let (correlated, refused) = correlating.finish();
    let mut time = TimeText::default();
    let (mut lines, mut place) = (LineBuffer::default(), PlaceText::default());
    for found in &correlated {
        let of = Place {
            file: printer.files.get(&found.file).map_or("", String::as_str),
            record: found.record,
            event_time: time.of(found.event_time),
        };
        place.set(of, output);
        let group = found
            .group
            .iter()
            .map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
        RuleLine::new(&found.rule, output).write(&place, group, output, &mut lines);
    }
    if refused > 0 {
        say(&format!(
            "{refused} matches were too many for the correlations: windows that they belong to may be missing; evaluate fewer files at once"
        ));
    }
    printer.print(lines.as_bytes(), correlated.len() as u64)
}
