//! `citywatch rules eval` as others use it: the lines, the counts, the exit codes, placeholders, and what a
//! record says of its log source.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use support::files::{json_lines, said, write};
use support::{citywatch, run, run_with_input};

const RULES: &str = r#"
title: Failed sign-in
id: 00000000-0000-4000-8000-000000000001
name: failed
level: low
tags: [attack.t1110]
logsource: {category: authentication}
detection:
  selection: {Outcome: failure}
  condition: selection
---
title: Odd word
id: 00000000-0000-4000-8000-000000000002
logsource: {category: authentication}
detection:
  keywords: [quetzal]
  condition: keywords
---
title: Three failed sign-ins of one user
id: 00000000-0000-4000-8000-000000000003
level: high
correlation:
  type: event_count
  rules: [failed]
  group-by: [User]
  timespan: 10m
  condition: {gte: 3}
"#;

fn sign_in(minute: u32, user: &str, outcome: &str) -> String {
    json!({
        "product": "test", "category": "authentication", "User": user, "Outcome": outcome,
        "timestamp": format!("2026-11-22T03:{minute:02}:00Z"),
    })
    .to_string()
}

fn stats(output: &Output) -> Value {
    let said = said(output);
    serde_json::from_str(said.lines().last().unwrap_or_default())
        .unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zipped(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        archive
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        archive.write_all(content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn a_match_is_a_line_with_the_promised_keys() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        dir.path(),
        "rules.yml",
        RULES.replace("name: failed", "name: other"),
    );
    let rule = RULES.split("---").nth(1).unwrap();
    let rule = write(dir.path(), "one.yml", rule);
    let event = json!({"category": "authentication", "Note": "a quetzal", "timestamp": "2026-11-22T03:04:05.5Z"});
    let events = write(
        dir.path(),
        "events.ndjson",
        format!("{}\n\n{event}\n", json!({"a": 1})),
    );
    let output = run(&["rules", "eval", "--rules", &rule, "--stats", &events]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!(
            "{{\"rule_id\":\"00000000-0000-4000-8000-000000000002\",\"title\":\"Odd word\",\"level\":\"informational\",\
             \"file\":{},\"record\":2,\"event_time\":\"2026-11-22T03:04:05.500000Z\",\
             \"matched\":{{\"Note\":\"a quetzal\"}},\"tags\":[]}}\n",
            json!(events)
        )
    );
    let stats = stats(&output);
    let keys: Vec<&str> = stats
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "records",
        "events",
        "problems",
        "matches",
        "rules_loaded",
        "rules_skipped",
        "load_s",
        "eval_s",
    ];
    assert_eq!(keys.len(), 8);
    assert!(keys.iter().all(|key| expected.contains(key)), "{keys:?}");
    assert_eq!(stats["records"], 2);
    assert_eq!(stats["events"], 2);
    assert_eq!(stats["matches"], 1);
    assert_eq!(stats["rules_loaded"], 1);
    assert_eq!(stats["rules_skipped"], 0);
    // A correlation of a rule that is not there is left out, and said with its place.
    let output = run(&["rules", "eval", "--rules", &rules, "--stats", &events]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(self::stats(&output)["rules_skipped"], 1);
    let said = said(&output);
    assert!(said.contains("rules.yml:24:11"), "{said}");
}

#[test]
fn every_kind_of_input_gives_the_same_matches() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules/r.yml", RULES);
    let records = [
        sign_in(1, "an", "failure"),
        sign_in(2, "an", "success"),
        sign_in(3, "binh", "failure"),
    ];
    let ndjson = records.join("\n");
    let array = format!("[\n  {}\n]", records.join(",\n  "));
    let values: Vec<Value> = records
        .iter()
        .map(|record| serde_json::from_str(record).unwrap())
        .collect();
    let pretty: String = values
        .iter()
        .map(|value| serde_json::to_string_pretty(value).unwrap() + "\n")
        .collect();
    let inputs: [(&str, Vec<u8>); 8] = [
        ("in/events.ndjson", ndjson.clone().into()),
        ("in/array.json", array.clone().into()),
        ("in/pretty.json", pretty.into()),
        ("in/events.ndjson.gz", gz(ndjson.as_bytes())),
        ("in/no-ending", gz(ndjson.as_bytes())),
        (
            "in/archive.zip",
            zipped(&[("d/events.json", ndjson.as_bytes())]),
        ),
        (
            "in/nested.zip",
            zipped(&[("events.gz", &gz(ndjson.as_bytes()))]),
        ),
        ("in/crlf.ndjson", ndjson.replace('\n', "\r\n\r\n").into()),
    ];
    for (name, content) in inputs {
        let path = write(dir.path(), name, content);
        let output = run(&["rules", "eval", "--rules", &rules, "--stats", &path]);
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert_eq!(stats(&output)["records"], 3, "{name}");
        assert_eq!(stats(&output)["problems"], 0, "{name}");
        // The rule feeds a correlation and is silent itself; nobody failed three times.
        assert_eq!(json_lines(&output).len(), 0, "{name}");
        let generate = write(dir.path(), "g.yml", format!("{RULES}  generate: true\n"));
        let output = run(&["rules", "eval", "--rules", &generate, &path]);
        let found = json_lines(&output);
        let places: Vec<_> = found
            .iter()
            .map(|line| line["record"].as_u64().unwrap())
            .collect();
        assert_eq!(places, [1, 3], "{name}");
        let file = found[0]["file"].as_str().unwrap();
        assert!(file.starts_with(&path), "{file}");
        assert!(!name.ends_with(".zip") || file.len() > path.len(), "{file}");
    }
    // All of them at once, as a directory, and one by standard input.
    let folder = dir.path().join("in");
    let all = run(&[
        "rules",
        "eval",
        "--rules",
        &rules,
        "--stats",
        folder.to_str().unwrap(),
    ]);
    assert_eq!(stats(&all)["records"], 24);
    let args = [
        "rules", "eval", "--rules", &rules, "--stats", "--format", "ndjson", "-",
    ];
    assert_eq!(
        stats(&run_with_input(&args, ndjson.as_bytes()))["records"],
        3
    );
}

