//! Batches that unpack to more than they may, and damaged ones, are passed over and told.

use citywatch_collector::frame;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::broker::Broker;
use crate::reading::{PATIENCE, Reading, consumer_config};

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
