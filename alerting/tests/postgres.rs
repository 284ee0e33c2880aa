//! The scenarios on PostgreSQL, in a cluster of the test's own; skipped where PostgreSQL is not installed.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../../tests/support/postgres.rs"]
mod postgres;
mod scenarios;

use std::time::{Duration, Instant};

use postgres::Cluster;
use scenarios::support::{Place, ports};
use sqlx::{AnyPool, AssertSqlSafe};

async fn connect(cluster: &Cluster) -> AnyPool {
    sqlx::any::install_default_drivers();
    let started = Instant::now();
    loop {
        match AnyPool::connect(&cluster.url("postgres")).await {
            Ok(pool) => return pool,
            Err(error) if started.elapsed() > Duration::from_secs(180) => panic!("{error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_scenario_on_postgresql() {
    let Some(programs) = postgres::programs() else {
        eprintln!("skipped: no PostgreSQL in /usr/lib/postgresql (apt-get install postgresql)");
        return;
    };
    let cluster = Cluster::start(&programs);
    let pool = connect(&cluster).await;
    // `SCENARIO=facets,views` runs those whose names hold one of these.
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    for (name, scenario) in scenarios::ALL {
        if !wanted.split(',').any(|part| name.contains(part)) {
            continue;
        }
        eprintln!("{name}");
        // Identifiers are cut at 63 bytes.
        let database: String = name.chars().take(60).collect();
        let create = format!("CREATE DATABASE {database}");
        sqlx::query(AssertSqlSafe(create))
            .execute(&pool)
            .await
            .unwrap();
        scenario(Place::postgres(cluster.url(&database))).await;
    }
    pool.close().await;
}
