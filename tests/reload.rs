//! Rules that change while `citywatch up` runs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::path::Path;

use support::{StoreServer, Up, have_chdb, request, signal, wait_for};

/// One that matches `word`.
fn rule(id: u32, name: &str, word: &str) -> String {
    format!(
        "title: Says {word}\nid: 00000000-0000-4000-8000-00000000000{id}\nname: {name}\nlogsource: {{category: test}}\n\
         detection:\n  selection: {{Word: {word}}}\n  condition: selection\n"
    )
}

const THREE_OF_A_USER: &str = "title: Three of a user\nid: 00000000-0000-4000-8000-000000000009\n\
    correlation:\n  type: event_count\n  rules: [first]\n  group-by: [User]\n  timespan: 1h\n  condition: {gte: 3}\n  generate: true\n";

fn append(path: &Path, word: &str, user: &str, second: u32) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    writeln!(
        file,
        r#"{{"category":"test","Word":"{word}","User":"{user}","timestamp":"2026-11-22T03:00:{second:02}Z"}}"#
    )
    .unwrap();
}

/// Replaces a rule file as a whole: no look finds half of it.
fn put(rules: &Path, name: &str, text: &str) {
    let fresh = rules.with_file_name(name);
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(fresh, rules.join(name)).unwrap();
}

/// The status's word on the rules once it is as `wanted`.
fn rules_status(
    up: &Up,
    what: &str,
    wanted: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    wait_for(what, || {
        let status = up.status()?;
        let rules = status["details"]["rules"].clone();
        wanted(&rules).then_some(rules)
    })
}

fn matches(up: &Up, what: &str, total: u64, count: u64) {
    wait_for(&format!("{count} {what}"), || {
        (up.total(total_name(what)) >= count).then_some(())
    });
    assert_eq!(up.total(total_name(what)), count, "{what}");
    assert_eq!(up.total("events"), total);
}

fn total_name(what: &str) -> &'static str {
    match what {
        "matches" => "matches",
        _ => "correlation_matches",
    }
}

#[test]
fn rules_change_while_it_runs() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir_all(dir.path().join("logs")).unwrap();
    std::fs::create_dir_all(&rules).unwrap();
    put(&rules, "1.yml", &rule(1, "first", "one"));
    put(&rules, "9.yml", THREE_OF_A_USER);
    let config = dir.path().join("citywatch.toml");
    std::fs::write(
        &config,
        "[[agent.files]]\npaths = [\"logs/*.log\"]\nformat = \"json\"\nread_from = \"beginning\"\n\n\
         [engine]\nrules = [\"rules\"]\nrules_check_interval_s = 1\nflush_interval_ms = 100\n",
    )
    .unwrap();
    let log = dir.path().join("logs/a.log");
    let up = Up::start(dir.path(), &config);
    let status = rules_status(&up, "the first load", |rules| rules["loads"] != 0);
    assert_eq!(
        (status["loaded"].as_u64(), status["refused"].as_u64()),
        (Some(2), Some(0))
    );

    append(&log, "one", "an", 1);
    append(&log, "one", "an", 2);
    append(&log, "two", "an", 3);
    wait_for("three events", || (up.total("events") == 3).then_some(()));
    matches(&up, "matches", 3, 2);

    // Another rule: its events match from then on, and the open window of the correlation stays.
    put(&rules, "2.yml", &rule(2, "second", "two"));
    rules_status(&up, "the second load", |rules| rules["loaded"] == 3);
    append(&log, "two", "an", 4);
    append(&log, "one", "an", 5);
    wait_for("five events", || (up.total("events") == 5).then_some(()));
    matches(&up, "matches", 5, 4);
    matches(&up, "correlation", 5, 1);
    // What is given to alerting is part of what was found; a correlation is counted beside single events.
    wait_for("what alerting took in", || {
        let [single, correlated, found] = [
            "matches_alerted",
            "correlation_matches_alerted",
            "correlation_matches",
        ]
        .map(|name| up.total(name));
        // A correlation that has grown is told again.
        (single == 4 && correlated >= 1 && correlated <= found).then_some(())
    });

    // A broken rule is out with its error; the rest goes on.
    put(
        &rules,
        "1.yml",
        &rule(1, "first", "one").replace("{Word:", "{Word|contain:"),
    );
    // What is refused is the rule, and the correlation that refers to it.
    let status = rules_status(&up, "the third load", |rules| {
        rules["loaded"] == 1 && rules["refused"] == 2
    });
    let errors = status["errors"].to_string();
    assert!(
        errors.contains("1.yml:6:") && errors.contains("did you mean"),
        "{errors}"
    );
    let metrics = request(up.monitor, "GET", "/metrics", &[], "")
        .unwrap()
        .body;
    assert!(metrics.contains("citywatch_rules_left_out 2"), "{metrics}");
    append(&log, "one", "an", 6);
    append(&log, "two", "an", 7);
    wait_for("seven events", || (up.total("events") == 7).then_some(()));
    matches(&up, "matches", 7, 5);

    // Nothing to be loaded: the rules stay. On SIGHUP it looks at once, whatever has changed.
    std::fs::rename(&rules, dir.path().join("away")).unwrap();
    rules_status(&up, "the folder to be missed", |rules| {
        rules["not_loaded"].is_string()
    });
    std::fs::rename(dir.path().join("away"), &rules).unwrap();
    put(&rules, "1.yml", &rule(1, "first", "one"));
    signal(up.running.id(), "HUP");
    rules_status(&up, "the mended rule", |rules| {
        rules["loaded"] == 3 && rules["not_loaded"].is_null()
    });
    append(&log, "one", "binh", 8);
    wait_for("eight events", || (up.total("events") == 8).then_some(()));
    matches(&up, "matches", 8, 6);
    up.running.stop();
}

