//! The smaller tools for rule authors: fmt, new, stats, fields, coverage, diff, bench, fetch.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use support::files::write;
use support::{run, run_with_input};

fn rule(id: u32, title: &str, user: &str) -> String {
    format!(
        "title: {title}\nid: 5f0e7d2a-3c41-4b0e-9d55-0c8b6f1a{id:04}\nlevel: low\nstatus: test\ntags: [attack.credential-access, attack.t1110.001]\n\
logsource: {{product: linux}}\ndetection:\n  selection: {{program: sshd, User: {user}}}\n  condition: selection\n"
    )
}

const LOG: &str = "2026-11-22T07:43:50+07:00 b sshd[101]: Failed password for root from 203.0.113.66 port 1001 ssh2
2026-11-22T07:43:51+07:00 b sshd[101]: Failed password for an from 203.0.113.66 port 1001 ssh2
2026-11-22T07:43:52+07:00 b sshd[101]: Failed password for root from 203.0.113.66 port 1001 ssh2
";

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn formatting_orders_keys_and_keeps_comments() {
    let dir = tempfile::tempdir().unwrap();
    let before = "level: low # why\n# who\ntitle: X\ndetection:\n  s:\n    User: root\n  condition: s\nlogsource:\n  product: linux\n";
    let after = "# who\ntitle: X\nlogsource:\n    product: linux\ndetection:\n    s:\n        User: root\n    condition: s\nlevel: low # why\n";
    let path = write(dir.path(), "a.yml", before);
    assert_eq!(
        run(&["rules", "fmt", "--check", &path]).status.code(),
        Some(1)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
    assert_eq!(run(&["rules", "fmt", &path]).status.code(), Some(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), after);
    assert_eq!(
        run(&["rules", "fmt", "--check", &path]).status.code(),
        Some(0)
    );
    assert_eq!(
        text(&run_with_input(&["rules", "fmt", "-"], before.as_bytes())),
        after
    );
}

#[test]
fn a_new_rule_from_an_event_matches_the_event_and_has_nothing_to_remark() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(dir.path(), "auth.log", LOG);
    let path = dir.path().join("new_rule.yml");
    let output = run(&[
        "rules",
        "new",
        "--from-event",
        &log,
        "--record",
        "2",
        "--title",
        "An Fails",
        "--author",
        "Me",
        "--into",
        shown(&path),
    ]);
    assert_eq!(output.status.code(), Some(0));
    let matching = run(&["rules", "explain", shown(&path), "--record", "2", &log]);
    assert_eq!(
        matching.status.code(),
        Some(0),
        "{}\n{}",
        text(&matching),
        fs::read_to_string(&path).unwrap()
    );
    let checked = run(&["rules", "check", shown(&path)]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked));
    let again = run(&["rules", "new", "--title", "X", "--into", shown(&path)]);
    assert_eq!(again.status.code(), Some(2), "an existing file stays");
    let asked = run_with_input(
        &["rules", "new"],
        b"Odd Login\nIt is odd that this happens.\nMe\nhigh\nlinux\n\nsshd\nUser\nroot*\n",
    );
    assert!(
        text(&asked).contains("title: Odd Login\n"),
        "{}",
        text(&asked)
    );
    assert!(
        text(&asked).contains("        User: 'root\\*'\n"),
        "{}",
        text(&asked)
    );
}

#[test]
fn numbers_fields_and_coverage() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "r/a.yml", rule(1, "A", "root"));
    write(
        dir.path(),
        "r/b.yml",
        rule(2, "B", "an").replace("product: linux", "product: windows, category: dns_query"),
    );
    let path = dir.path().join("r");
    let stats = json(&run(&["rules", "stats", "--output", "json", shown(&path)]));
    assert_eq!(
        (
            &stats["rules"],
            &stats["levels"]["low"],
            &stats["tests"]["text"]
        ),
        (&2.into(), &2.into(), &4.into())
    );
    assert_eq!(stats["log_sources"]["windows/dns_query/*"], 1);
    let fields = json(&run(&[
        "rules",
        "fields",
        "--unknown",
        "--output",
        "json",
        shown(&path),
    ]));
    assert_eq!(fields.as_array().unwrap().len(), 1, "{fields}");
    assert_eq!(fields[0]["field"], "program");
    let layer = json(&run(&[
        "rules",
        "coverage",
        "--output",
        "navigator",
        shown(&path),
    ]));
    assert_eq!(layer["domain"], "enterprise-attack");
    assert_eq!(layer["techniques"][0]["techniqueID"], "T1110.001");
    assert_eq!(layer["techniques"][0]["score"], 2);
    let table = text(&run(&["rules", "coverage", shown(&path)]));
    assert!(
        table.contains("credential-access 1 techniques, 2 rules"),
        "{table}"
    );
    assert!(text(&run(&["rules", "stats", shown(&path)])).starts_with("2 rules, 0 correlations"));
}

