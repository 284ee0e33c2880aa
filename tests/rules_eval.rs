//! `citywatch rules eval` as a whole: placeholders from the configuration, and what a record says of its log source.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;

use support::run;

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The records that match, and what was said besides.
fn eval(arguments: &[&str]) -> (Vec<u64>, Option<i32>, String) {
    let output = run(&[&["rules", "eval"], arguments].concat());
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let records = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["record"].clone())
        .map(|record| record.as_u64().unwrap());
    (
        records.collect(),
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
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
    let first = write(dir.path(), "first.yml", &text(1));
    let last = write(dir.path(), "last.yml", &text(2));
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
