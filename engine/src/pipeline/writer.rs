//! The end of the pipeline: correlates, hands matches to alerting, collects blocks and inserts them.
//!
//! Order is everything here. Matches reach alerting at once, before their block fills; a delivery is
//! acknowledged only when alerting has committed its matches and its rows are stored, `events` last.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::block::{Block, Origins, PendingAlerts};
use super::config::PipelineConfig;
use super::correlate::Correlation;
use super::patience::{Outcome, Patience};
use super::status::StatusHandle;
use super::worker::{Found, Processed};
use crate::matches::{Match, MatchDelivery};
use crate::store::{DeadLetterRow, EventRow, MatchCursor, MatchRow, Store};

/// How often it is looked for streams that went quiet.
const QUIET_CHECK: Duration = Duration::from_secs(1);
/// Wait before alerting is given again what it lost.
const RETRY_WAIT_MIN: Duration = Duration::from_millis(200);

/// Evidence, as it is stored, that is read back at once after a restart.
const REPLAY_BATCH_BYTES: usize = 8 << 20;

/// Whether a block was left behind. Nothing may be stored after it: a stream's highest position would
/// say that the block is stored too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GaveUp {
    No,
    Yes,
}

/// Collects and writes.
pub(super) struct Writer {
    patience: Patience,
    gave_up: GaveUp,
    store: Store,
    correlation: Correlation,
    alerts: mpsc::Sender<MatchDelivery>,
    status: StatusHandle,
    flush_interval: Duration,
    block_rows_max: usize,
    block_bytes_max: usize,
    block: Block,
    /// Matches that correlation had no room for, as far as the log tells of them.
    refused_told: u64,
    /// When the block must be inserted, set by its first row.
    deadline: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        config: &PipelineConfig,
        store: Store,
        correlation: Correlation,
        alerts: mpsc::Sender<MatchDelivery>,
        status: StatusHandle,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            patience: Patience::new(status.clone(), shutdown),
            gave_up: GaveUp::No,
            store,
            correlation,
            alerts,
            status,
            flush_interval: config.flush_interval(),
            refused_told: 0,
            block_rows_max: config.block_rows_max.max(1),
            block_bytes_max: config.block_bytes_max.max(1),
            block: Block::default(),
            deadline: None,
        }
    }

    /// Runs until the workers have ended and everything they gave is stored.
    pub(super) async fn run(mut self, mut results: mpsc::Receiver<Processed>) {
        self.rebuild_correlation().await;
        let mut quiet = tokio::time::interval(QUIET_CHECK);
        loop {
            let deadline = self.deadline;
            let due = async move {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = results.recv() => match result {
                    Some(processed) => self.take(processed).await,
                    None => break,
                },
                () = due => self.flush().await,
                _ = quiet.tick() => {
                    self.correlation.catch_up();
                    let correlated = self.correlation.close_quiet_streams();
                    self.take_correlated(correlated).await;
                    self.report_correlation();
                    self.status.costs().report();
                    self.status.report_queues();
                }
            }
        }
        self.flush().await;
    }

    fn report_correlation(&mut self) {
        let status = self.correlation.status();
        if status.entries_refused > self.refused_told {
            tracing::warn!(
                refused = status.entries_refused - self.refused_told,
                entries = status.entries,
                bytes = status.bytes,
                "correlation is at its bound of memory: matches were left out, and alerts may be missing"
            );
            self.refused_told = status.entries_refused;
        }
        metrics::gauge!("citywatch_correlation_entries").set(status.entries as f64);
        metrics::gauge!("citywatch_correlation_groups").set(status.groups as f64);
        metrics::gauge!("citywatch_correlation_evidence_events").set(status.evidence_events as f64);
        metrics::gauge!("citywatch_correlation_bytes").set(status.bytes as f64);
        metrics::counter!("citywatch_correlation_entries_refused_total")
            .absolute(status.entries_refused);
        metrics::counter!("citywatch_correlation_late_total").absolute(status.late);
        metrics::counter!("citywatch_correlation_evidence_dropped_total")
            .absolute(status.evidence_dropped);
    }

    /// Correlation starts where the last run left it: with the matches that open windows may need.
    async fn rebuild_correlation(&mut self) {
        if self.correlation.is_idle() {
            return;
        }
        let since = self.correlation.replay_from();
        let rules = self.correlation.rules_read();
        let store = self.store.clone();
        let reading = Mutex::new(None);
        let mut after = None;
        let mut matches = 0u64;
        loop {
            let next_batch = || async {
                let mut reading = reading.lock().await;
                // After an error it is gone: what follows the last batch is asked for anew.
                let mut answer = match reading.take() {
                    Some(answer) => answer,
                    None => store.recent_matches(&rules, since, after)?,
                };
                let batch = answer.next_batch(REPLAY_BATCH_BYTES).await?;
                *reading = Some(answer);
                Ok(batch)
            };
            let what = "reading the matches of open correlation windows";
            match self.patience.while_away(what, next_batch).await {
                Outcome::Done(batch) => {
                    let Some(last) = batch.last() else { break };
                    after = Some(MatchCursor {
                        event_time: last.event_time,
                        id: last.id,
                    });
                    matches += batch.len() as u64;
                    metrics::counter!("citywatch_correlation_read_back_total")
                        .increment(batch.len() as u64);
                    tracing::debug!(matches, "matches of the last run are read back");
                    let correlated = self.correlation.replay(&batch);
                    self.take_correlated(correlated).await;
                }
                Outcome::GivenUp => return,
                Outcome::Refused(error) => {
                    tracing::error!(%error, "correlation starts without all matches of the last run: windows open then may not fill");
                    metrics::counter!("citywatch_engine_correlation_rebuild_failures_total")
                        .increment(1);
                    return;
                }
            }
        }
        let held = self.correlation.status();
        tracing::info!(
            matches,
            held = held.entries,
            refused = held.entries_refused,
            "correlation goes on with the matches of the last run"
        );
    }

    async fn take(&mut self, mut processed: Processed) {
        if self.gave_up == GaveUp::Yes {
            return;
        }
        if self.block.must_precede(&processed) {
            self.flush().await;
        }
        let found = std::mem::take(&mut processed.matches);
        self.correlation.catch_up();
        let correlated = self.correlation.observe(&processed, &found);
        for Found { found, .. } in &found {
            if !processed.matches_ahead.contains(&found.id) {
                self.block.add_match(MatchRow::from_match(found));
            }
        }
        let alerting = found
            .into_iter()
            .filter(|found| processed.rules.alerts(found.rule))
            .map(|found| found.found);
        self.alert(alerting.collect()).await;
        self.take_correlated(correlated).await;
        self.block.add(processed);
        self.set_deadline();
        if self.block.rows() >= self.block_rows_max || self.block.bytes() >= self.block_bytes_max {
            self.flush().await;
        }
    }

    /// Stores and alerts what correlations hold. One that has grown is stored again under its id, and
    /// the store keeps the largest.
    async fn take_correlated(&mut self, correlated: Vec<Match>) {
        if correlated.is_empty() {
            return;
        }
        self.status.correlation_matches(correlated.len());
        self.status.taps().matches(&correlated.iter());
        for found in &correlated {
            self.block.add_match(MatchRow::from_match(found));
        }
        let alerting = correlated
            .into_iter()
            .filter(|found| self.correlation.rules().correlation_alerts(&found.rule.id))
            .collect();
        self.alert(alerting).await;
        self.set_deadline();
    }

    fn set_deadline(&mut self) {
        let deadline = Instant::now() + self.flush_interval;
        self.deadline.get_or_insert(deadline);
    }

    /// Gives matches to alerting; whether it committed them is asked before the block is acknowledged.
    async fn alert(&mut self, matches: Vec<Match>) {
        if matches.is_empty() {
            return;
        }
        let (done, committed) = oneshot::channel();
        // Alerting outlives the engine: a closed channel means the process is ending, and the
        // unanswered `done` keeps the block from being acknowledged.
        let _ = self
            .alerts
            .send(MatchDelivery {
                matches: matches.clone(),
                done,
            })
            .await;
        self.block
            .alerting
            .push(PendingAlerts { matches, committed });
    }

    /// Inserts the block and acknowledges what it came from. Tries until it is done: a store that
    /// is away stops the stream, it does not lose from it.
    async fn flush(&mut self) {
        self.deadline = None;
        let block = std::mem::take(&mut self.block);
        if block.is_empty() {
            return;
        }
        let begun = std::time::Instant::now();
        let Block {
            events,
            matches,
            dead_letters,
            alerting,
            receipts,
            origins,
            ..
        } = block;
        let whole = self.settle_alerts(alerting).await
            && self.insert(matches, dead_letters, events, &origins).await;
        if !whole {
            tracing::warn!(
                "a block could not be stored before the end: its records come again at the next start"
            );
            self.gave_up = GaveUp::Yes;
            return;
        }
        receipts
            .into_iter()
            .for_each(citywatch_collector::Receipt::acknowledge);
        self.status.blocks(1);
        metrics::histogram!("citywatch_engine_flush_seconds").record(begun.elapsed().as_secs_f64());
    }

    /// Waits until alerting has committed; gives it again what it lost. `false` when alerting has ended.
    async fn settle_alerts(&mut self, alerting: Vec<PendingAlerts>) -> bool {
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
            self.status.matches_alerted(matches.len());
        }
        true
    }

    /// Stores a block's rows, `events` last. `false` when it was given up.
    async fn insert(
        &self,
        matches: BTreeMap<i64, Vec<MatchRow>>,
        dead_letters: BTreeMap<i64, Vec<DeadLetterRow>>,
        events: BTreeMap<i64, Vec<EventRow>>,
        origins: &Origins,
    ) -> bool {
        for rows in matches.values() {
            let insert = || self.store.insert_matches(rows);
            if !self.patience.until_done("storing matches", insert).await {
                return false;
            }
        }
        for rows in dead_letters.values() {
            if !self.insert_dead_letters(rows).await {
                return false;
            }
        }
        for rows in events.values() {
            if !self.insert_events(rows, origins).await {
                return false;
            }
        }
        true
    }

    async fn insert_dead_letters(&self, rows: &[DeadLetterRow]) -> bool {
        let insert = || self.store.insert_dead_letters(rows);
        self.patience
            .until_done("storing dead letters", insert)
            .await
    }

    /// Stores events; rows that the store refuses for good become dead letters, so that they neither
    /// stop their stream nor are lost. `false` when it was given up.
    async fn insert_events(&self, rows: &[EventRow], origins: &Origins) -> bool {
        let insert = || self.store.insert_events(rows);
        match self.patience.while_away("storing events", insert).await {
            Outcome::Done(()) => {
                self.status.events_stored(rows.len());
                true
            }
            Outcome::GivenUp => false,
            Outcome::Refused(error) => {
                tracing::error!(%error, rows = rows.len(), "the store refuses events: they are kept as dead letters");
                let reason = error.to_string();
                // A record of several events is one letter: the first event's row has all of its bytes.
                let first = rows.iter().filter(|row| row.sub_index == 0);
                let buried: Vec<DeadLetterRow> = first
                    .map(|row| {
                        DeadLetterRow::from_event_row(row, &origins.of(row), "not_stored", &reason)
                    })
                    .collect();
                self.status.dead_letters(buried.len());
                self.insert_dead_letters(&buried).await
            }
        }
    }
}
