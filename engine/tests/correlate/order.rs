//! Settled alerts are those of the reference, in any order of arrival.

use std::sync::Arc;

use citywatch_parsers::Timestamp;
use citywatch_rules::RuleSet;
use citywatch_rules::correlation::{
    Alias, Bound, Correlation, CorrelationKind, Generate, Order, RuleExpr,
};
use citywatch_rules::rule::{CompareOp, Number};
use proptest::prelude::*;

use super::arrivals::{Arrival, by_correlator, by_reference};
use super::generate;
use super::sign_ins::{TIMESPAN_S, generate_correlation, of_correlation, of_rule};

pub(crate) fn bound() -> impl Strategy<Value = Bound> {
    use CompareOp::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let ops = [
        GreaterOrEqual,
        GreaterOrEqual,
        Greater,
        Less,
        LessOrEqual,
        Equal,
        NotEqual,
    ];
    (0..7usize, 0i128..5).prop_map(move |(op, number)| Bound {
        op: ops[op],
        number: Number::Int(number),
    })
}

fn words() -> impl Strategy<Value = RuleExpr> {
    (0usize..3)
        .prop_map(RuleExpr::Rule)
        .prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..3).prop_map(RuleExpr::And),
                prop::collection::vec(inner.clone(), 1..3).prop_map(RuleExpr::Or),
                inner.prop_map(|inner| RuleExpr::Not(Box::new(inner))),
            ]
        })
}

fn kind() -> impl Strategy<Value = CorrelationKind> {
    let condition = || prop::collection::vec(bound(), 1..3);
    prop_oneof![
        3 => condition().prop_map(|condition| CorrelationKind::EventCount { condition }),
        3 => condition().prop_map(|condition| CorrelationKind::ValueCount { fields: vec!["v".into()], condition }),
        2 => condition().prop_map(|condition| CorrelationKind::Temporal { condition }),
        3 => condition().prop_map(|condition| CorrelationKind::TemporalOrdered { condition }),
        2 => (words(), any::<bool>()).prop_map(|(condition, ordered)| CorrelationKind::TemporalExtended {
            condition,
            text: "".into(),
            order: if ordered { Order::AsWritten } else { Order::Any },
        }),
        1 => condition().prop_map(|condition| CorrelationKind::ValueSum { field: "v".into(), condition }),
        1 => condition().prop_map(|condition| CorrelationKind::ValueAvg { field: "v".into(), condition }),
        1 => (condition(), prop::option::of(1i128..=100)).prop_map(|(condition, percentile)| {
            let percentile = percentile.map(|percentile| percentile * 1_000_000);
            CorrelationKind::ValuePercentile { field: "v".into(), percentile, condition }
        }),
    ]
}

