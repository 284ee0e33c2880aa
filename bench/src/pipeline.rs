//! The whole embedded pipeline, as a user runs it: `citywatch up` tails a file of recorded events until
//! every one of them is stored.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use crate::input::{Corpus, gather};
use crate::results;

/// Options of the measurement.
#[derive(Debug, Args)]
pub struct PipelineArgs {
    /// Recorded events: files, archives or folders
    #[arg(long, required = true, num_args = 1..)]
    events: Vec<PathBuf>,
    /// Sigma rules: files or folders
    #[arg(long, required = true, num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Most events to use
    #[arg(long, default_value_t = u64::MAX)]
    events_max: u64,
    /// Name of the result
    #[arg(long, default_value = "pipeline")]
    name: String,
}

#[derive(Debug, Serialize)]
struct PipelineResult {
    events: u64,
    bytes: u64,
    corpus_sha256: String,
    rules_loaded: u64,
    matches: u64,
    seconds: f64,
    events_per_s: f64,
    mib_per_s: f64,
    /// CPU seconds of `citywatch up` and of its store process.
    cpu_s: f64,
    events_per_cpu_s: f64,
    /// Most memory `citywatch up` itself held, without the store process.
    memory_mib_max: f64,
}

/// Kills the process when the measurement fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Measures once: the run is long enough to be stable, and starts with an empty data folder.
pub fn measure(args: &PipelineArgs) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let corpus = gather(
        &args.events,
        args.events_max,
        &dir.path().join("events.ndjson"),
    )?;
    eprintln!(
        "{} events, {:.1} MiB",
        corpus.events,
        corpus.bytes as f64 / 1_048_576.0
    );
    let monitor = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut up = start(args, dir.path(), monitor)?;
    let outcome = watch(&mut up.0, monitor, corpus.events)?;
    let result = serde_json::to_value(describe(&corpus, &outcome))?;
    stop(up)?;
    println!("{}", serde_json::to_string_pretty(&result)?);
    results::write(&args.name, &result)
}

fn start(args: &PipelineArgs, dir: &Path, monitor: u16) -> anyhow::Result<Killed> {
    let program = std::env::current_exe()?.with_file_name("citywatch");
    anyhow::ensure!(
        program.exists(),
        "{} is missing: cargo build --release --bin citywatch",
        program.display()
    );
    let rules = args
        .rules
        .iter()
        .map(std::path::absolute)
        .collect::<Result<Vec<_>, _>>()?;
    let config = format!(
        "[agent]\nname = \"bench\"\n[[agent.files]]\npaths = [{:?}]\nread_from = \"beginning\"\n[engine]\nclock_behind_max_days = 0\nrules = {rules:?}\n",
        dir.join("events.ndjson")
    );
    std::fs::write(dir.join("citywatch.toml"), config)?;
    let log = std::fs::File::create(dir.join("up.log"))?;
    let child = Command::new(program)
        .arg("up")
        .args([
            "--listen",
            "127.0.0.1:0",
            "--monitor",
            &format!("127.0.0.1:{monitor}"),
        ])
        .arg("--config")
        .arg(dir.join("citywatch.toml"))
        .arg("--data")
        .arg(dir.join("data"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("citywatch up")?;
    Ok(Killed(child))
}

struct Outcome {
    status: serde_json::Value,
    seconds: f64,
    cpu_s: f64,
    memory_mib_max: f64,
}

/// From the first event stored to the last: start-up and the loading of rules do not count.
fn watch(up: &mut Child, monitor: u16, events: u64) -> anyhow::Result<Outcome> {
    let mut begun: Option<(Instant, u64, f64)> = None;
    let mut said = Instant::now();
    loop {
        std::thread::sleep(Duration::from_millis(50));
        if let Some(status) = up.try_wait()? {
            anyhow::bail!("citywatch up ended: {status}");
        }
        let Ok(mut answer) = ureq::get(format!("http://127.0.0.1:{monitor}/status")).call() else {
            continue;
        };
        let status: serde_json::Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let total = |name: &str| status["totals"][name].as_u64().unwrap_or(0);
        let stored = total("events_stored") + total("dead_letters");
        if begun.is_none() && total("records_in") > 0 {
            begun = Some((Instant::now(), stored, cpu_seconds(up.id())));
        }
        let Some((first, _, cpu_before)) = begun else {
            continue;
        };
        if said.elapsed() > Duration::from_secs(10) {
            said = Instant::now();
            eprintln!("{stored} of {events} stored");
        }
        if stored >= events {
            return Ok(Outcome {
                seconds: first.elapsed().as_secs_f64(),
                cpu_s: cpu_seconds(up.id()) - cpu_before,
                memory_mib_max: memory_mib_max(up.id()),
                status,
            });
        }
    }
}

fn describe(corpus: &Corpus, outcome: &Outcome) -> PipelineResult {
    let detail = outcome.status["parts"]["rules"]["detail"]
        .as_str()
        .unwrap_or_default();
    let rules_loaded = detail
        .split(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    PipelineResult {
        events: corpus.events,
        bytes: corpus.bytes,
        corpus_sha256: corpus.sha256.clone(),
        rules_loaded,
        matches: outcome.status["totals"]["matches"].as_u64().unwrap_or(0),
        seconds: outcome.seconds,
        events_per_s: corpus.events as f64 / outcome.seconds,
        mib_per_s: corpus.bytes as f64 / 1_048_576.0 / outcome.seconds,
        cpu_s: outcome.cpu_s,
        events_per_cpu_s: corpus.events as f64 / outcome.cpu_s,
        memory_mib_max: outcome.memory_mib_max,
    }
}

fn stop(mut up: Killed) -> anyhow::Result<()> {
    let status = Command::new("kill")
        .arg("-INT")
        .arg(up.0.id().to_string())
        .status()?;
    anyhow::ensure!(status.success(), "cannot stop citywatch up");
    up.0.wait()?;
    Ok(())
}

/// CPU time of a process and its children that still run, in seconds.
fn cpu_seconds(id: u32) -> f64 {
    let mut ids = vec![id];
    let children =
        std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    ids.extend(
        children
            .split_whitespace()
            .filter_map(|id| id.parse::<u32>().ok()),
    );
    // The store is started by a thread of the runtime, not by the first one.
    if let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) {
        for task in tasks.flatten() {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            ids.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter().map(own_cpu_seconds).sum()
}

/// CPU time of one process, in seconds.
pub(crate) fn own_cpu_seconds(id: u32) -> f64 {
    /// Clock ticks per second in /proc, the same on every Linux that runs this.
    const TICKS_PER_S: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let fields: Vec<f64> = after_name
        .split(' ')
        .filter_map(|field| field.parse().ok())
        .collect();
    // utime and stime are fields 14 and 15; the state (field 3) is no number and falls out.
    (fields.get(10).unwrap_or(&0.0) + fields.get(11).unwrap_or(&0.0)) / TICKS_PER_S
}

/// Most memory that a process held, in MiB.
fn memory_mib_max(id: u32) -> f64 {
    memory_mib(id, "VmHWM")
}

/// A size of a process in MiB: `VmHWM` is the most memory that it held, `VmRSS` what it holds.
pub(crate) fn memory_mib(id: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let mut sizes = status.lines().filter_map(|line| line.split_once(':'));
    let line = sizes.find_map(|(found, size)| (found == name).then_some(size));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .unwrap_or(0.0)
        / 1024.0
}
