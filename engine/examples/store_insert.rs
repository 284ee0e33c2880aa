//! Measures inserts into the embedded store: lines of a file become rows, rows become blocks, blocks
//! go over HTTP into chDB, all in one process.
//!
//! `cargo run --release -p citywatch-engine --example store_insert -- LINES_FILE [ROWS] [BLOCK_ROWS]`
//!
//! Prints rows and megabytes of raw text per second, CPU seconds (the engine's threads included, and
//! merges as far as they ran until then), and what each column takes on disk.

#![allow(clippy::print_stdout, reason = "a program that reports")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use bumpalo::Bump;
use citywatch_engine::EventId;
use citywatch_engine::store::endpoint::{Endpoint, EndpointConfig};
use citywatch_engine::store::{EventRow, Store, StoreConfig};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, RecordBatch, Timestamp, UnitId, parse_batch};
use tokio_util::sync::CancellationToken;

/// 2026-03-01T00:00:00Z.
const RECEIVED_AT_SECONDS: i64 = 1_772_323_200;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: store_insert LINES_FILE [ROWS] [BLOCK_ROWS]")?;
    let rows_wanted: usize = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let block_rows: usize = arguments.next().map_or(Ok(50_000), |text| text.parse())?;

    let dir = tempfile::tempdir()?;
    let config = EndpointConfig {
        data_dir: dir.path().into(),
        listen: "127.0.0.1:0".parse()?,
        user: "bench".into(),
        password: "bench".into(),
        library: None,
    };
    let endpoint = Endpoint::open(config).await?;
    let url = format!("http://{}", endpoint.address());
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(endpoint.serve(shutdown.clone()));
    let store = Store::connect(&StoreConfig {
        url: url.clone(),
        user: "bench".into(),
        password: "bench".into(),
        retention_days: 10_000,
        ..StoreConfig::default()
    })?;
    store.migrate().await?;

    let text = std::fs::read(&file)?;
    let begun = (Instant::now(), cpu_seconds());
    let rows = rows(&text, rows_wanted);
    report("rows from lines", &rows, begun);
    let begun = (Instant::now(), cpu_seconds());
    for block in rows.chunks(block_rows) {
        store.insert_events(block).await?;
    }
    report("insert_events", &rows, begun);
    assert_eq!(
        store.counts().await?.events,
        rows.len() as u64,
        "all rows are stored"
    );
    columns(&url).await?;
    shutdown.cancel();
    serving.await??;
    Ok(())
}

/// Rows of the file's lines, from its start again when it ends.
fn rows(text: &[u8], wanted: usize) -> Vec<EventRow> {
    let origin = Arc::new(Origin {
        unit: UnitId::from("hcmc"),
        agent: "bench".into(),
        stream: "lines".into(),
        format: "auto".into(),
        ..Origin::default()
    });
    let mut rows = Vec::with_capacity(wanted);
    let context = ParseContext::default();
    let lines: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .collect();
    let mut next = 0_u64;
    while rows.len() < wanted {
        let mut batch = RecordBatch::new(Arc::clone(&origin));
        for line in lines
            .iter()
            .cycle()
            .skip(rows.len() % lines.len())
            .take(1000.min(wanted - rows.len()))
        {
            let time =
                Timestamp(RECEIVED_AT_SECONDS * 1_000_000 + i64::try_from(next).unwrap_or(0) * 100);
            batch.push(line, next, time, Truncated::No);
            next += 1;
        }
        let arena = Bump::new();
        for event in parse_batch(&batch, &arena, &context) {
            let id = EventId::of("bench", "lines", event.record.position, event.sub_index);
            rows.push(EventRow::from_event(&event, id));
        }
    }
    rows
}

fn report(what: &str, rows: &[EventRow], (begun, cpu): (Instant, f64)) {
    let (seconds, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let count = rows.len() as f64;
    let megabytes = rows.iter().map(|row| row.raw.len()).sum::<usize>() as f64 / 1e6;
    println!(
        "{what}: {count:.0} rows, {:.2} KB raw each: {:.0} rows/s, {:.1} MB/s raw, {:.0} rows per CPU second",
        megabytes * 1e3 / count,
        count / seconds,
        megabytes / seconds,
        count / cpu
    );
}

async fn columns(url: &str) -> Result<(), Box<dyn Error>> {
    let client = clickhouse::Client::default()
        .with_url(url)
        .with_user("bench")
        .with_password("bench");
    let sql = "SELECT name, data_compressed_bytes, data_uncompressed_bytes FROM system.columns \
               WHERE database = 'citywatch' AND table = 'events' \
               UNION ALL SELECT 'index ' || name, data_compressed_bytes, data_uncompressed_bytes \
               FROM system.data_skipping_indices WHERE table = 'events' ORDER BY 2 DESC LIMIT 16";
    for (name, packed, unpacked) in client.query(sql).fetch_all::<(String, u64, u64)>().await? {
        println!(
            "{name:>24} {:>10.2} MB on disk {:>10.2} MB unpacked",
            packed as f64 / 1e6,
            unpacked as f64 / 1e6
        );
    }
    Ok(())
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    // SAFETY: all zeros is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the answer.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
