//! Nothing is lost and nothing is twice from the agent's files, and from a topic that others write to, into the
//! store and into the alerts: whatever of agent, broker, engines and store is killed, stopped, added, taken away
//! or out of disk meanwhile.
//!
//! `CITYWATCH_ALL=1` runs the long form: 60 rounds, 2,000,000 records. `CITYWATCH_SEED` repeats a run's faults,
//! `CITYWATCH_ROUNDS` and `CITYWATCH_RECORDS` set others.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod faults;
mod load;
mod site;
#[path = "../support/mod.rs"]
mod support;

use std::io::Write as _;
use std::time::{Duration, Instant};

use faults::{Fault, Random};
use load::{FileLoad, TopicLoad};
use site::Site;
use support::broker::Broker;
use support::have_chdb;

/// One record of so many raises an alert.
const ALARM_EVERY: u64 = 101;
/// Nothing new stored for so long, with all parts up: what is missing is lost.
const STUCK_AFTER: Duration = Duration::from_secs(300);

struct Form {
    rounds: u64,
    records: u64,
}

impl Form {
    fn chosen() -> Self {
        let all = std::env::var_os("CITYWATCH_ALL").is_some_and(|value| value == "1");
        let (rounds, records) = if all { (60, 2_000_000) } else { (11, 30_000) };
        Self {
            rounds: number("CITYWATCH_ROUNDS").unwrap_or(rounds),
            records: number("CITYWATCH_RECORDS").unwrap_or(records),
        }
    }

    /// Of the store's disk: room for the records and as much as it wants free, little to fill.
    fn disk_size(&self) -> &'static str {
        if self.records > 100_000 { "2g" } else { "640m" }
    }
}

/// Says what a run is known by, also where the output of tests that pass is kept back.
fn tell(line: &str) {
    // Not `eprintln!`: that is what is kept back.
    let line = format!("exactly once: {line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}

/// Whole numbers that one row of an answer gives.
fn numbers(row: &str) -> Vec<u64> {
    let fields = row.split(['\t', '|']).map(str::trim);
    fields.map(|field| field.parse().unwrap()).collect()
}

#[test]
fn every_record_is_stored_once_whatever_fails() {
    if !have_chdb() {
        return;
    }
    let Some(broker) = Broker::start() else {
        return;
    };
    let form = Form::chosen();
    let seed = number("CITYWATCH_SEED").unwrap_or_else(|| {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        u64::from(since.subsec_nanos())
    });
    tell(&format!(
        "CITYWATCH_SEED={seed}, {} rounds, {} records",
        form.rounds, form.records
    ));
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random(seed);
    let mut site = Site::start(dir.path(), broker, form.disk_size());
    // A quarter is written to a topic by others, without an agent.
    let mut files = FileLoad::new(&site.logs_dir());
    let mut topic = TopicLoad::new(site.broker.address(), Site::OTHERS_TOPIC, Site::PARTITIONS);
    let begun = Instant::now();
    let mut faults = Fault::sequence(&mut random, form.rounds, site.disk.is_some());
    for (round, fault) in (1..).zip(faults.drain(..)) {
        fault.prepare(&site, &mut random);
        let until = form.records * round / form.rounds;
        files.write_until(until - until / 4);
        topic.write_until(until / 4);
        // Somewhere in the middle of what it leads to.
        std::thread::sleep(Duration::from_millis(200 + random.below(1_300)));
        eprintln!(
            "{:>4} s round {round}: {fault:?}, {} engines, {:?} stored",
            begun.elapsed().as_secs(),
            site.engines.len(),
            site.stored_roughly()
        );
        fault.happen(&mut site, &mut random);
        site.all_alive();
    }
    topic.finish();
    let expected = [files.written(), topic.written()];
    eprintln!(
        "{:>4} s: the last of {expected:?} is written",
        begun.elapsed().as_secs()
    );
    wait_until_stored(&mut site, expected.iter().sum());
    let alarms = check(&site, expected);
    tell(&format!(
        "{} records of our agent and {} of others once each, {alarms} alerts once each, after {} rounds in {} s, CITYWATCH_SEED={seed}",
        expected[0],
        expected[1],
        form.rounds,
        begun.elapsed().as_secs()
    ));
    site.stop();
}

fn wait_until_stored(site: &mut Site, expected: u64) {
    let (mut last, mut since) = (0, Instant::now());
    loop {
        site.all_alive();
        let stored = site.stored_roughly().unwrap_or(last);
        // More than that is a fault that the check names.
        if stored >= expected {
            return;
        }
        if stored != last {
            (last, since) = (stored, Instant::now());
        }
        assert!(
            since.elapsed() < STUCK_AFTER,
            "{stored} of {expected} are stored and no more come\n{}",
            site.describe()
        );
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Ids, positions and alerts: each once. How many alerts there are.
fn check(site: &Site, expected: [u64; 2]) -> u64 {
    let agents = [
        Site::AGENT.to_owned(),
        format!("kafka/{}", Site::OTHERS_TOPIC),
    ];
    for (agent, records) in agents.iter().zip(expected) {
        let row = site.query(&format!(
            "SELECT count(), uniqExact(toUInt64(extract(raw, '\"id\":(\\\\d+)')) AS id), uniqExact(stream, position), uniqExact(event_id), min(id), max(id) \
             FROM citywatch.events WHERE agent = '{agent}'"
        ));
        let twice = site.query(&format!(
            "SELECT stream, min(position), max(position), count() FROM (SELECT stream, position FROM citywatch.events WHERE agent = '{agent}' GROUP BY stream, position HAVING count() > 1) GROUP BY stream"
        ));
        assert_eq!(
            numbers(&row[0]),
            [records, records, records, records, 0, records - 1],
            "{agent}: rows, ids, positions, event ids, lowest and highest id; stored twice (stream, from, to, records): {twice:?}\n{}",
            site.describe()
        );
    }
    let dead = site.query("SELECT count() FROM citywatch.dead_letters");
    assert_eq!(dead, ["0"], "dead letters");
    let alarms: u64 = expected
        .iter()
        .map(|records| records.div_ceil(ALARM_EVERY))
        .sum();
    let row = site.query(&format!(
        "SELECT count(), uniqExact(match_id), uniqExact(event_ids) FROM citywatch.matches FINAL WHERE rule_id = '{}'",
        Site::RULE_ID
    ));
    assert_eq!(
        numbers(&row[0]),
        [alarms; 3],
        "matches, their ids, their events"
    );
    if let Some(alerts) = site.alerts() {
        assert_eq!(
            alerts, [alarms; 2],
            "matches that alerts were told of, sum over the alerts"
        );
    }
    let claims = site.query("SELECT count() FROM citywatch.events WHERE agent = 'citywatch/claim'");
    eprintln!("plans shut out: {claims:?}");
    alarms
}
