//! Hides matches while they are taken in.

use std::collections::{BTreeMap, HashMap, HashSet};

use citywatch_engine::Match;
use citywatch_parsers::Timestamp;
use serde_json::Value;
use sqlx::Row;

use super::target::{FieldValue, Target};
use crate::database::{Write, storable};
use crate::incidents::json;
use crate::intake::Draft;
use crate::severity::Severity;
use crate::sql::Conditions;

/// Ids of one query: SQLite takes 32,766 parameters, and few sizes keep prepared statements few.
const IDS_PER_QUERY: usize = 500;

/// Of the first event's text so much is kept to be looked at.
const RAW_CHARACTERS_MAX: usize = 1_000;

/// What was hidden in one commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// Matches hidden for the first time.
    pub(crate) new: u64,
    /// Matches that were hidden before.
    pub(crate) known: u64,
}

/// A suppression that holds now.
struct Active {
    id: String,
    target: Target,
    subtree: HashSet<String>,
    match_count: i64,
}

/// Takes the matches that are suppressed out of the drafts, counts and keeps them.
pub(crate) async fn hide(
    write: &mut Write,
    drafts: &mut Vec<Draft<'_>>,
    now: Timestamp,
) -> Result<Hidden, sqlx::Error> {
    let active = active(write, now).await?;
    if active.is_empty() && !any_hidden(write).await? {
        return Ok(Hidden::default());
    }
    let matches = largest(drafts);
    let before = hidden_before(write, &matches).await?;
    let mut fresh: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, found) in &matches {
        if before.contains_key(id) {
            continue;
        }
        let place = active
            .iter()
            .position(|each| each.target.covers(found, &each.subtree));
        if let Some(place) = place {
            fresh.insert(id, place);
        }
    }
    for seen in in_alerts(write, fresh.keys().copied()).await? {
        fresh.remove(seen.as_str());
    }
    let mut counts = Counts::default();
    for (id, (suppression, events)) in &before {
        counts
            .grow(write, id, matches[id], suppression, *events)
            .await?;
    }
    let mut numbers: Vec<i64> = active.iter().map(|each| each.match_count).collect();
    for (id, place) in &fresh {
        let found = matches[*id];
        numbers[*place] += 1;
        let suppression = &active[*place].id;
        keep(write, id, found, suppression, numbers[*place], now).await?;
        counts.add(suppression, 1, event_count(found));
    }
    counts.write(write, now).await?;
    for draft in drafts.iter_mut() {
        draft.matches.retain(|found| {
            let id = found.id.to_string();
            !before.contains_key(&id) && !fresh.contains_key(id.as_str())
        });
    }
    drafts.retain(|draft| !draft.matches.is_empty());
    let length = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    Ok(Hidden {
        new: length(fresh.len()),
        known: length(before.len()),
    })
}

/// Each match once: a correlation may be delivered several times as its window fills.
fn largest<'m>(drafts: &[Draft<'m>]) -> BTreeMap<String, &'m Match> {
    let mut matches: BTreeMap<String, &Match> = BTreeMap::new();
    for found in drafts
        .iter()
        .flat_map(|draft| draft.matches.iter().copied())
    {
        let kept = matches.entry(found.id.to_string()).or_insert(found);
        if kept.event_count < found.event_count {
            *kept = found;
        }
    }
    matches
}

/// Forgets what was hidden before `time`; the counts stay. Returns how many were forgotten.
pub(crate) async fn forget(write: &mut Write, time: i64) -> Result<u64, sqlx::Error> {
    let result = sqlx::query("DELETE FROM suppressed_matches WHERE hidden_at < $1")
        .bind(time)
        .execute(&mut **write)
        .await?;
    Ok(result.rows_affected())
}

/// Those that hold now, the oldest first: it is the one that is said to hide a match.
async fn active(write: &mut Write, now: Timestamp) -> Result<Vec<Active>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, rule_id, unit, host, fields, match_count FROM suppressions \
         WHERE ends_at > $1 AND ended_at IS NULL ORDER BY created_at, id",
    )
    .bind(now.as_micros())
    .fetch_all(&mut **write)
    .await?;
    let mut subtrees: HashMap<String, HashSet<String>> = HashMap::new();
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let unit: String = row.try_get("unit")?;
        if !unit.is_empty() && !subtrees.contains_key(&unit) {
            let below: Vec<String> =
                sqlx::query_scalar("SELECT unit FROM unit_ancestors WHERE ancestor = $1")
                    .bind(unit.as_str())
                    .fetch_all(&mut **write)
                    .await?;
            let below = below.into_iter().chain([unit.clone()]).collect();
            subtrees.insert(unit.clone(), below);
        }
        found.push(Active {
            id: row.try_get("id")?,
            subtree: subtrees.get(&unit).cloned().unwrap_or_default(),
            target: Target {
                rule_id: row.try_get("rule_id")?,
                unit,
                host: row.try_get("host")?,
                fields: fields_of(row.try_get("fields")?),
            },
            match_count: row.try_get("match_count")?,
        });
    }
    Ok(found)
}

