//! Silent sources and the bound in bytes, on the real store. Time is an argument.

use std::sync::Arc;
use std::time::Duration;

use citywatch_engine::store::{AgentHeard, EventRow, StoreConfig};
use citywatch_engine::watch::notices::Notices;
use citywatch_engine::watch::{
    AgentsConfig, AgentsWatch, IntakeGate, SourcesConfig, SourcesWatch, SpaceConfig, SpaceWatch,
};
use citywatch_engine::{MatchDelivery, store::Store};
use citywatch_parsers::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::http::post;
use crate::process::{StoreProcess, library_is_there};
use crate::sample::{DAY, row};

const HOUR_S: i64 = 3_600;
const WEEK_S: i64 = 7 * 24 * HOUR_S;

/// Events of a host in the hour before ten o'clock, `weeks` back.
fn hour_of(host: &str, weeks: i64, count: u64) -> Vec<EventRow> {
    let begin = 9 * HOUR_S - weeks * WEEK_S;
    (0..count)
        .map(|number| {
            let seconds = begin + i64::try_from(number * 3_600 / count).unwrap();
            let stream = format!("{host}-{weeks}");
            let mut row = row(&stream, number, seconds, "a line", &[]);
            row.host = host.to_owned();
            row
        })
        .collect()
}

async fn store_all(store: &Store, rows: Vec<EventRow>) {
    store.insert_events(&rows).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_silent_or_changes_is_told_once_also_after_a_restart() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    for week in 1..=3 {
        let hosts = [
            ("web-1", 400),
            ("db-1", 900),
            ("fw-1", 700),
            ("ws-1", 800),
            ("pc-1", 3),
        ];
        for (host, count) in hosts {
            store_all(&store, hour_of(host, week, count)).await;
        }
    }
    // This week web-1 and pc-1 say nothing, fw-1 says far more and ws-1 far less.
    store_all(&store, hour_of("ws-1", 0, 100)).await;
    store_all(&store, hour_of("db-1", 0, 850)).await;
    store_all(&store, hour_of("fw-1", 0, 9_000)).await;
    let ten = Timestamp(DAY.0 + 10 * HOUR_S * 1_000_000);

    let mut watch = SourcesWatch::new(SourcesConfig::default(), store.clone());
    let told = watch.check(ten).await.unwrap();
    let words: Vec<&str> = told.iter().map(|notice| notice.words.as_str()).collect();
    assert_eq!(
        words,
        [
            "host fw-1 of unit hcmc/linh-xuan has sent 9000 events in the 60 minutes before 2026-03-01 10:00 UTC; at this time of its week it sends 700 to 700",
            "host web-1 of unit hcmc/linh-xuan has sent nothing since 2026-02-22 09:59 UTC; at this time of its week it sends 400 to 400 events in 60 minutes",
            "host ws-1 of unit hcmc/linh-xuan has sent 100 events in the 60 minutes before 2026-03-01 10:00 UTC; at this time of its week it sends 800 to 800",
        ]
    );
    // A quarter of an hour later web-1 is still silent: it is told once.
    let later = Timestamp(ten.0 + 900 * 1_000_000);
    let again = watch.check(later).await.unwrap();
    assert_eq!(again, [], "nothing new");
    // Another engine, or this one after a restart, finds the same match.
    let mut other = SourcesWatch::new(SourcesConfig::default(), store.clone());
    let ids = |notices: &[citywatch_engine::watch::notices::Notice]| -> Vec<_> {
        notices.iter().map(|notice| notice.to_match().id).collect()
    };
    assert_eq!(ids(&other.check(ten).await.unwrap()), ids(&told));
    // Who is switched off is not told.
    let config = SourcesConfig {
        hosts_off: ["fw-1", "web-1", "ws-1"].map(str::to_owned).to_vec(),
        ..SourcesConfig::default()
    };
    let mut off = SourcesWatch::new(config, store);
    assert_eq!(off.check(ten).await.unwrap(), []);
}

