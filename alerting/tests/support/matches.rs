//! Matches as the engine makes them.

use std::sync::Arc;

use citywatch_engine::{
    EventId, EventSnapshot, Evidence, Match, MatchDelivery, MatchId, MatchedField, RuleInfo,
};
use citywatch_parsers::{LogSource, RecordId, Timestamp};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

/// A rule of that id and level.
pub fn rule(id: &str, level: &str) -> Arc<RuleInfo> {
    Arc::new(RuleInfo {
        id: id.to_owned(),
        title: format!("Rule {id}"),
        level: level.to_owned(),
        description: format!("What {id} means"),
        tags: vec!["attack.t1110".to_owned()],
        log_source: LogSource::default(),
        text: format!("title: Rule {id}\nlevel: {level}\n"),
        content_hash: format!("{:0>64}", id.len()),
        correlation: false,
    })
}

fn event(host: &str, event_time: Timestamp, position: u64) -> Arc<EventSnapshot> {
    Arc::new(EventSnapshot {
        id: EventId::of("agent", host, position, 0),
        record: RecordId {
            agent: "agent".into(),
            stream: host.into(),
            position,
        },
        unit: "unit-1".into(),
        event_time,
        received_at: Timestamp(event_time.0 + 1_000),
        host: host.into(),
        format: "syslog".into(),
        fields: [
            ("user".to_owned(), json!("root")),
            ("src_ip".to_owned(), json!("203.0.113.7")),
            ("pid".to_owned(), json!(4711)),
        ]
        .into_iter()
        .collect(),
        raw: format!("Failed password for root from 203.0.113.7 port {position}"),
    })
}

/// The same match, its event of that unit with these fields in place of its own.
pub fn with_fields(mut found: Match, unit: &str, fields: &[(&str, &str)]) -> Match {
    let evidence = &mut found.evidence[0];
    let mut event = EventSnapshot::clone(&evidence.event);
    event.unit = unit.into();
    event.fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!(value)))
        .collect();
    evidence.event = Arc::new(event);
    found.unit = unit.into();
    found
}

/// A match of `rule` on event number `position` of a host.
pub fn found(rule: &Arc<RuleInfo>, host: &str, event_time: Timestamp, position: u64) -> Match {
    let event = event(host, event_time, position);
    Match {
        id: MatchId::of_event(&rule.id, event.id),
        rule: rule.clone(),
        unit: event.unit.clone(),
        host: host.into(),
        event_time,
        group: Vec::new(),
        window: None,
        evidence: vec![Evidence {
            event,
            matched: Arc::from([MatchedField {
                name: "user".into(),
                value: "root".into(),
            }]),
        }],
        event_count: 1,
    }
}

/// A correlation's match for a source address: so many events, one a second, of a window of five minutes.
pub fn correlation(rule: &Arc<RuleInfo>, source: &str, start: Timestamp, events: u64) -> Match {
    let mut rule = RuleInfo::clone(rule);
    rule.correlation = true;
    let group = vec![("src_ip".to_owned(), source.to_owned())];
    let time = |number: u64| Timestamp(start.0 + i64::try_from(number).unwrap() * 1_000_000);
    let evidence = (0..events)
        .map(|number| Evidence {
            event: event("gate", time(number), number),
            matched: Arc::from([]),
        })
        .collect();
    Match {
        id: MatchId::of_group(&rule.id, &group, start),
        rule: Arc::new(rule),
        unit: "unit-1".into(),
        host: "gate".into(),
        event_time: time(events - 1),
        group,
        window: Some((start, Timestamp(start.0 + 300_000_000))),
        evidence,
        event_count: events,
    }
}

/// A delivery and the receiver of its answer.
pub fn delivery(matches: Vec<Match>) -> (MatchDelivery, oneshot::Receiver<()>) {
    let (done, answer) = oneshot::channel();
    (MatchDelivery { matches, done }, answer)
}

/// Delivers matches and waits until they are committed.
pub async fn send(intake: &mpsc::Sender<MatchDelivery>, matches: Vec<Match>) {
    let (delivery, answer) = delivery(matches);
    intake.send(delivery).await.unwrap();
    answer.await.unwrap();
}
