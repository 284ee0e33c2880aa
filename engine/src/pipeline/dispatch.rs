//! Gives each delivery to the worker of its stream, with what the store already has of it.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use citywatch_collector::Delivery;
use citywatch_collector::heartbeat::HEARTBEAT;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::fair::FairQueue;
use super::positions::{InFlight, Known, Positions, StreamKey};
use super::status::StatusHandle;
use crate::store::{InsertPlan, Store, StoreError};
use crate::watch::IntakeGate;

/// Wait before the store is asked again.
const RETRY_WAIT: Duration = Duration::from_millis(500);
/// How often what waits is told to metrics and status.
const HELD_TOLD_EVERY: Duration = Duration::from_millis(100);
/// Longest time without looking at gate and quotas.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether all that is on its way has arrived.
const ARRIVED_AGAIN: Duration = Duration::from_millis(10);

/// A delivery with what the store has of its stream.
#[derive(Debug)]
pub(super) struct Assigned {
    pub(super) delivery: Delivery,
    pub(super) known: Known,
}

/// Spreads streams over workers.
pub(super) struct Dispatcher {
    store: Store,
    workers: Vec<mpsc::Sender<Assigned>>,
    positions: Positions,
    waiting: FairQueue,
    gate: IntakeGate,
    held_told: Instant,
    /// Lanes whose last owner's plan is settled.
    settled: HashSet<u32>,
    status: StatusHandle,
}

impl Dispatcher {
    pub(super) fn new(
        store: Store,
        workers: Vec<mpsc::Sender<Assigned>>,
        waiting: FairQueue,
        gate: IntakeGate,
        status: StatusHandle,
    ) -> Self {
        Self {
            store,
            workers,
            positions: Positions::default(),
            waiting,
            gate,
            held_told: Instant::now(),
            settled: HashSet::new(),
            status,
        }
    }

    /// Runs until the transport ends or `shutdown`. Dropping the workers' channels ends them in turn.
    pub(super) async fn run(
        mut self,
        mut deliveries: mpsc::Receiver<Delivery>,
        shutdown: CancellationToken,
    ) {
        loop {
            let Some(mut delivery) = self.next(&mut deliveries, &shutdown).await else {
                return;
            };
            if !delivery.receipt.begin() {
                // What another engine reads again need not be done here, too.
                metrics::counter!("citywatch_engine_records_left_total")
                    .increment(delivery.batch.len() as u64);
                continue;
            }
            if &*delivery.batch.origin.format == HEARTBEAT {
                // Of an agent itself: kept for the status, not stored.
                let agents = self.status.agents();
                agents.hear(&delivery.batch, Instant::now(), SystemTime::now());
                delivery.receipt.acknowledge();
                continue;
            }
            self.status.records_in(delivery.batch.len());
            self.status.bytes_in(delivery.batch.bytes());
            let key = StreamKey::of(&delivery.batch.origin);
            let Some(known) = self.known(&key, &delivery, &shutdown).await else {
                return;
            };
            if let Some(last) = delivery.batch.last_position() {
                self.positions.advance(&key, last, Instant::now());
            }
            let worker = self.worker_of(&key);
            if self.workers[worker]
                .send(Assigned { delivery, known })
                .await
                .is_err()
            {
                tracing::error!(
                    worker,
                    "a worker thread ended: the engine stops taking records"
                );
                return;
            }
        }
    }

