//! `citywatch rules test` and `citywatch rules explain` as authors use them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::files::{json_lines, write};
use support::{citywatch, run};

const RULE: &str = "title: Root signs in
id: 00000000-0000-4000-8000-0000000000a1
name: root_in
logsource: {product: linux}
detection:
  selection:
    program: sshd
    User: root
  condition: selection
";

const CORRELATION: &str = "title: Root signs in often
id: 00000000-0000-4000-8000-0000000000a2
correlation:
  type: event_count
  rules: [root_in]
  group-by: [SourceIp]
  timespan: 5m
  condition: {gte: 3}
";

const FAILED: &str = "2026-11-22T07:43:50+07:00 b sshd[101]: Failed password for root from 203.0.113.66 port 1001 ssh2";

fn events(user: &str) -> String {
    format!("{{$source: {{product: linux}}, program: sshd, User: {user}, SourceIp: 192.0.2.1}}")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A folder with a rule, a correlation and their tests.
fn folder(dir: &Path, tests_of_rule: &str) -> String {
    write(dir, "r/root_in.yml", RULE);
    write(dir, "r/root_in.test.yml", tests_of_rule);
    write(dir, "r/root_often.yml", CORRELATION);
    let often = format!(
        "tests:\n- {{name: three, events: [{}], repeat: 3, every: 60s, matches: [{{SourceIp: 192.0.2.1}}]}}\n\
         - {{name: slow, events: [{}], repeat: 3, every: 10m, matches: 0}}\n",
        events("root"),
        events("root")
    );
    write(dir, "r/root_often.test.yml", often);
    dir.join("r").to_str().unwrap().to_owned()
}

fn good_tests() -> String {
    format!(
        "tests:\n- name: root and another\n  events:\n  - \"{FAILED}\"\n  - {}\n  matches: [1]\n\
         - name: by count\n  events: [\"{FAILED}\", {}]\n  matches: 2\n",
        events("an"),
        events("root")
    )
}

#[test]
fn all_forms_of_expectation_pass() {
    let dir = tempfile::tempdir().unwrap();
    let path = folder(dir.path(), &good_tests());
    let output = run(&["rules", "test", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).starts_with("4 passed; "), "{}", text(&output));
}

#[test]
fn a_failure_says_what_was_expected_what_came_and_what_came_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let tests = format!(
        "tests:\n- name: an\n  events: [{}]\n  matches: [1]\n",
        events("an")
    );
    let path = folder(dir.path(), &tests);
    let output = run(&["rules", "test", &path]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("root_in.test.yml:2 an: expected event 1, got none"),
        "{said}"
    );
    assert!(
        said.contains("event 1 did not match: program=sshd User=an"),
        "{said}"
    );
    assert!(
        said.contains("User: root does not hold; the event has \"an\""),
        "{said}"
    );
    assert!(said.contains("2 passed, 1 failed"), "{said}");
    let lines = json_lines(&run(&["rules", "test", "--output", "ndjson", &path]));
    let failed: Vec<&Value> = lines
        .iter()
        .filter(|line| line["passed"] == false)
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0]["test"], "an");
    assert_eq!(failed[0]["line"], 2);
}

#[test]
fn junit_is_well_formed_whatever_the_names_are() {
    let dir = tempfile::tempdir().unwrap();
    let tests = format!(
        "tests:\n- name: \"<a & 'b'>\\e[2J\"\n  events: [{}]\n  matches: 7\n",
        events("root")
    );
    let path = folder(dir.path(), &tests);
    let output = run(&["rules", "test", "--output", "junit", &path]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("tests=\"3\" failures=\"1\" errors=\"0\""),
        "{said}"
    );
    assert!(
        said.contains("name=\"&lt;a &amp; &apos;b&apos;&gt;\\u{1b}[2J\""),
        "{said}"
    );
    assert!(
        said.contains("<failure message=\"expected 7 matches, got 1 (event 1)\">"),
        "{said}"
    );
}

