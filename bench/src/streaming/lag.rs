//! Memory of `citywatch engine` while its topic holds far more than it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use citywatch_engine::store::SyncToDisk;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::engine::Engine;
use super::store::StoreProcess;
use super::{Broker, Options, fill};
use crate::corpus::Corpus;

const TOPIC: &str = "bench-lag";
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) fn measure(
    options: &Options,
    broker: &Broker,
    corpus: &Corpus,
    runtime: &Runtime,
    rules: &Path,
    dir: &Path,
) -> Result<Value> {
    let repeat = (options.lag_mib << 20).div_ceil(corpus.bytes);
    fill(broker, TOPIC, corpus, repeat, runtime)?;
    let store = StoreProcess::start(&dir.join("lag-store"), SyncToDisk::Always)?;
    let _client = runtime.block_on(store.client())?;
    let events = (corpus.records * repeat) as u64;
    let mut engine = Engine::start(broker, TOPIC, &store, rules, &dir.join("lag-engine"))?;
    let mut resident = Vec::new();
    engine.watch(
        LOOK_EVERY,
        |_| Instant::now(),
        |engine, status, begun| {
            resident.push(engine.memory_mib("VmRSS"));
            let over = begun.elapsed() >= Duration::from_secs(options.lag_s);
            if !over && status.settled() < events {
                return Ok(None);
            }
            let quarter = |number: usize| {
                let part =
                    &resident[resident.len() * number / 4..resident.len() * (number + 1) / 4];
                part.iter().copied().fold(0.0, f64::max).round()
            };
            Ok(Some(json!({
                "topic_mib": (corpus.bytes * repeat) >> 20,
                "topic_events": events,
                "seconds": begun.elapsed().as_secs_f64().round(),
                "lag_at_end_events": events - status.settled(),
                "engine_memory_mib_max": engine.memory_mib("VmHWM").round(),
                "engine_memory_mib_max_by_quarter": [quarter(0), quarter(1), quarter(2), quarter(3)],
            })))
        },
    )
}
