//! `kill -9` in the middle of inserts: what was acknowledged is there, the rest whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use citywatch_engine::store::Store;
use citywatch_parsers::{AgentId, StreamId};

use crate::process::{StoreProcess, library_is_there};
use crate::sample::rows;

const BLOCK_ROWS: u64 = 2_000;
/// Longest wait for a block to be inserted.
const PATIENCE: Duration = Duration::from_secs(180);

/// Inserts blocks in order from `next` on until the store is gone; counts acknowledged rows.
async fn insert_until_gone(store: Store, next: Arc<AtomicU64>) {
    loop {
        let first = next.load(Ordering::SeqCst);
        match store.insert_events(&rows("crash", first, BLOCK_ROWS)).await {
            Ok(()) => next.store(first + BLOCK_ROWS, Ordering::SeqCst),
            Err(error) => {
                assert!(
                    error.is_retryable(),
                    "a crash is to be tried again: {error}"
                );
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_store_keeps_what_it_acknowledged() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let next = Arc::new(AtomicU64::new(0));
    let (agent, stream) = (AgentId::from("agent-1"), StreamId::from("crash"));
    for round in 0..4_u64 {
        let process = StoreProcess::start(dir.path());
        let store = process.store().await;
        let stored = store.counts().await.unwrap().events;
        let acknowledged = next.load(Ordering::SeqCst);
        // The block that was under way is there as a whole, or not at all.
        assert!(
            stored == acknowledged || stored == acknowledged + BLOCK_ROWS,
            "round {round}: {stored} stored, {acknowledged} acknowledged"
        );
        let highest = store.highest_position(&agent, &stream).await.unwrap();
        assert_eq!(highest, stored.checked_sub(1), "round {round}");
        // As the engine does after a restart: what is at or below the highest position is known.
        next.store(stored, Ordering::SeqCst);
        let inserting = tokio::spawn(insert_until_gone(store, Arc::clone(&next)));
        let until = Instant::now() + PATIENCE;
        while next.load(Ordering::SeqCst) < stored + BLOCK_ROWS {
            assert!(Instant::now() < until, "round {round}: nothing is inserted");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Somewhere within one of the next blocks.
        tokio::time::sleep(Duration::from_millis(170 * round)).await;
        process.kill();
        inserting.await.unwrap();
    }
}
