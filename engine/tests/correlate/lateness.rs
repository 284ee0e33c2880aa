//! Streams that are behind, quiet, late or forgotten.

use std::sync::Arc;

use citywatch_engine::Match;
use citywatch_engine::detect::{CorrelationInput, CorrelationLimits, Correlator, RuleIndex};
use citywatch_parsers::Timestamp;
use citywatch_rules::correlation::{Bound, Correlation, CorrelationKind};
use citywatch_rules::rule::{CompareOp, Number};

use super::arrivals::Arrival;
use super::generate;
use super::sign_ins::{
    TIMESPAN_S, generate_correlation, observe, observe_of, of_correlation, of_rule, sign_in,
    three_in_a_minute,
};

#[test]
fn an_office_that_was_cut_off_for_hours_correlates_by_its_own_watermark() {
    let set = three_in_a_minute();
    let mut correlator = Correlator::new(&set.correlations, 1, CorrelationLimits::default());
    // One office goes on for six hours while the other is silent.
    for hour in 0..6 {
        observe(
            &mut correlator,
            &sign_in(100 + hour as u128, hour * 3_600, "s"),
        );
    }
    let told: Vec<Match> = (0..3)
        .flat_map(|number| observe(&mut correlator, &sign_in(number as u128, 600 + number, "t")))
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].event_count, 3);
    assert_eq!(
        correlator.status().late,
        0,
        "it is not late by its own watermark"
    );
}

/// It spoke before, and while it was cut off its windows were closed by the clock. What it held back comes bit by
/// bit, and each bit is looked at before the next one comes.
#[test]
fn an_office_that_was_taken_for_quiet_correlates_what_it_held_back() {
    let exactly_three = CorrelationKind::EventCount {
        condition: vec![Bound {
            op: CompareOp::Equal,
            number: Number::Int(3),
        }],
    };
    for kind in [generate_correlation().kind, exactly_three] {
        let is_monotone = kind.is_monotone();
        let correlation = Correlation {
            kind,
            group_by: vec!["g".into()],
            ..generate_correlation()
        };
        let set = [Arc::new(correlation)];
        let mut correlator = Correlator::new(&set, 1, CorrelationLimits::default());
        let at = |second: i64| Timestamp::from_seconds(1_767_225_600 + second);
        let mut told = observe(&mut correlator, &sign_in(1, 0, "t"));
        // Another stream's matches are of the same group, at the time of the clock.
        for minute in (10..360).step_by(10) {
            let event = 1_000 + minute as u128;
            told.extend(observe(&mut correlator, &sign_in(event, minute * 60, "s")));
            correlator.advance_quiet(&"a".into(), &"t".into(), at(minute * 60));
            correlator.drain(&mut told);
        }
        assert!(told.is_empty(), "{told:?}");
        for number in 0..3 {
            let arrival = sign_in(2 + number as u128, 3_605 + 10 * number, "t");
            told.extend(observe(&mut correlator, &arrival));
        }
        // More matches cannot make "at least" wrong, so it is said at once; "exactly" must wait for them.
        assert_eq!(told.len(), usize::from(is_monotone), "{told:?}");
        assert_eq!(
            correlator.status().late,
            0,
            "it is not late by its own watermark"
        );
        // It goes on, and then is quiet once more.
        told.extend(observe(&mut correlator, &sign_in(9, 3_900, "t")));
        correlator.advance_quiet(&"a".into(), &"t".into(), at(40_000));
        correlator.advance_quiet(&"a".into(), &"s".into(), at(40_000));
        correlator.drain(&mut told);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].event_count, 3);
        assert_eq!(correlator.status().groups, 0);
    }
}

/// Three failures in a minute, and a success within a minute of that.
fn failures_then_a_success() -> [Arc<Correlation>; 2] {
    let mut chain = generate_correlation();
    chain.meta = generate::meta("failures, then a success");
    chain.kind = CorrelationKind::TemporalOrdered {
        condition: vec![Bound {
            op: CompareOp::GreaterOrEqual,
            number: Number::Int(2),
        }],
    };
    chain.group_by = vec!["g".into()];
    chain.rules = vec![of_correlation(0), of_rule(1)];
    [three_in_a_minute().correlations.remove(0), Arc::new(chain)]
}

/// A success is the only match of its key until the failures come that its office held back. Its own stream goes on,
/// which makes it old only where no other is behind that the chain is made of.
#[test]
fn the_only_match_of_a_chain_waits_for_streams_that_are_behind() {
    let correlations = failures_then_a_success();
    for is_behind in [true, false] {
        let mut correlator = Correlator::new(&correlations, 2, CorrelationLimits::default());
        let mut told = Vec::new();
        let mut take = |correlator: &mut Correlator, rule: u32, arrival: &Arrival| {
            told.extend(observe_of(correlator, rule, arrival));
        };
        let mut of_another = sign_in(1, 0, "t");
        of_another.fields[0].1 = Some("minh".to_owned());
        take(&mut correlator, 0, &of_another);
        take(&mut correlator, 1, &sign_in(9, 30, "s"));
        assert_eq!(correlator.status().groups, 2);
        let later = Timestamp::from_seconds(1_767_225_600 + 3 * 3_600);
        correlator.advance(&"a".into(), &"s".into(), later);
        if !is_behind {
            correlator.advance(&"a".into(), &"t".into(), later);
        }
        correlator.drain(&mut Vec::new());
        let waiting = correlator.status().groups;
        assert_eq!(waiting, if is_behind { 2 } else { 0 });
        for number in 2..5 {
            take(&mut correlator, 0, &sign_in(number, 2 + number as i64, "t"));
        }
        let found = |title: &str| {
            let mut told = told.iter();
            let found = told.find(|found| found.rule.title == title);
            found.map(|found| found.event_count)
        };
        let (of_failures, of_chain) = (
            found("three in a minute"),
            found("failures, then a success"),
        );
        let expected = is_behind.then_some((3, 4)).unzip();
        assert_eq!((of_failures, of_chain), expected, "{told:?}");
    }
}

