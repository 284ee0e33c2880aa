//! Messages that lie, through a real broker and the real engine: each is visible and counted, and the engine goes on.
//!
//! The cases are `testdata/hostile_messages.toml`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use citywatch_collector::authority::Authority;
use citywatch_collector::frame;
use citywatch_collector::identity::{Identity, beside};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::Deserialize;
use support::site::{Site, memory_peak_bytes, send};
use support::{PATIENCE, StoreServer, have_chdb, project, request, run, wait_for};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    message: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    topic: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    text: Option<String>,
    hex: Option<String>,
    made: Option<String>,
    event: Option<EventExpected>,
    letter: Option<LetterExpected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EventExpected {
    unit: String,
    format: Option<String>,
    problems: Option<Vec<String>>,
    #[serde(default)]
    clamped: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LetterExpected {
    kind: String,
    reason: String,
}

const DAY: Duration = Duration::from_secs(86_400);
/// What the bombs unpack to.
const BOMB_BYTES: usize = 128 << 20;

/// Who signs what is made here.
struct Signers {
    own: Identity,
    expired: Identity,
    stranger: Identity,
}

impl Signers {
    fn make(dir: &Path, authority: &Authority) -> Self {
        let now = SystemTime::now();
        let of = |authority: &Authority, agent: &str, valid: Duration, at: SystemTime| {
            let name = ("hcmc/signer", agent);
            beside::enrol(authority, name, "", &dir.join(agent), valid, at).unwrap()
        };
        let strangers = Authority::init(&dir.join("strangers"), now).unwrap();
        Self {
            own: of(authority, "signer", DAY, now),
            expired: of(authority, "expired", DAY, now - DAY * 30),
            stranger: of(&strangers, "stranger", DAY, now),
        }
    }
}

fn batch(unit: &str, agent: &str, text: &str) -> Vec<u8> {
    batch_at(7, unit, agent, text)
}

fn batch_at(position: u64, unit: &str, agent: &str, text: &str) -> Vec<u8> {
    let origin = Origin {
        unit: unit.into(),
        agent: agent.into(),
        stream: "s".into(),
        format: "text".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(
        text.as_bytes(),
        position,
        Timestamp::from_seconds(1_795_000_000),
        Truncated::No,
    );
    frame::encode(&batch).unwrap()
}

/// A frame around `body` as it is, with the right checksum: what a hostile sender can make.
fn forged(records: u32, raw_bytes: u32, body_bytes: u32, packed: &[u8]) -> Vec<u8> {
    let mut frame = b"CWF1\x01\x00".to_vec();
    for size in [records, raw_bytes, body_bytes] {
        frame.extend_from_slice(&size.to_le_bytes());
    }
    let mut checksum = flate2::Crc::new();
    checksum.update(&frame);
    checksum.update(packed);
    frame.extend_from_slice(&checksum.sum().to_le_bytes());
    frame.extend_from_slice(packed);
    frame
}

fn line_of(time: SystemTime) -> Vec<u8> {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    format!(
        "{{\"timestamp\":\"{}\",\"message\":\"what time is it?\"}}",
        shown(seconds)
    )
    .into_bytes()
}

fn shown(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second(i64::try_from(seconds).unwrap()).unwrap();
    time.to_string()
}

fn made(what: &str, signers: &Signers) -> Vec<u8> {
    let zeros = || vec![0_u8; BOMB_BYTES];
    let small = || zstd::bulk::compress(&[0_u8; 100], 1).unwrap();
    let now = SystemTime::now();
    let own = signers.own.current();
    match what {
        "gzip bomb" => {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(&zeros()).unwrap();
            packer.finish().unwrap()
        }
        "zstd bomb" => zstd::bulk::compress(&zeros(), 1).unwrap(),
        "honest bomb" => {
            let packed = zstd::bulk::compress(&zeros(), 1).unwrap();
            forged(1, 0, u32::try_from(BOMB_BYTES).unwrap(), &packed)
        }
        "lying bomb" => forged(1, 10, 20, &zstd::bulk::compress(&zeros(), 1).unwrap()),
        "lying count" => forged(900_000, 0, 100, &small()),
        "count beyond the limit" => forged(1_000_001, 0, 100, &small()),
        "cut batch" => {
            let mut cut = batch("hcmc/open", "web01", "cut");
            cut.truncate(cut.len() - 3);
            cut
        }
        "a year ahead" => line_of(now + DAY * 365),
        "a year behind" => line_of(now - DAY * 365),
        "long line" => [b"a long line: ", vec![b'x'; 900_000].as_slice()].concat(),
        "deep JSON" => "{\"a\":".repeat(100_000).into_bytes(),
        "unsigned batch" => batch("hcmc/signer", "signer", "unsigned"),
        "stranger's batch" => {
            let stranger = signers.stranger.current();
            stranger.seal(&batch("hcmc/signer", "stranger", "hello"))
        }
        "another's unit" => own.seal(&batch("hcmc/stolen", "signer", "of another unit")),
        "another's agent" => own.seal(&batch("hcmc/signer", "victim", "of another agent")),
        "changed batch" => {
            let seal = own.seal(&batch("hcmc/signer", "signer", "before"));
            let frame = batch("hcmc/signer", "signer", "after!");
            [&seal[..own.seal_bytes()], frame.as_slice()].concat()
        }
        "expired" => {
            let expired = signers.expired.current();
            expired.seal(&batch("hcmc/signer", "expired", "too late"))
        }
        other => panic!("nothing makes \"{other}\""),
    }
}

fn payload(case: &Case, signers: &Signers) -> Vec<u8> {
    match (&case.text, &case.hex, &case.made) {
        (Some(text), None, None) => text.clone().into_bytes(),
        (None, Some(hex), None) => hex
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
            .collect(),
        (None, None, Some(what)) => made(what, signers),
        _ => panic!("{}: one of text, hex and made", case.name),
    }
}

/// What the store has of a message: its row, or its dead letter.
fn stored(store: &StoreServer, case: &Case, offset: usize) -> Vec<String> {
    let of = format!("agent = 'kafka/{}' AND position = {offset}", case.topic);
    if case.letter.is_some() {
        store.query(&format!(
            "SELECT kind, reason, unit FROM citywatch.dead_letters WHERE {of} FORMAT TSVRaw"
        ))
    } else {
        store.query(&format!(
            "SELECT unit, format, arrayStringConcat(arrayDistinct(arrayMap(p -> splitByChar(':', p)[1], problems)), ','), \
             event_time = received_at FROM citywatch.events WHERE {of} FORMAT TSVRaw"
        ))
    }
}

#[test]
fn messages_that_lie_are_visible_and_counted_and_the_engine_goes_on() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("engine-data/ca");
    let authority = Authority::init(&ca, SystemTime::now()).unwrap();
    let signers = Signers::make(&dir.path().join("identities"), &authority);
    let topics = [
        ("open", "unit = \"hcmc/open\""),
        ("signed", "unit = \"hcmc/signed\"\nrequire_signed = true"),
    ];
    let Some(mut site) = Site::start(dir.path(), &topics) else {
        return;
    };
    let cases = project().join("tests/testdata/hostile_messages.toml");
    let cases: Cases = toml::from_str(&std::fs::read_to_string(cases).unwrap()).unwrap();
    let mut offsets = BTreeMap::<&str, usize>::new();
    let mut expected = Vec::new();
    for case in &cases.message {
        let offset = offsets.entry(case.topic.as_str()).or_default();
        send(
            &site.producer,
            &case.topic,
            &case.headers,
            &payload(case, &signers),
        );
        expected.push((case, *offset));
        *offset += 1;
    }
    // After all that, honest ones.
    let none = BTreeMap::new();
    send(&site.producer, "open", &none, b"an honest line");
    let honest = batch("hcmc/signer", "signer", "an honest batch");
    let honest = signers.own.current().seal(&honest);
    send(&site.producer, "signed", &none, &honest);

    for text in ["an honest line", "an honest batch"] {
        let sql = format!("SELECT unit FROM citywatch.events WHERE raw = '{text}'");
        let unit = wait_for(text, || site.store.query(&sql).into_iter().next());
        let expected = match text {
            "an honest line" => "hcmc/open",
            _ => "hcmc/signer",
        };
        assert_eq!(unit, expected);
    }
    let mut wrong = String::new();
    for (case, offset) in &expected {
        let rows = wait_for(&case.name, || {
            let rows = stored(&site.store, case, *offset);
            (!rows.is_empty()).then_some(rows)
        });
        for row in &rows {
            let parts: Vec<&str> = row.split('\t').collect();
            let is_right = match (&case.event, &case.letter) {
                (Some(event), None) => {
                    let found: Vec<&str> = parts[2].split(',').filter(|p| !p.is_empty()).collect();
                    parts[0] == event.unit
                        && event
                            .format
                            .as_deref()
                            .is_none_or(|format| format == parts[1])
                        && event.problems.as_ref().is_none_or(|kinds| *kinds == found)
                        && (!event.clamped || parts[3] == "1")
                }
                (None, Some(letter)) => {
                    // What a message says of its unit is not believed; what the topic's settings say is.
                    parts[0] == letter.kind
                        && parts[1].contains(&letter.reason)
                        && parts[2] == format!("hcmc/{}", case.topic)
                }
                _ => panic!("{}: an event or a letter", case.name),
            };
            if !is_right {
                writeln!(wrong, "{}: {row}", case.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // Nobody stole a unit.
    let stolen = "SELECT count() FROM citywatch.events WHERE unit = 'hcmc/stolen'";
    assert_eq!(site.store.query(stolen), ["0"]);

    let letters = cases.message.iter().filter(|case| case.letter.is_some());
    let refused = letters
        .clone()
        .filter(|case| case.topic == "signed")
        .count();
    let metrics = site.metrics();
    let total = |name: &str| -> usize {
        let counted = metrics.lines().filter(|line| line.starts_with(name));
        let counted =
            counted.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap());
        counted.sum()
    };
    assert_eq!(
        total("citywatch_engine_dead_letters_total"),
        letters.count(),
        "{metrics}"
    );
    assert_eq!(
        total("citywatch_refused_batches_total")
            - total("citywatch_refused_batches_total{reason=\"undecodable\"}"),
        refused,
        "{metrics}"
    );
    for clock in ["ahead of", "behind"] {
        let name = format!("citywatch_event_times_clamped_total{{clock=\"{clock}\"}}");
        assert_eq!(total(&name), 1, "{metrics}");
    }
    assert!(site.engine.is_running());

    // What was refused stays out, and the reasons are said, until somebody vouches for it: here the strangers' authority
    // takes the place of ours. What it signed lies below what is stored of its stream, so that it can be stored.
    let later = batch_at(9, "hcmc/signer", "stranger", "a later line");
    send(&site.producer, "open", &none, &later);
    let stored = "SELECT count() FROM citywatch.events WHERE agent = 'stranger'";
    wait_for("the stranger's later line", || {
        (site.store.query(stored) == ["1"]).then_some(())
    });
    let replay = |config: &Path| {
        let config = config.to_str().unwrap();
        let arguments = [
            "dead-letters",
            "replay",
            "--config",
            config,
            "--reason",
            "refused",
        ];
        let output = run(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).into_owned(), said)
    };
    let config = dir.path().join("engine.toml");
    let (done, said) = replay(&config);
    assert!(done.contains("replayed 0, failed again 0"), "{done}");
    assert!(done.contains(&format!("refused {refused}")), "{done}");
    assert!(
        said.contains("still refused: the certificate was not signed by"),
        "{said}"
    );
    let other = dir.path().join("other.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let strangers = dir.path().join("identities/strangers");
    std::fs::write(
        &other,
        format!("{text}[ca]\ndir = \"{}\"\n", strangers.display()),
    )
    .unwrap();
    let (done, said) = replay(&other);
    assert!(done.contains("replayed 1, failed again 0"), "{done}{said}");
    assert_eq!(site.store.query(stored), ["2"]);
    let peak = memory_peak_bytes(site.engine.id());
    assert!(peak < 500 << 20, "{peak} bytes at its peak");
    site.end();
}

#[test]
fn a_topic_that_is_made_anew_is_read_from_its_beginning() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(site) = Site::start(dir.path(), &[("anew", "unit = \"u\"")]) else {
        return;
    };
    let none = BTreeMap::new();
    let count = |site: &Site| -> usize {
        let sql = "SELECT count() FROM citywatch.events WHERE agent = 'kafka/anew'";
        site.store.query(sql)[0].parse().unwrap()
    };
    for number in 0..20 {
        let line = format!("before {number}");
        send(&site.producer, "anew", &none, line.as_bytes());
    }
    wait_for("the first records", || (count(&site) == 20).then_some(()));
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", site.broker.address())
        .create()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for making in 1..=2 {
        let deleted = admin.delete_topics(&["anew"], &AdminOptions::new());
        runtime.block_on(deleted).unwrap();
        if making == 2 {
            // Once it is missed for long, once so quickly that nobody missed it.
            wait_for("the missing topic to be told", || {
                let status = request(site.monitor, "GET", "/status", &[], "")?.json();
                let missing = &status["details"]["kafka"]["missing_topics"];
                (missing.as_array()?.len() == 1).then_some(())
            });
        }
        wait_for("the topic to be made", || {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                site.broker.topic("anew", 1, &[]);
            }))
            .ok()
        });
        // Fewer than before, so that each of them has an offset that was there before.
        for number in 0..5 {
            let line = format!("after {making} {number}");
            send(&site.producer, "anew", &none, line.as_bytes());
        }
        wait_for("the records of the new topic", || {
            (count(&site) == 20 + 5 * making).then_some(())
        });
    }
    let lines = "SELECT uniqExact(raw), uniqExact(event_id), uniqExact(stream) FROM citywatch.events WHERE agent = 'kafka/anew'";
    assert_eq!(site.store.query(lines), ["30\t30\t3"]);
    site.end();
}

