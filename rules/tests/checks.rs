//! Every kind of remark has an example in `tests/checks` that it is made of at the expected place, and a page in `checks/`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use citywatch_rules::check::{CATALOGUE, CheckOptions, Fix, Kind, Remark, Severity, apply, check};
use citywatch_rules::rule::Position;
use citywatch_rules::{FILE_BYTES_MAX, Pipelines, RuleSource};

/// Examples that would be too large for a file, made in `large_examples`; CW002 is the command's own, tested there.
const LARGE: &[&str] = &[
    "CW002", "CW003", "CW011", "CW012", "CW013", "CW314", "CW339", "CW340",
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn options() -> CheckOptions {
    CheckOptions {
        today: Some("2026-11-22".to_owned()),
        ..CheckOptions::default()
    }
}

/// With the pipeline that an example names in its second line, `# pipeline: {...}`.
fn options_of(text: &str) -> CheckOptions {
    let mut options = options();
    let second = text.lines().nth(1).unwrap_or("");
    if let Some(pipeline) = second.strip_prefix("# pipeline: ") {
        let source = RuleSource::new("pipeline.yml", pipeline);
        options.load.pipelines = Pipelines::read([source]).unwrap();
    }
    options
}

struct Example {
    name: String,
    code: String,
    position: String,
    text: String,
}

fn examples() -> Vec<Example> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder("tests/checks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let example = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let first = text.trim_start_matches('\u{FEFF}').lines().next().unwrap();
        let expected = first
            .strip_prefix("# expect: ")
            .unwrap_or_else(|| panic!("{path:?}: {first}"));
        let (code, position) = expected.split_once(' ').unwrap();
        Example {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            code: code.to_owned(),
            position: position.to_owned(),
            text,
        }
    };
    files.into_iter().map(example).collect()
}

fn remarks_of(example: &Example) -> Vec<Remark> {
    check(
        &[RuleSource::new(
            example.name.as_str(),
            example.text.as_str(),
        )],
        &options_of(&example.text),
    )
}

