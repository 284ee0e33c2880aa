//! What is remembered of earlier records makes reading faster and changes nothing: a parser that has read much gives the
//! same events as one that has read nothing, whatever comes, whole or broken, alone or among others.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Event, Origin, ParseContext, Parser, RecordBatch, Timestamp};
use proptest::prelude::*;

/// Everything an event says, but for the order of its names, which only its own parser can compare.
fn said(event: &Event<'_>) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?}",
        event.sub_index,
        event.format,
        event.event_time,
        event.host,
        event.log_sources,
        event.fields,
        event.problems
    )
}

fn batch(format: &str, records: &[Vec<u8>]) -> RecordBatch {
    let mut batch = RecordBatch::new(Arc::new(Origin {
        format: format.into(),
        ..Origin::default()
    }));
    for (position, record) in records.iter().enumerate() {
        let at = Timestamp::from_seconds(1_795_316_400);
        batch.push(record, position as u64, at, Truncated::No);
    }
    batch
}

fn events(parser: &mut Parser, format: &str, records: &[Vec<u8>]) -> Vec<String> {
    let (batch, arena) = (batch(format, records), Bump::new());
    let mut events = Vec::new();
    parser.parse_batch(&batch, &arena, &mut events);
    events.iter().map(said).collect()
}

/// Each record read by a parser of its own, and all of them, several times, by one.
fn check(format: &str, records: &[Vec<u8>]) {
    let alone: Vec<String> = records
        .iter()
        .flat_map(|record| {
            let mut parser = Parser::new(ParseContext::default());
            events(&mut parser, format, std::slice::from_ref(record))
        })
        .collect();
    let mut parser = Parser::new(ParseContext::default());
    for round in 0..4 {
        assert_eq!(events(&mut parser, format, records), alone, "round {round}");
    }
}

/// A member of an object as it is written.
fn member() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => "[a-d]",
        2 => prop::sample::select(vec!["EventID", "Channel", "ts", "host", "@timestamp", "product", "SourceName", "Hostname"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["ID", "Records", "a b", "", "é", "a\\\"", "\\u0061", "x.y"]).prop_map(str::to_owned),
    ];
    let plain = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,16})?",
        "\"[a-zA-Z0-9 é:./-]{0,80}\"",
        "\"([a-z]|\\\\[\"\\\\/bfnrt]|\\\\u00e9){0,70}\"",
        prop::sample::select(vec![
            "true", "false", "null", "{}", "[]", "{ }", "[ ]", "1e3", "-", "tru"
        ])
        .prop_map(str::to_owned),
    ];
    let plain = plain.boxed();
    let lists = prop::collection::vec(plain.clone(), 0..6)
        .prop_map(|items| format!("[{}]", items.join(", ")));
    let value = prop_oneof![
        12 => plain.clone(),
        2 => lists,
        1 => plain.prop_map(|inner| format!("{{\"a\":{inner}}}")),
    ];
    let space = prop::sample::select(vec!["", "", "", " ", "\n\t "]);
    (name, space, value)
        .prop_map(|(name, space, value)| format!("\"{name}\"{space}:{space}{value}"))
}

/// Records of which many have the same names in the same order, and some are cut off.
fn records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let object = prop::collection::vec(member(), 0..7)
        .prop_map(|members| format!("{{{}}}", members.join(",")))
        .boxed();
    let broken = (object.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(
        |(object, at, byte)| {
            let mut bytes = object.into_bytes();
            let at = at.index(bytes.len());
            if byte.is_multiple_of(2) {
                bytes.truncate(at);
            } else {
                bytes[at] = byte;
            }
            bytes
        },
    );
    let record = prop_oneof![3 => object.prop_map(String::into_bytes), 1 => broken];
    prop::collection::vec(record, 1..8)
}