/// What of an archive could be unpacked before it breaks off is evaluated, and the exit code says that it is not all.
#[test]
fn what_came_before_an_archive_broke_is_evaluated() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "g.yml", format!("{RULES}  generate: true\n"));
    let line = sign_in(1, "an", "failure");
    for lines in [3, 20_000] {
        let text: String = (0..lines)
            .map(|n| format!("{line}{}\n", " ".repeat(n % 7)))
            .collect();
        let whole = gz(text.as_bytes());
        let behind = [&whole[..], b"garbage"].concat();
        // The check sum is cut off, or something else follows: all lines are there.
        for (name, content) in [("cut", &whole[..whole.len() - 5]), ("behind", &behind)] {
            let path = write(dir.path(), &format!("{name}-{lines}.gz"), content);
            for threads in ["1", "3"] {
                let args = [
                    "rules",
                    "eval",
                    "--rules",
                    &rules,
                    "--threads",
                    threads,
                    "--stats",
                    &path,
                ];
                let output = run(&args);
                assert_eq!(output.status.code(), Some(1));
                assert_eq!(stats(&output)["records"], lines, "{name} {threads}");
                assert!(said(&output).contains("cannot read"), "{}", said(&output));
            }
        }
        let half = write(dir.path(), "half.gz", &whole[..whole.len() / 2]);
        let output = run(&["rules", "eval", "--rules", &rules, "--stats", &half]);
        assert_eq!(output.status.code(), Some(1));
        let read = stats(&output)["records"].as_u64().unwrap();
        assert!(lines == 3 || (1..20_000).contains(&read), "{read}");
    }
}

