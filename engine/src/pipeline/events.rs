//! Events into the store: each once, also where two engines believe to have the same partition.
//!
//! An insert is planned first: the transport keeps its token with the lanes of its rows, and refuses that to who
//! has lost one of them. Whoever takes a lane over finds the token and shuts it out ([`Store::settle`]) before it
//! looks how far the stream is stored. So an insert that was sent, or still is to be sent, by an
//! engine that was stopped in the middle comes before that look, or never.

use std::time::Instant;

use citywatch_collector::Plans;
use tokio_util::sync::CancellationToken;

use super::block::Origins;
use super::patience::{Outcome, Patience, Tried};
use super::status::StatusHandle;
use crate::store::{DeadLetterRow, EventRow, InsertPlan, Store, StoreError};

/// Rows in order, and the lane that each came in.
#[derive(Debug, Default)]
pub(super) struct LaneRows {
    rows: Vec<EventRow>,
    /// Lanes of the rows, as runs: so many of one, then so many of another.
    runs: Vec<(u32, usize)>,
}

impl LaneRows {
    /// Adds a row.
    pub(super) fn push(&mut self, lane: u32, row: EventRow) {
        self.rows.push(row);
        match self.runs.last_mut() {
            Some((last, count)) if *last == lane => *count += 1,
            _ => self.runs.push((lane, 1)),
        }
    }

    fn lanes(&self) -> Vec<u32> {
        let mut lanes: Vec<u32> = self.runs.iter().map(|(lane, _)| *lane).collect();
        lanes.sort_unstable();
        lanes.dedup();
        lanes
    }

    fn without(self, lost: &[u32]) -> Self {
        let mut rows = self.rows.into_iter();
        let mut kept = Self::default();
        for (lane, count) in self.runs {
            let of_lane = rows.by_ref().take(count);
            if lost.contains(&lane) {
                of_lane.for_each(drop);
            } else {
                of_lane.for_each(|row| kept.push(lane, row));
            }
        }
        kept
    }
}

/// Inserts events, and what the store refuses of them as dead letters.
pub(super) struct EventInserts {
    store: Store,
    /// None where nobody else can have the lanes.
    plans: Option<Plans>,
    patience: Patience,
    status: StatusHandle,
}

/// What became of one try to store rows.
enum Insert {
    /// They are stored, or kept as dead letters.
    Done,
    /// These rows are still to be stored, under another plan.
    Again(LaneRows),
    /// The pipeline ends.
    GivenUp,
}

