//! Two incidents become one.

use super::{IncidentRow, Stamp, State, common_unit, joined_tags, move_to, note};
use crate::config::IncidentsConfig;
use crate::database::Write;

/// Moves all that `from` holds into `into`. `from` stays as a closed shell that names where it went, so
/// that a link to it still leads somewhere.
pub(crate) async fn merge(
    write: &mut Write,
    into: &IncidentRow,
    from: &IncidentRow,
    stamp: Stamp<'_>,
    config: &IncidentsConfig,
) -> Result<(), sqlx::Error> {
    // What both hold is one event.
    let shared: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM incident_events AS theirs JOIN incident_events AS ours \
         ON ours.event_id = theirs.event_id AND ours.incident_id = $1 WHERE theirs.incident_id = $2",
    )
    .bind(into.id.as_str())
    .bind(from.id.as_str())
    .fetch_one(&mut **write)
    .await?;
    // Rows of these tables name their incident and something else; where both incidents have that, the
    // row of `into` stands.
    sqlx::query(
        "INSERT INTO incident_events (incident_id, event_id, event_time, received_at, unit, host, \
         format, agent, stream, position, fields, raw) SELECT $1, event_id, event_time, received_at, \
         unit, host, format, agent, stream, position, fields, raw FROM incident_events \
         WHERE incident_id = $2 ORDER BY event_time, event_id LIMIT $3 ON CONFLICT DO NOTHING",
    )
    .bind(into.id.as_str())
    .bind(from.id.as_str())
    .bind((i64::from(config.evidence_events_max) - into.evidence_count).max(0))
    .execute(&mut **write)
    .await?;
    for statement in [
        "INSERT INTO incident_event_rules (incident_id, event_id, rule_id, matched) \
         SELECT $1, event_id, rule_id, matched FROM incident_event_rules WHERE incident_id = $2 \
         AND event_id IN (SELECT event_id FROM incident_events WHERE incident_id = $1) \
         ON CONFLICT DO NOTHING",
        "INSERT INTO incident_entities (incident_id, kind, value) \
         SELECT $1, kind, value FROM incident_entities WHERE incident_id = $2 ON CONFLICT DO NOTHING",
        "INSERT INTO incident_reports (incident_id, clock, reported_at, who, reference) \
         SELECT $1, clock, reported_at, who, reference FROM incident_reports WHERE incident_id = $2 \
         ON CONFLICT DO NOTHING",
        "UPDATE alerts SET incident_id = $1 WHERE incident_id = $2",
        "UPDATE incidents SET merged_into = $1 WHERE merged_into = $2",
    ] {
        sqlx::query(statement)
            .bind(into.id.as_str())
            .bind(from.id.as_str())
            .execute(&mut **write)
            .await?;
    }
    for statement in [
        "DELETE FROM incident_event_rules WHERE incident_id = $1",
        "DELETE FROM incident_events WHERE incident_id = $1",
        "DELETE FROM incident_entities WHERE incident_id = $1",
    ] {
        sqlx::query(statement)
            .bind(from.id.as_str())
            .execute(&mut **write)
            .await?;
    }
    update_totals(write, into, from, shared, stamp).await?;
    let unit = common_unit(write, &[&into.unit, &from.unit]).await?;
    if unit != into.unit {
        move_to(write, &into.id, (&into.unit, &unit), stamp).await?;
    }
    note(
        write,
        &into.id,
        stamp,
        "merged",
        &format!("took in incident {}", from.number),
        &[("took_in", &from.number.to_string())],
    )
    .await?;
    note(
        write,
        &from.id,
        stamp,
        "merged",
        &format!("merged into incident {}", into.number),
        &[("merged_into", &into.number.to_string())],
    )
    .await
}

async fn update_totals(
    write: &mut Write,
    into: &IncidentRow,
    from: &IncidentRow,
    shared_events: i64,
    stamp: Stamp<'_>,
) -> Result<(), sqlx::Error> {
    // What somebody has begun on the younger one goes on in the older one.
    let keeps = into.state != State::New.name();
    let state = if keeps { &into.state } else { &from.state };
    let assignee = into.assignee.as_ref().or(from.assignee.as_ref());
    let acknowledged_at = into.acknowledged_at.or(from.acknowledged_at);
    // It is called after the more severe of the two.
    let (named, other) = if from.severity > into.severity {
        (from, into)
    } else {
        (into, from)
    };
    sqlx::query(
        "UPDATE incidents SET alert_count = (SELECT COUNT(*) FROM alerts WHERE incident_id = $1), \
         event_count = event_count + $2, \
         evidence_count = (SELECT COUNT(*) FROM incident_events WHERE incident_id = $1), \
         entity_count = (SELECT COUNT(*) FROM incident_entities WHERE incident_id = $1), \
         rule_count = (SELECT COUNT(DISTINCT rule_id) FROM alerts WHERE incident_id = $1), \
         tactics = tactics | $11, severity = $3, title = $12, title_vi = $13, \
         rule_id = $14, rule_hash = $15, rule_title = $16, rule_title_vi = $17, rule_level = $18, \
         rule_correlation = $19, tags = $20, \
         first_event_at = CASE WHEN first_event_at > $4 THEN $4 ELSE first_event_at END, \
         last_event_at = CASE WHEN last_event_at < $5 THEN $5 ELSE last_event_at END, \
         state = $6, assignee = $7, acknowledged_at = $8, updated_at = $9, change_sequence = $10, \
         version = version + 1 WHERE id = $1",
    )
    .bind(into.id.as_str())
    .bind(from.event_count - shared_events)
    .bind(named.severity)
    .bind(from.first_event_at)
    .bind(from.last_event_at)
    .bind(state.as_str())
    .bind(assignee.map(String::as_str))
    .bind(acknowledged_at)
    .bind(stamp.at.as_micros())
    .bind(stamp.change)
    .bind(from.tactics)
    .bind(named.title.as_str())
    .bind(named.title_vi.as_str())
    .bind(named.rule_id.as_str())
    .bind(named.rule_hash.as_str())
    .bind(named.rule_title.as_str())
    .bind(named.rule_title_vi.as_str())
    .bind(named.rule_level.as_str())
    .bind(named.rule_correlation)
    .bind(joined_tags(&named.tags, &other.tags))
    .execute(&mut **write)
    .await?;
    super::rescore(write, &into.id).await?;
    sqlx::query(
        "UPDATE incidents SET state = $2, merged_into = $3, alert_count = 0, event_count = 0, \
         evidence_count = 0, entity_count = 0, closed_at = $4, updated_at = $4, change_sequence = $5, \
         version = version + 1 WHERE id = $1",
    )
    .bind(from.id.as_str())
    .bind(State::Closed.name())
    .bind(into.id.as_str())
    .bind(stamp.at.as_micros())
    .bind(stamp.change)
    .execute(&mut **write)
    .await?;
    Ok(())
}
