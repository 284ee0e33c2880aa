//! Records with known ids: into the files that the agent reads, and into a topic as others do.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::ALARM_EVERY;

/// Files, and so streams.
const FILES: u64 = 7;
/// Records of one file, one after the other.
const IN_A_ROW: u64 = 50;

/// The record of an id.
fn record(id: u64) -> String {
    let alarm = if id.is_multiple_of(ALARM_EVERY) {
        "yes"
    } else {
        "no"
    };
    let (host, second) = (id % 23, id / 1_000 % 3_600);
    format!(
        r#"{{"id":{id},"category":"test","alarm":"{alarm}","host":"host-{host}","timestamp":"2026-11-22T03:{:02}:{:02}Z","message":"session {id} of user u{} opened from 198.51.100.{host}"}}"#,
        second / 60,
        second % 60,
        id % 977
    )
}

/// Writes files.
pub(crate) struct FileLoad {
    files: Vec<File>,
    next: u64,
}

impl FileLoad {
    pub(crate) fn new(dir: &Path) -> Self {
        let file = |number| File::create(dir.join(format!("{number}.log"))).unwrap();
        Self {
            files: (0..FILES).map(file).collect(),
            next: 0,
        }
    }

    /// Writes the records with ids below `end`.
    pub(crate) fn write_until(&mut self, end: u64) {
        while self.next < end {
            let last = (self.next + IN_A_ROW).min(end);
            let lines: String = (self.next..last).map(|id| record(id) + "\n").collect();
            let place = usize::try_from(self.next / IN_A_ROW % FILES).unwrap();
            self.files[place].write_all(lines.as_bytes()).unwrap();
            self.next = last;
        }
    }

    pub(crate) fn written(&self) -> u64 {
        self.next
    }
}

/// Counts what the broker answered.
#[derive(Clone, Default)]
struct Answers {
    delivered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Answers {}

impl ProducerContext for Answers {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() {
            &self.delivered
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

/// Writes a topic: one record per message, as other agents do; each once, which is what the producer's idempotence
/// is for.
pub(crate) struct TopicLoad {
    producer: ThreadedProducer<Answers>,
    answers: Answers,
    topic: String,
    partitions: u32,
    next: u64,
}

impl TopicLoad {
    pub(crate) fn new(brokers: &str, topic: &str, partitions: u32) -> Self {
        let answers = Answers::default();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "20")
            .set("queue.buffering.max.messages", "1000000")
            .create_with_context(answers.clone())
            .unwrap();
        Self {
            producer,
            answers,
            topic: topic.to_owned(),
            partitions,
            next: 0,
        }
    }

    /// Sends the records with ids below `end`; the broker need not be there.
    pub(crate) fn write_until(&mut self, end: u64) {
        for id in self.next..end {
            let text = record(id);
            let partition = i32::try_from(id / IN_A_ROW % u64::from(self.partitions)).unwrap();
            loop {
                let message = BaseRecord::<(), str>::to(&self.topic)
                    .payload(&text)
                    .partition(partition);
                match self.producer.send(message) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    Err((error, _)) => panic!("{error}"),
                }
            }
        }
        self.next = self.next.max(end);
    }

    /// Waits until the broker has all of them.
    pub(crate) fn finish(&self) {
        self.producer.flush(super::support::PATIENCE).unwrap();
        assert_eq!(self.answers.failed.load(Ordering::SeqCst), 0, "refused");
        assert_eq!(self.answers.delivered.load(Ordering::SeqCst), self.next);
    }

    pub(crate) fn written(&self) -> u64 {
        self.next
    }
}
