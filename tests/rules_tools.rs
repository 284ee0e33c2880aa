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

/// Fields of another taxonomy, and how they are called here.
const FOREIGN: &str = "title: Root\nid: 5f0e7d2a-3c41-4b0e-9d55-0c8b6f1a0909\nlevel: low\nlogsource: {product: other-unix}\n\
detection:\n  selection: {process.name: sshd, user.name: root}\n  condition: selection\n";
const PIPELINE: &str = "transformations:\n  - type: field_name_mapping\n    mapping: {process.name: program, user.name: User}\n  - {type: change_logsource, product: linux}\n";

#[test]
fn a_rule_of_another_taxonomy_works_with_a_pipeline() {
    let dir = tempfile::tempdir().unwrap();
    let rule = write(dir.path(), "rules/a.yml", FOREIGN);
    let pipeline = write(dir.path(), "p.yml", PIPELINE);
    let log = write(dir.path(), "auth.log", LOG);
    let matches = |args: &[&str]| {
        let output = run(&[&["rules", "eval", "--rules", &rule], args, &[&log]].concat());
        (output.status.code(), text(&output).lines().count())
    };
    assert_eq!(matches(&[]), (Some(0), 0));
    assert_eq!(matches(&["--pipeline", &pipeline]), (Some(0), 2));
    // The configuration names it, too, beside itself.
    let config = write(dir.path(), "c.toml", "[engine]\npipelines = [\"p.yml\"]\n");
    assert_eq!(matches(&["--config", &config]), (Some(0), 2));
    let explained = run(&["rules", "explain", "--pipeline", &pipeline, &rule, &log]);
    assert_eq!(explained.status.code(), Some(0), "{}", text(&explained));
    assert!(text(&explained).contains("User"), "{}", text(&explained));
    let tests = "tests:\n  - name: root\n    format: syslog\n    events:\n      - '2026-11-22T07:43:50+07:00 b sshd[101]: Failed password for root from 203.0.113.66 port 1001 ssh2'\n    matches: 1\n";
    write(dir.path(), "rules/a.test.yml", tests);
    for (args, code) in [(&["--pipeline", pipeline.as_str()][..], 0), (&[], 1)] {
        let output = run(&[&["rules", "test", &rule], args].concat());
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    }
}

#[test]
fn mistakes_in_pipelines_are_told_before_anything_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let rule = write(dir.path(), "a.yml", FOREIGN);
    let wrong = "transformations:\n  - type: field_name_maping\n    mapping: {a: b}\n  - {type: case, method: loud}\n";
    let pipeline = write(dir.path(), "p.yml", wrong);
    let output = run(&["rules", "check", "--pipeline", &pipeline, &rule]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("p.yml:2:11: \"field_name_maping\" is no type of transformation; did you mean \"field_name_mapping\"?"), "{said}");
    assert!(said.contains("p.yml:4:26: \"loud\" is no method"), "{said}");
    let output = run(&["rules", "check", "--pipeline", "nowhere.yml", &rule]);
    assert_eq!(output.status.code(), Some(2));
    let refusing = "transformations:\n  - {type: rule_failure, message: not for us}\n";
    let pipeline = write(dir.path(), "q.yml", refusing);
    let output = run(&["rules", "check", "--pipeline", &pipeline, &rule]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("CW014"), "{}", text(&output));
    assert!(text(&output).contains("not for us"), "{}", text(&output));
}

/// A .tar.gz file with these members, made by the system's tar in the form that it is told.
fn tar_gz(dir: &Path, name: &str, format: &str, members: &[(&str, &str)]) -> String {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in members {
        write(root.path(), path, text);
    }
    let path = dir.join(name);
    let made = Command::new("tar")
        .args([
            "--create",
            "--gzip",
            "--file",
            shown(&path),
            "--format",
            format,
        ])
        .args(["--directory", shown(root.path()), "."])
        .args(["--transform", "s,^\\./,sigma/,"])
        .status()
        .unwrap();
    assert!(made.success());
    shown(&path).to_owned()
}

