//! The real `citywatch-agent`: its command line, and its life and sudden deaths against a real broker.

#![allow(clippy::unwrap_used, reason = "a fault here is a failed test")]

#[path = "../../tests/support/broker.rs"]
mod broker;
#[path = "../../tests/support/ports.rs"]
mod ports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use broker::Broker;
use citywatch_collector::heartbeat::HEARTBEAT;
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
        (
            "name = 'a'\n",
            "neither a [kafka] section (`brokers = \"host:9092\"`) nor an [https] section",
        ),
        (
            "[kafka]\nbrokers = 'nowhere'\n",
            "agent.toml:2: kafka.brokers: `nowhere` is not `host:port`",
        ),
        (
            "batch_bytes_max = 0\n",
            "batch_bytes_max: 0 is out of range",
        ),
        (
            "[[command]]\nrun = []\n",
            "agent.toml:2: command[0].run: empty; name the program",
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
    assert!(
        report.contains("masks nothing") && report.contains("positions in"),
        "{report}"
    );
    fs::write(
        &path,
        "[kafka]\nbrokers = '127.0.0.1:1'\n[stdin]\n[[command]]\nrun = ['sh', '-c', 'ls']\n[[command]]\nrun = ['no-such']\n",
    )
    .unwrap();
    let output = agent(&path, "check").output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "command sh: sh -c ls (format auto)",
        "no-such is in no folder of PATH",
        "standard input to its end",
        "what cannot be read again in citywatch-data/agent/spool, until Kafka has it: 4096 MiB at most, then senders wait",
        "Wrong\n  no-such is in no folder of PATH",
    ] {
        assert!(report.contains(line), "{report}");
    }
}

#[test]
fn mask_shows_what_would_be_masked_and_how_much() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key, mode).unwrap();
    let path = dir.path().join("agent.toml");
    let text = format!(
        "[masking]\nkey_file = '{}'\nkinds = ['email', 'phone']\n[[files]]\npaths = ['/x']\nmask = ['badge']\n\
         [[files]]\npaths = ['/y']\nmask = []\n[masking.patterns]\nbadge = 'badge=([0-9]{{4}})'\n",
        key.display()
    );
    fs::write(&path, text).unwrap();
    let input = dir.path().join("input.log");
    fs::write(
        &input,
        "an@example.vn 0901234567\nnothing\nbadge=1234 +84901234567\n",
    )
    .unwrap();
    let mask = |source: Option<&str>| {
        let mut command = agent(&path, "mask");
        command.args(source.map(|source| format!("--source={source}")));
        let output = command.arg(&input).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout.clone()).unwrap(),
            stderr(&output),
        )
    };
    let (code, out, counts) = mask(None);
    assert_eq!(code, Some(0), "{counts}");
    assert_eq!(counts, "masked: email 1, phone 2; 2 of 3 lines\n");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines[1], "nothing");
    let phone = lines[0].split_once(' ').unwrap().1;
    assert!(
        phone.starts_with("<phone:") && lines[2].ends_with(phone),
        "{out}"
    );
    let (_, out, counts) = mask(Some("files[0]"));
    assert_eq!(counts, "masked: badge 1; 1 of 3 lines\n");
    assert!(out.starts_with("an@example.vn 0901234567\n"), "{out}");
    assert!(mask(Some("files[1]")).2.contains("nothing is masked"));
    let (code, _, told) = mask(Some("files[2]"));
    assert_eq!(
        (code, told.as_str()),
        (
            Some(2),
            "citywatch-agent: there is no source `files[2]`; there are: files[0], files[1]\n"
        )
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
        // What the agent says of itself is no record.
        if &*delivery.batch.origin.format == HEARTBEAT {
            delivery.receipt.acknowledge();
            continue;
        }
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
        if &*delivery.batch.origin.format == HEARTBEAT {
            delivery.receipt.acknowledge();
            continue;
        }
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

/// A topic's records but heartbeats, and the identities they came with.
type Found = BTreeMap<String, BTreeSet<(String, u64)>>;

/// Everything in a topic until it is enough.
async fn records_of(broker: &Broker, topic: &str, is_enough: impl Fn(&Found) -> bool) -> Found {
    let consumer = ConsumerConfig {
        brokers: broker.address().into(),
        topics: BTreeMap::from([(topic.to_owned(), TopicConfig::default())]),
        group: format!("{topic}-test"),
        tls: None,
        options: BTreeMap::new(),
    };
    let shutdown = CancellationToken::new();
    let (mut deliveries, task) = Consumer::start(&consumer, 16, shutdown.clone()).unwrap();
    let mut found = Found::new();
    while !is_enough(&found) {
        let delivery = timeout(PATIENCE, deliveries.recv())
            .await
            .expect("all arrives")
            .unwrap();
        // The agent's word of itself, first said at its start: no record that a test sent.
        if &*delivery.batch.origin.format == HEARTBEAT {
            delivery.receipt.acknowledge();
            continue;
        }
        for record in delivery.batch.iter() {
            let raw = String::from_utf8_lossy(record.raw).into_owned();
            let identity = (record.origin.stream.to_string(), record.position);
            found.entry(raw).or_default().insert(identity);
        }
        delivery.receipt.acknowledge();
    }
    shutdown.cancel();
    drop(deliveries);
    task.ended().await;
    found
}

/// What is piped in is in Kafka when the agent ends by itself; what was durable when it was killed
/// arrives after the next start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn standard_input_is_sent_to_its_end_and_survives_kill() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("stdin", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agent.toml");
    let state = dir.path().join("state");
    for (brokers, lines) in [("127.0.0.1:1", 0..100), (broker.address(), 100..5000)] {
        let text = format!(
            "name = 'pipe'\nstate_dir = '{}'\n[kafka]\nbrokers = '{brokers}'\ntopic = 'stdin'\n\
             [stdin]\nunit = 'ward-3'\n",
            state.display()
        );
        fs::write(&config, text).unwrap();
        let mut child = agent(&config, "run")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        for line in lines {
            writeln!(input, "line {line}").unwrap();
        }
        if brokers == broker.address() {
            write!(input, "the last line has no end").unwrap();
            drop(input);
            assert_eq!(child.wait().unwrap().code(), Some(0));
            continue;
        }
        let kept = wait_for(|| {
            let status = status_of(&state)?;
            (status["listeners"][0]["durable_records"] == 100).then_some(())
        });
        assert!(kept.is_some(), "kept while Kafka is away");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let found = records_of(&broker, "stdin", |found| found.len() >= 5001).await;
    assert!(found.values().all(|identities| identities.len() == 1));
    assert!(found.contains_key("the last line has no end"));
    assert!((0..5000).all(|line| found.contains_key(&format!("line {line}"))));
}

/// A command that ends is started again, its errors are in the log, and at the end it is asked to end
/// and read to its last word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_started_again_and_read_to_their_last_word() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("commands", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("agent.toml");
    let state = dir.path().join("state");
    let text = format!(
        "name = 'runner'\nstate_dir = '{}'\n[kafka]\nbrokers = '{}'\ntopic = 'commands'\n\
         [[command]]\nname = 'short'\nrun = ['sh', '-c', 'echo run $$; echo woe >&2; exit 3']\n\
         [[command]]\nname = 'long'\nrun = ['sh', '-c', 'trap \"echo bye; exit\" TERM; echo hello; while :; do sleep 0.1; done']\n\
         [[command]]\nrun = ['./citywatch-no-such-program']\n",
        state.display(),
        broker.address()
    );
    fs::write(&config, text).unwrap();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut child = agent(&config, "run").stderr(log).spawn().unwrap();
    let status = wait_for(|| {
        let status = status_of(&state)?;
        let [short, long, missing] = [0, 1, 2].map(|index| &status["listeners"][index]);
        let is_done = short["ends"].as_u64()? >= 2
            && long["durable_records"].as_u64()? >= 1
            && missing["ends"].as_u64()? >= 2;
        is_done.then_some(status)
    });
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = fs::read_to_string(dir.path().join("log")).unwrap();
    let status = status.unwrap_or_else(|| panic!("the status does not show it\n{log}"));
    let error = |index: usize| status["listeners"][index]["last_error"].to_string();
    assert!(error(0).contains("exit status: 3"), "{status}");
    assert!(error(2).contains("No such file"), "{status}");
    assert_eq!(status["listeners"][1]["ends"], 0, "{status}");
    assert!(log.contains("a command says: woe"), "{log}");

    // What was spooled while the agent ended is sent after its next start; these commands add to it.
    let mut child = agent(&config, "run").stderr(Stdio::null()).spawn().unwrap();
    let is_enough = |found: &Found| found.contains_key("bye");
    let found = records_of(&broker, "commands", is_enough).await;
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let runs = found.keys().filter(|raw| raw.starts_with("run ")).count();
    assert!(found.contains_key("hello") && runs >= 2, "{found:?}");
}

