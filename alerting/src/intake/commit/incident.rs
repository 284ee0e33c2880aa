//! The incident of an alert: found or opened, and grown with it.

use std::collections::BTreeSet;

use citywatch_engine::Match;

use super::super::draft::{self, Draft, Growth};
use super::super::entities::EntityKind;
use super::super::{keys, links};
use super::Commit;
use crate::attack::tactics_of;
use crate::clock::MINUTE_MICROS;
use crate::database::{Counter, storable};
use crate::incidents::{self, IncidentRow};
use crate::notification::{self, Subject};
use crate::severity::Severity;

impl Commit<'_> {
    /// The incident of an alert: the one it is in, an open one near in time of its group or of something that it
    /// shares with it, or a new one.
    ///
    /// Where the alert closes the gap between open incidents, they become one. So the incidents are the
    /// same in whatever order alerts arrive, as long as nobody closes one in between and, for what is only
    /// shared, no bound is reached.
    pub(super) async fn incident_of(
        &mut self,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
        latest: &Match,
        known: Option<&str>,
        entities: &BTreeSet<(EntityKind, String)>,
    ) -> Result<IncidentRow, sqlx::Error> {
        let gap = i64::from(self.config.incidents.gap_minutes) * MINUTE_MICROS;
        let (first, last) = growth.range();
        let near: Vec<IncidentRow> = sqlx::query_as(
            "SELECT * FROM incidents WHERE group_key = $1 AND last_event_at >= $2 \
             AND first_event_at <= $3 AND state IN ('new', 'acknowledged', 'in_progress') \
             AND merged_into IS NULL \
             UNION SELECT into_.* FROM incidents AS from_ JOIN incidents AS into_ \
             ON into_.id = from_.merged_into WHERE from_.group_key = $1 \
             AND from_.merged_into IS NOT NULL AND into_.last_event_at >= $2 \
             AND into_.first_event_at <= $3 \
             AND into_.state IN ('new', 'acknowledged', 'in_progress') ORDER BY number",
        )
        .bind(draft.group_key.as_str())
        .bind(first.as_micros().saturating_sub(gap))
        .bind(last.as_micros().saturating_add(gap))
        .fetch_all(&mut *self.write)
        .await?;
        if let Some(known) = known
            && !near.iter().any(|incident| incident.id == known)
        {
            // It has been closed since: what still falls into the alert's window counts there.
            return incidents::row(&mut self.write, known).await;
        }
        let near = match known {
            Some(_) => near,
            // What several offices share moves no office's incident out of its sight.
            None if growth.units().len() > 1 => near,
            None => self.with_linked(near, growth, latest, entities).await?,
        };
        let mut near = near.into_iter();
        let Some(oldest) = near.next() else {
            return self.open_incident(draft, growth, latest).await;
        };
        let mut merged = false;
        let stamp = self.stamp();
        for younger in near {
            incidents::merge(
                &mut self.write,
                &oldest,
                &younger,
                stamp,
                &self.config.incidents,
            )
            .await?;
            merged = true;
        }
        if merged {
            incidents::row(&mut self.write, &oldest.id).await
        } else {
            Ok(oldest)
        }
    }

    /// Adds the open incidents that share something with a new alert, as far as there is room in the oldest. One
    /// that somebody works on is not taken from under them: it is left where it is.
    async fn with_linked(
        &mut self,
        mut near: Vec<IncidentRow>,
        growth: &Growth<'_>,
        latest: &Match,
        entities: &BTreeSet<(EntityKind, String)>,
    ) -> Result<Vec<IncidentRow>, sqlx::Error> {
        let (first, last) = growth.range();
        let range = (first.as_micros(), last.as_micros());
        let linked = links::linked(&mut self.write, latest, entities, range, self.config).await?;
        for incident in linked {
            if near.iter().any(|other| other.id == incident.id) {
                continue;
            }
            let fits = match near.first() {
                None => links::has_room(&incident, 1, range, self.config),
                Some(oldest) => {
                    let both = (incident.first_event_at, incident.last_event_at);
                    incident.state == incidents::State::New.name()
                        && oldest.unit == incident.unit
                        && links::has_room(oldest, incident.alert_count + 1, both, self.config)
                }
            };
            if fits {
                near.push(incident);
            }
        }
        Ok(near)
    }

    fn stamp(&self) -> incidents::Stamp<'static> {
        incidents::Stamp {
            at: self.now,
            who: incidents::SYSTEM,
            change: self.change,
        }
    }

    async fn open_incident(
        &mut self,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
        latest: &Match,
    ) -> Result<IncidentRow, sqlx::Error> {
        let number = self.write.next(Counter::Incident).await?;
        let units: Vec<_> = growth.units().into_iter().map(storable).collect();
        let all: Vec<&str> = units.iter().map(AsRef::as_ref).collect();
        let unit = incidents::common_unit(&mut self.write, &all).await?;
        let (first, last) = growth.range();
        let mut row = IncidentRow {
            // A closed incident may hold the alert of that id's making; numbers are never used twice.
            id: keys::incident_id(&format!("{}/{number}", draft.alert_id)),
            number,
            group_key: draft.group_key.clone(),
            state: incidents::State::New.name().to_owned(),
            unit,
            host: storable(&latest.host).into_owned(),
            tactics: tactics_of(&latest.rule.tags),
            rule_count: 1,
            first_event_at: first.as_micros(),
            last_event_at: last.as_micros(),
            created_at: self.now.as_micros(),
            updated_at: self.now.as_micros(),
            version: 1,
            change_sequence: self.change,
            demonstration: i64::from(self.demonstration.is_set()),
            ..IncidentRow::default()
        };
        draft::name_after(&mut row, latest);
        incidents::insert(&mut self.write, &row).await?;
        let stamp = self.stamp();
        let what = format!("opened by the rule \"{}\"", row.rule_title);
        let parts = [
            ("rule", row.rule_title.as_str()),
            ("rule_vi", row.rule_title_vi.as_str()),
        ];
        incidents::note(&mut self.write, &row.id, stamp, "opened", &what, &parts).await?;
        notification::enqueue(&mut self.write, &row, Subject::Opened, "", self.now).await?;
        self.outcome.incidents_new += 1;
        Ok(row)
    }

    pub(super) async fn update_incident(
        &mut self,
        mut row: IncidentRow,
        growth: &Growth<'_>,
        latest: &Match,
        more: More,
    ) -> Result<(), sqlx::Error> {
        let (first, last) = growth.range();
        if more.alerts > 0 && row.rule_id != latest.rule.id {
            row.rule_count = sqlx::query_scalar(
                "SELECT COUNT(DISTINCT rule_id) FROM alerts WHERE incident_id = $1",
            )
            .bind(row.id.as_str())
            .fetch_one(&mut *self.write)
            .await?;
        }
        // The lock of the counter of changes is held: nobody else changes the row meanwhile.
        let units: Vec<_> = growth.units().into_iter().map(storable).collect();
        let mut all = vec![row.unit.as_str()];
        all.extend(units.iter().map(AsRef::as_ref));
        let unit = incidents::common_unit(&mut self.write, &all).await?;
        if unit != row.unit {
            let stamp = self.stamp();
            incidents::move_to(&mut self.write, &row.id, (&row.unit, &unit), stamp).await?;
            row.unit = unit;
        }
        if row.last_event_at <= last.as_micros() {
            row.host = storable(&latest.host).into_owned();
        }
        // It is called after the first of its most severe alerts: what began as a guessed password may be a break-in.
        if Severity::of_level(&latest.rule.level).rank() > row.severity {
            let before = row.severity;
            draft::name_after(&mut row, latest);
            notification::enqueue_raised(&mut self.write, &row, before, self.now).await?;
        } else if more.alerts > 0 {
            row.tags = incidents::joined_tags(&row.tags, &draft::tags_of(&latest.rule));
        }
        row.tactics |= tactics_of(&latest.rule.tags);
        row.entity_count += more.named;
        let judged = incidents::judged(&mut self.write, &mut self.judged, &row.rule_id).await?;
        sqlx::query(
            "UPDATE incidents SET alert_count = alert_count + $1, event_count = event_count + $2, \
             evidence_count = evidence_count + $3, severity = $4, unit = $5, host = $6, \
             first_event_at = $7, last_event_at = $8, updated_at = $9, change_sequence = $10, \
             score = $11, tactics = $12, rule_count = $13, entity_count = $14, title = $16, title_vi = $17, \
             rule_id = $18, rule_hash = $19, rule_title = $20, rule_title_vi = $21, rule_level = $22, \
             rule_correlation = $23, tags = $24 WHERE id = $15",
        )
        .bind(more.alerts)
        .bind(more.events)
        .bind(more.copied)
        .bind(row.severity)
        .bind(row.unit.as_str())
        .bind(row.host.as_str())
        .bind(row.first_event_at.min(first.as_micros()))
        .bind(row.last_event_at.max(last.as_micros()))
        .bind(self.now.as_micros())
        .bind(self.change)
        .bind(incidents::score(&row, judged))
        .bind(row.tactics)
        .bind(row.rule_count)
        .bind(row.entity_count)
        .bind(row.id.as_str())
        .bind(row.title.as_str())
        .bind(row.title_vi.as_str())
        .bind(row.rule_id.as_str())
        .bind(row.rule_hash.as_str())
        .bind(row.rule_title.as_str())
        .bind(row.rule_title_vi.as_str())
        .bind(row.rule_level.as_str())
        .bind(row.rule_correlation)
        .bind(row.tags.as_str())
        .execute(&mut *self.write)
        .await?;
        Ok(())
    }
}

/// What an incident gains.
#[derive(Clone, Copy, Debug)]
pub(super) struct More {
    pub(super) alerts: i64,
    /// Events that are not known to have been counted in it before.
    pub(super) events: i64,
    /// Events copied as evidence.
    pub(super) copied: i64,
    /// Entities named.
    pub(super) named: i64,
}
