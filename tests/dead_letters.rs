//! `citywatch dead-letters` against the real embedded store, however it is reached.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::Output;

use support::{StoreServer, Up, have_chdb, project, request, run, wait_for};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn config(dir: &Path, more: &str) -> String {
    let path = dir.join("citywatch.toml");
    std::fs::create_dir_all(dir.join("logs")).unwrap();
    let text = format!(
        "[agent]\nname = \"test-agent\"\nunit = \"test-unit\"\n\n[[agent.files]]\npaths = [\"{}/logs/*.log\"]\n\n[engine]\nflush_interval_ms = 200\n{more}",
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

fn sshd_line(id: u32) -> String {
    format!(
        "2026-11-20T08:00:00.{id:06}+07:00 bastion-01 sshd[{id}]: Failed password for invalid user u{id} from 203.0.113.9 port 40022 ssh2"
    )
}

/// The store of a running `up`, by what it leaves for commands.
fn ask(data: &Path, sql: &str) -> Vec<String> {
    let access = std::fs::read(data.join("store-access.json")).unwrap();
    let access: serde_json::Value = serde_json::from_slice(&access).unwrap();
    let port = access["url"].as_str().unwrap().rsplit(':').next().unwrap();
    let headers = [
        ("X-ClickHouse-User", access["user"].as_str().unwrap()),
        ("X-ClickHouse-Key", access["password"].as_str().unwrap()),
    ];
    let answer = request(port.parse().unwrap(), "POST", "/", &headers, sql).unwrap();
    assert_eq!(answer.status, 200, "{sql}: {answer:?}");
    answer.body.lines().map(str::to_owned).collect()
}

#[test]
fn a_replay_stores_what_is_missing_and_nothing_twice() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = config(
        dir.path(),
        &format!("rules = [\"{}/rules/library\"]\n", project().display()),
    );
    let log = dir.path().join("logs/auth.log");
    let lines: String = (0..50).map(|id| sshd_line(id) + "\n").collect();
    std::fs::write(&log, lines).unwrap();
    let settings = std::fs::read_to_string(&config).unwrap();
    let read = ".log\"]\nformat = \"syslog\"\nread_from = \"beginning\"";
    std::fs::write(&config, settings.replace(".log\"]", read)).unwrap();
    let up = Up::start(dir.path(), Path::new(&config));
    wait_for("the lines to be stored", || {
        (up.total("events_stored") >= 50).then_some(())
    });

    // One that is stored (its mark was lost in a crash), two that are missing, one that nothing follows yet, and
    // a frame that is none.
    let stream = ask(&data, "SELECT any(stream) FROM citywatch.events").remove(0);
    let letter = |position: u64, format: &str, raw: &str| {
        let values = format!(
            "'test-agent', '{stream}', {position}, now64(6), 'test-unit', '', '{format}', 'internal_error', 'failed', '{raw}'"
        );
        ask(
            &data,
            &format!(
                "INSERT INTO citywatch.dead_letters (agent, stream, position, received_at, unit, host, format, kind, reason, raw) VALUES ({values})"
            ),
        );
    };
    let received = ask(
        &data,
        "SELECT toString(received_at) FROM citywatch.events WHERE position = 0",
    );
    ask(
        &data,
        &format!(
            "INSERT INTO citywatch.dead_letters (agent, stream, position, received_at, unit, format, kind, raw) VALUES ('test-agent', '{stream}', 0, '{}', 'test-unit', 'syslog', 'internal_error', '{}')",
            received[0],
            sshd_line(0)
        ),
    );
    letter(1, "syslog", &sshd_line(1_001));
    letter(2, "auto", &sshd_line(1_002));
    letter(1_000_000, "syslog", &sshd_line(1_003));
    letter(3, "undecodable", "no frame");

    let replay = |more: &[&str]| {
        let data = data.to_str().unwrap();
        let args = [
            "dead-letters",
            "replay",
            "--config",
            &config,
            "--data",
            data,
        ];
        run(&[&args, more].concat())
    };
    assert_eq!(replay(&[]).status.code(), Some(2), "nothing chosen");
    let output = replay(&["--all", "--dry-run"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said.trim(),
        "5 found: to replay 2, stored before 1, waiting 1, undecodable 1, unreadable 0, refused 0",
        "{}",
        text(&output)
    );
    let counts = "SELECT count(), uniqExact(event_id), uniqExact(position) FROM citywatch.events";
    assert_eq!(ask(&data, counts), ["50\t50\t50"]);

    let output = replay(&["--all"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said.trim(),
        "5 found: replayed 2, failed again 0, stored before 1, waiting 1, undecodable 1, unreadable 0, refused 0",
        "{}",
        text(&output)
    );
    assert_eq!(output.status.code(), Some(1), "some are left");
    assert_eq!(ask(&data, counts), ["52\t52\t52"]);
    let fields = "SELECT position, user, unit, agent, format FROM citywatch.events WHERE position IN (1, 2) ORDER BY position";
    assert_eq!(
        ask(&data, fields),
        [
            "1\tu1001\ttest-unit\ttest-agent\tsyslog",
            "2\tu1002\ttest-unit\ttest-agent\tsyslog"
        ]
    );
    let matched = "SELECT uniqExact(position) FROM citywatch.matches WHERE position IN (1, 2) AND NOT correlation";
    assert_eq!(ask(&data, matched), ["2"], "rules are asked, too");

    // Again: what is stored is no dead letter any more.
    let output = replay(&["--all"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.starts_with("2 found: replayed 0,"),
        "{}",
        text(&output)
    );
    assert_eq!(ask(&data, counts), ["52\t52\t52"]);

    // Chosen by a filter.
    letter(5, "syslog", &sshd_line(1_005));
    let output = replay(&[
        "--reason",
        "internal_error",
        "--agent",
        "test-agent",
        "--stream",
        &stream,
    ]);
    assert!(
        text(&output).contains(
            "3 found: replayed 1, failed again 0, stored before 0, waiting 1, undecodable 1, unreadable 0, refused 0"
        ),
        "{}",
        text(&output)
    );
    let output = replay(&["--unit", "nobody"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    up.running.stop();
}
