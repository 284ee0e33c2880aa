//! `citywatch rules test`: run the tests that lie beside rules.

mod play;
mod show;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use citywatch_parsers::ParseContext;
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};
use clap::{Args, ValueEnum};

use crate::config::Config;
use crate::report::UsageError;
use crate::rule_pipelines::PipelineArgs;
use crate::{definition_files, rule_files};

/// Options of `citywatch rules test`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules test rules/library                     every x.test.yml beside its x.yml
  citywatch rules test --watch rules/library/linux       again whenever a file is saved
  citywatch rules test --output junit rules > junit.xml  for CI
  citywatch rules test --with rules/library my/rule.yml  a correlation whose rules lie elsewhere

rules/library/README.md says how tests are written: events as raw records, as fields or in files, and what must match. Each test runs
through the compiled engine and through the reference evaluator, which must agree; correlations run over the events' own times.

Exit code 0; 1 when a test failed, could not be read, or a rule could not be loaded; 2 for a wrong command line.")]
pub struct TestArgs {
    /// Rule files, tests, or directories with all below them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Further rules that correlations may refer to; their own tests are not run
    #[arg(long, num_args = 1, value_name = "PATH")]
    with: Vec<PathBuf>,
    /// How to show results
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Name the tests that passed, too
    #[arg(long, short)]
    verbose: bool,
    /// A rule without tests is a failure
    #[arg(long)]
    require_tests: bool,
    /// Run again whenever a rule, a test or a file of records changes
    #[arg(long)]
    watch: bool,
    /// Configuration: values of placeholders in rules ([engine.placeholders]), time zone, your own formats ([parsers])
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    pipelines: PipelineArgs,
    /// Values of placeholders in rules, instead of those of the configuration: a YAML or TOML file of names with values
    #[arg(long, value_name = "FILE")]
    placeholders: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// What failed, and a summary
    Table,
    /// JUnit's XML, as CI systems read it
    Junit,
    /// One JSON object with all results
    Json,
    /// One JSON object per test
    Ndjson,
}

/// Runs it.
pub fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    if args.watch {
        if args.output != Output::Table {
            return Err(UsageError("--watch shows tables only".to_owned()).into());
        }
        return watch::run(args);
    }
    let report = run_once(args)?;
    show::show(&report, args)?;
    Ok(if report.failures() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What came of all tests.
#[derive(Debug, Default)]
struct Report {
    results: Vec<Tested>,
    /// What could not be loaded or read, in words that begin with its place.
    problems: Vec<String>,
    /// Rule files that have no tests.
    untested: Vec<String>,
    untested_fail: bool,
    seconds: f64,
    /// Files of records that were read: `--watch` looks at them, too.
    files: Vec<PathBuf>,
}

impl Report {
    fn failed(&self) -> usize {
        self.results
            .iter()
            .filter(|one| one.failure.is_some())
            .count()
    }

    fn failures(&self) -> usize {
        let untested = if self.untested_fail {
            self.untested.len()
        } else {
            0
        };
        self.failed() + self.problems.len() + untested
    }
}

/// What came of one test.
#[derive(Debug, serde::Serialize)]
struct Tested {
    path: String,
    line: u32,
    rule: String,
    rule_id: String,
    test: String,
    passed: bool,
    expected: String,
    got: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

/// Why a test failed.
#[derive(Debug, serde::Serialize)]
struct Failure {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
}

fn run_once(args: &TestArgs) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let config = Config::load(args.config.as_deref())?;
    let context = match &args.config {
        Some(_) => definition_files::parse_context(&config, None)?,
        None => ParseContext::default(),
    };
    let mut placeholders = config.engine.placeholders;
    if let Some(path) = &args.placeholders {
        placeholders.extend(crate::placeholders::read(path)?);
    }
    let listed = rule_files::list(&args.paths)?;
    let with = rule_files::list(&args.with)?;
    let mut tested = listed.rules;
    // A test that is named stands for its rule.
    for path in &args.paths {
        let name = path.to_string_lossy();
        if let Some(stem) = name.strip_suffix(".test.yml") {
            let rule = PathBuf::from(format!("{stem}.yml"));
            if rule.exists() {
                tested.push(rule);
            }
        }
    }
    tested.sort();
    tested.dedup();
    let mut report = Report {
        problems: [listed.unreadable, with.unreadable].concat(),
        untested_fail: args.require_tests,
        ..Report::default()
    };
    for test in &listed.tests {
        let name = test.to_string_lossy();
        let rule = format!("{}.yml", name.trim_end_matches(".test.yml"));
        if !std::path::Path::new(&rule).exists() {
            report.problems.push(format!(
                "{name}:1:1: there is no rule {rule} beside this test"
            ));
        }
    }
    let (sources, unreadable) = rule_files::read_files(&tested);
    report.problems.extend(unreadable);
    let beside = beside(args, &tested, with.rules);
    let options = LoadOptions {
        placeholders,
        pipelines: args.pipelines.read(&config.engine.pipelines)?,
    };
    let set = load(&sources, &beside, &options, &mut report);
    if sources.is_empty() && report.problems.is_empty() {
        let paths = args.paths.iter().map(|path| path.display().to_string());
        report.problems.push(format!(
            "{}: there are no rules; rules are .yml and .yaml files, and their tests .test.yml beside them",
            paths.collect::<Vec<_>>().join(", ")
        ));
    }
    play::all(&sources, &set, &context, &mut report)?;
    report.seconds = begun.elapsed().as_secs_f64();
    Ok(report)
}

/// Rules that are loaded, but not tested: those named, and those in the folder of a file that is named by itself.
fn beside(args: &TestArgs, tested: &[PathBuf], with: Vec<PathBuf>) -> Vec<RuleSource> {
    let folders: Vec<PathBuf> = args
        .paths
        .iter()
        .filter(|path| !path.is_dir())
        .filter_map(|path| match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Some(PathBuf::from(".")),
            folder => folder.map(PathBuf::from),
        })
        .collect();
    let near = rule_files::list(&folders).unwrap_or_default().rules;
    let is_same =
        |a: &PathBuf, b: &PathBuf| a == b || a.canonicalize().ok() == b.canonicalize().ok();
    let mut files = [near, with].concat();
    files.sort();
    files.dedup();
    files.retain(|file| {
        let name = file.file_name();
        let namesakes = tested.iter().filter(|one| one.file_name() == name);
        !namesakes.into_iter().any(|one| is_same(one, file))
    });
    rule_files::read_files(&files).0
}

/// Loads all rules; what is wrong with those that are tested goes into the report.
fn load(
    sources: &[RuleSource],
    beside: &[RuleSource],
    options: &LoadOptions,
    report: &mut Report,
) -> RuleSet {
    let all = sources.iter().chain(beside).cloned();
    let set = RuleSet::load(all, options);
    let paths: std::collections::HashSet<&str> =
        sources.iter().map(|source| &*source.path).collect();
    let problems = set.problems.iter();
    let own = problems.filter(|problem| paths.contains(&*problem.path));
    report.problems.extend(own.map(ToString::to_string));
    set
}
