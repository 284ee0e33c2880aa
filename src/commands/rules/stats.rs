//! `citywatch rules stats`, `fields` and `coverage`: numbers about rules.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use citywatch_rules::survey;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::loaded::{Loaded, load};
use super::style::{Style, printable};
use crate::rule_pipelines::PipelineArgs;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading
    Table,
    /// One JSON object
    Json,
}

/// Options of `citywatch rules stats`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules stats rules/library
  citywatch rules stats --output json rules/ | jq .levels")]
pub struct StatsArgs {
    /// Rule files, or directories with all below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// How to show them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Options of `citywatch rules fields`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules fields rules/library               which fields rules ask, by log source
  citywatch rules fields --unknown rules/            those that events of their log source do not have")]
pub struct FieldsArgs {
    /// Rule files, or directories with all below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// Only fields that events of their log source do not have
    #[arg(long)]
    unknown: bool,
    /// How to show them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Options of `citywatch rules coverage`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules coverage rules/library                           by tactic and technique
  citywatch rules coverage --output navigator rules > layer.json   for MITRE's ATT&CK Navigator")]
pub struct CoverageArgs {
    /// Rule files, or directories with all below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = CoverageOutput::Table)]
    output: CoverageOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CoverageOutput {
    /// For reading
    Table,
    /// One JSON object
    Json,
    /// A layer of the ATT&CK Navigator, format 4.5
    Navigator,
}

fn exit(loaded: &Loaded) -> ExitCode {
    if loaded.left_out == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs `stats`.
pub fn stats(args: &StatsArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.paths, None, &args.pipelines)?;
    let counted = survey::statistics(&loaded.set);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if args.output == Output::Json {
        let all = json!({
            "rules": counted.rules, "correlations": counted.correlations, "left_out": loaded.left_out, "levels": counted.levels,
            "statuses": counted.statuses, "log_sources": counted.log_sources, "tests": counted.tests, "timespan_max_s": counted.timespan_max_s,
        });
        writeln!(out, "{all:#}")?;
    } else {
        let style = Style::of_stdout();
        writeln!(
            out,
            "{} rules, {} correlations, {} left out",
            counted.rules, counted.correlations, loaded.left_out
        )?;
        for (heading, counts) in [
            ("level", &counted.levels),
            ("status", &counted.statuses),
            ("tests", &counted.tests),
            ("log source", &counted.log_sources),
        ] {
            writeln!(out, "\n{}", style.strong(heading))?;
            let mut rows: Vec<(&String, &usize)> = counts.iter().collect();
            rows.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
            for (name, count) in rows {
                writeln!(out, "{count:8}  {}", printable(name))?;
            }
        }
    }
    out.flush()?;
    Ok(exit(&loaded))
}

/// Runs `fields`.
pub fn fields(args: &FieldsArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.paths, None, &args.pipelines)?;
    let mut asked = survey::fields(&loaded.set);
    if args.unknown {
        asked.retain(|field| field.known == Some(false));
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if args.output == Output::Json {
        let all: Vec<_> = asked
            .iter()
            .map(|field| json!({"log_source": field.log_source, "field": field.field, "rules": field.rules, "known": field.known}))
            .collect();
        writeln!(out, "{:#}", json!(all))?;
    } else {
        let style = Style::of_stdout();
        for group in asked.chunk_by(|a, b| a.log_source == b.log_source) {
            writeln!(out, "{}", style.strong(&printable(&group[0].log_source)))?;
            for field in group {
                let note = if field.known == Some(false) {
                    style.doubtful("  events of this log source do not have it")
                } else {
                    String::new()
                };
                writeln!(out, "{:8}  {}{note}", field.rules, printable(&field.field))?;
            }
        }
    }
    out.flush()?;
    Ok(exit(&loaded))
}

/// Runs `coverage`.
pub fn coverage(args: &CoverageArgs) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.paths, None, &args.pipelines)?;
    let covered = survey::coverage(&loaded.set);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        CoverageOutput::Json => writeln!(
            out,
            "{:#}",
            json!({"tactics": covered.tactics, "techniques": covered.techniques, "untagged": covered.untagged})
        )?,
        CoverageOutput::Navigator => writeln!(out, "{:#}", layer(&covered.techniques))?,
        CoverageOutput::Table => {
            let style = Style::of_stdout();
            for (tactic, techniques) in &covered.tactics {
                let rules: usize = techniques.values().sum();
                writeln!(
                    out,
                    "{} {} techniques, {rules} rules",
                    style.strong(tactic),
                    techniques.len()
                )?;
                let cells: Vec<String> = techniques
                    .iter()
                    .map(|(name, count)| format!("{name} {count}"))
                    .collect();
                for row in cells.chunks(8) {
                    writeln!(
                        out,
                        "    {}",
                        row.iter()
                            .map(|cell| format!("{cell:14}"))
                            .collect::<String>()
                            .trim_end()
                    )?;
                }
            }
            writeln!(
                out,
                "\n{} techniques; {} rules name none",
                covered.techniques.len(),
                covered.untagged
            )?;
        }
    }
    out.flush()?;
    Ok(exit(&loaded))
}

/// A layer of the Navigator: the more rules, the darker.
fn layer(techniques: &BTreeMap<String, Vec<String>>) -> serde_json::Value {
    const COMMENTED_MAX: usize = 10;
    let most = techniques.values().map(Vec::len).max().unwrap_or(1);
    let rows: Vec<_> = techniques
        .iter()
        .map(|(technique, titles)| {
            let shown: Vec<&str> = titles.iter().take(COMMENTED_MAX).map(String::as_str).collect();
            json!({"techniqueID": technique, "score": titles.len(), "comment": shown.join("\n"), "enabled": true, "showSubtechniques": technique.contains('.')})
        })
        .collect();
    json!({
        "name": "Citywatch rules", "versions": {"layer": "4.5", "navigator": "5.1.0", "attack": "17"},
        "domain": "enterprise-attack", "description": "How many rules name each technique",
        "techniques": rows,
        "gradient": {"colors": ["#ffffff", "#66b1ff", "#084594"], "minValue": 0, "maxValue": most},
    })
}
