//! Copies events and names entities into an incident, within its bounds.

use std::collections::{BTreeSet, HashSet};

use citywatch_engine::{EventSnapshot, Evidence, Match};
use serde_json::json;
use sqlx::AssertSqlSafe;

use super::draft::Grown;
use super::entities::EntityKind;
use crate::config::IncidentsConfig;
use crate::database::{Write, storable};
use crate::incidents::IncidentRow;

/// Events that one statement asks for. Few sizes, so that each connection prepares few statements.
const ASKED: [usize; 3] = [128, 16, 1];

/// Entities that are noted of one alert.
const ALERT_ENTITIES_MAX: usize = 32;

/// What copying evidence came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Copied {
    /// Events added to the copies.
    pub(crate) added: i64,
    /// Events that the incident has more now. One that several alerts hold is one as far as it is among the copies;
    /// of those beyond the bound nobody remembers which they were.
    pub(crate) events: i64,
}

/// Copies the evidence of `matches`, up to the bound.
pub(crate) async fn copy(
    write: &mut Write,
    incident: &IncidentRow,
    matches: &[Grown<'_>],
    config: &IncidentsConfig,
) -> Result<Copied, sqlx::Error> {
    let room = i64::from(config.evidence_events_max) - incident.evidence_count;
    let mut copied = Copied::default();
    // A flood that one rule matches: each match is an event of its own, and none is copied any more.
    if room <= 0
        && incident.has_one_plain_rule()
        && matches
            .iter()
            .all(|grown| grown.found.rule.id == incident.rule_id)
    {
        copied.events = matches.iter().map(|grown| grown.events).sum();
        return Ok(copied);
    }
    let mut kept = if incident.evidence_count == 0 {
        HashSet::new()
    } else {
        let found = matches.iter().map(|grown| grown.found);
        kept_events(write, &incident.id, &ids_of(found)).await?
    };
    for &Grown { found, events } in matches {
        let mut known = 0;
        for evidence in &found.evidence {
            let id = evidence.event.id.to_string();
            if kept.contains(&id) {
                known += 1;
            } else if copied.added < room {
                copied.added += insert_event(write, &incident.id, &evidence.event).await?;
                kept.insert(id);
            } else {
                continue;
            }
            note_rule(write, &incident.id, &found.rule.id, evidence).await?;
        }
        let all = i64::try_from(found.event_count).unwrap_or(i64::MAX);
        copied.events += events.min((all - known).max(0));
    }
    Ok(copied)
}

/// The events that these matches show, by id.
pub(crate) fn ids_of<'a>(matches: impl Iterator<Item = &'a Match>) -> Vec<String> {
    let shown = matches.flat_map(|found| &found.evidence);
    let ids: BTreeSet<String> = shown
        .map(|evidence| evidence.event.id.to_string())
        .collect();
    ids.into_iter().collect()
}

/// Which of these events an incident keeps copies of.
pub(crate) async fn kept_events(
    write: &mut Write,
    incident_id: &str,
    ids: &[String],
) -> Result<HashSet<String>, sqlx::Error> {
    let mut kept = HashSet::new();
    let mut rest = ids;
    while !rest.is_empty() {
        let size = ASKED
            .into_iter()
            .find(|size| *size <= rest.len())
            .unwrap_or(1);
        let (chunk, others) = rest.split_at(size);
        rest = others;
        let places: Vec<String> = (0..size).map(|place| format!("${}", place + 2)).collect();
        let sql = format!(
            "SELECT event_id FROM incident_events WHERE incident_id = $1 AND event_id IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query_scalar(AssertSqlSafe(sql)).bind(incident_id);
        for id in chunk {
            query = query.bind(id.as_str());
        }
        let found: Vec<String> = query.fetch_all(&mut **write).await?;
        kept.extend(found);
    }
    Ok(kept)
}

async fn insert_event(
    write: &mut Write,
    incident_id: &str,
    event: &EventSnapshot,
) -> Result<i64, sqlx::Error> {
    let fields: Vec<_> = event
        .fields
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value.to_json() }))
        .collect();
    let result = sqlx::query(
        "INSERT INTO incident_events (incident_id, event_id, event_time, received_at, unit, host, \
         format, agent, stream, position, fields, raw) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
    )
    .bind(incident_id)
    .bind(event.id.to_string())
    .bind(event.event_time.as_micros())
    .bind(event.received_at.as_micros())
    .bind(storable(event.unit.as_str()).as_ref())
    .bind(storable(&event.host).as_ref())
    .bind(event.format.as_str())
    .bind(storable(event.record.agent.as_str()).as_ref())
    .bind(storable(event.record.stream.as_str()).as_ref())
    // Positions are unsigned and may exceed BIGINT.
    .bind(event.record.position.to_string())
    .bind(json!(fields).to_string())
    .bind(storable(&event.raw).as_ref())
    .execute(&mut **write)
    .await?;
    Ok(i64::try_from(result.rows_affected()).unwrap_or(0))
}