#[test]
fn a_changed_pipeline_changes_the_rules() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir_all(dir.path().join("logs")).unwrap();
    std::fs::create_dir_all(&rules).unwrap();
    put(
        &rules,
        "1.yml",
        &rule(1, "first", "one").replace("{Word:", "{Says:"),
    );
    let pipeline = |field: &str| {
        let text = format!(
            "name: words\npriority: 10\ntransformations:\n  - type: field_name_mapping\n    mapping: {{Says: {field}}}\n"
        );
        let fresh = dir.path().join("pipeline.new");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(fresh, dir.path().join("pipeline.yml")).unwrap();
    };
    pipeline("Nothing");
    let config = dir.path().join("citywatch.toml");
    std::fs::write(
        &config,
        "[[agent.files]]\npaths = [\"logs/*.log\"]\nformat = \"json\"\nread_from = \"beginning\"\n\n\
         [engine]\nrules = [\"rules\"]\npipelines = [\"pipeline.yml\"]\nrules_check_interval_s = 1\nflush_interval_ms = 100\n",
    )
    .unwrap();
    let log = dir.path().join("logs/a.log");
    let up = Up::start(dir.path(), &config);
    let status = rules_status(&up, "the first load", |rules| rules["loads"] != 0);
    let loads = status["loads"].as_u64().unwrap();
    append(&log, "one", "an", 1);
    wait_for("the first event", || {
        (up.total("events") == 1).then_some(())
    });
    matches(&up, "matches", 1, 0);

    pipeline("Word");
    rules_status(&up, "the load with the other pipeline", |rules| {
        rules["loads"].as_u64() > Some(loads)
    });
    append(&log, "one", "an", 2);
    wait_for("the second event", || {
        (up.total("events") == 2).then_some(())
    });
    matches(&up, "matches", 2, 1);

    // One that cannot be read: the rules stay as they are, and it is told.
    std::fs::write(
        dir.path().join("pipeline.yml"),
        "transformations: [{type: field_name_maping}]\n",
    )
    .unwrap();
    let status = rules_status(&up, "the broken pipeline", |rules| {
        rules["not_loaded"].is_string()
    });
    let told = status["not_loaded"].to_string();
    assert!(told.contains("pipeline.yml:1:"), "{told}");
    append(&log, "one", "an", 3);
    wait_for("the third event", || {
        (up.total("events") == 3).then_some(())
    });
    matches(&up, "matches", 3, 2);
    up.running.stop();
}

