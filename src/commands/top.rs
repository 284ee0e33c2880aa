//! `citywatch top`: what flows, what waits and what is slow, in a terminal, as it changes.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Value;

use super::status::ask;
use crate::ConfigArgs;
use crate::config::Config;
use crate::monitor::Status;
use crate::parts::PartState;
use crate::visible::visible;

/// Stages in the order in which records go through them: the total's name and what it is called here.
const STAGES: [(&str, &str); 9] = [
    ("records_in", "records in"),
    ("bytes_in", "bytes in"),
    ("records_known", "known already"),
    ("records_beyond_quota", "beyond quota"),
    ("events", "events"),
    ("matches", "matches"),
    ("correlation_matches", "correlations"),
    ("events_stored", "events stored"),
    ("dead_letters", "dead letters"),
];
/// Lines per list.
const LINES_MAX: usize = 10;
/// Another screen, without the cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Options of `citywatch top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Address of the running process's monitor; without it, [monitor] listen of the configuration
    #[arg(long, value_name = "ADDRESS:PORT")]
    monitor: Option<SocketAddr>,
    /// Print it once and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
}

/// Runs until Ctrl-C, or prints once.
pub fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let address = match args.monitor {
        Some(address) => address,
        None => Config::load(args.config.config.as_deref())?.monitor.listen,
    };
    if args.once || !std::io::stdout().is_terminal() {
        let status = look(address)?;
        write!(std::io::stdout().lock(), "{}", page(&status, usize::MAX))?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let interval = Duration::from_secs_f64(args.interval.clamp(0.2, 3_600.0));
    // Asked before the screen changes, so that a mistake is said where it can be read.
    let mut shown = look(address)?;
    runtime.block_on(async {
        let mut out = std::io::stdout();
        write!(out, "{ENTER}")?;
        let outcome = async {
            loop {
                draw(&mut out, &page(&shown, terminal_lines()))?;
                tokio::select! {
                    interrupted = tokio::signal::ctrl_c() => return interrupted.context("signals"),
                    () = tokio::time::sleep(interval) => {}
                }
                shown = look(address)?;
            }
        }
        .await;
        write!(out, "{LEAVE}")?;
        out.flush()?;
        outcome
    })?;
    Ok(ExitCode::SUCCESS)
}

fn look(address: SocketAddr) -> anyhow::Result<Status> {
    let body = ask(address)?;
    serde_json::from_str(&body).context("the answer is not a status of Citywatch")
}

