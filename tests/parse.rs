//! `citywatch parse`: what records become, from each kind of input, and the check of a site's own formats.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;

use support::files::{json_lines, said, write};
use support::{run, run_with_input};

const LINE: &str = "Nov 21 21:03:11 h sshd[2210]: Failed password for invalid user admin from 203.0.113.77 port 40112 ssh2";

#[test]
fn a_record_is_one_json_object() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        "auth.log",
        format!("{LINE}\n\n???\n").as_bytes(),
    );
    let output = run(&["parse", "--strict", &path]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let events = json_lines(&output);
    let keys: Vec<_> = events[0].as_object().unwrap().keys().cloned().collect();
    let mut wanted = [
        "record",
        "format",
        "event_time",
        "host",
        "logsources",
        "pivots",
        "fields",
        "problems",
    ];
    wanted.sort_unstable();
    let mut keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, wanted);
    assert_eq!(events[0]["record"], 1);
    assert_eq!(events[0]["format"], "syslog");
    assert_eq!(events[0]["pivots"]["source_address"], "203.0.113.77");
    assert_eq!(events[1]["record"], 2, "blank lines are no records");
    assert_eq!(events[1]["problems"][0]["kind"], "unparsed");
    assert_eq!(events[1]["fields"]["message"], "???");
    assert!(
        said(&output).contains(
            "2 records, 2 events (syslog 1, text 1), 1 unparsed, 1 problems (unparsed 1)"
        ),
        "{}",
        said(&output)
    );
    assert!(run(&["parse", &path]).status.success());
}

#[test]
fn it_says_why_and_shows_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        "auth.log",
        format!("{LINE}\n\x1b[2J\n").as_bytes(),
    );
    let explained = json_lines(&run(&["parse", "--explain", &path]));
    assert_eq!(
        explained[0]["explain"]["why"],
        "begins with a time as in RFC 3164"
    );
    let table = run(&["parse", "--explain", "--output", "table", &path]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(
        table.contains("outcome=failure user=admin from=203.0.113.77"),
        "{table}"
    );
    assert!(
        table.contains("syslog: begins with a time as in RFC 3164"),
        "{table}"
    );
    assert!(
        !table.contains('\x1b'),
        "control characters are shown, not sent"
    );
}

#[test]
fn archives_and_standard_input_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(LINE.as_bytes()).unwrap();
    let gz = write(dir.path(), "auth.log.gz", packed.finish().unwrap());
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    archive
        .start_file("in/auth.log", zip::write::SimpleFileOptions::default())
        .unwrap();
    archive.write_all(LINE.as_bytes()).unwrap();
    let zip = write(dir.path(), "logs.zip", archive.finish().unwrap().get_ref());
    let found = json_lines(&run(&["parse", &gz, &zip]));
    assert_eq!(found.len(), 2);
    assert_eq!(found[1]["file"], format!("{zip}/in/auth.log"));
    assert_eq!(found[0]["fields"], found[1]["fields"]);

    let output = run_with_input(&["parse", "-"], LINE.as_bytes());
    assert_eq!(json_lines(&output)[0]["fields"], found[0]["fields"]);
}

const GATE: &str = r#"name = "gate"
description = "the office's access gate"

[detect]
prefix = ["GATE "]

[[pattern]]
grok = 'GATE %{TIMESTAMP_ISO8601:time} %{USER:User} from %{IP:SourceIp}'

[time]
zone = "Asia/Ho_Chi_Minh"

[[test]]
record = "GATE 2026-11-22 10:00:00 lan from 10.0.0.1"
event_time = "2026-11-22T03:00:00.000000Z"
fields = { User = "lan" }
"#;