#[test]
fn correlations_hold_over_files_in_event_time() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(dir.path(), "rules.yml", RULES);
    // The second file is the earlier one, and its lines are out of order.
    let late: Vec<String> = vec![sign_in(8, "an", "failure"), sign_in(9, "binh", "failure")];
    let early: Vec<String> = vec![
        sign_in(5, "an", "failure"),
        sign_in(3, "an", "failure"),
        sign_in(30, "an", "failure"),
    ];
    let late = write(dir.path(), "late.ndjson", late.join("\n"));
    let early = write(dir.path(), "early.ndjson", early.join("\n"));
    let outputs: Vec<Output> = ["1", "4"]
        .iter()
        .map(|threads| {
            run(&[
                "rules",
                "eval",
                "--rules",
                &rules,
                "--threads",
                threads,
                "--stats",
                &late,
                &early,
            ])
        })
        .collect();
    assert_eq!(outputs[0].stdout, outputs[1].stdout);
    let found = json_lines(&outputs[0]);
    assert_eq!(
        found,
        [json!({
            "rule_id": "00000000-0000-4000-8000-000000000003", "title": "Three failed sign-ins of one user", "level": "high",
            "file": late, "record": 1, "event_time": "2026-11-22T03:08:00.000000Z", "matched": {"User": "an"}, "tags": [],
        })]
    );
    assert_eq!(stats(&outputs[0])["matches"], 1);
    assert_eq!(stats(&outputs[0])["rules_loaded"], 3);
}

#[test]
fn threads_do_not_change_what_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        dir.path(),
        "rules.yml",
        format!("{RULES}  generate: true\n"),
    );
    let mut files = Vec::new();
    for file in 0..3 {
        let text: String = (0..4_000)
            .map(|n| {
                let outcome = if n % 7 == file { "failure" } else { "success" };
                sign_in(n % 60, &format!("user{}", n % 50), outcome) + "\n"
            })
            .collect();
        files.push(write(dir.path(), &format!("{file}.ndjson"), text));
    }
    let print = |threads: &str| {
        let mut args = vec!["rules", "eval", "--rules", &rules, "--threads", threads];
        args.extend(files.iter().map(String::as_str));
        let output = run(&args);
        assert!(output.status.success());
        output.stdout
    };
    let alone = print("1");
    assert!(alone.len() > 100_000);
    assert!(alone == print("2") && alone == print("5"));
}

#[test]
fn who_stops_reading_ends_it_quietly() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        dir.path(),
        "rules.yml",
        format!("{RULES}  generate: true\n"),
    );
    let text = (sign_in(1, "an", "failure") + "\n").repeat(20_000);
    let events = write(dir.path(), "events.ndjson", text);
    for threads in ["1", "3"] {
        let mut child = Command::new(citywatch())
            .args([
                "rules",
                "eval",
                "--rules",
                &rules,
                "--threads",
                threads,
                &events,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(said(&output), "");
    }
}

#[test]
fn mistakes_are_said_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let broken = RULES.replace(
        "selection: {Outcome: failure}",
        "selection: {Outcome|contain: failure}",
    );
    let rules = write(
        dir.path(),
        "rules.yml",
        broken.split("---\ntitle: Three").next().unwrap(),
    );
    let events = write(
        dir.path(),
        "events.ndjson",
        sign_in(1, "quetzal", "failure"),
    );

    // A broken rule: where, what, the nearest right word; the other goes on.
    let output = run(&["rules", "eval", "--rules", &rules, &events]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output)
            .contains("rules.yml:9:23: unknown modifier \"contain\"; did you mean \"contains\"?"),
        "{}",
        said(&output)
    );
    assert_eq!(json_lines(&output)[0]["title"], "Odd word");

    // A file that breaks off is left, and the others go on.
    let gone = gz((sign_in(1, "an", "success") + "\n")
        .repeat(1_000)
        .as_bytes());
    let cut = write(dir.path(), "cut.gz", &gone[..gone.len() / 2]);
    let output = run(&["rules", "eval", "--rules", &rules, "--stats", &cut, &events]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("cannot read") && said(&output).contains("cut.gz"),
        "{}",
        said(&output)
    );
    assert_eq!(json_lines(&output).len(), 1);

    // Where rules end and records begin is told apart, whatever the order.
    let other = write(
        dir.path(),
        "more/other.yml",
        RULES.replace("00000000-", "10000000-"),
    );
    let more = dir.path().join("more");
    let more = more.to_str().unwrap();
    for args in [
        vec!["rules", "eval", "--rules", &rules, more, &events, "--stats"],
        vec![
            "rules", "eval", "--stats", "--rules", &rules, "--rules", more, &events,
        ],
        vec![
            "rules", "eval", "--rules", &rules, &other, "--stats", "--", &events,
        ],
        vec![
            "rules", "eval", "--rules", &rules, &other, &events, "--stats", &events,
        ],
    ] {
        let loaded = stats(&run(&args));
        assert_eq!(loaded["rules_loaded"], 4, "{args:?}");
        let files = args.iter().filter(|arg| **arg == events).count();
        assert_eq!(loaded["records"], files, "{args:?}");
    }

    // Mistakes of the command line.
    for (args, words) in [
        (
            vec![
                "rules", "eval", "--rules", &rules, "--format", "sylog", &events,
            ],
            "did you mean `syslog`",
        ),
        (
            vec!["rules", "eval", "--rules", &rules, "no-such-file"],
            "no-such-file",
        ),
        (
            vec!["rules", "eval", "--rules", "no-such-rules", &events],
            "does not exist",
        ),
        (
            vec![
                "rules",
                "eval",
                "--rules",
                &rules,
                "--logsource",
                "lose",
                &events,
            ],
            "loose",
        ),
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}

