//! One transaction: which matches are new, the alerts they make or join, the incidents of those.

mod alert;
mod incident;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use alert::AlertPlace;
use citywatch_engine::{Match, RuleInfo};
use citywatch_parsers::Timestamp;
use incident::More;

use super::choice::Choice;
use super::draft::{self, Draft, Grown, Growth, Sorted};
use super::entities;
use super::translation::{Statuses, translation_of};
use super::{evidence, links, memory, switches};
use crate::clock::{Clock, DAY_MICROS};
use crate::config::AlertingConfig;
use crate::database::{Counter, Database, Write, storable};
use crate::demonstration::Demonstration;
use crate::incidents::Judged;
use crate::severity::Severity;
use crate::suppression;

/// Commits matches as alerts and incidents.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) statuses: Statuses,
    pub(crate) demonstration: Demonstration,
}

/// What a commit did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Matches counted for the first time.
    pub(crate) matches_new: u64,
    /// Matches counted before.
    pub(crate) matches_known: u64,
    /// Matches of rules that raise no alerts.
    pub(crate) matches_silent: u64,
    /// Matches of rules that are switched off, for the first time.
    pub(crate) matches_switched_off: u64,
    /// Matches hidden by a suppression for the first time.
    pub(crate) matches_hidden: u64,
    /// Alerts made.
    pub(crate) alerts_new: u64,
    /// Incidents opened.
    pub(crate) incidents_new: u64,
    /// Place of the changes in the stream of changes, if anything changed.
    pub(crate) change: Option<i64>,
}

/// One transaction's state.
struct Commit<'a> {
    write: Write,
    config: &'a AlertingConfig,
    demonstration: &'a Demonstration,
    now: Timestamp,
    change: i64,
    outcome: Outcome,
    /// What became of rules' incidents, as far as it was asked for.
    judged: HashMap<String, Judged>,
}

impl Committer {
    /// Commits matches, all or none. Matches that have been committed before change nothing.
    pub(crate) async fn commit(&self, matches: &[&Match]) -> Result<Outcome, sqlx::Error> {
        let choice = Choice {
            config: &self.config.alerts,
            // Read for each commit: a switch holds at once, also one that another process took.
            switches: switches::switches(self.database.pool()).await?,
        };
        let Sorted {
            mut drafts,
            switched_off,
            silent,
        } = draft::sorted(matches, &choice, |rule| self.statuses.of(rule));
        let outcome = Outcome {
            matches_silent: silent,
            ..Outcome::default()
        };
        if drafts.is_empty() && switched_off.is_empty() {
            return Ok(outcome);
        }
        let mut write = self.database.write().await?;
        // First of all: its lock puts transactions that change incidents into a line.
        let change = write.next(Counter::Change).await?;
        let now = self.clock.now();
        let off = switches::count_silent(&mut write, &switched_off, now).await?;
        let hidden = suppression::hide(&mut write, &mut drafts, now).await?;
        let outcome = Outcome {
            matches_hidden: hidden.new,
            matches_known: hidden.known + (switched_off.len() as u64 - off),
            matches_switched_off: off,
            ..outcome
        };
        let mut commit = Commit {
            write,
            config: &self.config,
            demonstration: &self.demonstration,
            now,
            change,
            outcome,
            judged: HashMap::new(),
        };
        let mut each: Vec<(&Match, &str)> = Vec::new();
        for draft in &drafts {
            each.extend(
                draft
                    .matches
                    .iter()
                    .map(|found| (*found, draft.alert_id.as_str())),
            );
        }
        let mut new = memory::remember(&mut commit.write, &each, now).await?;
        let mut rules_noted = BTreeSet::new();
        for draft in &drafts {
            let growth = commit.growth(draft, &mut new).await?;
            let Some(latest) = growth.latest() else {
                continue;
            };
            if rules_noted.insert((&latest.rule.id, &latest.rule.content_hash)) {
                commit.note_rule(&latest.rule).await?;
            }
            commit.grow(draft, &growth, latest).await?;
            commit.outcome.change = Some(change);
        }
        commit.write.commit().await?;
        Ok(commit.outcome)
    }

    /// Forgets counted matches after their time. Returns how many were forgotten.
    pub(crate) async fn forget_old_matches(&self) -> Result<u64, sqlx::Error> {
        let memory = i64::from(self.config.alerts.match_memory_days.max(1)) * DAY_MICROS;
        let mut write = self.database.write().await?;
        let result = sqlx::query("DELETE FROM alert_matches WHERE seen_at < $1")
            .bind(self.clock.now().as_micros() - memory)
            .execute(&mut *write)
            .await?;
        let before = self.clock.now().as_micros() - memory;
        let hidden = suppression::forget(&mut write, before).await?;
        write.commit().await?;
        Ok(result.rows_affected() + hidden)
    }
}

