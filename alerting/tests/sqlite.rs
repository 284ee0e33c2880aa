//! The scenarios on SQLite, the default.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

mod scenarios;

use std::future::Future;

use scenarios::support::Place;

async fn run<F: Future<Output = ()>>(scenario: fn(Place) -> F) {
    scenario(Place::sqlite()).await;
}

scenarios::each_scenario!(run);
