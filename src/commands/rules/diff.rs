//! `citywatch rules diff`: what changes when one rule set takes another's place, over the same events.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher, RuleHit};
use citywatch_parsers::{Event, Parser, Timestamp};
use citywatch_rules::RuleSet;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::blocks::{Block, Sink, Source, Stopped};
use super::correlated::{Correlating, Wanted};
use super::inputs::{InputFormat, Inputs};
use super::loaded::load;
use super::style::{Style, printable};
use super::watched_file::Progressing;
use crate::rule_pipelines::PipelineArgs;

/// Options of `citywatch rules diff`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules diff --old rules-1.0 --new rules-1.1 events/     which rules find more, less, or something else
  citywatch rules diff --old a.yml --new b.yml --output json auth.log

Rules are told apart by their ids. Correlations run over the events' own times.

Exit code 0 when both find the same; 1 when they do not, or something could not be read; 2 for a wrong command line.")]
pub struct DiffArgs {
    /// The rules as they are
    #[arg(long, required = true, value_name = "PATH")]
    old: Vec<PathBuf>,
    /// The rules as they will be
    #[arg(long, required = true, value_name = "PATH")]
    new: Vec<PathBuf>,
    /// Format of the records
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// How to show what differs
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

/// What one rule finds before and after.
#[derive(Debug, Default, Serialize)]
struct Change {
    title: String,
    /// Matches that only the new rules have.
    appear: u64,
    /// Matches that only the old rules have.
    disappear: u64,
    /// Matches that both have.
    stay: u64,
    /// The first of those that appear or disappear: file and record.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
}

/// One of the two rule sets at work.
struct Side {
    set: RuleSet,
    matcher: Matcher,
    hits: Vec<RuleHit>,
    wanted: Wanted,
    correlating: Option<Correlating>,
    ids: BTreeSet<String>,
}

impl Side {
    fn new(set: RuleSet) -> anyhow::Result<Self> {
        let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Strict)?);
        Ok(Self {
            matcher: compiled.matcher(),
            hits: Vec::new(),
            wanted: Wanted::of(&set),
            correlating: (!set.correlations.is_empty()).then(|| Correlating::new(&set)),
            ids: BTreeSet::new(),
            set,
        })
    }

    /// The ids of the rules that hold for an event.
    fn judge(&mut self, event: &Event<'_>, source: &Source) {
        self.hits.clear();
        self.ids.clear();
        self.matcher.match_event(event, &mut self.hits);
        if let Some(correlating) = &mut self.correlating {
            let mut gathered = Vec::new();
            self.wanted.gather(event, &self.hits, source, &mut gathered);
            correlating.add(&mut gathered);
        }
        let rules = &self.set.rules;
        self.ids.extend(
            self.hits
                .iter()
                .map(|hit| rules[hit.rule.as_usize()].meta.id.to_string()),
        );
    }

    fn title(&self, id: &str) -> Option<String> {
        let rule = self.set.rule(id).map(|rule| rule.meta.title.to_string());
        rule.or_else(|| {
            self.set
                .correlation(id)
                .map(|one| one.meta.title.to_string())
        })
    }
}

struct Comparing {
    parser: Parser,
    old: Side,
    new: Side,
    changes: BTreeMap<String, Change>,
    events: u64,
}

impl Sink for Comparing {
    fn take(&mut self, block: Block) -> Result<(), Stopped> {
        for index in 0..block.len() {
            let (arena, mut events) = (Bump::new(), Vec::new());
            self.parser
                .parse_record(block.record(index), &arena, &mut events);
            for event in &events {
                self.compare(event, &block.source);
            }
        }
        Ok(())
    }

    fn spare(&mut self) -> Option<Block> {
        None
    }
}

