//! Runs the specification vectors of `testdata/` through the reference evaluator.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use citywatch_rules::RuleSet;
use citywatch_rules::reference::{self, RuleMatch};
use citywatch_rules::rule::{Alerts, Rule};
use citywatch_rules::vectors::{self, Expect, ExpectedAlert, Vector};

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push(path);
        }
    }
}

fn all_vectors() -> Vec<Vector> {
    let mut paths = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    files(&root.join("testdata"), &mut paths);
    let mut vectors = Vec::new();
    for path in paths {
        let name = path.strip_prefix(root).unwrap().display().to_string();
        match vectors::read(&name, &fs::read_to_string(&path).unwrap()) {
            Ok(found) => vectors.extend(found),
            Err(error) => panic!("{error}"),
        }
    }
    vectors
}

/// What went wrong with a vector; nothing if all is well.
fn failures(vector: &Vector) -> Vec<String> {
    let set = RuleSet::load([vector.source.clone()], &vector.options);
    let problems: Vec<String> = set.problems.iter().map(ToString::to_string).collect();
    match &vector.expect {
        Expect::Error(expected) => {
            match problems.iter().any(|problem| problem.contains(expected)) {
                true => Vec::new(),
                false => vec![format!(
                    "expected the problem {expected:?}, got {problems:?}"
                )],
            }
        }
        _ if !problems.is_empty() => problems,
        Expect::Matches(expected) => match_failures(vector, expected, &set.rules[0]),
        Expect::Alerts(expected) => alert_failures(vector, expected, &set),
        Expect::OwnAlerts(expected) => own_alert_failures(expected, &set),
    }
}

fn match_failures(vector: &Vector, expected: &[bool], rule: &Rule) -> Vec<String> {
    let mut failures = Vec::new();
    for (event, expected) in vector.events.iter().zip(expected) {
        let got = event.with(|event| reference::matches(rule, event));
        if got.is_some() != *expected {
            failures.push(format!(
                "expected match {expected}, got {got:?} for {event:?}\n{:?}",
                rule.condition
            ));
        }
    }
    failures
}

fn own_alert_failures(expected: &[String], set: &RuleSet) -> Vec<String> {
    let rules = set.rules.iter().map(|rule| &rule.meta);
    let correlations = set.correlations.iter().map(|correlation| &correlation.meta);
    let mut got: Vec<String> = rules
        .chain(correlations)
        .filter(|meta| meta.alerts == Alerts::Own)
        .map(|meta| meta.name.as_deref().unwrap_or(&meta.title).to_owned())
        .collect();
    got.sort();
    let mut expected = expected.to_vec();
    expected.sort();
    if got == expected {
        Vec::new()
    } else {
        vec![format!("expected alerts of {expected:?}, got {got:?}")]
    }
}

fn alert_failures(vector: &Vector, expected: &[ExpectedAlert], set: &RuleSet) -> Vec<String> {
    let mut matches = Vec::new();
    for (place, event) in vector.events.iter().enumerate() {
        event.with(|parsed| {
            for (index, rule) in set.rules.iter().enumerate() {
                if reference::matches(rule, parsed).is_some() {
                    let value = |value: citywatch_parsers::Value<'_>| match value {
                        citywatch_parsers::Value::Null => None,
                        value => Some(value.to_string()),
                    };
                    let fields = parsed
                        .fields
                        .iter()
                        .map(|field| (field.name.to_owned(), value(field.value)))
                        .collect();
                    matches.push(RuleMatch {
                        rule: index,
                        event: place as u128 + 1,
                        time: event.time,
                        fields,
                    });
                }
            }
        });
    }
    let run = |matches: &[RuleMatch]| {
        let mut alerts: Vec<ExpectedAlert> = reference::correlate(set, matches)
            .into_iter()
            .map(|alert| {
                let meta = &set.correlations[alert.correlation].meta;
                ExpectedAlert {
                    correlation: meta.name.as_deref().unwrap_or(&meta.title).to_owned(),
                    group: alert.group.into_iter().map(|(_, value)| value).collect(),
                    events: alert
                        .events
                        .into_iter()
                        .map(|event| usize::try_from(event).unwrap())
                        .collect(),
                }
            })
            .collect();
        alerts.sort();
        alerts
    };
    let mut wanted = expected.to_vec();
    wanted.sort();
    let got = run(&matches);
    let mut failures = Vec::new();
    if got != wanted {
        failures.push(format!("expected {wanted:#?}, got {got:#?}"));
    }
    matches.reverse();
    if run(&matches) != got {
        failures.push("another order of the matches gives other alerts".to_owned());
    }
    matches.extend(matches.clone());
    if run(&matches) != got {
        failures.push("matches that come twice give other alerts".to_owned());
    }
    failures
}

#[test]
fn every_vector_comes_out_as_the_specification_says() {
    let vectors = all_vectors();
    let mut failed = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut names = std::collections::BTreeSet::new();
    for vector in &vectors {
        let kind = match &vector.expect {
            Expect::Error(_) => "errors",
            Expect::Matches(_) => "matches",
            Expect::Alerts(_) => "alerts",
            Expect::OwnAlerts(_) => "own alerts",
        };
        *counts.entry(kind).or_default() += 1;
        *counts.entry("event expectations").or_default() += vector.events.len();
        if !names.insert((
            vector.source.path.split(':').next().unwrap().to_owned(),
            vector.name.clone(),
        )) {
            failed.push(format!(
                "{}: another vector of this file is called {:?}",
                vector.source.path, vector.name
            ));
        }
        for failure in failures(vector) {
            failed.push(format!(
                "{}: {} ({}): {failure}",
                vector.source.path, vector.name, vector.spec
            ));
        }
    }
    eprintln!("{} vectors: {counts:?}", vectors.len());
    assert!(
        failed.is_empty(),
        "{} failures:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// The canary: a vector that says the wrong thing must fail, or the test above proves nothing.
#[test]
fn a_wrong_vector_fails() {
    let text = "
- {case: match, spec: x, search: 'F: 1', match: [{F: 2}]}
- {case: no match, spec: x, search: 'F: 1', no match: [{F: 1}]}
- {case: error, spec: x, search: 'F|contain: 1', error: 'something else'}
- {case: no error, spec: x, search: 'F: 1', error: 'unknown modifier'}
- {case: broken, spec: x, search: 'F|contain: 1', match: [{F: 1}]}
- case: alerts
  spec: x
  rules: |
    {title: r, name: r, logsource: {}, detection: {s: {F: 1}, condition: s}}
    ---
    {title: c, name: c, correlation: {type: event_count, rules: r, timespan: 1m, condition: {gte: 2}}}
  events: [{F: 1}]
  alerts: [{correlation: c, events: [1]}]
- case: own alerts
  spec: x
  rules: '{title: r, name: r, logsource: {}, detection: {s: {F: 1}, condition: s}}'
  own alerts: []
";
    let vectors = vectors::read("canary", text).unwrap();
    assert_eq!(vectors.len(), 7);
    for vector in &vectors {
        assert_ne!(failures(vector), Vec::<String>::new(), "{}", vector.name);
    }
}
