//! The real `citywatch-agent`: its command line, and its life and sudden deaths against a real broker.

#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

#[path = "../../tests/support/broker.rs"]
mod broker;
#[path = "../../tests/support/ports.rs"]
mod ports;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use broker::Broker;
use citywatch_collector::kafka::{Consumer, ConsumerConfig, TopicConfig};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

fn agent(config: &Path, command: &str) -> Command {
    let mut agent = Command::new(env!("CARGO_BIN_EXE_citywatch-agent"));
    agent.arg(command).arg("--config").arg(config);
    agent
}

fn write_config(dir: &Path, brokers: &str, pattern: &str) -> std::path::PathBuf {
    let path = dir.join("agent.toml");
    let (state, logs) = (dir.join("state"), dir.join(pattern));
    let text = format!(
        "name = 'test-agent'\nunit = 'ward-1'\nstate_dir = '{}'\n[kafka]\nbrokers = '{brokers}'\ntopic = 'records'\n\
         [[files]]\npaths = ['{}']\n",
        state.display(),
        logs.display()
    );
    fs::write(&path, text).unwrap();
    path
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_wrong_configuration_is_one_clear_message_and_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    for (text, message) in [
        (
            "[[files]]\npathz = ['x']\n",
            "agent.toml:2:1: unknown key `pathz`; did you mean `paths`?",
        ),
        ("name = 'a'\n", "no [kafka] section"),
        (
            "[kafka]\nbrokers = 'nowhere'\n",
            "kafka.brokers: `nowhere` is not `host:port`",
        ),
        (
            "batch_bytes_max = 0\n",
            "batch_bytes_max: 0 is out of range",
        ),
        ("name = \n", "agent.toml:1:8: "),
    ] {
        fs::write(&path, text).unwrap();
        let output = agent(&path, "run").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(
            stderr(&output).contains(message),
            "{text}: {}",
            stderr(&output)
        );
        assert_eq!(stderr(&output).lines().count(), 1, "{}", stderr(&output));
    }
    let missing = agent(&dir.path().join("none.toml"), "run")
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).contains("none.toml: cannot read the configuration"));
}

#[test]
fn check_explains_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.log"), "one\n").unwrap();
    let path = write_config(dir.path(), "127.0.0.1:1", "*.log");
    let output = agent(&path, "check").output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report.contains("a.log  4 bytes"), "{report}");
    assert!(
        report.contains("no broker answers: check `kafka.brokers`"),
        "{report}"
    );
}

#[test]
fn an_unreachable_broker_and_an_unreadable_file_are_waited_for_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.log"), "one\n").unwrap();
    fs::write(dir.path().join("secret.log"), "two\n").unwrap();
    fs::set_permissions(
        dir.path().join("secret.log"),
        std::os::unix::fs::PermissionsExt::from_mode(0o000),
    )
    .unwrap();
    fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    let path = write_config(dir.path(), "127.0.0.1:1", "*.log");
    let mut command = agent(&path, "run");
    if fs::File::open(dir.path().join("secret.log")).is_ok() {
        // Root reads everything; the agent runs as nobody then.
        command.uid(65534).gid(65534);
    }
    let Ok(mut child) = command.stderr(Stdio::piped()).spawn() else {
        eprintln!("skipped: the agent cannot be started as another user here");
        return;
    };
    let status = wait_for(|| {
        let status = status_of(&dir.path().join("state"))?;
        let unreachable = status["sink"]["kafka"]["connection"]["state"] == "unreachable";
        (unreachable
            && status["sources"]
                .as_array()?
                .iter()
                .any(|source| source["state"] == "unreadable"))
        .then_some(status)
    });
    terminate(&child);
    let code = child.wait().unwrap().code();
    let mut log = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    let status = status.unwrap_or_else(|| panic!("the status does not show it\n{log}"));
    let secret = status["sources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|source| source["state"] == "unreadable")
        .unwrap();
    assert!(
        secret["last_error"]
            .as_str()
            .unwrap()
            .contains("let the agent's user read it")
    );
    assert!(secret["retries"].as_u64().unwrap() > 0);
    assert_eq!(code, Some(0), "{log}");
}

