//! What is fuzzed: functions that take any bytes and must neither panic, nor hang, nor grow without bound.
//!
//! The fuzzer's programs call [`run`]; so does a test of the engine, on the seeds and on a few thousand
//! mutations of them that are always the same, so that the targets cannot rot.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a target fails by panicking"
)]

use std::sync::Arc;

use bumpalo::Bump;
use citywatch_collector::frame::{self, DecodeLimits, FrameError, sealed};
use citywatch_engine::detect::{Compiled, LogSourceMode};
use citywatch_parsers::evtx::EvtxFile;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    Event, EventJson, Origin, ParseContext, RecordBatch, Timestamp, detect_format, parse_batch,
};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource, reference};
use serde_json::json;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the fuzzer calls it.
    pub name: &'static str,
    run: fn(&[u8]),
    /// Files and folders that it begins with, relative to the project.
    pub seeds: &'static [&'static str],
    /// What of such a file is one seed.
    pub seed: Seed,
}

/// What of a file is one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seed {
    /// All of it.
    File,
    /// Each line that is not blank.
    Line,
    /// What follows `condition:` in a line.
    Condition,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "rule_reader",
        run: rule_reader,
        seeds: &["rules/library", "rules/testdata"],
        seed: Seed::File,
    },
    Target {
        name: "condition",
        run: condition,
        seeds: &["rules/library", "rules/testdata/conditions"],
        seed: Seed::Condition,
    },
    Target {
        name: "pattern",
        run: pattern,
        seeds: &["fuzz/seeds/pattern"],
        seed: Seed::File,
    },
    Target {
        name: "agreement",
        run: agreement,
        seeds: &["rules/library/linux"],
        seed: Seed::Line,
    },
    Target {
        name: "json",
        run: |bytes| parsed_as(JSON, bytes),
        seeds: &[
            "parsers/testdata/json",
            "parsers/testdata/windows_json",
            "parsers/testdata/journald",
            "parsers/testdata/docker",
            "parsers/testdata/laurel",
            "parsers/testdata/suricata",
            "parsers/testdata/zeek",
            "parsers/testdata/cloudtrail",
            "parsers/testdata/kubernetes_audit",
            "parsers/testdata/web_json",
        ],
        seed: Seed::Line,
    },
    Target {
        name: "otlp",
        run: |bytes| parsed_as(&["otlp", "auto"], bytes),
        seeds: &["parsers/testdata/otlp"],
        seed: Seed::File,
    },
    Target {
        name: "windows_xml",
        run: |bytes| parsed_as(&["windows_xml"], bytes),
        seeds: &["parsers/testdata/windows_xml"],
        seed: Seed::Line,
    },
    Target {
        name: "evtx",
        run: evtx,
        seeds: &["fuzz/seeds/evtx", "../shared/sigma/regression_data"],
        seed: Seed::File,
    },
    Target {
        name: "syslog",
        run: |bytes| parsed_as(&["syslog", "cri"], bytes),
        seeds: &[
            "parsers/testdata/syslog",
            "parsers/testdata/cri",
            "fuzz/seeds/syslog",
        ],
        seed: Seed::Line,
    },
    Target {
        name: "auditd",
        run: |bytes| parsed_as(&["auditd"], bytes),
        seeds: &["parsers/testdata/auditd"],
        seed: Seed::Line,
    },
    Target {
        name: "key_value",
        run: |bytes| parsed_as(&["cef", "leef", "logfmt"], bytes),
        seeds: &[
            "parsers/testdata/cef",
            "parsers/testdata/leef",
            "parsers/testdata/logfmt",
        ],
        seed: Seed::Line,
    },
    Target {
        name: "columns",
        run: |bytes| {
            parsed_as(COLUMNS, bytes);
            lines_as(&["auto", "csv", "iis"], bytes);
        },
        seeds: &[
            "parsers/testdata/zeek_tsv",
            "parsers/testdata/iis",
            "parsers/testdata/w3c",
            "parsers/testdata/csv",
            "parsers/testdata/modsecurity",
            "parsers/testdata/oracle_trail",
            "parsers/testdata/aws_alb",
            "parsers/testdata/aws_cloudfront",
            "parsers/testdata/exchange_protocol",
            "parsers/testdata/exchange_smtp",
            "parsers/testdata/mysql",
            "parsers/testdata/postgresql",
        ],
        seed: Seed::File,
    },
    Target {
        name: "web",
        run: |bytes| parsed_as(WEB, bytes),
        seeds: &[
            "parsers/testdata/web_access",
            "parsers/testdata/apache_error",
            "parsers/testdata/nginx_error",
            "parsers/testdata/haproxy",
            "parsers/testdata/envoy",
            "parsers/testdata/nginx_proxy_manager",
        ],
        seed: Seed::Line,
    },
    Target {
        name: "text",
        run: |bytes| parsed_as(&["auto"], bytes),
        seeds: &["parsers/testdata", "fuzz/seeds/text"],
        seed: Seed::Line,
    },
    Target {
        name: "frame",
        run: frame,
        seeds: &["fuzz/seeds/frame"],
        seed: Seed::File,
    },
];

