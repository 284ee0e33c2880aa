//! Real logs, read where they exist: recorded attacks, and lines of 69 services with what another parser read.

#![allow(clippy::unwrap_used, reason = "tests may")]

mod shared;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::evtx::EvtxFile;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    Event, Origin, ParseContext, ProblemKind, RecordBatch, Timestamp, Value, parse_batch, pivots,
};
use serde_json::Value as Json;

fn batch<'r>(
    format: &str,
    stream: &str,
    records: impl IntoIterator<Item = &'r [u8]>,
) -> RecordBatch {
    let origin = Origin {
        format: format.into(),
        stream: stream.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    for (position, record) in records.into_iter().enumerate() {
        batch.push(
            record,
            position as u64,
            Timestamp::from_seconds(1_795_316_400),
            Truncated::No,
        );
    }
    batch
}

/// Records read of each file: all of them with `CITYWATCH_ALL=1`.
fn records_max() -> usize {
    if std::env::var_os("CITYWATCH_ALL").is_some() {
        usize::MAX
    } else {
        150
    }
}

#[test]
fn recorded_attacks_parse_without_a_problem() {
    let Some(folder) = shared::folder("events/otrf") else {
        return;
    };
    let mut formats: BTreeMap<&str, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for archive in shared::files(&folder, "zip") {
        let mut zip = zip::ZipArchive::new(File::open(&archive).unwrap()).unwrap();
        for index in 0..zip.len() {
            let mut file = zip.by_index(index).unwrap();
            let name = file.name().unwrap().into_owned();
            if !(name.ends_with(".json") || name.ends_with(".log")) {
                continue;
            }
            for line in lines(&mut file, records_max()) {
                let batch = batch("auto", &name, [line.as_slice()]);
                let arena = Bump::new();
                for event in parse_batch(&batch, &arena, &ParseContext::default()) {
                    *formats.entry(event.format).or_default() += 1;
                    let known = event.format != "windows_json"
                        || event.get("EventID").is_some() && !event.log_sources.is_empty();
                    if !event.problems.is_empty() || !known {
                        problems.push(format!(
                            "{name}: {:?}: {}",
                            event.problems,
                            String::from_utf8_lossy(&line)
                        ));
                    }
                }
            }
        }
    }
    eprintln!("events by format: {formats:?}");
    assert!(
        problems.is_empty(),
        "{} problems, first:\n{}",
        problems.len(),
        problems[..problems.len().min(5)].join("\n")
    );
}

fn lines(file: &mut dyn Read, most: usize) -> Vec<Vec<u8>> {
    BufReader::new(file)
        .split(b'\n')
        .map(Result::unwrap)
        .filter(|line| !line.trim_ascii().is_empty())
        .take(most)
        .collect()
}

/// SigmaHQ's regression cases come as EVTX and as JSON of the same events: both must read alike.
#[test]
fn evtx_files_read_as_their_json() {
    let Some(folder) = shared::folder("sigma/regression_data") else {
        return;
    };
    let mut compared = 0;
    for path in shared::files(&folder, "evtx") {
        let json = fs::read(path.with_extension("json")).unwrap();
        // Several events of a file simply follow each other.
        let objects = serde_json::Deserializer::from_slice(&json).into_iter::<Json>();
        let objects: Vec<_> = objects
            .map(|object| object.unwrap().to_string().into_bytes())
            .collect();
        let json = batch("auto", "json", objects.iter().map(Vec::as_slice));
        let mut file = EvtxFile::open(fs::read(&path).unwrap()).unwrap();
        let records: Vec<_> = file.records().map(|record| record.unwrap().json).collect();
        let from_evtx = batch("windows_json", "evtx", records.iter().map(Vec::as_slice));
        let arena = Bump::new();
        let events = parse_batch(&from_evtx, &arena, &ParseContext::default());
        for (evtx, json) in events
            .iter()
            .zip(parse_batch(&json, &arena, &ParseContext::default()))
        {
            assert_eq!(
                (json.format, json.problems.len()),
                ("windows_json", 0),
                "{}",
                path.display()
            );
            assert_eq!(evtx.fields.len(), json.fields.len(), "{}", path.display());
            // Their JSON writes identifiers without braces and in capitals, cuts times to microseconds, and trims.
            let plain = |value: Value<'_>| {
                value
                    .to_string()
                    .trim()
                    .trim_matches(['{', '}'])
                    .to_ascii_lowercase()
            };
            for field in json
                .fields
                .iter()
                .filter(|field| field.name != "TimeCreated_SystemTime")
            {
                let ours = evtx.get(field.name).map(plain);
                assert_eq!(
                    ours,
                    Some(plain(field.value)),
                    "{} in {}",
                    field.name,
                    path.display()
                );
            }
            assert_eq!(
                (evtx.event_time, evtx.host, &evtx.log_sources),
                (json.event_time, json.host, &json.log_sources)
            );
            compared += 1;
        }
    }
    eprintln!("{compared} events compared");
    assert!(EvtxFile::open(b"no such thing".to_vec()).is_err());
}

