//! The consumer's assignment: what librdkafka tells from within `poll`, and what can be committed.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::super::lanes::{Lanes, Partition};
use super::{Counts, LOOK_AGAIN};
use crate::delivery::Acknowledged;

/// How long a partition that goes to another engine waits for its records to be stored here.
const REVOKE_PATIENCE: Duration = Duration::from_secs(20);

/// What the polling thread and librdkafka's callbacks on it share.
pub(super) struct SharedState {
    pub(super) lanes: Lanes,
    pub(super) answered: UnboundedReceiver<Acknowledged>,
    /// Partitions that went to another engine since the polling thread looked.
    pub(super) gone: Vec<Partition>,
}

/// Hears librdkafka's events and keeps the lanes.
pub(super) struct Context {
    pub(super) counts: Arc<Counts>,
    pub(super) shared: Mutex<SharedState>,
}

impl Context {
    pub(super) fn lock(&self) -> MutexGuard<'_, SharedState> {
        // One thread uses it; after its panic no one does.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the offsets that the engine's answers have released; librdkafka commits them each second.
    pub(super) fn store_answered(&self, consumer: &BaseConsumer<Self>) -> Answers {
        let mut offsets = HashMap::new();
        let mut shared = self.lock();
        let answers = loop {
            match shared.answered.try_recv() {
                Ok(answer) => offsets.extend(shared.lanes.answer(answer)),
                Err(TryRecvError::Empty) => break Answers::MayCome,
                Err(TryRecvError::Disconnected) => break Answers::Over,
            }
        };
        drop(shared);
        for ((topic, partition), offset) in offsets {
            if let Err(error) = consumer.store_offset(&topic, partition, offset - 1) {
                tracing::debug!(%error, %topic, partition, offset, "the offset cannot be stored: the partition has gone");
            }
        }
        answers
    }

    /// Waits for the answers of `partitions`, commits what they release, and forgets them.
    pub(super) fn settle(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[Partition],
        patience: Duration,
    ) {
        let deadline = Instant::now() + patience;
        for partition in partitions {
            // Not delivered: whoever gets the partition reads it again.
            let _ = self.lock().lanes.lane(partition).take_collected();
        }
        while self.store_answered(consumer) == Answers::MayCome
            && self.lock().lanes.outstanding(partitions) > 0
        {
            if Instant::now() >= deadline {
                tracing::warn!(
                    "records were not stored in time before their partition went: they are delivered again"
                );
                break;
            }
            thread::sleep(LOOK_AGAIN);
        }
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                tracing::warn!(%error, "offsets could not be committed: records are delivered again")
            }
        }
        let mut shared = self.lock();
        partitions
            .iter()
            .for_each(|partition| shared.lanes.remove(partition));
    }
}

/// Whether more answers may come.
#[derive(PartialEq, Eq)]
pub(super) enum Answers {
    MayCome,
    Over,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.counts.connection.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.counts.connection.stats_raw(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.counts.connection.error(error, reason);
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let Rebalance::Revoke(partitions) = rebalance else {
            return;
        };
        let partitions = names(partitions);
        // Lost partitions are another engine's already: nothing can be committed for them.
        let patience = if consumer.assignment_lost() {
            Duration::ZERO
        } else {
            REVOKE_PATIENCE
        };
        tracing::info!(
            partitions = partitions.len(),
            "partitions go to another engine"
        );
        self.settle(consumer, &partitions, patience);
        self.lock().gone.extend(partitions);
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, _rebalance: &Rebalance<'_>) {
        let assigned = consumer
            .assignment()
            .map_or(0, |assignment| assignment.count());
        tracing::info!(partitions = assigned, "partitions of this engine");
        self.counts
            .partitions
            .store(assigned as u64, Ordering::Relaxed);
        metrics::gauge!("citywatch_kafka_partitions").set(assigned as f64);
    }

    fn commit_callback(&self, result: Result<(), KafkaError>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => tracing::warn!(%error, "offsets could not be committed, trying again"),
        }
    }
}

fn names(partitions: &TopicPartitionList) -> Vec<Partition> {
    partitions
        .elements()
        .iter()
        .map(|element| (element.topic().into(), element.partition()))
        .collect()
}