/// Lines of syslog: headers in their forms, programs that are known and not, messages that fit a pattern or almost.
fn line() -> impl Strategy<Value = String> {
    let pick = |of: &[&'static str]| prop::sample::select(of.to_vec());
    let header = pick(&["<38>", "<134>", "<0>", "", "<38>1 ", "12 <6>", "<999>"]);
    let time = pick(&[
        "Nov 21 21:03:11 ",
        "Nov 21 21:03:12 ",
        "Feb 29 00:00:00 ",
        "Dec 31 23:59:60 ",
        "2026-11-21T21:05:00.000001+07:00 ",
        "- ",
        "",
    ]);
    let host = pick(&["h1 ", "h2 ", "10.0.0.1 ", "- ", ""]);
    let program = pick(&[
        "sshd[12]: ",
        "sshd[012]: ",
        "SSHD: ",
        "postfix/smtpd[9]: ",
        "CRON[7]: ",
        "sudo: ",
        "kernel: ",
        "app 7 ID1 - ",
        "app - - [a@1 b=\"c\"] ",
        "unknown[x y]: ",
        "%ASA-4-106023: ",
        "",
    ]);
    let message = pick(&[
        "Failed password for lan from 203.0.113.77 port 40112 ssh2",
        "Failed password for invalid user from from 203.0.113.77 port 01 ssh2",
        "Failed password for lan from host.example port 40112 ssh2",
        "Failed password for - from - port 4 ssh2",
        "Accepted publickey for lan from ::1 port 40112 ssh2: ED25519 SHA256:abc",
        "connect from unknown[198.18.0.1]",
        "4F1D0: from=<lan@hcmc.example>, size=512, nrcpt=1 (queue active)",
        "(root) CMD (run-parts /etc/cron.hourly)",
        "pam_unix(sshd:session): session opened for user lan(uid=1002) by (uid=0)",
        "lan : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id",
        "[82508.1] [UFW BLOCK] IN=eth0 OUT= SRC=198.18.0.1 DST=10.0.0.1 LEN=40 PROTO=TCP SPT=1 DPT=22",
        "{\"message\":\"inner\",\"hostname\":\"x\",\"pid\":4}",
        "CEF:0|a|b|1|100|name|3|src=198.51.100.2 dst=10.0.0.1 msg=two words act=blocked",
        "two words  ",
        "",
    ]);
    (header, time, host, program, message).prop_map(|(header, time, host, program, message)| {
        format!("{header}{time}{host}{program}{message}")
    })
}

/// Lines of pairs in few orders, with values that are numbers or almost, and what stands between pairs.
fn pairs() -> impl Strategy<Value = String> {
    let pick = |of: &[&'static str]| prop::sample::select(of.to_vec());
    let pair = (
        pick(&[
            "a",
            "SRC",
            "DST",
            "LEN",
            "srcintfrole",
            "SRCX",
            "eight888",
            "é",
            "",
        ]),
        prop_oneof![
            2 => "-?[0-9]{0,10}",
            1 => "[0-9]{1,9}[.a-é-]",
            2 => pick(&[
                "", "-", "0", "00", "-0", "01", "lan", "10.0.0.1", "52:54:00:12:34:56:52:54:00:ab", "\"two words\"", "\"4\"", "'a b'", "\"",
                "x=y", "é", "\"a\\\"b\"",
            ])
            .prop_map(str::to_owned),
        ],
        pick(&[" ", " ", " ", "  ", " SYN ", "\n", ",", " = ", ""]),
    );
    let pair = pair.prop_map(|(key, value, behind)| format!("{key}={value}{behind}"));
    let before = pick(&[
        "",
        "IN=eth0 OUT= SRC=198.18.0.1 DST=10.0.0.1 ",
        "date=2026-11-22 time=10:00:00 ",
    ]);
    (before, prop::collection::vec(pair, 0..7))
        .prop_map(|(before, pairs)| before.to_owned() + &pairs.concat())
}

proptest! {
    #[test]
    fn pairs_read_before_change_no_event(lines in prop::collection::vec(pairs(), 1..12)) {
        let twice: Vec<_> = lines.iter().chain(&lines).map(|line| line.clone().into_bytes()).collect();
        check("logfmt", &twice);
        let packets: Vec<_> = lines.iter().chain(&lines).map(|line| format!("kernel: [UFW BLOCK] {line}").into_bytes()).collect();
        check("syslog", &packets);
        check("auto", &twice);
    }

    #[test]
    fn lines_read_before_change_no_event(
        lines in prop::collection::vec(line().prop_map(String::into_bytes), 1..12)
    ) {
        check("syslog", &lines);
        check("auto", &lines);
    }

    #[test]
    fn what_was_read_before_changes_no_event(records in records()) {
        check("json", &records);
        check("auto", &records);
    }

    #[test]
    fn a_record_is_read_alike_among_others_of_any_bytes(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..8)
    ) {
        check("auto", &records);
    }
}

#[test]
fn characters_that_two_records_share_are_of_neither() {
    // Together these are the UTF-8 of é; each of them is broken.
    let records = [
        b"{\"a\":1,\"b\":\"\xC3".to_vec(),
        b"\xA9\"}".to_vec(),
        b"ok".to_vec(),
    ];
    check("auto", &records);
    let mut parser = Parser::new(ParseContext::default());
    let told = events(&mut parser, "text", &records);
    assert!(told[0].contains("BadEncoding") && told[1].contains("BadEncoding"));
    assert!(!told[2].contains("BadEncoding"));
}
