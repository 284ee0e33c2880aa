//! kill -9 at any moment: of what was answered, every incident is told in the end.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use citywatch_alerting::{Alerting, AlertingConfig, Clock};
use serde_json::{Value, json};
use support::receivers::HookServer;
use support::{NOON, Place, Site, at, found, rule, send};

/// Set for the process that is killed: the folder of its database.
const VICTIM: &str = "CITYWATCH_TEST_OUTBOX_DATA_DIR";

fn host(number: u64) -> String {
    format!("web-{number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Ok(data_dir) = std::env::var(VICTIM) else {
        return;
    };
    let mut config = AlertingConfig {
        data_dir: PathBuf::from(data_dir),
        ..AlertingConfig::default()
    };
    // An incident, and so a message, for each host.
    config.incidents.join_by_entities = false;
    let alerting = Alerting::open_at(config, None, Clock::manual(NOON))
        .await
        .unwrap();
    let guess = rule("guess", "high");
    for number in 0.. {
        send(
            &alerting.intake(),
            vec![found(&guess, &host(number), at(0), number)],
        )
        .await;
        println!("answered {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waits_in_the_outbox_survives_and_is_sent() {
    let place = Place::sqlite();
    let hook = HookServer::start();
    hook.answer.store(503, Ordering::SeqCst);
    let site = Site::start(&place).await;
    let body = json!({
        "name": "duty room", "kind": "webhook", "target": hook.url, "group_minutes": 0,
    });
    let made = site
        .admin()
        .send("POST", "/api/v1/notifications/routes", Some(body), &[]);
    assert_eq!(made.status, 201, "{made:?}");
    site.stop().await;

    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, &place.data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut told = lines.filter_map(|line| line.rsplit_once("answered ")?.1.parse::<u64>().ok());
    // In the middle of it: some are tried and refused, some wait, one may be under way.
    while told.next().unwrap() < 20 || hook.posted().is_empty() {}
    victim.kill().unwrap();
    let answered = told.last().unwrap_or(20);
    victim.wait().unwrap();
    assert!(hook.posted().iter().all(|posted| posted.status == 503));

    hook.answer.store(200, Ordering::SeqCst);
    let site = Site::start(&place).await;
    // Whoever had a message in hand is gone, and pauses have passed.
    site.clock.advance(120);
    let expected: BTreeSet<String> = (0..=answered).map(host).collect();
    let started = Instant::now();
    loop {
        let mut ids = BTreeSet::new();
        let mut told = BTreeSet::new();
        for posted in hook.posted().iter().filter(|posted| posted.status == 200) {
            let body: Value = serde_json::from_str(&posted.body).unwrap();
            ids.insert(body["id"].as_str().unwrap().to_owned());
            told.insert(body["items"][0]["host"].as_str().unwrap().to_owned());
        }
        if told.is_superset(&expected) {
            assert_eq!(ids.len(), told.len(), "one message each");
            break;
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{} of {} told",
            told.len(),
            expected.len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    site.stop().await;
}