#[test]
fn archives_of_tar_are_read_in_each_of_their_forms() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("rules/{}/a.yml", "long-".repeat(30));
    for format in ["ustar", "gnu", "pax"] {
        // ustar has no room for such a name in one part.
        let name = if format == "ustar" {
            "rules/linux/a.yml"
        } else {
            &long
        };
        let members = [
            (name, &*rule(1, "A", "root")),
            ("LICENSE", "free"),
            ("tools/x.sh", "#!/bin/sh"),
        ];
        let archive = tar_gz(dir.path(), &format!("{format}.tar.gz"), format, &members);
        let into = dir.path().join(format!("into-{format}"));
        let output = run(&["rules", "fetch", &archive, "--into", shown(&into)]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{format}: {said}");
        let taken = into.join("sigma").join(name);
        assert_eq!(fs::read_to_string(taken).unwrap(), rule(1, "A", "root"));
        assert!(into.join("sigma/LICENSE").exists() && !into.join("sigma/tools").exists());
        // Cut off, it is refused and nothing is left of it.
        let bytes = fs::read(&archive).unwrap();
        let cut = dir.path().join("cut.tar.gz");
        fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let nowhere = dir.path().join("nowhere");
        let output = run(&["rules", "fetch", shown(&cut), "--into", shown(&nowhere)]);
        assert_eq!(output.status.code(), Some(1));
        assert!(!nowhere.exists());
    }
}

/// Serves `content` to each who asks, and redirects `/moved` there.
fn serve(content: Vec<u8>) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = Vec::new();
            let mut byte = [0];
            while !asked.ends_with(b"\r\n\r\n")
                && std::io::Read::read(&mut stream, &mut byte).unwrap() == 1
            {
                asked.push(byte[0]);
            }
            let head = if asked.starts_with(b"GET /moved ") {
                "HTTP/1.1 302 Found\r\nlocation: /rules.zip\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned()
            } else if asked.starts_with(b"GET /rules.zip ") {
                format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    content.len()
                )
            } else {
                "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                    .to_owned()
            };
            stream.write_all(head.as_bytes()).unwrap();
            if head.contains(" 200 ") {
                stream.write_all(&content).unwrap();
            }
        }
    });
    format!("http://{address}")
}

#[test]
fn a_release_is_fetched_from_a_server_and_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let archive = zip(
        dir.path(),
        "a.zip",
        &[("rules/a.yml", &rule(1, "A", "root"))],
    );
    let into = dir.path().join("into");
    let local = run(&["rules", "fetch", &archive, "--into", shown(&into)]);
    let pin = text(&local).trim().rsplit(' ').next().unwrap().to_owned();
    let server = serve(fs::read(&archive).unwrap());
    let fetch = |path: &str, pin: Option<&str>| {
        let url = format!("{server}{path}");
        let mut args = vec!["rules", "fetch", &url, "--into", shown(&into)];
        args.extend(pin.into_iter().flat_map(|pin| ["--pin", pin]));
        let output = run(&args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    assert_eq!(fetch("/rules.zip", Some(&pin)), (Some(0), String::new()));
    assert_eq!(fetch("/moved", Some(&pin)).0, Some(0));
    assert!(into.join("rules/a.yml").exists());
    let (code, said) = fetch("/rules.zip", None);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("give its hash with --pin"), "{said}");
    let (code, said) = fetch("/rules.zip", Some(&"0".repeat(64)));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("its hash is") && into.join("rules/a.yml").exists(),
        "{said}"
    );
    let (code, said) = fetch("/missing.zip", Some(&pin));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("/missing.zip") && said.contains("404"),
        "{said}"
    );
    // By its short name, from a mirror.
    let release = |name: &str, more: &[&str]| {
        let output = run(&[&["rules", "fetch", name, "--into", shown(&into)], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let mirror = format!("{server}/rules.zip");
    let at_mirror = ["--address", &mirror, "--pin", &pin];
    assert_eq!(
        release("sigmahq@r2025-10-01", &at_mirror),
        (Some(0), String::new())
    );
    let lock = fs::read_to_string(into.join("citywatch-rules.lock")).unwrap();
    assert!(lock.contains("sigmahq@r2025-10-01"), "{lock}");
    let (code, said) = release("sigmahq@r2025-10-01", &["--address", &mirror]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("give its hash with --pin"), "{said}");
    let (code, said) = release("sigmahq", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("sigmahq@r2025-10-01"), "{said}");
    let (code, said) = release(&archive, &at_mirror);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--address is for a release"), "{said}");
}
