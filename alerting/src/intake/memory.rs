//! Which matches have been counted.

use std::collections::HashSet;

use citywatch_engine::Match;
use citywatch_parsers::Timestamp;
use sqlx::{AssertSqlSafe, Row};

use crate::database::Write;

/// Rows of one statement. Few sizes, so that each connection prepares few statements.
const ROWS: [usize; 3] = [128, 16, 1];

/// Remembers matches, each with the id of its alert; returns the ids of those that were not known.
pub(super) async fn remember(
    write: &mut Write,
    matches: &[(&Match, &str)],
    now: Timestamp,
) -> Result<HashSet<String>, sqlx::Error> {
    let rows: Vec<(String, &str, i64)> = matches
        .iter()
        .map(|(found, alert_id)| {
            let events = i64::try_from(found.event_count).unwrap_or(i64::MAX);
            (found.id.to_string(), *alert_id, events)
        })
        .collect();
    let mut new = HashSet::new();
    let mut rest = rows.as_slice();
    while !rest.is_empty() {
        let size = ROWS
            .into_iter()
            .find(|size| *size <= rest.len())
            .unwrap_or(1);
        let (chunk, others) = rest.split_at(size);
        rest = others;
        let mut query = sqlx::query(AssertSqlSafe(statement(size)));
        for (match_id, alert_id, events) in chunk {
            query = query
                .bind(match_id.as_str())
                .bind(*alert_id)
                .bind(*events)
                .bind(now.as_micros());
        }
        for row in query.fetch_all(&mut **write).await? {
            new.insert(row.try_get(0)?);
        }
    }
    Ok(new)
}

fn statement(rows: usize) -> String {
    let rows: Vec<String> = (0..rows)
        .map(|row| row * 4)
        .map(|first| {
            format!(
                "(${}, ${}, ${}, ${})",
                first + 1,
                first + 2,
                first + 3,
                first + 4
            )
        })
        .collect();
    format!(
        "INSERT INTO alert_matches (match_id, alert_id, event_count, seen_at) VALUES {} \
         ON CONFLICT DO NOTHING RETURNING match_id",
        rows.join(", ")
    )
}