/// What was answered with success is in Kafka at last, though Kafka was away and the agent was killed
/// right after its answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_http_was_told_is_kept_survives_kill() {
    let Some(broker) = Broker::start() else {
        return;
    };
    broker.topic("http", 1, &[]);
    let dir = tempfile::tempdir().unwrap();
    let port = ports::free_port();
    let config = dir.path().join("agent.toml");
    let write = |brokers: &str| {
        let text = format!(
            "name = 'door'\nstate_dir = '{}'\n[kafka]\nbrokers = '{brokers}'\ntopic = 'http'\n\
             [[http]]\nlisten = '127.0.0.1:{port}'\n",
            dir.path().join("state").display()
        );
        fs::write(&config, text).unwrap();
    };
    write("127.0.0.1:1");
    for round in 0..5 {
        let mut child = agent(&config, "run").stderr(Stdio::null()).spawn().unwrap();
        let mut sender = wait_for(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok())
            .expect("the agent listens");
        let bulk: String = (0..50)
            .map(|item| format!("{{\"create\":{{}}}}\n{{\"round\":{round},\"item\":{item}}}\n"))
            .collect();
        write!(
            sender,
            "POST /_bulk HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{bulk}",
            bulk.len()
        )
        .unwrap();
        let mut answer = [0; 12];
        sender.read_exact(&mut answer).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
    }
    write(broker.address());
    let mut child = agent(&config, "run").stderr(Stdio::null()).spawn().unwrap();
    let found = records_of(&broker, "http", |found| found.len() >= 250).await;
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    for (round, item) in (0..5).flat_map(|round| (0..50).map(move |item| (round, item))) {
        let raw = format!("{{\"round\":{round},\"item\":{item}}}");
        assert_eq!(found.get(&raw).map(BTreeSet::len), Some(1), "{raw}");
    }
}
