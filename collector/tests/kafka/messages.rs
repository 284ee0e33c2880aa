//! What is written arrives: our batches, others' messages, broken ones, large ones.

use std::collections::BTreeMap;
use std::time::Duration;

use citywatch_collector::frame;
use citywatch_collector::kafka::{ConnectionState, Producer};
use citywatch_parsers::Timestamp;
use citywatch_parsers::record::Truncated;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::time::timeout;

use crate::broker::Broker;
use crate::reading::{PATIENCE, Reading, batch, consumer_config, producer_config};

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
