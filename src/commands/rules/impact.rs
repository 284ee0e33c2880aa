//! `citywatch rules impact`: what rules would have raised over stored events, before they go live.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use citywatch_parsers::Timestamp;
use citywatch_rules::rule::{Alerts, Level, Meta};
use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use super::history::{Counts, Found, FoundCorrelation, History, HistoryArgs, Listener};
use super::style::{Style, printable};
use crate::store_access::with_store;
use crate::stored::{is_broken_pipe, zone_of};

/// Units and hosts that a table names.
const NAMED_MAX: usize = 5;

/// Options of `citywatch rules impact`.
#[derive(Debug, Args)]
#[command(mut_arg("from", |from| from.default_value("30d")), after_help = "Examples:
  citywatch rules impact new_rule.yml                        over the last 30 days
  citywatch rules impact --from 7d --output json rules/library | jq '.rules[] | select(.per_day > 10) | .title'

Each event for which a rule holds counts as an alert: suppressions and what the console joins into incidents come after that. A rule that a
correlation refers to raises none of its own, and its matches are told as such. Days are those of [engine] time_zone.
See `citywatch rules hunt --help` for how the store is found and times are written.

Exit code 0; 1 when a rule was left out or the store does not answer; 2 for a wrong command line.")]
pub struct ImpactArgs {
    /// Rule files, or directories with all below them
    #[arg(required = true, value_name = "RULE")]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    history: HistoryArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For reading
    Table,
    /// One JSON object per rule
    Ndjson,
    /// One JSON object
    Json,
}

/// What one rule raises.
#[derive(Debug, Default)]
struct Raised {
    count: u64,
    days: BTreeMap<Date, u64>,
    units: BTreeMap<String, u64>,
    hosts: BTreeMap<String, u64>,
}

impl Raised {
    fn add(&mut self, day: Date, unit: &str, host: &str) {
        self.count += 1;
        *self.days.entry(day).or_default() += 1;
        for (counts, name) in [(&mut self.units, unit), (&mut self.hosts, host)] {
            match counts.get_mut(name) {
                Some(count) => *count += 1,
                None => {
                    counts.insert(name.to_owned(), 1);
                }
            }
        }
    }
}

struct Counting {
    zone: TimeZone,
    rules: Vec<Raised>,
}

impl Counting {
    fn day(&self, time: Timestamp) -> Date {
        let time = jiff::Timestamp::from_microsecond(time.as_micros()).unwrap_or_default();
        time.to_zoned(self.zone.clone()).date()
    }
}

impl Listener for Counting {
    fn found(&mut self, found: &Found<'_, '_>) {
        let day = self.day(found.event.event_time);
        let unit = found.event.record.origin.unit.as_str();
        for hit in found.hits {
            self.rules[hit.rule.as_usize()].add(day, unit, found.event.host);
        }
    }

