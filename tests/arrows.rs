//! The departments depend on each other only along the arrows of ARCHITECTURE.md.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every allowed arrow: the first may use the second. What a crate's tests use counts too.
const ALLOWED: &[(&str, &str)] = &[
    ("citywatch-collector", "citywatch-parsers"),
    ("citywatch-rules", "citywatch-parsers"),
    ("citywatch-engine", "citywatch-rules"),
    ("citywatch-engine", "citywatch-parsers"),
    ("citywatch-engine", "citywatch-collector"),
    ("citywatch-alerting", "citywatch-engine"),
    ("citywatch-alerting", "citywatch-rules"),
    ("citywatch-alerting", "citywatch-parsers"),
];

/// These two may use all others.
const TOP: &[&str] = &["citywatch", "citywatch-bench"];

#[test]
fn departments_depend_only_along_the_arrows() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata");
    let ours: BTreeSet<String> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    assert_eq!(
        ours.len(),
        7,
        "a department was added or removed: say so here and in ARCHITECTURE.md: {ours:?}"
    );
    let mut forbidden = Vec::new();
    for package in &metadata.packages {
        let from = package.name.as_str();
        for dependency in &package.dependencies {
            let to = dependency.name.as_str();
            if !ours.contains(to) || TOP.contains(&from) {
                continue;
            }
            if !ALLOWED.contains(&(from, to)) {
                forbidden.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(
        forbidden.is_empty(),
        "arrows that ARCHITECTURE.md does not allow: {forbidden:?}"
    );
}

/// `parsers` and `rules` do no I/O and know no async runtime: they may not even depend on one.
#[test]
fn parsers_and_rules_stay_free_of_io() {
    let metadata = MetadataCommand::new()
        .no_deps()
        .exec()
        .expect("cargo metadata");
    for package in &metadata.packages {
        if !["citywatch-parsers", "citywatch-rules"].contains(&package.name.as_str()) {
            continue;
        }
        for dependency in package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal)
        {
            let name = dependency.name.as_str();
            let banned = [
                "tokio",
                "axum",
                "rdkafka",
                "clickhouse",
                "ureq",
                "tracing",
                "metrics",
            ]
            .contains(&name);
            assert!(
                !banned,
                "{} must not depend on {name}: time and input are arguments",
                package.name
            );
        }
    }
}
