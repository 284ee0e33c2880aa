//! `citywatch rules sql`, `hunt` and `impact` over a store that was filled through the real way in: they find what
//! `citywatch up` matched while the events came.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use citywatch_rules::sql::{Bound, Translator};
use citywatch_rules::{LoadOptions, Rule, RuleSet, RuleSource};
use support::files::json_lines;
use support::{StoreServer, Up, have_chdb, project, request, run};

/// Rule and event, its id as 32 hexadecimal digits.
type Matches = BTreeSet<(String, String)>;

/// Rules that one statement asks for together.
const RULES_AT_ONCE: usize = 20;

/// What the engine matched, from the store itself.
fn matched(store: &StoreServer) -> Matches {
    let rows = store.query(
        "SELECT rule_id, event_ids[1] FROM citywatch.matches FINAL WHERE NOT correlation FORMAT TSV",
    );
    let rows = rows.iter().map(|row| {
        let (rule, event) = row.split_once('\t').unwrap();
        (rule.to_owned(), id(event))
    });
    rows.collect()
}

/// As commands write it.
fn id(decimal: &str) -> String {
    format!("{:032x}", decimal.parse::<u128>().unwrap())
}

/// Both ways, with what only one of them has.
fn assert_same(one: &str, left: &Matches, other: &str, right: &Matches) {
    let show = |matches: &BTreeSet<&(String, String)>| -> Vec<String> {
        let first = matches.iter().take(20);
        first
            .map(|(rule, event)| format!("{rule} {event}"))
            .collect()
    };
    let only_left: BTreeSet<_> = left.difference(right).collect();
    let only_right: BTreeSet<_> = right.difference(left).collect();
    assert!(
        only_left.is_empty() && only_right.is_empty(),
        "{} only {one}: {:#?}\n{} only {other}: {:#?}",
        only_left.len(),
        show(&only_left),
        only_right.len(),
        show(&only_right)
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_demos_incidents_are_found_again() {
    if !have_chdb() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = project().join("deploy/demo/citywatch.toml");
    let rules = project().join("rules/library");
    let rules = rules.to_str().unwrap();
    let data = dir.path().join("data");
    let up = Up::start(dir.path(), &config);
    up.wait_until_stored();
    // While it runs, through its store.
    let store = ["--data", data.to_str().unwrap()];
    let since = ["--from", "2000-01-01"];
    let hunt = |more: &[&str]| {
        let command = ["rules", "hunt", "--rules", rules];
        run(&[&command[..], &since, &store, more].concat())
    };
    let output = hunt(&["--output", "ndjson"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = text(&output.stderr);
    assert!(summary.contains("events in the span"), "{summary}");
    let lines = json_lines(&output);
    up.running.stop();

    // Nothing runs: the store is started for the command.
    let command = ["rules", "impact", rules, "--output", "json"];
    let output = run(&[&command[..], &since, &store].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let impact: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let kinds: BTreeMap<&str, (&str, u64)> = impact["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| {
            let kind = rule["kind"].as_str().unwrap();
            (
                rule["rule_id"].as_str().unwrap(),
                (kind, rule["alerts"].as_u64().unwrap()),
            )
        })
        .collect();
    let output = hunt(&["--output", "table"]);
    let shown = text(&output.stdout);
    assert_eq!(shown.lines().count(), lines.len() + 1, "{shown}");
    let output = hunt(&["--output", "json"]);
    let whole: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(whole["matches"].as_array().unwrap(), &lines);

    // Events of the unit that there is, and none of one that there is not.
    let of_unit = |unit: &str, output: &str| hunt(&["--output", output, "--unit", unit]);
    let of_one = json_lines(&of_unit("hcmc/ben-thanh", "ndjson"));
    assert_eq!(of_one, lines);
    assert!(lines.iter().all(|line| line["unit"] == "hcmc/ben-thanh"));
    let none: serde_json::Value =
        serde_json::from_slice(&of_unit("nowhere", "json").stdout).unwrap();
    assert_eq!(
        (&none["events"], none["matches"].as_array().map(Vec::len)),
        (&serde_json::json!(0), Some(0))
    );

    let server = StoreServer::start(&data.join("store"), dir.path(), "store");
    let own = |rule: &str| kinds[rule].0 == "rule";
    let mut expected = matched(&server);
    expected.retain(|(rule, _)| own(rule));
    assert!(expected.len() > 10, "{} matches", expected.len());
    let mut hunted = Matches::new();
    let mut correlated = BTreeSet::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &lines {
        let rule = line["rule_id"].as_str().unwrap();
        *counts.entry(rule).or_default() += 1;
        if kinds[rule].0 == "correlation" {
            correlated.insert(rule.to_owned());
        } else {
            hunted.insert((
                rule.to_owned(),
                line["event_id"].as_str().unwrap().to_owned(),
            ));
        }
    }
    assert_same("by hunting", &hunted, "matched live", &expected);
    let live =
        server.query("SELECT DISTINCT rule_id FROM citywatch.matches FINAL WHERE correlation");
    let live: BTreeSet<String> = live
        .into_iter()
        .filter(|rule| {
            kinds
                .get(rule.as_str())
                .is_some_and(|kind| kind.0 == "correlation")
        })
        .collect();
    assert_eq!(correlated, live);
    assert!(!correlated.is_empty());
    for (rule, (kind, alerts)) in &kinds {
        if *kind != "correlated" {
            assert_eq!(counts.get(rule).copied().unwrap_or(0), *alerts, "{rule}");
        }
    }

    // Each statement as it is printed.
    let output = run(&["rules", "sql", "--output", "ndjson", rules]);
    let mut found = Matches::new();
    for rule in json_lines(&output) {
        let id_of_rule = rule["rule_id"].as_str().unwrap();
        let statement = rule["sql"].as_str().unwrap_or_else(|| panic!("{rule}"));
        let rows = server.query(&format!("{statement} FORMAT TSV"));
        let ids = rows.iter().map(|row| id(row.split('\t').next().unwrap()));
        found.extend(ids.map(|event| (id_of_rule.to_owned(), event)));
    }
    found.retain(|(rule, _)| own(rule));
    assert_same("in SQL", &found, "matched live", &expected);
    server.running.stop();
}

/// All rules of SigmaHQ over recorded attacks: a few recordings, or with `CITYWATCH_ALL=1` all of them.
#[test]
fn sigmahq_finds_the_same_in_sql() {
    if !have_chdb() {
        return;
    }
    let Some(shared) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let everything = std::env::var_os("CITYWATCH_ALL").is_some_and(|value| value == "1");
    let bytes_max = if everything { u64::MAX } else { 24 << 20 };
    let recorded = unpack(&shared.join("events"), &logs, bytes_max);
    let folders = rule_folders(&shared.join("sigma"));
    let listed: Vec<String> = folders
        .iter()
        .map(|folder| format!("{:?}", folder.display().to_string()))
        .collect();
    let config = dir.path().join("citywatch.toml");
    let text_of_config = format!(
        "[agent]\nname = \"test\"\nunit = \"u1\"\n[[agent.files]]\npaths = [\"{}/*\"]\nread_from = \"beginning\"\n\
         [engine]\nclock_behind_max_days = 0\nrules = [{}]\n",
        logs.display(),
        listed.join(", ")
    );
    std::fs::write(&config, text_of_config).unwrap();
    let up = Up::start(dir.path(), &config);
    up.wait_until_stored();
    up.running.stop();

    let data = dir.path().join("data");
    let server = StoreServer::start(&data.join("store"), dir.path(), "store");
    let expected = matched(&server);
    let events = server.query("SELECT count() FROM citywatch.events");
    eprintln!(
        "{recorded} recordings, {} events, {} matches",
        events[0],
        expected.len()
    );
    assert!(expected.len() > 100, "{} matches", expected.len());

    let set = sigmahq(&folders);
    // Those that match, and of the others some, or with all else all: to take a statement apart costs the database most.
    let matching: BTreeSet<&str> = expected.iter().map(|(rule, _)| rule.as_str()).collect();
    let asked: Vec<&Arc<Rule>> = set
        .rules
        .iter()
        .enumerate()
        .filter(|(place, rule)| {
            everything || place % 40 == 0 || matching.contains(rule.meta.id.as_str())
        })
        .map(|(_, rule)| rule)
        .collect();
    let mut found = Matches::new();
    let mut unsaid = Vec::new();
    for rules in asked.chunks(RULES_AT_ONCE) {
        let mut translator = Translator::new(Bound::Exact);
        let mut said = Vec::new();
        for rule in rules {
            match translator.rule(rule) {
                Ok(condition) => said.push((rule.meta.id.as_str(), condition)),
                Err(reasons) => unsaid.push(format!("{}: {reasons:?}", rule.meta.title)),
            }
        }
        found.extend(ask(&server, &translator, &said));
    }
    assert!(unsaid.is_empty(), "{unsaid:#?}");
    assert_same("in SQL", &found, "matched live", &expected);
    eprintln!(
        "{} rules as SQL: {} matches, no difference",
        asked.len(),
        found.len()
    );
    let other = dir.path().join("hunt.toml");
    std::fs::write(&other, server.config()).unwrap();

    let mut arguments = vec![
        "rules",
        "hunt",
        "--output",
        "ndjson",
        "--from",
        "1990-01-01",
        "--config",
    ];
    arguments.extend([other.to_str().unwrap(), "--rules"]);
    arguments.extend(folders.iter().map(|folder| folder.to_str().unwrap()));
    let output = run(&arguments);
    eprint!("{}", text(&output.stderr));
    let hunted = json_lines(&output)
        .iter()
        .map(|line| {
            let part = |name: &str| line[name].as_str().unwrap().to_owned();
            (part("rule_id"), part("event_id"))
        })
        .collect();
    assert_same("by hunting", &hunted, "matched live", &expected);
    server.running.stop();
}

/// Asks for the events of several rules with one statement.
fn ask(server: &StoreServer, translator: &Translator, rules: &[(&str, String)]) -> Matches {
    let definitions = translator.with_clause();
    let comma = if definitions.is_empty() {
        "WITH "
    } else {
        ",\n"
    };
    let conditions: Vec<String> = rules
        .iter()
        .map(|(_, condition)| format!("toUInt8({condition})"))
        .collect();
    let statement = format!(
        "{definitions}{comma}[{}] AS holds SELECT event_id, arrayStringConcat(arrayFilter(i -> holds[i] = 1, arrayEnumerate(holds)), ' ')\n\
         FROM citywatch.events WHERE has(holds, 1)\n\
         SETTINGS precise_float_parsing = 1, max_ast_elements = 10000000, max_expanded_ast_elements = 10000000 FORMAT TSV",
        conditions.join(", ")
    );
    // Longer than what ClickHouse takes without being asked.
    let headers = [
        ("X-ClickHouse-User", "citywatch"),
        ("X-ClickHouse-Key", StoreServer::PASSWORD),
    ];
    let path = "/?max_query_size=100000000";
    let answer = request(server.port, "POST", path, &headers, &statement).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut found = Matches::new();
    for row in answer.body.lines() {
        let (event, places) = row.split_once('\t').unwrap();
        for place in places.split(' ') {
            let rule = rules[place.parse::<usize>().unwrap() - 1].0;
            found.insert((rule.to_owned(), id(event)));
        }
    }
    found
}

/// The directory with shared test input, if it is there.
fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("CITYWATCH_SHARED")
        .map_or_else(|| project().join("../shared"), PathBuf::from);
    if shared.join("sigma").is_dir() && shared.join("events").is_dir() {
        return Some(shared);
    }
    eprintln!(
        "skipped: no SigmaHQ rules and recordings at {} (set CITYWATCH_SHARED)",
        shared.display()
    );
    None
}

fn rule_folders(sigma: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(sigma)
        .unwrap()
        .map(|folder| folder.unwrap().path());
    let mut folders: Vec<PathBuf> = folders
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("rules")
        })
        .collect();
    folders.sort();
    folders
}

fn sigmahq(folders: &[PathBuf]) -> RuleSet {
    let mut sources = Vec::new();
    for folder in folders {
        for file in files_below(folder) {
            if file.extension().is_some_and(|extension| extension == "yml") {
                let text = std::fs::read_to_string(&file).unwrap();
                sources.push(RuleSource::new(file.display().to_string(), text));
            }
        }
    }
    let set = RuleSet::load(sources, &LoadOptions::default());
    assert!(set.rules.len() > 3_700, "{} rules", set.rules.len());
    set
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Unpacks recordings, the smallest first, up to so many bytes; returns how many there were.
fn unpack(archives: &Path, to: &Path, bytes_max: u64) -> usize {
    let mut members = Vec::new();
    for path in files_below(archives) {
        if path.extension().is_some_and(|extension| extension == "zip") {
            let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
            for index in 0..archive.len() {
                let member = archive.by_index(index).unwrap();
                if member.is_file() {
                    members.push((member.size(), path.clone(), index));
                }
            }
        }
    }
    members.sort();
    let (mut bytes, mut number) = (0, 0);
    for (size, path, index) in members {
        bytes += size;
        if bytes > bytes_max {
            break;
        }
        number += 1;
        let mut archive = zip::ZipArchive::new(std::fs::File::open(&path).unwrap()).unwrap();
        let mut member = archive.by_index(index).unwrap();
        let name = Path::new(&*member.name().unwrap())
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let mut file = std::fs::File::create(to.join(format!("{number:03}-{name}"))).unwrap();
        std::io::copy(&mut member, &mut file).unwrap();
    }
    number
}