/// The fields of the column `fields`.
pub(super) fn fields_of(text: &str) -> Vec<FieldValue> {
    match json(text) {
        Value::Array(fields) => fields
            .into_iter()
            .filter_map(|field| serde_json::from_value(field).ok())
            .collect(),
        _ => Vec::new(),
    }
}

async fn any_hidden(write: &mut Write) -> Result<bool, sqlx::Error> {
    let first: Option<String> =
        sqlx::query_scalar("SELECT match_id FROM suppressed_matches LIMIT 1")
            .fetch_optional(&mut **write)
            .await?;
    Ok(first.is_some())
}

/// Those that were hidden before: by which suppression, with how many events.
async fn hidden_before(
    write: &mut Write,
    matches: &BTreeMap<String, &Match>,
) -> Result<HashMap<String, (String, i64)>, sqlx::Error> {
    let ids: Vec<&str> = matches.keys().map(String::as_str).collect();
    let mut before = HashMap::new();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let mut conditions = Conditions::default();
        conditions.one_of("match_id", chunk.iter().copied());
        let sql = format!(
            "SELECT match_id, suppression_id, event_count FROM suppressed_matches{}",
            conditions.clause()
        );
        for row in conditions.query(sql).fetch_all(&mut **write).await? {
            let of = (row.try_get("suppression_id")?, row.try_get("event_count")?);
            before.insert(row.try_get("match_id")?, of);
        }
    }
    Ok(before)
}

/// Those of the matches that are part of an alert.
async fn in_alerts(
    write: &mut Write,
    ids: impl Iterator<Item = &str>,
) -> Result<Vec<String>, sqlx::Error> {
    let ids: Vec<&str> = ids.collect();
    let mut seen = Vec::new();
    for chunk in ids.chunks(IDS_PER_QUERY) {
        let mut conditions = Conditions::default();
        conditions.one_of("match_id", chunk.iter().copied());
        let sql = format!("SELECT match_id FROM alert_matches{}", conditions.clause());
        for row in conditions.query(sql).fetch_all(&mut **write).await? {
            seen.push(row.try_get(0)?);
        }
    }
    Ok(seen)
}

async fn keep(
    write: &mut Write,
    id: &str,
    found: &Match,
    suppression: &str,
    number: i64,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let first = found.evidence.first().map(|evidence| &evidence.event);
    let raw: String = first
        .map_or("", |event| event.raw.as_str())
        .chars()
        .take(RAW_CHARACTERS_MAX)
        .collect();
    sqlx::query(
        "INSERT INTO suppressed_matches (match_id, suppression_id, number, rule_id, rule_title, \
         severity, unit, host, event_time, event_count, event_id, raw, hidden_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(id)
    .bind(suppression)
    .bind(number)
    .bind(storable(&found.rule.id).as_ref())
    .bind(storable(&found.rule.title).as_ref())
    .bind(Severity::of_level(&found.rule.level).rank())
    .bind(storable(found.unit.as_str()).as_ref())
    .bind(storable(&found.host).as_ref())
    .bind(found.event_time.as_micros())
    .bind(event_count(found))
    .bind(first.map_or_else(String::new, |event| event.id.to_string()))
    .bind(storable(&raw).as_ref())
    .bind(now.as_micros())
    .execute(&mut **write)
    .await?;
    Ok(())
}

fn event_count(found: &Match) -> i64 {
    i64::try_from(found.event_count).unwrap_or(i64::MAX)
}

/// Matches and events that suppressions have to count, by the suppression's id.
#[derive(Default)]
struct Counts(BTreeMap<String, (i64, i64)>);

impl Counts {
    fn add(&mut self, suppression: &str, matches: i64, events: i64) {
        let count = self.0.entry(suppression.to_owned()).or_default();
        count.0 += matches;
        count.1 += events;
    }

    /// A correlation is delivered again as its window fills.
    async fn grow(
        &mut self,
        write: &mut Write,
        id: &str,
        found: &Match,
        suppression: &str,
        counted: i64,
    ) -> Result<(), sqlx::Error> {
        let more = event_count(found) - counted;
        if !found.rule.correlation || more <= 0 {
            return Ok(());
        }
        sqlx::query(
            "UPDATE suppressed_matches SET event_count = $1 WHERE match_id = $2 AND event_count < $1",
        )
        .bind(event_count(found))
        .bind(id)
        .execute(&mut **write)
        .await?;
        self.add(suppression, 0, more);
        Ok(())
    }

    async fn write(self, write: &mut Write, now: Timestamp) -> Result<(), sqlx::Error> {
        for (id, (matches, events)) in self.0 {
            sqlx::query(
                "UPDATE suppressions SET match_count = match_count + $1, \
                 event_count = event_count + $2, last_hidden_at = $3 WHERE id = $4",
            )
            .bind(matches)
            .bind(events)
            .bind(now.as_micros())
            .bind(id)
            .execute(&mut **write)
            .await?;
        }
        Ok(())
    }
}
