//! Producer and consumer against a real broker; skipped, visibly, where none has been fetched.

#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

#[path = "../../tests/support/broker.rs"]
mod broker;
#[path = "../../tests/support/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::Broker;
use citywatch_collector::delivery::Delivery;
use citywatch_collector::frame;
use citywatch_collector::kafka::{
    ConnectionState, Consumer, ConsumerConfig, ConsumerStatus, ConsumerTask, Producer,
    ProducerConfig, TopicConfig,
};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

fn producer_config(broker: &str, topic: &str) -> ProducerConfig {
    ProducerConfig {
        brokers: broker.into(),
        topic: topic.into(),
        message_bytes_max: 1_000_000,
        tls: None,
        options: BTreeMap::new(),
    }
}

fn consumer_config(broker: &str, topic: &str) -> ConsumerConfig {
    let settings = TopicConfig {
        unit: "ward-7".into(),
        format: "syslog".into(),
        ..TopicConfig::default()
    };
    ConsumerConfig {
        brokers: broker.into(),
        topics: BTreeMap::from([(topic.into(), settings)]),
        group: format!("group-{topic}"),
        tls: None,
        options: BTreeMap::new(),
    }
}

fn batch(stream: &str, positions: std::ops::Range<u64>) -> RecordBatch {
    let origin = Origin {
        agent: "gate".into(),
        stream: stream.into(),
        format: "auto".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    for position in positions {
        batch.push(
            format!("{stream} {position}").as_bytes(),
            position,
            Timestamp(5),
            Truncated::No,
        );
    }
    batch
}

/// A consumer, and what stops it.
struct Reading {
    deliveries: Receiver<Delivery>,
    task: ConsumerTask,
    shutdown: CancellationToken,
}

impl Reading {
    fn start(config: &ConsumerConfig) -> Self {
        let shutdown = CancellationToken::new();
        let (deliveries, task) = Consumer::start(config, 4, shutdown.clone()).unwrap();
        Self {
            deliveries,
            task,
            shutdown,
        }
    }

    async fn next(&mut self) -> Delivery {
        timeout(PATIENCE, self.deliveries.recv())
            .await
            .expect("a delivery in time")
            .unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        drop(self.deliveries);
        timeout(PATIENCE, self.task.ended())
            .await
            .expect("the consumer ends");
    }

    /// Waits until the consumer's status is `so`; `what` says what was waited for.
    async fn until(&self, what: &str, so: impl Fn(&ConsumerStatus) -> bool) {
        let monitor = self.task.monitor();
        let looks = async {
            while !so(&monitor.status()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, looks).await.is_err() {
            panic!("waited for {what}: {:?}", monitor.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_arrive_in_order_and_once_acknowledged_do_not_come_again() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("ours", 3, &[]);
    let producer = Producer::new(&producer_config(broker.address(), "ours")).unwrap();
    for round in 0..20_u64 {
        for stream in ["a", "b"] {
            let mut ticket = producer
                .submit(&batch(stream, round * 10..round * 10 + 10))
                .await
                .unwrap();
            ticket.settled().await.unwrap();
        }
    }
    assert_eq!(
        producer.monitor().status().connection.state,
        ConnectionState::Connected
    );

    let config = consumer_config(broker.address(), "ours");
    let mut reading = Reading::start(&config);
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let mut receipts = Vec::new();
    for _ in 0..40 {
        let delivery = reading.next().await;
        let next = next
            .entry(delivery.batch.origin.stream.to_string())
            .or_default();
        for record in delivery.batch.iter() {
            assert_eq!(record.position, *next);
            *next += 1;
        }
        receipts.push(delivery.receipt);
    }
    assert_eq!(next, BTreeMap::from([("a".into(), 200), ("b".into(), 200)]));
    // All but one are acknowledged: what lies behind it in its partition comes again.
    let last = receipts.pop().unwrap();
    receipts
        .into_iter()
        .rev()
        .for_each(citywatch_collector::Receipt::acknowledge);
    drop(last);
    reading.stop().await;

    let mut reading = Reading::start(&config);
    let delivery = reading.next().await;
    assert_eq!(delivery.batch.last_position(), Some(199));
    delivery.receipt.acknowledge();
    assert!(
        timeout(Duration::from_secs(2), reading.deliveries.recv())
            .await
            .is_err()
    );
    reading.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_messages_and_broken_ones_arrive_as_they_are() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("others", 1, &[]);
    let mut native = rdkafka::ClientConfig::new();
    let native: BaseProducer = native
        .set("bootstrap.servers", broker.address())
        .create()
        .unwrap();
    let mut damaged = frame::encode(&batch("a", 0..3)).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    let payloads: [&[u8]; 4] = [
        b"<34>Oct 11 22:14:15 gate su: one",
        b"two",
        &damaged,
        b"three",
    ];
    for payload in payloads {
        native
            .send(BaseRecord::<(), [u8]>::to("others").payload(payload))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    native.flush(PATIENCE).unwrap();

    let mut reading = Reading::start(&consumer_config(broker.address(), "others"));
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let delivery = reading.next().await;
        for record in delivery.batch.iter() {
            assert_eq!(record.origin.agent.as_str(), "kafka/others");
            // The partition, and which making of the topic.
            let stream = record.origin.stream.as_str();
            assert!(stream.starts_with("0@"), "{stream}");
            seen.push((
                record.position,
                record.origin.format.to_string(),
                record.raw.to_vec(),
            ));
        }
        delivery.receipt.acknowledge();
    }
    let formats: Vec<&str> = seen.iter().map(|(_, format, _)| format.as_str()).collect();
    assert_eq!(formats, ["syslog", "syslog", frame::UNDECODABLE, "syslog"]);
    assert_eq!(
        seen.iter()
            .map(|(position, ..)| *position)
            .collect::<Vec<_>>(),
        [0, 1, 2, 3]
    );
    assert!(seen.iter().map(|(.., raw)| raw.as_slice()).eq(payloads));
    reading.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_name_the_log_source_of_others_messages() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("named", 1, &[]);
    let mut native = rdkafka::ClientConfig::new();
    let native: BaseProducer = native
        .set("bootstrap.servers", broker.address())
        .create()
        .unwrap();
    let named: [&[(&str, &str)]; 3] = [
        &[
            ("product", "Windows"),
            ("service", "sysmon"),
            ("format", "json"),
        ],
        &[("category", "no name at all")],
        &[("category", "process_creation")],
    ];
    for headers in named {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(*value),
                })
            });
        let message = BaseRecord::<(), [u8]>::to("named")
            .payload(b"{}")
            .headers(headers);
        native.send(message).map_err(|(error, _)| error).unwrap();
    }
    native.flush(PATIENCE).unwrap();

    let mut reading = Reading::start(&consumer_config(broker.address(), "named"));
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let delivery = reading.next().await;
        for record in delivery.batch.iter() {
            let source = &record.origin.log_source;
            seen.push(format!(
                "{}/{}/{} {}",
                source.product, source.category, source.service, record.origin.format
            ));
        }
        delivery.receipt.acknowledge();
    }
    assert_eq!(
        seen,
        [
            "windows//sysmon json",
            "// syslog",
            "/process_creation/ syslog"
        ]
    );
    reading.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_with_a_small_bound_gets_smaller_messages_and_no_hole() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("small", 1, &["max.message.bytes=40000"]);
    let producer = Producer::new(&producer_config(broker.address(), "small")).unwrap();
    let mut large = batch("a", 0..0);
    let mut state = 1_u64;
    for position in 0..100 {
        // Text that zstd cannot shrink below the bound.
        let raw: String = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(b'!' + (state >> 57) as u8 % 90)
        })
        .take(2000)
        .collect();
        large.push(raw.as_bytes(), position, Timestamp(5), Truncated::No);
    }
    let mut failures = 0;
    loop {
        let result = match producer.submit(&large).await {
            Ok(mut ticket) => ticket.settled().await,
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => break,
            Err(error) => {
                failures += 1;
                assert!(failures < 10, "{error}");
            }
        }
    }
    assert!(failures > 0);
    let mut reading = Reading::start(&consumer_config(broker.address(), "small"));
    let mut positions = std::collections::BTreeSet::new();
    while positions.len() < 100 {
        let delivery = reading.next().await;
        positions.extend(delivery.batch.iter().map(|record| record.position));
        delivery.receipt.acknowledge();
    }
    reading.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_engine_pauses_the_partitions_and_loses_nothing() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("busy", 2, &[]);
    let producer = Producer::new(&producer_config(broker.address(), "busy")).unwrap();
    let mut tickets = Vec::new();
    for round in 0..200_u64 {
        for stream in ["a", "b", "c"] {
            tickets.push(
                producer
                    .submit(&batch(stream, round * 5..round * 5 + 5))
                    .await
                    .unwrap(),
            );
        }
    }
    for mut ticket in tickets {
        ticket.settled().await.unwrap();
    }
    let mut reading = Reading::start(&consumer_config(broker.address(), "busy"));
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    for count in 0..600 {
        if count % 150 == 100 && count < 500 {
            // Nothing is taken until the consumer has noticed it.
            let pauses = count / 150;
            reading
                .until("the partitions to be paused", |status| {
                    status.pauses > pauses
                })
                .await;
        }
        let delivery = reading.next().await;
        let next = next
            .entry(delivery.batch.origin.stream.to_string())
            .or_default();
        for record in delivery.batch.iter() {
            assert_eq!(record.position, *next, "stream {}", record.origin.stream);
            *next += 1;
        }
        delivery.receipt.acknowledge();
    }
    reading.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_engine_takes_over_without_repetition_of_what_is_stored() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("shared", 4, &[]);
    let producer = Producer::new(&producer_config(broker.address(), "shared")).unwrap();
    let config = consumer_config(broker.address(), "shared");
    let mut first = Reading::start(&config);
    let mut second = None;
    let mut seen: BTreeMap<(String, u64), u32> = BTreeMap::new();
    let (mut round, mut rounds_left) = (0, 20);
    let until = Instant::now() + PATIENCE;
    while rounds_left > 0 {
        for stream in 0..8 {
            producer
                .submit(&batch(&format!("s{stream}"), round..round + 1))
                .await
                .unwrap()
                .settled()
                .await
                .unwrap();
        }
        round += 1;
        if round == 20 {
            second = Some(Reading::start(&config));
        }
        // Both go on for some rounds after the second one has got its partitions.
        let shared = second
            .as_ref()
            .is_some_and(|second| second.task.monitor().status().partitions > 0);
        rounds_left -= u32::from(shared);
        assert!(
            Instant::now() < until,
            "the second engine has no partitions"
        );
        for reading in [Some(&mut first), second.as_mut()].into_iter().flatten() {
            while let Ok(Some(delivery)) =
                timeout(Duration::from_millis(5), reading.deliveries.recv()).await
            {
                note(&mut seen, delivery);
            }
        }
    }
    let mut second = second.unwrap();
    while seen.len() < usize::try_from(8 * round).unwrap() {
        tokio::select! {
            delivery = first.next() => note(&mut seen, delivery),
            delivery = second.next() => note(&mut seen, delivery),
        }
    }
    assert!(
        seen.values().all(|count| *count == 1),
        "stored before the hand-over, so not delivered again"
    );
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_goes_from_a_busy_engine_is_read_when_it_comes_back() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("busy-shared", 2, &[]);
    let producer = Producer::new(&producer_config(broker.address(), "busy-shared")).unwrap();
    let mut tickets = Vec::new();
    for round in 0..50_u64 {
        for stream in 0..8 {
            let batch = batch(&format!("s{stream}"), round..round + 1);
            tickets.push(producer.submit(&batch).await.unwrap());
        }
    }
    for mut ticket in tickets {
        ticket.settled().await.unwrap();
    }
    let config = consumer_config(broker.address(), "busy-shared");
    let mut first = Reading::start(&config);
    first
        .until("the partitions to be paused", |status| {
            status.partitions == 2 && status.pauses > 0
        })
        .await;
    let second = Reading::start(&config);
    second
        .until("a partition to come", |status| status.partitions == 1)
        .await;
    // Without it the first one has time again: what it has is not paused any more.
    let mut seen = BTreeMap::new();
    while let Ok(Some(delivery)) = timeout(Duration::from_secs(3), first.deliveries.recv()).await {
        note(&mut seen, delivery);
    }
    second.stop().await;
    first
        .until("the partition to come back", |status| {
            status.partitions == 2
        })
        .await;
    while seen.len() < 400 {
        let delivery = first.next().await;
        note(&mut seen, delivery);
    }
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    first.stop().await;
}

