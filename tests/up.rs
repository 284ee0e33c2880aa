//! `citywatch up` as a person meets it: the demo's recordings become incidents, and whenever it is
//! stopped or killed, nothing is lost and nothing is there twice.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::{Session, StoreServer, Up, have_chdb, project, wait_for};

#[test]
fn the_demo_raises_its_incidents() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let up = Up::start(dir.path(), &project().join("deploy/demo/citywatch.toml"));
    let session = Session::first(&up, dir.path());
    // Before that, an incident may be joined with another between the list and a look at it.
    up.wait_until_stored();
    let incidents = wait_for("five kinds of incidents, a correlation among them", || {
        let page = session.get("/api/v1/incidents?limit=50");
        let incidents = page["items"].as_array().unwrap().clone();
        // Alerts of several rules are one incident where they speak of the same host, user or address.
        let rules: Vec<_> = incidents
            .iter()
            .flat_map(|incident| {
                let id = incident["id"].as_str().unwrap();
                let incident = session.get(&format!("/api/v1/incidents/{id}"));
                incident["rules"].as_array().unwrap().clone()
            })
            .collect();
        let kinds: BTreeSet<&str> = rules
            .iter()
            .filter_map(|rule| rule["id"].as_str())
            .collect();
        let correlated = rules.iter().any(|rule| rule["correlation"] == true);
        (kinds.len() >= 5 && correlated).then_some(incidents)
    });
    eprintln!(
        "{} incidents {:.1} s after the start",
        incidents.len(),
        begun.elapsed().as_secs_f64()
    );
    for incident in &incidents {
        let incident = session.get(&format!(
            "/api/v1/incidents/{}",
            incident["id"].as_str().unwrap()
        ));
        let title = incident["title"].as_str().unwrap();
        let events = incident["events"].as_array().unwrap();
        assert!(!events.is_empty(), "{title} has no events");
        assert!(
            events
                .iter()
                .any(|event| !event["matched"].as_array().unwrap().is_empty()),
            "{title}: no event says what matched"
        );
        let rule = &incident["rules"][0];
        assert!(
            rule["text"].as_str().unwrap().contains("title:"),
            "{title} has no rule text"
        );
    }
    wait_for("a search to find the brute force", || {
        let page = session.get("/api/v1/events?q=failed%20password&limit=100");
        (page["items"].as_array().unwrap().len() > 5).then_some(())
    });
    let status = up.status().unwrap();
    assert_eq!(status["totals"]["dead_letters"], 0, "{status}");
    up.running.stop();
}

/// Lines with an id each, as sshd writes them.
fn append_lines(path: &Path, ids: std::ops::Range<u32>) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    let mut text = String::new();
    for id in ids {
        text.push_str(&format!(
            "2026-11-20T08:{:02}:{:02}.{:06}+07:00 bastion-01 sshd[{id}]: Failed password for invalid user u{id} from 203.0.113.9 port 40022 ssh2\n",
            id / 60 % 60,
            id % 60,
            id
        ));
    }
    file.write_all(text.as_bytes()).unwrap();
}

fn write_config(dir: &Path) -> PathBuf {
    let path = dir.join("citywatch.toml");
    let text = format!(
        "[agent]\nname = \"test-agent\"\nunit = \"test-unit\"\n\n[[agent.files]]\npaths = [\"{0}/logs/*.log\"]\nformat = \"syslog\"\nread_from = \"beginning\"\n\n\
         [engine]\nrules = [\"{1}/rules/library\"]\nflush_interval_ms = 200\n",
        dir.display(),
        project().display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Stops or kills it at many moments while lines keep coming; at the end every line is there once.
#[test]
fn nothing_is_lost_and_nothing_twice_however_it_ends() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    let log = dir.path().join("logs/auth.log");
    let config = write_config(dir.path());
    let rounds = 6;
    let per_round = 2_000;
    for round in 0..rounds {
        let up = Up::start_unready(dir.path(), &config);
        append_lines(&log, round * per_round..(round + 1) * per_round);
        // Early, amid the start, and late, amid the stream.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 900 + 300));
        if round % 2 == 0 {
            up.running.kill()
        } else {
            // Before it listens for signals, Ctrl-C is the end as well, but not an orderly one.
            up.wait_until_live();
            up.running.stop()
        }
    }
    let total = rounds * per_round;
    let up = Up::start(dir.path(), &config);
    up.wait_until_stored();
    let session = Session::first(&up, dir.path());
    let incidents = session.get("/api/v1/incidents?limit=50");
    assert!(
        !incidents["items"].as_array().unwrap().is_empty(),
        "thousands of failed passwords and no incident"
    );
    up.running.stop();

    let store = StoreServer::start(&dir.path().join("data/store"), dir.path(), "store");
    let count = store.query("SELECT count(), uniqExact(position), uniqExact(event_id), uniqExact(user) FROM citywatch.events");
    assert_eq!(
        count,
        [format!("{total}\t{total}\t{total}\t{total}")],
        "events, positions, ids, users"
    );
    // A correlation that is raised again after a restart replaces its row; readers ask with FINAL.
    for matches in [
        "citywatch.matches WHERE NOT correlation",
        "citywatch.matches FINAL",
    ] {
        let rows = store.query(&format!(
            "SELECT count() - uniqExact(match_id), count() > 0 FROM {matches}"
        ));
        assert_eq!(
            rows,
            ["0\t1"],
            "twins, and whether there are any, in {matches}"
        );
    }
    store.running.stop();
}

/// The store is a process of its own: when it dies, it is started again, and what came meanwhile is stored.
#[test]
fn a_crash_of_the_store_takes_nothing_along() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    let log = dir.path().join("logs/auth.log");
    let up = Up::start(dir.path(), &write_config(dir.path()));
    append_lines(&log, 0..500);
    wait_for("the first lines to be stored", || {
        (up.total("events_stored") >= 500).then_some(())
    });
    support::signal(up.store_id(), "KILL");
    append_lines(&log, 500..3_000);
    wait_for("the lines written meanwhile to be stored", || {
        (up.total("events_stored") >= 3_000).then_some(())
    });
    let store = up.status().unwrap()["parts"]["store"].clone();
    assert!(store["retries"].as_u64().unwrap() >= 1, "{store}");
    up.running.stop();
    let store = StoreServer::start(&dir.path().join("data/store"), dir.path(), "store");
    assert_eq!(
        store.query("SELECT count(), uniqExact(position) FROM citywatch.events"),
        ["3000\t3000"]
    );
    store.running.stop();
}

