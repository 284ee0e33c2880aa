//! From Kafka to the store: what reading costs, what all of it together reaches beside the store alone, how long an
//! alert takes, how much memory a backlog takes.

mod broker;
mod engine;
mod lag;
mod latency;
mod reading;
mod store;
mod through;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use citywatch_collector::kafka::{Producer, ProducerConfig};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, RecordBatch, Timestamp};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use crate::corpus::{self, Corpus};
use crate::results;
use broker::Broker;

/// Records of a batch: what the agent sends while there is more to read.
const BATCH_RECORDS: usize = 4_096;
const BATCH_BYTES: usize = 1 << 20;
/// Of topics that are filled before a measurement.
const PARTITIONS: u32 = 4;

/// Options of the measurement.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What to measure; all by default
    #[arg(long, value_enum, num_args = 1..)]
    only: Vec<Part>,
    /// Sigma rules: files or folders; all of SigmaHQ's of ../shared by default
    #[arg(long, num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Most recorded events to use
    #[arg(long, default_value_t = 100_000)]
    events_max: usize,
    /// How often they are in the topic, as other records each time
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Runs of what is measured in memory; the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Lines per second while alerts are timed
    #[arg(long, default_value_t = 5_000)]
    lines_per_s: u64,
    /// How long alerts are timed, in seconds
    #[arg(long, default_value_t = 30)]
    latency_s: u64,
    /// How much the topic holds while memory is looked at, in MiB of records
    #[arg(long, default_value_t = 8_192)]
    lag_mib: usize,
    /// How long it is looked at, in seconds
    #[arg(long, default_value_t = 60)]
    lag_s: u64,
    /// Writes the result to bench/results/NAME.json
    #[arg(long, value_name = "NAME")]
    save: Option<String>,
}

/// A part of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Consuming and parsing alone
    Reading,
    /// Topic to store beside inserting alone, and rsigma
    Through,
    /// Memory while the topic holds far more
    Lag,
    /// From a line written to its alert committed
    Latency,
}

/// Measures and prints.
pub(crate) fn measure(options: &Options) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let wanted = |part| options.only.is_empty() || options.only.contains(&part);
    let broker = Broker::start(&dir.path().join("kafka"))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let corpus = recorded(options.events_max)?;
    let mut measured = Map::new();
    measured.insert("corpus_sha256".into(), corpus.hash.clone().into());
    measured.insert("corpus_events".into(), corpus.records.into());
    measured.insert("corpus_bytes".into(), corpus.bytes.into());
    let mut keep = |name: &str, value: Value| -> Result<()> {
        println!("{name}: {}", serde_json::to_string_pretty(&value)?);
        measured.insert(name.to_owned(), value);
        Ok(())
    };
    if wanted(Part::Reading) {
        let value = runtime.block_on(reading::measure(options, &broker, &corpus))?;
        keep("reading", value)?;
    }
    let rules = dir.path().join("rules");
    gather_rules(&options.rules, &rules)?;
    if wanted(Part::Through) {
        let value = through::measure(options, &broker, &corpus, &runtime, &rules, dir.path())?;
        keep("through", value)?;
    }
    if wanted(Part::Lag) {
        let value = lag::measure(options, &broker, &corpus, &runtime, &rules, dir.path())?;
        keep("lag", value)?;
    }
    if wanted(Part::Latency) {
        let value = runtime.block_on(latency::measure(options, &broker, &rules, dir.path()))?;
        keep("latency", value)?;
    }
    match &options.save {
        Some(name) => results::write(name, &Value::Object(measured)),
        None => Ok(()),
    }
}

/// Copies all rules into one folder, which engine and rsigma both read.
fn gather_rules(given: &[PathBuf], folder: &Path) -> Result<()> {
    let mut sources = given.to_vec();
    if sources.is_empty() {
        let all = std::fs::read_dir(corpus::shared().join("sigma"))?;
        let all = all.collect::<std::io::Result<Vec<_>>>()?;
        let is_rules = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("rules");
        let of_rules = all.iter().filter(|entry| is_rules(&entry.file_name()));
        sources = of_rules.map(std::fs::DirEntry::path).collect();
        sources.sort();
    }
    ensure!(!sources.is_empty(), "no Sigma rules");
    for (number, source) in sources.iter().enumerate() {
        for file in corpus::files_below(source, "yml")? {
            let name = file
                .strip_prefix(source)
                .ok()
                .filter(|name| !name.as_os_str().is_empty());
            let name = name.unwrap_or(Path::new("rule.yml"));
            let target = folder.join(number.to_string()).join(name);
            std::fs::create_dir_all(target.parent().expect("it lies in the folder"))?;
            std::fs::copy(&file, &target).with_context(|| file.display().to_string())?;
        }
    }
    Ok(())
}

/// The first of the recorded Windows events.
fn recorded(events_max: usize) -> Result<Corpus> {
    let mut lines = Vec::new();
    for file in corpus::windows_recordings()? {
        let content = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let found = content
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty());
        lines.extend(found.take(events_max - lines.len()).map(<[u8]>::to_vec));
        if lines.len() == events_max {
            break;
        }
    }
    ensure!(!lines.is_empty(), "no recorded events");
    Ok(Corpus::of_lines("json", lines.into_iter()))
}

/// The corpus as an agent's batches of one stream.
fn packed(corpus: &Corpus, stream: &str) -> Vec<RecordBatch> {
    let origin = Arc::new(Origin {
        agent: "bench".into(),
        stream: stream.into(),
        host: Some("bench".into()),
        format: "json".into(),
        ..Origin::default()
    });
    let received_at = Timestamp::from_seconds(jiff::Timestamp::now().as_second());
    let mut batches = Vec::new();
    let mut batch = RecordBatch::new(Arc::clone(&origin));
    for (position, record) in (0..).zip(corpus.batches.iter().flat_map(RecordBatch::iter)) {
        batch.push(record.raw, position, received_at, Truncated::No);
        if batch.len() == BATCH_RECORDS || batch.bytes() >= BATCH_BYTES {
            let next = RecordBatch::new(Arc::clone(&origin));
            batches.push(std::mem::replace(&mut batch, next));
        }
    }
    batches.push(batch);
    batches
}

/// Makes a topic that holds the corpus so many times.
fn fill(
    broker: &Broker,
    topic: &str,
    corpus: &Corpus,
    times: usize,
    runtime: &Runtime,
) -> Result<()> {
    broker.topic(topic, PARTITIONS)?;
    for number in 0..times {
        let batches = packed(corpus, &format!("{topic}-{number}"));
        runtime.block_on(produce(broker, topic, &batches))?;
    }
    Ok(())
}

/// Puts batches into a topic, as an agent does.
async fn produce(broker: &Broker, topic: &str, batches: &[RecordBatch]) -> Result<()> {
    let config = serde_json::json!({ "brokers": broker.address(), "topic": topic });
    let config: ProducerConfig = serde_json::from_value(config)?;
    let producer = Producer::new(&config)?;
    for some in batches.chunks(16) {
        let mut tickets = Vec::new();
        for batch in some {
            tickets.push(producer.submit(batch).await?);
        }
        for mut ticket in tickets {
            ticket.settled().await?;
        }
    }
    Ok(())
}

fn context() -> ParseContext {
    ParseContext {
        default_zone: TimeZone::UTC,
        ..ParseContext::default()
    }
}

/// A program of the workspace, beside this one.
fn program(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name(name);
    ensure!(
        program.exists(),
        "{} is missing: cargo build --release --bin {name}",
        program.display()
    );
    Ok(program)
}

/// The project's folder.
fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("bench/ lies in the project")
}
