//! The alert of a draft: found, made, or grown.

use std::collections::HashSet;

use citywatch_engine::Match;

use super::super::draft::{Draft, Grown, Growth};
use super::super::{evidence, keys};
use super::Commit;
use crate::database::storable;
use crate::severity::Severity;

/// Where the matches of a draft go.
pub(super) struct AlertPlace {
    /// The alert's id.
    pub(super) id: String,
    /// Its incident; none where the alert is yet to be made.
    pub(super) incident: Option<String>,
    /// Incidents of the alerts of the same window before it, with which somebody was done.
    pub(super) judged: Vec<String>,
}

impl Commit<'_> {
    /// The alert of a draft. What happened after somebody was done with its incident is no part of what they judged: it is
    /// another alert.
    pub(super) async fn alert_to_grow(
        &mut self,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
    ) -> Result<AlertPlace, sqlx::Error> {
        let (_, last) = growth.range();
        let mut place = AlertPlace {
            id: draft.alert_id.clone(),
            incident: None,
            judged: Vec::new(),
        };
        loop {
            let found: Option<(String, Option<i64>)> = sqlx::query_as(
                "SELECT alert.incident_id, CASE WHEN incident.merged_into IS NULL AND incident.state IN \
                 ('resolved', 'closed') THEN COALESCE(incident.resolved_at, incident.closed_at) END \
                 FROM alerts AS alert JOIN incidents AS incident ON incident.id = alert.incident_id \
                 WHERE alert.id = $1",
            )
            .bind(place.id.as_str())
            .fetch_optional(&mut *self.write)
            .await?;
            match found {
                None => return Ok(place),
                Some((incident, Some(done))) if done < last.as_micros() => {
                    place.id = keys::alert_id_after(&place.id, &incident);
                    place.judged.push(incident);
                }
                Some((incident, _)) => {
                    place.incident = Some(incident);
                    return Ok(place);
                }
            }
        }
    }

    /// The matches of a growth without the events that an incident has already which was judged meanwhile, or the one in which
    /// the alert goes on: a correlation that grows shows all events of its window again.
    pub(super) async fn unjudged(
        &mut self,
        growth: &Growth<'_>,
        place: &AlertPlace,
    ) -> Result<Vec<Match>, sqlx::Error> {
        let ids = evidence::ids_of(growth.found());
        let mut had = HashSet::new();
        for incident in place.judged.iter().chain(&place.incident) {
            had.extend(evidence::kept_events(&mut self.write, incident, &ids).await?);
        }
        let without = |grown: &Grown<'_>| {
            let mut found = Match::clone(grown.found);
            found
                .evidence
                .retain(|shown| !had.contains(&shown.event.id.to_string()));
            // What was judged may have had more events than are kept: those that are new are the latest.
            found.evidence.sort_by_key(|shown| shown.event.event_time);
            let events = usize::try_from(grown.events).unwrap_or(usize::MAX);
            let earlier = found.evidence.len().saturating_sub(events);
            found.evidence.drain(..earlier);
            found.event_count = grown.events.unsigned_abs();
            found
        };
        Ok(growth.matches.iter().map(without).collect())
    }

    pub(super) async fn insert_alert(
        &mut self,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
        latest: &Match,
        incident_id: &str,
    ) -> Result<(), sqlx::Error> {
        let (first, last) = growth.range();
        let group: Vec<_> = latest
            .group
            .iter()
            .map(|(name, value)| serde_json::json!({ "name": name, "value": value }))
            .collect();
        let window = latest.window;
        sqlx::query(
            "INSERT INTO alerts (id, incident_id, rule_id, rule_hash, rule_title, severity, unit, host, \
             window_start, window_end, group_values, match_count, event_count, first_event_at, \
             last_event_at, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
             $11, $12, $13, $14, $15, $16, $16)",
        )
        .bind(draft.alert_id.as_str())
        .bind(incident_id)
        .bind(storable(&latest.rule.id).as_ref())
        .bind(latest.rule.content_hash.as_str())
        .bind(storable(&latest.rule.title).as_ref())
        .bind(Severity::of_level(&latest.rule.level).rank())
        .bind(storable(latest.unit.as_str()).as_ref())
        .bind(storable(&latest.host).as_ref())
        .bind(window.map(|(start, _)| start.as_micros()))
        .bind(window.map(|(_, end)| end.as_micros()))
        .bind(serde_json::json!(group).to_string())
        .bind(growth.match_count)
        .bind(growth.event_count)
        .bind(first.as_micros())
        .bind(last.as_micros())
        .bind(self.now.as_micros())
        .execute(&mut *self.write)
        .await?;
        Ok(())
    }

    pub(super) async fn update_alert(
        &mut self,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
        latest: &Match,
    ) -> Result<(), sqlx::Error> {
        let (first, last) = growth.range();
        sqlx::query(
            "UPDATE alerts SET match_count = match_count + $1, event_count = event_count + $2, \
             first_event_at = CASE WHEN first_event_at > $3 THEN $3 ELSE first_event_at END, \
             last_event_at = CASE WHEN last_event_at < $4 THEN $4 ELSE last_event_at END, \
             window_end = CASE WHEN window_end < $5 THEN $5 ELSE window_end END, updated_at = $6 \
             WHERE id = $7",
        )
        .bind(growth.match_count)
        .bind(growth.event_count)
        .bind(first.as_micros())
        .bind(last.as_micros())
        .bind(latest.window.map(|(_, end)| end.as_micros()))
        .bind(self.now.as_micros())
        .bind(draft.alert_id.as_str())
        .execute(&mut *self.write)
        .await?;
        Ok(())
    }
}