/// A store that is gone is waited for, shown, and does not keep Ctrl-C from ending; nothing is lost by it.
#[test]
fn a_store_that_is_gone_does_not_keep_it_from_ending() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    let log = dir.path().join("logs/auth.log");
    let data = dir.path().join("store");
    let store = StoreServer::start(&data, dir.path(), "store");
    let config = write_config(dir.path());
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.clone() + &store.config()).unwrap();
    let up = Up::start(dir.path(), &config);
    append_lines(&log, 0..300);
    wait_for("the first lines to be stored", || {
        (up.total("events_stored") >= 300).then_some(())
    });
    store.running.kill();
    append_lines(&log, 300..900);
    wait_for("the status to say what is waited for", || {
        let status = up.status()?;
        let waits = status["details"]["engine_waits_for"].as_str()?.to_owned();
        (status["totals"]["retries"].as_u64()? > 0).then_some(waits)
    });
    up.running.stop();

    let store = StoreServer::start(&data, dir.path(), "store");
    std::fs::write(&config, text + &store.config()).unwrap();
    let up = Up::start(dir.path(), &config);
    wait_for("the lines that were left behind to be stored", || {
        (up.total("events_stored") >= 600).then_some(())
    });
    up.running.stop();
    let rows = store.query("SELECT count(), uniqExact(position) FROM citywatch.events");
    assert_eq!(rows, ["900\t900"]);
    store.running.stop();
}

/// Metrics, health and status as an operator's tools ask for them.
#[test]
fn it_can_be_watched() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("logs")).unwrap();
    append_lines(&dir.path().join("logs/auth.log"), 0..100);
    let up = Up::start(dir.path(), &write_config(dir.path()));
    wait_for("the lines to be stored", || {
        (up.total("events_stored") >= 100).then_some(())
    });
    wait_for("the agent to tell what it reads", || {
        let agent = up.status()?["parts"]["agent"]["detail"].clone();
        (agent == "reads 1 file").then_some(())
    });
    let live = support::request(up.monitor, "GET", "/health/live", &[], "").unwrap();
    assert_eq!(live.status, 200);
    let metrics = support::request(up.monitor, "GET", "/metrics", &[], "")
        .unwrap()
        .body;
    for line in [
        "citywatch_engine_events_stored_total 100",
        "citywatch_rules_loaded ",
    ] {
        assert!(
            metrics.lines().any(|metric| metric.starts_with(line)),
            "{line} is missing in\n{metrics}"
        );
    }
    let monitor = format!("127.0.0.1:{}", up.monitor);
    let output = support::run(&["status", "--monitor", &monitor]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for words in ["ready", "events_stored", "lag_bytes", "rules", "spool"] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }

    // A second one on the same data, and one on a taken port, say what is wrong.
    let data = dir.path().join("data");
    let other = format!("127.0.0.1:{}", support::free_port());
    let output = support::run(&["up", "--data", data.to_str().unwrap(), "--monitor", &other]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("another citywatch works on"),
        "{output:?}"
    );
    let data = dir.path().join("other");
    let console = format!("127.0.0.1:{}", up.console);
    let output = support::run(&[
        "up",
        "--data",
        data.to_str().unwrap(),
        "--monitor",
        &other,
        "--listen",
        &console,
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&console) && said.contains("listen"), "{said}");
    up.running.stop();
}
