//! A site's own formats: read as any other, refused with a place and a remedy, exchanged while records flow.

#![allow(clippy::unwrap_used, reason = "tests may")]

#[path = "../../tests/support/cost.rs"]
mod cost;

use std::path::Path;
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::definitions::{DefinitionSource, Definitions, check_definitions};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    EventJson, Origin, ParseContext, RecordBatch, Timestamp, detect_format, parse_batch,
};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

const RECEIVED_AT: Timestamp = Timestamp::from_seconds(1_795_316_400);

fn source(path: &str, text: &str) -> DefinitionSource {
    DefinitionSource {
        path: path.into(),
        text: text.into(),
    }
}

fn zones(name: &str) -> Option<TimeZone> {
    // The only zone that these tests know.
    (name == "Europe/Berlin").then(|| TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap())
}

fn context(texts: &[&str]) -> ParseContext {
    let sources: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(place, text)| source(&format!("{place}.toml"), text))
        .collect();
    let (definitions, problems) = Definitions::load(&sources, &zones);
    assert_eq!(problems, []);
    ParseContext {
        definitions,
        ..ParseContext::default()
    }
}

fn event(format: &str, record: &[u8], context: &ParseContext) -> Json {
    let origin = Origin {
        format: format.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(record, 0, RECEIVED_AT, Truncated::No);
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, context);
    serde_json::to_value(EventJson(&events[0])).unwrap()
}

const GATE: &str = r#"
name = "gate"
description = "the office's access gate"

[detect]
prefix = ["GATE|"]
programs = ["gated"]

[[pattern]]
regex = 'GATE\|(?P<time>[^|]*)\|(?P<door>\d+)\|(?P<rest>.*)'

[pairs]
field = "rest"
separator = "semicolon"

[time]
format = ["%d.%m.%Y %H:%M:%S"]
zone = "Europe/Berlin"

[fields]
card = { names = ["User"], type = "string" }
from = { names = ["SourceIp"], type = "ip" }
result = { names = ["outcome"] }

[constants]
action = "enter"

[values.outcome]
OK = "success"
"*" = "failure"

[[logsource]]
product = "gate"
service = "access"
"#;

#[test]
fn a_sites_format_is_read_as_any_other() {
    let context = context(&[GATE]);
    let record =
        "GATE|22.11.2026 03:30:00|7|card=0042;from=10.0.0.5;result=OK;note=\"Nguyễn; Văn A\"";
    let found = event("auto", record.as_bytes(), &context);
    assert_eq!(found["format"], "gate");
    assert_eq!(found["event_time"], "2026-11-22T02:30:00.000000Z");
    assert_eq!(found["logsources"][0]["product"], "gate");
    let fields = &found["fields"];
    assert_eq!(
        (&fields["door"], &fields["User"]),
        (&Json::from(7), &Json::from("0042"))
    );
    assert_eq!(fields["note"], "Nguyễn; Văn A");
    assert_eq!(found["pivots"]["source_address"], "10.0.0.5");
    assert_eq!(found["pivots"]["outcome"], "success");
    assert_eq!(found["problems"], Json::Array(vec![]));
    assert_eq!(
        detect_format(record.as_bytes(), &context).reason,
        "the office's access gate"
    );

    let refused = event("gate", b"GATE|22.11.2026 03:30:00|7|result=NO", &context);
    assert_eq!(refused["pivots"]["outcome"], "failure");
}

#[test]
fn it_is_read_behind_a_syslog_header_too() {
    let record = b"<13>Nov 22 03:00:00 door1 gated[7]: GATE|22.11.2026 03:30:00|7|card=1;result=OK";
    let found = event("auto", record, &context(&[GATE]));
    assert_eq!(
        (&found["format"], &found["host"]),
        (&"syslog".into(), &"door1".into())
    );
    assert_eq!(found["fields"]["action"], "enter");
    // The gate is no Linux, although its log came by syslog.
    assert_eq!(found["logsources"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_not_as_defined_is_told_and_kept() {
    let context = context(&[GATE]);
    let wrong_time = event("gate", b"GATE|yesterday|7|card=1;from=nowhere", &context);
    let kinds: Vec<_> = wrong_time["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["partial", "bad_time"]);
    assert_eq!(wrong_time["fields"]["SourceIp"], "nowhere");
    // Said to be of this format, and is another.
    let other = event("gate", br#"{"user":"lan"}"#, &context);
    assert_eq!(other["format"], "json");
    assert_eq!(other["problems"][0]["kind"], "format_mismatch");
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/definitions/err");
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 10);
    for case in cases {
        let text = std::fs::read_to_string(&case).unwrap();
        let name = case.file_name().unwrap().to_str().unwrap();
        let (definitions, problems) = Definitions::load(&[source(name, &text)], &zones);
        assert_eq!(
            (definitions.site().count(), problems.len()),
            (0, 1),
            "{name}"
        );
        let told = format!("{}\n", problems[0]);
        assert_eq!(told.lines().count(), 1, "{told}");
        let golden = case.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() || !golden.exists() {
            std::fs::write(&golden, &told).unwrap();
        }
        assert_eq!(told, std::fs::read_to_string(&golden).unwrap());
    }
}

#[test]
fn a_broken_definition_leaves_the_others_in_force() {
    let sources = [
        source("a.toml", "name = 7"),
        source("gate.toml", GATE),
        source("twice.toml", GATE),
    ];
    let (definitions, problems) = Definitions::load(&sources, &zones);
    assert_eq!(definitions.site().count(), 1);
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(told[0].starts_with("a.toml:1:8: "), "{told:?}");
    assert!(told[1].starts_with("twice.toml:2:8: "), "{told:?}");
    // A new version takes the place of the old one.
    let changed = GATE.replace("\"enter\"", "\"open\"");
    let (definitions, problems) = definitions.reload(&[source("gate.toml", &changed)], &zones);
    assert_eq!(problems, []);
    let context = ParseContext {
        definitions,
        ..ParseContext::default()
    };
    let found = event("auto", b"GATE|22.11.2026 03:30:00|7|card=1", &context);
    assert_eq!(found["fields"]["action"], "open");
}

#[test]
fn tests_beside_a_definition_are_run() {
    let tests = r#"
[[test]]
record = "GATE|22.11.2026 03:30:00|7|card=1;result=OK"
event_time = "2026-11-22T02:30:00.000000Z"
fields = { User = "1", from = "absent" }

[[test]]
record = "GATE|22.11.2026 03:30:00|7|card=1;result=OK"
fields = { User = "2" }

[[test]]
record = "no gate at all"
"#;
    let sources = [source("gate.toml", GATE), source("gate.test.toml", tests)];
    let checked = check_definitions(&sources, &zones);
    assert_eq!((checked.definitions, checked.tests), (1, 3));
    let told: Vec<_> = checked.problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "gate.test.toml:7:1: fields User should be \"2\" and is \"1\"",
            "gate.test.toml:11:1: the record is not read as gate but as text: no gate at all",
        ]
    );
}

#[test]
fn hostile_records_cost_no_more_than_their_length() {
    let nested =
        "name = \"n\"\ndescription = \"d\"\n[[pattern]]\nregex = '(?P<a>(?:x+)+)(?P<b>.*)y$'\n";
    let context = context(&[nested, GATE]);
    for record in [
        "x".repeat(1 << 20),
        format!("GATE|{}", "a=b;".repeat(1 << 18)),
    ] {
        for format in ["n", "gate"] {
            let (_, taken) = cost::of(|| event(format, record.as_bytes(), &context));
            assert!(taken.as_secs() < 10, "{format}: {taken:?}");
        }
    }
}
