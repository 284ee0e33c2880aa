//! `citywatch rules check`: what is wrong with rules, and what may be.

mod fixing;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use citywatch_rules::check::{CATALOGUE, CheckOptions, Remark, Severity, check, kind_by_code};
use citywatch_rules::rule::Position;
use citywatch_rules::{LoadOptions, RuleSource};
use clap::{Args, ValueEnum};

pub(super) use fixing::replace;

use crate::config::Config;
use crate::report::UsageError;
use crate::rule_files;
use crate::rule_pipelines::PipelineArgs;

/// Options of `citywatch rules check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules check rules/                     errors and warnings
  citywatch rules check --level info my/rule.yml   matters of convention, too
  citywatch rules check --fix rules/               put right what is safe to put right
  citywatch rules check --output sarif rules/ > rules.sarif
  citywatch rules check --describe CW224           what a code means, and what to do

A comment `# citywatch: allow CW224 why` on a line, or alone on the line before it, allows what is remarked there;
`# citywatch: allow-file CW224` allows it in the whole file.

Exit code 0 when there is nothing to remark; 1 when there is; 2 for a wrong command line.")]
pub struct CheckArgs {
    /// Rule files, or directories with all below them
    #[arg(required_unless_present_any = ["describe", "list"], value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Leave out what weighs less
    #[arg(long, value_enum, default_value_t = Level::Warning)]
    level: Level,
    /// Leave out these codes or names
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    without: Vec<String>,
    /// Change the files where that is safe, and show what is left
    #[arg(long)]
    fix: bool,
    /// How to show remarks
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Configuration: values of placeholders in rules ([engine.placeholders])
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// Values of placeholders in rules, instead of those of the configuration: a YAML or TOML file of names with values
    #[arg(long, value_name = "FILE")]
    placeholders: Option<PathBuf>,
    /// Tell what a code means
    #[arg(long, value_name = "CODE", conflicts_with = "paths")]
    describe: Option<String>,
    /// List all codes
    #[arg(long, conflicts_with = "paths")]
    list: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    /// Conventions, too
    Info,
    /// Warnings and errors
    Warning,
    /// What cannot work
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line for each, errors with the place in the text
    Table,
    /// One JSON object with all remarks
    Json,
    /// One JSON object per remark
    Ndjson,
    /// SARIF 2.1.0, as code hosts read it
    Sarif,
    /// JUnit's XML, one test per file
    Junit,
}

/// What was found in how many files.
struct Checked {
    sources: Vec<RuleSource>,
    remarks: Vec<Remark>,
    seconds: f64,
}

/// Runs it.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    if args.list || args.describe.is_some() {
        return describe(args);
    }
    for code in &args.without {
        if kind_by_code(code).is_none() {
            return Err(UsageError(format!(
                "--without {code}: there is no such code; --list shows them"
            ))
            .into());
        }
    }
    let config = Config::load(args.config.as_deref())?;
    let mut placeholders = config.engine.placeholders;
    if let Some(path) = &args.placeholders {
        placeholders.extend(crate::placeholders::read(path)?);
    }
    let load = LoadOptions {
        placeholders,
        pipelines: args.pipelines.read(&config.engine.pipelines)?,
    };
    let mut checked = check_all(args, &load)?;
    if args.fix {
        let fixed = fixing::fix(&checked)?;
        checked = check_all(args, &load)?;
        eprintln!(
            "citywatch: {} places in {} files put right",
            fixed.places, fixed.files
        );
    }
    show::show(&checked, args)?;
    Ok(if checked.remarks.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check_all(args: &CheckArgs, load: &LoadOptions) -> anyhow::Result<Checked> {
    let begun = Instant::now();
    let listed = rule_files::list(&args.paths)?;
    let (sources, unreadable) = rule_files::read_files(&listed.rules);
    let options = CheckOptions {
        load: load.clone(),
        today: Some(jiff::Zoned::now().date().to_string()),
        least: match args.level {
            Level::Info => Severity::Info,
            Level::Warning => Severity::Warning,
            Level::Error => Severity::Error,
        },
    };
    let mut remarks = check(&sources, &options);
    remarks.extend(
        listed
            .unreadable
            .iter()
            .chain(&unreadable)
            .map(|words| unreadable_file(words)),
    );
    if sources.is_empty() && unreadable.is_empty() {
        let paths = args.paths.iter().map(|path| path.display().to_string());
        let paths = paths.collect::<Vec<_>>().join(", ");
        return Err(UsageError(format!(
            "no rules in {paths}: rules are .yml and .yaml files"
        ))
        .into());
    }
    let left_out: Vec<&str> = args
        .without
        .iter()
        .filter_map(|code| kind_by_code(code))
        .map(|kind| kind.code)
        .collect();
    remarks.retain(|remark| !left_out.contains(&remark.kind.code));
    Ok(Checked {
        sources,
        remarks,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// `path:3:7: words` or `path: words` as a remark.
fn unreadable_file(words: &str) -> Remark {
    let parts = |words: &str| {
        let (path, rest) = words
            .split_once(".yml:")
            .map(|(path, rest)| (format!("{path}.yml"), rest))?;
        let mut numbers = rest.splitn(3, ':');
        let line = numbers.next()?.parse().ok()?;
        let column = numbers.next()?.parse().ok()?;
        Some((
            path,
            Position { line, column },
            numbers.next()?.trim().to_owned(),
        ))
    };
    let (path, position, message) = parts(words).unwrap_or_else(|| {
        let (path, words) = words.split_once(": ").unwrap_or((words, "cannot be read"));
        (
            path.to_owned(),
            Position { line: 1, column: 1 },
            words.to_owned(),
        )
    });
    Remark {
        kind: kind_by_code("CW002").expect("it is in the catalogue"),
        path: path.into(),
        position,
        message,
        fix: None,
    }
}

fn describe(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    use std::io::Write;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if let Some(code) = &args.describe {
        let Some(kind) = kind_by_code(code) else {
            return Err(
                UsageError(format!("{code}: there is no such code; --list shows them")).into(),
            );
        };
        writeln!(
            out,
            "{} {} ({})\n\n{}\n{}",
            kind.code,
            kind.name,
            kind.severity.name(),
            kind.what,
            kind.advice
        )?;
    } else {
        for kind in CATALOGUE {
            writeln!(
                out,
                "{} {:7} {:28} {}",
                kind.code,
                kind.severity.name(),
                kind.name,
                kind.what
            )?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
