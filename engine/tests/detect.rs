//! The compiled engine against the reference evaluator: the same rules hold, for the same fields.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "detect/generate.rs"]
mod generate;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use citywatch_engine::MatchedField;
use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher, RuleHit};
use citywatch_parsers::{Event, Layouts};
use citywatch_rules::vectors::{self, Expect};
use citywatch_rules::{Rule, RuleSet, reference};
use proptest::prelude::*;

/// What the reference says of all rules, as hits.
fn by_reference(
    rules: &[Arc<Rule>],
    event: &Event<'_>,
    mode: LogSourceMode,
) -> Vec<(u32, Vec<MatchedField>)> {
    let indexed = rules.iter().zip(0..);
    let routed = indexed.filter(|(rule, _)| mode.applies(&rule.log_source, &event.log_sources));
    let hits = routed.filter_map(|(rule, index)| {
        let fields = reference::matches(rule, event)?;
        let cut = |text: String| text[..text.floor_char_boundary(1_024)].to_owned();
        let fields = fields.into_iter().map(|field| MatchedField {
            name: field.name.into(),
            value: cut(field.value).into(),
        });
        Some((index, fields.collect()))
    });
    hits.collect()
}

fn assert_equal(
    rules: &[Arc<Rule>],
    matcher: &mut Matcher,
    event: &Event<'_>,
    mode: LogSourceMode,
) {
    let mut hits: Vec<RuleHit> = Vec::new();
    matcher.match_event(event, &mut hits);
    let found: Vec<(u32, Vec<MatchedField>)> = hits
        .into_iter()
        .map(|hit| (hit.rule.0, hit.matched.fields(event)))
        .collect();
    let expected = by_reference(rules, event, mode);
    if found != expected {
        let titles = |hits: &[(u32, Vec<MatchedField>)]| -> Vec<String> {
            hits.iter()
                .map(|(rule, fields)| format!("{}: {fields:?}", rules[*rule as usize].meta.title))
                .collect()
        };
        panic!(
            "the engine finds\n{:#?}\nthe reference\n{:#?}\nin {:#?}",
            titles(&found),
            titles(&expected),
            event.fields
        );
    }
}

#[test]
fn specification_vectors_hold_for_the_compiled_engine() {
    let mut run = 0;
    for file in files_below(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/testdata"),
        "yml",
    ) {
        let text = fs::read_to_string(&file).unwrap();
        for vector in vectors::read(&file.display().to_string(), &text).unwrap() {
            let Expect::Matches(expected) = &vector.expect else {
                continue;
            };
            let set = RuleSet::load([vector.source.clone()], &vector.options);
            let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Loose).unwrap());
            let mut matcher = compiled.matcher();
            for (event, expected) in vector.events.iter().zip(expected) {
                event.with(|event| {
                    let mut hits = Vec::new();
                    matcher.match_event(event, &mut hits);
                    let found = hits.iter().any(|hit| hit.rule.0 == 0);
                    assert_eq!(
                        found,
                        *expected,
                        "{}: {} in {:?}",
                        file.display(),
                        vector.name,
                        event.fields
                    );
                    assert_equal(&set.rules, &mut matcher, event, LogSourceMode::Loose);
                });
                run += 1;
            }
        }
    }
    assert!(run > 100, "only {run} vectors");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn generated_rules_and_events_give_the_same(
        rules in prop::collection::vec(generate::rule(), 1..12),
        events in prop::collection::vec(generate::event(), 1..12),
        strict in any::<bool>(),
    ) {
        let mode = if strict { LogSourceMode::Strict } else { LogSourceMode::Loose };
        let compiled = Arc::new(Compiled::new(&rules, mode).unwrap());
        let mut matcher = compiled.matcher();
        let mut orders = Layouts::default();
        // The second time their values are remembered.
        for event in events.iter().chain(&events) {
            event.with(&mut orders, |event| assert_equal(&rules, &mut matcher, event, mode));
        }
    }
}

fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}
