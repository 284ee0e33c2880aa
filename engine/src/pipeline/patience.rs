//! How long a call to the store is made again.
//!
//! While the pipeline runs: for ever, since a store that is away must stop the stream, not lose from
//! it. Once it is to end: for a while, since a store that stays away must not keep the process from
//! ending; what is not stored then comes again at the next start.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::status::StatusHandle;
use crate::store::StoreError;

const WAIT_MIN: Duration = Duration::from_millis(200);
const WAIT_MAX: Duration = Duration::from_secs(10);
/// Wait for a store that is away once the pipeline is to end.
const WAIT_AT_SHUTDOWN: Duration = Duration::from_secs(10);

/// A call's outcome after all tries.
pub(super) enum Outcome<T> {
    /// It succeeded.
    Done(T),
    /// The store refuses, and would again.
    Refused(StoreError),
    /// The pipeline is to end and the store did not come back.
    GivenUp,
}

/// How often a call was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Once,
    /// What the tries before the last one did is not known.
    Again,
}

/// Makes calls again; what it waits for is shown by `citywatch status`.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    status: StatusHandle,
    shutdown: CancellationToken,
}

impl Patience {
    pub(super) fn new(status: StatusHandle, shutdown: CancellationToken) -> Self {
        Self { status, shutdown }
    }

    /// Makes a call again while its error may pass by itself.
    pub(super) async fn while_away<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        what: &str,
        mut call: impl FnMut() -> F,
    ) -> (Outcome<T>, Tried) {
        let mut tries = Tries::default();
        let mut tried = Tried::Once;
        loop {
            match call().await {
                Ok(value) => {
                    self.status.waiting_for(None);
                    return (Outcome::Done(value), tried);
                }
                Err(error) if error.is_retryable() => {
                    tried = Tried::Again;
                    if !self.again(what, &error, &mut tries).await {
                        return (Outcome::GivenUp, tried);
                    }
                }
                Err(error) => {
                    self.status.waiting_for(None);
                    return (Outcome::Refused(error), tried);
                }
            }
        }
    }

    /// Asks again whatever the error. `None` when the pipeline is to end and there was no answer.
    pub(super) async fn until_answered<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        what: &str,
        mut call: impl FnMut() -> F,
    ) -> Option<T> {
        let mut tries = Tries::default();
        loop {
            match call().await {
                Ok(answer) => {
                    self.status.waiting_for(None);
                    return Some(answer);
                }
                Err(error) => {
                    if !self.again(what, &error, &mut tries).await {
                        return None;
                    }
                }
            }
        }
    }

    /// Makes a call again whatever its error: somebody has to mend the store, and until then the stream
    /// waits. `false` when the pipeline is to end and the call did not succeed.
    pub(super) async fn until_done<F: Future<Output = Result<(), StoreError>>>(
        &self,
        what: &str,
        call: impl FnMut() -> F,
    ) -> bool {
        self.until_answered(what, call).await.is_some()
    }

    /// Notes a failed try and waits before the next; `false` when there is to be none.
    async fn again(&self, what: &str, error: &StoreError, tries: &mut Tries) -> bool {
        tracing::warn!(%error, what, again_in = ?tries.wait, "the store did not take it");
        self.status.retries(1);
        self.status.waiting_for(Some(format!("{what}: {error}")));
        if self.shutdown.is_cancelled() {
            let since = *tries.shutdown_seen.get_or_insert_with(Instant::now);
            tokio::time::sleep(WAIT_MIN).await;
            return since.elapsed() < WAIT_AT_SHUTDOWN;
        }
        tokio::select! {
            () = tokio::time::sleep(tries.wait) => {}
            () = self.shutdown.cancelled() => {}
        }
        tries.wait = (tries.wait * 2).min(WAIT_MAX);
        true
    }
}

struct Tries {
    wait: Duration,
    shutdown_seen: Option<Instant>,
}

impl Default for Tries {
    fn default() -> Self {
        Self {
            wait: WAIT_MIN,
            shutdown_seen: None,
        }
    }
}