fn terminate(child: &Child) {
    assert!(
        Command::new("kill")
            .arg(child.id().to_string())
            .status()
            .unwrap()
            .success()
    );
}

/// The agent's own word on itself.
fn status_of(state: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&fs::read(state.join("status.json")).ok()?).ok()
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    None
}

/// Lines are written, files rotated in all ways, and the agent killed at random moments: every line
/// arrives, and once positions known already are dropped, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_loses_nothing_and_repeats_nothing() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("records", 2, &[]);
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), broker.address(), "app.log");
    let log = dir.path().join("app.log");
    let mut written = Vec::new();
    for round in 0..8_u64 {
        let mut child = agent(&config, "run").stderr(Stdio::null()).spawn().unwrap();
        for step in 0..6 {
            let mut file = OpenOptions::new()
                .append(true)
                .create(true)
                .open(&log)
                .unwrap();
            for line in 0..200 {
                written.push(format!("round {round} step {step} line {line}"));
                writeln!(file, "{}", written.last().unwrap()).unwrap();
            }
            if step == 3 {
                // What was never seen under its name cannot be found under another.
                wait_for(|| is_known(&log, &dir.path().join("state")).then_some(()))
                    .expect("the agent remembers the file");
                rotate(&log, round);
            }
            tokio::time::sleep(Duration::from_millis(100 + 37 * ((round * 6 + step) % 7))).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let mut child = agent(&config, "run").stderr(Stdio::null()).spawn().unwrap();

    let settings = BTreeMap::from([("records".to_owned(), TopicConfig::default())]);
    let consumer = ConsumerConfig {
        brokers: broker.address().into(),
        topics: settings,
        group: "kill-test".into(),
        tls: None,
        options: BTreeMap::new(),
    };
    let shutdown = CancellationToken::new();
    let (mut deliveries, task) = Consumer::start(&consumer, 16, shutdown.clone()).unwrap();
    let (mut highest, mut stored, mut repeated) = (BTreeMap::new(), Vec::new(), 0);
    // Once all is there, a moment for what should not come.
    let patience = |stored: usize| match stored < written.len() {
        true => PATIENCE,
        false => Duration::from_secs(3),
    };
    while let Ok(Some(delivery)) = timeout(patience(stored.len()), deliveries.recv()).await {
        for record in delivery.batch.iter() {
            let known = highest.entry(record.origin.stream.clone()).or_insert(None);
            if known.is_some_and(|known| record.position <= known) {
                repeated += 1;
                continue;
            }
            *known = Some(record.position);
            stored.push((
                record.origin.stream.clone(),
                String::from_utf8_lossy(record.raw).into_owned(),
            ));
        }
        delivery.receipt.acknowledge();
    }
    terminate(&child);
    assert_eq!(
        child.wait().unwrap().code(),
        Some(0),
        "a clean end on SIGTERM"
    );
    shutdown.cancel();
    drop(deliveries);
    task.ended().await;
    eprintln!(
        "{} lines, {} streams, {repeated} repetitions dropped by their positions",
        stored.len(),
        highest.len()
    );

    // Within a stream the order is that of writing; over all streams every line is there once.
    let place: BTreeMap<&str, usize> = written
        .iter()
        .enumerate()
        .map(|(place, line)| (line.as_str(), place))
        .collect();
    let mut last = BTreeMap::new();
    for (stream, line) in &stored {
        let place = place[line.as_str()];
        assert!(
            last.insert(stream, place)
                .is_none_or(|before| before < place),
            "{stream}: {line} out of order"
        );
    }
    let mut lines: Vec<&str> = stored.iter().map(|(_, line)| line.as_str()).collect();
    lines.sort_unstable();
    let mut expected: Vec<&str> = written.iter().map(String::as_str).collect();
    expected.sort_unstable();
    let missing = expected
        .iter()
        .filter(|line| lines.binary_search(line).is_err())
        .count();
    assert_eq!((lines.len(), missing), (expected.len(), 0));
}

/// Whether the agent's checkpoints speak of this file with this content.
fn is_known(log: &Path, state: &Path) -> bool {
    let Ok(checkpoints) = fs::read(state.join("checkpoints.json")) else {
        return false;
    };
    let checkpoints: serde_json::Value = serde_json::from_slice(&checkpoints).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(log).unwrap());
    let content = fs::read(log).unwrap();
    checkpoints["files"].as_array().unwrap().iter().any(|file| {
        let fingerprint = &file["fingerprint"];
        let bytes = usize::try_from(fingerprint["bytes"].as_u64().unwrap()).unwrap();
        file["identity"]["inode"] == inode
            && bytes > 0
            && content.len() >= bytes
            && fingerprint["crc"] == crc32fast::hash(&content[..bytes])
    })
}