    fn scanned(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Runs it.
pub fn run(args: &ImpactArgs) -> anyhow::Result<ExitCode> {
    let (config, selection) = args.history.load()?;
    let history = History::load(&args.rules, &args.history)?;
    let mut counting = Counting {
        zone: zone_of(&config),
        rules: Vec::new(),
    };
    counting
        .rules
        .resize_with(history.set.rules.len(), Raised::default);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let (counts, correlated) = runtime.block_on(with_store(&config, |store| {
        let (history, selection, counting) = (&history, &selection, &mut counting);
        async move { history.read(&store, selection, counting).await }
    }))?;
    let rows = rows(&history, &counting, &correlated);
    match show(&rows, counts, &history, args.output) {
        Err(error) if is_broken_pipe(&error) => {}
        shown => shown?,
    }
    Ok(if history.left_out == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A rule or correlation with what it raises.
struct Row<'h> {
    meta: &'h Meta,
    kind: &'static str,
    raised: Raised,
}

/// Those that raise most come first.
fn rows<'h>(
    history: &'h History,
    counting: &Counting,
    correlated: &[FoundCorrelation],
) -> Vec<Row<'h>> {
    let rules = history.set.rules.iter().zip(&counting.rules);
    let mut rows: Vec<Row<'h>> = rules
        .map(|(rule, raised)| Row {
            meta: &rule.meta,
            kind: match rule.meta.alerts {
                Alerts::Own => "rule",
                Alerts::OnlyCorrelated => "correlated",
            },
            raised: Raised {
                count: raised.count,
                days: raised.days.clone(),
                units: raised.units.clone(),
                hosts: raised.hosts.clone(),
            },
        })
        .collect();
    for correlation in &history.set.correlations {
        let mut raised = Raised::default();
        let own = correlated
            .iter()
            .filter(|found| found.rule.id == correlation.meta.id.as_str());
        for found in own {
            let day = counting.day(found.event_time);
            raised.add(day, &found.last.unit, &found.last.host);
        }
        rows.push(Row {
            meta: &correlation.meta,
            kind: match correlation.meta.alerts {
                Alerts::Own => "correlation",
                Alerts::OnlyCorrelated => "correlated",
            },
            raised,
        });
    }
    rows.sort_by_key(|row| (std::cmp::Reverse(row.raised.count), row.meta.title.clone()));
    rows
}

/// Days from the first event to the last one, one at least.
fn days_of(counts: Counts) -> f64 {
    const DAY_US: f64 = 86_400.0 * 1e6;
    #[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let span_us = (counts.last.as_micros() - counts.first.as_micros()) as f64;
    (span_us / DAY_US).max(1.0)
}

fn per_day(count: u64, days: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let count = count as f64;
    (count / days * 10.0).round() / 10.0
}

fn object(row: &Row<'_>, days: f64) -> serde_json::Value {
    let raised = &row.raised;
    let by_day: BTreeMap<String, u64> = raised
        .days
        .iter()
        .map(|(day, count)| (day.to_string(), *count))
        .collect();
    json!({
        "rule_id": row.meta.id.as_str(), "title": &*row.meta.title, "level": row.meta.level.map(Level::name),
        "kind": row.kind, "alerts": raised.count, "per_day": per_day(raised.count, days),
        "days": by_day, "units": raised.units, "hosts": raised.hosts,
    })
}

fn show(rows: &[Row<'_>], counts: Counts, history: &History, output: Output) -> anyhow::Result<()> {
    let days = days_of(counts);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match output {
        Output::Ndjson => {
            for row in rows {
                writeln!(out, "{}", object(row, days))?;
            }
        }
        Output::Json => {
            let rows: Vec<_> = rows.iter().map(|row| object(row, days)).collect();
            let (first, last) = (counts.first.to_string(), counts.last.to_string());
            let all = json!({
                "events": counts.events, "judged": counts.judged, "scans": counts.scans, "first": first, "last": last,
                "rules": rows, "left_out": history.left_out,
            });
            writeln!(out, "{all:#}")?;
        }
        Output::Table => table(rows, counts, &mut out)?,
    }
    out.flush()?;
    Ok(())
}

fn table(rows: &[Row<'_>], counts: Counts, out: &mut impl Write) -> std::io::Result<()> {
    let (style, days) = (Style::of_stdout(), days_of(counts));
    for row in rows.iter().filter(|row| row.raised.count > 0) {
        let raised = &row.raised;
        let level = row.meta.level.map_or("", Level::name);
        let what = if row.kind == "correlated" {
            "matches, told by correlations alone"
        } else {
            "alerts"
        };
        writeln!(
            out,
            "{}  {level}  {}",
            style.strong(&printable(&row.meta.title)),
            style.faint(&printable(row.meta.id.as_str()))
        )?;
        let most = raised.days.iter().max_by_key(|(_, count)| **count);
        let most = most.map_or(String::new(), |(day, count)| {
            format!(", most on {day}: {count}")
        });
        writeln!(
            out,
            "    {} {what}: {:.1} per day{most}",
            raised.count,
            per_day(raised.count, days)
        )?;
        for (what, counts) in [("units", &raised.units), ("hosts", &raised.hosts)] {
            writeln!(out, "    {} {what}: {}", counts.len(), named(counts))?;
        }
    }
    let quiet = rows.iter().filter(|row| row.raised.count == 0).count();
    writeln!(
        out,
        "{} of {} rules raise nothing; {} events over {days:.1} days, read in {} scans",
        quiet,
        rows.len(),
        counts.events,
        counts.scans
    )
}

/// Those with most, named.
fn named(counts: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<(&String, &u64)> = counts.iter().collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let named = all.iter().take(NAMED_MAX).map(|(name, count)| {
        let name = if name.is_empty() { "(none)" } else { name };
        format!("{} {count}", printable(name))
    });
    let mut text = named.collect::<Vec<_>>().join(", ");
    if all.len() > NAMED_MAX {
        text.push_str(", ...");
    }
    text
}
