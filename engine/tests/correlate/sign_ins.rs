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
        rules: vec![of_rule(0)],
        group_by: vec![],
        timespan_us: TIMESPAN_S * 1_000_000,
        aliases: vec![],
        generate: Generate::No,
    }
}

/// A correlation's reference to a rule.
pub(crate) fn of_rule(index: usize) -> RuleRef {
    reference(RuleTarget::Rule {
        index,
        id: RuleId("".into()),
    })
}

/// A correlation's reference to another.
pub(crate) fn of_correlation(index: usize) -> RuleRef {
    reference(RuleTarget::Correlation {
        index,
        id: RuleId("".into()),
    })
}

fn reference(target: RuleTarget) -> RuleRef {
    RuleRef {
        written: "".into(),
        target,
        position: Position::default(),
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
    observe_of(correlator, 0, arrival)
}

/// The match of another rule.
pub(crate) fn observe_of(correlator: &mut Correlator, rule: u32, arrival: &Arrival) -> Vec<Match> {
    correlator.observe(CorrelationInput {
        rule: RuleIndex(rule),
        event: &arrival.snapshot(),
        matched: &Arc::from([]),
    });
    let mut told = Vec::new();
    correlator.drain(&mut told);
    told
}