impl Comparing {
    fn compare(&mut self, event: &Event<'_>, source: &Source) {
        self.events += 1;
        self.old.judge(event, source);
        self.new.judge(event, source);
        let place = || format!("{} record {}", source.name, event.record.position);
        for id in self.old.ids.union(&self.new.ids) {
            let change = self.changes.entry(id.clone()).or_default();
            match (self.old.ids.contains(id), self.new.ids.contains(id)) {
                (true, true) => change.stay += 1,
                (true, false) => change.disappear += 1,
                _ => change.appear += 1,
            }
            if change.first.is_none() && change.appear + change.disappear > 0 {
                change.first = Some(place());
            }
        }
    }

    /// What correlations of both raise, once all events are there.
    fn finish(&mut self) {
        let alerts = |side: &mut Side| -> BTreeMap<(String, String, Timestamp), u64> {
            let mut found = BTreeMap::new();
            if let Some(correlating) = side.correlating.take() {
                for alert in correlating.finish().0 {
                    let group: Vec<String> = alert
                        .group
                        .iter()
                        .map(|(name, value)| format!("{name}={value}"))
                        .collect();
                    *found
                        .entry((alert.rule.id.clone(), group.join(" "), alert.event_time))
                        .or_default() += 1;
                }
            }
            found
        };
        let (old, new) = (alerts(&mut self.old), alerts(&mut self.new));
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
        for key in keys {
            let change = self.changes.entry(key.0.clone()).or_default();
            match (old.contains_key(&key), new.contains_key(&key)) {
                (true, true) => change.stay += 1,
                (true, false) => change.disappear += 1,
                _ => change.appear += 1,
            }
            if change.first.is_none() && change.appear + change.disappear > 0 {
                change.first = Some(key.1.clone());
            }
        }
        for (id, change) in &mut self.changes {
            change.title = self
                .new
                .title(id)
                .or_else(|| self.old.title(id))
                .unwrap_or_default();
        }
    }
}

/// Runs it.
pub fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let old = load(&args.old, args.config.as_deref(), &args.pipelines)?;
    let new = load(&args.new, args.config.as_deref(), &args.pipelines)?;
    let format = InputFormat::of_name(&args.format, &new.context.definitions)?;
    let is_missing = |path: &&PathBuf| path.as_os_str() != "-" && !path.exists();
    if let Some(path) = args.files.iter().find(is_missing) {
        let words = format!("{}: there is no such file", path.display());
        return Err(crate::report::UsageError(words).into());
    }
    let mut left_out = old.left_out + new.left_out;
    let mut comparing = Comparing {
        parser: Parser::new(new.context),
        old: Side::new(old.set)?,
        new: Side::new(new.set)?,
        changes: BTreeMap::new(),
        events: 0,
    };
    let read = Inputs::new(format, Timestamp::from_seconds(0), &mut comparing)
        .progressing(Progressing::Shown)
        .read_all(&args.files);
    left_out += read.map_or(1, |read| usize::try_from(read.files).unwrap_or(usize::MAX));
    comparing.finish();
    let differs = comparing
        .changes
        .values()
        .any(|change| change.appear + change.disappear > 0);
    show(&comparing, args)?;
    Ok(if differs || left_out > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn show(comparing: &Comparing, args: &DiffArgs) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.output {
        Output::Json => {
            let all = serde_json::json!({"events": comparing.events, "rules": comparing.changes});
            writeln!(out, "{all:#}")?;
        }
        Output::Table => {
            let style = Style::of_stdout();
            let (mut rules, mut same) = (0, 0);
            for (id, change) in &comparing.changes {
                if change.appear + change.disappear == 0 {
                    same += 1;
                    continue;
                }
                rules += 1;
                let plus = style.good(&format!("+{}", change.appear));
                let minus = style.bad(&format!("-{}", change.disappear));
                let first = change.first.as_deref().unwrap_or_default();
                writeln!(
                    out,
                    "{plus} {minus} ={}  {} ({id}); first: {}",
                    change.stay,
                    printable(&change.title),
                    printable(first)
                )?;
            }
            writeln!(
                out,
                "{} events: {rules} rules find something else, {same} the same",
                comparing.events
            )?;
        }
    }
    out.flush()?;
    Ok(())
}
