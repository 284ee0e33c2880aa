//! `citywatch rules explain`: why a rule matches an event, or not.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Event, Origin, ParseContext, Parser, RecordBatch, Timestamp};
use citywatch_rules::explain::{Branch, Explanation, explain};
use citywatch_rules::{LoadOptions, Rule, RuleSet, rule_tests};
use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::inputs::InputFormat;
use super::records::{self, KeptRecord};
use super::style::{Style, printable};
use super::words;
use crate::config::Config;
use crate::report::UsageError;
use crate::rule_pipelines::PipelineArgs;
use crate::{definition_files, rule_files};

/// Options of `citywatch rules explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules explain ssh.yml /var/log/auth.log            the record that matches, or comes nearest
  citywatch rules explain ssh.yml --record 12 auth.log         the twelfth
  citywatch rules explain proc.yml '{\"EventID\": 1, \"Image\": \"C:\\\\x.exe\"}'
  tail -1 auth.log | citywatch rules explain ssh.yml -

Each leaf of the condition is shown as true or false with the value that the event has. Where the rule does not match, the
smallest change that would make it match is named.

Exit code 0 when the rule matches; 1 when it does not; 2 for a wrong command line.")]
pub struct ExplainArgs {
    /// File of the rule
    #[arg(value_name = "RULE")]
    rule: PathBuf,
    /// The event: a file of records, - for standard input, or the record itself
    #[arg(value_name = "EVENT")]
    event: String,
    /// Which rule of the file, by id or name, where it has several
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Which record of the file; unset: the first that matches, or the one that comes nearest
    #[arg(long, value_name = "N")]
    record: Option<usize>,
    /// Format of the records: a name as `citywatch parse` knows it, `json`, `ndjson`, `evtx`, or `auto`
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// How to show the explanation
    #[arg(long, value_enum, default_value_t = Output::Tree)]
    output: Output,
    /// Configuration: values of placeholders in rules ([engine.placeholders]), time zone, your own formats ([parsers])
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// A tree for people
    Tree,
    /// One JSON object
    Json,
}

/// Runs it.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.as_deref())?;
    let context = match &args.config {
        Some(_) => definition_files::parse_context(&config, None)?,
        None => ParseContext::default(),
    };
    let format = InputFormat::of_name(&args.format, &context.definitions)?;
    let (sources, unreadable) = rule_files::read(std::slice::from_ref(&args.rule))?;
    let options = LoadOptions {
        pipelines: args.pipelines.read(&config.engine.pipelines)?,
        placeholders: config.engine.placeholders,
    };
    let set = RuleSet::load(sources, &options);
    for problem in &unreadable {
        crate::report::say(problem);
    }
    for problem in &set.problems {
        crate::report::say(&problem.to_string());
    }
    let rule = rule_of(&set, args)?;
    let records = records_of(args, format)?;
    let shown = choose(rule, &records, args, &context)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        Output::Tree => tree(rule, &shown, records.len(), Style::of_stdout(), &mut out)?,
        Output::Json => writeln!(out, "{:#}", as_json(rule, &shown))?,
    }
    out.flush()?;
    Ok(if shown.matches() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An event's explanation with what is told of the event.
struct Shown {
    record: usize,
    raw: String,
    log_sources: String,
    applies: bool,
    explanation: Explanation,
}

impl Shown {
    fn matches(&self) -> bool {
        self.applies && self.explanation.holds
    }

    fn distance(&self) -> (bool, usize) {
        (!self.applies, self.explanation.nearest.len())
    }
}

fn rule_of<'s>(set: &'s RuleSet, args: &ExplainArgs) -> anyhow::Result<&'s Rule> {
    let found = match &args.id {
        Some(id) => set.rule(id),
        None => set.rules.first(),
    };
    if let Some(rule) = found {
        return Ok(rule);
    }
    let path = args.rule.display();
    let names = set.rules.iter().map(|rule| rule.meta.id.as_str());
    Err(UsageError(match (&args.id, set.correlations.is_empty()) {
        (Some(id), _) => format!(
            "{path}: there is no rule {id}; there are {}",
            names.collect::<Vec<_>>().join(", ")
        ),
        (None, false) => format!(
            "{path}: a correlation speaks of several events; `citywatch rules test` shows what it raises"
        ),
        (None, true) => format!("{path}: there is no rule in it that can be loaded"),
    })
    .into())
}

fn records_of(args: &ExplainArgs, format: InputFormat) -> anyhow::Result<Vec<KeptRecord>> {
    let path = PathBuf::from(&args.event);
    let records = if args.event == "-" || path.exists() {
        records::read(&[path], format).map_err(anyhow::Error::msg)?
    } else if args.event.len() < 256 && !args.event.contains([' ', '{', '=', '|']) {
        return Err(UsageError(format!("{}: there is no such file", args.event)).into());
    } else {
        let format = match format {
            InputFormat::Lines(format) => format,
            InputFormat::Json => "json".into(),
            InputFormat::Auto | InputFormat::Evtx => "auto".into(),
        };
        vec![KeptRecord {
            raw: args.event.clone().into_bytes(),
            format,
        }]
    };
    if records.is_empty() {
        return Err(UsageError(format!("{}: there is no record in it", args.event)).into());
    }
    Ok(records)
}