#[test]
fn placeholders_have_their_values_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let rules = write(
        dir.path(),
        "rules.yml",
        "title: Administrator signs in\nlogsource: {category: authentication}\ndetection:\n  selection: {User|expand: '%admins%'}\n  condition: selection\n---\n\
         title: Any sign-in\nlogsource: {category: authentication}\ndetection:\n  selection: {Outcome: success}\n  condition: selection\n",
    );
    let events = write(dir.path(), "e.ndjson", sign_in(1, "adm-7", "success"));
    let titles = |output: &Output| -> Vec<String> {
        json_lines(output)
            .iter()
            .map(|line| line["title"].as_str().unwrap().to_owned())
            .collect()
    };
    // Without a value the rule is refused by name, and the other goes on.
    let output = run(&["rules", "eval", "--rules", &rules, &events]);
    let words = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        words.contains("rules.yml:4:") && words.contains("%admins%"),
        "{words}"
    );
    assert_eq!(titles(&output), ["Any sign-in"]);
    for (name, content) in [
        ("p.yml", "admins: [root, 'adm-*']\n"),
        ("p.toml", "admins = [\"root\", \"adm-*\"]\n"),
        (
            "citywatch.toml",
            "[engine.placeholders]\nadmins = [\"adm-*\"]\n",
        ),
    ] {
        let file = write(dir.path(), name, content);
        let output = run(&[
            "rules",
            "eval",
            "--rules",
            &rules,
            "--placeholders",
            &file,
            &events,
        ]);
        assert_eq!(output.status.code(), Some(0), "{name}: {}", said(&output));
        assert_eq!(
            titles(&output),
            ["Administrator signs in", "Any sign-in"],
            "{name}"
        );
    }
    let config = dir.path().join("citywatch.toml");
    let config = config.to_str().unwrap();
    let output = run(&[
        "rules", "eval", "--rules", &rules, "--config", config, &events,
    ]);
    assert_eq!(titles(&output), ["Administrator signs in", "Any sign-in"]);
    let file = write(dir.path(), "broken.yml", "admins: {a: b}\n");
    let output = run(&[
        "rules",
        "eval",
        "--rules",
        &rules,
        "--placeholders",
        &file,
        &events,
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("broken.yml:1:9"));
}

