//! Time is an argument: nothing here waits.

use citywatch_collector::Receipt;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, Timestamp};
use tokio::sync::mpsc;

use super::*;

fn delivery(unit: &str, sequence: u64, records: usize) -> Delivery {
    delivery_in(0, unit, sequence, records)
}

fn delivery_in(lane: u32, unit: &str, sequence: u64, records: usize) -> Delivery {
    let origin = Origin {
        unit: unit.into(),
        stream: unit.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    for number in 0..records as u64 {
        let position = sequence * 1_000_000 + number;
        batch.push(&[b'x'; 36], position, Timestamp(0), Truncated::No);
    }
    let (answers, _) = mpsc::unbounded_channel();
    Delivery {
        batch,
        receipt: Receipt::new(lane, sequence, answers),
        left_behind: None,
    }
}

fn config(records_per_s: u64) -> QuotaConfig {
    QuotaConfig {
        records_per_s,
        bytes_per_s: 0,
        burst_s: 1,
        held_memory_bytes_max: 1_000_000,
        ..QuotaConfig::default()
    }
}

fn first_of(turn: &Delivery) -> u64 {
    turn.batch.get(0).unwrap().position / 1_000_000
}

/// Takes all that can be taken at `now`.
fn taken(queue: &mut FairQueue, now: Instant) -> Vec<(String, u64)> {
    std::iter::from_fn(|| queue.pop(now))
        .map(|turn| (turn.batch.origin.unit.to_string(), first_of(&turn)))
        .collect()
}

#[test]
fn a_flood_does_not_hold_up_the_others() {
    let now = Instant::now();
    let mut queue = FairQueue::new(config(1_000), None);
    for sequence in 0..100 {
        queue.push(delivery("flood", sequence, 100), now);
    }
    for sequence in 0..5 {
        queue.push(delivery("small", sequence, 10), now);
    }
    let order: Vec<String> = taken(&mut queue, now)
        .into_iter()
        .map(|(unit, _)| unit)
        .collect();
    assert_eq!(order.len(), 105, "nothing is dropped");
    // Ten deliveries are within the flood's burst; the small one waits for one of them at most at a time.
    let last_small = order.iter().rposition(|unit| unit == "small").unwrap();
    assert!(last_small < 15, "{last_small}");
}

#[test]
fn each_stream_keeps_its_order_in_memory_and_on_disk() {
    let now = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut queue = FairQueue::new(config(10), Some(folder.path()));
    queue.push(delivery("other", 0, 1), now);
    for sequence in 0..300 {
        assert!(queue.has_room(now), "{sequence}");
        queue.push(delivery("flood", sequence, 100), now);
    }
    let held = queue.held();
    assert!(held.disk_bytes > 0, "{held:?}");
    assert!(held.memory_bytes <= 1_000_000, "{held:?}");
    assert_eq!(held.units[0].records, 30_000);
    let order: Vec<u64> = taken(&mut queue, now)
        .into_iter()
        .filter(|(unit, _)| unit == "flood")
        .map(|(_, sequence)| sequence)
        .collect();
    assert_eq!(order, (0..300).collect::<Vec<_>>());
    assert_eq!(queue.held(), Held::default());
    assert!(queue.is_empty());
}

#[test]
fn nothing_is_given_out_that_follows_what_cannot_be_read_back() {
    let now = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut queue = FairQueue::new(config(10), Some(folder.path()));
    queue.push(delivery("other", 0, 1), now);
    for sequence in 0..300 {
        queue.push(delivery("flood", sequence, 100), now);
    }
    queue.file.lose();
    let before: Vec<(String, u64)> = taken(&mut queue, now);
    let in_memory = before.iter().filter(|(unit, _)| unit == "flood").count();
    assert!((1..300).contains(&in_memory), "{in_memory}");
    assert_eq!(before.len(), in_memory + 1, "the other unit goes on");
    assert_eq!(queue.held(), Held::default());
    // What comes later is not taken either, until the engine reads the stream again from where it was.
    queue.push(delivery("flood", 300, 1), now);
    queue.push(delivery("other", 1, 1), now);
    assert_eq!(taken(&mut queue, now), [("other".to_owned(), 1)]);
    assert!(queue.is_empty());
}

#[test]
fn a_partition_that_comes_back_is_taken_from_before_the_gap() {
    let now = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut queue = FairQueue::new(config(10), Some(folder.path()));
    queue.push(delivery("other", 0, 1), now);
    for sequence in 0..300 {
        queue.push(delivery("flood", sequence, 100), now);
    }
    queue.file.lose();
    let taken_before = taken(&mut queue, now).len() as u64 - 1;
    assert!(taken_before < 300);
    // Of its old lane something may still be on its way: it stays out.
    queue.push(delivery("flood", 300, 1), now);
    for sequence in taken_before..310 {
        queue.push(delivery_in(1, "flood", sequence, 1), now);
    }
    queue.push(delivery("flood", 301, 1), now);
    let expected: Vec<_> = (taken_before..310)
        .map(|sequence| ("flood".to_owned(), sequence))
        .collect();
    assert_eq!(taken(&mut queue, now), expected);
    // A gap in the new lane shuts that one.
    queue.push(delivery("other", 1, 1), now);
    for sequence in 310..610 {
        queue.push(delivery_in(1, "flood", sequence, 100), now);
    }
    queue.file.lose();
    assert!(taken(&mut queue, now).len() < 301);
    queue.push(delivery_in(1, "flood", 610, 1), now);
    assert!(taken(&mut queue, now).is_empty());
    queue.push(delivery_in(2, "flood", 610, 1), now);
    assert_eq!(taken(&mut queue, now), [("flood".to_owned(), 610)]);
}

#[test]
fn who_is_alone_is_never_written_to_disk_and_waits_in_the_transport() {
    let now = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut queue = FairQueue::new(config(10), Some(folder.path()));
    let mut sequence = 0;
    while queue.has_room(now) {
        queue.push(delivery("only", sequence, 100), now);
        sequence += 1;
    }
    assert_eq!(queue.held().disk_bytes, 0);
    assert_eq!(sequence, 100, "as many as memory allows");
    // And beyond its quota it is served at once, since nobody else waits.
    assert_eq!(taken(&mut queue, now).len(), 100);
}

#[test]
fn a_quota_that_waits_lets_through_as_much_as_it_says() {
    let mut now = Instant::now();
    let mut queue = FairQueue::new(
        QuotaConfig {
            beyond: Beyond::Waits,
            ..config(1_000)
        },
        None,
    );
    for sequence in 0..100 {
        queue.push(delivery("flood", sequence, 100), now);
    }
    // The burst of one second at once, then a thousand a second.
    assert_eq!(taken(&mut queue, now).len(), 10);
    let mut later = 0;
    for _ in 0..5 {
        now += Duration::from_secs(1);
        later += taken(&mut queue, now).len();
    }
    assert_eq!(later, 50);
    // When the next one comes is known.
    assert!(queue.pop(now).is_none());
    now += queue.wait().unwrap();
    assert!(queue.pop(now).is_some());
}

#[test]
fn units_beyond_their_quota_share_what_is_left() {
    let now = Instant::now();
    let mut queue = FairQueue::new(config(10), None);
    for sequence in 0..50 {
        queue.push(delivery("a", sequence, 100), now);
    }
    for sequence in 0..50 {
        queue.push(delivery("b", sequence, 100), now);
    }
    let order = taken(&mut queue, now);
    let of_a = order[..50].iter().filter(|(unit, _)| unit == "a").count();
    assert!((24..=26).contains(&of_a), "{of_a} of the first 50");
}

#[test]
fn a_unit_may_have_a_quota_of_its_own() {
    let now = Instant::now();
    let quota = UnitQuota {
        records_per_s: 0,
        bytes_per_s: 0,
    };
    let mut queue = FairQueue::new(
        QuotaConfig {
            units: [("large".to_owned(), quota)].into(),
            beyond: Beyond::Waits,
            ..config(1)
        },
        None,
    );
    for sequence in 0..10 {
        queue.push(delivery("large", sequence, 100), now);
        queue.push(delivery("small", sequence, 100), now);
    }
    let order = taken(&mut queue, now);
    assert_eq!(order.iter().filter(|(unit, _)| unit == "large").count(), 10);
    assert_eq!(order.iter().filter(|(unit, _)| unit == "small").count(), 1);
}
