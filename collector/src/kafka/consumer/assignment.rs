//! The consumer's assignment: what librdkafka tells from within `poll`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::super::lanes::{Lanes, Partition};
use super::commits::{Commits, commit_changes};
use super::{Counts, LOOK_AGAIN};
use crate::delivery::Acknowledged;

/// How long a partition that goes to another engine waits at most for what is being stored of it here.
const REVOKE_PATIENCE_MAX: Duration = Duration::from_secs(20);

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
    pub(super) commits: Commits,
    pub(super) revoke_patience: Duration,
    /// Whether all is committed and only the group is to be left. A partition that still comes then is given back
    /// as it came: a commit from within the leaving of the group may never be answered.
    pub(super) has_ended: AtomicBool,
}

/// How long a partition that goes to another engine may wait: nobody polls meanwhile, and who does not poll for
/// `poll_interval_max` is put out of the group.
pub(super) fn revoke_patience(poll_interval_max: Duration) -> Duration {
    REVOKE_PATIENCE_MAX.min(poll_interval_max / 4)
}

impl Context {
    pub(super) fn lock(&self) -> MutexGuard<'_, SharedState> {
        // One thread uses it; after its panic no one does.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the engine's answers.
    pub(super) fn take_answers(&self) -> Answers {
        let mut shared = self.lock();
        loop {
            match shared.answered.try_recv() {
                Ok(answer) => shared.lanes.answer(answer),
                Err(TryRecvError::Empty) => return Answers::MayCome,
                Err(TryRecvError::Disconnected) => return Answers::Over,
            }
        }
    }

    /// The engine begins with nothing of these partitions any more: whoever has one next reads it again.
    pub(super) fn end_lanes(&self, partitions: &[Partition]) {
        let mut shared = self.lock();
        for partition in partitions {
            if let Some(lane) = shared.lanes.lane(partition) {
                lane.end();
            }
        }
    }

    /// Waits for what the engine has begun with of these partitions. What waits for its turn may be a long backlog, and
    /// others wait for the partitions.
    fn wait_for_work(&self, partitions: &[Partition]) {
        let deadline = Instant::now() + self.revoke_patience;
        while self.lock().lanes.at_work(partitions) > 0 {
            if Instant::now() >= deadline {
                tracing::info!(
                    "records were not stored in time before their partition went: they are delivered again"
                );
                return;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Whether answers for these partitions may come.
    pub(super) fn is_awaited(&self, partitions: &[Partition]) -> bool {
        self.take_answers() == Answers::MayCome && self.lock().lanes.outstanding(partitions) > 0
    }

    /// Commits what is answered, and forgets these partitions. Nothing is committed of partitions that are `lost`:
    /// they are another engine's already.
    pub(super) fn forget(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &[Partition],
        lost: Lost,
    ) {
        self.take_answers();
        let turn = self.commits.turn();
        if lost == Lost::No
            && let Err(error) = commit_changes(consumer, &turn)
        {
            tracing::warn!(%error, "offsets could not be committed: records are delivered again");
        }
        let mut shared = self.lock();
        partitions
            .iter()
            .for_each(|partition| shared.lanes.remove(partition));
    }
}

/// Whether partitions went without being asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    No,
    Yes,
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
        let Rebalance::Revoke(list) = rebalance else {
            return;
        };
        if self.has_ended.load(Ordering::Relaxed) {
            return;
        }
        let partitions = names(list);
        // librdkafka remembers that a partition is paused beyond its assignment: it would never be read when it comes back.
        if let Err(error) = consumer.resume(list) {
            tracing::debug!(%error, "Kafka");
        }
        self.end_lanes(&partitions);
        let lost = if consumer.assignment_lost() {
            Lost::Yes
        } else {
            self.wait_for_work(&partitions);
            Lost::No
        };
        tracing::info!(
            partitions = partitions.len(),
            "partitions go to another engine"
        );
        self.forget(consumer, &partitions, lost);
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
}

fn names(partitions: &TopicPartitionList) -> Vec<Partition> {
    partitions
        .elements()
        .iter()
        .map(|element| (element.topic().into(), element.partition()))
        .collect()
}
