//! `citywatch status`: asks the running process and shows what an operator wants to know first.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use crate::ConfigArgs;
use crate::config::Config;
use crate::monitor::Status;
use crate::parts::PartState;

/// Options of `citywatch status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address of the running process's monitor; without it, [monitor] listen of the configuration
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitor: Option<SocketAddr>,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// Exit code 0 when every part runs, 1 when one does not or nothing answers.
pub fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let address = match args.monitor {
        Some(address) => address,
        None => Config::load(args.config.config.as_deref())?.monitor.listen,
    };
    let body = ask(address)?;
    let mut out = std::io::stdout().lock();
    let status: Status =
        serde_json::from_str(&body).context("the answer is not a status of Citywatch")?;
    match args.output {
        Output::Json => writeln!(out, "{body}")?,
        Output::Table => print(&mut out, &status)?,
    }
    Ok(if status.ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The status of the process behind `address`, as JSON.
pub(super) fn ask(address: SocketAddr) -> anyhow::Result<String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into();
    match agent.get(format!("http://{address}/status")).call() {
        Ok(mut response) => response
            .body_mut()
            .read_to_string()
            .context("the answer broke off"),
        Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow::bail!(
                "nothing answers on {address}: Citywatch is not running there; start it with 'citywatch up'"
            )
        }
        Err(error) => Err(error).context(format!("cannot ask {address} for its status")),
    }
}

fn print(out: &mut impl Write, status: &Status) -> std::io::Result<()> {
    let readiness = if status.ready { "ready" } else { "NOT READY" };
    writeln!(
        out,
        "Citywatch {}  {readiness}  up {}\n",
        status.version,
        duration(status.uptime_s)
    )?;
    writeln!(
        out,
        "{:<10} {:<9} {:>7}  DETAIL",
        "PART", "STATE", "RETRIES"
    )?;
    for (name, part) in &status.parts {
        let state = match part.state {
            PartState::Starting => "starting",
            PartState::Running => "running",
            PartState::Retrying => "RETRYING",
            PartState::Stopped => "STOPPED",
        };
        writeln!(
            out,
            "{name:<10} {state:<9} {:>7}  {}",
            part.retries, part.detail
        )?;
    }
    if !status.totals.is_empty() {
        writeln!(
            out,
            "\n{:<28} {:>14} {:>12}",
            "COUNT", "TOTAL", "PER SECOND"
        )?;
        for (name, total) in &status.totals {
            let rate = status.rates_per_s.get(name).copied().unwrap_or(0.0);
            writeln!(out, "{name:<28} {total:>14} {rate:>12.1}")?;
        }
    }
    for (name, detail) in &status.details {
        writeln!(out, "\n{}", name.to_uppercase())?;
        print_detail(out, detail)?;
    }
    Ok(())
}

/// An object as `key: value` lines, a list as a line per entry.
fn print_detail(out: &mut impl Write, detail: &serde_json::Value) -> std::io::Result<()> {
    match detail {
        serde_json::Value::Object(map) => {
            for (key, value) in map {
                match value {
                    serde_json::Value::Array(list) if !list.is_empty() => {
                        writeln!(out, "  {key}:")?;
                        for entry in list {
                            writeln!(out, "    {}", inline(entry))?;
                        }
                    }
                    _ => writeln!(out, "  {key}: {}", inline(value))?,
                }
            }
        }
        serde_json::Value::Array(list) => {
            for entry in list {
                writeln!(out, "  {}", inline(entry))?;
            }
        }
        other => writeln!(out, "  {}", inline(other))?,
    }
    Ok(())
}

fn inline(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        serde_json::Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| format!("{key}={}", inline(value)))
            .collect::<Vec<_>>()
            .join("  "),
        other => other.to_string(),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}
