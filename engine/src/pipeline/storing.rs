//! Stores one block while the writer collects the next.
//!
//! A delivery is acknowledged only when alerting has committed its matches and its rows are stored, `events` last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::block::{Block, Origins, PendingAlerts};
use super::events::{EventInserts, LaneRows};
use super::status::StatusHandle;
use crate::matches::MatchDelivery;
use crate::store::{DeadLetterRow, MatchRow};

/// Wait before alerting is given again what it lost.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(200);

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// All of it is stored, and its deliveries are acknowledged.
    Whole,
    /// It was left behind. Nothing may be stored after it: a stream's highest position would say that the block is
    /// stored too.
    GivenUp,
}

/// Stores blocks; whoever has it stores one after the other.
#[derive(Clone)]
pub(super) struct Storing {
    inserts: Arc<EventInserts>,
    alerts: mpsc::Sender<MatchDelivery>,
    status: StatusHandle,
}

impl Storing {
    pub(super) fn new(
        inserts: EventInserts,
        alerts: mpsc::Sender<MatchDelivery>,
        status: StatusHandle,
    ) -> Self {
        Self {
            inserts: Arc::new(inserts),
            alerts,
            status,
        }
    }

    /// How it inserts.
    pub(super) fn inserts(&self) -> &EventInserts {
        &self.inserts
    }

    /// Where matches that raise alerts go.
    pub(super) fn alerts(&self) -> &mpsc::Sender<MatchDelivery> {
        &self.alerts
    }

    /// Inserts the block and acknowledges what it came from. Tries until it is done: a store that
    /// is away stops the stream, it does not lose from it.
    pub(super) async fn store(self, block: Block) -> Stored {
        let begun = std::time::Instant::now();
        let Block {
            events,
            matches,
            dead_letters,
            alerting,
            receipts,
            in_flight,
            origins,
            ..
        } = block;
        let whole = self.settle_alerts(alerting).await
            && self.insert(matches, dead_letters, events, &origins).await;
        if !whole {
            tracing::warn!(
                "a block could not be stored before the end: its records come again at the next start"
            );
            return Stored::GivenUp;
        }
        drop(in_flight);
        receipts
            .into_iter()
            .for_each(citywatch_collector::Receipt::acknowledge);
        self.status.blocks(1);
        metrics::histogram!("citywatch_engine_flush_seconds").record(begun.elapsed().as_secs_f64());
        Stored::Whole
    }

    /// Waits until alerting has committed; gives it again what it lost. `false` when alerting has ended.
    async fn settle_alerts(&self, alerting: Vec<PendingAlerts>) -> bool {
        for PendingAlerts {
            matches,
            mut committed,
        } in alerting
        {
            while committed.await.is_err() {
                self.status.retries(1);
                let (done, again) = oneshot::channel();
                if self
                    .alerts
                    .send(MatchDelivery {
                        matches: matches.clone(),
                        done,
                    })
                    .await
                    .is_err()
                {
                    return false;
                }
                committed = again;
                tokio::time::sleep(RETRY_WAIT_MIN).await;
            }
            let correlated = matches.iter().filter(|found| found.rule.correlation);
            let correlated = correlated.count();
            self.status.matches_alerted(matches.len() - correlated);
            self.status.correlation_matches_alerted(correlated);
        }
        true
    }

    /// Stores a block's rows, `events` last. `false` when it was given up.
    async fn insert(
        &self,
        matches: BTreeMap<i64, Vec<MatchRow>>,
        dead_letters: BTreeMap<i64, Vec<DeadLetterRow>>,
        events: BTreeMap<i64, LaneRows>,
        origins: &Origins,
    ) -> bool {
        for rows in matches.values() {
            let insert = || self.inserts.store().insert_matches(rows);
            if !self
                .inserts
                .patience()
                .until_done("storing matches", insert)
                .await
            {
                return false;
            }
        }
        for rows in dead_letters.values() {
            if !self.inserts.insert_dead_letters(rows).await {
                return false;
            }
        }
        for rows in events.into_values() {
            if !self.inserts.insert(rows, origins).await {
                return false;
            }
        }
        true
    }
}
