//! The correlator against the reference: the same alerts with the same events, in any order of arrival
//! within the lateness bound.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "detect/generate.rs"]
#[allow(dead_code)]
mod generate;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use citywatch_engine::detect::{CorrelationInput, CorrelationLimits, Correlator, RuleIndex};
use citywatch_engine::{EventId, EventSnapshot, Match, MatchId};
use citywatch_parsers::{RecordId, Timestamp, UnitId};
use citywatch_rules::correlation::{
    Alias, Bound, Correlation, CorrelationKind, Generate, Order, RuleExpr, RuleRef, RuleTarget,
};
use citywatch_rules::reference::{self, RuleMatch};
use citywatch_rules::rule::{CompareOp, Number, Position};
use citywatch_rules::vectors::{self, Expect};
use citywatch_rules::{RuleId, RuleSet};
use proptest::prelude::*;

/// A match as it arrives.
#[derive(Clone, Debug)]
struct Arrival {
    rule: usize,
    event: u128,
    time: Timestamp,
    stream: &'static str,
    fields: Vec<(String, Option<String>)>,
}

impl Arrival {
    fn snapshot(&self) -> Arc<EventSnapshot> {
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        Arc::new(EventSnapshot {
            id: EventId(self.event),
            record: RecordId {
                agent: "a".into(),
                stream: self.stream.into(),
                position: 0,
            },
            unit: UnitId::from("unit"),
            event_time: self.time,
            received_at: self.time,
            host: "host".into(),
            format: "json".into(),
            fields,
            raw: String::new(),
        })
    }
}

/// An alert with its events; those of the correlator beyond its bound of evidence are only counted.
type Alerts = BTreeMap<MatchId, BTreeSet<u128>>;

fn by_reference(set: &RuleSet, arrivals: &[Arrival]) -> Alerts {
    let matches: Vec<RuleMatch> = arrivals
        .iter()
        .map(|arrival| RuleMatch {
            rule: arrival.rule,
            event: arrival.event,
            time: arrival.time,
            fields: arrival.fields.clone(),
        })
        .collect();
    let settled = reference::correlate(set, &matches)
        .into_iter()
        .map(|alert| {
            let correlation = &set.correlations[alert.correlation];
            let id = MatchId::of_group(
                correlation.meta.id.as_str(),
                &alert.group,
                alert.window_start,
            );
            (id, alert.events.into_iter().collect())
        });
    settled.collect()
}

/// Alerts of the correlator, drained after so many matches. The rules are loaded anew after so many others: what
/// stays the same goes on.
fn by_correlator(
    set: &RuleSet,
    arrivals: &[Arrival],
    drain_every: usize,
    adopt_every: usize,
) -> Alerts {
    let mut correlator = Correlator::new(
        &set.correlations,
        set.rules.len().max(4),
        CorrelationLimits::default(),
    );
    let mut told: Vec<Match> = Vec::new();
    for (number, arrival) in arrivals.iter().enumerate() {
        let rule = RuleIndex(u32::try_from(arrival.rule).unwrap());
        correlator.observe(CorrelationInput {
            rule,
            event: &arrival.snapshot(),
            matched: &Arc::from([]),
        });
        if number % drain_every == 0 {
            correlator.drain(&mut told);
        }
        if number % adopt_every == adopt_every - 1 {
            let mut next = Correlator::new(
                &set.correlations,
                set.rules.len().max(4),
                CorrelationLimits::default(),
            );
            next.adopt(correlator);
            correlator = next;
        }
    }
    for stream in ["s", "t"] {
        correlator.advance(&"a".into(), &stream.into(), Timestamp(i64::MAX / 4));
    }
    correlator.drain(&mut told);
    let status = correlator.status();
    assert_eq!(
        (status.entries, status.groups, status.evidence_events),
        (0, 0, 0),
        "all windows are over"
    );
    let mut alerts = Alerts::new();
    for found in told {
        let events: BTreeSet<u128> = found
            .evidence
            .iter()
            .map(|evidence| evidence.event.id.0)
            .collect();
        assert_eq!(
            events.len() as u64,
            found.event_count.min(100),
            "all events are shown as long as they are few"
        );
        // What is told later of the same alert is what counts.
        alerts.insert(found.id, events);
    }
    alerts
}

#[test]
fn specification_vectors_hold_for_the_correlator() {
    let mut run = 0;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/testdata/correlations");
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for vector in vectors::read(&file.display().to_string(), &text).unwrap() {
            let Expect::Alerts(expected) = &vector.expect else {
                continue;
            };
            let set = RuleSet::load([vector.source.clone()], &vector.options);
            let mut arrivals = Vec::new();
            for (place, event) in (1u128..).zip(&vector.events) {
                event.with(|parsed| {
                    for (rule, _) in set
                        .rules
                        .iter()
                        .enumerate()
                        .filter(|(_, rule)| reference::matches(rule, parsed).is_some())
                    {
                        let fields = parsed.fields.iter().map(|field| {
                            let text = field.value.to_string();
                            (
                                field.name.to_owned(),
                                (field.value != citywatch_parsers::Value::Null).then_some(text),
                            )
                        });
                        arrivals.push(Arrival {
                            rule,
                            event: place,
                            time: event.time,
                            stream: "s",
                            fields: fields.collect(),
                        });
                    }
                });
            }
            arrivals.sort_by_key(|arrival| arrival.time);
            let found = by_correlator(&set, &arrivals, 1, 3);
            assert_eq!(
                found,
                by_reference(&set, &arrivals),
                "{}: {}",
                file.display(),
                vector.name
            );
            assert_eq!(
                found.len(),
                expected.len(),
                "{}: {}",
                file.display(),
                vector.name
            );
            run += 1;
        }
    }
    assert!(run > 20, "only {run} vectors");
}