/// Rules that take long enough to read that much can happen meanwhile.
const MANY_RULES: u32 = 3_000;

/// Starts with many rules, waits until SIGHUP is listened for, which is before any of them is read, and puts one
/// more rule among them. `check_interval_s` is how often changes are looked for.
fn changed_during_the_first_load(check_interval_s: u32, then: impl Fn(&Up)) {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir_all(&rules).unwrap();
    let many: Vec<String> = (0..MANY_RULES)
        .map(|number| {
            let id = format!("00000000-0000-4000-8000-{:012}", number + 100);
            rule(1, "many", &format!("word{number}"))
                .replace("00000000-0000-4000-8000-000000000001", &id)
                .replace("name: many", &format!("name: many{number}"))
        })
        .collect();
    for (number, some) in many.chunks(100).enumerate() {
        put(&rules, &format!("many{number}.yml"), &some.join("---\n"));
    }
    let config = dir.path().join("citywatch.toml");
    std::fs::write(
        &config,
        format!("[engine]\nrules = [\"rules\"]\nrules_check_interval_s = {check_interval_s}\n"),
    )
    .unwrap();
    let up = Up::start_unready(dir.path(), &config);
    wait_for("SIGHUP to be listened for", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", up.running.id())).ok()?;
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?;
        let caught = u64::from_str_radix(caught.trim(), 16).ok()?;
        (caught & 1 == 1).then_some(())
    });
    put(&rules, "1.yml", &rule(1, "first", "one"));
    then(&up);
    rules_status(&up, "the rule that came meanwhile", |rules| {
        rules["loaded"] == MANY_RULES + 1
    });
    up.running.stop();
}

#[test]
fn a_rule_that_comes_during_the_first_load_is_found() {
    changed_during_the_first_load(1, |_| {});
}

#[test]
fn a_hangup_during_the_first_load_loads_the_rules_again() {
    changed_during_the_first_load(0, |up| {
        signal(up.running.id(), "HUP");
        // Nothing else has them loaded again. It lives, or it would not answer.
        rules_status(up, "the second load", |rules| rules["loads"] == 2);
    });
}

#[test]
fn a_correlation_spans_a_restart_and_is_told_once() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    std::fs::create_dir_all(dir.path().join("logs")).unwrap();
    std::fs::create_dir_all(&rules).unwrap();
    put(&rules, "1.yml", &rule(1, "first", "one"));
    put(&rules, "9.yml", THREE_OF_A_USER);
    let config = dir.path().join("citywatch.toml");
    std::fs::write(
        &config,
        "[[agent.files]]\npaths = [\"logs/*.log\"]\nformat = \"json\"\nread_from = \"beginning\"\n\n\
         [engine]\nrules = [\"rules\"]\nflush_interval_ms = 100\n",
    )
    .unwrap();
    let log = dir.path().join("logs/a.log");
    let correlated = |events: u32, ended: fn(Up)| {
        let up = Up::start(dir.path(), &config);
        append(&log, "one", "an", events);
        wait_for("the event", || (up.total("events") >= 1).then_some(()));
        up.wait_until_stored();
        let told = up.total("correlation_matches");
        ended(up);
        told
    };
    // An event for each run; the third makes it three.
    assert_eq!(correlated(1, |up| up.running.stop()), 0);
    assert_eq!(correlated(2, |up| up.running.kill()), 0);
    assert_eq!(correlated(3, |up| up.running.kill()), 1);
    // It holds still, and is what it was: a fourth event belongs to it, and makes no other.
    correlated(4, |up| up.running.stop());
    let store = StoreServer::start(&dir.path().join("data/store"), dir.path(), "store");
    let rows = store.query(
        "SELECT count(), uniqExact(match_id), min(length(rule_hash)) FROM citywatch.matches FINAL WHERE correlation",
    );
    assert_eq!(
        rows,
        ["1\t1\t64"],
        "matches, ids, characters of the rule's hash"
    );
    store.running.stop();
}