/// A correlation of rules 0 to 2, and perhaps of the correlation before it.
fn correlation(index: usize) -> impl Strategy<Value = Arc<Correlation>> {
    // Correlations that gather the same share it, whatever their timespans.
    let timespan_s = prop::sample::select(&[TIMESPAN_S, 5 * TIMESPAN_S / 2][..]);
    (
        kind(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        timespan_s,
    )
        .prop_map(move |(kind, grouped, aliased, chained, timespan_s)| {
            let reference = |place: usize| match (chained && place == 2, index.checked_sub(1)) {
                (true, Some(before)) => of_correlation(before),
                _ => of_rule(place),
            };
            let alias = Alias {
                name: "g".into(),
                fields: vec![(0, "g".into()), (1, "v".into()), (2, "g".into())],
            };
            Arc::new(Correlation {
                meta: generate::meta(&format!("correlation {index}")),
                kind,
                rules: (0..3).map(reference).collect(),
                group_by: if grouped { vec!["g".into()] } else { vec![] },
                timespan_us: timespan_s * 1_000_000,
                aliases: if aliased { vec![alias] } else { vec![] },
                generate: Generate::No,
            })
        })
}

/// Matches within ten minutes, each at most four minutes late.
fn arrivals_of(values: &'static [&'static str]) -> impl Strategy<Value = Vec<Arrival>> {
    let value =
        || prop::option::weighted(0.9, prop::sample::select(values).prop_map(str::to_owned));
    let one = (
        0usize..3,
        0u128..12,
        0i64..600,
        0i64..240,
        value(),
        value(),
        any::<bool>(),
    );
    prop::collection::vec(one, 0..24).prop_map(|listed| {
        let mut arrivals: Vec<(i64, Arrival)> = Vec::new();
        for (rule, event, time_s, late_s, g, v, first) in listed {
            // An event has one time, one stream and one set of fields, whichever rules match it.
            let known = arrivals
                .iter()
                .find(|known| known.1.event == event)
                .map(|known| known.1.clone());
            let arrival = match known {
                Some(known) => Arrival { rule, ..known },
                None => Arrival {
                    rule,
                    event,
                    time: Timestamp::from_seconds(time_s + 1_767_225_600),
                    stream: if first { "s" } else { "t" },
                    fields: vec![("g".to_owned(), g), ("v".to_owned(), v)],
                },
            };
            arrivals.push((arrival.time.as_seconds() + late_s, arrival));
        }
        arrivals.sort_by_key(|(arrives_s, _)| *arrives_s);
        arrivals.into_iter().map(|(_, arrival)| arrival).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn settled_alerts_do_not_depend_on_the_order_of_arrival(
        first in correlation(0),
        second in correlation(1),
        third in correlation(2),
        arrivals in arrivals_of(&["1", "2", "2.5", "-1", "x"]),
        drain_every in prop::sample::select(&[1, 2, 4, 1_000][..]),
        adopt_every in prop::sample::select(&[3, 7, 1_000][..]),
    ) {
        let set = RuleSet { correlations: vec![first, second, third], ..RuleSet::default() };
        prop_assert_eq!(by_correlator(&set, &arrivals, drain_every, adopt_every), by_reference(&set, &arrivals));
    }

    /// Each correlation reads a rule and the correlation before it, so that most matches are first alone in theirs.
    #[test]
    fn settled_alerts_of_chains_do_not_depend_on_the_order_of_arrival(
        lowest in (bound(), any::<bool>()),
        chained in prop::collection::vec((any::<bool>(), any::<bool>()), 1..4),
        arrivals in arrivals_of(&["1", "2"]),
        drain_every in prop::sample::select(&[1, 4, 1_000][..]),
        adopt_every in prop::sample::select(&[5, 1_000][..]),
    ) {
        let base = || Correlation { group_by: vec!["g".into()], ..generate_correlation() };
        let (condition, is_long) = lowest;
        let mut correlations = vec![Correlation {
            kind: CorrelationKind::EventCount { condition: vec![condition] },
            ..base()
        }];
        for (is_ordered, is_aliased) in chained {
            let condition = vec![Bound { op: CompareOp::GreaterOrEqual, number: Number::Int(2) }];
            let before = correlations.len() - 1;
            let alias = Alias { name: "g".into(), fields: vec![(0, "g".into()), (1, "v".into())] };
            correlations.push(Correlation {
                meta: generate::meta(&format!("chained {before}")),
                kind: match is_ordered {
                    true => CorrelationKind::TemporalOrdered { condition },
                    false => CorrelationKind::Temporal { condition },
                },
                rules: vec![of_correlation(before), of_rule((before + 1) % 3)],
                aliases: if is_aliased { vec![alias] } else { vec![] },
                timespan_us: base().timespan_us * if is_long { 3 } else { 1 },
                ..base()
            });
        }
        let set = RuleSet {
            correlations: correlations.into_iter().map(Arc::new).collect(),
            ..RuleSet::default()
        };
        prop_assert_eq!(by_correlator(&set, &arrivals, drain_every, adopt_every), by_reference(&set, &arrivals));
    }
}
