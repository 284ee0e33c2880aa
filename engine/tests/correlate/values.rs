//! Conditions on values of events that have several.

use std::sync::Arc;

use citywatch_parsers::Timestamp;
use citywatch_rules::RuleSet;
use citywatch_rules::correlation::{Alias, Bound, Correlation, CorrelationKind};
use citywatch_rules::rule::{CompareOp, Number};
use proptest::prelude::*;

use super::arrivals::{Arrival, by_correlator, by_reference};
use super::generate;
use super::order::bound;
use super::sign_ins::{generate_correlation, of_correlation, of_rule};

/// A condition on values.
fn value_kind() -> impl Strategy<Value = CorrelationKind> {
    let condition = prop::collection::vec(bound(), 1..2);
    let percentile = prop::option::of(1i128..=100);
    (0..3u8, condition, percentile).prop_map(|(kind, condition, percentile)| {
        let field = "v".into();
        match kind {
            0 => CorrelationKind::ValueSum { field, condition },
            1 => CorrelationKind::ValueAvg { field, condition },
            _ => CorrelationKind::ValuePercentile {
                field,
                percentile: percentile.map(|percentile| percentile * 1_000_000),
                condition,
            },
        }
    })
}

/// Matches of rules 0 and 1 at few different times, and the same ones in another order.
fn close_arrivals() -> impl Strategy<Value = (Vec<Arrival>, Vec<Arrival>)> {
    let value = || prop::sample::select(&["1", "2", "2.5", "-1", "x"][..]);
    let one = (0usize..2, 0u128..6, value(), value(), any::<bool>());
    let listed = prop::collection::vec(one, 1..10).prop_map(|listed| {
        let arrival = |(rule, event, v, w, first): (usize, u128, &str, &str, bool)| Arrival {
            rule,
            event,
            // An event has one time and one stream, and most share theirs with others.
            time: Timestamp::from_seconds(1_767_225_600 + (event % 3) as i64),
            stream: "s",
            fields: vec![
                ("g".to_owned(), Some("lan".to_owned())),
                ("v".to_owned(), Some(if first { v } else { w }.to_owned())),
                ("w".to_owned(), Some(w.to_owned())),
            ],
        };
        let mut arrivals: Vec<Arrival> = Vec::new();
        for arrival in listed.into_iter().map(arrival) {
            let known = arrivals.iter().find(|known| known.event == arrival.event);
            let fields = known.map_or(arrival.fields.clone(), |known| known.fields.clone());
            arrivals.push(Arrival { fields, ..arrival });
        }
        arrivals
    });
    listed.prop_flat_map(|arrivals| (Just(arrivals.clone()), Just(arrivals).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// An event that several rules match may have a value for each, an alert one for each of its moments, also at
    /// the very same time.
    #[test]
    fn which_of_several_values_counts_does_not_depend_on_the_order_of_arrival(
        above in value_kind(),
        is_aliased in any::<bool>(),
        least in 1i128..3,
        (arrivals, shuffled) in close_arrivals(),
        drain_every in 1usize..5,
    ) {
        let mut below = generate_correlation();
        below.kind = CorrelationKind::EventCount {
            condition: vec![Bound { op: CompareOp::GreaterOrEqual, number: Number::Int(least) }],
        };
        below.rules.push(of_rule(1));
        let alias = Alias {
            name: "v".into(),
            fields: vec![(0, "v".into()), (1, "v".into()), (2, "w".into())],
        };
        let above = Correlation {
            meta: generate::meta("above"),
            kind: above,
            rules: vec![of_correlation(0), of_rule(0), of_rule(1)],
            aliases: if is_aliased { vec![alias] } else { vec![] },
            ..generate_correlation()
        };
        let set = RuleSet {
            correlations: vec![Arc::new(below), Arc::new(above)],
            ..RuleSet::default()
        };
        let expected = by_reference(&set, &arrivals);
        prop_assert_eq!(&by_correlator(&set, &arrivals, drain_every, 1_000), &expected);
        prop_assert_eq!(&by_correlator(&set, &shuffled, drain_every, 3), &expected);
        prop_assert_eq!(&by_reference(&set, &shuffled), &expected);
    }
}

/// Two correlations read the same rule, each groups by another field, and both fields have the same value.
#[test]
fn a_match_counts_for_each_field_that_it_comes_to_a_group_by() {
    let grouped_by = |field: &str| {
        let mut correlation = generate_correlation();
        correlation.meta = generate::meta(field);
        correlation.group_by = vec![field.into()];
        correlation.kind = CorrelationKind::EventCount {
            condition: vec![Bound {
                op: CompareOp::GreaterOrEqual,
                number: Number::Int(2),
            }],
        };
        Arc::new(correlation)
    };
    let set = RuleSet {
        correlations: vec![grouped_by("g"), grouped_by("v")],
        ..RuleSet::default()
    };
    let arrival = |event: u128| Arrival {
        rule: 0,
        event,
        time: Timestamp::from_seconds(1_767_225_600 + event as i64),
        stream: "s",
        fields: ["g", "v"]
            .map(|name| (name.to_owned(), Some("lan".to_owned())))
            .to_vec(),
    };
    let arrivals = [arrival(0), arrival(1)];
    let alerts = by_correlator(&set, &arrivals, 1, 1_000);
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts, by_reference(&set, &arrivals));
}
