//! Consuming and parsing alone, per second of CPU of this process: all threads, librdkafka's among them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bumpalo::Bump;
use citywatch_collector::kafka::{Consumer, ConsumerConfig};
use citywatch_parsers::{Event, Parser, RecordBatch};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{Broker, Options, context, packed, produce};
use crate::corpus::Corpus;
use crate::process::{cpu_s, median_cpu_s};

const PACKED: &str = "bench-packed";
const SINGLE: &str = "bench-single";
/// Records parsed at once, as a worker does.
const AT_ONCE: usize = 64;
/// Of what parsing from memory reaches, and of the bare loop.
const GOALS: [f64; 2] = [0.7, 0.6];
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn measure(options: &Options, broker: &Broker, corpus: &Corpus) -> Result<Value> {
    let batches = packed(corpus, "reading");
    broker.topic(PACKED, 1)?;
    broker.topic(SINGLE, 1)?;
    produce(broker, PACKED, &batches).await?;
    let records = batches.iter().flat_map(RecordBatch::iter);
    let records: Vec<&[u8]> = records.map(|record| record.raw).collect();
    produce_single(broker, &records)?;

    let events = corpus.records as f64;
    let mut reader = Reader::new();
    let memory_s = median_cpu_s(options.runs, || {
        batches.iter().for_each(|batch| reader.parse(batch));
    });
    // Taken in turn.
    let mut seconds = [Vec::new(), Vec::new(), Vec::new()];
    for run in 0..options.runs.max(1) {
        seconds[0].push(consume(broker, PACKED, run, corpus.records, &mut reader).await?);
        seconds[1].push(consume(broker, SINGLE, run, corpus.records, &mut reader).await?);
        seconds[2].push(bare_loop(broker, run, corpus.records)?);
    }
    let [packed_s, single_s, bare_s] = seconds.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    });
    Ok(json!({
        "parsing_from_memory_events_per_cpu_s": (events / memory_s).round(),
        "packed_events_per_cpu_s": (events / packed_s).round(),
        "packed_share": memory_s / packed_s,
        "packed_share_goal": GOALS[0],
        "bare_loop_with_tape_events_per_cpu_s": (events / bare_s).round(),
        "single_events_per_cpu_s": (events / single_s).round(),
        "single_share": bare_s / single_s,
        "single_share_goal": GOALS[1],
    }))
}

/// Parses as a worker does.
struct Reader {
    parser: Parser,
    arena: Bump,
}

impl Reader {
    fn new() -> Self {
        Self {
            parser: Parser::new(context()),
            arena: Bump::new(),
        }
    }

    fn parse(&mut self, batch: &RecordBatch) {
        let mut next = 0;
        while next < batch.len() {
            let end = (next + AT_ONCE).min(batch.len());
            let mut events: Vec<Event<'_>> = Vec::with_capacity(AT_ONCE);
            for record in (next..end).filter_map(|index| batch.get(index)) {
                self.parser.parse_record(record, &self.arena, &mut events);
            }
            std::hint::black_box(&events);
            drop(events);
            self.arena.reset();
            next = end;
        }
    }
}

/// CPU seconds of reading a topic with our consumer and parsing.
async fn consume(
    broker: &Broker,
    topic: &str,
    run: usize,
    records: usize,
    reader: &mut Reader,
) -> Result<f64> {
    let config = json!({
        "brokers": broker.address(),
        "group": format!("bench-{topic}-{run}"),
        "topics": { topic: { "format": "json" } },
    });
    let config: ConsumerConfig = serde_json::from_value(config)?;
    let stop = CancellationToken::new();
    let begin = cpu_s(libc::RUSAGE_SELF);
    let (mut deliveries, task) = Consumer::start(&config, 8, stop.clone())?;
    let mut read = 0;
    while read < records {
        let delivery = tokio::time::timeout(PATIENCE, deliveries.recv()).await;
        let delivery = delivery.context("the broker is silent")?;
        let delivery = delivery.context("the consumer ended")?;
        reader.parse(&delivery.batch);
        read += delivery.batch.len();
        delivery.receipt.acknowledge();
    }
    let seconds = cpu_s(libc::RUSAGE_SELF) - begin;
    stop.cancel();
    drop(deliveries);
    task.ended().await;
    Ok(seconds)
}

/// CPU seconds of the least that a program can do with messages of JSON: poll, and read the tape.
fn bare_loop(broker: &Broker, run: usize, records: usize) -> Result<f64> {
    let begin = cpu_s(libc::RUSAGE_SELF);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("group.id", format!("bench-bare-{run}"))
        .set("auto.offset.reset", "earliest")
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "32768")
        .create()?;
    consumer.subscribe(&[SINGLE])?;
    let mut buffers = simd_json::Buffers::default();
    let mut bytes = Vec::new();
    for _ in 0..records {
        let message = next(&consumer)?;
        bytes.clear();
        bytes.extend_from_slice(message.payload().unwrap_or_default());
        let tape = simd_json::to_tape_with_buffers(&mut bytes, &mut buffers);
        std::hint::black_box(tape.is_ok());
    }
    Ok(cpu_s(libc::RUSAGE_SELF) - begin)
}

/// The next message; what else comes, as the assignment of partitions, ends a poll early.
fn next(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Some(message) = consumer.poll(PATIENCE) {
            return Ok(message?);
        }
    }
    bail!("the broker is silent")
}

fn produce_single(broker: &Broker, records: &[&[u8]]) -> Result<()> {
    let producer: ThreadedProducer<rdkafka::producer::DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("linger.ms", "50")
        .set("compression.type", "lz4")
        .set("queue.buffering.max.kbytes", "1048576")
        .create()?;
    for some in records.chunks(10_000) {
        for record in some {
            let message = BaseRecord::<(), [u8]>::to(SINGLE).payload(*record);
            producer.send(message).map_err(|(error, _)| error)?;
        }
        producer.flush(PATIENCE)?;
    }
    Ok(())
}
