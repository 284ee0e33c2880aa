use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::delivery::Delivery;

/// Longest wait for anything in these tests: the machine may be slow and have much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// Looks until it is so; `what` says what was waited for.
async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let looks = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(PATIENCE, looks).await;
    assert!(waited.is_ok(), "waited {} s for {what}", PATIENCE.as_secs());
}

fn batch(position: u64, raw: &str) -> RecordBatch {
    let origin = Origin {
        agent: "a".into(),
        stream: "s".into(),
        format: "auto".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(raw.as_bytes(), position, Timestamp(7), Truncated::No);
    batch
}

/// Bytes that do not compress, so that segments fill.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state % 90) as u8)
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn small() -> SpoolLimits {
    SpoolLimits {
        bytes_max: 16 << 10,
        segment_bytes_max: 2 << 10,
        when_full: WhenFull::Block,
    }
}

fn positions(deliveries: &[Delivery]) -> Vec<u64> {
    deliveries
        .iter()
        .map(|delivery| delivery.batch.last_position().unwrap())
        .collect()
}

async fn take(receiver: &mut mpsc::Receiver<Delivery>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    for _ in 0..count {
        let delivery = timeout(PATIENCE, receiver.recv()).await;
        taken.push(
            delivery
                .expect("a delivery in time")
                .expect("the reader lives"),
        );
    }
    taken
}

async fn silent(receiver: &mut mpsc::Receiver<Delivery>) {
    assert!(
        timeout(Duration::from_millis(50), receiver.recv())
            .await
            .is_err(),
        "nothing more is delivered"
    );
}

fn bytes_on_disk(dir: &Path) -> u64 {
    // A segment that is done with may go while its size is being asked for.
    fs::read_dir(dir)
        .unwrap()
        .filter_map(|entry| Some(entry.unwrap().metadata().ok()?.len()))
        .sum()
}

#[tokio::test]
async fn what_is_acknowledged_does_not_come_again() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (writer, reader) = Spool::open(dir.path(), SpoolLimits::default()).unwrap();
        let shutdown = CancellationToken::new();
        let (mut receiver, task) = reader.start(4, shutdown.clone()).unwrap();
        for position in 0..5 {
            assert_eq!(
                writer.append_batch(&batch(position, "line")).await.unwrap(),
                position
            );
        }
        let deliveries = take(&mut receiver, 5).await;
        assert_eq!(positions(&deliveries), [0, 1, 2, 3, 4]);
        let mut receipts: Vec<_> = deliveries
            .into_iter()
            .map(|delivery| delivery.receipt)
            .collect();
        // The fourth is never answered: what follows it must come again.
        drop(receipts.remove(3));
        for receipt in receipts.into_iter().rev() {
            receipt.acknowledge();
        }
        shutdown.cancel();
        task.ended().await;
        assert_eq!(writer.monitor().status().acknowledged, 3);
    }
    wait_for_unlock(dir.path()).await;
    let (_writer, reader) = Spool::open(dir.path(), SpoolLimits::default()).unwrap();
    let (mut receiver, _task) = reader.start(4, CancellationToken::new()).unwrap();
    assert_eq!(positions(&take(&mut receiver, 2).await), [3, 4]);
    silent(&mut receiver).await;
}

#[tokio::test]
async fn a_full_spool_holds_the_sender_until_something_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, reader) = Spool::open(dir.path(), small()).unwrap();
    let (mut receiver, _task) = reader.start(64, CancellationToken::new()).unwrap();
    let sender = tokio::spawn({
        let writer = writer.clone();
        async move {
            for position in 0..60 {
                writer
                    .append_batch(&batch(position, &noise(position, 900)))
                    .await
                    .unwrap();
            }
        }
    });
    wait_until("the sender to be held", || {
        writer.monitor().status().waits > 0
    })
    .await;
    assert!(
        !sender.is_finished(),
        "60 frames of 900 bytes do not fit into 16 KiB"
    );
    let mut seen = Vec::new();
    for _ in 0..60 {
        assert!(bytes_on_disk(dir.path()) <= 17 << 10);
        let delivery = take(&mut receiver, 1).await.remove(0);
        seen.push(delivery.batch.last_position().unwrap());
        delivery.receipt.acknowledge();
    }
    sender.await.unwrap();
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_spool_that_drops_says_how_much() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        when_full: WhenFull::DropOldest,
        ..small()
    };
    let (writer, reader) = Spool::open(dir.path(), limits).unwrap();
    for position in 0..60 {
        writer
            .append_batch(&batch(position, &noise(position, 900)))
            .await
            .unwrap();
    }
    let dropped = writer.monitor().status().dropped_records;
    assert!(dropped > 40 && dropped < 60, "{dropped} records dropped");
    let (mut receiver, _task) = reader.start(64, CancellationToken::new()).unwrap();
    let left = take(&mut receiver, 60 - dropped as usize).await;
    assert_eq!(positions(&left), (dropped..60).collect::<Vec<_>>());
    silent(&mut receiver).await;
}

