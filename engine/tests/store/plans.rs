//! Plans of inserts against the real engine: what is settled is stored by then, or never.

use citywatch_engine::store::InsertPlan;
use citywatch_parsers::{AgentId, StreamId};

use crate::process::{StoreProcess, library_is_there};
use crate::sample::rows;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_is_stored_by_then_or_never() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    let (agent, stream) = (AgentId::from("agent-1"), StreamId::from("s"));
    let highest = async || store.highest_position(&agent, &stream).await.unwrap();

    // Stored before: the claim changes nothing.
    let first = rows("s", 0, 100);
    let plan = InsertPlan::of(&first).unwrap();
    assert!(!store.has_stored(&plan).await.unwrap());
    store.insert_planned(&first, &plan).await.unwrap();
    assert!(store.has_stored(&plan).await.unwrap());
    store.settle(&plan).await.unwrap();
    assert_eq!(store.counts().await.unwrap().events, 100);

    // Not stored by then: it never will be, also after the store's restart, however often it is sent.
    let late = rows("s", 100, 100);
    let plan: InsertPlan = InsertPlan::of(&late).unwrap().to_string().parse().unwrap();
    store.settle(&plan).await.unwrap();
    store.settle(&plan).await.unwrap();
    store.insert_planned(&late, &plan).await.unwrap();
    assert_eq!(highest().await, Some(99));
    process.kill();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    store.insert_planned(&late, &plan).await.unwrap();
    assert!(!store.has_stored(&plan).await.unwrap());
    // The same rows under a plan of their own are stored.
    let again = InsertPlan::of(&late).unwrap();
    store.insert_planned(&late, &again).await.unwrap();
    assert!(store.has_stored(&again).await.unwrap());
    let stored = store.highest_position(&agent, &stream).await.unwrap();
    assert_eq!(stored, Some(199));
    // Events and one claim.
    assert_eq!(store.counts().await.unwrap().events, 201);
}