/// Writes a message as others' agents do.
fn write(broker: &Broker, topic: &str, payload: &str) {
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .create()
        .unwrap();
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(payload.as_bytes());
    producer.send(record).unwrap();
    producer.flush(PATIENCE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_vanishes_is_told_and_the_others_go_on() {
    let Some(broker) = Broker::start() else {
        return;
    };
    for topic in ["vanishes", "stays"] {
        broker.topic(topic, 1, &[]);
        write(&broker, topic, "before");
    }
    let mut config = consumer_config(broker.address(), "vanishes");
    let settings = config.topics["vanishes"].clone();
    config.topics.insert("stays".to_owned(), settings);
    let mut reading = Reading::start(&config);
    for _ in 0..2 {
        reading.next().await.receipt.acknowledge();
    }

    let admin: rdkafka::admin::AdminClient<_> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .create()
        .unwrap();
    let options = rdkafka::admin::AdminOptions::new();
    admin.delete_topics(&["vanishes"], &options).await.unwrap();
    reading
        .until("the missing topic to be told", |status| {
            status.missing_topics == ["vanishes"]
        })
        .await;
    write(&broker, "stays", "after");
    let delivery = reading.next().await;
    assert_eq!(delivery.batch.get(0).unwrap().raw, b"after");
    delivery.receipt.acknowledge();

    // Made anew, it is read again.
    broker.topic("vanishes", 1, &[]);
    write(&broker, "vanishes", "anew");
    let delivery = reading.next().await;
    assert_eq!(&*delivery.batch.origin.agent.0, "kafka/vanishes");
    delivery.receipt.acknowledge();
    reading
        .until("no topic to be missing", |status| {
            status.missing_topics.is_empty()
        })
        .await;
    reading.stop().await;
}

/// Writes messages as others' agents do, as one batch.
fn write_batch(broker: &Broker, topic: &str, partition: i32, payloads: &[Vec<u8>], codec: &str) {
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", broker.address())
        .set("compression.codec", codec)
        .set("linger.ms", "60000")
        .set("batch.size", "1000000000")
        .set("batch.num.messages", "1000000")
        .set("message.max.bytes", "1000000000")
        .set("queue.buffering.max.kbytes", "2000000")
        .create()
        .unwrap();
    for payload in payloads {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition);
        producer.send(record.payload(payload)).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// What was delivered of one partition: offsets with the text, or with the reason why there is none.
async fn read_until(reading: &mut Reading, partition: &str, last: &str) -> Vec<(u64, String)> {
    let mut seen = Vec::new();
    loop {
        let delivery = reading.next().await;
        let origin = &delivery.batch.origin;
        if origin.stream.as_str().starts_with(partition) {
            let reason = origin.format.strip_prefix(frame::UNREADABLE);
            for record in delivery.batch.iter() {
                let raw = String::from_utf8_lossy(record.raw);
                let text = raw.chars().take(20).collect();
                let reason = reason.map(|reason| format!("unreadable: {reason}"));
                seen.push((record.position, reason.unwrap_or(text)));
            }
        }
        delivery.receipt.acknowledge();
        if seen.last().is_some_and(|(_, text)| text == last) {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_unpacks_beyond_the_bound_is_passed_over_and_told() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("bombs", 2, &[]);
    // 160 MB in some 20 KB: no topic's bound of bytes keeps it away.
    let bomb = vec![vec![b'a'; 1 << 20]; 153];
    let one = |text: &str| [text.as_bytes().to_vec()];
    write_batch(&broker, "bombs", 0, &one("before"), "none");
    write_batch(&broker, "bombs", 0, &bomb, "zstd");
    write_batch(&broker, "bombs", 0, &one("between"), "none");
    write_batch(&broker, "bombs", 0, &bomb[..120], "zstd");
    write_batch(&broker, "bombs", 0, &bomb[..110], "zstd");
    write_batch(&broker, "bombs", 1, &one("beside"), "none");

    let config = consumer_config(broker.address(), "bombs");
    let mut reading = Reading::start(&config);
    write_batch(&broker, "bombs", 0, &one("after"), "none");
    let seen = read_until(&mut reading, "0@", "after").await;
    let offsets: Vec<u64> = seen.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, [0, 1, 154, 155, 275, 385], "{seen:?}");
    for (place, told) in [
        (
            1,
            "unreadable: offsets 1 to 153 of partition 0 of topic bombs cannot be read and were passed over; the batch unpacks to more than 100000000 bytes",
        ),
        (3, "unreadable: offsets 155 to 274 of"),
        (4, "unreadable: offsets 275 to 384 of"),
    ] {
        assert!(seen[place].1.starts_with(told), "{seen:?}");
    }
    assert_eq!(reading.task.monitor().status().unreadable, 153 + 120 + 110);
    reading.stop().await;

    // What was passed over is committed: it is not met again.
    write_batch(&broker, "bombs", 0, &one("later"), "none");
    let mut reading = Reading::start(&config);
    let seen = read_until(&mut reading, "0@", "later").await;
    assert_eq!(seen, [(386, "later".to_owned())]);
    assert_eq!(reading.task.monitor().status().unreadable, 0);
    reading.stop().await;
}

/// librdkafka itself bounds zstd only: see `kafka/unpacking.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gzip_and_lz4_are_read_up_to_the_bound_and_no_further() {
    let Some(broker) = Broker::start() else {
        return;
    };
    // 300 MB, of gzip some 300 KB and of LZ4 some 1.2 MB.
    let bomb = vec![vec![b'a'; 1 << 20]; 300];
    let honest: Vec<Vec<u8>> = (0..5000)
        .map(|count| format!("line {count} of a batch that is packed").into_bytes())
        .collect();
    for codec in ["gzip", "lz4"] {
        let topic = format!("bombs-{codec}");
        broker.topic(&topic, 1, &["max.message.bytes=4000000"]);
        write_batch(&broker, &topic, 0, &honest, codec);
        write_batch(&broker, &topic, 0, &bomb, codec);
        write_batch(&broker, &topic, 0, &[b"after".to_vec()], codec);
        let mut reading = Reading::start(&consumer_config(broker.address(), &topic));
        let seen = read_until(&mut reading, "0@", "after").await;
        assert_eq!(seen.len(), 5002, "{codec}");
        let texts = honest.iter().map(|text| &text[..text.len().min(20)]);
        assert!(
            texts.eq(seen[..5000].iter().map(|(_, text)| text.as_bytes())),
            "{codec}"
        );
        let told = format!(
            "unreadable: offsets 5000 to 5299 of partition 0 of topic {topic} cannot be read and were passed over; the batch unpacks to more than 100000000 bytes"
        );
        assert!(seen[5000].1.starts_with(&told), "{codec}: {:?}", seen[5000]);
        assert_eq!(seen[5001], (5300, "after".to_owned()));
        reading.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_damaged_on_the_brokers_disk_is_passed_over_and_told() {
    let Some(broker) = Broker::start() else {
        return;
    };
    let texts = |what: &str| -> Vec<Vec<u8>> {
        let text = |count| format!("{what} {count} of some length").into_bytes();
        (0..50).map(text).collect()
    };
    // What is turned over lies behind the batch's header of 61 bytes.
    for codec in ["none", "zstd", "lz4", "gzip"] {
        let topic = format!("damaged-{codec}");
        broker.topic(&topic, 1, &[]);
        write_batch(&broker, &topic, 0, &texts("first"), codec);
        let ends = broker.written(&topic);
        write_batch(&broker, &topic, 0, &texts("second"), codec);
        write_batch(&broker, &topic, 0, &texts("third"), codec);
        broker.damage(&topic, ends + 120);
        let mut reading = Reading::start(&consumer_config(broker.address(), &topic));
        let seen = read_until(&mut reading, "0@", "third 49 of some len").await;
        let offsets = (0..=50).chain(100..150);
        assert!(
            seen.iter().map(|(offset, _)| *offset).eq(offsets),
            "{codec}: {seen:?}"
        );
        let told = format!(
            "unreadable: offsets 50 to 99 of partition 0 of topic {topic} cannot be read and were passed over; the batch is damaged: look at the disks of the brokers."
        );
        assert!(seen[50].1.starts_with(&told), "{codec}: {}", seen[50].1);
        reading.stop().await;
    }
}

/// Takes a delivery as the engine does: what another one reads again is left out.
fn note(seen: &mut BTreeMap<(String, u64), u32>, mut delivery: Delivery) {
    if !delivery.receipt.begin() {
        return;
    }
    for record in delivery.batch.iter() {
        *seen
            .entry((record.origin.stream.to_string(), record.position))
            .or_default() += 1;
    }
    delivery.receipt.acknowledge();
}
