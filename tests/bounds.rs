//! Bounds that a running engine keeps: the share of each unit, and the bytes of the store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use rdkafka::producer::{BaseRecord, Producer};
use support::site::{Site, send};
use support::{PATIENCE, have_chdb, request, wait_for};

fn stored(site: &Site, topic: &str) -> u64 {
    let sql = format!("SELECT count() FROM citywatch.events WHERE agent = 'kafka/{topic}'");
    site.store.query(&sql)[0].parse().unwrap()
}

/// Half a hundred letters that no two numbers share, so that the store cannot pack them small.
fn unpackable(number: u64) -> String {
    (0..3_u64)
        .map(|part| {
            let mut hasher = DefaultHasher::new();
            (number, part).hash(&mut hasher);
            format!("{:016x}", hasher.finish())
        })
        .collect()
}

/// Writes so many messages, as fast as they go.
fn flood(site: &Site, topic: &str, messages: u64) {
    for number in 0..messages {
        let line = format!("line {number} of a flood {}", unpackable(number));
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(line.as_bytes());
        site.producer
            .send(record)
            .map_err(|(error, _)| error)
            .unwrap();
        if number % 1000 == 0 {
            site.producer.poll(Duration::ZERO);
        }
    }
    site.producer.flush(PATIENCE).unwrap();
}

#[test]
fn a_unit_that_floods_does_not_hold_up_another() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let topics = [
        ("floods", "unit = \"hcmc/floods\""),
        ("speaks", "unit = \"hcmc/speaks\""),
    ];
    let quota = "[engine.quota]\nrecords_per_s = 200\nburst_s = 1\nbeyond = \"waits\"\n";
    let Some(site) = Site::start_with(dir.path(), &topics, quota, "") else {
        return;
    };
    let begun = Instant::now();
    flood(&site, "floods", 20_000);
    wait_for("the flood to come", || {
        (stored(&site, "floods") > 0).then_some(())
    });
    let none = BTreeMap::new();
    for number in 0..5 {
        let line = format!("line {number} of somebody else");
        send(&site.producer, "speaks", &none, line.as_bytes());
        wait_for("a line of who keeps within its quota", || {
            (stored(&site, "speaks") == number + 1).then_some(())
        });
    }
    // It passed what waits: that is told, and is let through at the pace that its quota allows.
    let (came, seconds) = (stored(&site, "floods"), begun.elapsed().as_secs());
    assert!(came < 20_000, "all of the flood went first");
    // A batch goes whole, and is paid for afterwards.
    assert!(
        came <= 200 * (seconds + 2) + 2 * 4_096,
        "{came} in {seconds} s"
    );
    let held = request(site.monitor, "GET", "/status", &[], "")
        .unwrap()
        .json();
    let units = held["details"]["held"]["units"].to_string();
    assert!(units.contains("hcmc/floods"), "{held}");
    assert!(!units.contains("hcmc/speaks"), "{held}");
    let metrics = site.metrics();
    assert!(
        metrics.contains("citywatch_engine_records_beyond_quota_total"),
        "{metrics}"
    );
    site.end();
}

#[test]
fn a_full_store_stops_intake_which_goes_on_by_itself() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let space = "[store.space]\nbytes_max = 200000\ncheck_interval_s = 1\n";
    let topics = [("fills", "unit = \"u\"")];
    let Some(site) = Site::start_with(dir.path(), &topics, "", space) else {
        return;
    };
    flood(&site, "fills", 20_000);
    let none = BTreeMap::new();
    let paused = || {
        let status = request(site.monitor, "GET", "/status", &[], "")?.json();
        let reason = status["details"]["intake_paused"].as_str()?.to_owned();
        Some(reason)
    };
    // It pauses before what comes next, when the bound is reached.
    let reason = wait_for("intake to pause", || {
        send(&site.producer, "fills", &none, b"a straggler");
        paused()
    });
    assert!(reason.contains("goes on below 93 %"), "{reason}");
    // What was on its way when it paused is stored.
    let mut came = stored(&site, "fills");
    wait_for("what was on its way", || {
        std::thread::sleep(Duration::from_secs(1));
        let now = stored(&site, "fills");
        (std::mem::replace(&mut came, now) == now).then_some(())
    });
    send(&site.producer, "fills", &none, b"one more");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        stored(&site, "fills"),
        came,
        "nothing is taken in meanwhile"
    );
    assert!(site.metrics().contains("citywatch_intake_paused 1"));
    // Both are told to the operators: the warning at 85 % and the pause at 95 %.
    for rule in ["citywatch-store-filling", "citywatch-intake-paused"] {
        let sql = format!("SELECT count() FROM citywatch.matches WHERE rule_id = '{rule}'");
        wait_for(rule, || (site.store.query(&sql) != ["0"]).then_some(()));
    }
    // What retention does in time.
    site.store.query("TRUNCATE TABLE citywatch.events");
    wait_for("intake to go on", || {
        let one = "SELECT count() FROM citywatch.events WHERE raw = 'one more'";
        (site.store.query(one) == ["1"]).then_some(())
    });
    assert!(paused().is_none());
    site.end();
}