/// What CrowdSec's parsers call things, and where we have them.
fn ours(event: &Event<'_>, fact: &str, expected: &str) -> Option<String> {
    let pivots = pivots(event);
    let field = |name: &str| event.get(name).map(|value: Value<'_>| value.to_string());
    match fact {
        "source_ip" => {
            let same = |address: std::net::IpAddr| {
                expected
                    .parse()
                    .is_ok_and(|wanted: std::net::IpAddr| wanted.to_canonical() == address)
            };
            pivots.source_address.map(|address| {
                if same(address) {
                    expected.to_owned()
                } else {
                    address.to_string()
                }
            })
        }
        "user" | "username" | "target_user" => pivots.user.map(str::to_owned),
        "machine" => Some(event.host.to_owned()).filter(|host| !host.is_empty()),
        "http_path" => field("cs-uri"),
        "http_status" => field("sc-status"),
        "http_verb" => field("cs-method"),
        "http_user_agent" => field("cs-user-agent"),
        "target_fqdn" => field("cs-host"),
        "dst_port" => pivots.destination_port.map(|port| port.to_string()),
        _ => None,
    }
}

/// Facts that are their parsers' own names for things, not what the line says.
const NOT_FACTS: [&str; 3] = ["log_type", "service", "sub_type"];

#[derive(Default)]
struct Agreement {
    records: usize,
    unparsed: usize,
    facts: usize,
    equal: usize,
}

#[test]
fn service_logs_agree_with_another_parser() {
    let Some(folder) = shared::folder("logs") else {
        return;
    };
    let mut total = Agreement::default();
    let verbose = std::env::var_os("CITYWATCH_VERBOSE").is_some();
    for path in shared::files(&folder, "log") {
        let found = agreement(&path, verbose);
        eprintln!(
            "{:34} {:4} records {:4} unparsed {:4}/{:4} facts equal",
            path.file_stem().unwrap().to_str().unwrap(),
            found.records,
            found.unparsed,
            found.equal,
            found.facts
        );
        total.records += found.records;
        total.unparsed += found.unparsed;
        total.facts += found.facts;
        total.equal += found.equal;
    }
    let percent = total.equal * 100 / total.facts.max(1);
    eprintln!(
        "total: {} records, {} unparsed, {}/{} facts ({percent}%)",
        total.records, total.unparsed, total.equal, total.facts
    );
    // A ratchet: it only goes up.
    assert!(
        percent >= PERCENT_MIN,
        "{percent}% of the facts are equal; {PERCENT_MIN}% were"
    );
}

const PERCENT_MIN: usize = 97;

fn agreement(path: &Path, verbose: bool) -> Agreement {
    let text = fs::read(path).unwrap();
    let lines: Vec<&[u8]> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty())
        .collect();
    let batch = batch(
        "auto",
        path.file_stem().unwrap().to_str().unwrap(),
        lines.iter().copied(),
    );
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, &ParseContext::default());
    let unparsed = events.iter().filter(|event| {
        event
            .problems
            .iter()
            .any(|problem| problem.kind == ProblemKind::Unparsed)
    });
    let mut found = Agreement {
        records: lines.len(),
        unparsed: unparsed.count(),
        ..Agreement::default()
    };
    let expected =
        fs::read(path.with_file_name("expected.json")).unwrap_or_else(|_| b"[]".to_vec());
    let expected: Vec<Json> = serde_json::from_slice(&expected).unwrap();
    let mut next = 0;
    for entry in &expected {
        let meta = entry["meta"].as_object().unwrap();
        let facts: Vec<(&str, &str)> = meta
            .iter()
            .map(|(fact, wanted)| (fact.as_str(), wanted.as_str().unwrap_or("")))
            .filter(|(fact, _)| !NOT_FACTS.contains(fact))
            .collect();
        let equal = |event: &Event<'_>| {
            facts
                .iter()
                .filter(|(fact, wanted)| ours(event, fact, wanted).as_deref() == Some(wanted))
                .count()
        };
        // The entries are in the lines' order; lines that the other parser does not read have none, and are not
        // counted in its index: the entry belongs to the next line that says the same, else to the line of its index.
        let index = usize::try_from(entry["index"].as_u64().unwrap()).unwrap();
        let place = (next..events.len()).find(|place| equal(&events[*place]) == facts.len());
        next = place.map_or(next, |place| place + 1);
        let Some(event) = events.get(place.unwrap_or(index)) else {
            continue;
        };
        found.facts += facts.len();
        found.equal += equal(event);
        if verbose && equal(event) < facts.len() {
            eprintln!(
                "  [{}] {facts:?}: {}",
                event.format,
                String::from_utf8_lossy(event.record.raw)
            );
        }
    }
    if verbose {
        for event in events.iter().filter(|event| event.format == "text") {
            eprintln!("  [text] {}", String::from_utf8_lossy(event.record.raw));
        }
    }
    found
}
