//! Runs every rule of `library/` against the tests beside it, and the whole library over the demo's recordings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, RecordBatch, Timestamp, parse_batch};
use citywatch_rules::reference::correlate;
use citywatch_rules::{LoadOptions, RuleSet, RuleSource, rule_tests};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("library")
}

fn files_below(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be listed") {
            let path = entry.expect("its entries can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn rule_files() -> Vec<PathBuf> {
    let mut files = files_below(&library(), ".yml");
    files.retain(|path| !path.to_string_lossy().ends_with(".test.yml"));
    files
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(library())
        .expect("it lies in the library")
        .to_string_lossy()
        .into_owned()
}

fn load() -> RuleSet {
    let sources = rule_files().into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a rule file can be read");
        RuleSource::new(name_of(&path), text)
    });
    let set = RuleSet::load(sources, &LoadOptions::default());
    let problems: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    set
}

fn value_of<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.trim().strip_prefix(key))
        .map(str::trim)
}

#[test]
fn every_rule_passes_its_tests() {
    let set = load();
    let mut failures = Vec::new();
    for path in rule_files() {
        let name = name_of(&path);
        let rule = fs::read_to_string(&path).expect("a rule file can be read");
        let id = value_of(&rule, "id:").expect("a rule has an id");
        let Ok(tests) = fs::read_to_string(path.with_extension("test.yml")) else {
            failures.push(format!(
                "{name}: there is no {} beside it",
                name.replace(".yml", ".test.yml")
            ));
            continue;
        };
        let tests = match rule_tests::read(&name.replace(".yml", ".test.yml"), &tests) {
            Ok(tests) => tests,
            Err(mistake) => {
                failures.push(mistake);
                continue;
            }
        };
        if !tests.iter().any(|test| test.expected.count() > 0) || tests.iter().all(is_all_positive)
        {
            failures.push(format!(
                "{name}: needs events that match and events that do not"
            ));
        }
        for test in &tests {
            let outcome = rule_tests::run(&set, id, test).expect("the rule is loaded");
            if !outcome.passed() {
                failures.push(format!("{name}: {}: {}", test.name, outcome.told()));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn is_all_positive(test: &rule_tests::RuleTest) -> bool {
    test.expected.count() > 0 && test.expected.count() >= test.events.len() as u64
}

#[test]
fn every_rule_says_what_a_reader_needs() {
    let mut failures = Vec::new();
    let mut ids = BTreeSet::new();
    for path in rule_files() {
        let name = name_of(&path);
        let text = fs::read_to_string(&path).expect("a rule file can be read");
        for key in [
            "title:",
            "id:",
            "status:",
            "description:",
            "license:",
            "author:",
            "date:",
            "tags:",
            "falsepositives:",
            "level:",
            "title_vi:",
            "description_vi:",
        ] {
            if value_of(&text, key).is_none() {
                failures.push(format!("{name}: {key} is missing"));
            }
        }
        let id = value_of(&text, "id:").unwrap_or_default().to_owned();
        if id.len() != 36 || id.as_bytes().get(14) != Some(&b'4') {
            failures.push(format!("{name}: {id:?} is no UUID of version 4"));
        }
        if !text.contains("    - attack.t") {
            failures.push(format!("{name}: no ATT&CK technique"));
        }
        if !ids.insert(id) {
            failures.push(format!("{name}: its id is another rule's"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Another word than none, and one of its own language.
fn is_vietnamese(text: &str) -> bool {
    text.chars().filter(|c| !c.is_ascii()).count() >= 2
}

#[test]
fn the_library_covers_what_a_city_runs() {
    let set = load();
    let (rules, correlations) = (set.rules.len(), set.correlations.len());
    assert!(
        rules + correlations >= 60 && correlations >= 20,
        "{rules} rules, {correlations} correlations"
    );
    let mut failures = Vec::new();
    for path in rule_files() {
        let name = name_of(&path);
        let text = fs::read_to_string(&path).expect("a rule file can be read");
        let block = |key: &str| {
            let lines = text.lines().skip_while(|line| !line.starts_with(key));
            let behind = lines.skip(1).take_while(|line| line.starts_with(' '));
            let first = value_of(&text, key).unwrap_or_default();
            std::iter::once(first)
                .chain(behind)
                .collect::<Vec<_>>()
                .join(" ")
        };
        for key in ["title_vi:", "description_vi:"] {
            if !is_vietnamese(&block(key)) {
                failures.push(format!("{name}: {key} is not Vietnamese"));
            }
        }
        for (key, chars_min) in [("description:", 30), ("falsepositives:", 10)] {
            if block(key).trim().chars().count() < chars_min {
                failures.push(format!("{name}: {key} says too little"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Files of the demo with the format that its configuration gives them.
const DEMO: [(&str, &str); 10] = [
    ("bastion-01/auth.log", "syslog"),
    ("bastion-01/syslog", "syslog"),
    ("bastion-01/audit.log", "auditd"),
    ("portal-web-01/access.log", "web_access"),
    ("portal-web-01/error.log", "nginx_error"),
    ("portal-web-01/auth.log", "syslog"),
    ("portal-web-01/syslog", "syslog"),
    ("portal-web-01/audit.log", "auditd"),
    ("windows/ubnd-ws-017/sysmon.ndjson", "windows_json"),
    ("windows/ubnd-dc-01/security.ndjson", "windows_json"),
];

/// Lines as records; those of one audit event together, as the agent joins them.
fn records(text: &str, format: &str) -> Vec<String> {
    let mut records: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let serial = line
            .split_once("msg=audit(")
            .and_then(|(_, rest)| rest.split_once(')'))
            .map_or("", |(id, _)| id);
        match records.last_mut() {
            Some((last, record)) if format == "auditd" && last == serial => {
                record.push('\n');
                record.push_str(line);
            }
            _ => records.push((serial.to_owned(), line.to_owned())),
        }
    }
    records.into_iter().map(|(_, record)| record).collect()
}

/// How often each rule and correlation fires over the demo: `host rule-title`.
fn fires_over_the_demo() -> BTreeMap<String, usize> {
    let set = load();
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/demo/logs");
    let mut matches = Vec::new();
    let mut fires: BTreeMap<String, usize> = BTreeMap::new();
    let mut id = 0;
    for (file, format) in DEMO {
        let text = fs::read_to_string(logs.join(file)).expect("the demo's logs are there");
        let host = file
            .rsplit('/')
            .nth(1)
            .expect("a file lies in its host's folder");
        let origin = Origin {
            format: format.into(),
            host: Some(Arc::from(host)),
            ..Origin::default()
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        for (position, record) in (0..).zip(records(&text, format)) {
            batch.push(
                record.as_bytes(),
                position,
                Timestamp::from_seconds(1_795_312_800),
                Truncated::No,
            );
        }
        let arena = Bump::new();
        for event in parse_batch(&batch, &arena, &ParseContext::default()) {
            let raw = String::from_utf8_lossy(event.record.raw);
            assert!(
                event.problems.is_empty(),
                "{file}: {:?} in {raw}",
                event.problems
            );
            id += 1;
            matches.extend(rule_tests::matches_of(&set, &event, id));
        }
    }
    for found in &matches {
        *fires
            .entry(set.rules[found.rule].meta.title.to_string())
            .or_default() += 1;
    }
    for alert in correlate(&set, &matches) {
        *fires
            .entry(format!(
                "= {}",
                set.correlations[alert.correlation].meta.title
            ))
            .or_default() += 1;
    }
    fires
}

#[test]
fn the_demo_fires_what_its_readme_promises() {
    let fires = fires_over_the_demo();
    let got: String = fires
        .iter()
        .map(|(title, count)| format!("{count:4} {title}\n"))
        .collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("library/demo.expected.txt");
    if std::env::var_os("UPDATE").is_some() || !golden.exists() {
        fs::write(&golden, &got).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&golden).expect("the golden file can be read");
    assert_eq!(
        got, expected,
        "UPDATE=1 refreshes library/demo.expected.txt"
    );
}
