//! Matches per second into one window with very many different values.

use std::sync::Arc;

use anyhow::{Result, bail};
use citywatch_engine::detect::{CorrelationInput, CorrelationLimits, Correlator, RuleIndex};
use citywatch_engine::{EventId, EventSnapshot};
use citywatch_parsers::{RecordId, Timestamp, UnitId};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};
use serde_json::{Value, json};

use super::Options;
use crate::process::{cpu_s, resident_mb};

/// More different users than there are: the window stays open, and all values are kept.
const RULES: &str = "title: Sign-in
id: 11111111-1111-4111-8111-111111111111
name: sign_in
logsource:
    category: authentication
detection:
    selection:
        action: login
    condition: selection
---
title: Many users on a host
id: 22222222-2222-4222-8222-222222222222
correlation:
    type: value_count
    rules:
        - sign_in
    group-by:
        - host
    timespan: 1h
    condition:
        field: user
        gte: 100000000
";

/// Matches per second into one window that keeps all values.
pub(super) fn measure(options: &Options) -> Result<Value> {
    let set = RuleSet::load(
        [RuleSource::new("correlation.yml", RULES)],
        &LoadOptions::default(),
    );
    if let Some(problem) = set.problems.first() {
        bail!("{problem}");
    }
    let events: Vec<Arc<EventSnapshot>> = (0..options.matches)
        .map(|number| Arc::new(event(number, options.values.max(1))))
        .collect();
    let nothing = Arc::from([]);
    let before_mb = resident_mb();
    let mut seconds = Vec::new();
    let mut refused = 0;
    let mut held_mb = 0;
    for _ in 0..options.runs.max(1) {
        let limits = CorrelationLimits::default();
        let mut correlator = Correlator::new(&set.correlations, set.rules.len(), limits);
        let mut told = Vec::new();
        let begin = cpu_s(libc::RUSAGE_SELF);
        for batch in events.chunks(1_000) {
            for event in batch {
                correlator.observe(CorrelationInput {
                    rule: RuleIndex(0),
                    event,
                    matched: &nothing,
                });
            }
            correlator.drain(&mut told);
        }
        seconds.push(cpu_s(libc::RUSAGE_SELF) - begin);
        refused = correlator.status().entries_refused;
        held_mb = resident_mb().saturating_sub(before_mb);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(json!({
        "matches": options.matches,
        "distinct_values": options.values,
        "refused": refused,
        "matches_per_s": (f64::from(options.matches) / seconds[seconds.len() / 2]).round(),
        "goal_matches_per_s": 500_000,
        "memory_mb": held_mb,
    }))
}

/// Events a millisecond apart, the values in an order that is far from sorted.
fn event(number: u32, values: u32) -> EventSnapshot {
    let value = u64::from(number) * 2_654_435_761 % u64::from(values);
    let time = Timestamp::from_seconds(1_795_316_400);
    let time = Timestamp(time.as_micros() + i64::from(number) * 1_000);
    EventSnapshot {
        id: EventId(u128::from(number)),
        record: RecordId {
            agent: "agent".into(),
            stream: "auth.log".into(),
            position: u64::from(number),
        },
        unit: UnitId::from("unit"),
        event_time: time,
        received_at: time,
        host: "gateway".into(),
        format: "json".into(),
        fields: [
            ("host".to_owned(), "gateway".into()),
            ("user".to_owned(), format!("user{value}").into()),
        ]
        .into_iter()
        .collect(),
        raw: String::new(),
    }
}