/// A message that its producer packed for Kafka itself, to a thousandth of its size: the topic's bound does not hold it.
#[test]
fn what_a_producer_packed_too_well_is_cut_and_marked() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(mut site) = Site::start(dir.path(), &[("packed", "unit = \"u\"")]) else {
        return;
    };
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", site.broker.address())
        .set("message.max.bytes", "100000000")
        .set("compression.codec", "gzip")
        .create()
        .unwrap();
    let none = BTreeMap::new();
    send(&producer, "packed", &none, &vec![b'x'; 64 << 20]);
    send(&site.producer, "packed", &none, b"an honest line");
    let rows = "SELECT length(raw), arrayStringConcat(problems, ',') FROM citywatch.events WHERE agent = 'kafka/packed' ORDER BY position FORMAT TSVRaw";
    let rows = wait_for("both messages", || {
        let rows = site.store.query(rows);
        (rows.len() == 2).then_some(rows)
    });
    assert!(rows[0].starts_with("1048576\t"), "{rows:?}");
    assert!(rows[0].contains("too_large"), "{rows:?}");
    assert!(rows[1].starts_with("14\t"), "{rows:?}");
    let metrics = site.metrics();
    assert!(
        metrics.contains("citywatch_kafka_messages_cut_total 1"),
        "{metrics}"
    );
    assert!(site.engine.is_running());
    site.end();
}