/// Over what was there, line by line, so that nothing flickers.
fn draw(out: &mut impl Write, page: &str) -> std::io::Result<()> {
    let mut text = String::from("\x1b[H");
    for line in page.lines() {
        text.push_str(line);
        text.push_str("\x1b[K\r\n");
    }
    text.push_str("\x1b[J");
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn terminal_lines() -> usize {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the call fills the struct that it is given, which lives until it returns.
    let told = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    match (told, size.ws_row) {
        (0, rows) if rows > 1 => usize::from(rows) - 1,
        _ => 40,
    }
}

/// The page, at most so many lines of it.
fn page(status: &Status, lines_max: usize) -> String {
    let mut lines = Vec::new();
    let readiness = if status.ready { "ready" } else { "NOT READY" };
    lines.push(format!(
        "Citywatch {}  {readiness}  up {} s",
        status.version, status.uptime_s
    ));
    let bad = status
        .parts
        .iter()
        .filter(|(_, part)| part.state != PartState::Running);
    for (name, part) in bad {
        lines.push(format!("  {name}: {:?}: {}", part.state, part.detail));
    }
    if let Some(paused) = status.details.get("intake_paused").and_then(Value::as_str) {
        lines.push(format!("  INTAKE PAUSED: {paused}"));
    }
    if let Some(waits) = status
        .details
        .get("engine_waits_for")
        .and_then(Value::as_str)
    {
        lines.push(format!("  waits for {waits}"));
    }
    stages(status, &mut lines);
    lag(status, &mut lines);
    queues(status, &mut lines);
    held(status, &mut lines);
    slow_rules(status, &mut lines);
    let lines = lines.iter().take(lines_max);
    lines.fold(String::new(), |mut page, line| {
        page.push_str(&visible(line));
        page.push('\n');
        page
    })
}

fn stages(status: &Status, lines: &mut Vec<String>) {
    lines.push(String::new());
    lines.push(format!(
        "{:<16} {:>14} {:>14}",
        "STAGE", "PER SECOND", "TOTAL"
    ));
    for (name, title) in STAGES {
        let Some(total) = status.totals.get(name) else {
            continue;
        };
        let rate = status.rates_per_s.get(name).copied().unwrap_or(0.0);
        lines.push(format!("{title:<16} {rate:>14.1} {total:>14}"));
    }
    if let Some(alerting) = status.details.get("alerting") {
        for name in ["alerts_new", "incidents_new", "alerts", "incidents"] {
            if let Some(total) = alerting.get(name).and_then(Value::as_u64) {
                lines.push(format!("{name:<16} {:>14} {total:>14}", ""));
            }
        }
    }
}

fn lag(status: &Status, lines: &mut Vec<String>) {
    lines.push(String::new());
    lines.push(format!("{:<40} {:>14}", "BEHIND", "WAITING"));
    let mut add = |name: &str, lag: Option<u64>, unit: &str| {
        if let Some(lag) = lag {
            lines.push(format!("{name:<40} {lag:>14} {unit}"));
        }
    };
    let details = &status.details;
    let lag_bytes = details
        .get("agent")
        .and_then(|agent| agent.get("lag_bytes"));
    add("agent", lag_bytes.and_then(Value::as_u64), "bytes");
    let transport = details.get("transport");
    if let Some(spool) = transport.and_then(|transport| transport.get("spool")) {
        let number = |name: &str| spool.get(name).and_then(Value::as_u64).unwrap_or(0);
        let waiting = number("appended").saturating_sub(number("acknowledged"));
        add("spool", Some(waiting), "batches");
    }
    let kafka = transport
        .and_then(|transport| transport.get("kafka"))
        .or_else(|| details.get("kafka"));
    let partitions = kafka
        .and_then(|kafka| kafka.get("connection")?.get("lag_records")?.as_object())
        .into_iter()
        .flatten();
    let mut partitions: Vec<(&str, u64)> = partitions
        .map(|(name, lag)| (name.as_str(), lag.as_u64().unwrap_or(0)))
        .collect();
    partitions.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (name, lag) in partitions.into_iter().take(LINES_MAX) {
        add(&format!("kafka {name}"), Some(lag), "messages");
    }
}

fn queues(status: &Status, lines: &mut Vec<String>) {
    let Some(queues) = status.details.get("queues").and_then(Value::as_array) else {
        return;
    };
    lines.push(String::new());
    lines.push(format!(
        "{:<20} {:>9} {:>9}",
        "QUEUE", "WAITING", "ROOM FOR"
    ));
    for queue in queues {
        let number = |name: &str| queue.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (waiting, capacity) = (number("waiting"), number("capacity"));
        let name = queue
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let filled = (waiting * 20).div_ceil(capacity.max(1)).min(20);
        let bar = "#".repeat(usize::try_from(filled).unwrap_or(20));
        lines.push(format!("{name:<20} {waiting:>9} {capacity:>9}  {bar}"));
    }
}

fn held(status: &Status, lines: &mut Vec<String>) {
    let units = status
        .details
        .get("held")
        .and_then(|held| held.get("units"));
    let units = units
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if units.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(format!(
        "{:<30} {:>12} {:>14}",
        "UNIT WAITS", "RECORDS", "BYTES"
    ));
    for unit in units.iter().take(LINES_MAX) {
        let number = |name: &str| unit.get(name).and_then(Value::as_u64).unwrap_or(0);
        let name = unit.get("unit").and_then(Value::as_str).unwrap_or_default();
        let beyond = unit.get("is_beyond").and_then(Value::as_bool) == Some(true);
        let words = if beyond { "  beyond its quota" } else { "" };
        lines.push(format!(
            "{name:<30} {:>12} {:>14}{words}",
            number("records"),
            number("bytes")
        ));
    }
}

fn slow_rules(status: &Status, lines: &mut Vec<String>) {
    let rules = status.details.get("slow_rules").and_then(Value::as_array);
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else {
        return;
    };
    lines.push(String::new());
    lines.push(format!(
        "{:<40} {:>8} {:>12}",
        "SLOWEST RULES", "SHARE", "SECONDS"
    ));
    for rule in rules.iter().take(LINES_MAX) {
        let number = |name: &str| rule.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        let id = rule
            .get("rule_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        lines.push(format!(
            "{id:<40} {:>7.1}% {:>12.3}",
            number("share") * 100.0,
            number("seconds")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_stages_lag_queues_held_units_and_slow_rules() {
        let status: Status = serde_json::from_value(serde_json::json!({
            "version": "1", "uptime_s": 5, "ready": false,
            "parts": {"store": {"state": "retrying", "detail": "gone\u{1b}[2J", "retries": 3}},
            "totals": {"records_in": 100, "events": 90},
            "rates_per_s": {"records_in": 12.5},
            "details": {
                "transport": {"kafka": {"connection": {"lag_records": {"t/0": 7, "t/1": 9}}}},
                "queues": [{"name": "worker 0", "waiting": 2, "capacity": 4}],
                "held": {"units": [{"unit": "u1", "records": 5, "bytes": 50, "is_beyond": true}]},
                "slow_rules": [{"rule_id": "r1", "share": 0.5, "seconds": 1.25}],
                "intake_paused": "the store is full"
            }
        }))
        .unwrap();
        let page = page(&status, 100);
        for words in [
            "NOT READY",
            "store: Retrying: gone\\u001b[2J",
            "INTAKE PAUSED: the store is full",
            "records in                 12.5            100",
            "kafka t/1                                             9 messages",
            "worker 0                     2         4  ##########",
            "u1                                        5             50  beyond its quota",
            "r1                                          50.0%        1.250",
        ] {
            assert!(page.contains(words), "{words:?} is missing in\n{page}");
        }
        assert!(page.find("t/1").unwrap() < page.find("t/0").unwrap());
        assert_eq!(super::page(&status, 3).lines().count(), 3);
    }
}