impl EventInserts {
    pub(super) fn new(
        store: Store,
        plans: Option<Plans>,
        status: StatusHandle,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            store,
            plans,
            patience: Patience::new(status.clone(), shutdown),
            status,
        }
    }

    /// The store.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// How long calls are made again.
    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Stores events of one partition of the store; rows of lanes that another engine has by now are left to it.
    /// Rows that the store refuses for good become dead letters, so that they neither stop their stream nor are
    /// lost. `false` when it was given up.
    pub(super) async fn insert(&self, mut rows: LaneRows, origins: &Origins) -> bool {
        loop {
            rows = match self.insert_once(rows, origins).await {
                Insert::Done => return true,
                Insert::Again(rest) => rest,
                Insert::GivenUp => return false,
            };
        }
    }

    async fn insert_once(&self, rows: LaneRows, origins: &Origins) -> Insert {
        let Some(plan) = InsertPlan::of(&rows.rows) else {
            return Insert::Done;
        };
        let lanes = rows.lanes();
        if let Some(plans) = &self.plans {
            let begun = Instant::now();
            let kept = plans.keep(lanes.clone(), &plan.to_string()).await;
            metrics::histogram!("citywatch_engine_plan_seconds")
                .record(begun.elapsed().as_secs_f64());
            match kept {
                Ok(lost) if lost.is_empty() => {}
                Ok(lost) => return Insert::Again(self.leave(rows, &lost)),
                Err(_) => return Insert::GivenUp,
            }
        }
        let begun = Instant::now();
        let insert = || self.store.insert_planned(&rows.rows, &plan);
        let inserted = self.patience.while_away("storing events", insert).await;
        metrics::histogram!("citywatch_engine_insert_seconds")
            .record(begun.elapsed().as_secs_f64());
        match inserted {
            (Outcome::Done(()), tried) => self.verify(rows, &lanes, tried).await,
            (Outcome::GivenUp, _) => Insert::GivenUp,
            (Outcome::Refused(error), _) => self.bury(&rows.rows, &error, origins).await,
        }
    }

    /// The store took the insert, which may mean that its token was known already: by its own first try, or by the claim
    /// of who took one of its lanes over. Then a row that is still ours tells whether the rows are there.
    async fn verify(&self, rows: LaneRows, lanes: &[u32], tried: Tried) -> Insert {
        let lost = match &self.plans {
            Some(plans) => match plans.lost(lanes.to_vec()).await {
                Ok(lost) => lost,
                Err(_) => return Insert::GivenUp,
            },
            None => Vec::new(),
        };
        if lost.is_empty() && tried == Tried::Once {
            self.status.events_stored(rows.rows.len());
            return Insert::Done;
        }
        let rest = self.leave(rows, &lost);
        let Some(witness) = InsertPlan::of(&rest.rows) else {
            return Insert::Done;
        };
        let ask = || self.store.has_stored(&witness);
        match self
            .patience
            .until_answered("looking for a block", ask)
            .await
        {
            Some(true) => {
                self.status.events_stored(rest.rows.len());
                Insert::Done
            }
            Some(false) => {
                tracing::info!(
                    rows = rest.rows.len(),
                    "a block was shut out and is stored under another plan"
                );
                Insert::Again(rest)
            }
            None => Insert::GivenUp,
        }
    }

    fn leave(&self, rows: LaneRows, lost: &[u32]) -> LaneRows {
        if lost.is_empty() {
            return rows;
        }
        let before = rows.rows.len();
        let rest = rows.without(lost);
        let left = before - rest.rows.len();
        tracing::info!(
            rows = left,
            "rows are left to the engine that has their partition now"
        );
        metrics::counter!("citywatch_engine_rows_left_total").increment(left as u64);
        rest
    }

    async fn bury(&self, rows: &[EventRow], error: &StoreError, origins: &Origins) -> Insert {
        tracing::error!(%error, rows = rows.len(), "the store refuses events: they are kept as dead letters");
        let reason = error.to_string();
        // A record of several events is one letter: the first event's row has all of its bytes.
        let first = rows.iter().filter(|row| row.sub_index == 0);
        let buried: Vec<DeadLetterRow> = first
            .map(|row| DeadLetterRow::from_event_row(row, &origins.of(row), "not_stored", &reason))
            .collect();
        self.status.dead_letters(buried.len());
        if self.insert_dead_letters(&buried).await {
            Insert::Done
        } else {
            Insert::GivenUp
        }
    }

    /// Stores dead letters. `false` when it was given up.
    pub(super) async fn insert_dead_letters(&self, rows: &[DeadLetterRow]) -> bool {
        let insert = || self.store.insert_dead_letters(rows);
        self.patience
            .until_done("storing dead letters", insert)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_lost_lanes_go_and_the_order_stays() {
        let mut rows = LaneRows::default();
        for (lane, position) in [(1, 10), (1, 11), (2, 20), (1, 12), (3, 30), (2, 21)] {
            let row = EventRow {
                position,
                ..EventRow::empty()
            };
            rows.push(lane, row);
        }
        assert_eq!(rows.lanes(), [1, 2, 3]);
        let rest = rows.without(&[2]);
        let positions: Vec<u64> = rest.rows.iter().map(|row| row.position).collect();
        assert_eq!(positions, [10, 11, 12, 30]);
        assert_eq!(rest.runs, [(1, 3), (3, 1)]);
        assert!(rest.without(&[1, 3]).rows.is_empty());
    }
}
