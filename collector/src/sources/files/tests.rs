//! The tailer against real files and a real spool: what is written comes out once and in order.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::AgentConfig;
use crate::delivery::Delivery;
use crate::sink::Sink;
use crate::spool::{Spool, SpoolLimits, SpoolTask};
use crate::status::{AgentStatus, SourceState};
use crate::{Agent, AgentHandle};

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory with logs, and an agent that is started and stopped over it.
struct Bench {
    dir: tempfile::TempDir,
    config: AgentConfig,
    running: Option<Running>,
    /// Every record that came out, by stream and position; twice with other bytes is a fault.
    stored: BTreeMap<(String, u64), String>,
    /// In the order of arrival, repetitions left out.
    order: Vec<String>,
    /// The formats of the batches, as they came.
    formats: Vec<String>,
}

struct Running {
    agent: AgentHandle,
    agent_shutdown: CancellationToken,
    reader: SpoolTask,
    reader_shutdown: CancellationToken,
    deliveries: mpsc::Receiver<Delivery>,
}

impl Bench {
    fn new(pattern: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let group = FilesConfig {
            paths: vec![dir.path().join("logs").join(pattern).display().to_string()],
            ..FilesConfig::default()
        };
        fs::create_dir(dir.path().join("logs")).unwrap();
        let config = AgentConfig {
            state_dir: dir.path().join("state"),
            files: vec![group],
            ..AgentConfig::default()
        };
        Self {
            dir,
            config,
            running: None,
            stored: BTreeMap::new(),
            order: Vec::new(),
            formats: Vec::new(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut FilesConfig)) -> Self {
        change(&mut self.config.files[0]);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    fn start(&mut self) {
        let (writer, reader) =
            Spool::open(&self.dir.path().join("spool"), SpoolLimits::default()).unwrap();
        let (agent_shutdown, reader_shutdown) =
            (CancellationToken::new(), CancellationToken::new());
        let agent =
            Agent::start(&self.config, Sink::Spool(writer), agent_shutdown.clone()).unwrap();
        let (deliveries, reader) = reader.start(16, reader_shutdown.clone()).unwrap();
        self.running = Some(Running {
            agent,
            agent_shutdown,
            reader,
            reader_shutdown,
            deliveries,
        });
    }

    async fn stop(&mut self) {
        let Running {
            agent,
            agent_shutdown,
            reader,
            reader_shutdown,
            deliveries,
        } = self.running.take().unwrap();
        agent_shutdown.cancel();
        agent.ended().await;
        reader_shutdown.cancel();
        drop(deliveries);
        reader.ended().await;
    }

    fn status(&self) -> AgentStatus {
        self.running.as_ref().unwrap().agent.status()
    }

    /// Takes what arrives as the engine does: by stream and position, each once.
    fn store(&mut self, delivery: Delivery) {
        let stream = delivery.batch.origin.stream.as_str().to_owned();
        self.formats.push(delivery.batch.origin.format.to_string());
        for record in delivery.batch.iter() {
            let raw = String::from_utf8_lossy(record.raw).into_owned();
            let highest = self
                .stored
                .range((stream.clone(), 0)..=(stream.clone(), u64::MAX))
                .next_back();
            if highest.is_some_and(|((_, highest), _)| record.position <= *highest) {
                let known = self.stored.get(&(stream.clone(), record.position));
                assert_eq!(
                    known,
                    Some(&raw),
                    "position {} of {stream} came again with other bytes",
                    record.position
                );
                continue;
            }
            self.stored
                .insert((stream.clone(), record.position), raw.clone());
            self.order.push(raw);
        }
        delivery.receipt.acknowledge();
    }

    /// Waits until `expected` is all that has come, in this order.
    async fn expect(&mut self, expected: &[&str]) {
        self.receive(expected.len()).await;
        assert_eq!(self.order, expected);
    }

    /// Waits until `expected`, sorted, is all that has come, in whatever order.
    async fn expect_in_any_order(&mut self, expected: &[&str]) {
        self.receive(expected.len()).await;
        self.order.sort();
        assert_eq!(self.order, expected);
    }

    /// Waits until so many records have come, and a moment for what should not come.
    async fn receive(&mut self, records: usize) {
        while self.order.len() < records {
            let receiver = &mut self.running.as_mut().unwrap().deliveries;
            let Ok(delivery) = timeout(PATIENCE, receiver.recv()).await else {
                break;
            };
            self.store(delivery.expect("the reader lives"));
        }
        self.expect_silence().await;
    }

    /// Waits until the agent's status is `so`; `what` says what was waited for.
    async fn until(&self, what: &str, so: impl Fn(&AgentStatus) -> bool) {
        let looks = async {
            while !so(&self.status()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if timeout(PATIENCE, looks).await.is_err() {
            let (seconds, status) = (PATIENCE.as_secs(), self.status());
            panic!("waited {seconds} s for {what}: {status:#?}");
        }
    }

    /// Waits until the agent has found a file: from then on it knows what was there and what is new.
    async fn until_found(&self) {
        self.until("a file to be found", |status| !status.sources.is_empty())
            .await;
    }

    async fn expect_silence(&mut self) {
        loop {
            let receiver = &mut self.running.as_mut().unwrap().deliveries;
            match timeout(Duration::from_millis(500), receiver.recv()).await {
                Ok(delivery) => self.store(delivery.expect("the reader lives")),
                Err(_) => return,
            }
        }
    }

    fn streams(&self) -> usize {
        let mut streams: Vec<&String> = self.stored.keys().map(|(stream, _)| stream).collect();
        streams.dedup();
        streams.len()
    }
}

fn append(path: &Path, text: &str) {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
}

#[tokio::test]
async fn lines_come_once_and_in_order_over_restarts() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "one\ntwo\nthr");
    bench.start();
    bench.expect(&["one", "two"]).await;
    bench.append("a.log", "ee\n");
    bench.expect(&["one", "two", "three"]).await;
    bench.stop().await;
    bench.append("a.log", "four\n");
    bench.start();
    bench.append("a.log", "five\n");
    bench.expect(&["one", "two", "three", "four", "five"]).await;
    assert_eq!(bench.streams(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn without_its_checkpoints_the_same_records_have_the_same_identities() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "one\ntwo\n");
    bench.start();
    bench.expect(&["one", "two"]).await;
    bench.stop().await;
    fs::remove_dir_all(&bench.config.state_dir).unwrap();
    bench.append("a.log", "three\n");
    bench.start();
    bench.expect(&["one", "two", "three"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn rotation_by_rename_loses_nothing() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log", "1 one\n");
    bench.start();
    bench.expect(&["1 one"]).await;
    let mut old = OpenOptions::new()
        .append(true)
        .open(bench.path("a.log"))
        .unwrap();
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    // A daemon goes on writing to the renamed file until it is told.
    old.write_all(b"2 late\n").unwrap();
    bench.expect(&["1 one", "2 late"]).await;
    bench.append("a.log", "3 new\n");
    bench.expect(&["1 one", "2 late", "3 new"]).await;
    old.write_all(b"4 later\n").unwrap();
    bench.expect(&["1 one", "2 late", "3 new", "4 later"]).await;
    assert_eq!(bench.streams(), 2);
    bench.stop().await;
}

#[tokio::test]
async fn a_renamed_file_that_still_matches_is_not_read_again() {
    let mut bench = Bench::new("a.log*");
    bench.append("a.log", "1 one\n");
    bench.start();
    bench.expect(&["1 one"]).await;
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "2 two\n");
    bench.expect(&["1 one", "2 two"]).await;
    bench.stop().await;
    fs::rename(bench.path("a.log.1"), bench.path("a.log.2")).unwrap();
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "3 three\n");
    bench.start();
    bench.expect(&["1 one", "2 two", "3 three"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn rotation_while_the_agent_is_away_loses_nothing() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log", "1 one\n");
    bench.start();
    bench.expect(&["1 one"]).await;
    bench.stop().await;
    bench.append("a.log", "2 unread\n");
    fs::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    bench.append("a.log", "3 new\n");
    bench.start();
    bench
        .expect_in_any_order(&["1 one", "2 unread", "3 new"])
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn truncation_starts_a_new_stream() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log", "same first line\nold\n");
    bench.start();
    bench.expect(&["same first line", "old"]).await;
    let mut expected = vec!["same first line", "old"];
    for round in ["new", "newer"] {
        File::create(bench.path("a.log")).unwrap();
        // The same bytes again, and no fewer, are a truncation only for who has seen it empty.
        bench
            .until("the truncation to be seen", |status| {
                status.sources.iter().any(|source| source.size_bytes == 0)
            })
            .await;
        bench.append("a.log", &format!("same first line\n{round}\n"));
        expected.extend(["same first line", round]);
        bench.expect(&expected).await;
    }
    assert_eq!(bench.streams(), 3);
    bench.stop().await;
}

#[tokio::test]
async fn content_written_anew_in_place_is_noticed_whatever_its_size() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log", "old\n");
    bench.start();
    bench.expect(&["old"]).await;
    // Truncated and longer than before between two looks.
    fs::write(bench.path("a.log"), "quite new\nand more of it\n").unwrap();
    bench.expect(&["old", "quite new", "and more of it"]).await;
    bench.stop().await;
}

/// Copies and truncates as logrotate does, with lines written in between that only the copy has.
async fn copytruncate(pattern: &str) {
    let mut bench = Bench::new(pattern);
    bench.append("a.log", "1 one\n");
    bench.start();
    bench.expect(&["1 one"]).await;
    bench.append("a.log", "2 in the copy only\n");
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    File::create(bench.path("a.log")).unwrap();
    bench.expect(&["1 one", "2 in the copy only"]).await;
    bench.append("a.log", "3 new\n");
    bench
        .expect(&["1 one", "2 in the copy only", "3 new"])
        .await;
    bench.stop().await;
    bench.start();
    bench
        .expect(&["1 one", "2 in the copy only", "3 new"])
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn copytruncate_loses_nothing() {
    copytruncate("a.log").await;
}

#[tokio::test]
async fn copytruncate_does_not_read_the_copy_twice() {
    copytruncate("a.log*").await;
}

#[tokio::test]
async fn copytruncate_while_the_agent_is_away_loses_nothing() {
    let mut bench = Bench::new("a.log*");
    bench.append("a.log", "1 one\n");
    bench.start();
    bench.expect(&["1 one"]).await;
    bench.stop().await;
    bench.append("a.log", "2 unread\n");
    fs::copy(bench.path("a.log"), bench.path("a.log.1")).unwrap();
    fs::write(bench.path("a.log"), "3 new\n").unwrap();
    bench.start();
    bench
        .expect_in_any_order(&["1 one", "2 unread", "3 new"])
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn an_inode_that_is_used_again_is_another_file() {
    let mut bench = Bench::new("*.log");
    bench.append("a.log", "1 one\n");
    bench.start();
    bench.expect(&["1 one"]).await;
    bench.stop().await;
    let inode = fs::metadata(bench.path("a.log")).unwrap().ino();
    fs::remove_file(bench.path("a.log")).unwrap();
    // Most file systems give the number to one of the next files. Those that get others are kept until then.
    let again = (0..1_000)
        .map(|number| bench.dir.path().join(format!("other-{number}")))
        .find(|path| File::create(path).unwrap().metadata().unwrap().ino() == inode);
    let Some(again) = again else {
        eprintln!("skipped: this file system does not use inodes again");
        return;
    };
    append(&again, "2 two, of another file\n");
    fs::rename(again, bench.path("b.log")).unwrap();
    bench.start();
    bench.expect(&["1 one", "2 two, of another file"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn new_files_are_found() {
    let mut bench = Bench::new("**/*.log");
    bench.start();
    bench
        .until("the pattern to match nothing", |status| {
            status.problems.len() == 1
        })
        .await;
    bench.expect(&[]).await;
    fs::create_dir(bench.path("deep")).unwrap();
    bench.append("deep/a.log", "one\n");
    bench.append("deep/a.log.gz", "not this\n");
    bench.expect(&["one"]).await;
    bench
        .until("the pattern to match", |status| status.problems.is_empty())
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn reading_from_the_end_leaves_out_what_is_there_and_nothing_else() {
    let mut bench = Bench::new("*.log").with(|group| group.read_from = ReadFrom::End);
    bench.append("a.log", "before\nbegun ");
    bench.start();
    bench.until_found().await;
    bench.expect(&[]).await;
    bench.append("a.log", "then\nafter\n");
    bench.expect(&["begun then", "after"]).await;
    bench.stop().await;
    bench.append("b.log", "written while the agent was away\n");
    bench.start();
    bench
        .expect(&["begun then", "after", "written while the agent was away"])
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn audit_events_are_joined_and_a_restart_cuts_them_where_they_were_cut() {
    let mut bench = Bench::new("audit.log").with(|group| group.multiline = Joining::Auditd);
    bench.append(
        "audit.log",
        "type=A msg=audit(1:1): a\ntype=B msg=audit(1:1): b\n",
    );
    bench.start();
    let first = "type=A msg=audit(1:1): a\ntype=B msg=audit(1:1): b";
    bench.expect(&[first]).await;
    // More of the same event after it was taken for complete.
    bench.append(
        "audit.log",
        "type=C msg=audit(1:1): c\ntype=D msg=audit(1:2): d\n",
    );
    bench
        .expect(&[
            first,
            "type=C msg=audit(1:1): c",
            "type=D msg=audit(1:2): d",
        ])
        .await;
    bench.stop().await;
    // As if the machine had lost what came after the cuts were made: all is read again.
    let path = bench.config.state_dir.join("checkpoints.json");
    let mut checkpoints: serde_json::Value =
        serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    checkpoints["files"][0]["offset"] = 0.into();
    checkpoints["files"][0]["cuts"] = serde_json::json!([first.len() + 1]);
    fs::write(&path, checkpoints.to_string()).unwrap();
    bench.start();
    bench
        .expect(&[
            first,
            "type=C msg=audit(1:1): c",
            "type=D msg=audit(1:2): d",
        ])
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn a_long_line_is_cut_marked_and_counted_and_does_not_hold_up_the_next() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log", &format!("short\n{}\nafter\n", "x".repeat(3 << 20)));
    bench.start();
    bench
        .expect(&["short", &"x".repeat(1 << 20), "after"])
        .await;
    bench
        .until("the cut to be told", |status| {
            status.sources[0].truncated_records == 1
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn a_backlog_comes_whole() {
    // `CITYWATCH_ALL=1`: a million lines.
    let all = std::env::var_os("CITYWATCH_ALL").is_some_and(|value| value == "1");
    let count = if all { 1_000_000 } else { 50_000 };
    let lines: Vec<String> = (0..count)
        .map(|number| format!("line {number} of a backlog that was there before the agent"))
        .collect();
    let mut bench = Bench::new("a.log");
    bench.append("a.log", &(lines.join("\n") + "\n"));
    bench.start();
    bench
        .expect(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    bench
        .until("all to be durable", |status| {
            let source = &status.sources[0];
            (source.state, source.lag_bytes) == (SourceState::CaughtUp, 0)
        })
        .await;
    bench.stop().await;
}

#[tokio::test]
async fn an_unreadable_file_is_tried_again_and_shown() {
    let mut bench = Bench::new("a.log");
    bench.append("a.log", "secret\n");
    fs::set_permissions(bench.path("a.log"), fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(bench.path("a.log")).is_ok() {
        eprintln!("skipped: this user reads files of any mode");
        return;
    }
    bench.start();
    bench
        .until("the file to be unreadable", |status| {
            let source = status.sources.first();
            source.is_some_and(|source| source.state == SourceState::Unreadable)
        })
        .await;
    bench.expect(&[]).await;
    let source = bench.status().sources.remove(0);
    assert!(
        source.retries > 0
            && source
                .last_error
                .unwrap()
                .contains("let the agent's user read it")
    );
    fs::set_permissions(bench.path("a.log"), fs::Permissions::from_mode(0o600)).unwrap();
    bench.expect(&["secret"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn what_the_top_of_a_file_says_goes_along_over_restarts() {
    let mut bench = Bench::new("*.log");
    let filler = format!("{}\n", "x".repeat(9_000));
    bench.append("a.log", "#Software: IIS\n#Fields: date time c-ip\n");
    bench.start();
    bench
        .expect(&["#Software: IIS", "#Fields: date time c-ip"])
        .await;
    bench.append("a.log", &filler);
    bench.receive(3).await;
    let told = "auto; header=#Software: IIS\n#Fields: date time c-ip";
    assert_eq!(bench.formats.last().unwrap(), told);
    bench.stop().await;
    bench.formats.clear();
    bench.append("a.log", "2026-11-22 02:15:30 10.0.0.1\n");
    bench.start();
    bench.receive(4).await;
    assert_eq!(bench.formats, [told]);
    // A server that is configured anew says so in the same file.
    bench.append("a.log", "#Fields: date c-ip\n2026-11-22 10.0.0.1\n");
    bench.receive(6).await;
    bench.append("a.log", "2026-11-22 10.0.0.2\n");
    bench.receive(7).await;
    let changed = "auto; header=#Fields: date c-ip";
    assert_eq!(bench.formats.last().unwrap(), changed);
    bench.stop().await;
    bench.formats.clear();
    bench.append("a.log", "2026-11-22 10.0.0.3\n");
    bench.start();
    bench.receive(8).await;
    assert_eq!(bench.formats, [changed]);
    bench.stop().await;
}

#[tokio::test]
async fn other_files_keep_the_format_that_is_configured() {
    let mut bench = Bench::new("*.log").with(|group| group.format = "syslog".into());
    bench.append("a.log", "#Fields: a b\none\n");
    bench.start();
    bench.expect(&["#Fields: a b", "one"]).await;
    assert!(bench.formats.iter().all(|format| format == "syslog"));
    bench.stop().await;
}

/// In UTF-16 with the lower byte first, without a mark.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn append_bytes(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

#[tokio::test]
async fn lines_of_utf16_come_whole_and_as_utf8_over_restarts() {
    let mut bench = Bench::new("*.log");
    let path = bench.path("a.log");
    append_bytes(&path, &utf16("\u{FEFF}một\r\n\u{A0D}hai\nb"));
    // The first half of a unit: its writer is at work.
    append_bytes(&path, &utf16("ố")[..1]);
    bench.start();
    bench.expect(&["một", "\u{A0D}hai"]).await;
    append_bytes(&path, &utf16("ố")[1..]);
    append_bytes(&path, &utf16("n\n"));
    bench.expect(&["một", "\u{A0D}hai", "bốn"]).await;
    bench.stop().await;
    append_bytes(&path, &utf16("năm\n"));
    bench.start();
    bench.expect(&["một", "\u{A0D}hai", "bốn", "năm"]).await;
    bench.stop().await;
    let positions: Vec<u64> = bench.stored.keys().map(|(_, position)| *position).collect();
    assert_eq!(positions, [0, 12, 22, 30], "offsets in the file");

    // From the end on, and a line beyond the bound.
    let mut bench = Bench::new("*.log").with(|group| {
        group.read_from = ReadFrom::End;
        group.encoding = "utf-16le".into();
    });
    let path = bench.path("a.log");
    append_bytes(&path, &utf16("before\nbegun "));
    bench.start();
    bench.until_found().await;
    append_bytes(
        &path,
        &utf16(&format!("then\n{}\nafter\n", "đ".repeat(1 << 20))),
    );
    let long = "đ".repeat(1 << 19);
    bench.expect(&["begun then", &long, "after"]).await;
    bench.stop().await;
}

#[tokio::test]
async fn the_encoding_of_bytes_goes_along_in_the_format() {
    let mut bench = Bench::new("*.log").with(|group| group.encoding = "windows-1258".into());
    bench.append("a.log", "one\n");
    bench.start();
    bench.expect(&["one"]).await;
    assert_eq!(bench.formats, ["auto; charset=windows-1258"]);
    bench.stop().await;
}