/// The record that was asked for, or the first that matches, or the one that comes nearest.
fn choose(
    rule: &Rule,
    records: &[KeptRecord],
    args: &ExplainArgs,
    context: &ParseContext,
) -> anyhow::Result<Shown> {
    let mut parser = Parser::new(context.clone());
    let mut best: Option<Shown> = None;
    for (number, record) in (1..).zip(records) {
        let mut found = Vec::new();
        each_event(&mut parser, record, |event| {
            found.push(Shown {
                record: number,
                raw: String::from_utf8_lossy(event.record.raw).into_owned(),
                log_sources: words::log_sources(event),
                applies: rule_tests::applies(&rule.log_source, event),
                explanation: explain(rule, event),
            });
        });
        if args.record.is_some_and(|wanted| wanted != number) {
            continue;
        }
        for shown in found {
            if best
                .as_ref()
                .is_none_or(|best| shown.distance() < best.distance())
            {
                best = Some(shown);
            }
        }
        if best.as_ref().is_some_and(Shown::matches) {
            break;
        }
    }
    best.ok_or_else(|| {
        let words = format!("{}: it has {} records", args.event, records.len());
        UsageError(words).into()
    })
}

fn each_event(parser: &mut Parser, record: &KeptRecord, mut each: impl FnMut(&Event<'_>)) {
    let origin = Origin {
        format: record.format.clone(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(std::sync::Arc::new(origin));
    batch.push(&record.raw, 0, Timestamp::from_seconds(0), Truncated::No);
    let arena = Bump::new();
    let mut events = Vec::new();
    if let Some(record) = batch.get(0) {
        parser.parse_record(record, &arena, &mut events);
    }
    events.iter().for_each(&mut each);
}

fn tree(
    rule: &Rule,
    shown: &Shown,
    records: usize,
    style: Style,
    out: &mut impl Write,
) -> std::io::Result<()> {
    const RAW_CHARS_MAX: usize = 400;
    let verdict = if shown.matches() {
        style.good("matches")
    } else {
        style.bad("does not match")
    };
    let title = printable(&rule.meta.title);
    writeln!(
        out,
        "{} {verdict} record {} of {records}",
        style.strong(&title),
        shown.record
    )?;
    let raw: String = shown.raw.chars().take(RAW_CHARS_MAX).collect();
    writeln!(out, "{}", style.faint(&printable(&raw)))?;
    let mark = if shown.applies {
        style.good("true ")
    } else {
        style.bad("false")
    };
    writeln!(
        out,
        "\n{mark} log source: {}; the event is {}",
        words::log_source(&rule.log_source),
        shown.log_sources
    )?;
    for condition in &rule.conditions {
        writeln!(out, "      condition: {}", printable(&condition.text))?;
    }
    branch(&shown.explanation.root, 0, style, out)?;
    if !shown.applies {
        writeln!(
            out,
            "\nThe event is of another log source: the rule is not asked."
        )?;
    }
    if !shown.explanation.nearest.is_empty() {
        let count = shown.explanation.nearest.len();
        let what = if count == 1 { "this" } else { "these" };
        writeln!(out, "\nIt would match but for {what}:")?;
        for leaf in &shown.explanation.nearest {
            writeln!(out, "{}", words::missing(leaf, "  "))?;
        }
    }
    Ok(())
}

fn branch(of: &Branch, depth: usize, style: Style, out: &mut impl Write) -> std::io::Result<()> {
    let mark = if of.holds {
        style.good("true ")
    } else {
        style.bad("false")
    };
    let indent = "  ".repeat(depth);
    let name = match &of.search {
        Some(search) => format!("{}: ", style.strong(&printable(search))),
        None => String::new(),
    };
    let seen = match &of.seen {
        Some(seen) => style.faint(&format!("   <- {}", printable(seen))),
        None => String::new(),
    };
    writeln!(out, "{mark} {indent}{name}{}{seen}", printable(&of.asks))?;
    for child in &of.children {
        branch(child, depth + 1, style, out)?;
    }
    if of.left_out > 0 {
        let words = format!(
            "{} more, {}",
            of.left_out,
            if of.asks == "all of" { "true" } else { "false" }
        );
        writeln!(out, "      {indent}  {}", style.faint(&words))?;
    }
    Ok(())
}

fn as_json(rule: &Rule, shown: &Shown) -> Json {
    json!({
        "rule": rule.meta.title, "rule_id": rule.meta.id.as_str(), "record": shown.record,
        "matches": shown.matches(), "log_source_applies": shown.applies,
        "condition": branch_json(&shown.explanation.root),
        "nearest": shown.explanation.nearest.iter().map(branch_json).collect::<Vec<_>>(),
    })
}

fn branch_json(of: &Branch) -> Json {
    let mut made = json!({"asks": of.asks, "holds": of.holds});
    if let Some(search) = &of.search {
        made["search"] = json!(search);
    }
    if let Some(seen) = &of.seen {
        made["seen"] = json!(seen);
    }
    if !of.children.is_empty() {
        made["children"] = of.children.iter().map(branch_json).collect();
    }
    if of.left_out > 0 {
        made["left_out"] = json!(of.left_out);
    }
    made
}