#[test]
fn every_example_is_remarked_at_its_place() {
    let mut failures = Vec::new();
    for example in examples() {
        let remarks = remarks_of(&example);
        let is_expected = |remark: &&Remark| {
            remark.kind.code == example.code && remark.position.to_string() == example.position
        };
        if !remarks.iter().any(|remark| is_expected(&remark)) {
            let got: Vec<String> = remarks
                .iter()
                .filter(|remark| {
                    remark.kind.severity > Severity::Info || remark.kind.code == example.code
                })
                .map(|remark| {
                    format!(
                        "{} {} {}",
                        remark.kind.code, remark.position, remark.message
                    )
                })
                .collect();
            failures.push(format!(
                "{}: expected {} at {}, got\n    {}",
                example.name,
                example.code,
                example.position,
                got.join("\n    ")
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn fixes_put_right_what_they_are_for_and_nothing_else() {
    let mut fixed = BTreeSet::new();
    for example in examples() {
        let remarks = remarks_of(&example);
        let own: Vec<&Remark> = remarks
            .iter()
            .filter(|remark| remark.kind.code == example.code)
            .collect();
        let fixes: Vec<(Position, &Fix)> = own
            .iter()
            .filter_map(|remark| Some((remark.position, remark.fix.as_ref()?)))
            .collect();
        if fixes.is_empty() {
            continue;
        }
        let (text, applied) = apply(&example.text, &fixes);
        assert_eq!(applied, fixes.len(), "{}", example.name);
        let after = Example { text, ..example };
        let again = remarks_of(&after);
        assert!(
            !again
                .iter()
                .any(|remark| remark.kind.code == after.code && remark.fix.is_some()),
            "{}: still remarked:\n{}",
            after.name,
            after.text
        );
        fixed.insert(after.code.clone());
    }
    let said: BTreeSet<String> = CATALOGUE
        .iter()
        .filter(|kind| kind.advice.contains("`--fix`"))
        .map(|kind| kind.code.to_owned())
        .collect();
    assert_eq!(fixed, said, "what --fix does is what the catalogue says");
}

#[test]
fn every_kind_has_an_example_and_a_page() {
    let mut by_code: BTreeMap<String, String> = BTreeMap::new();
    for example in examples() {
        by_code.insert(example.code, example.name);
    }
    let update = std::env::var_os("UPDATE").is_some();
    let mut failures = Vec::new();
    let mut index = String::from(
        "# Checks of rules\n\n`citywatch rules check` makes these remarks. `tests/checks.rs` writes this page and those behind it (`UPDATE=1`).\n\n| code | name | weight | what |\n|---|---|---|---|\n",
    );
    for kind in CATALOGUE {
        if !by_code.contains_key(kind.code) && !LARGE.contains(&kind.code) {
            failures.push(format!("{}: no example in tests/checks", kind.code));
        }
        let cell = kind.what.replace('|', "\\|");
        let _ = writeln!(
            index,
            "| [{}]({}.md) | {} | {} | {cell} |",
            kind.code,
            kind.code,
            kind.name,
            kind.severity.name()
        );
        hold(
            &format!("checks/{}.md", kind.code),
            &page(kind, by_code.get(kind.code)),
            update,
            &mut failures,
        );
    }
    hold("checks/README.md", &index, update, &mut failures);
    let pages = fs::read_dir(folder("checks")).unwrap().count();
    assert_eq!(
        pages,
        CATALOGUE.len() + 1,
        "a page for each kind, and no other"
    );
    assert!(
        failures.is_empty(),
        "UPDATE=1 refreshes the pages\n{}",
        failures.join("\n")
    );
}

fn hold(name: &str, text: &str, update: bool, failures: &mut Vec<String>) {
    let path = folder(name);
    if update {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    if fs::read_to_string(&path).ok().as_deref() != Some(text) {
        failures.push(format!("{name} differs from the catalogue"));
    }
}

fn page(kind: &Kind, example: Option<&String>) -> String {
    let mut page = format!(
        "# {} {}\n\nWeight: {}.\n\n{}\n\n{}\n",
        kind.code,
        kind.name,
        kind.severity.name(),
        kind.what,
        kind.advice
    );
    if let Some(example) = example {
        let _ = write!(
            page,
            "\nAn example, with the place where it is remarked in its first line: [{example}](../tests/checks/{example}).\n"
        );
    }
    let _ = write!(
        page,
        "\nTo allow it in one place, write `# citywatch: allow {} why` on the line or alone on the line before it.\n",
        kind.code
    );
    page
}

fn codes(text: String) -> Vec<&'static str> {
    let sources = [RuleSource::new("large_example.yml", text)];
    check(&sources, &options())
        .iter()
        .map(|remark| remark.kind.code)
        .collect()
}

#[test]
fn large_examples() {
    let rule = |item: &str| {
        format!(
            "title: X\nlogsource: {{product: linux}}\ndetection:\n  s:\n    {item}\n  condition: s\n"
        )
    };
    assert!(codes(format!("title: {}", "x".repeat(FILE_BYTES_MAX))).contains(&"CW003"));
    assert!(codes("- x\n---\n".repeat(1_200)).contains(&"CW011"));
    assert!(codes(rule(&format!("a|re: '{}'", "x{1000}".repeat(200)))).contains(&"CW314"));
    let dashes = " -a".repeat(12);
    assert!(codes(rule(&format!("a|windash|contains: '{dashes}'"))).contains(&"CW339"));
    assert!(
        codes(rule("a|lt: 1e400"))
            .iter()
            .any(|code| ["CW340", "CW323"].contains(code))
    );
    assert!(codes("title: X\nlogsource: {product: linux}\ncorrelation:\n  type: value_sum\n  rules: [x]\n  timespan: 5m\n".to_owned()).iter().any(|code| ["CW013", "CW408", "CW409"].contains(code)));
}

#[test]
fn comments_take_remarks_away() {
    let text = "# citywatch: allow-file CW110\ntitle: X Y\nstatus: tests # citywatch: allow CW114 on purpose\n# citywatch: allow CW102, invalid-level\nlevel: hihg\nlogsource: {product: linux}\ndetection:\n  s: {User: x}\n  condition: s\n";
    let codes = codes(text.to_owned());
    assert!(!codes.contains(&"CW110"), "{codes:?}");
    assert!(!codes.contains(&"CW114"), "{codes:?}");
    assert!(!codes.contains(&"CW127"), "{codes:?}");
    assert!(
        codes.contains(&"CW126") || codes.contains(&"CW113") || codes.contains(&"CW116"),
        "{codes:?}"
    );
}

#[test]
fn hostile_texts_are_checked_to_the_end() {
    let texts = [
        // Letters of several bytes at every end of a value.
        ["\u{202E}", "*ế", "ế*", "*ế*", "ế\\\\*", "ế?", "*"].map(|value| format!("title: x\nlogsource: {{product: windows}}\ndetection:\n  a: {{Image: '{value}', B|contains: '{value}', C|endswith: '{value}', D|re: '{value}.exe'}}\n  condition: a\n---\n")).concat(),
        "\u{0}".to_owned(),
        "title: [".repeat(10_000),
        "detection: {condition: [a, b, {c: d}], x: [[[]]]}".to_owned(),
        "correlation: 5\nlogsource: []\ntags: {a: b}\nrelated: {}\nid: [x]\n".to_owned(),
        "filter: {rules: {a: b}, selection: null}\ntags: [1, null, [x]]\ndate: {}\n".to_owned(),
        format!(
            "title: {}\ndetection:\n  a: {{x: '{}'}}\n  condition: {}\n",
            "\u{202E}",
            "*".repeat(5_000),
            "not ".repeat(50) + "a"
        ),
    ];
    for text in texts {
        for remark in check(&[RuleSource::new("x.yml", text)], &options()) {
            assert!(remark.position.line > 0, "{remark:?}");
        }
    }
}
