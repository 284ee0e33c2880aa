//! The end of the pipeline: correlates, hands matches to alerting, collects blocks and has them stored.
//!
//! Order is everything here. Matches reach alerting at once, before their block fills; one block is
//! stored at a time ([`Storing`]), while the next one is collected. When that is full, too, the stream waits.

use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::block::{Block, PendingAlerts};
use super::config::PipelineConfig;
use super::correlate::Correlation;
use super::events::EventInserts;
use super::patience::{Outcome, Patience};
use super::status::StatusHandle;
use super::storing::{Stored, Storing};
use super::worker::{Found, Processed};
use crate::matches::{Match, MatchDelivery};
use crate::store::{MatchCursor, MatchRow};

/// How often it is looked for streams that went quiet.
const QUIET_CHECK: Duration = Duration::from_secs(1);

/// Evidence, as it is stored, that is read back at once after a restart.
const REPLAY_BATCH_BYTES: usize = 8 << 20;

/// Collects and writes.
pub(super) struct Writer {
    patience: Patience,
    storing: Storing,
    /// The block that is being stored.
    under_way: Option<JoinHandle<Stored>>,
    /// What became of the blocks before it.
    last: Stored,
    correlation: Correlation,
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
        inserts: EventInserts,
        correlation: Correlation,
        alerts: mpsc::Sender<MatchDelivery>,
        status: StatusHandle,
    ) -> Self {
        Self {
            patience: inserts.patience().clone(),
            storing: Storing::new(inserts, alerts, status.clone()),
            under_way: None,
            last: Stored::Whole,
            correlation,
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
            let is_storing = self.under_way.is_some();
            if self.is_full() && !is_storing {
                self.flush().await;
                continue;
            }
            let deadline = self.deadline;
            let due = async move {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                result = results.recv(), if !self.is_full() => match result {
                    Some(processed) => self.take(processed).await,
                    None => break,
                },
                stored = ended(&mut self.under_way), if is_storing => self.note(stored),
                // A store that is slower than the stream gets fuller blocks.
                () = due, if !is_storing => self.flush().await,
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
        if self.under_way.is_some() {
            ended(&mut self.under_way).await;
        }
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
        let store = self.storing.inserts().store().clone();
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
            match self.patience.while_away(what, next_batch).await.0 {
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
        if self.last == Stored::GivenUp {
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
            .storing
            .alerts()
            .send(MatchDelivery {
                matches: matches.clone(),
                done,
            })
            .await;
        self.block
            .alerting
            .push(PendingAlerts { matches, committed });
    }

    /// Begins to store the block, once the one before it is stored.
    async fn flush(&mut self) {
        if self.under_way.is_some() {
            let stored = ended(&mut self.under_way).await;
            self.note(stored);
        }
        self.deadline = None;
        let block = std::mem::take(&mut self.block);
        if !block.is_empty() && self.last == Stored::Whole {
            self.under_way = Some(tokio::spawn(self.storing.clone().store(block)));
        }
    }

    /// Nothing is stored after a block that was left behind.
    fn note(&mut self, stored: Stored) {
        if stored == Stored::GivenUp {
            self.last = Stored::GivenUp;
            self.block = Block::default();
            self.deadline = None;
        }
    }

    fn is_full(&self) -> bool {
        self.block.rows() >= self.block_rows_max || self.block.bytes() >= self.block_bytes_max
    }
}

/// Waits for the block that is being stored; for ever if there is none.
async fn ended(under_way: &mut Option<JoinHandle<Stored>>) -> Stored {
    let Some(storing) = under_way else {
        return std::future::pending().await;
    };
    let stored = storing
        .await
        .expect("storing does not panic: its errors are retried or counted");
    *under_way = None;
    stored
}
