//! `citywatch rules hunt`: match stored events of the past against rules.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use citywatch_engine::EventId;
use citywatch_parsers::Timestamp;
use citywatch_rules::rule::Alerts;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::history::{
    Counts, EventPlace, Found, FoundCorrelation, History, HistoryArgs, Listener, place_of,
};
use super::line_buffer::LineBuffer;
use super::lines::{self, PlaceText, RuleLine, StoredPlace, TimeText};
use crate::report::say;
use crate::store_access::with_store;
use crate::stored::is_broken_pipe;

/// Options of `citywatch rules hunt`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules hunt --rules rules/library                         over the last 24 hours
  citywatch rules hunt --rules sigma/rules --from 2026-11-20 --to 2026-11-21 --output ndjson > matches.ndjson
  citywatch rules hunt --rules new_rule.yml --from 90d
  citywatch rules hunt --rules rules/library --from 7d --unit ward-linh-xuan --unit ward-ben-thanh

The store is the one of [store] url; without it the embedded one in the data folder, whether 'citywatch up' runs or not. Events are read
once for all rules, millions per scan; the database leaves out what no rule can be about, and the engine judges the rest. Times are
RFC 3339, a date or a time in [engine] time_zone, or how long ago: 90m, 2h, 3d; they are those of events.

Matches come in the order of their events' times, those of correlations last, with their last event. A rule that a correlation refers to
is told of its own only where the correlation says `generate: true`. A correlation sees what lies in the span: a window that
begins before it is cut.

Exit code 0 also when nothing matched; 1 when a rule was left out or the store does not answer; 2 for a wrong command line.")]
pub struct HuntArgs {
    /// Rule files, or directories with all below them
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    history: HistoryArgs,
    /// How to show matches
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading
    Table,
    /// One JSON object per match, and a summary on standard error
    Ndjson,
    /// One JSON object: `matches`, `rules` with their numbers, `events`, `judged`, `scans`
    Json,
}

impl Output {
    fn of_lines(self) -> lines::Output {
        match self {
            Self::Table => lines::Output::Table,
            Self::Ndjson | Self::Json => lines::Output::Ndjson,
        }
    }
}

/// Runs it.
pub fn run(args: &HuntArgs) -> anyhow::Result<ExitCode> {
    let (config, selection) = args.history.load()?;
    let history = History::load(&args.rules, &args.history)?;
    let begun = Instant::now();
    let mut hunting = Hunting::new(&history, args.output);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let read = runtime.block_on(with_store(&config, |store| {
        let (history, selection, hunting) = (&history, &selection, &mut hunting);
        async move { history.read(&store, selection, hunting).await }
    }));
    let told = read.and_then(|(counts, correlated)| {
        hunting.correlated(&correlated)?;
        hunting.finish(counts, begun)
    });
    match told {
        // Who reads has seen enough.
        Err(error) if is_broken_pipe(&error) => {}
        told => told?,
    }
    Ok(if history.left_out == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Writes matches down.
struct Hunting<'h> {
    history: &'h History,
    output: Output,
    /// By rule; none for those whose matches only feed correlations.
    rules: Vec<Option<RuleLine>>,
    /// Matches of the scan that goes on.
    waiting: Vec<(Timestamp, EventId, LineBuffer)>,
    /// Matches by rule's id.
    told: BTreeMap<String, u64>,
    matches: u64,
    place: PlaceText,
    time: TimeText,
    out: std::io::BufWriter<std::io::Stdout>,
}

impl<'h> Hunting<'h> {
    fn new(history: &'h History, output: Output) -> Self {
        let rules = (0u32..).map(citywatch_engine::detect::RuleIndex);
        let rules = rules.zip(&history.set.rules).map(|(index, rule)| {
            let info = history.compiled.info(index);
            (rule.meta.alerts == Alerts::Own).then(|| RuleLine::new(info, output.of_lines()))
        });
        Self {
            rules: rules.collect(),
            history,
            output,
            waiting: Vec::new(),
            told: BTreeMap::new(),
            matches: 0,
            place: PlaceText::default(),
            time: TimeText::default(),
            out: std::io::BufWriter::with_capacity(1 << 16, std::io::stdout()),
        }
    }

    fn set_place(&mut self, place: &EventPlace, event_time: Timestamp) {
        let place = StoredPlace {
            event_id: place.id,
            unit: &place.unit,
            host: &place.host,
            event_time: self.time.of(event_time),
        };
        self.place.set_stored(place, self.output.of_lines());
    }

    /// Writes a match's line; in JSON they are the members of a list.
    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        if self.output == Output::Json {
            let before: &[u8] = if self.matches == 0 {
                b"{\"matches\":[\n"
            } else {
                b",\n"
            };
            self.out.write_all(before)?;
            self.out.write_all(line.trim_ascii_end())?;
        } else {
            self.out.write_all(line)?;
        }
        self.matches += 1;
        Ok(())
    }

    fn correlated(&mut self, correlated: &[FoundCorrelation]) -> anyhow::Result<()> {
        for found in correlated {
            self.set_place(&found.last, found.event_time);
            let group = found
                .group
                .iter()
                .map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
            let mut line = LineBuffer::default();
            let output = self.output.of_lines();
            RuleLine::new(&found.rule, output).write(&self.place, group, output, &mut line);
            *self.told.entry(found.rule.id.clone()).or_default() += 1;
            self.write(line.as_bytes())?;
        }
        Ok(())
    }

    /// Tells what there was besides matches.
    fn finish(&mut self, counts: Counts, begun: Instant) -> anyhow::Result<()> {
        let rules = self.history.set.rules.len() + self.history.set.correlations.len();
        let summary = format!(
            "{} matches of {} rules (of {rules}); {} events in the span, {} judged, in {} scans and {:.1} s",
            self.matches,
            self.told.len(),
            counts.events,
            counts.judged,
            counts.scans,
            begun.elapsed().as_secs_f64()
        );
        match self.output {
            Output::Table => writeln!(self.out, "{summary}")?,
            Output::Ndjson => say(&summary),
            Output::Json => {
                if self.matches == 0 {
                    self.out.write_all(b"{\"matches\":[")?;
                }
                writeln!(
                    self.out,
                    "\n],\"rules\":{},\"events\":{},\"judged\":{},\"scans\":{},\"left_out\":{}}}",
                    json!(self.told),
                    counts.events,
                    counts.judged,
                    counts.scans,
                    self.history.left_out
                )?;
            }
        }
        self.out.flush()?;
        Ok(())
    }
}

impl Listener for Hunting<'_> {
    fn found(&mut self, found: &Found<'_, '_>) {
        let output = self.output.of_lines();
        self.set_place(&place_of(found.id, found.event), found.event.event_time);
        for hit in found.hits {
            if let Some(rule) = &self.rules[hit.rule.as_usize()] {
                let mut line = LineBuffer::default();
                rule.write(
                    &self.place,
                    hit.matched.pairs(found.event),
                    output,
                    &mut line,
                );
                self.waiting.push((found.event.event_time, found.id, line));
                let id = &self.history.compiled.info(hit.rule).id;
                match self.told.get_mut(id) {
                    Some(count) => *count += 1,
                    None => {
                        self.told.insert(id.clone(), 1);
                    }
                }
            }
        }
    }

    fn scanned(&mut self) -> anyhow::Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_by_key(|(time, id, _)| (*time, *id));
        for (_, _, line) in &waiting {
            self.write(line.as_bytes())?;
        }
        // What was found is seen while the next scan runs.
        self.out.flush()?;
        Ok(())
    }
}
