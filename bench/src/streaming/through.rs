//! A full topic through `citywatch engine` into the store, beside the store alone with the same rows made before,
//! and beside rsigma alone with the same events.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bumpalo::Bump;
use citywatch_engine::EventId;
use citywatch_engine::store::{EventRow, InsertPlan, SyncToDisk};
use citywatch_parsers::Parser;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::engine::Engine;
use super::store::StoreProcess;
use super::{Broker, Options, context, fill, packed};
use crate::corpus::Corpus;
use crate::peer::Rsigma;

const TOPIC: &str = "bench-through";
/// Rows and bytes of a block, as the engine makes them at most.
const BLOCK_ROWS: usize = 50_000;
const BLOCK_BYTES: usize = 64 << 20;
/// The share of the store alone that is to be reached.
const GOAL: f64 = 0.5;
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn measure(
    options: &Options,
    broker: &Broker,
    corpus: &Corpus,
    runtime: &Runtime,
    rules: &Path,
    dir: &Path,
) -> Result<Value> {
    fill(broker, TOPIC, corpus, options.repeat, runtime)?;
    let events = (corpus.records * options.repeat) as f64;
    let alone = |name: &str, sync_to_disk| {
        let dir = dir.join(name);
        runtime.block_on(inserting_alone(options, corpus, &dir, sync_to_disk))
    };
    let synced = alone("alone-synced", SyncToDisk::Always)?;
    let unsynced = alone("alone-unsynced", SyncToDisk::Never)?;
    let through = through_engine(options, broker, corpus, runtime, rules, dir)?;
    let rsigma = Rsigma::find(rules, 1)
        .map(|peer| peer.run(corpus, "json"))
        .transpose()?;
    let reached = events / through.insert_s;
    Ok(json!({
        "events": events,
        "rules": through.rules,
        "matches": through.matches,
        "events_per_s": reached.round(),
        "alone": synced.told(events),
        "alone_without_syncing": unsynced.told(events),
        "through": through.timed().told(events),
        "share_of_inserting_alone": synced.insert_s / through.insert_s,
        "share_of_inserting_alone_until_merged": synced.merged_s / through.merged_s,
        "share_goal": GOAL,
        "engine_cpu_s": through.engine_cpu_s,
        "broker_cpu_s": through.broker_cpu_s,
        "inserts": through.inserts.1,
        "inserting_s": through.inserts.0,
        "planning_s": through.plans.0,
        "rsigma_alone_events_per_s": rsigma.map(|run| run.events_per_s),
        "times_rsigma_alone": rsigma.map(|run| reached / run.events_per_s),
        "engine_memory_mib_max": through.memory_mib_max,
    }))
}

/// What storing took: until all was stored, and until the merges had ended, too.
struct Timed {
    insert_s: f64,
    merged_s: f64,
    store_cpu_s: f64,
}

impl Timed {
    fn told(&self, events: f64) -> Value {
        json!({
            "events_per_s": (events / self.insert_s).round(),
            "events_per_s_until_merged": (events / self.merged_s).round(),
            "store_cpu_s": self.store_cpu_s,
        })
    }
}

/// Blocks that are there already, of the same number of rows.
async fn inserting_alone(
    options: &Options,
    corpus: &Corpus,
    dir: &Path,
    sync_to_disk: SyncToDisk,
) -> Result<Timed> {
    let process = StoreProcess::start(dir, sync_to_disk)?;
    let store = process.client().await?;
    let rows = rows(corpus);
    let cpu_before = process.cpu_s();
    let begun = Instant::now();
    for _ in 0..options.repeat {
        let mut rest = &rows[..];
        while !rest.is_empty() {
            let (block, next) = rest.split_at(block_len(rest));
            let plan = InsertPlan::of(block).context("a block has rows")?;
            store.insert_planned(block, &plan).await?;
            rest = next;
        }
    }
    let insert_s = begun.elapsed().as_secs_f64();
    let merged_s = process.merged()?.duration_since(begun).as_secs_f64();
    Ok(Timed {
        insert_s,
        merged_s,
        store_cpu_s: process.cpu_s() - cpu_before,
    })
}

/// How many of these rows the engine puts into one block.
fn block_len(rows: &[EventRow]) -> usize {
    let mut bytes = 0;
    let fitting = rows.iter().take(BLOCK_ROWS).take_while(|row| {
        let fits = bytes < BLOCK_BYTES;
        bytes += row.raw.len();
        fits
    });
    fitting.count()
}

fn rows(corpus: &Corpus) -> Vec<EventRow> {
    let mut rows = Vec::with_capacity(corpus.records);
    let mut parser = Parser::new(context());
    let mut arena = Bump::new();
    for batch in &packed(corpus, "alone") {
        let mut events = Vec::new();
        for record in batch.iter() {
            parser.parse_record(record, &arena, &mut events);
        }
        for event in &events {
            let record = &event.record;
            let (agent, stream) = (&record.origin.agent, &record.origin.stream);
            let id = EventId::of(
                agent.as_str(),
                stream.as_str(),
                record.position,
                event.sub_index,
            );
            rows.push(EventRow::from_event(event, id));
        }
        drop(events);
        arena.reset();
    }
    rows
}

struct Through {
    insert_s: f64,
    merged_s: f64,
    rules: Value,
    matches: u64,
    engine_cpu_s: f64,
    store_cpu_s: f64,
    broker_cpu_s: f64,
    memory_mib_max: f64,
    /// Seconds and number.
    inserts: (f64, f64),
    plans: (f64, f64),
}

impl Through {
    fn timed(&self) -> Timed {
        Timed {
            insert_s: self.insert_s,
            merged_s: self.merged_s,
            store_cpu_s: self.store_cpu_s,
        }
    }
}

/// From the first record taken to the last event stored: start-up and the loading of rules do not count.
fn through_engine(
    options: &Options,
    broker: &Broker,
    corpus: &Corpus,
    runtime: &Runtime,
    rules: &Path,
    dir: &Path,
) -> Result<Through> {
    let store = StoreProcess::start(&dir.join("through-store"), SyncToDisk::Always)?;
    let client = runtime.block_on(store.client())?;
    let mut engine = Engine::start(broker, TOPIC, &store, rules, &dir.join("through-engine"))?;
    let events = (corpus.records * options.repeat) as u64;
    let now = |engine: &Engine| {
        (
            Instant::now(),
            engine.cpu_s(),
            store.cpu_s(),
            broker.cpu_s(),
        )
    };
    engine.watch(LOOK_EVERY, now, |engine, status, before| {
        if status.settled() < events {
            return Ok(None);
        }
        let after = now(engine);
        let insert_s = after.0.duration_since(before.0).as_secs_f64();
        let merged_s = store.merged()?.duration_since(before.0).as_secs_f64();
        let stored = runtime.block_on(client.counts())?;
        anyhow::ensure!(stored.events == events, "{stored:?} of {events}");
        Ok(Some(Through {
            insert_s,
            merged_s,
            rules: status.rules(),
            matches: stored.matches,
            engine_cpu_s: after.1 - before.1,
            store_cpu_s: store.cpu_s() - before.2,
            broker_cpu_s: after.3 - before.3,
            memory_mib_max: engine.memory_mib("VmHWM").round(),
            inserts: engine.spent("citywatch_engine_insert_seconds")?,
            plans: engine.spent("citywatch_engine_plan_seconds")?,
        }))
    })
}
