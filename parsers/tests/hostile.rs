//! Whatever bytes come: one event at least, no panic, within the bounds of time and memory.

#![allow(clippy::unwrap_used, reason = "tests may")]

#[path = "../../tests/support/cost.rs"]
mod cost;

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    EventJson, FORMATS, Origin, ParseContext, ProblemKind, RecordBatch, Timestamp, detect_format,
    parse_batch,
};
use proptest::prelude::*;

fn events_of(format: &str, raw: &[u8]) -> (usize, Vec<ProblemKind>) {
    let origin = Origin {
        format: format.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(
        raw,
        0,
        Timestamp::from_seconds(1_795_316_400),
        Truncated::No,
    );
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, &ParseContext::default());
    for event in &events {
        // Reading it as JSON walks all fields and finds the pivots.
        serde_json::to_string(&EventJson(event)).unwrap();
        let mut names: Vec<_> = event.fields.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(
            names.len(),
            event.fields.len(),
            "a name occurs once: {event:?}"
        );
    }
    let problems = events
        .iter()
        .flat_map(|event| event.problems.iter().map(|problem| problem.kind))
        .collect();
    (events.len(), problems)
}

fn in_each_format(raw: &[u8]) {
    detect_format(raw, &ParseContext::default());
    for format in FORMATS
        .iter()
        .map(|format| format.name)
        .chain(["auto", "no such format"])
    {
        let (count, _) = events_of(format, raw);
        assert!(count >= 1, "{format}");
    }
}

/// Beginnings that bring a grammar to its inner parts.
const BEGINNINGS: [&str; 22] = [
    "",
    "<34>1 ",
    "<34>Oct 11 22:14:15 h p[1]: ",
    "<34>1 2003-10-11T22:14:15.003Z h p 1 m [a b=\"c\"] ",
    "Oct 11 22:14:15 h sshd[1]: Failed password for ",
    "Oct 11 22:14:15 h sudo: a : ",
    "Oct 11 22:14:15 h kernel: [1.0] IN=e OUT= SRC=1 DST=2 ",
    "Oct 11 22:14:15 h su: pam_unix(su:auth): ",
    "type=EXECVE msg=audit(1684329817.579:2995): argc=2 a0=",
    "type=USER_CMD msg=audit(1.2:3): msg='",
    "{\"Event\":{\"System\":{\"EventID\":1,\"Channel\":\"Security\"},\"EventData\":",
    "{\"log\":\"",
    "{\"MESSAGE\":\"",
    "<Event><System><EventID>1</EventID></System><EventData><Data Name='",
    "CEF:0|a|b|c|d|e|f|",
    "LEEF:2.0|a|b|c|d|^|",
    "1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] \"",
    "[Mon Jun 08 12:08:44.5 2020] [core:error] [pid 1] ",
    "2024/08/26 01:33:38 [error] 1#2: *3 ",
    "2022-01-28T16:04:05.4Z stdout F ",
    "a=1 b=\"",
    "[{\"a\":[{\"b\":",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..300)) {
        in_each_format(&raw);
    }

    #[test]
    fn arbitrary_ends_never_panic(beginning in prop::sample::select(&BEGINNINGS[..]), end in "\\PC{0,80}", cut in 0_usize..400) {
        let text = format!("{beginning}{end}");
        in_each_format(&text.as_bytes()[..cut.min(text.len())]);
    }

    #[test]
    fn grammar_characters_never_panic(beginning in prop::sample::select(&BEGINNINGS[..]), end in "[\\[\\]{}<>\"'\\\\=|:;, %a0é\u{0}\n-]{0,60}") {
        in_each_format(format!("{beginning}{end}").as_bytes());
    }
}

fn has(problems: &[ProblemKind], kind: ProblemKind) -> bool {
    problems.contains(&kind)
}

