//! Switches of rules in the database, and what they hide.

use std::collections::{BTreeMap, HashMap};

use citywatch_engine::Match;
use citywatch_parsers::Timestamp;
use sqlx::{AnyPool, Row};

use super::memory;
use crate::clock::DAY_MICROS;
use crate::database::{Write, storable};

/// Stands in the column `alerts` where a decision was taken back.
pub(crate) const UNDECIDED: i64 = 2;

/// What leads decided, by rule.
pub(crate) async fn switches(pool: &AnyPool) -> Result<HashMap<String, bool>, sqlx::Error> {
    let rows = sqlx::query("SELECT rule_id, alerts FROM rule_switches WHERE alerts <> $1")
        .bind(UNDECIDED)
        .fetch_all(pool)
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                row.try_get("rule_id")?,
                row.try_get::<i64, _>("alerts")? != 0,
            ))
        })
        .collect()
}

/// Counts matches of rules that are switched off, each once; returns how many were new.
pub(super) async fn count_silent(
    write: &mut Write,
    matches: &[&Match],
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let rows: Vec<_> = matches.iter().map(|found| (*found, "")).collect();
    let new = memory::remember(write, &rows, now).await?;
    let mut counts: BTreeMap<(String, String, i64), i64> = BTreeMap::new();
    for found in matches {
        if new.contains(&found.id.to_string()) {
            let key = (
                storable(&found.rule.id).into_owned(),
                storable(found.unit.as_str()).into_owned(),
                found.event_time.as_micros().div_euclid(DAY_MICROS),
            );
            *counts.entry(key).or_default() += 1;
        }
    }
    for ((rule_id, unit, day), count) in counts {
        sqlx::query(
            "INSERT INTO rule_silence (rule_id, unit, day, match_count) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (rule_id, unit, day) DO UPDATE SET match_count = rule_silence.match_count + $4",
        )
        .bind(rule_id)
        .bind(unit)
        .bind(day)
        .bind(count)
        .execute(&mut **write)
        .await?;
    }
    Ok(new.len() as u64)
}
