//! `citywatch rules check` as authors and CI use it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::process::Output;

use serde_json::Value;
use support::files::{json_lines, write};
use support::run;

const GOOD: &str = "title: Root Signs In\nid: 5f0e7d2a-3c41-4b0e-9d55-0c8b6f1a2e31\nstatus: test\n\
description: Root has signed in over the network.\nreferences:\n    - https://example.org/root\nauthor: Citywatch\ndate: 2026-11-01\ntags:\n\
\x20   - attack.credential-access\n    - attack.t1110\nlogsource:\n    product: linux\n    service: sshd\ndetection:\n    selection:\n        User: root\n\
\x20   condition: selection\nfalsepositives:\n    - Administrators\nlevel: low\n";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_good_rule_is_good_on_every_level() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "root_signs_in.yml", GOOD);
    let output = run(&["rules", "check", "--level", "info", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("1 files: nothing to remark"));
}

#[test]
fn an_error_is_shown_with_a_caret_under_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        "root_signs_in.yml",
        GOOD.replace("User: root", "User|contain: root"),
    );
    let output = run(&["rules", "check", &path]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains(&format!(
            "{path}:17:14: error CW301: unknown modifier \"contain\"; did you mean \"contains\"?"
        )),
        "{said}"
    );
    assert!(
        said.contains("  17 |         User|contain: root\n                    ^\n"),
        "{said}"
    );
}

#[test]
fn one_broken_file_among_many_is_named_and_the_rest_is_checked() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..2_000 {
        let rule = GOOD
            .replace("a2e31", &format!("a{number:04}"))
            .replace("Root Signs In", &format!("Root Signs In {number}"))
            .replace("User: root", &format!("User: root{number}"));
        write(dir.path(), &format!("r/rule_number_{number:04}.yml"), rule);
    }
    write(
        dir.path(),
        "r/broken_file.yml",
        "title: [\n  oh\ndetection: x\n",
    );
    write(
        dir.path(),
        "r/binary_file.yml",
        [0x7Fu8, b'E', b'L', b'F', 0x80, 0xFF, 0],
    );
    write(dir.path(), "r/large_file.yml", "#".repeat((10 << 20) + 1));
    let output = run(&[
        "rules",
        "check",
        "--output",
        "ndjson",
        dir.path().join("r").to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(1));
    let remarks = json_lines(&output);
    let told: Vec<(String, &str)> = remarks
        .iter()
        .map(|remark| {
            (
                remark["path"]
                    .as_str()
                    .unwrap()
                    .rsplit('/')
                    .next()
                    .unwrap()
                    .to_owned(),
                remark["code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for expected in [
        ("broken_file.yml", "CW001"),
        ("binary_file.yml", "CW002"),
        ("large_file.yml", "CW002"),
    ] {
        assert!(
            told.iter()
                .any(|(path, code)| (path.as_str(), *code) == expected),
            "{expected:?} in {told:?}"
        );
    }
}

#[test]
fn fixing_changes_what_it_says_and_keeps_comments() {
    let dir = tempfile::tempdir().unwrap();
    let bad = GOOD
        .replace("status: test", "status: tset # mine")
        .replace("product: linux", "product: Linux")
        .replace("date: 2026-11-01", "date: 2026/11/01");
    let path = write(dir.path(), "root_signs_in.yml", bad);
    let output = run(&["rules", "check", "--fix", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        GOOD.replace("status: test", "status: test # mine")
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("3 places in 1 files put right"));
}

#[test]
fn machines_read_sarif_and_junit() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path(),
        "root_signs_in.yml",
        GOOD.replace("level: low", "level: lowish"),
    );
    let output = run(&["rules", "check", "--output", "sarif", &path]);
    let sarif: Value = serde_json::from_slice(&output.stdout).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!(sarif["version"], "2.1.0");
    assert_eq!(result["ruleId"], "CW127");
    assert_eq!(
        result["locations"][0]["physicalLocation"]["region"]["startLine"],
        21
    );
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    assert_eq!(
        sarif["runs"][0]["tool"]["driver"]["rules"][index]["id"],
        "CW127"
    );
    let junit = text(&run(&["rules", "check", "--output", "junit", &path]));
    assert!(junit.contains("tests=\"1\" failures=\"1\""), "{junit}");
    assert!(junit.contains("CW127"), "{junit}");
}

#[test]
fn codes_are_described_and_a_wrong_command_line_is_told() {
    let output = run(&["rules", "check", "--describe", "CW224"]);
    assert!(text(&output).starts_with("CW224 never-true (error)"));
    assert!(text(&run(&["rules", "check", "--list"])).lines().count() > 200);
    for wrong in [
        &["rules", "check", "--describe", "CW999"][..],
        &["rules", "check", "/nowhere"],
        &["rules", "check"],
        &["rules", "check", "--without", "x", "."],
    ] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn cycles_and_ids_that_are_there_twice_are_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let circle = |own: &str, other: &str, id: &str| {
        format!(
            "title: Circle {own}\nid: 5f0e7d2a-3c41-4b0e-9d55-0c8b6f1a{id}\nname: {own}\nlevel: low\ncorrelation:\n  type: event_count\n  rules: [{other}]\n  group-by: [User]\n  timespan: 5m\n  condition: {{gte: 2}}\n"
        )
    };
    write(dir.path(), "circle_one.yml", circle("one", "two", "0001"));
    write(dir.path(), "circle_two.yml", circle("two", "one", "0002"));
    write(dir.path(), "first_rule.yml", GOOD);
    write(
        dir.path(),
        "second_rule.yml",
        GOOD.replace("Root Signs In", "Another")
            .replace("User: root", "User: admin"),
    );
    let output = run(&["rules", "check", dir.path().to_str().unwrap()]);
    let said = text(&output);
    assert!(
        said.contains("CW414: correlations refer to each other in a circle: one -> two -> one"),
        "{said}"
    );
    assert!(said.contains("second_rule.yml:1:1: error CW601: the id \"5f0e7d2a-3c41-4b0e-9d55-0c8b6f1a2e31\" belongs to the rule at"), "{said}");
}
