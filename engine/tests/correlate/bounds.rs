//! Memory and work are bounded.

use std::sync::Arc;

use citywatch_engine::detect::{CorrelationInput, CorrelationLimits, Correlator, RuleIndex};
use citywatch_parsers::Timestamp;
use citywatch_rules::correlation::{Bound, CorrelationKind, Order, RuleExpr};
use citywatch_rules::rule::{CompareOp, Number};

use super::arrivals::Arrival;
use super::sign_ins::{
    TIMESPAN_S, generate_correlation, observe, of_rule, sign_in, three_in_a_minute,
};

#[test]
fn the_bytes_that_hostile_events_take_are_bounded() {
    let set = three_in_a_minute();
    let limits = CorrelationLimits {
        bytes_max: 4 << 20,
        ..CorrelationLimits::default()
    };
    let mut correlator = Correlator::new(&set.correlations, 1, limits);
    for number in 0..1_000_i64 {
        let mut large = sign_in(number as u128, number, "s");
        large.fields = vec![
            (
                "g".to_owned(),
                Some(format!("{number}{}", "x".repeat(10_000))),
            ),
            ("other".to_owned(), Some("y".repeat(50_000))),
        ];
        observe(&mut correlator, &large);
        assert!(correlator.status().bytes < (4 << 20) + 100_000);
    }
    let status = correlator.status();
    assert!(
        status.evidence_dropped > 0 && status.entries_refused > 0,
        "{status:?}"
    );
    assert!(
        status.entries > 100,
        "evidence leaves room for groups: {status:?}"
    );
}

#[test]
fn the_bound_on_memory_holds_and_is_told() {
    let set = three_in_a_minute();
    let limits = CorrelationLimits {
        entries_max: 10,
        ..CorrelationLimits::default()
    };
    let mut correlator = Correlator::new(&set.correlations, 1, limits);
    for number in 0..15 {
        observe(&mut correlator, &sign_in(number as u128, number, "s"));
    }
    let status = correlator.status();
    assert_eq!((status.entries, status.entries_refused), (10, 5));
}

/// Looks at what takes long if the work for a window grows with its matches, and fails instead of hanging.
fn correlates_in_time(kind: CorrelationKind, rules: usize, matches: i64) {
    let mut correlation = generate_correlation();
    correlation.kind = kind;
    correlation.rules = (0..rules).map(of_rule).collect();
    let set = [Arc::new(correlation)];
    let mut correlator = Correlator::new(&set, rules, CorrelationLimits::default());
    let begin = std::time::Instant::now();
    let mut told = Vec::new();
    for number in 0..matches {
        // All within a timespan, the rules in an order that makes runs short.
        let time_us = number * (TIMESPAN_S * 1_000_000 / 2) / matches;
        let arrival = Arrival {
            time: Timestamp(1_767_225_600_000_000 + time_us),
            fields: vec![("v".to_owned(), Some((number * 7_919 % matches).to_string()))],
            ..sign_in(number as u128, 0, "s")
        };
        let rule = rules - 1 - number as usize * rules / matches as usize;
        correlator.observe(CorrelationInput {
            rule: RuleIndex(u32::try_from(rule).unwrap()),
            event: &arrival.snapshot(),
            matched: &Arc::from([]),
        });
        if number % 1_000 == 999 {
            correlator.drain(&mut told);
            assert!(begin.elapsed().as_secs() < 120, "{number} matches only");
        }
    }
    // One window, so that the watermark judges each at once.
    correlator.advance(&"a".into(), &"s".into(), Timestamp(i64::MAX / 4));
    correlator.drain(&mut told);
    assert!(begin.elapsed().as_secs() < 120);
    assert_eq!(correlator.status().groups, 0);
}

#[test]
fn the_work_for_a_window_does_not_grow_with_its_matches() {
    let bound = |op, number| {
        vec![Bound {
            op,
            number: Number::Int(number),
        }]
    };
    let pairs = (0..16).step_by(2);
    let either = |rule| RuleExpr::Or(vec![RuleExpr::Rule(rule), RuleExpr::Rule(rule + 1)]);
    let words = RuleExpr::And(pairs.map(either).collect());
    correlates_in_time(
        CorrelationKind::TemporalExtended {
            condition: words,
            text: "".into(),
            order: Order::AsWritten,
        },
        16,
        20_000,
    );
    let condition = bound(CompareOp::Equal, 9);
    correlates_in_time(CorrelationKind::TemporalOrdered { condition }, 32, 20_000);
    for percentile in [Some(90_000_000), None] {
        let kind = CorrelationKind::ValuePercentile {
            field: "v".into(),
            percentile,
            condition: bound(CompareOp::Less, -5),
        };
        correlates_in_time(kind, 1, 100_000);
    }
}
