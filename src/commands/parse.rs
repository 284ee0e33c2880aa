//! `citywatch parse`: show what records become, and check a site's own formats.
//!
//! The form of the output is stable; other programs build on it.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bumpalo::Bump;
use citywatch_parsers::definitions::check_definitions;
use citywatch_parsers::{
    Event, EventJson, FormatName, ParseContext, Parser, ProblemKind, Timestamp, Value,
    detect_format, pivots,
};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::rules::blocks::{Block, Sink, Stopped};
use super::rules::inputs::{InputFormat, Inputs};
use crate::config::Config;
use crate::definition_files;

/// Options of `citywatch parse`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch parse /var/log/auth.log                     one JSON object per record
  citywatch parse --output table --explain unknown.log  what each line is taken for, and why
  zcat old.gz | citywatch parse --format syslog --strict - > events.ndjson
  citywatch parse --definitions formats/ gate.log       with your own formats
  citywatch parse --check formats/                      are they right, and do their tests pass?

Each line: record (its number in the file), format, event_time, host, logsources, pivots, fields, problems; and
file when several are read, explain with --explain. A record that no format reads has format \"text\", itself as the
field message, and a problem of kind \"unparsed\". A summary follows on standard error.

Exit code 0; 1 when a file cannot be read, with --strict when a record has a problem, and with --check when something is wrong; 2 for a wrong
command line.")]
pub struct ParseArgs {
    /// Format of the records: a name, or `auto`; with their encoding where it is not UTF-8: `syslog; charset=windows-1258`
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// Say why a record is taken for the format that it is read as
    #[arg(long)]
    explain: bool,
    /// How to show events
    #[arg(long, value_enum, default_value_t = Output::Ndjson)]
    output: Output,
    /// Exit with 1 when any record has a problem
    #[arg(long)]
    strict: bool,
    /// Check definitions of formats and run the tests beside them, instead of reading records
    #[arg(long, num_args = 1.., value_name = "DIR|FILE", conflicts_with_all = ["files", "definitions", "strict", "explain"])]
    check: Vec<PathBuf>,
    /// File or folder of your own formats, instead of [parsers] definitions
    #[arg(long, value_name = "DIR|FILE")]
    definitions: Option<PathBuf>,
    /// Configuration file (TOML): its own formats and time zone
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Files of records, directories, .evtx, .gz, .zip, or - for standard input
    #[arg(required_unless_present = "check", value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// One JSON object per record
    Ndjson,
    /// One line per record, for reading
    Table,
}

/// Runs it.
pub fn run(args: &ParseArgs) -> anyhow::Result<ExitCode> {
    if !args.check.is_empty() {
        return check(&args.check);
    }
    let config = Config::load(args.config.as_deref())?;
    let context = definition_files::parse_context(&config, args.definitions.as_deref())?;
    let format = InputFormat::of_name(&args.format, &context.definitions)?;
    let mut printer = Printer {
        args,
        names_files: args.files.len() > 1 || args.files.iter().any(|path| holds_files(path)),
        context: context.clone(),
        parser: Parser::new(context),
        arena: Bump::new(),
        summary: Summary::default(),
        out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()),
        failed: None,
        spare: None,
    };
    let read = Inputs::new(format, now(), &mut printer).read_all(&args.files);
    let Ok(left_out) = read else {
        return match printer.failed.take() {
            Some(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(error).context("cannot write the events")
            }
            // Who reads has seen enough (`| head`): that is no failure.
            _ => Ok(ExitCode::SUCCESS),
        };
    };
    eprintln!("citywatch: {}", printer.summary);
    Ok(
        if left_out.files > 0 || args.strict && printer.summary.problems() > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        },
    )
}

fn holds_files(path: &std::path::Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|end| end == "zip")
}

fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}

/// Checks definitions and runs their tests.
fn check(paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut sources = Vec::new();
    let mut wrong = 0;
    for path in paths {
        let (found, unreadable) = definition_files::read(path)?;
        sources.extend(found);
        for problem in unreadable {
            eprintln!("{problem}");
            wrong += 1;
        }
    }
    let checked = check_definitions(&sources, &definition_files::zone);
    for problem in &checked.problems {
        eprintln!("{problem}");
    }
    wrong += checked.problems.len();
    eprintln!(
        "citywatch: {} definitions, {} tests, {wrong} problems",
        checked.definitions, checked.tests
    );
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[derive(Serialize)]
struct Line<'l, 'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'l str>,
    record: u64,
    #[serde(flatten)]
    event: EventJson<'l, 'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Explanation<'l>>,
}

/// Why a record was read as it was.
#[derive(Serialize)]
struct Explanation<'l> {
    /// The format that was found first, or was named.
    format: &'l str,
    why: &'l str,
}

struct Printer<'p> {
    args: &'p ParseArgs,
    names_files: bool,
    context: ParseContext,
    parser: Parser,
    arena: Bump,
    summary: Summary,
    out: BufWriter<std::io::StdoutLock<'static>>,
    /// Why the output failed.
    failed: Option<std::io::Error>,
    spare: Option<Block>,
}

impl Sink for Printer<'_> {
    fn take(&mut self, block: Block) -> Result<(), Stopped> {
        self.print(&block).map_err(|error| {
            self.failed = Some(error);
            Stopped
        })?;
        self.summary.unreadable += block.unreadable;
        if block.is_ordinary() {
            self.spare = Some(block);
        }
        Ok(())
    }

    fn spare(&mut self) -> Option<Block> {
        self.spare.take()
    }
}

