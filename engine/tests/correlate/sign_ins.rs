//! Failed sign-ins, and a correlation that reads them.

use std::sync::Arc;

use citywatch_engine::Match;
use citywatch_engine::detect::{CorrelationInput, Correlator, RuleIndex};
use citywatch_parsers::Timestamp;
use citywatch_rules::correlation::{
    Bound, Correlation, CorrelationKind, Generate, RuleRef, RuleTarget,
};
use citywatch_rules::rule::{CompareOp, Number, Position};
use citywatch_rules::{RuleId, RuleSet};

use super::arrivals::Arrival;
use super::generate;

/// The timespan of correlations, in seconds.
pub(crate) const TIMESPAN_S: i64 = 60;

/// Failed sign-ins by user, and an alert for three within a minute.
pub(crate) fn three_in_a_minute() -> RuleSet {
    let mut correlation = generate_correlation();
    correlation.group_by = vec!["g".into()];
    RuleSet {
        correlations: vec![Arc::new(correlation)],
        ..RuleSet::default()
    }
}

pub(crate) fn generate_correlation() -> Correlation {
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

pub(crate) fn sign_in(event: u128, second: i64, stream: &'static str) -> Arrival {
    Arrival {
        rule: 0,
        event,
        time: Timestamp::from_seconds(1_767_225_600 + second),
        stream,
        fields: vec![("g".to_owned(), Some("lan".to_owned()))],
    }
}

pub(crate) fn observe(correlator: &mut Correlator, arrival: &Arrival) -> Vec<Match> {
    correlator.observe(CorrelationInput {
        rule: RuleIndex(0),
        event: &arrival.snapshot(),
        matched: &Arc::from([]),
    });
    let mut told = Vec::new();
    correlator.drain(&mut told);
    told
}