    /// The delivery whose turn it is; `None` at the end, once nothing waits any more, and at shutdown.
    async fn next(
        &mut self,
        deliveries: &mut mpsc::Receiver<Delivery>,
        shutdown: &CancellationToken,
    ) -> Option<Delivery> {
        self.open_gate(shutdown).await?;
        loop {
            let now = Instant::now();
            while self.waiting.has_room(now)
                && let Ok(delivery) = deliveries.try_recv()
            {
                self.hold(delivery, now);
            }
            let turn = self.waiting.pop(now);
            if now.saturating_duration_since(self.held_told) >= HELD_TOLD_EVERY || turn.is_none() {
                self.held_told = now;
                self.status.held(self.waiting.held());
                self.status
                    .transport_queue(deliveries.len(), deliveries.max_capacity());
            }
            if turn.is_some() {
                return turn;
            }
            let has_ended = deliveries.is_closed() && deliveries.is_empty();
            if has_ended && self.waiting.is_empty() {
                return None;
            }
            let allowed = self.waiting.wait().unwrap_or(LOOK_AGAIN);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                delivery = deliveries.recv(), if !has_ended && self.waiting.has_room(now) => {
                    if let Some(delivery) = delivery {
                        self.hold(delivery, Instant::now());
                    }
                }
                () = tokio::time::sleep(allowed) => {}
            }
        }
    }

    fn hold(&mut self, delivery: Delivery, now: Instant) {
        let records = delivery.batch.len();
        if self.waiting.push(delivery, now) {
            self.status.records_beyond_quota(records);
        }
    }

    /// Waits while nothing may be taken in; `None` at shutdown.
    async fn open_gate(&self, shutdown: &CancellationToken) -> Option<()> {
        if self.gate.paused().is_none() {
            return Some(());
        }
        let mut changes = self.gate.subscribe();
        self.status.intake_pauses(1);
        while let Some(reason) = self.gate.paused() {
            self.status.intake_paused(Some(reason));
            tokio::select! {
                () = shutdown.cancelled() => return None,
                _ = changes.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        self.status.intake_paused(None);
        Some(())
    }

    /// What is known of a stream; asks the store until it answers. `None` at shutdown.
    async fn known(
        &mut self,
        key: &StreamKey,
        delivery: &Delivery,
        shutdown: &CancellationToken,
    ) -> Option<Known> {
        let lane = delivery.receipt.lane();
        if let Some(known) = self.positions.get(key) {
            if known.lane == lane {
                return Some(known.clone());
            }
            // It came in another lane before. What is on its way from there may be stored or be dropped: only
            // then does the store know.
            while !known.in_flight.is_last() {
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep(ARRIVED_AGAIN) => {}
                }
            }
        }
        loop {
            match self.look_up(key, delivery).await {
                Ok(known) => {
                    self.status.waiting_for(None);
                    self.positions
                        .insert(key.clone(), known.clone(), Instant::now());
                    return Some(known);
                }
                Err(error) => {
                    self.status.retries(1);
                    self.status.waiting_for(Some(format!(
                        "what is stored of {}/{}: {error}",
                        key.agent, key.stream
                    )));
                    tracing::warn!(%error, agent = %key.agent, stream = %key.stream, "cannot look up what is stored");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return None,
                () = tokio::time::sleep(RETRY_WAIT) => {}
            }
        }
    }

    async fn look_up(&mut self, key: &StreamKey, delivery: &Delivery) -> Result<Known, StoreError> {
        let lane = delivery.receipt.lane();
        if !self.settled.contains(&lane) {
            if let Some(plan) = &delivery.left_behind {
                self.settle(plan).await?;
            }
            self.settled.insert(lane);
        }
        let position = self.store.highest_position(&key.agent, &key.stream).await?;
        let matches_ahead = self
            .store
            .match_ids_after(&key.agent, &key.stream, position)
            .await?;
        Ok(Known {
            position,
            lane,
            matches_ahead: Arc::new(matches_ahead),
            in_flight: InFlight::default(),
        })
    }

    /// What the last owner of a lane planned is stored by now, or never will be.
    async fn settle(&self, plan: &str) -> Result<(), StoreError> {
        match plan.parse::<InsertPlan>() {
            Ok(plan) => self.store.settle(&plan).await,
            Err(error) => {
                tracing::warn!(%error, "what the transport kept is no plan of ours, going on without it");
                Ok(())
            }
        }
    }

    fn worker_of(&self, key: &StreamKey) -> usize {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        (hash % self.workers.len() as u64) as usize
    }
}
