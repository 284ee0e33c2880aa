//! EVTX files from the shared recordings, cut and damaged; each test skips visibly where there are none.

#[path = "../../../../parsers/tests/shared/mod.rs"]
mod shared;

use std::fs;
use std::os::unix::fs::FileExt;

use citywatch_parsers::evtx::{EVTX_CHUNK_BYTES, EVTX_HEADER_BYTES};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::AgentConfig;
use crate::sink::Sink;
use crate::spool::{Spool, SpoolLimits};
use crate::{Agent, Delivery, SpoolReader};

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Recordings with at least so many records, the largest files first.
fn recordings(records_min: usize) -> Vec<Vec<u8>> {
    let Some(folder) = shared::folder("sigma/regression_data") else {
        return Vec::new();
    };
    let paths = shared::files(&folder, "evtx").into_iter();
    let files = paths.map(|path| fs::read(path).unwrap());
    let mut files: Vec<_> = files
        .filter(|file| ids(file).len() >= records_min)
        .collect();
    files.sort_by_key(|file| std::cmp::Reverse(ids(file).len()));
    assert!(!files.is_empty(), "no recording has {records_min} records");
    files
}

/// The ids of a file's records, as `citywatch rules eval` finds them.
fn ids(file: &[u8]) -> Vec<u64> {
    let Ok(mut parser) = citywatch_parsers::evtx::EvtxFile::open(file.to_vec()) else {
        return Vec::new();
    };
    parser.records().flatten().map(|record| record.id).collect()
}

struct Run {
    dir: tempfile::TempDir,
    config: AgentConfig,
}

impl Run {
    fn new(change: impl FnOnce(&mut EvtxConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut group = EvtxConfig {
            paths: vec![dir.path().join("*.evtx").display().to_string()],
            ..EvtxConfig::default()
        };
        change(&mut group);
        let config = AgentConfig {
            name: "a".into(),
            state_dir: dir.path().join("state"),
            evtx: vec![group],
            ..AgentConfig::default()
        };
        assert_eq!(config.problems(), Vec::<String>::new());
        Self { dir, config }
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.dir.path().join(name), content).unwrap();
    }

