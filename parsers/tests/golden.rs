//! `testdata/<format>/NNNN_name.log` holds records, the `.json` beside it the events that must come out.
//! A missing golden is written; `UPDATE=1` writes all anew.
//!
//! A `.bin` is one record, whatever bytes it has. A file with an empty line in it has records of several lines, separated by empty lines; else each line is a record.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    Event, EventJson, Origin, ParseContext, RecordBatch, Timestamp, detect_format, parse_batch,
};

/// All test records were received at 2026-11-22T03:00:00Z.
const RECEIVED_AT: Timestamp = Timestamp::from_seconds(1_795_316_400);

fn batch(format: &str, path: &Path) -> RecordBatch {
    let text = &fs::read(path).unwrap();
    let origin = Origin {
        unit: "unit-1".into(),
        agent: "agent-1".into(),
        stream: "test".into(),
        host: Some("origin-host".into()),
        format: format.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    let is_one = path.extension().is_some_and(|end| end == "bin");
    let records = if is_one {
        vec![text.as_slice()]
    } else {
        records(text)
    };
    for (position, record) in records.into_iter().enumerate() {
        batch.push(record, position as u64, RECEIVED_AT, Truncated::No);
    }
    batch
}

fn records(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let separator: &[u8] = if memchr::memmem::find(text, b"\n\n").is_some() {
        b"\n\n"
    } else {
        b"\n"
    };
    let mut records = Vec::new();
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, separator) {
        records.push(&rest[..at]);
        rest = &rest[at + separator.len()..];
    }
    records.push(rest);
    records
}

fn rendered(events: &[Event<'_>]) -> String {
    let events: Vec<_> = events.iter().map(EventJson).collect();
    serde_json::to_string_pretty(&events).unwrap() + "\n"
}

/// Records of others' shippers come in topics whose format is `auto`.
fn format_of(folder: &str) -> &str {
    if folder == "hostile" || folder.starts_with("shipper_") {
        "auto"
    } else {
        folder
    }
}

fn files() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let mut files = Vec::new();
    for folder in fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let format = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let logs = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        files.extend(
            logs.filter(|path| {
                let end = path.extension();
                end.is_some_and(|end| end == "log" || end == "bin")
            })
            .map(|path| (format.clone(), path)),
        );
    }
    files.sort();
    files
}

#[test]
fn records_become_their_golden_events() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for (format, path) in files() {
        let batch = batch(format_of(&format), &path);
        let arena = Bump::new();
        let found = rendered(&parse_batch(&batch, &arena, &ParseContext::default()));
        let golden_path = path.with_extension("json");
        match fs::read_to_string(&golden_path) {
            Ok(golden) if !update => {
                if golden != found {
                    wrong.push(format!(
                        "{}: differs{}",
                        path.display(),
                        first_difference(&golden, &found)
                    ));
                }
            }
            _ => {
                eprintln!("written: {}", golden_path.display());
                fs::write(&golden_path, found).unwrap();
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE=1 accepts what came out",
        wrong.join("\n")
    );
}

fn first_difference(golden: &str, found: &str) -> String {
    let lines = golden.lines().zip(found.lines()).enumerate();
    match lines
        .into_iter()
        .find(|(_, (golden, found))| golden != found)
    {
        Some((line, (golden, found))) => format!(
            " at line {}:\n  golden {golden}\n  found  {found}",
            line + 1
        ),
        None => " in length".to_owned(),
    }
}

/// `auto` reads what the format's own name reads, wherever the format can be told from its bytes.
#[test]
fn detection_finds_the_format_of_each_record() {
    // Said by the origin only: too general to be told from their bytes, or broken on purpose.
    const NAMED_ONLY: [&str; 4] = ["text", "hostile", "traefik", "csv"];
    let mut wrong = Vec::new();
    for (format, path) in files()
        .into_iter()
        .filter(|(format, _)| !NAMED_ONLY.contains(&format.as_str()))
    {
        let (named, detected) = (batch(&format, &path), batch("auto", &path));
        let arena = Bump::new();
        let context = ParseContext::default();
        let as_named = parse_batch(&named, &arena, &context);
        let as_detected = parse_batch(&detected, &arena, &context);
        for (named, detected) in as_named.iter().zip(&as_detected) {
            if named.format != detected.format {
                let reason = detect_format(named.record.raw, &context).reason;
                wrong.push(format!(
                    "{}: {} taken for {}: {reason}",
                    path.display(),
                    named.format,
                    detected.format
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
