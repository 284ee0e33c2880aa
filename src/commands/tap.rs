//! `citywatch tap`: samples of what flows through a running process, as it flows.

use std::io::{BufRead, BufReader, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::ConfigArgs;
use crate::config::Config;
use crate::monitor_token;
use crate::report::{UsageError, say};
use crate::visible::visible;

/// Options of `citywatch tap`.
#[derive(Debug, Args)]
pub struct TapArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// What to look at
    #[arg(value_enum)]
    kind: Kind,
    /// Only what fits: name=value, name!=value or name~part, `*` at the ends; several must all hold
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<String>,
    /// End after so many samples
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,
    /// How to show them
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Data folder of the running process, which holds the token that lets in, instead of [data] dir
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the running process's monitor; without it, [monitor] listen of the configuration
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitor: Option<SocketAddr>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Records as they came
    Records,
    /// Events
    Events,
    /// Matches of rules and correlations
    Matches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line per sample
    Text,
    /// A JSON object per line
    Json,
}

/// Runs until the limit, Ctrl-C or the end of the process that is looked at.
pub fn run(args: &TapArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(args.config.config.as_deref())?;
    let data = args.data.as_ref().unwrap_or(&config.data.dir);
    let token = monitor_token::read(data)?;
    let address = args.monitor.unwrap_or(config.monitor.listen);
    let kind = match args.kind {
        Kind::Records => "records",
        Kind::Events => "events",
        Kind::Matches => "matches",
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut request = agent
        .get(format!("http://{address}/tap"))
        .query("kind", kind)
        .header("Authorization", format!("Bearer {token}"));
    for condition in &args.filter {
        request = request.query("filter", condition);
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow::bail!(
                "nothing answers on {address}: Citywatch is not running there; start it with 'citywatch up'"
            )
        }
        Err(error) => return Err(error).context(format!("cannot ask {address}")),
    };
    let status = response.status().as_u16();
    let mut body = response.into_body();
    if status != 200 {
        let words = body.read_to_string().unwrap_or_default();
        let words = visible(words.trim());
        return match status {
            400 => Err(UsageError(format!("--filter: {words}")).into()),
            _ => Err(anyhow::anyhow!("{address} refuses: {words}")),
        };
    }
    let reader = body.into_with_config().limit(u64::MAX).reader();
    show(BufReader::new(reader), args)
}

fn show(lines: impl BufRead, args: &TapArgs) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut shown = 0;
    let mut skipped = 0;
    for line in lines.lines() {
        if args.limit.is_some_and(|limit| shown >= limit) {
            break;
        }
        let line = line.context("the samples broke off")?;
        let sample: Value = serde_json::from_str(&line).context("what came is no sample")?;
        if let Some(now) = sample.get("skipped").and_then(Value::as_u64) {
            if now > skipped && std::io::stderr().is_terminal() {
                say(&format!("{now} more were skipped: they came too fast"));
            }
            skipped = now;
            continue;
        }
        let written = match args.output {
            Output::Json => writeln!(out, "{}", visible(&line)),
            Output::Text => writeln!(out, "{}", visible(&one_line(&sample))),
        };
        // Who reads no further, as `head` does, has seen enough.
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            written => written?,
        }
        shown += 1;
    }
    say(&format!("{shown} shown, {skipped} skipped"));
    Ok(ExitCode::SUCCESS)
}

/// A sample in a line: when, where, what.
fn one_line(sample: &Value) -> String {
    let text = |name: &str| sample.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = match text("event_time") {
        "" => text("received_at"),
        time => time,
    };
    let place = format!("{time} {}/{}", text("unit"), text("host"));
    if let Some(rule) = sample.get("rule").and_then(Value::as_str) {
        let events = sample.get("events").and_then(Value::as_array);
        let first = events.and_then(|events| events.first()?.as_str());
        return format!(
            "{place} {} {} [{rule}] {}",
            text("level"),
            text("title"),
            first.unwrap_or_default()
        );
    }
    format!("{place} {} {}", text("format"), text("raw"))
}
