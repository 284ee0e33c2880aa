//! Loads all of SigmaHQ's rules from `../shared/sigma`, when they are there.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use citywatch_rules::{LoadOptions, RuleSet, RuleSource};

fn shared() -> PathBuf {
    match std::env::var_os("CITYWATCH_SHARED") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    }
}

fn sources(directory: &Path, found: &mut Vec<RuleSource>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push(RuleSource::new(
                path.display().to_string(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
}

#[test]
fn all_rules_load_but_those_that_lack_a_placeholder() {
    let sigma = shared().join("sigma");
    if !sigma.is_dir() {
        eprintln!(
            "skipped: {} is missing; it holds SigmaHQ's rules",
            sigma.display()
        );
        return;
    }
    let mut found = Vec::new();
    for directory in [
        "rules",
        "rules-compliance",
        "rules-dfir",
        "rules-emerging-threats",
        "rules-placeholder",
        "rules-threat-hunting",
    ] {
        sources(&sigma.join(directory), &mut found);
    }
    let files = found.len();
    let start = std::time::Instant::now();
    let set = RuleSet::load(found, &LoadOptions::default());
    eprintln!(
        "{} rules of {files} files in {:?}",
        set.rules.len(),
        start.elapsed()
    );
    let (missing, broken): (Vec<_>, Vec<_>) = set
        .problems
        .iter()
        .partition(|problem| problem.kind.is_missing_placeholder());
    for problem in &missing {
        eprintln!(
            "{}: {}",
            problem.title.as_deref().unwrap_or("?"),
            problem.kind
        );
    }
    assert!(
        broken.is_empty(),
        "{}",
        broken
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert_eq!(
        set.rules.len() + missing.len(),
        files,
        "each file has one rule"
    );
}
