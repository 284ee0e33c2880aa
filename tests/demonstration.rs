//! A demonstration as `make demo` begins it: weeks of history at several offices, played through the real pipeline, marked
//! as what it is, and there once however often it is started.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use support::{Session, StoreServer, Up, have_chdb, project, request, wait_for};

const DAYS: i64 = 32;
const DAY_S: i64 = 24 * 3_600;

/// The demo's own programme with fewer days and less of what nothing comes of.
fn write_config(dir: &Path) -> PathBuf {
    let folder = project().join("deploy/demo");
    let text = std::fs::read_to_string(folder.join("city.toml")).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    let rules = project().join("rules/library").display().to_string();
    config["engine"]["rules"] = toml::Value::Array(vec![rules.into()]);
    let demo = config["demo"].as_table_mut().unwrap();
    for key in ["recordings", "units"] {
        let path = folder.join(demo[key].as_str().unwrap());
        demo[key] = path.display().to_string().into();
    }
    demo["days"] = DAYS.into();
    for scene in demo["scenes"].as_array_mut().unwrap() {
        let is_visit = scene["name"].as_str() == Some("portal-visits");
        if scene.get("quiet").is_some() {
            let often = if is_visit { 0.4 } else { 0.1 };
            scene["per_workday"] = often.into();
        }
    }
    // Something that its person cannot do: longer than a suppression may last. It must not end the demonstration.
    let suppressions = demo["suppressions"].as_array_mut().unwrap();
    let mut refused = suppressions[0].clone();
    let fields = refused.as_table_mut().unwrap();
    fields.insert("reason".to_owned(), "Không thể".into());
    fields.insert("days_ago".to_owned(), 1.into());
    fields.insert("days".to_owned(), 5_000.into());
    suppressions.push(refused);
    let path = dir.join("city.toml");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

fn days_played(dir: &Path) -> u64 {
    let Ok(text) = std::fs::read_to_string(dir.join("data/demonstration.json")) else {
        return 0;
    };
    let played: serde_json::Value = serde_json::from_str(&text).unwrap();
    played["days_played"].as_u64().unwrap()
}

fn end_s(dir: &Path) -> i64 {
    let text = std::fs::read_to_string(dir.join("data/demonstration.json")).unwrap();
    let played: serde_json::Value = serde_json::from_str(&text).unwrap();
    played["end"].as_i64().unwrap() / 1_000_000
}

fn seconds(value: &serde_json::Value) -> i64 {
    let time: jiff::Timestamp = value.as_str().unwrap().parse().unwrap();
    time.as_second()
}

/// All incidents of the history, by id: those that came later are of what goes on.
fn incidents(session: &Session, end_s: i64) -> BTreeMap<String, serde_json::Value> {
    let mut all = BTreeMap::new();
    let mut path = "/api/v1/incidents?limit=100".to_owned();
    loop {
        let page = session.get(&path);
        for item in page["items"].as_array().unwrap() {
            if seconds(&item["created_at"]) <= end_s {
                all.insert(item["id"].as_str().unwrap().to_owned(), item.clone());
            }
        }
        let Some(cursor) = page["next_cursor"].as_str() else {
            return all;
        };
        path = format!("/api/v1/incidents?limit=100&cursor={cursor}");
    }
}

#[test]
fn weeks_of_history_are_there_once_and_marked() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path());

    // Killed in the middle: the next start goes on where it was.
    let up = Up::start_unready(dir.path(), &config);
    wait_for("some days to be played", || {
        (days_played(dir.path()) >= 3).then_some(())
    });
    up.running.kill();
    let before = days_played(dir.path());
    assert!(before < DAYS as u64, "it was to be killed before its end");

    let up = Up::start(dir.path(), &config);
    assert_eq!(days_played(dir.path()), DAYS as u64);
    let session = Session::first(&up, dir.path());
    let end_s = end_s(dir.path());
    let found = incidents(&session, end_s);
    let all: Vec<&serde_json::Value> = found.values().collect();

    // Marked: in each incident, in what tells who is signed in, on each answer.
    assert!(all.iter().all(|incident| incident["demonstration"] == true));
    assert_eq!(session.get("/api/v1/session")["demonstration"], true);
    let refused = request(up.console, "GET", "/api/v1/incidents", &[], "").unwrap();
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("citywatch-demonstration"), Some("true"));
    let metrics = request(up.monitor, "GET", "/metrics", &[], "")
        .unwrap()
        .body;
    assert!(
        metrics.contains("citywatch_demonstration_failures_total 1"),
        "what a person could not do is counted"
    );
    let page = request(up.console, "GET", "/", &[], "").unwrap();
    assert_eq!(page.header("citywatch-demonstration"), Some("true"));
    let part = &up.status().unwrap()["parts"]["demonstration"];
    assert_eq!(part["state"], "running", "{part}");

    // Over the days, at several offices, found when it happened.
    let oldest = all.iter().map(|one| seconds(&one["created_at"])).min();
    let age_days = (end_s - oldest.unwrap()) / DAY_S;
    assert!(age_days >= 25, "the oldest incident is {age_days} days old");
    let units: BTreeSet<&str> = all
        .iter()
        .map(|one| one["unit"].as_str().unwrap())
        .collect();
    assert!(units.len() >= 6, "{units:?}");
    for incident in &all {
        let (first, created) = (&incident["first_event_at"], &incident["created_at"]);
        let waited_s = seconds(created) - seconds(first);
        assert!(
            (0..=5 * 3_600).contains(&waited_s),
            "{} happened at {first} and was found at {created}",
            incident["title"]
        );
    }
    let names: BTreeSet<String> = session.get("/api/v1/units")["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| unit["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.contains("Phường Bến Thành"), "{names:?}");

    // People have worked on it: some are done, some have not been looked at.
    let of = |key: &str, value: &str| all.iter().filter(|one| one[key] == value).count();
    assert!(
        of("state", "closed") >= 10,
        "{} closed",
        of("state", "closed")
    );
    assert!(of("state", "new") >= 2, "{} new", of("state", "new"));
    for verdict in ["true_positive", "benign_true_positive", "false_positive"] {
        assert!(of("verdict", verdict) >= 1, "no {verdict}");
    }
    let closed = all.iter().filter(|one| one["state"] == "closed");
    for incident in closed {
        let who = incident["assignee"].as_str().unwrap();
        assert!(who.ends_with(".demo"), "{who}");
        let taken = seconds(&incident["acknowledged_at"]) - seconds(&incident["created_at"]);
        assert!(taken > 0, "{incident}");
    }
    // Nobody is signed in but this test, and nobody's password is known.
    let audit = session.get("/api/v1/audit?who=quynh.demo&limit=1");
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
    up.running.stop();

    // The same once more, and nothing is there twice.
    let up = Up::start(dir.path(), &config);
    let session = Session::first(&up, dir.path());
    let again = incidents(&session, end_s);
    assert_eq!(
        again.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>()
    );
    up.running.stop();
    let store = StoreServer::start(&dir.path().join("data/store"), dir.path(), "store");
    let twins = store.query("SELECT count() - uniqExact(event_id) FROM citywatch.events");
    assert_eq!(twins, ["0"], "events that are there twice");
    let days = store.query(&format!(
        "SELECT uniqExact(toDate(event_time, 'Asia/Ho_Chi_Minh')) >= {}, min(startsWith(agent, 'demonstration-')), \
         max(abs(dateDiff('second', event_time, received_at))) < 60 FROM citywatch.events \
         WHERE agent != '' AND unit != ''",
        DAYS - 2
    ));
    assert_eq!(days, ["1\t1\t1"], "days, agents, receipt near the event");
    store.running.stop();
}