impl Printer<'_> {
    fn print(&mut self, block: &Block) -> std::io::Result<()> {
        let mut lines = Vec::new();
        for index in 0..block.len() {
            let record = block.record(index);
            lines.clear();
            self.arena.reset();
            let mut events = Vec::with_capacity(1);
            self.parser.parse_record(record, &self.arena, &mut events);
            self.summary.records += 1;
            for event in &events {
                self.summary.add(event);
                let line = Line {
                    file: self.names_files.then_some(block.source.name.as_str()),
                    record: record.position,
                    event: EventJson(event),
                    explain: self
                        .args
                        .explain
                        .then(|| explain(&self.args.format, event, &self.context)),
                };
                match self.args.output {
                    Output::Ndjson => {
                        serde_json::to_writer(&mut lines, &line)?;
                        lines.push(b'\n');
                    }
                    Output::Table => write_row(&mut lines, &line)?,
                }
            }
            self.out.write_all(&lines)?;
        }
        // Who waits at a pipe sees each record when it was read.
        self.out.flush()
    }
}

fn explain<'l>(named: &'l str, event: &Event<'_>, context: &'l ParseContext) -> Explanation<'l> {
    let named = FormatName::of(named).name;
    if named != "auto" && named == event.format {
        return Explanation {
            format: named,
            why: "named on the command line",
        };
    }
    let detection = detect_format(event.record.raw, context);
    if detection.format.name() == "text" && event.format != "text" {
        return Explanation {
            format: event.format,
            why: "has the columns that the top of its file names",
        };
    }
    Explanation {
        format: detection.format.name(),
        why: detection.reason,
    }
}

/// `17  2026-11-21T14:00:01.000000Z  syslog  linux//sshd  host  action=login outcome=failure ...`
fn write_row(lines: &mut Vec<u8>, line: &Line<'_, '_>) -> std::io::Result<()> {
    let event = line.event.0;
    let source = event.log_sources.first().map_or("-".to_owned(), |source| {
        format!("{}/{}/{}", source.product, source.category, source.service)
    });
    let place = match line.file {
        Some(file) => format!("{file}:{}", line.record),
        None => line.record.to_string(),
    };
    let host = if event.host.is_empty() {
        "-"
    } else {
        event.host
    };
    write!(
        lines,
        "{place:>6}  {}  {:<16} {:<24} {:<16}",
        event.event_time,
        event.format,
        printable(&source),
        printable(host)
    )?;
    let pivots = pivots(event);
    let address = |address: Option<std::net::IpAddr>| address.map(|address| address.to_string());
    let (from, to) = (
        address(pivots.source_address),
        address(pivots.destination_address),
    );
    let code = pivots.event_code.map(|code: Value<'_>| code.to_string());
    for (name, value) in [
        ("code", code.as_deref()),
        ("action", pivots.action),
        ("outcome", pivots.outcome),
        ("user", pivots.user),
        ("from", from.as_deref()),
        ("to", to.as_deref()),
        ("process", pivots.process),
        ("message", pivots.message.or(pivots.url)),
    ] {
        if let Some(value) = value {
            write!(lines, " {name}={}", printable(value))?;
        }
    }
    for problem in &event.problems {
        write!(
            lines,
            "  ! {}: {}",
            problem.kind.name(),
            printable(&problem.detail)
        )?;
    }
    lines.push(b'\n');
    if let Some(explain) = &line.explain {
        writeln!(lines, "        {}: {}", explain.format, explain.why)?;
    }
    Ok(())
}

/// Log content must not command the terminal: control characters are shown as escapes.
fn printable(text: &str) -> String {
    const CHARACTERS_MAX: usize = 120;
    let mut shown = String::with_capacity(text.len().min(CHARACTERS_MAX));
    for (place, c) in text.chars().enumerate() {
        if place == CHARACTERS_MAX {
            shown.push('…');
            break;
        }
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// What came of all records.
#[derive(Debug, Default)]
struct Summary {
    records: u64,
    events: u64,
    unparsed: u64,
    /// Records of a damaged file that could not be read at all.
    unreadable: u64,
    formats: BTreeMap<&'static str, u64>,
    problems: BTreeMap<&'static str, u64>,
}

impl Summary {
    fn add(&mut self, event: &Event<'_>) {
        self.events += 1;
        *self.formats.entry(event.format).or_default() += 1;
        for problem in &event.problems {
            *self.problems.entry(problem.kind.name()).or_default() += 1;
            self.unparsed += u64::from(problem.kind == ProblemKind::Unparsed);
        }
    }

    fn problems(&self) -> u64 {
        self.problems.values().sum()
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let listed = |counts: &BTreeMap<&str, u64>| {
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), **name));
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            counts.join(", ")
        };
        write!(
            f,
            "{} records, {} events ({}), {} unparsed, {} problems",
            self.records,
            self.events,
            listed(&self.formats),
            self.unparsed,
            self.problems()
        )?;
        if !self.problems.is_empty() {
            write!(f, " ({})", listed(&self.problems))?;
        }
        if self.unreadable > 0 {
            write!(
                f,
                "; {} records of damaged files could not be read",
                self.unreadable
            )?;
        }
        Ok(())
    }
}