#[test]
fn a_sites_formats_are_checked_and_used() {
    let dir = tempfile::tempdir().unwrap();
    let formats = dir.path().join("formats");
    std::fs::create_dir(&formats).unwrap();
    write(&formats, "gate.toml", GATE.as_bytes());
    let folder = formats.to_str().unwrap();
    let right = run(&["parse", "--check", folder]);
    assert!(right.status.success(), "{}", said(&right));
    assert!(said(&right).contains("1 definitions, 1 tests, 0 problems"));

    let log = write(
        dir.path(),
        "gate.log",
        b"GATE 2026-11-22 10:00:00 lan from 10.0.0.1\n",
    );
    let config = write(
        dir.path(),
        "citywatch.toml",
        b"[parsers]\ndefinitions = \"formats\"\n",
    );
    for options in [["--definitions", folder], ["--config", &config]] {
        let found = json_lines(&run(&["parse", options[0], options[1], &log]));
        assert_eq!(found[0]["format"], "gate", "{options:?}");
        assert_eq!(found[0]["pivots"]["user"], "lan");
    }

    let broken = GATE
        .replace("\"lan\"", "\"mai\"")
        .replace("USER:User", "USRE:User");
    write(&formats, "gate.toml", broken.as_bytes());
    let wrong = run(&["parse", "--check", folder]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        said(&wrong).contains("gate.toml:8:8: there is no pattern `USRE`; did you mean `USER`?"),
        "{}",
        said(&wrong)
    );
    write(
        &formats,
        "gate.toml",
        GATE.replace("\"lan\"", "\"mai\"").as_bytes(),
    );
    let wrong = run(&["parse", "--check", folder]);
    assert!(
        said(&wrong).contains("gate.toml:13:1: fields User should be \"mai\" and is \"lan\""),
        "{}",
        said(&wrong)
    );
}

#[test]
fn mistakes_of_the_command_line_are_told() {
    let missing = run(&["parse", "/no/such/file"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(said(&missing).contains("cannot read /no/such/file"));
    for (arguments, words) in [
        (
            &["parse", "--format", "sislog", "x"][..],
            "--format sislog: there is no such format",
        ),
        (
            &["parse", "--check", "/no/such/folder"][..],
            "the path does not exist",
        ),
        (&["parse"][..], "FILE"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}

#[test]
fn a_csv_record_may_have_line_ends_within_quotes() {
    let dir = tempfile::tempdir().unwrap();
    let text = "time,user,note\n2026-11-22 09:15:30,lan,\"first\nsecond, \"\"third\"\"\"\n2026-11-22 09:15:31,tam,x\n";
    let path = write(dir.path(), "notes.csv", text.as_bytes());
    let output = run(&["parse", "--format", "csv", "--strict", &path]);
    assert!(output.status.success(), "{}", said(&output));
    let events = json_lines(&output);
    assert_eq!(events.len(), 3, "{}", said(&output));
    assert_eq!(events[1]["fields"]["note"], "first\nsecond, \"third\"");
    assert_eq!(events[2]["pivots"]["user"], "tam");
}

/// A field of protobuf: its number, and bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 0x80, "one byte of length is enough here");
    [&[number << 3 | 2, length], bytes].concat()
}

/// An export of one record with that text.
fn export(text: &str) -> Vec<u8> {
    let body = field(5, &field(1, text.as_bytes()));
    field(1, &field(2, &field(2, &body)))
}

#[test]
fn files_of_opentelemetry_in_protobuf_are_read_whatever_stands_between_exports() {
    let dir = tempfile::tempdir().unwrap();
    let exports = [export("first\nline"), export("second")];
    let four_bytes = exports.iter().flat_map(|export| {
        let length = u32::try_from(export.len()).unwrap();
        [&length.to_be_bytes()[..], export].concat()
    });
    let varint = exports
        .iter()
        .flat_map(|export| [&[u8::try_from(export.len()).unwrap()][..], export].concat());
    let files: [(&str, Vec<u8>); 3] = [
        ("one", exports.concat()),
        ("exporter", four_bytes.collect()),
        ("delimited", varint.collect()),
    ];
    for (name, bytes) in files {
        let path = write(dir.path(), name, &bytes);
        for format in ["otlp", "auto"] {
            let output = run(&["parse", "--format", format, "--strict", &path]);
            assert!(output.status.success(), "{name}: {}", said(&output));
            let events = json_lines(&output);
            let texts: Vec<_> = events
                .iter()
                .map(|event| event["fields"]["message"].as_str().unwrap())
                .collect();
            assert_eq!(texts, ["first\nline", "second"], "{name} as {format}");
            assert_eq!(events[0]["format"], "otlp");
        }
    }
}
