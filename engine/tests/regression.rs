//! SigmaHQ's regression cases on the real path: EVTX file, events, log source, all rules compiled. Each case names a
//! rule that must match, and mostly how often.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "corpus/mod.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod corpus;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_engine::detect::{Compiled, LogSourceMode, Matcher};
use citywatch_parsers::{Event, ParseContext, parse_batch};

/// Rules whose `match_count` is too small: SigmaHQ's own runner asks for one match and reads no count.
/// The rule's text holds for each of so many events of the recording.
const HOLDS_MORE_OFTEN: [(&str, usize); 3] = [
    // `\AnyDesk\user.conf` is in `user.conf.new` (twice) and `user.conf~RF2d9c20d.TMP`.
    ("0b9ad457-2554-44c1-82c2-d56a99c42377", 3),
    // `\procdump.exe`, `\procdump64.exe` and `\procdump64a.exe` are written.
    ("8fbf3271-1ef6-4e94-8210-03c2317947f6", 3),
    // `AutoShareServer` and `AutoShareWks` are both set to zero.
    ("c7dcacd0-cc59-4004-b0a4-1d6cdebe6f3e", 2),
];

/// One test of an `info.yml`.
struct Case {
    rule_id: String,
    matches_expected: Option<usize>,
    evtx: String,
}

/// Reads `info.yml`: one rule, one or more recordings. The files are flat enough to be read by line.
fn cases(info: &str) -> Vec<Case> {
    let mut rule_id = String::new();
    let mut cases: Vec<Case> = Vec::new();
    let mut in_tests = false;
    for line in info.lines() {
        let text = line.trim_start_matches([' ', '-']);
        let (key, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.trim();
        match (key, in_tests) {
            ("regression_tests_info", _) => in_tests = true,
            ("id", false) if line.starts_with(' ') => value.clone_into(&mut rule_id),
            ("name", true) => cases.push(Case {
                rule_id: rule_id.clone(),
                matches_expected: None,
                evtx: String::new(),
            }),
            ("match_count", true) => {
                cases.last_mut().unwrap().matches_expected = Some(value.parse().unwrap());
            }
            ("path", true) => value.clone_into(&mut cases.last_mut().unwrap().evtx),
            _ => {}
        }
    }
    cases
}

/// How often the rule of a case matches, and what the events look like for who must find out why it does not.
fn run(matcher: &mut Matcher, evtx: &Path, rule_id: &str) -> (usize, String) {
    let mut matches = 0;
    let mut seen = String::new();
    corpus::records_of(evtx, &mut |_, batch| {
        let arena = Bump::new();
        let events: Vec<Event<'_>> = parse_batch(&batch, &arena, &ParseContext::default());
        for event in &events {
            assert!(event.problems.is_empty(), "{:?}", event.problems);
            let mut hits = Vec::new();
            matcher.match_event(event, &mut hits);
            let compiled = matcher.compiled();
            matches += hits
                .iter()
                .filter(|hit| compiled.info(hit.rule).id == rule_id)
                .count();
            seen.push_str(&format!("{:?} {:#?}\n", event.log_sources, event.fields));
        }
    });
    (matches, seen)
}

#[test]
fn each_regression_case_matches_its_rule() {
    let Some(shared) = corpus::shared() else {
        return;
    };
    let sigma = shared.join("sigma");
    let set = corpus::sigmahq(&shared);
    let compiled = Arc::new(Compiled::new(&set.rules, LogSourceMode::Strict).unwrap());
    let mut matcher = compiled.matcher();
    let mut failures = Vec::new();
    let mut passed = 0;
    let infos = corpus::files_below(&sigma.join("regression_data"), &["yml"]);
    assert!(!infos.is_empty());
    for info in infos {
        let cases = cases(&fs::read_to_string(&info).unwrap());
        assert!(!cases.is_empty(), "{} names no test", info.display());
        for mut case in cases {
            if let Some((_, more)) = HOLDS_MORE_OFTEN.iter().find(|(id, _)| *id == case.rule_id) {
                case.matches_expected = Some(*more);
            }
            let (matches, seen) = run(&mut matcher, &sigma.join(&case.evtx), &case.rule_id);
            let right = case
                .matches_expected
                .map_or(matches > 0, |expected| matches == expected);
            if right {
                passed += 1;
            } else {
                failures.push(format!(
                    "{}: {} matches {matches} times, not {}\n{seen}",
                    case.evtx,
                    case.rule_id,
                    case.matches_expected
                        .map_or("at least once".to_owned(), |expected| expected.to_string()),
                ));
            }
        }
    }
    eprintln!("{passed} regression cases match their rules");
    assert!(
        failures.is_empty(),
        "{} cases fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
