//! `citywatch dead-letters` against the real embedded store, however it is reached.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Output;

use support::{StoreServer, Up, have_chdb, run};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn config(dir: &Path, store: &str) -> String {
    let path = dir.join("citywatch.toml");
    std::fs::create_dir_all(dir.join("logs")).unwrap();
    let text = format!(
        "[agent]\nname = \"test-agent\"\nunit = \"test-unit\"\n\n[[agent.files]]\npaths = [\"{}/logs/*.log\"]\n\n[engine]\nflush_interval_ms = 200\n{store}",
        dir.display()
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const LETTERS: &str = "INSERT INTO citywatch.dead_letters (agent, stream, position, received_at, unit, host, format, kind, reason, raw) VALUES \
    ('agent-1', '/var/log/a.log', 10, '2026-11-20 01:00:00', 'ward-1', 'h', 'syslog', 'internal_error', 'the engine failed', 'first'), \
    ('agent-1', '/var/log/a.log', 20, '2026-11-20 02:00:00', 'ward-1', 'h', 'syslog', 'internal_error', 'the engine failed', unhex('1B5B324AFF0A00')), \
    ('agent-2', 'journal', 30, '2026-11-21 01:00:00', 'ward-2', 'h', 'json', 'not_stored', 'too many parts', 'third')";

#[test]
fn they_are_listed_and_shown_however_the_store_is_reached() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let embedded = config(dir.path(), "");

    let output = run(&["dead-letters", "list", "--data", data]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no store at"), "{}", text(&output));

    // While `up` runs, through its store.
    let up = Up::start(dir.path(), Path::new(&embedded));
    let list = |more: &[&str]| {
        let args = [
            "dead-letters",
            "list",
            "--config",
            &embedded,
            "--data",
            data,
        ];
        run(&[&args, more].concat())
    };
    let output = list(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("no dead letters"),
        "{}",
        text(&output)
    );
    up.running.stop();
    assert!(
        !Path::new(data).join("store-access.json").exists(),
        "the password of a store that is gone"
    );

    // A store process by itself, by its address.
    let server = StoreServer::start(&Path::new(data).join("store"), dir.path(), "store");
    server.query(LETTERS);
    let other = tempfile::tempdir().unwrap();
    let by_address = config(other.path(), &server.config());
    let output = run(&["dead-letters", "list", "--config", &by_address]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(text(&output).lines().count(), 4, "{}", text(&output));
    server.running.stop();

    // Nothing runs: it is started for the command.
    let output = list(&["--output", "ndjson"]);
    assert!(output.status.success(), "{}", text(&output));
    let letters = json_lines(&output);
    let positions: Vec<u64> = letters
        .iter()
        .map(|letter| letter["position"].as_u64().unwrap())
        .collect();
    assert_eq!(positions, [30, 20, 10], "newest first");
    assert_eq!(letters[0]["received_at"], "2026-11-21T01:00:00Z");

    let up = Up::start(dir.path(), Path::new(&embedded));
    for (filter, expected) in [
        (&["--reason", "not_stored"][..], &[30][..]),
        (&["--reason", "ENGINE"], &[20, 10]),
        (&["--unit", "ward-1", "--limit", "1"], &[20]),
        (&["--agent", "agent-2"], &[30]),
        (
            &["--stream", "/var/log/a.log", "--to", "2026-11-20T08:30:00"],
            &[10],
        ),
        (&["--from", "2026-11-20T02:00:00Z"], &[30, 20]),
    ] {
        let output = list(&[filter, &["--output", "ndjson"]].concat());
        let found: Vec<u64> = json_lines(&output)
            .iter()
            .map(|letter| letter["position"].as_u64().unwrap())
            .collect();
        assert_eq!(found, expected, "{filter:?}: {}", text(&output));
    }
    let output = list(&["--from", "soon"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));

    let show = |id: &str, more: &[&str]| {
        let args = [
            "dead-letters",
            "show",
            id,
            "--config",
            &embedded,
            "--data",
            data,
        ];
        run(&[&args, more].concat())
    };
    let id = letters[1]["id"].as_str().unwrap();
    let output = show(&id[..12], &[]);
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(shown.contains("\\x1b[2J\\xff\\n\\x00"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
    assert!(shown.contains("/var/log/a.log"), "{shown}");
    let output = show(id, &["--raw"]);
    assert_eq!(output.stdout, b"\x1b[2J\xff\n\0");
    assert_eq!(show("0123456789ab", &[]).status.code(), Some(1));
    assert_eq!(show("xyz", &[]).status.code(), Some(2));
    up.running.stop();
}

fn json_lines(output: &Output) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
