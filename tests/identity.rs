//! An agent's life as people meet it: `citywatch ca`, `citywatch up`, `citywatch-agent enroll`, signed
//! batches over HTTPS, and the end by `citywatch ca revoke`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Running, StoreServer, Up, free_port, have_chdb, run, sibling, wait_for};

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs `citywatch ca` on the data of this test.
fn ca(dir: &Path, args: &[&str]) -> Output {
    let data = dir.join("data");
    run(&[&["ca"], args, &["--data", data.to_str().unwrap()]].concat())
}

fn token(dir: &Path, unit: &str) -> String {
    let made = ca(dir, &["token", "--unit", unit]);
    assert!(made.status.success(), "{}", text(&made));
    String::from_utf8_lossy(&made.stdout).trim().to_owned()
}

fn agent(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(sibling("citywatch-agent"));
    command.args(arguments).arg("--config").arg(config);
    command
}

fn append(log: &Path, lines: std::ops::Range<u32>) {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .unwrap();
    for line in lines {
        writeln!(
            file,
            "2026-11-22T08:00:00+07:00 web01 sshd[{line}]: session opened for user u{line}"
        )
        .unwrap();
    }
}

fn write(path: PathBuf, text: &str) -> PathBuf {
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn an_agent_lives_from_its_token_to_its_revocation() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("https://127.0.0.1:{port}");
    let config = write(
        dir.path().join("citywatch.toml"),
        &format!("[engine]\nflush_interval_ms = 200\n\n[intake]\nlisten = \"127.0.0.1:{port}\"\n"),
    );

    // Without an authority it says what to do.
    let output = Command::new(support::citywatch())
        .args(["up", "--config", config.to_str().unwrap(), "--data", "data"])
        .current_dir(dir.path())
        .args(["--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert!(
        text(&output).contains("citywatch ca init"),
        "{}",
        text(&output)
    );

    let made = ca(dir.path(), &["init"]);
    assert!(made.status.success(), "{}", text(&made));
    let up = Up::start(dir.path(), &config);
    let log = dir.path().join("auth.log");
    append(&log, 0..100);
    let agent_toml = write(
        dir.path().join("agent.toml"),
        &format!(
            "name = \"web01\"\nstate_dir = \"{0}/agent\"\n\n[https]\n\n[[files]]\npaths = [\"{0}/auth.log\"]\nformat = \"syslog\"\nread_from = \"beginning\"\n",
            dir.path().display()
        ),
    );

    // Before it is enrolled, an agent that is to use HTTPS says what to do.
    let output = agent(&["run"], &agent_toml).output().unwrap();
    assert!(
        text(&output).contains("citywatch-agent enroll"),
        "{}",
        text(&output)
    );

    let token_text = token(dir.path(), "hcmc/linh-xuan");
    let output = agent(&["enroll", &url, &token_text], &agent_toml)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("web01 of hcmc/linh-xuan"),
        "{}",
        text(&output)
    );
    let identity = dir.path().join("agent/identity/identity.pem");
    let mode = std::fs::metadata(&identity).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // The token is used up, and an identity is not replaced by mistake.
    let output = agent(&["enroll", &url, &token_text], &agent_toml)
        .output()
        .unwrap();
    assert!(text(&output).contains("--replace"), "{}", text(&output));
    let output = agent(&["enroll", &url, &token_text, "--replace"], &agent_toml)
        .output()
        .unwrap();
    assert!(
        text(&output).contains("the token has been used"),
        "{}",
        text(&output)
    );

    let output = agent(&["check"], &agent_toml).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(
        text(&output).contains("enrolled as web01 of hcmc/linh-xuan"),
        "{}",
        text(&output)
    );

    let running = Running::start(&mut agent(&["run"], &agent_toml), "agent", dir.path());
    wait_for("the agent's lines to be stored", || {
        (up.total("events_stored") >= 100).then_some(())
    });

    let heard = wait_for("the agent's heartbeat", || {
        let agents = up.status()?["details"]["agents"]["agents"].clone();
        agents.as_array()?.first().cloned()
    });
    assert_eq!(
        (&heard["agent"], &heard["unit"], &heard["silent"]),
        (&"web01".into(), &"hcmc/linh-xuan".into(), &false.into()),
        "{heard}"
    );
    // One clock on one machine.
    let offset_us = heard["clock_offset_us"].as_i64().unwrap();
    assert!(offset_us.abs() < 60_000_000, "{heard}");
    assert!(
        heard["certificate_until"].as_i64().unwrap() > 1_700_000_000,
        "{heard}"
    );

    let listed = ca(dir.path(), &["list"]);
    assert!(
        text(&listed).contains("web01 of hcmc/linh-xuan"),
        "{}",
        text(&listed)
    );
    let revoked = ca(dir.path(), &["revoke", "web01"]);
    assert!(text(&revoked).contains("revoked"), "{}", text(&revoked));
    // The revocation is in force within seconds; what comes before that is stored as an event.
    let mut lines = 100..101;
    wait_for("a dead letter", || {
        append(&log, lines.clone());
        lines = lines.end..lines.end + 1;
        std::thread::sleep(std::time::Duration::from_millis(500));
        (up.total("dead_letters") >= 1).then_some(())
    });
    let list = run(&[
        "dead-letters",
        "list",
        "--config",
        config.to_str().unwrap(),
        "--data",
        dir.path().join("data").to_str().unwrap(),
        "--reason",
        "refused",
    ]);
    assert!(
        text(&list).contains("the certificate of web01 of hcmc/linh-xuan is revoked"),
        "{}",
        text(&list)
    );
    let metrics = support::request(up.monitor, "GET", "/metrics", &[], "")
        .unwrap()
        .body;
    assert!(
        metrics.contains("citywatch_refused_batches_total{reason=\"revoked\"}"),
        "{metrics}"
    );
    wait_for("the agent to say that it is refused", || {
        let status = std::fs::read_to_string(dir.path().join("agent/status.json")).ok()?;
        status.contains("is revoked").then_some(())
    });
    running.stop();
    up.running.stop();

    let store = StoreServer::start(&dir.path().join("data/store"), dir.path(), "store");
    let units = store.query("SELECT DISTINCT agent, unit FROM citywatch.events");
    assert_eq!(units, ["web01\thcmc/linh-xuan"]);
    let events =
        store.query("SELECT count() >= 100, count() = uniqExact(position) FROM citywatch.events");
    assert_eq!(events, ["1\t1"]);
    store.running.stop();
}
