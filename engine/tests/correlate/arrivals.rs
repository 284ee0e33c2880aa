//! Matches as they arrive, and what the reference and the correlator make of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use citywatch_engine::detect::{CorrelationInput, CorrelationLimits, Correlator, RuleIndex};
use citywatch_engine::{EventId, EventSnapshot, Match, MatchId};
use citywatch_parsers::{RecordId, Timestamp, UnitId};
use citywatch_rules::RuleSet;
use citywatch_rules::reference::{self, RuleMatch};

/// A match as it arrives.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) rule: usize,
    pub(crate) event: u128,
    pub(crate) time: Timestamp,
    pub(crate) stream: &'static str,
    pub(crate) fields: Vec<(String, Option<String>)>,
}

impl Arrival {
    pub(crate) fn snapshot(&self) -> Arc<EventSnapshot> {
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
pub(crate) type Alerts = BTreeMap<MatchId, BTreeSet<u128>>;

pub(crate) fn by_reference(set: &RuleSet, arrivals: &[Arrival]) -> Alerts {
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
pub(crate) fn by_correlator(
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