/// The records that match, and what was said besides.
fn eval(arguments: &[&str]) -> (Vec<u64>, Option<i32>, String) {
    let output = run(&[&["rules", "eval"], arguments].concat());
    let lines = json_lines(&output);
    let records = lines.iter().map(|line| line["record"].as_u64().unwrap());
    (records.collect(), output.status.code(), said(&output))
}

#[test]
fn placeholders_have_the_configurations_values() {
    let dir = tempfile::tempdir().unwrap();
    let rule = write(
        dir.path(),
        "rule.yml",
        "title: An administrator\nlogsource: {product: x}\ndetection:\n  selection:\n    User|expand: '%Administrators%'\n  condition: selection\n",
    );
    let events = write(
        dir.path(),
        "events.ndjson",
        "{\"product\":\"x\",\"User\":\"ADM_lan\"}\n{\"product\":\"x\",\"User\":\"lan\"}\n{\"product\":\"x\",\"User\":\"root\"}\n",
    );
    let config = write(
        dir.path(),
        "citywatch.toml",
        "[engine.placeholders]\nAdministrators = [\"adm_*\", \"root\"]\n",
    );
    let (records, code, said) = eval(&["--rules", &rule, "--config", &config, &events]);
    assert_eq!((records, code), (vec![1, 3], Some(0)), "{said}");
    let (records, code, said) = eval(&["--rules", &rule, &events]);
    assert_eq!((records, code), (vec![], Some(1)), "{said}");
    assert!(
        said.contains("rule.yml:5:18: the placeholder %Administrators% has no value"),
        "{said}"
    );
}

#[test]
fn a_record_may_name_its_log_source() {
    let dir = tempfile::tempdir().unwrap();
    let rule = write(
        dir.path(),
        "rule.yml",
        "title: r\nlogsource: {product: linux, category: process_creation, service: x}\ndetection:\n  selection:\n    A: 1\n  condition: selection\n",
    );
    let events = write(
        dir.path(),
        "events.ndjson",
        "{\"A\":1,\"product\":\"linux\",\"category\":\"process_creation\",\"service\":\"x\"}\n\
         {\"A\":1,\"product\":\"linux\",\"category\":\"process_creation\"}\n\
         {\"A\":1,\"product\":\"windows\",\"category\":\"process_creation\",\"service\":\"x\"}\n\
         {\"A\":1}\n",
    );
    let (records, ..) = eval(&["--rules", &rule, &events]);
    assert_eq!(records, [1], "strict: every part that the rule names");
    let (records, ..) = eval(&["--rules", &rule, "--logsource", "loose", &events]);
    assert_eq!(records, [1, 2, 4], "loose: unless a part contradicts");
}

/// A glob over rule folders may take in one that holds only a README.
#[test]
fn a_folder_without_rules_among_the_rules_is_no_file_of_records() {
    let dir = tempfile::tempdir().unwrap();
    let text = |value| {
        format!(
            "title: r{value}\nlogsource: {{product: x}}\ndetection:\n  s:\n    A: {value}\n  condition: s\n"
        )
    };
    let first = write(dir.path(), "first.yml", text(1));
    let last = write(dir.path(), "last.yml", text(2));
    let bare = dir.path().join("bare");
    std::fs::create_dir(&bare).unwrap();
    write(&bare, "README.md", "nothing yet\n");
    let bare = bare.to_str().unwrap();
    let events = write(
        dir.path(),
        "events.ndjson",
        "{\"product\":\"x\",\"A\":1}\n{\"product\":\"x\",\"A\":2}\n",
    );
    for arguments in [
        &[
            "--rules",
            &first,
            bare,
            &last,
            "--logsource",
            "strict",
            &events,
        ][..],
        &["--rules", &first, bare, &last, &events],
        &[
            "--logsource",
            "strict",
            &events,
            "--rules",
            &first,
            bare,
            &last,
        ],
    ] {
        let (records, code, said) = eval(arguments);
        assert_eq!(
            (records, code),
            (vec![1, 2], Some(0)),
            "{arguments:?}: {said}"
        );
    }
}
