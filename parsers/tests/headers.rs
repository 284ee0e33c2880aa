//! What the top of a file says is known to who begins to read in its middle, where the format's name says it.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    EventJson, Origin, ParseContext, Parser, RecordBatch, Timestamp, header_of_file,
};
use serde_json::Value as Json;

/// The events of lines from the middle of a file, by a parser that has read nothing else.
fn events(format: &str, lines: &[&str]) -> Vec<Json> {
    let mut batch = RecordBatch::new(Arc::new(Origin {
        agent: "a".into(),
        stream: "s".into(),
        format: format.into(),
        ..Origin::default()
    }));
    for (place, line) in lines.iter().enumerate() {
        let received_at = Timestamp::from_seconds(1_795_316_400);
        batch.push(
            line.as_bytes(),
            9_000 + place as u64,
            received_at,
            Truncated::No,
        );
    }
    let (arena, mut events) = (Bump::new(), Vec::new());
    Parser::new(ParseContext::default()).parse_batch(&batch, &arena, &mut events);
    events
        .iter()
        .map(|event| serde_json::to_value(EventJson(event)).unwrap())
        .collect()
}

/// One line of each such file, and fields that come out only when its header is known.
const FILES: [(&str, &str, &str, &str, &str); 5] = [
    (
        "auto",
        "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status\n",
        "2026-11-22 02:15:30 203.0.113.9 GET /nộp-hồ-sơ 404",
        "c-ip",
        "203.0.113.9",
    ),
    (
        "auto",
        "#separator \\x09\n#path\town\n#fields\tts\tuid\tid.orig_h\tdoor\n#types\ttime\tstring\taddr\tstring\n",
        "1795312800.123456\tC1\t203.0.113.9\tnorth",
        "door",
        "north",
    ),
    (
        "csv; charset=windows-1258",
        "time;user;door;x y\n",
        "2026-11-22T02:15:30Z;lan;north;1",
        "door",
        "north",
    ),
    (
        "auto",
        "version vpc-id srcaddr dstaddr srcport dstport action start\n",
        "5 vpc-1 203.0.113.9 10.0.0.5 40112 22 REJECT 1795312800",
        "vpc_id",
        "vpc-1",
    ),
    (
        "vpc_flow",
        "version vpc-id srcaddr dstaddr srcport dstport action start\n",
        "5 vpc-1 203.0.113.9 10.0.0.5 40112 22 REJECT 1795312800",
        "src_ip",
        "203.0.113.9",
    ),
];

#[test]
fn lines_in_the_middle_are_read_by_the_header_that_the_format_names() {
    for (format, top, line, field, value) in FILES {
        let without = events(format, &[line]);
        let names = |event: &Json| event["fields"].get(field).cloned();
        if format != "csv; charset=windows-1258" {
            assert_ne!(names(&without[0]), Some(value.into()), "{line}");
        }
        let named = header_of_file(format, &format!("{top}{line}\n"), "").unwrap();
        let found = events(&named, &[line, line]);
        for event in found {
            assert_eq!(names(&event), Some(value.into()), "{named}: {event}");
            assert_eq!(event["problems"], Json::Array(vec![]), "{event}");
        }
    }
}

#[test]
fn what_the_records_say_counts_more() {
    let lines = [
        "#Fields: date time c-ip cs-uri-stem sc-status",
        "2026-11-22 02:15:30 203.0.113.9 /a 200",
    ];
    let named = "iis; header=#Fields: date time cs-uri-stem c-ip sc-status";
    assert_eq!(
        events(named, &lines)[1]["fields"]["c-ip"],
        Json::from("203.0.113.9")
    );
}

#[test]
fn a_header_that_is_none_is_no_harm() {
    for format in [
        "csv; header=",
        "auto; header=\n\n",
        "auto; header=\0\u{7f}#Fields:",
        "w3c; header=2026-11-22 02:15:30 x",
        "nothing; header=a,b",
    ] {
        let found = events(
            format,
            &["Nov 22 03:00:00 gw sshd[1]: Accepted password for lan from 203.0.113.9 port 5 ssh2"],
        );
        assert_eq!(found.len(), 1, "{format}");
        assert_eq!(found[0]["fields"]["User"], Json::from("lan"), "{format}");
    }
}

#[test]
fn a_parameter_that_there_is_not_is_told() {
    let found = events("syslog; charst=utf-8", &["Nov 22 03:00:00 gw a: b"]);
    assert_eq!(found[0]["problems"][0]["kind"], "format_mismatch");
}
