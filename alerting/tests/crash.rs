//! kill -9 at any moment: what was answered is committed, and a replay makes the counts exact.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use citywatch_alerting::{Alerting, AlertingConfig, Clock};
use citywatch_engine::Match;
use support::{NOON, Place, at, found, rule, send};

/// Set for the process that is killed: the folder of its database.
const VICTIM: &str = "CITYWATCH_TEST_CRASH_DATA_DIR";

/// Delivery number `number`: five matches on one of four hosts.
fn matches(number: u64) -> Vec<Match> {
    let guess = rule("guess", "high");
    let host = format!("web-{}", number % 4);
    (0..5)
        .map(|place| {
            found(
                &guess,
                &host,
                at(i64::try_from(number).unwrap()),
                number * 5 + place,
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(data_dir) = std::env::var(VICTIM) else {
        return;
    };
    let config = AlertingConfig {
        data_dir: PathBuf::from(data_dir),
        ..AlertingConfig::default()
    };
    let alerting = Alerting::open_at(config, None, Clock::manual(NOON))
        .await
        .unwrap();
    for number in 0.. {
        send(&alerting.intake(), matches(number)).await;
        println!("answered {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_and_a_replay_completes_it() {
    let place = Place::sqlite();
    let mut answered = 0;
    for killed_after in [1, 7, 40] {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(VICTIM, &place.data_dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(victim.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut told =
            lines.filter_map(|line| line.rsplit_once("answered ")?.1.parse::<u64>().ok());
        while told.next().unwrap() < killed_after {}
        victim.kill().unwrap();
        answered = answered.max(told.last().unwrap_or(killed_after));
        victim.wait().unwrap();
    }
    let pool = place.pool().await;
    let counted: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM alert_matches")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(
        counted >= i64::try_from((answered + 1) * 5).unwrap(),
        "{counted} after {answered} answers"
    );

    let alerting = Alerting::open_at(place.config(), None, Clock::manual(NOON))
        .await
        .unwrap();
    for number in 0..answered + 20 {
        send(&alerting.intake(), matches(number)).await;
    }
    let expected = i64::try_from((answered + 20) * 5).unwrap();
    for sql in [
        "SELECT COUNT(*) FROM alert_matches",
        "SELECT CAST(SUM(match_count) AS BIGINT) FROM alerts",
        "SELECT CAST(SUM(event_count) AS BIGINT) FROM alerts",
        "SELECT CAST(SUM(event_count) AS BIGINT) FROM incidents",
    ] {
        let counted: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
        assert_eq!(counted, expected, "{sql}");
    }
    alerting.close().await;
}