impl Commit<'_> {
    /// What was not known of a draft's matches; each id in `new` counts once.
    async fn growth<'m>(
        &mut self,
        draft: &Draft<'m>,
        new: &mut HashSet<String>,
    ) -> Result<Growth<'m>, sqlx::Error> {
        let mut growth = Growth {
            matches: Vec::new(),
            match_count: 0,
            event_count: 0,
        };
        for found in &draft.matches {
            let id = found.id.to_string();
            let events = i64::try_from(found.event_count).unwrap_or(i64::MAX);
            let events = if new.remove(&id) {
                growth.match_count += 1;
                self.outcome.matches_new += 1;
                events
            } else {
                self.outcome.matches_known += 1;
                if !found.rule.correlation {
                    continue;
                }
                match self.correlation_growth(&id, events).await? {
                    0 => continue,
                    more => more,
                }
            };
            growth.event_count += events;
            growth.matches.push(Grown { found, events });
        }
        Ok(growth)
    }

    /// A correlation raises its alert at once and is delivered again as its window fills: the events by
    /// which it has grown beyond what was counted.
    async fn correlation_growth(
        &mut self,
        match_id: &str,
        events: i64,
    ) -> Result<i64, sqlx::Error> {
        let counted: i64 =
            sqlx::query_scalar("SELECT event_count FROM alert_matches WHERE match_id = $1")
                .bind(match_id)
                .fetch_one(&mut *self.write)
                .await?;
        if events > counted {
            sqlx::query("UPDATE alert_matches SET event_count = $1 WHERE match_id = $2")
                .bind(events)
                .bind(match_id)
                .execute(&mut *self.write)
                .await?;
        }
        Ok((events - counted).max(0))
    }

    async fn note_rule(&mut self, rule: &RuleInfo) -> Result<(), sqlx::Error> {
        let translation = translation_of(&rule.text);
        sqlx::query(
            "INSERT INTO rules (id, content_hash, title, level, description, tags, body, correlation, \
             first_seen_at, title_vi, description_vi) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT DO NOTHING",
        )
        .bind(storable(&rule.id).as_ref())
        .bind(rule.content_hash.as_str())
        .bind(storable(&rule.title).as_ref())
        .bind(Severity::of_level(&rule.level).name())
        .bind(storable(&rule.description).as_ref())
        .bind(serde_json::json!(rule.tags).to_string())
        .bind(storable(&rule.text).as_ref())
        .bind(i64::from(rule.correlation))
        .bind(self.now.as_micros())
        .bind(storable(&translation.title).as_ref())
        .bind(storable(&translation.description).as_ref())
        .execute(&mut *self.write)
        .await?;
        Ok(())
    }

    /// Makes the alert or lets it grow, with its incident.
    async fn grow(
        &mut self,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
        latest: &Match,
    ) -> Result<(), sqlx::Error> {
        let place = self.alert_to_grow(draft, growth).await?;
        if place.judged.is_empty() {
            return self.grow_at(place, draft, growth, latest).await;
        }
        let unjudged = self.unjudged(growth, &place).await?;
        let events = growth.matches.iter().map(|grown| grown.events);
        let growth = Growth {
            matches: std::iter::zip(&unjudged, events)
                .map(|(found, events)| Grown { found, events })
                .collect(),
            // A match that was counted in the alert before makes this one.
            match_count: match place.incident {
                None => i64::try_from(unjudged.len()).unwrap_or(i64::MAX),
                Some(_) => growth.match_count,
            },
            event_count: growth.event_count,
        };
        self.grow_at(place, draft, &growth, latest).await
    }

    async fn grow_at(
        &mut self,
        place: AlertPlace,
        draft: &Draft<'_>,
        growth: &Growth<'_>,
        latest: &Match,
    ) -> Result<(), sqlx::Error> {
        let known = place.incident;
        let draft = &Draft {
            alert_id: place.id,
            ..Draft::clone(draft)
        };
        let found: Vec<&Match> = growth.found().collect();
        let entities = entities::of_matches(&found);
        let incident = self
            .incident_of(draft, growth, latest, known.as_deref(), &entities)
            .await?;
        if known.is_some() {
            self.update_alert(draft, growth, latest).await?;
        } else {
            self.insert_alert(draft, growth, latest, &incident.id)
                .await?;
            if !links::is_of_citywatch(latest) {
                let (first, _) = growth.range();
                evidence::note_entities(
                    &mut self.write,
                    &draft.alert_id,
                    latest,
                    first.as_micros(),
                    &entities,
                )
                .await?;
            }
            self.outcome.alerts_new += 1;
        }
        let copied = evidence::copy(
            &mut self.write,
            &incident,
            &growth.matches,
            &self.config.incidents,
        )
        .await?;
        let named = evidence::name_entities(
            &mut self.write,
            &incident.id,
            incident.entity_count,
            &entities,
            &self.config.incidents,
        )
        .await?;
        let more = More {
            alerts: i64::from(known.is_none()),
            events: copied.events,
            copied: copied.added,
            named,
        };
        self.update_incident(incident, growth, latest, more).await
    }
}
