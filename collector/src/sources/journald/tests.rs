//! The real `journalctl` on journals that `systemd-journal-remote` writes; each test skips visibly where
//! they are not installed.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::AgentConfig;
use crate::sink::Sink;
use crate::spool::{Spool, SpoolLimits};
use crate::{Agent, Delivery};

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);
const JOURNAL_REMOTE: &str = "/lib/systemd/systemd-journal-remote";

struct Run {
    dir: tempfile::TempDir,
    config: AgentConfig,
}

impl Run {
    fn new(change: impl FnOnce(&mut JournaldConfig)) -> Option<Self> {
        let is_there = Path::new(JOURNAL_REMOTE).exists()
            && super::super::command::find_program("journalctl").is_ok();
        if !is_there {
            eprintln!(
                "skipped: journalctl and systemd-journal-remote are not installed; deploy/setup.sh --for test does it"
            );
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("journal")).unwrap();
        let mut journal = JournaldConfig {
            directory: Some(dir.path().join("journal")),
            ..JournaldConfig::default()
        };
        change(&mut journal);
        let config = AgentConfig {
            state_dir: dir.path().join("state"),
            journald: vec![journal],
            ..AgentConfig::default()
        };
        assert_eq!(config.problems(), Vec::<String>::new());
        Some(Self { dir, config })
    }