/// Takes notices as alerting does, and passes their rules on.
fn alerting() -> (mpsc::Sender<MatchDelivery>, mpsc::UnboundedReceiver<String>) {
    let (alerts, mut deliveries) = mpsc::channel::<MatchDelivery>(8);
    let (told, rules) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(delivery) = deliveries.recv().await {
            for found in &delivery.matches {
                told.send(found.rule.id.clone()).unwrap();
            }
            delivery.done.send(()).unwrap();
        }
    });
    (alerts, rules)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_pauses_intake_until_there_is_room() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let config = StoreConfig {
        space: SpaceConfig {
            bytes_max: 200_000,
            check_interval_s: 1,
            ..SpaceConfig::default()
        },
        ..process.config()
    };
    let store = Store::connect(&config).unwrap();
    store.migrate().await.unwrap();
    let (alerts, mut rules) = alerting();
    let gate = IntakeGate::default();
    let watch = SpaceWatch::new(store.clone(), gate.clone());
    let latest = watch.latest();
    let stop = CancellationToken::new();
    let running = tokio::spawn(watch.run(Notices::new(alerts, store.clone()), stop.clone()));
    assert_eq!(gate.paused(), None);

    let rows = crate::sample::rows("bulk", 0, 20_000);
    store.insert_events(&rows).await.unwrap();
    until("intake to pause", || gate.paused().is_some()).await;
    assert!(latest().bytes > 190_000, "{:?}", latest());
    assert!(gate.paused().unwrap().contains("goes on below 93 %"));
    let mut told = [rules.recv().await.unwrap(), rules.recv().await.unwrap()];
    told.sort();
    assert_eq!(told, ["citywatch-intake-paused", "citywatch-store-filling"]);

    // What retention does in time.
    let answer = post(process.address, "/", b"TRUNCATE TABLE citywatch.events");
    assert_eq!(answer.status, 200);
    until("intake to go on", || gate.paused().is_none()).await;
    assert!(!latest().is_paused);
    stop.cancel();
    running.await.unwrap();
    let kept = Arc::new(store.counts().await.unwrap());
    assert_eq!(kept.matches, 2, "notices are matches");
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(
            begun.elapsed() < Duration::from_secs(180),
            "waited for {what}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The store forgets who was silent for weeks: these times are of now.
fn heard(agent: &str, at: Timestamp) -> AgentHeard {
    AgentHeard {
        agent: agent.to_owned(),
        unit: "hcmc/linh-xuan".to_owned(),
        host: format!("{agent}-host"),
        heard_at: at.as_micros(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_heartbeats_is_told_once_whoever_heard_it() {
    if !library_is_there() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let process = StoreProcess::start(dir.path());
    let store = process.store().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let begin = i64::try_from(now.unwrap().as_micros()).unwrap() - HOUR_S * 1_000_000;
    let at = |second: i64| Timestamp(begin + second * 1_000_000);
    let heard = |agent: &str, second| heard(agent, at(second));
    let watch = |agents_off: &[&str]| {
        let config = AgentsConfig {
            agents_off: agents_off.iter().map(|agent| (*agent).to_owned()).collect(),
            ..AgentsConfig::default()
        };
        let (silent_after, certificate_left) = (Duration::from_secs(300), Duration::ZERO);
        AgentsWatch::new(config, store.clone(), silent_after, certificate_left)
    };
    store
        .note_agents(&[heard("web01", 10), heard("db01", 20), heard("night", 5)])
        .await
        .unwrap();
    // Another engine hears one of them later.
    store.note_agents(&[heard("db01", 200)]).await.unwrap();

    let mut first = watch(&["night"]);
    assert_eq!(first.check(at(300)).await.unwrap(), []);
    let told = first.check(at(320)).await.unwrap();
    let words: Vec<&str> = told.iter().map(|notice| notice.words.as_str()).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(
        words[0].starts_with("agent web01 of unit hcmc/linh-xuan has sent no heartbeat since 20"),
        "{words:?}"
    );
    assert_eq!(
        (told[0].unit.as_str(), told[0].host.as_str()),
        ("hcmc/linh-xuan", "web01-host")
    );
    assert_eq!(first.check(at(350)).await.unwrap(), [], "told once");
    // Another engine, or this one after a restart, tells the same.
    let mut other = watch(&["night"]);
    let again = other.check(at(350)).await.unwrap();
    assert_eq!(again[0].to_match().id, told[0].to_match().id);
    // Heard again and silent again: that is another silence.
    store
        .note_agents(&[heard("web01", 400), heard("db01", 600)])
        .await
        .unwrap();
    assert_eq!(first.check(at(420)).await.unwrap(), []);
    let second = first.check(at(701)).await.unwrap();
    assert_eq!(second.len(), 1);
    assert_ne!(second[0].to_match().id, told[0].to_match().id);

    // Many at once are told as one.
    let many: Vec<AgentHeard> = (0..20).map(|n| heard(&format!("pc{n}"), 800)).collect();
    store.note_agents(&many).await.unwrap();
    let told = watch(&[]).check(at(1_200)).await.unwrap();
    let words: Vec<&str> = told.iter().map(|notice| notice.words.as_str()).collect();
    assert_eq!(words, ["23 of 23 agents are silent at once"]);
}
