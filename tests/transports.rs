//! The same records over both transports give the same rows: embedded over the spool with `citywatch
//! up`, and over a real Kafka broker with `citywatch-agent` and `citywatch engine`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::broker::Broker;
use support::{Running, StoreServer, citywatch, free_port, have_chdb, project, sibling, wait_for};

/// What may differ: when the agent read the line, and where Kafka put it. A match that grew is there twice
/// until the store merges its rows: FINAL takes the last.
const EVENTS: &str = "SELECT * EXCEPT (received_at, topic, partition, offset) FROM citywatch.events ORDER BY agent, stream, position, sub_index FORMAT JSONEachRow";
const MATCHES: &str = "SELECT match_id, rule_id, rule_hash, unit, host, event_time, group, window_start, window_end FROM citywatch.matches FINAL ORDER BY match_id FORMAT JSONEachRow";

/// The demo's recordings as an agent's configuration, `prefix` before each key.
fn agent_toml(prefix: &str, state_dir: &Path) -> String {
    let demo = project().join("deploy/demo");
    let text = std::fs::read_to_string(demo.join("citywatch.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    let mut agent = config["agent"].as_table().unwrap().clone();
    agent.insert("state_dir".into(), state_dir.to_str().unwrap().into());
    for files in agent["files"].as_array_mut().unwrap() {
        for path in files["paths"].as_array_mut().unwrap() {
            *path = demo.join(path.as_str().unwrap()).to_str().unwrap().into();
        }
    }
    if prefix.is_empty() {
        return toml::to_string(&agent).unwrap();
    }
    let mut whole = toml::Table::new();
    whole.insert(prefix.to_owned(), agent.into());
    toml::to_string(&whole).unwrap()
}

fn write(path: &Path, text: &str) -> PathBuf {
    std::fs::write(path, text).unwrap();
    path.to_owned()
}

fn engine_toml() -> String {
    format!(
        "[engine]\nrules = [\"{}\"]\nflush_interval_ms = 200\nclock_behind_max_days = 0\n",
        project().join("rules/library").display()
    )
}

/// Numbers of events and matches, once the tables are there.
fn rows(store: &StoreServer) -> Option<Vec<u64>> {
    let tables = "SELECT count() FROM system.tables WHERE database = 'citywatch' AND name IN ('events', 'matches')";
    if store.query(tables) != ["2"] {
        return None;
    }
    let count = |table: &str| {
        let counted = store.query(&format!("SELECT count() FROM citywatch.{table}"));
        counted[0].parse().unwrap()
    };
    Some(vec![count("events"), count("matches FINAL")])
}

#[test]
fn spool_and_kafka_give_the_same_rows() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let Some(broker) = Broker::start() else {
        return;
    };

    let embedded = StoreServer::start(&dir.join("store-a"), dir, "store-a");
    let config = agent_toml("agent", &dir.join("agent-a")) + &engine_toml() + &embedded.config();
    let up = support::Up::start(&dir.join(""), &write(&dir.join("up.toml"), &config));
    up.wait_until_stored();
    up.running.stop();
    let rows_embedded = rows(&embedded).unwrap();

    let clustered = StoreServer::start(&dir.join("store-b"), dir, "store-b");
    let topic = "citywatch.records";
    // There before anybody asks for it: who asks too early asks again minutes later.
    broker.topic(topic, 1, &[]);
    let kafka = format!("brokers = \"{}\"\n", broker.address());
    let config = format!(
        "[data]\ndir = \"{}\"\n[monitor]\nlisten = \"127.0.0.1:{}\"\n[kafka]\n{kafka}[kafka.topics.\"{topic}\"]\n{}{}",
        dir.join("engine-data").display(),
        free_port(),
        engine_toml(),
        clustered.config()
    );
    let mut engine = Command::new(citywatch());
    engine
        .arg("engine")
        .arg("--config")
        .arg(write(&dir.join("engine.toml"), &config));
    let engine = Running::start(&mut engine, "engine", dir);
    let config =
        agent_toml("", &dir.join("agent-b")) + &format!("\n[kafka]\n{kafka}topic = \"{topic}\"\n");
    let mut agent = Command::new(sibling("citywatch-agent"));
    agent
        .arg("run")
        .arg("--config")
        .arg(write(&dir.join("agent.toml"), &config));
    let agent = Running::start(&mut agent, "agent", dir);
    wait_for("as many rows as over the spool to be stored", || {
        let rows = rows(&clustered)?;
        (rows
            .iter()
            .zip(&rows_embedded)
            .all(|(rows, expected)| rows >= expected))
        .then_some(())
    });
    agent.stop();
    engine.stop();

    let rows_clustered = rows(&clustered).unwrap();
    assert_eq!(rows_embedded, rows_clustered, "events and matches");
    for sql in [EVENTS, MATCHES] {
        let (a, b) = (embedded.query(sql), clustered.query(sql));
        let first_difference = a.iter().zip(&b).find(|(a, b)| a != b);
        assert_eq!(first_difference, None, "{sql}");
        assert_eq!(a.len(), b.len(), "{sql}");
        assert!(!a.is_empty(), "{sql}");
    }
    eprintln!("events and matches over both transports: {rows_embedded:?}");
    embedded.running.stop();
    clustered.running.stop();
}
