//! What may lie in a folder of rules: what is no rule file is told and left out, and the others go on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use support::files::{json_lines, said, write};
use support::run;

fn rule(id: &str) -> String {
    format!(
        "title: R\nid: {id}\nlogsource: {{category: test}}\ndetection: {{s: {{A: 1}}, condition: s}}\n"
    )
}

/// The ids of the rules that were loaded from `rules`, in order; what was said; the exit code.
fn evaluate(rules: &str) -> (Vec<String>, String, i32) {
    let dir = tempfile::tempdir().unwrap();
    let events = write(dir.path(), "e.ndjson", r#"{"category":"test","A":1}"#);
    let output = run(&["rules", "eval", "--rules", rules, "--", &events]);
    let ids = json_lines(&output)
        .iter()
        .map(|line| line["rule_id"].as_str().unwrap().to_owned())
        .collect();
    (ids, said(&output), output.status.code().unwrap())
}

#[test]
fn what_is_no_file_of_rules_is_told_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    let root = rules.to_str().unwrap();
    write(&rules, "a.yml", rule("a"));
    write(&rules, "sub/deep/d.yaml", rule("d"));
    write(&rules, "folder.yml/f.yml", rule("f"));
    write(&rules, "bom.yml", format!("\u{FEFF}{}", rule("bom")));
    write(&rules, "crlf.yml", rule("crlf").replace('\n', "\r\n"));
    // No rules, and no mistakes either.
    write(&rules, "empty.yml", "");
    write(&rules, "marker.yml", "---\n");
    write(&rules, "comment.yml", "# not yet\n");
    write(&rules, "a.test.yml", "tests");
    write(&rules, "readme.txt", "words");
    write(&rules, ".git/x.yml", "nothing to be read");
    write(&rules, "._a.yml", [0, 5, 22, 7]);
    symlink("someone@host.4711:1", rules.join(".#a.yml")).unwrap();
    // Mistakes.
    let made = Command::new("mkfifo").arg(rules.join("fifo.yml")).status();
    assert!(made.unwrap().success());
    let _listener = UnixListener::bind(rules.join("socket.yml")).unwrap();
    symlink("/dev/zero", rules.join("zero.yml")).unwrap();
    symlink("nowhere", rules.join("dangling.yml")).unwrap();
    let utf16: Vec<u8> = rule("u")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    write(&rules, "utf16.yml", [&[0xFF, 0xFE], &utf16[..]].concat());
    write(&rules, "latin.yml", b"title: x\nauthor: Ren\xE9\n");
    write(&rules, "nul.yml", "\0\0");
    std::fs::write(rules.join("program.yml"), b"\x7FELF\x02\x01\0\0\xFF\xFE").unwrap();
    let large = std::fs::File::create(rules.join("large.yml")).unwrap();
    large.set_len(1 << 40).unwrap();

    let (ids, said, code) = evaluate(root);
    assert_eq!(ids, ["a", "bom", "crlf", "f", "d"], "{said}");
    assert_eq!(code, 1);
    for expected in [
        "/fifo.yml: this is a pipe, and rules are read from regular files only",
        "/socket.yml: this is a socket",
        "/zero.yml: this is a device",
        "/dangling.yml: No such file",
        "/utf16.yml:1:1: the file is UTF-16; save it as UTF-8",
        "/latin.yml:2:12: the byte 0xE9 is not UTF-8; save the file as UTF-8",
        "/nul.yml:1:1: not valid YAML",
        "/program.yml:1:1: the file is no text; rules are YAML",
        "/large.yml:1:1: the file is larger than the 10485760 bytes",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(said.lines().count(), 9, "{said}");
    // Named by itself it is refused, too, and never waited for.
    let (_, said, code) = evaluate(rules.join("fifo.yml").to_str().unwrap());
    assert!(code == 1 && said.contains("this is a pipe"), "{said}");
}

#[test]
fn links_are_followed_and_lead_nowhere_twice() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    write(&rules, "a.yml", rule("a"));
    write(dir.path(), "other/o.yml", rule("o"));
    symlink("../other", rules.join("other")).unwrap();
    symlink("../other", rules.join("other again")).unwrap();
    // Circles: to itself, to what it stands in, and through a folder elsewhere.
    symlink("self", rules.join("self")).unwrap();
    symlink(".", rules.join("here")).unwrap();
    symlink("..", rules.join("up")).unwrap();
    symlink("../rules", dir.path().join("other/back")).unwrap();
    // Ways through linked folders double with each of these.
    for level in 0..60 {
        let folder = dir.path().join(format!("maze/{level}"));
        std::fs::create_dir_all(&folder).unwrap();
        for way in ["left", "right"] {
            symlink(format!("../{}", level + 1), folder.join(way)).unwrap();
        }
    }
    write(dir.path(), "maze/60/end.yml", rule("end"));
    symlink("../maze/0", rules.join("maze")).unwrap();
    let (ids, said, code) = evaluate(rules.to_str().unwrap());
    assert_eq!((ids.len(), code), (3, 0), "{ids:?} {said}");
}

/// A ConfigMap is mounted as links into a hidden folder, which is swapped as a whole.
#[test]
fn a_mounted_config_map_is_read_once() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules");
    write(&rules, "..2026_11_22/a.yml", rule("a"));
    write(&rules, "..2026_11_22/sub/b.yml", rule("b"));
    symlink("..2026_11_22", rules.join("..data")).unwrap();
    symlink("..data/a.yml", rules.join("a.yml")).unwrap();
    symlink("..data/sub", rules.join("sub")).unwrap();
    let (ids, said, code) = evaluate(rules.to_str().unwrap());
    assert_eq!((ids.join(" ").as_str(), code), ("a b", 0), "{said}");
}

#[test]
fn no_rule_at_all_is_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "rules/empty.yml", "");
    write(dir.path(), "rules/.hidden.yml", rule("h"));
    let (ids, said, code) = evaluate(dir.path().join("rules").to_str().unwrap());
    assert_eq!((ids.len(), code), (0, 1));
    assert!(
        said.contains("no rules in ") && said.contains(".yml"),
        "{said}"
    );
    // Who names a hidden file means it.
    let (ids, said, code) = evaluate(dir.path().join("rules/.hidden.yml").to_str().unwrap());
    assert_eq!((ids.len(), code), (1, 0), "{said}");
}