/// Notes which fields made the rule match, if the event is among the copies.
async fn note_rule(
    write: &mut Write,
    incident_id: &str,
    rule_id: &str,
    evidence: &Evidence,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO incident_event_rules (incident_id, event_id, rule_id, matched) \
         SELECT $1, $2, $3, $4 WHERE EXISTS \
         (SELECT 1 FROM incident_events WHERE incident_id = $1 AND event_id = $2) \
         ON CONFLICT DO NOTHING",
    )
    .bind(incident_id)
    .bind(evidence.event.id.to_string())
    .bind(storable(rule_id).as_ref())
    .bind(json!(evidence.matched).to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Names entities in an incident that names `present`, up to the bound; returns how many were added.
pub(crate) async fn name_entities(
    write: &mut Write,
    incident_id: &str,
    present: i64,
    entities: &BTreeSet<(EntityKind, String)>,
    config: &IncidentsConfig,
) -> Result<i64, sqlx::Error> {
    let room = usize::try_from(i64::from(config.entities_max) - present).unwrap_or(0);
    let found: Vec<_> = entities.iter().take(room).collect();
    let mut added = 0;
    // At most so many rows at once, so that each connection prepares few statements.
    for chunk in found.chunks(8) {
        let rows: Vec<String> = (0..chunk.len())
            .map(|row| format!("($1, ${}, ${})", row * 2 + 2, row * 2 + 3))
            .collect();
        let sql = format!(
            "INSERT INTO incident_entities (incident_id, kind, value) VALUES {} ON CONFLICT DO NOTHING",
            rows.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(incident_id);
        for (kind, value) in chunk {
            query = query.bind(kind.name()).bind(value.as_str());
        }
        added += query.execute(&mut **write).await?.rows_affected();
    }
    Ok(i64::try_from(added).unwrap_or(0))
}

/// Notes whom and what a new alert is about.
pub(crate) async fn note_entities(
    write: &mut Write,
    alert_id: &str,
    latest: &Match,
    at: i64,
    entities: &BTreeSet<(EntityKind, String)>,
) -> Result<(), sqlx::Error> {
    let found: Vec<_> = entities.iter().take(ALERT_ENTITIES_MAX).collect();
    for chunk in found.chunks(8) {
        let rows: Vec<String> = (0..chunk.len())
            .map(|row| format!("(${}, ${}, $1, $2, $3, $4)", row * 2 + 5, row * 2 + 6))
            .collect();
        let sql = format!(
            "INSERT INTO alert_entities (kind, value, unit, at, alert_id, host) VALUES {} \
             ON CONFLICT DO NOTHING",
            rows.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql))
            .bind(storable(latest.unit.as_str()).into_owned())
            .bind(at)
            .bind(alert_id)
            .bind(storable(&latest.host).into_owned());
        for (kind, value) in chunk {
            query = query.bind(kind.name()).bind(value.as_str());
        }
        query.execute(&mut **write).await?;
    }
    Ok(())
}