    /// Runs the agent until its group satisfies `done`, and returns the spool's records since the last run.
    async fn until(
        &self,
        done: impl Fn(&crate::status::ListenerStatus) -> bool,
    ) -> Vec<(String, u64, Vec<u8>)> {
        let spool = self.dir.path().join("spool");
        let (writer, reader) = Spool::open(&spool, SpoolLimits::default()).unwrap();
        let shutdown = CancellationToken::new();
        let agent = Agent::start(&self.config, Sink::Spool(writer), shutdown.clone()).unwrap();
        let reached = async {
            loop {
                let listener = agent.status().listeners[0].clone();
                if done(&listener) {
                    return listener.durable_records;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let durable = timeout(PATIENCE, reached).await.expect("the group is read");
        shutdown.cancel();
        timeout(PATIENCE, agent.ended())
            .await
            .expect("the agent ends");
        taken(reader, durable).await
    }
}

async fn taken(reader: SpoolReader, records: u64) -> Vec<(String, u64, Vec<u8>)> {
    let stop = CancellationToken::new();
    let (mut deliveries, task) = reader.start(16, stop.clone()).unwrap();
    let mut found = Vec::new();
    while (found.len() as u64) < records {
        let Delivery { batch, receipt, .. } =
            timeout(PATIENCE, deliveries.recv()).await.unwrap().unwrap();
        for record in batch.iter() {
            assert_eq!(&*record.origin.format, "windows_json");
            found.push((
                record.origin.stream.to_string(),
                record.position,
                record.raw.to_vec(),
            ));
        }
        receipt.acknowledge();
    }
    stop.cancel();
    task.ended().await;
    found
}

#[tokio::test]
async fn records_come_once_by_their_id_and_a_growing_file_is_read_on() {
    let Some(whole) = recordings(3).into_iter().next() else {
        return;
    };
    let all = ids(&whole);
    let run = Run::new(|_| ());
    // The file as it was before its last chunk had its last record: its head said so.
    let chunk = EVTX_HEADER_BYTES
        + (whole.len() - EVTX_HEADER_BYTES) / EVTX_CHUNK_BYTES * EVTX_CHUNK_BYTES
        - EVTX_CHUNK_BYTES;
    let cut = shortened(&whole, chunk);
    let before = ids(&cut);
    assert_eq!(before, all[..all.len() - 1]);
    run.write("a.evtx", &cut);
    let count = before.len() as u64;
    let first = run
        .until(|listener| listener.durable_records >= count)
        .await;
    assert_eq!(
        first.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(),
        before
    );
    assert!(
        first[0].2.starts_with(b"{\"Event\":"),
        "{}",
        String::from_utf8_lossy(&first[0].2)
    );
    run.write("a.evtx", &whole);
    let second = run.until(|listener| listener.durable_records >= 1).await;
    assert_eq!(
        second.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(),
        all[all.len() - 1..]
    );
    assert_eq!(first[0].0, second[0].0, "one stream");

    // The same log again, as a later copy: nothing of it comes twice. Another log in its place: all of it.
    fs::remove_file(run.dir.path().join("a.evtx")).unwrap();
    run.write("a.evtx", &whole);
    let other = recordings(2)
        .into_iter()
        .find(|other| ids(other) != all)
        .unwrap();
    let others = ids(&other);
    run.write("b.evtx", &other);
    let count = others.len() as u64;
    let third = run
        .until(|listener| listener.durable_records >= count)
        .await;
    assert!(
        third.iter().all(|(stream, ..)| stream.contains("b.evtx#")),
        "{third:?}"
    );
    run.write("a.evtx", &other);
    let fourth = run
        .until(|listener| listener.durable_records >= count)
        .await;
    assert_eq!(
        fourth.iter().map(|(_, id, _)| *id).collect::<Vec<_>>(),
        others
    );
    assert!(fourth[0].0.contains("a.evtx#") && fourth[0].0 != first[0].0);
}

/// The file without the last record of the chunk at `chunk`, as a log that is still written looks.
fn shortened(whole: &[u8], chunk: usize) -> Vec<u8> {
    let mut cut = whole.to_vec();
    let number =
        |at: usize| u64::from_le_bytes(whole[chunk + at..chunk + at + 8].try_into().unwrap());
    let last_offset = u32::from_le_bytes(whole[chunk + 44..chunk + 48].try_into().unwrap());
    for at in [16, 32] {
        cut[chunk + at..chunk + at + 8].copy_from_slice(&(number(at) - 1).to_le_bytes());
    }
    cut[chunk + 48..chunk + 52].copy_from_slice(&last_offset.to_le_bytes());
    let records = crc32fast::hash(&cut[chunk + 512..chunk + last_offset as usize]);
    cut[chunk + 52..chunk + 56].copy_from_slice(&records.to_le_bytes());
    let mut head = crc32fast::Hasher::new();
    head.update(&cut[chunk..chunk + 120]);
    head.update(&cut[chunk + 128..chunk + 512]);
    cut[chunk + 124..chunk + 128].copy_from_slice(&head.finalize().to_le_bytes());
    cut
}

#[tokio::test]
async fn what_is_there_is_left_out_where_reading_begins_at_the_end() {
    let [first, second, ..] = &recordings(2)[..] else {
        return;
    };
    let run = Run::new(|group| group.read_from = ReadFrom::End);
    run.write("old.evtx", first);
    let state = run.config.state_dir.join("evtx-evtx.json");
    let nothing = run
        .until(|_| {
            fs::read_to_string(&state).is_ok_and(|state| state.contains("\"is_started\":true"))
        })
        .await;
    assert!(nothing.is_empty());
    run.write("new.evtx", second);
    let count = ids(second).len() as u64;
    let found = run
        .until(|listener| listener.durable_records >= count)
        .await;
    assert!(
        found
            .iter()
            .all(|(stream, ..)| stream.contains("new.evtx#"))
    );
}

#[tokio::test]
async fn damaged_files_and_others_are_told_and_hold_nothing_up() {
    let Some(whole) = recordings(2).into_iter().next() else {
        return;
    };
    let run = Run::new(|_| ());
    run.write("a-text.evtx", b"no such file");
    let mut damaged = whole.clone();
    // The first record's content: its checksum does not hold, and it cannot be read.
    damaged[EVTX_HEADER_BYTES + 512 + 24..][..64].fill(0xff);
    run.write("b-damaged.evtx", &damaged);
    let old = SystemTime::now() - Duration::from_secs(60);
    let file = fs::File::options()
        .write(true)
        .open(run.dir.path().join("b-damaged.evtx"))
        .unwrap();
    file.set_modified(old).unwrap();
    run.write("c-whole.evtx", &whole);
    let count = (ids(&whole).len() + ids(&damaged).len()) as u64;
    assert!(ids(&damaged).len() < ids(&whole).len());
    let found = run
        .until(|listener| listener.durable_records >= count && listener.last_error.is_some())
        .await;
    assert_eq!(found.len() as u64, count);
}

#[test]
fn a_chunk_that_is_being_written_waits_until_the_file_is_quiet() {
    let Some(whole) = recordings(2).into_iter().next() else {
        return;
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &whole).unwrap();
    // A byte behind the records' checksum's scope changes nothing; one of a record does.
    file.as_file()
        .write_all_at(&[0xff], (EVTX_HEADER_BYTES + 512 + 30) as u64)
        .unwrap();
    let log = LogFile::open(file.path()).unwrap();
    let chunk = log.chunks_after(None)[0];
    assert!(log.records(chunk, false).unwrap().is_none());
    assert!(log.records(chunk, true).unwrap().is_some());
}