#[test]
fn a_changed_rule_set_is_told_by_what_it_finds() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(dir.path(), "auth.log", LOG);
    let old = write(
        dir.path(),
        "old.yml",
        rule(1, "A", "root") + "---\n" + &rule(2, "B", "an"),
    );
    let new = write(
        dir.path(),
        "new.yml",
        rule(1, "A", "an") + "---\n" + &rule(2, "B", "an"),
    );
    let output = run(&[
        "rules", "diff", "--old", &old, "--new", &new, "--output", "json", &log,
    ]);
    assert_eq!(output.status.code(), Some(1));
    let told = json(&output);
    assert_eq!(told["events"], 3);
    let a = &told["rules"]["5f0e7d2a-3c41-4b0e-9d55-0c8b6f1a0001"];
    assert_eq!(
        (&a["appear"], &a["disappear"], &a["stay"]),
        (&1.into(), &2.into(), &0.into())
    );
    let same = run(&["rules", "diff", "--old", &old, "--new", &old, &log]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
}

#[test]
fn the_cost_of_rules_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = write(dir.path(), "auth.log", LOG.repeat(100));
    let rules = write(dir.path(), "r.yml", rule(1, "A", "root"));
    let told = json(&run(&[
        "rules", "bench", "--rules", &rules, "--output", "json", &log,
    ]));
    assert_eq!(told["events"], 300);
    assert_eq!(told["rules"][0]["matches"], 200);
    assert!(told["rules"][0]["judged"].as_u64().unwrap() >= 200);
}

fn zip(dir: &Path, name: &str, members: &[(&str, &str)]) -> String {
    let path = dir.join(name);
    let mut writer = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    for (member, content) in members {
        writer
            .start_file(*member, zip::write::SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn archives_are_pinned_and_cannot_write_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let good = zip(
        dir.path(),
        "good.zip",
        &[
            ("rules/a.yml", &rule(1, "A", "root")),
            ("rules/run.sh", "#!/bin/sh"),
            ("LICENSE", "free"),
        ],
    );
    let into = dir.path().join("into");
    let output = run(&["rules", "fetch", &good, "--into", shown(&into)]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(into.join("rules/a.yml").exists() && into.join("LICENSE").exists());
    assert!(!into.join("rules/run.sh").exists());
    let pin = text(&output).trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(
        run(&[
            "rules",
            "fetch",
            &good,
            "--into",
            shown(&into),
            "--pin",
            &pin
        ])
        .status
        .code(),
        Some(0)
    );
    let other = zip(dir.path(), "other.zip", &[("b.yml", &rule(2, "B", "root"))]);
    assert_eq!(
        run(&[
            "rules",
            "fetch",
            &other,
            "--into",
            shown(&into),
            "--pin",
            &pin
        ])
        .status
        .code(),
        Some(1)
    );
    assert!(into.join("rules/a.yml").exists(), "nothing was changed");
    let hostile = zip(dir.path(), "hostile.zip", &[("../evil.yml", "title: x")]);
    assert_eq!(
        run(&["rules", "fetch", &hostile, "--into", shown(&into)])
            .status
            .code(),
        Some(1)
    );
    assert!(!dir.path().join("evil.yml").exists());
    let own = dir.path().join("own");
    write(dir.path(), "own/mine.yml", "title: mine");
    assert_eq!(
        run(&["rules", "fetch", &good, "--into", shown(&own)])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_git_directory_gives_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "repo/a.yml", rule(1, "A", "root"));
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(dir.path().join("repo"))
            .args(["-c", "user.name=x", "-c", "user.email=x@example.org"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    let first = git(&["rev-parse", "HEAD"]);
    write(dir.path(), "repo/a.yml", rule(1, "A", "an"));
    git(&["commit", "-q", "-am", "two"]);
    let into = dir.path().join("into");
    let repo = dir.path().join("repo");
    let output = run(&[
        "rules",
        "fetch",
        shown(&repo),
        "--at",
        &first,
        "--pin",
        &first,
        "--into",
        shown(&into),
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        fs::read_to_string(into.join("a.yml")).unwrap(),
        rule(1, "A", "root")
    );
    assert_eq!(
        run(&[
            "rules",
            "fetch",
            shown(&repo),
            "--pin",
            &first,
            "--into",
            shown(&into)
        ])
        .status
        .code(),
        Some(1)
    );
}