const JSON: &[&str] = &[
    "json",
    "windows_json",
    "journald",
    "docker",
    "laurel",
    "suricata",
    "zeek",
    "cloudtrail",
    "kubernetes_audit",
    "web_json",
];
const COLUMNS: &[&str] = &[
    "zeek_tsv",
    "iis",
    "w3c",
    "csv",
    "modsecurity",
    "oracle_trail",
    "aws_alb",
    "aws_cloudfront",
    "exchange_protocol",
    "exchange_smtp",
    "mysql",
    "postgresql",
];
const WEB: &[&str] = &[
    "web_access",
    "apache_error",
    "nginx_error",
    "haproxy",
    "envoy",
    "nginx_proxy_manager",
];

/// Runs a target on these bytes.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.unwrap_or_else(|| panic!("no target {name}")).run)(bytes);
}

/// The largest seed: an EVTX file of one chunk fits. What is longer is a matter of bounds, which tests of their own
/// check.
pub const INPUT_BYTES_MAX: usize = 128 << 10;

fn load(text: &str) -> RuleSet {
    RuleSet::load([RuleSource::new("fuzz.yml", text)], &LoadOptions::default())
}

/// A file of rules, which is read, and compiled as far as it is right.
fn rule_reader(bytes: &[u8]) {
    let set = load(&String::from_utf8_lossy(bytes));
    for problem in &set.problems {
        assert!(!problem.to_string().is_empty());
    }
    let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Strict).unwrap());
    assert_eq!(compiled.len(), set.rules.len());
}

/// A condition over a few searches.
fn condition(bytes: &[u8]) {
    let condition = String::from_utf8_lossy(bytes);
    let quoted = serde_json::to_string(&condition).unwrap();
    check(
        &rule(
            "        A: 1\n    sel_a:\n        B: x\n    sel_b:\n        C|contains: y\n    _own:\n        D: null\n    filter:\n        - z\n",
            &quoted,
        ),
        &[json!({"A": "1", "C": "xyz"}), json!({"B": "x"}), json!({})],
    );
}

fn rule(selection: &str, condition: &str) -> String {
    format!(
        "title: Fuzz\nlogsource:\n    category: test\ndetection:\n    selection:\n{selection}    condition: {condition}\n"
    )
}

/// Modifiers that make patterns.
const MODIFIERS: &[&str] = &[
    "",
    "|contains",
    "|startswith",
    "|endswith",
    "|cased",
    "|contains|cased",
    "|re",
    "|re|i",
    "|re|i|m|s",
    "|windash|contains",
    "|base64offset|contains",
    "|wide|base64offset|contains",
    "|utf16|base64",
    "|cidr",
    "|fieldref",
    "|neq",
    "|gte",
    "|hour",
    "|exists",
    "|contains|all",
    "|re|m",
    "|re|i|s",
    "|re|neq",
    "|startswith|neq",
    "|cased|endswith",
    "|windash|startswith",
    "|windash|contains|all",
    "|utf16le|base64offset|contains",
    "|utf16be|base64|contains",
    "|wide",
    "|fieldref|startswith",
    "|fieldref|contains|cased",
    "|fieldref|neq",
    "|cidr|neq",
    "|lt",
    "|lte",
    "|gt|neq",
    "|minute|lt",
    "|day",
    "|week|gte",
    "|month|neq",
    "|year|lte",
    "|expand",
    "|all",
];

/// The first byte is the modifier, the first line after it the pattern, the rest the value.
fn pattern(bytes: &[u8]) {
    let Some((&modifier, rest)) = bytes.split_first() else {
        return;
    };
    let modifier = MODIFIERS[usize::from(modifier) % MODIFIERS.len()];
    let rest = String::from_utf8_lossy(rest);
    let (pattern, value) = rest.split_once('\n').unwrap_or((&rest, &rest));
    let quoted = serde_json::to_string(pattern).unwrap();
    let selection = format!("        A{modifier}: {quoted}\n");
    check(
        &rule(&selection, "selection"),
        &[
            json!({"A": value, "B": value}),
            json!({"A": [1, value], "B": {"C": value}}),
        ],
    );
}

