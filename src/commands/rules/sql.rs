//! `citywatch rules sql`: rules as statements of ClickHouse.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use citywatch_parsers::Timestamp;
use citywatch_rules::rule::Level;
use citywatch_rules::{Rule, sql};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::loaded::load;
use super::style::printable;
use crate::config::Config;
use crate::report::say;
use crate::rule_pipelines::PipelineArgs;
use crate::stored::{is_broken_pipe, time_option, zone_of};

/// Options of `citywatch rules sql`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules sql rules/library/linux/web_shell.yml
  citywatch rules sql --from 2026-11-20 --to 2026-11-21 rule.yml | clickhouse-client
  citywatch rules sql --output ndjson rules/ | jq -r 'select(.sql == null) | .title'

A statement finds exactly the events that the engine finds: the same letters in any case, wildcards, lists, nulls, numbers, networks
and regular expressions. It needs ClickHouse 24.3 or later, and nothing of Citywatch but its table. What SQL cannot say exactly is told
instead of a statement. For many rules at once, and for correlations, use `citywatch rules hunt`: it reads the events once for all rules.

Exit code 0; 1 when a rule could not be read or has no statement; 2 for a wrong command line.")]
pub struct SqlArgs {
    /// Rule files, or directories with all below them
    #[arg(required = true, value_name = "RULE")]
    paths: Vec<PathBuf>,
    /// Only events at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only events before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// The table of events
    #[arg(long, default_value = "citywatch.events", value_name = "NAME")]
    table: String,
    /// How to show them
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Configuration: values of placeholders, time zone of --from and --to
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Statements, each ended by a semicolon
    Text,
    /// One JSON list of objects with `rule_id`, `title`, `level`, and `sql` or `unsaid`
    Json,
    /// One such object per line
    Ndjson,
}

/// Runs it.
pub fn run(args: &SqlArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.paths, args.config.as_deref(), &args.pipelines)?;
    let config = Config::load(args.config.as_deref())?;
    let zone = zone_of(&config);
    let time = |option: &str, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| time_option(option, text, &zone))
            .transpose()
    };
    let span = span(time("--from", &args.from)?, time("--to", &args.to)?);
    let mut failed = loaded.left_out;
    let mut objects = Vec::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let written = (|| -> anyhow::Result<()> {
        for rule in &loaded.set.rules {
            let statement = sql::statement(rule, &args.table, span.as_deref());
            if let Err(unsaid) = &statement {
                failed += 1;
                for part in unsaid {
                    let title = printable(&rule.meta.title);
                    say(&format!(
                        "{title}: no statement says {}: {}",
                        part.part, part.reason
                    ));
                }
            }
            match (args.output, statement) {
                (Output::Text, Ok(statement)) => writeln!(out, "{statement};\n")?,
                (Output::Text, Err(_)) => {}
                (Output::Ndjson, statement) => writeln!(out, "{}", object(rule, &statement))?,
                (Output::Json, statement) => objects.push(object(rule, &statement)),
            }
        }
        if args.output == Output::Json {
            writeln!(out, "{:#}", json!(objects))?;
        }
        out.flush()?;
        Ok(())
    })();
    match written {
        Err(error) if !is_broken_pipe(&error) => return Err(error),
        _ => {}
    }
    for correlation in &loaded.set.correlations {
        failed += 1;
        let title = printable(&correlation.meta.title);
        say(&format!(
            "{title}: a statement finds single events; `citywatch rules hunt` correlates them"
        ));
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A condition on the events' times.
fn span(from: Option<Timestamp>, to: Option<Timestamp>) -> Option<String> {
    let bound = |time: Option<Timestamp>, sign: &str| {
        time.map(|time| {
            format!(
                "event_time {sign} toDateTime64('{}', 6, 'UTC')",
                clock(time)
            )
        })
    };
    let bounds: Vec<String> = bound(from, ">=")
        .into_iter()
        .chain(bound(to, "<"))
        .collect();
    (!bounds.is_empty()).then(|| bounds.join(" AND "))
}

/// As ClickHouse reads times.
fn clock(time: Timestamp) -> String {
    time.to_string().replace('T', " ").replace('Z', "")
}

fn object(rule: &Rule, statement: &Result<String, Vec<sql::Unsaid>>) -> serde_json::Value {
    let level = rule.meta.level.map(Level::name);
    let mut object =
        json!({"rule_id": rule.meta.id.as_str(), "title": &*rule.meta.title, "level": level});
    match statement {
        Ok(statement) => object["sql"] = json!(statement),
        Err(unsaid) => {
            let parts = unsaid
                .iter()
                .map(|part| json!({"part": part.part, "reason": part.reason}));
            object["unsaid"] = parts.collect();
        }
    }
    object
}