#[test]
fn records_come_from_files_too() {
    let dir = tempfile::tempdir().unwrap();
    write(
        dir.path(),
        "r/data/auth.log",
        format!("{FAILED}\nother line\n{FAILED}\n"),
    );
    let tests = "tests:\n- {name: a file, format: syslog, files: data/auth.log, matches: [1, 3]}\n";
    let path = folder(dir.path(), tests);
    let output = run(&["rules", "test", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let tests = "tests:\n- {name: no file, files: data/none.log, matches: 1}\n";
    let path = folder(dir.path(), tests);
    let output = run(&["rules", "test", &path]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output).contains("root_in.test.yml:2:26: there is no file"),
        "{}",
        text(&output)
    );
}

#[test]
fn a_file_by_itself_finds_the_rules_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = folder(dir.path(), &good_tests());
    for name in ["root_often.yml", "root_often.test.yml"] {
        let output = run(&["rules", "test", &format!("{path}/{name}")]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).starts_with("2 passed; "), "{}", text(&output));
    }
}

#[test]
fn what_is_broken_is_named_and_the_rest_is_tested() {
    let dir = tempfile::tempdir().unwrap();
    let path = folder(dir.path(), &good_tests());
    write(dir.path(), "r/broken.yml", "title: [\n");
    write(dir.path(), "r/binary.yml", [0xFFu8, 0xFE, 0, 1]);
    write(dir.path(), "r/alone.test.yml", "tests: []\n");
    write(
        dir.path(),
        "r/bad.yml",
        RULE.replace("a1", "a9").replace("root_in", "other"),
    );
    write(
        dir.path(),
        "r/bad.test.yml",
        "tests:\n- {name: x, evnts: []}\n",
    );
    let output = run(&["rules", "test", &path]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("4 passed, 4 problems"), "{said}");
    assert!(said.contains("alone.yml beside this test"), "{said}");
    assert!(
        said.contains("bad.test.yml:2:13: `evnts` is unknown"),
        "{said}"
    );
    assert!(
        said.contains("binary.yml:1:1: the file is UTF-16"),
        "{said}"
    );
    assert!(said.contains("broken.yml:2:1: not valid YAML"), "{said}");
    assert_eq!(run(&["rules", "test", "/nowhere"]).status.code(), Some(2));
}

#[test]
fn watching_runs_again_on_save() {
    let dir = tempfile::tempdir().unwrap();
    let path = folder(dir.path(), &good_tests());
    let mut child = Command::new(citywatch())
        .args(["rules", "test", "--watch", &path])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut summary = || loop {
        let line = lines.next().expect("it goes on").unwrap();
        if line.contains(" passed") {
            return line;
        }
    };
    assert!(summary().starts_with("4 passed; "));
    write(
        dir.path(),
        "r/root_in.yml",
        RULE.replace("User: root", "User: toor"),
    );
    let after = summary();
    assert!(after.contains("failed"), "{after}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn explaining_shows_the_tree_and_the_nearest() {
    let dir = tempfile::tempdir().unwrap();
    let path = folder(dir.path(), &good_tests());
    let rule = format!("{path}/root_in.yml");
    let matching = run(&["rules", "explain", &rule, FAILED]);
    assert_eq!(matching.status.code(), Some(0), "{}", text(&matching));
    assert!(text(&matching).contains("Root signs in matches record 1 of 1"));
    let other = FAILED.replace("root", "an");
    let log = write(dir.path(), "auth.log", format!("hello\n{other}\n"));
    let output = run(&["rules", "explain", &rule, &log]);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("does not match record 2 of 2"), "{said}");
    assert!(said.contains("false selection: all of"), "{said}");
    assert!(
        said.contains("true    program: sshd   <- \"sshd\""),
        "{said}"
    );
    assert!(
        said.contains("User: root does not hold; the event has \"an\""),
        "{said}"
    );
    let json = run(&["rules", "explain", "--output", "json", &rule, &log]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["matches"], false);
    assert_eq!(json["nearest"][0]["seen"], "\"an\"");
    let correlation = run(&["rules", "explain", &format!("{path}/root_often.yml"), &log]);
    assert_eq!(correlation.status.code(), Some(2));
}

#[test]
fn shells_get_their_completion() {
    for (shell, mark) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef citywatch"),
        ("fish", "complete -c citywatch"),
    ] {
        let output = run(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output).contains(mark), "{shell}");
        assert!(text(&output).contains("explain"), "{shell}");
    }
}