    /// Adds entries to the journal; `numbers` stand in their messages, which have line ends in them.
    fn write(&self, numbers: std::ops::Range<u64>) {
        let mut entries = Vec::new();
        for number in numbers {
            let at = 1_700_000_000_000_000 + number;
            let head = format!(
                "__REALTIME_TIMESTAMP={at}\n__MONOTONIC_TIMESTAMP={number}\n_BOOT_ID=0123456789abcdef0123456789abcdef\nUNIT=u{}\n",
                number % 2
            );
            let message = format!("number {number}\n\nPASSWORD=none\n\u{1ec7}");
            entries.extend_from_slice(head.as_bytes());
            entries.extend_from_slice(b"MESSAGE\n");
            entries.extend_from_slice(&(message.len() as u64).to_le_bytes());
            entries.extend_from_slice(message.as_bytes());
            entries.extend_from_slice(b"\n\n");
        }
        let output = self.dir.path().join("journal/test.journal");
        let mut remote = std::process::Command::new(JOURNAL_REMOTE)
            .arg(format!("--output={}", output.display()))
            .args(["--split-mode=none", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        remote.stdin.take().unwrap().write_all(&entries).unwrap();
        let output = remote.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Runs the agent until so many records are durable, and returns them.
    async fn read(&self, records: u64, meanwhile: impl FnOnce()) -> Vec<(String, u64, Vec<u8>)> {
        let (writer, reader) =
            Spool::open(&self.dir.path().join("spool"), SpoolLimits::default()).unwrap();
        let shutdown = CancellationToken::new();
        let agent = Agent::start(&self.config, Sink::Spool(writer), shutdown.clone()).unwrap();
        let state = self.config.state_dir.join("journald-journal.json");
        let reached = async {
            while !fs::read_to_string(&state).is_ok_and(|state| state.contains("true")) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            meanwhile();
            while agent.status().listeners[0].durable_records < records {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{:?}", agent.status().listeners));
        shutdown.cancel();
        timeout(PATIENCE, agent.ended())
            .await
            .expect("the agent ends");
        let stop = CancellationToken::new();
        let (mut deliveries, task) = reader.start(16, stop.clone()).unwrap();
        let mut found = Vec::new();
        while (found.len() as u64) < records {
            let delivered = timeout(PATIENCE, deliveries.recv()).await;
            let Delivery { batch, receipt, .. } = delivered.unwrap().unwrap();
            for record in batch.iter() {
                assert_eq!(&*record.origin.format, "journald_export");
                let stream = record.origin.stream.to_string();
                found.push((stream, record.position, record.raw.to_vec()));
            }
            receipt.acknowledge();
        }
        stop.cancel();
        task.ended().await;
        found
    }
}

fn numbers(found: &[(String, u64, Vec<u8>)]) -> Vec<u64> {
    let number = |(_, _, raw): &(String, u64, Vec<u8>)| {
        let text = String::from_utf8_lossy(raw).into_owned();
        assert!(
            text.starts_with("__CURSOR=s=") && text.contains("PASSWORD=none\n\u{1ec7}"),
            "{text}"
        );
        let after = text.split_once("number ").unwrap().1;
        after.split_once('\n').unwrap().0.parse().unwrap()
    };
    found.iter().map(number).collect()
}

#[tokio::test]
async fn entries_come_once_in_order_over_restarts() {
    let Some(run) = Run::new(|_| ()) else { return };
    run.write(0..1000);
    let first = run.read(1000, || ()).await;
    assert_eq!(numbers(&first), (0..1000).collect::<Vec<_>>());
    run.write(1000..1003);
    let second = run.read(6, || run.write(1003..1006)).await;
    assert_eq!(numbers(&second), (1000..1006).collect::<Vec<_>>());
    let places: Vec<_> = first
        .iter()
        .chain(&second)
        .map(|(stream, position, _)| (stream, position))
        .collect();
    assert!(
        places.is_sorted() && places[0].0 == places.last().unwrap().0,
        "one stream, growing"
    );

    // Without its position the agent gives the same entries the same identities.
    fs::remove_file(run.config.state_dir.join("journald-journal.json")).unwrap();
    let again = run.read(1006, || ()).await;
    assert_eq!(again[..1000], first);
}

#[tokio::test]
async fn only_what_matches_and_only_what_is_new() {
    let change = |journal: &mut JournaldConfig| {
        journal.matches = vec!["UNIT=u1".into()];
        journal.read_from = ReadFrom::End;
    };
    let Some(run) = Run::new(change) else { return };
    run.write(0..10);
    let found = run.read(3, || run.write(10..16)).await;
    assert_eq!(numbers(&found), [11, 13, 15]);
}

#[tokio::test]
async fn a_program_that_is_missing_is_told_and_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = AgentConfig {
        state_dir: dir.path().join("state"),
        journald: vec![JournaldConfig {
            journalctl: "citywatch-no-such-program".into(),
            ..JournaldConfig::default()
        }],
        ..AgentConfig::default()
    };
    let (writer, _reader) = Spool::open(&dir.path().join("spool"), SpoolLimits::default()).unwrap();
    let shutdown = CancellationToken::new();
    let agent = Agent::start(&config, Sink::Spool(writer), shutdown.clone()).unwrap();
    let told = async {
        loop {
            let listener = agent.status().listeners[0].clone();
            if listener.ends >= 2
                && listener
                    .last_error
                    .is_some_and(|error| error.contains("cannot be read"))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, told).await.expect("it is tried again");
    shutdown.cancel();
    timeout(PATIENCE, agent.ended())
        .await
        .expect("the agent ends");
}

#[test]
fn names_and_matches_that_make_no_sense_are_told() {
    let journal = |name: &str, text: &str| JournaldConfig {
        name: name.into(),
        matches: vec![text.into()],
        ..JournaldConfig::default()
    };
    let journals = [
        journal("a", "_UID=0"),
        journal("a", "+"),
        journal("../b", "_UID=0"),
        journal("c", "--vacuum-size=1"),
    ];
    let found = problems(&journals);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(
        found[0].contains("is the name of journald[0] too"),
        "{found:?}"
    );
    assert!(found[1].contains("`../b` is no name"), "{found:?}");
    assert!(found[2].contains("journald[3].matches"), "{found:?}");
}

#[test]
fn a_cursor_names_its_sequence_and_place() {
    assert_eq!(place("s=ab;i=2f;b=0;m=1;t=2;x=3"), Some(("ab", 47)));
    assert_eq!(place("s=ab;i=zz"), None);
    assert_eq!(place(""), None);
}
