//! Several engines, busy ones, topics that come and go: nothing is lost and nothing is taken twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use citywatch_collector::delivery::Delivery;
use citywatch_collector::kafka::Producer;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::time::timeout;

use crate::broker::Broker;
use crate::reading::{PATIENCE, Reading, batch, consumer_config, producer_config};

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
