//! Commits: how far each partition is acknowledged, and what is planned to be stored of it next.
//!
//! A commit is what decides between two engines that both believe to have a partition: the group's
//! coordinator takes it from the one that has it in the present generation only. So a plan is kept in the commit's
//! metadata, and nothing is stored before the commit has succeeded: an engine that was stopped for so long
//! that another has its partitions fails here, and what it held is dropped.
//!
//! That holds only if a commit is never sent with a newer generation than the one that its partitions were held
//! in. Generations change after `pre_rebalance` has returned; it takes its [`Turn`] before it forgets a
//! partition, and a commit takes one before it looks which partitions there are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::assignment::Context;
use crate::delivery::PlanRequest;

/// How often what is acknowledged is committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// Wait before a commit that failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// One commit at a time.
#[derive(Debug, Default)]
pub(super) struct Commits(Mutex<()>);

/// The right to commit, and to forget partitions.
pub(super) struct Turn<'a>(#[expect(dead_code, reason = "held, not read")] MutexGuard<'a, ()>);

impl Commits {
    /// Waits for the commit that is on its way.
    pub(super) fn turn(&self) -> Turn<'_> {
        // It guards no data that a panic could leave half done.
        Turn(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Commits what has changed of the partitions that are held, and waits until the brokers have it.
pub(super) fn commit_changes(
    consumer: &BaseConsumer<Context>,
    _turn: &Turn<'_>,
) -> KafkaResult<()> {
    let context = consumer.context();
    let marks = context.lock().lanes.to_commit();
    if marks.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(marks.len());
    for ((topic, partition), mark) in &marks {
        let mut entry = list.add_partition(topic, *partition);
        entry.set_offset(Offset::Offset(mark.next_offset))?;
        if let Some(plan) = &mark.plan {
            entry.set_metadata(plan);
        }
    }
    consumer.commit(&list, CommitMode::Sync)?;
    context.lock().lanes.committed(marks);
    Ok(())
}

/// Commits once a second, and whenever something is planned.
pub(super) struct Committer {
    pub(super) consumer: Arc<BaseConsumer<Context>>,
    pub(super) requests: UnboundedReceiver<PlanRequest>,
    pub(super) done: CancellationToken,
}

impl Committer {
    /// Works until `done`.
    pub(super) fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        let runtime = runtime.expect("a runtime with timers only asks nothing of the system");
        runtime.block_on(self.work());
    }

    async fn work(&mut self) {
        let mut next_commit = Instant::now() + COMMIT_EVERY;
        let mut fault = None;
        loop {
            tokio::select! {
                biased;
                () = self.done.cancelled() => return,
                Some(request) = self.requests.recv() => self.answer(request).await,
                () = tokio::time::sleep_until(next_commit) => {
                    let turn = self.consumer.context().commits.turn();
                    self.consumer.context().take_answers();
                    let result = commit_changes(&self.consumer, &turn);
                    tell(&result, &mut fault);
                    next_commit = Instant::now() + COMMIT_EVERY;
                }
            }
        }
    }

    /// Keeps a plan, or says which lanes are lost. Tries until one of both is certain.
    async fn answer(&self, request: PlanRequest) {
        let PlanRequest { lanes, plan, lost } = request;
        let mut fault = None;
        while !lost.is_closed() && !self.done.is_cancelled() {
            let result = {
                let context = self.consumer.context();
                let turn = context.commits.turn();
                let gone: Vec<u32> = {
                    let shared = context.lock();
                    let is_gone = |lane: &u32| !shared.lanes.holds(*lane);
                    lanes.iter().copied().filter(is_gone).collect()
                };
                let Some(plan) = plan.as_ref().filter(|_| gone.is_empty()) else {
                    // Who asked may have ended.
                    let _ = lost.send(gone);
                    return;
                };
                context.take_answers();
                context.lock().lanes.plan(&lanes, plan);
                commit_changes(&self.consumer, &turn)
            };
            tell(&result, &mut fault);
            if result.is_ok() {
                let _ = lost.send(Vec::new());
                return;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Says a fault once.
fn tell(result: &KafkaResult<()>, told: &mut Option<KafkaError>) {
    match result {
        Ok(()) => *told = None,
        Err(error) => {
            metrics::counter!("citywatch_kafka_commit_errors_total").increment(1);
            if told.as_ref() != Some(error) {
                tracing::warn!(%error, "offsets could not be committed, trying again");
                *told = Some(error.clone());
            }
        }
    }
}
