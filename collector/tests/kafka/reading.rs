//! A consumer and a producer for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use citywatch_collector::delivery::Delivery;
use citywatch_collector::kafka::{
    Consumer, ConsumerConfig, ConsumerStatus, ConsumerTask, ProducerConfig, TopicConfig,
};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) fn producer_config(broker: &str, topic: &str) -> ProducerConfig {
    ProducerConfig {
        brokers: broker.into(),
        topic: topic.into(),
        message_bytes_max: 1_000_000,
        tls: None,
        options: BTreeMap::new(),
    }
}

pub(crate) fn consumer_config(broker: &str, topic: &str) -> ConsumerConfig {
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

pub(crate) fn batch(stream: &str, positions: std::ops::Range<u64>) -> RecordBatch {
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
pub(crate) struct Reading {
    pub(crate) deliveries: Receiver<Delivery>,
    pub(crate) task: ConsumerTask,
    pub(crate) shutdown: CancellationToken,
}

impl Reading {
    pub(crate) fn start(config: &ConsumerConfig) -> Self {
        let shutdown = CancellationToken::new();
        let (deliveries, task) = Consumer::start(config, 4, shutdown.clone()).unwrap();
        Self {
            deliveries,
            task,
            shutdown,
        }
    }

    pub(crate) async fn next(&mut self) -> Delivery {
        timeout(PATIENCE, self.deliveries.recv())
            .await
            .expect("a delivery in time")
            .unwrap()
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        drop(self.deliveries);
        timeout(PATIENCE, self.task.ended())
            .await
            .expect("the consumer ends");
    }

    /// Waits until the consumer's status is `so`; `what` says what was waited for.
    pub(crate) async fn until(&self, what: &str, so: impl Fn(&ConsumerStatus) -> bool) {
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