/// By rename, and by copying and truncating.
fn rotate(log: &Path, round: u64) {
    let rotated = log.with_file_name(format!("app.log.{round}"));
    if round.is_multiple_of(2) {
        fs::rename(log, rotated).unwrap();
    } else {
        fs::copy(log, rotated).unwrap();
        fs::File::create(log).unwrap();
    }
}

/// What a device sent while Kafka was away arrives when it is back, though the agent was killed in
/// between and the device has long forgotten it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn syslog_survives_in_the_spool_until_kafka_has_it() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("syslog", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let port = ports::free_port();
    let config = dir.path().join("agent.toml");
    let state = dir.path().join("state");
    for (brokers, lines) in [("127.0.0.1:1", 0..100), (broker.address(), 100..200)] {
        let text = format!(
            "name = 'relay'\nstate_dir = '{}'\n[kafka]\nbrokers = '{brokers}'\ntopic = 'syslog'\n\
             [[syslog]]\nlisten = '127.0.0.1:{port}'\nunits = {{ '127.0.0.0/8' = 'ward-7' }}\n",
            state.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = agent(&config, "run").stderr(Stdio::null()).spawn().unwrap();
        let mut device = wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok())
            .expect("the agent listens");
        for line in lines {
            writeln!(device, "<34>message {line}").unwrap();
        }
        let away = brokers != broker.address();
        let kept = wait_for(|| {
            let status = status_of(&state)?;
            let spool = &status["spool"];
            let durable = status["listeners"][1]["durable_records"] == 100;
            (durable && (away || spool["appended"] == spool["acknowledged"])).then_some(())
        });
        assert!(kept.is_some(), "spooled, and sent where Kafka is there");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    let consumer = ConsumerConfig {
        brokers: broker.address().into(),
        topics: BTreeMap::from([("syslog".to_owned(), TopicConfig::default())]),
        group: "syslog-test".into(),
        tls: None,
        options: BTreeMap::new(),
    };
    let shutdown = CancellationToken::new();
    let (mut deliveries, task) = Consumer::start(&consumer, 16, shutdown.clone()).unwrap();
    let mut found = std::collections::BTreeMap::new();
    while found.len() < 200 {
        let delivery = timeout(PATIENCE, deliveries.recv())
            .await
            .expect("all arrives")
            .unwrap();
        for record in delivery.batch.iter() {
            assert_eq!(
                (record.origin.unit.as_str(), record.origin.host.as_deref()),
                ("ward-7", Some("127.0.0.1"))
            );
            let raw = String::from_utf8_lossy(record.raw).into_owned();
            let identity = (record.origin.stream.clone(), record.position);
            assert_eq!(
                found
                    .insert(raw, identity.clone())
                    .unwrap_or_else(|| identity.clone()),
                identity
            );
        }
        delivery.receipt.acknowledge();
    }
    shutdown.cancel();
    drop(deliveries);
    task.ended().await;
}