/// A rule and events made of what the bytes choose, few names and values so that they meet.
fn agreement(bytes: &[u8]) {
    let mut choices = Choices { bytes };
    let mut selections = String::new();
    let names = ["selection", "sel_b", "filter"];
    for (place, name) in names.iter().enumerate() {
        if place > 0 {
            selections.push_str(&format!("    {name}:\n"));
        }
        for field in 0..=choices.below(2) {
            let modifier = choices.pick(MODIFIERS);
            let value = choices.rule_value(modifier);
            let name = choices.pick(&["A", "B", "Image", "CommandLine"]);
            selections.push_str(&format!("        {name}{field}{modifier}: {value}\n"));
        }
    }
    let condition = choices.pick(&[
        "selection",
        "selection and not filter",
        "not selection",
        "1 of sel*",
        "all of sel*",
        "selection or (sel_b and not filter)",
        "not 1 of them",
        "all of them",
        "2 of them",
        "1 of sel* and not all of them",
        "not (selection and not filter) or sel_b",
    ]);
    let mut events = Vec::new();
    for _ in 0..=choices.below(3) {
        let mut event = serde_json::Map::new();
        for name in ["A0", "B0", "Image0", "CommandLine1", "A1", "B1"] {
            if choices.below(3) > 0 {
                event.insert(name.to_owned(), choices.value());
            }
        }
        events.push(event.into());
    }
    check(&rule(&selections, condition), &events);
}

/// Bytes as choices; when they are used up, everything is the first.
struct Choices<'b> {
    bytes: &'b [u8],
}

impl Choices<'_> {
    fn below(&mut self, end: usize) -> usize {
        let Some((&first, rest)) = self.bytes.split_first() else {
            return 0;
        };
        self.bytes = rest;
        usize::from(first) % end
    }

    fn pick<'i>(&mut self, items: &[&'i str]) -> &'i str {
        items[self.below(items.len())]
    }

    fn plain(&mut self) -> String {
        const PARTS: &[&str] = &[
            "a",
            "b",
            "\\",
            "*",
            "?",
            "cmd.exe",
            " -enc ",
            "/x",
            "Ứ",
            "k",
            "1",
            "-",
            "powershell",
            "10.0.0.1",
            "Y21kLmV4Z",
            "YQBi",
            "c\0m\0",
            "2026-11-22T10:00:00Z",
            "\"",
            "\n",
            "%",
            ".",
            "(",
        ];
        (0..=self.below(4)).map(|_| self.pick(PARTS)).collect()
    }

    /// A value that rules have under a modifier, nearly always: what cannot be read is not compared.
    fn rule_value(&mut self, modifier: &str) -> String {
        let is = |words: &[&str]| modifier.split('|').any(|word| words.contains(&word));
        const NUMBERS: &[&str] = &[
            "lt", "lte", "gt", "gte", "minute", "hour", "day", "week", "month", "year",
        ];
        if is(NUMBERS) {
            return (1 + self.below(12)).to_string();
        }
        if is(&["cidr"]) {
            return self.pick(&["10.0.0.0/8", "'::/0'", "10.0.0.1"]).to_owned();
        }
        if is(&["exists"]) {
            return self.pick(&["true", "false"]).to_owned();
        }
        if is(&["fieldref"]) {
            return self.pick(&["A0", "B0", "Image0", "B0.B0"]).to_owned();
        }
        if is(&["base64", "base64offset", "wide"]) {
            return self
                .pick(&["cmd.exe", "ab", "' -enc '", "powershell"])
                .to_owned();
        }
        if is(&["all"]) {
            return format!("[{}, {}]", self.text(), self.text());
        }
        match self.below(8) {
            0 => "null".to_owned(),
            1 => "'*'".to_owned(),
            2 => self.below(30).to_string(),
            3 => format!("[{}, {}]", self.text(), self.text()),
            _ => self.text(),
        }
    }

    /// A value of an event: text nearly always.
    fn value(&mut self) -> serde_json::Value {
        match self.below(10) {
            0 => json!(null),
            1 => json!(self.below(30)),
            2 => json!([self.plain(), self.below(3), null, self.plain()]),
            3 => json!({"B0": self.plain(), "n": [true, 1.5]}),
            4 => json!(self.below(2) == 1),
            _ => json!(self.plain()),
        }
    }

    fn text(&mut self) -> String {
        serde_json::to_string(&self.plain()).unwrap()
    }
}

