//! How urgent an incident is: a number from 0 to 100 to sort by. The README says how it comes about.

use std::collections::HashMap;

use sqlx::{AnyConnection, Row};

use super::{IncidentRow, Verdict};
use crate::database::Write;

/// Judged incidents of a rule that are looked at, the latest.
const JUDGED_MAX: i64 = 50;

/// What became of a rule's incidents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judged {
    /// Those that somebody judged.
    pub(crate) all: i64,
    /// Of these, the false and the benign positives.
    pub(crate) in_vain: i64,
}

/// The score of an incident as the row has it.
pub(crate) fn score(row: &IncidentRow, judged: Judged) -> i64 {
    let severity = match row.severity {
        ..=0 => 10,
        1 => 25,
        2 => 45,
        3 => 65,
        _ => 80,
    };
    let more = |count: i64, each: i64, most: i64| ((count - 1).max(0) * each).min(most);
    let tactics = i64::from(row.tactics.count_ones());
    let points = severity
        + more(row.rule_count, 3, 9)
        + more(tactics, 3, 9)
        + (row.entity_count / 5).clamp(0, 4);
    // A rule that was often wrong counts for less: three verdicts more are imagined that were right, so that
    // one false positive does not silence it.
    let kept = 100 - 60 * judged.in_vain / (judged.all + 3);
    (points.min(100) * kept / 100).clamp(0, 100)
}

/// What became of a rule's incidents, read once per transaction.
pub(crate) async fn judged(
    connection: &mut AnyConnection,
    known: &mut HashMap<String, Judged>,
    rule_id: &str,
) -> Result<Judged, sqlx::Error> {
    if let Some(judged) = known.get(rule_id) {
        return Ok(*judged);
    }
    let rows = sqlx::query(
        "SELECT verdict, COUNT(*) AS n FROM (SELECT verdict FROM incidents WHERE rule_id = $1 \
         AND verdict IS NOT NULL ORDER BY closed_at DESC LIMIT $2) AS latest GROUP BY verdict",
    )
    .bind(rule_id)
    .bind(JUDGED_MAX)
    .fetch_all(connection)
    .await?;
    let mut judged = Judged::default();
    for row in rows {
        let (verdict, count): (String, i64) = (row.try_get("verdict")?, row.try_get("n")?);
        judged.all += count;
        if verdict != Verdict::TruePositive.name() {
            judged.in_vain += count;
        }
    }
    known.insert(rule_id.to_owned(), judged);
    Ok(judged)
}

/// Writes the score that follows from what the incident holds now.
pub(crate) async fn rescore(write: &mut Write, id: &str) -> Result<(), sqlx::Error> {
    let row = super::row(write, id).await?;
    let judged = judged(write, &mut HashMap::new(), &row.rule_id).await?;
    sqlx::query("UPDATE incidents SET score = $1 WHERE id = $2")
        .bind(score(&row, judged))
        .bind(id)
        .execute(&mut **write)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(severity: i64, rule_count: i64, tactics: i64) -> IncidentRow {
        IncidentRow {
            severity,
            rule_count,
            tactics,
            ..IncidentRow::default()
        }
    }

    #[test]
    fn more_rules_and_tactics_are_more_urgent_within_bounds() {
        let never = Judged::default();
        let one = score(&row(3, 1, 0b1), never);
        assert_eq!(one, 65);
        assert_eq!(score(&row(3, 2, 0b11), never), 71);
        assert_eq!(score(&row(3, 50, 0xffff), never), 83);
        assert!(score(&row(4, 50, 0xffff), never) <= 100);
        assert!(score(&row(4, 1, 0), never) > score(&row(3, 4, 0), never));
    }

    #[test]
    fn a_rule_that_is_always_wrong_counts_for_less_than_half() {
        let once = Judged { all: 1, in_vain: 1 };
        let always = Judged {
            all: 50,
            in_vain: 50,
        };
        let right = Judged {
            all: 50,
            in_vain: 0,
        };
        let of = |judged| score(&row(3, 1, 0), judged);
        assert_eq!(of(right), 65);
        assert_eq!(of(once), 55);
        assert_eq!(of(always), 28);
    }
}
