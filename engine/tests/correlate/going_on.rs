//! Going on after a restart, and with other rules.

use std::sync::Arc;

use citywatch_engine::Match;
use citywatch_engine::detect::{CorrelationLimits, Correlator};
use citywatch_parsers::Timestamp;
use citywatch_rules::RuleSet;
use citywatch_rules::correlation::{Bound, Correlation, CorrelationKind};
use citywatch_rules::rule::{CompareOp, Number};

use super::arrivals::{Arrival, by_correlator};
use super::generate;
use super::sign_ins::{TIMESPAN_S, generate_correlation, observe, sign_in, three_in_a_minute};

#[test]
fn a_replay_of_what_was_seen_raises_the_same_alerts_under_the_same_ids() {
    let set = three_in_a_minute();
    let arrivals: Vec<Arrival> = (0..200)
        .map(|number| {
            sign_in(
                number as u128,
                number * 7,
                if number % 3 == 0 { "s" } else { "t" },
            )
        })
        .collect();
    let once = by_correlator(&set, &arrivals, 1, 3);
    // The engine stops in the middle; a new one reads back what was seen, and goes on.
    let mut stopped = Correlator::new(&set.correlations, 1, CorrelationLimits::default());
    let before: Vec<Match> = arrivals[..120]
        .iter()
        .flat_map(|arrival| observe(&mut stopped, arrival))
        .collect();
    let after = by_correlator(&set, &arrivals, 120, 1_000);
    assert!(once.len() > 10);
    assert_eq!(once, after);
    assert!(!before.is_empty());
    assert!(
        before.iter().all(|found| once.contains_key(&found.id)),
        "what was raised before the stop has the same ids after it"
    );
}

/// Three within a minute, and ten within ten minutes: what they gather is the same.
fn two_limits() -> (Correlation, Correlation) {
    let mut short = generate_correlation();
    short.group_by = vec!["g".into()];
    let long = Correlation {
        meta: generate::meta("ten in ten minutes"),
        kind: CorrelationKind::EventCount {
            condition: vec![Bound {
                op: CompareOp::GreaterOrEqual,
                number: Number::Int(10),
            }],
        },
        timespan_us: 10 * TIMESPAN_S * 1_000_000,
        ..short.clone()
    };
    (short, long)
}

#[test]
fn correlations_that_gather_the_same_find_what_each_finds_alone() {
    let (short, long) = two_limits();
    let arrivals: Vec<Arrival> = (0..400)
        .map(|number| sign_in(number as u128, number * number % 977 + number * 9, "s"))
        .collect();
    let set = |correlations: &[&Correlation]| RuleSet {
        correlations: correlations
            .iter()
            .map(|correlation| Arc::new((*correlation).clone()))
            .collect(),
        ..RuleSet::default()
    };
    let mut sorted = arrivals;
    sorted.sort_by_key(|arrival| arrival.time);
    let mut alone = by_correlator(&set(&[&short]), &sorted, 7, 1_000);
    alone.extend(by_correlator(&set(&[&long]), &sorted, 7, 1_000));
    assert!(alone.len() > 50);
    assert_eq!(by_correlator(&set(&[&short, &long]), &sorted, 7, 50), alone);
    let correlations = set(&[&short, &long]).correlations;
    let mut both = Correlator::new(&correlations, 1, CorrelationLimits::default());
    sorted[..20]
        .iter()
        .for_each(|arrival| _ = observe(&mut both, arrival));
    assert_eq!(both.status().groups, 1, "they share their group");
    assert_eq!(both.status().entries, 20, "each match is held once");
}

#[test]
fn of_correlations_that_gather_the_same_only_the_one_that_is_changed_begins_anew() {
    let (short, long) = two_limits();
    let at_least = |count| Correlation {
        kind: CorrelationKind::EventCount {
            condition: vec![Bound {
                op: CompareOp::GreaterOrEqual,
                number: Number::Int(count),
            }],
        },
        meta: generate::meta(&format!("at least {count}")),
        ..short.clone()
    };
    let limits = CorrelationLimits::default();
    let before = [Arc::new(at_least(5)), Arc::new(long.clone())];
    let mut correlator = Correlator::new(&before, 1, limits);
    for number in 0..4 {
        let told = observe(&mut correlator, &sign_in(number as u128, number, "s"));
        assert!(told.is_empty(), "{told:?}");
    }
    // With the third of its matches the changed one would hold at once, if it had what the other has.
    let after = [Arc::new(at_least(3)), Arc::new(long)];
    let mut next = Correlator::new(&after, 1, limits);
    next.adopt(correlator);
    let told: Vec<Match> = (4..10)
        .flat_map(|number| observe(&mut next, &sign_in(number as u128, number, "s")))
        .collect();
    let told: Vec<(&str, u64)> = told
        .iter()
        .map(|found| (found.rule.title.as_str(), found.event_count))
        .collect();
    assert_eq!(told, [("at least 3", 3), ("ten in ten minutes", 10)]);
    next.advance(&"a".into(), &"s".into(), Timestamp(i64::MAX / 4));
    next.drain(&mut Vec::new());
    let status = next.status();
    assert_eq!(
        (status.groups, status.entries, status.evidence_events),
        (0, 0, 0)
    );
}