/// Loads a rule and compares compiled engine and reference on events.
fn check(rule: &str, events: &[serde_json::Value]) {
    let set = load(rule);
    let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Loose).unwrap());
    let mut matcher = compiled.matcher();
    let mut hits = Vec::new();
    for event in events {
        let raw = serde_json::to_vec(event).unwrap();
        each_event("json", &[&raw], |event| {
            hits.clear();
            matcher.match_event(event, &mut hits);
            let found: Vec<usize> = hits.iter().map(|hit| hit.rule.as_usize()).collect();
            let expected: Vec<usize> = set
                .rules
                .iter()
                .enumerate()
                .filter(|(_, rule)| reference::matches(rule, event).is_some())
                .map(|(index, _)| index)
                .collect();
            assert_eq!(
                found, expected,
                "engine, reference: {rule}{:?}",
                event.fields
            );
        });
    }
}

/// Calls `each` with the events of records of one source, at least one of each.
fn each_event(format: &str, records: &[&[u8]], mut each: impl FnMut(&Event<'_>)) {
    let origin = Origin {
        format: format.into(),
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(Arc::new(origin));
    let received = Timestamp::from_seconds(1_795_316_400);
    for (position, raw) in records.iter().enumerate() {
        batch.push(raw, position as u64, received, Truncated::No);
    }
    let arena = Bump::new();
    let events = parse_batch(&batch, &arena, &ParseContext::default());
    assert!(events.len() >= records.len(), "{format}: no event");
    events.iter().for_each(&mut each);
}

/// A record read as each of these formats.
fn parsed_as(formats: &[&str], bytes: &[u8]) {
    detect_format(bytes, &ParseContext::default());
    for format in formats {
        read_as(format, &[bytes]);
    }
}

/// Each line a record of the same source: what one says of the next ones' columns is fuzzed, too.
fn lines_as(formats: &[&str], bytes: &[u8]) {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for format in formats {
        read_as(format, &lines);
    }
}

/// Names occur once, and there is JSON of each event.
fn read_as(format: &str, records: &[&[u8]]) {
    each_event(format, records, |event| {
        // As JSON all fields are walked and the pivots are found.
        serde_json::to_string(&EventJson(event)).unwrap();
        let mut names: Vec<_> = event.fields.iter().map(|field| field.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), event.fields.len(), "a name occurs once");
    });
}

/// A file of Windows events, whose records are read as well.
fn evtx(bytes: &[u8]) {
    let Ok(mut file) = EvtxFile::open(bytes.to_vec()) else {
        return;
    };
    // A file of a few chunks has some hundred records; a broken header may promise many more.
    for record in file.records().take(10_000).flatten() {
        parsed_as(&["windows_json"], &record.json);
    }
}

/// A frame of records, as it comes from Kafka or the spool. Bytes that are none become lines of a frame,
/// in which the byte at the place that the first two say is changed.
fn frame(bytes: &[u8]) {
    if bytes.starts_with(b"CWF1") {
        return unpack(bytes.to_vec());
    }
    if sealed::is_sealed(bytes) {
        return unseal(bytes);
    }
    let [high, low, lines @ ..] = bytes else {
        return;
    };
    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
    for (position, line) in (0..).zip(lines.split(|&byte| byte == b'\n')) {
        batch.push(line, position, Timestamp(0), Truncated::No);
    }
    let mut packed = frame::encode(&batch).unwrap();
    let place = usize::from(u16::from_be_bytes([*high, *low]));
    if let Some(byte) = packed.get_mut(place) {
        *byte = byte.wrapping_add(*low | 1);
    }
    unpack(packed);
}

/// Takes a sealed frame apart: what comes apart is the same again when it is put together.
fn unseal(bytes: &[u8]) {
    let Ok(parts) = sealed::split(bytes) else {
        return;
    };
    let again = sealed::join(&parts);
    // The reserved byte is written as zero.
    assert!(again.len() == bytes.len() && again[6..] == bytes[6..]);
    if parts.frame.starts_with(b"CWF1") {
        unpack(parts.frame.to_vec());
    }
}

/// Unpacks a frame, also with the checksum that it should have: the one that it has is rarely right.
fn unpack(mut packed: Vec<u8>) {
    const CHECKSUM: std::ops::Range<usize> = 18..22;
    let limits = DecodeLimits::default();
    let first = frame::decode(&packed, &limits);
    let read = match first {
        Err(FrameError::Checksum { computed, .. }) => {
            packed[CHECKSUM].copy_from_slice(&computed.to_le_bytes());
            frame::decode(&packed, &limits)
        }
        other => other,
    };
    assert!(!matches!(read, Err(FrameError::Checksum { .. })));
    if let Ok(batch) = read {
        let again = frame::encode(&batch).unwrap();
        assert_eq!(frame::decode(&again, &limits).unwrap().len(), batch.len());
    }
}