/// Batches of messages that unpack beyond what is taken of one, in each packing: nobody here can read it, and what follows must go on.
#[test]
fn batches_that_cannot_be_unpacked_are_dead_letters_and_what_follows_is_stored() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let Some(mut site) = Site::start(dir.path(), &[("bombed", "unit = \"u\"")]) else {
        return;
    };
    let none = BTreeMap::new();
    let megabyte = vec![b'x'; 1 << 20];
    send(&site.producer, "bombed", &none, b"before");
    // As much as the topic takes.
    for (codec, megabytes) in [("zstd", 120), ("gzip", 600), ("lz4", 200)] {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", site.broker.address())
            .set("compression.codec", codec)
            .set("message.max.bytes", "1000000000")
            .set("batch.size", "1000000000")
            .set("linger.ms", "60000")
            .create()
            .unwrap();
        for _ in 0..megabytes {
            let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to("bombed").payload(&megabyte);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        let behind = format!("behind {codec}");
        send(&site.producer, "bombed", &none, behind.as_bytes());
    }

    let rows = "SELECT position, raw FROM citywatch.events WHERE agent = 'kafka/bombed' ORDER BY position FORMAT TSVRaw";
    let expected = [
        "0\tbefore",
        "121\tbehind zstd",
        "722\tbehind gzip",
        "923\tbehind lz4",
    ];
    wait_for("what follows", || {
        (site.store.query(rows) == expected).then_some(())
    });
    let letters = "SELECT kind, unit, position, length(raw), reason FROM citywatch.dead_letters ORDER BY position FORMAT TSVRaw";
    let letters = site.store.query(letters);
    assert_eq!(letters.len(), 3, "{letters:?}");
    for (letter, (first, last)) in letters.iter().zip([(1, 120), (122, 721), (723, 922)]) {
        let expected = format!(
            "unreadable\tu\t{first}\t0\toffsets {first} to {last} of partition 0 of topic bombed cannot be read and were passed over; \
             the batch unpacks to more than 100000000 bytes ([kafka.options] receive.message.max.bytes)"
        );
        assert!(letter.starts_with(&expected), "{letter}");
    }
    let metrics = site.metrics();
    for counted in [
        "citywatch_kafka_unreadable_batches_total 3",
        "citywatch_kafka_unreadable_messages_total 920",
        "citywatch_engine_dead_letters_total 3",
    ] {
        assert!(metrics.contains(counted), "{counted}: {metrics}");
    }
    let status = request(site.monitor, "GET", "/status", &[], "")
        .unwrap()
        .json();
    assert_eq!(status["details"]["kafka"]["unreadable"], 920, "{status}");
    // There are no bytes to send once more.
    let config = dir.path().join("engine.toml");
    let arguments = ["dead-letters", "replay", "--all", "--config"];
    let output = run(&[&arguments[..], &[config.to_str().unwrap()]].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("replayed 0, failed again 0"), "{said}");
    assert!(said.contains("unreadable 3"), "{said}");
    let peak = memory_peak_bytes(site.engine.id());
    assert!(peak < 500 << 20, "{peak} bytes at its peak");
    assert!(site.engine.is_running());
    site.end();
}