/// Of one batch, after which its stream is hours further: the failures' group is looked at in the same moment at which
/// the success, the only match of its key for the chain, becomes old.
#[test]
fn the_only_match_of_a_chain_waits_for_what_its_own_batch_leads_to() {
    let correlations = failures_then_a_success();
    let mut correlator = Correlator::new(&correlations, 2, CorrelationLimits::default());
    for (rule, second) in [(0, 2), (0, 3), (0, 4), (1, 30)] {
        let arrival = sign_in(second as u128, second, "s");
        correlator.observe(CorrelationInput {
            rule: RuleIndex(rule),
            event: &arrival.snapshot(),
            matched: &Arc::from([]),
        });
    }
    let later = Timestamp::from_seconds(1_767_225_600 + 3 * 3_600);
    correlator.advance(&"a".into(), &"s".into(), later);
    let mut told = Vec::new();
    correlator.drain(&mut told);
    let counts: Vec<u64> = told.iter().map(|found| found.event_count).collect();
    assert_eq!(counts, [3, 4], "{told:?}");
    let status = correlator.status();
    assert_eq!((status.entries, status.groups), (0, 0));
}

#[test]
fn what_comes_later_than_the_bound_is_counted() {
    let set = three_in_a_minute();
    let mut correlator = Correlator::new(&set.correlations, 1, CorrelationLimits::default());
    observe(&mut correlator, &sign_in(1, 3_600, "s"));
    observe(&mut correlator, &sign_in(2, 3_600 - 299, "s"));
    assert_eq!(correlator.status().late, 0);
    observe(&mut correlator, &sign_in(3, 3_600 - 301, "s"));
    assert_eq!(correlator.status().late, 1);
}

#[test]
fn a_match_that_comes_too_late_has_nothing_settled_told_again() {
    let set = three_in_a_minute();
    let mut correlator = Correlator::new(&set.correlations, 1, CorrelationLimits::default());
    let mut told = Vec::new();
    let begin = 1_000 * TIMESPAN_S;
    for number in 0..5 {
        told.extend(observe(
            &mut correlator,
            &sign_in(number as u128, begin + number, "s"),
        ));
    }
    // The watermark passes the window's cell: it is settled, and told with all of its events.
    told.extend(observe(
        &mut correlator,
        &sign_in(9, begin + TIMESPAN_S + 310, "s"),
    ));
    assert_eq!(told.last().map(|found| found.event_count), Some(5));
    let told_before = told.len();
    for number in 10..20 {
        told.extend(observe(
            &mut correlator,
            &sign_in(number as u128, begin + number, "s"),
        ));
        told.extend(observe(
            &mut correlator,
            &sign_in(100 + number as u128, number, "s"),
        ));
    }
    assert_eq!(told.len(), told_before, "{:?}", &told[told_before..]);
    assert_eq!(correlator.status().late, 20);
}

#[test]
fn a_group_that_waits_for_a_stream_that_is_forgotten_is_looked_at_all_the_same() {
    let mut below = generate_correlation();
    below.meta = generate::meta("below");
    let mut above = generate_correlation();
    above.meta = generate::meta("above");
    above.kind = CorrelationKind::EventCount {
        condition: vec![Bound {
            op: CompareOp::GreaterOrEqual,
            number: Number::Int(1),
        }],
    };
    above.rules = vec![of_rule(1), of_correlation(0)];
    let correlations = [Arc::new(below), Arc::new(above)];
    let mut correlator = Correlator::new(&correlations, 2, CorrelationLimits::default());
    let mut told = Vec::new();
    let mut take = |correlator: &mut Correlator, rule: u32, arrival: &Arrival| {
        told.extend(observe_of(correlator, rule, arrival));
    };
    // The correlation above waits for the stream "t", of which the one below has a match.
    take(&mut correlator, 0, &sign_in(1, 0, "t"));
    take(&mut correlator, 1, &sign_in(2, 600, "s"));
    take(&mut correlator, 1, &sign_in(3, 610, "s"));
    let at = |second: i64| Timestamp::from_seconds(1_767_225_600 + second);
    let agent = "a".into();
    // It is dropped there: nobody has a match of "t" any more, and it is forgotten among very many others.
    correlator.advance(&agent, &"t".into(), at(480));
    correlator.drain(&mut told);
    assert_eq!((told.len(), correlator.status().groups), (1, 1));
    for number in 0..250_000 {
        correlator.advance(&agent, &format!("other {number}").as_str().into(), at(0));
    }
    correlator.advance(&agent, &"s".into(), at(2_000));
    correlator.drain(&mut told);
    assert_eq!(correlator.status().groups, 0, "its window is over");
    assert_eq!(told.last().map(|found| found.event_count), Some(2));
}