#[tokio::test]
async fn segments_go_when_they_are_done_with() {
    let dir = tempfile::tempdir().unwrap();
    let limits = SpoolLimits {
        bytes_max: 1 << 20,
        ..small()
    };
    let (writer, reader) = Spool::open(dir.path(), limits).unwrap();
    let (mut receiver, _task) = reader.start(64, CancellationToken::new()).unwrap();
    for position in 0..20 {
        writer
            .append_batch(&batch(position, &noise(position, 900)))
            .await
            .unwrap();
    }
    assert!(writer.monitor().status().segments >= 10);
    for delivery in take(&mut receiver, 20).await {
        delivery.receipt.acknowledge();
    }
    wait_until("one segment to be left", || {
        writer.monitor().status().segments == 1
    })
    .await;
}

#[tokio::test]
async fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Spool::open(dir.path(), small()).unwrap();
    let second = Spool::open(dir.path(), small()).unwrap_err();
    assert!(matches!(second, SpoolError::Locked { .. }), "{second}");
}

#[tokio::test]
async fn a_damaged_entry_costs_itself_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut offsets = Vec::new();
    {
        let (writer, _reader) = Spool::open(dir.path(), SpoolLimits::default()).unwrap();
        for position in 0..4 {
            offsets.push(writer.monitor().status().bytes as usize);
            writer
                .append_batch(&batch(position, "some text"))
                .await
                .unwrap();
        }
    }
    wait_for_unlock(dir.path()).await;
    let path = dir.path().join("00000000000000000000.spool");
    let mut bytes = fs::read(&path).unwrap();
    bytes[offsets[1] + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let (writer, reader) = Spool::open(dir.path(), SpoolLimits::default()).unwrap();
    writer.append_batch(&batch(9, "after")).await.unwrap();
    let (mut receiver, _task) = reader.start(8, CancellationToken::new()).unwrap();
    assert_eq!(positions(&take(&mut receiver, 4).await), [0, 2, 3, 9]);
    assert_eq!(writer.monitor().status().damaged_entries, 1);
}

#[tokio::test]
async fn what_is_no_frame_is_delivered_as_undecodable() {
    let dir = tempfile::tempdir().unwrap();
    let (writer, reader) = Spool::open(dir.path(), SpoolLimits::default()).unwrap();
    writer.append(b"no frame".to_vec()).await.unwrap();
    let (mut receiver, _task) = reader.start(8, CancellationToken::new()).unwrap();
    let delivery = take(&mut receiver, 1).await.remove(0);
    assert_eq!(&*delivery.batch.origin.format, crate::frame::UNDECODABLE);
    assert_eq!(delivery.batch.get(0).unwrap().raw, b"no frame");
}

/// The writer's thread ends a moment after its last handle.
async fn wait_for_unlock(dir: &Path) {
    wait_until("the spool to be let go", || {
        let lock = fs::File::open(dir.join("lock")).unwrap();
        lock.try_lock().is_ok()
    })
    .await;
}

/// A spool of a few frames, as it lies on disk after a clean end; the sizes after each append.
async fn written(dir: &Path, records: &[String]) -> Vec<u64> {
    let (writer, _reader) = Spool::open(dir, small()).unwrap();
    let mut ends = Vec::new();
    for (position, raw) in records.iter().enumerate() {
        writer
            .append_batch(&batch(position as u64, raw))
            .await
            .unwrap();
        ends.push(writer.monitor().status().bytes);
    }
    drop((writer, _reader));
    wait_for_unlock(dir).await;
    ends
}

/// Cuts the spool's last segment to `length` and checks that every whole entry is delivered, and
/// that a new one follows them.
async fn check_torn(source: &Path, length: u64, whole: usize) {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    let segment = dir.path().join("00000000000000000000.spool");
    fs::OpenOptions::new()
        .write(true)
        .open(&segment)
        .unwrap()
        .set_len(length)
        .unwrap();
    let (writer, reader) = Spool::open(dir.path(), small()).unwrap();
    assert_eq!(
        writer.append_batch(&batch(1000, "after")).await.unwrap(),
        whole as u64,
        "cut to {length}"
    );
    let (mut receiver, _task) = reader.start(16, CancellationToken::new()).unwrap();
    let mut expected: Vec<u64> = (0..whole as u64).collect();
    expected.push(1000);
    assert_eq!(
        positions(&take(&mut receiver, whole + 1).await),
        expected,
        "cut to {length}"
    );
}

#[tokio::test]
async fn torn_at_any_byte_it_opens_with_every_whole_entry() {
    let dir = tempfile::tempdir().unwrap();
    let records = [
        "one".to_owned(),
        String::new(),
        noise(3, 60),
        "four".to_owned(),
    ];
    let ends = written(dir.path(), &records).await;
    for length in 0..=*ends.last().unwrap() {
        let whole = ends.iter().filter(|end| **end <= length).count();
        check_torn(dir.path(), length, whole).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn torn_anywhere_nothing_whole_is_lost(
        records in prop::collection::vec("\\PC{0,60}", 1..6),
        cut in 0.0..1.0_f64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let ends = written(dir.path(), &records).await;
            let length = (*ends.last().unwrap() as f64 * cut) as u64;
            check_torn(dir.path(), length, ends.iter().filter(|end| **end <= length).count()).await;
        });
    }
}
