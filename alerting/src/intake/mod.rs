//! Intake: matches in, alerts and incidents committed, deliveries answered.
//!
//! Invariants:
//! - A delivery is answered after the commit that holds all its matches, and only then: the engine
//!   acknowledges the positions of their events after that.
//! - Counts are exact: a match counts once, however often and in whatever order it is delivered.
//! - An error of the database delays, it never drops: the same deliveries are tried again, and the
//!   bounded channel makes the engine wait.
//! - What the database refuses for what is in it must not hold up everything behind it: after some tries the others are
//!   committed without it, and it is counted and logged. It stays in the event store among the matches.

pub(crate) mod catalogue;
pub(crate) mod choice;
mod commit;
mod draft;
pub(crate) mod entities;
mod evidence;
pub(crate) mod keys;
mod links;
mod memory;
pub(crate) mod switches;
pub(crate) mod translation;

use std::sync::Arc;
use std::time::{Duration, Instant};

use citywatch_engine::{Match, MatchDelivery};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) use commit::{Committer, Outcome};
pub(crate) use draft::Draft;

use crate::changes::Changes;
use crate::database::is_refusal_of_data;
use crate::status::Tally;

/// Deliveries waiting for intake; beyond, the engine waits.
const DELIVERIES_MAX: usize = 64;

/// Matches after which a transaction takes no further delivery. One commit costs one flush to the disk,
/// whatever it holds.
const MATCHES_PER_COMMIT_MAX: usize = 2_000;

/// Tries of what the database refuses for what is in it, before it is divided: of a whole transaction, and of a part.
const TRIES_MAX: u32 = 5;
const TRIES_OF_PART_MAX: u32 = 2;

const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(15);

/// The task that takes matches in.
pub(crate) struct Intake {
    pub(crate) committer: Committer,
    pub(crate) changes: Changes,
    pub(crate) tally: Arc<Tally>,
    pub(crate) shutdown: CancellationToken,
}

/// The channel into intake.
pub(crate) fn channel() -> (mpsc::Sender<MatchDelivery>, mpsc::Receiver<MatchDelivery>) {
    mpsc::channel(DELIVERIES_MAX)
}

impl Intake {
    /// Runs until all senders are gone, or until shutdown: then what waits in the channel is still taken
    /// in, unless the database fails.
    pub(crate) async fn run(self, mut deliveries: mpsc::Receiver<MatchDelivery>) {
        loop {
            let first = tokio::select! {
                biased;
                delivery = deliveries.recv() => delivery,
                () = self.shutdown.cancelled() => {
                    deliveries.close();
                    deliveries.recv().await
                }
            };
            let Some(first) = first else { return };
            let mut batch = vec![first];
            let mut matches = batch[0].matches.len();
            while matches < MATCHES_PER_COMMIT_MAX {
                let Ok(next) = deliveries.try_recv() else {
                    break;
                };
                matches += next.matches.len();
                batch.push(next);
            }
            if !self.take_in(batch).await {
                return;
            }
        }
    }

    /// Commits a batch and answers it. False when shutdown came before it could be committed; its
    /// deliveries are dropped unanswered, and come again after the restart.
    async fn take_in(&self, batch: Vec<MatchDelivery>) -> bool {
        let matches: Vec<&Match> = batch
            .iter()
            .flat_map(|delivery| &delivery.matches)
            .collect();
        // What is left, the next part last.
        let mut parts: Vec<&[&Match]> = vec![&matches];
        while let Some(part) = parts.pop() {
            let is_whole = part.len() == matches.len();
            let tries_max = if is_whole {
                TRIES_MAX
            } else {
                TRIES_OF_PART_MAX
            };
            match (self.commit(part, tries_max).await, part) {
                (Tried::Committed(outcome), _) => {
                    self.tally.intake_committed(&outcome);
                    if let Some(sequence) = outcome.change {
                        self.changes.announce(sequence);
                    }
                }
                (Tried::Refused(error), [found]) => self.tally.match_refused(found, &error),
                (Tried::Refused(_), _) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                (Tried::ShutDown, _) => return false,
            }
        }
        for delivery in batch {
            // Nobody waits any more when the engine has stopped: then it comes again, and is known.
            let _ = delivery.done.send(());
        }
        true
    }

    /// Commits matches, tried again until it succeeds or the database has refused what is in them so many times.
    async fn commit(&self, matches: &[&Match], tries_max: u32) -> Tried {
        let mut delay = RETRY_DELAY_MIN;
        let mut refusals = 0;
        loop {
            let started = Instant::now();
            let error = match self.committer.commit(matches).await {
                Ok(outcome) => {
                    metrics::histogram!("citywatch_intake_commit_seconds")
                        .record(started.elapsed());
                    return Tried::Committed(outcome);
                }
                Err(error) => error,
            };
            self.tally.intake_failed(&error, delay);
            refusals += u32::from(is_refusal_of_data(&error));
            if refusals >= tries_max {
                return Tried::Refused(error);
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = self.shutdown.cancelled() => return Tried::ShutDown,
            }
            delay = (delay * 2).min(RETRY_DELAY_MAX);
        }
    }
}

/// What became of tries to commit.
enum Tried {
    Committed(Outcome),
    /// The database refuses what is in them.
    Refused(sqlx::Error),
    ShutDown,
}