#[test]
fn size_depth_and_number_are_bounded() {
    let many_keys = format!(
        "{{{}}}",
        (0..100_000)
            .map(|key| format!("\"k{key}\":{key}"))
            .collect::<Vec<_>>()
            .join(",")
    );
    assert!(has(
        &events_of("auto", many_keys.as_bytes()).1,
        ProblemKind::TooLarge
    ));
    let same_keys = format!("[{}]", vec!["{\"a\":1}"; 100_000].join(","));
    let one = format!("{{\"list\":{same_keys}}}");
    assert_eq!(events_of("auto", one.as_bytes()).0, 1);
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(has(
        &events_of("auto", deep.as_bytes()).1,
        ProblemKind::TooLarge
    ));
    let bottomless = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    events_of("auto", format!("{{\"a\":{bottomless}}}").as_bytes());
    assert!(has(
        &events_of("auto", &vec![b'='; 2 << 20]).1,
        ProblemKind::TooLarge
    ));
}

/// Twice the record, twice the time: no grammar goes back and forth over what an attacker repeats.
#[test]
fn repetition_costs_no_more_than_its_length() {
    const LENGTH: usize = 64 << 10;
    const FILLS: [&str; 22] = [
        "=",
        "\"",
        "a=",
        "a=b ",
        "<a ",
        "<",
        "x ",
        " ",
        "|",
        "[",
        "(",
        ":",
        "\\",
        "' ",
        "-",
        ",",
        "\t",
        "\n",
        " from 1.1.1.1 port 1",
        "&",
        "{",
        "a%0 ",
    ];
    for beginning in BEGINNINGS {
        for fill in FILLS {
            let text = format!("{beginning}{}", fill.repeat(LENGTH / fill.len()));
            let (_, taken) = cost::of(|| events_of("auto", text.as_bytes()));
            // A hundred times what it costs here: a grammar that goes back and forth costs more.
            assert!(
                taken.as_secs() < 4,
                "{taken:?} for {beginning:?} and many {fill:?}"
            );
        }
    }
}

/// The attributes of a resource are fields of each of its log records: their product is bounded, no record is lost.
#[test]
fn a_resource_does_not_multiply_without_bound() {
    let attributes: Vec<String> = (0..1_500)
        .map(|number| format!(r#"{{"key":"a{number}","value":{{"intValue":1}}}}"#))
        .collect();
    let records = vec!["{}"; 2_000].join(",");
    let text = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{}]}},"scopeLogs":[{{"logRecords":[{records}]}}]}}]}}"#,
        attributes.join(",")
    );
    let origin = Origin {
        format: "otlp".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(text.as_bytes(), 0, Timestamp(0), Truncated::No);
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, &ParseContext::default());
    assert_eq!(events.len(), 2_000);
    let fields: usize = events.iter().map(|event| event.fields.len()).sum();
    assert!(fields < 1_100_000, "{fields}");
    let last = events.last().unwrap();
    assert_eq!(last.problems[0].kind, ProblemKind::TooLarge);
}

#[test]
fn other_encodings_are_read() {
    let utf16: Vec<u8> = "\u{FEFF}{\"user\":\"Nguyễn Văn A\"}"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(events_of("auto", &utf16).1, []);
    let with_bom = "\u{FEFF}{\"user\":\"Trần Thị B\"}";
    assert_eq!(events_of("auto", with_bom.as_bytes()).1, []);
    // Windows-1258, as the source says; the event has the text as people write it.
    let raw = b"<38>Nov 22 09:15:30 may-1 nhatky: User Nguy\xEA\xDEn sai m\xE2\xF2t kh\xE2\xD2u";
    let origin = Origin {
        format: "syslog; charset=windows-1258".into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    batch.push(raw, 0, Timestamp(0), Truncated::No);
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, &ParseContext::default());
    let message = events[0].get("message").and_then(|value| value.as_str());
    assert_eq!(message, Some("User Nguyễn sai mật khẩu"));
    assert_eq!(
        (events[0].format, &*events[0].problems),
        ("syslog", &[][..])
    );
    assert_eq!(events[0].record.raw, raw, "the bytes are kept");
    assert_eq!(events_of("auto", raw).1, [ProblemKind::BadEncoding]);
    assert_eq!(
        events_of("syslog; charset=klingon", raw).1,
        [ProblemKind::BadEncoding, ProblemKind::BadEncoding]
    );
    let broken = b"Oct 11 22:14:15 h sshd[1]: Invalid user \xff\xfe from 1.2.3.4 port 5";
    assert_eq!(events_of("auto", broken).1, [ProblemKind::BadEncoding]);
}
