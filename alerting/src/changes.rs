//! The stream of changes: whoever follows incidents wakes up when one changed.
//!
//! Every changed incident carries the number of its change. In this process the writer announces the
//! number; changes of other processes on the same database are seen by reading one counter.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::database::Database;
use crate::status::Tally;

/// How long a change of another process may go unseen. A read of the counter takes some 20 µs.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The latest change, to be watched. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Changes {
    latest: Arc<watch::Sender<i64>>,
}

impl Changes {
    pub(crate) fn new(latest: i64) -> Self {
        Self {
            latest: Arc::new(watch::Sender::new(latest)),
        }
    }

    /// Tells that the change of that number is committed.
    pub(crate) fn announce(&self, sequence: i64) {
        self.latest.send_if_modified(|latest| {
            let newer = sequence > *latest;
            *latest = sequence.max(*latest);
            newer
        });
    }

    /// To wait for changes on.
    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        self.latest.subscribe()
    }

    /// Announces what other processes change, until shutdown.
    pub(crate) async fn follow(
        self,
        database: Database,
        tally: Arc<Tally>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                () = shutdown.cancelled() => return,
            }
            // Nobody watches: nothing to tell.
            if self.latest.receiver_count() == 0 {
                continue;
            }
            match latest(&database).await {
                Ok(sequence) => self.announce(sequence),
                Err(error) => tally.failed("reading the counter of changes", &error),
            }
        }
    }
}

/// The number of the last committed change.
pub(crate) async fn latest(database: &Database) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM counters WHERE name = 'change'")
        .fetch_one(database.pool())
        .await
}