const TIMESPAN_S: i64 = 60;

fn bound() -> impl Strategy<Value = Bound> {
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
    (kind(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        move |(kind, grouped, aliased, chained)| {
            let target = |place: usize| match (chained && place == 2, index.checked_sub(1)) {
                (true, Some(before)) => RuleTarget::Correlation {
                    index: before,
                    id: RuleId("".into()),
                },
                _ => RuleTarget::Rule {
                    index: place,
                    id: RuleId("".into()),
                },
            };
            let reference = |place: usize| RuleRef {
                written: "".into(),
                target: target(place),
                position: Position::default(),
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
                timespan_us: TIMESPAN_S * 1_000_000,
                aliases: if aliased { vec![alias] } else { vec![] },
                generate: Generate::No,
            })
        },
    )
}

/// Matches within ten minutes, each at most four minutes late.
fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let value = || {
        prop::option::weighted(
            0.9,
            prop::sample::select(&["1", "2", "2.5", "-1", "x"][..]).prop_map(str::to_owned),
        )
    };
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
        arrivals in arrivals(),
        drain_every in 1usize..5,
        adopt_every in prop::sample::select(&[3, 7, 1_000][..]),
    ) {
        let set = RuleSet { correlations: vec![first, second], ..RuleSet::default() };
        prop_assert_eq!(by_correlator(&set, &arrivals, drain_every, adopt_every), by_reference(&set, &arrivals));
    }
}

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
        let mut second = below.rules[0].clone();
        second.target = RuleTarget::Rule { index: 1, id: RuleId("".into()) };
        below.rules.push(second.clone());
        let mut chained = below.rules[0].clone();
        chained.target = RuleTarget::Correlation { index: 0, id: RuleId("".into()) };
        let alias = Alias {
            name: "v".into(),
            fields: vec![(0, "v".into()), (1, "v".into()), (2, "w".into())],
        };
        let above = Correlation {
            meta: generate::meta("above"),
            kind: above,
            rules: vec![chained, below.rules[0].clone(), second],
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

/// Failed sign-ins by user, and an alert for three within a minute.
fn three_in_a_minute() -> RuleSet {
    let mut correlation = generate_correlation();
    correlation.group_by = vec!["g".into()];
    RuleSet {
        correlations: vec![Arc::new(correlation)],
        ..RuleSet::default()
    }
}

fn generate_correlation() -> Correlation {
    Correlation {
        meta: generate::meta("three in a minute"),
        kind: CorrelationKind::EventCount {
            condition: vec![Bound {
                op: CompareOp::GreaterOrEqual,
                number: Number::Int(3),
            }],
        },
        rules: vec![RuleRef {
            written: "".into(),
            target: RuleTarget::Rule {
                index: 0,
                id: RuleId("".into()),
            },
            position: Position::default(),
        }],
        group_by: vec![],
        timespan_us: TIMESPAN_S * 1_000_000,
        aliases: vec![],
        generate: Generate::No,
    }
}

fn sign_in(event: u128, second: i64, stream: &'static str) -> Arrival {
    Arrival {
        rule: 0,
        event,
        time: Timestamp::from_seconds(1_767_225_600 + second),
        stream,
        fields: vec![("g".to_owned(), Some("lan".to_owned()))],
    }
}

fn observe(correlator: &mut Correlator, arrival: &Arrival) -> Vec<Match> {
    correlator.observe(CorrelationInput {
        rule: RuleIndex(0),
        event: &arrival.snapshot(),
        matched: &Arc::from([]),
    });
    let mut told = Vec::new();
    correlator.drain(&mut told);
    told
}

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
    above.rules[0].target = RuleTarget::Rule {
        index: 1,
        id: RuleId("".into()),
    };
    let mut reference = above.rules[0].clone();
    reference.target = RuleTarget::Correlation {
        index: 0,
        id: RuleId("".into()),
    };
    above.rules.push(reference);
    let correlations = [Arc::new(below), Arc::new(above)];
    let mut correlator = Correlator::new(&correlations, 2, CorrelationLimits::default());
    let mut told = Vec::new();
    let mut take = |correlator: &mut Correlator, rule: u32, arrival: &Arrival| {
        correlator.observe(CorrelationInput {
            rule: RuleIndex(rule),
            event: &arrival.snapshot(),
            matched: &Arc::from([]),
        });
        correlator.drain(&mut told);
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

/// Looks at what takes long if the work for a window grows with its matches, and fails instead of hanging.
fn correlates_in_time(kind: CorrelationKind, rules: usize, matches: i64) {
    let mut correlation = generate_correlation();
    correlation.kind = kind;
    let reference = |place: usize| RuleRef {
        target: RuleTarget::Rule {
            index: place,
            id: RuleId("".into()),
        },
        ..generate_correlation().rules[0].clone()
    };
    correlation.rules = (0..rules).map(reference).collect();
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
