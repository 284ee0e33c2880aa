//! Watching a running system: `citywatch top`, `citywatch tap`, metrics of the queues, and alerts about faults
//! of our own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{Session, Up, citywatch, have_chdb, request, run, wait_for};

fn config(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("citywatch.toml");
    let text = "[agent]\nname = \"a1\"\nhost = \"web01\"\nunit = \"u1\"\n\
         [[agent.files]]\npaths = [\"app.log\"]\nformat = \"text\"\n\
         [engine]\nflush_interval_ms = 100\nagent_silent_after_s = 3\n\
         [watch.faults]\ncertificates = [\"no-such-certificate.pem\"]\n";
    std::fs::write(&path, text).unwrap();
    path
}

/// `citywatch tap`, running.
fn tap(up: &Up, dir: &Path, arguments: &[&str]) -> Child {
    Command::new(citywatch())
        .arg("tap")
        .args(arguments)
        .args(["--data", dir.join("data").to_str().unwrap()])
        .args(["--monitor", &format!("127.0.0.1:{}", up.monitor)])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_running_system_can_be_watched() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let log = dir.join("app.log");
    std::fs::write(&log, "first line\n").unwrap();
    let up = Up::start(dir, &config(dir));
    up.wait_until_stored();

    // Lines come until both watchers have seen enough: one of them begins to watch in between.
    let filter = ["--filter", "raw~hostile", "--limit", "3"];
    let mut events = tap(
        &up,
        dir,
        &[&["events", "--filter", "host=WEB*"], &filter[..]].concat(),
    );
    let mut records = tap(
        &up,
        dir,
        &[&["records", "--output", "json"], &filter[..]].concat(),
    );
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    wait_for("both watchers to have seen enough", || {
        file.write_all(b"a hostile \x1b[2J\xc2\x9b31m line\nan honest line\n")
            .unwrap();
        let ended = |child: &mut Child| child.try_wait().unwrap().is_some();
        (ended(&mut events) & ended(&mut records)).then_some(())
    });
    for (child, is_json) in [(events, false), (records, true)] {
        let output = child.wait_with_output().unwrap();
        let (shown, said) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert!(output.status.success(), "{said}");
        assert_eq!(shown.lines().count(), 3, "{shown}");
        assert!(said.contains("3 shown"), "{said}");
        for line in shown.lines() {
            assert!(
                line.contains("a hostile \\u001b[2J\\u009b31m line"),
                "{line}"
            );
            assert!(!line.contains(char::is_control), "{line:?}");
            if is_json {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                assert_eq!(value["unit"], "u1");
                assert_eq!(value["raw"], "a hostile \u{1b}[2J\u{9b}31m line");
            } else {
                assert!(line.contains("u1/web01"), "{line}");
            }
        }
    }

    // Log content is for who has the token; a wrong filter is said.
    for authorization in ["", "Bearer 00", "Basic x"] {
        let headers = [("Authorization", authorization)];
        let answer = request(up.monitor, "GET", "/tap?kind=events", &headers, "").unwrap();
        assert_eq!(answer.status, 401, "{answer:?}");
        assert!(!answer.body.contains("line\""), "{answer:?}");
    }
    let refused = tap(&up, dir, &["events", "--filter", "web01"]);
    let refused = refused.wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("name=value"));

    // Stages, queues and lag at a glance, and as metrics.
    let monitor = format!("127.0.0.1:{}", up.monitor);
    let top = run(&["top", "--once", "--monitor", &monitor]);
    let page = String::from_utf8(top.stdout).unwrap();
    for words in [
        "ready",
        "records in",
        "events stored",
        "spool",
        "worker 0",
        "writer",
        "alerting",
    ] {
        assert!(page.contains(words), "{words} is missing in\n{page}");
    }
    wait_for("the queues' metrics", || {
        let metrics = request(up.monitor, "GET", "/metrics", &[], "")?.body;
        let queues = ["transport", "worker 0", "writer", "alerting"];
        let told = queues
            .iter()
            .all(|name| metrics.contains(&format!("citywatch_queue_waiting{{queue=\"{name}\"}}")));
        (told && metrics.contains("citywatch_store_bytes_max")).then_some(())
    });

    // A fault of our own is an incident.
    let session = Session::first(&up, dir);
    wait_for("the alert about the certificate", || {
        let incidents = session.get("/api/v1/incidents").to_string();
        incidents.contains("A certificate ends soon").then_some(())
    });
    // The agent of this process speaks each minute: more is asked of it here.
    wait_for("the alert about the agent", || {
        let incidents = session.get("/api/v1/incidents").to_string();
        incidents.contains("An agent fell silent").then_some(())
    });
    let agents = &up.status().unwrap()["details"]["agents"];
    let heard = &agents["agents"][0];
    assert_eq!(
        (
            &agents["heard_since_start"],
            &heard["agent"],
            &heard["unit"]
        ),
        (&1.into(), &"a1".into(), &"u1".into()),
        "{agents}"
    );
    up.running.stop();
}
