//! Suppressions in the database.

use citywatch_parsers::Timestamp;
use serde::Serialize;
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::hide::fields_of;
use super::target::Target;
use crate::accounts::{Scope, random_token};
use crate::clock::Clock;
use crate::database::{Database, storable};
use crate::incidents::rfc3339;
use crate::severity::Severity;
use crate::sql::Conditions;

/// Suppressions that may hold at once: each match is held against all of them.
const ACTIVE_MAX: i64 = 1_000;

/// A suppression that is to be set.
#[derive(Clone, Debug)]
pub(crate) struct NewSuppression<'a> {
    pub(crate) target: &'a Target,
    pub(crate) reason: &'a str,
    pub(crate) created_by: &'a str,
    pub(crate) ends_at: Timestamp,
}

/// A suppression as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Suppression {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) target: Target,
    /// The rule's title; empty for any rule, and for one of which nothing is known yet.
    pub(crate) rule_title: String,
    /// In Vietnamese; empty where the rule has no such title.
    pub(crate) rule_title_vi: String,
    pub(crate) reason: String,
    pub(crate) created_by: String,
    pub(crate) created_at: String,
    pub(crate) ends_at: String,
    /// When somebody ended it before its time.
    pub(crate) ended_at: Option<String>,
    pub(crate) ended_by: Option<String>,
    /// Whether it hides anything now.
    pub(crate) active: bool,
    /// Matches that it hid.
    pub(crate) match_count: i64,
    /// Events of these.
    pub(crate) event_count: i64,
    pub(crate) last_hidden_at: Option<String>,
}

/// A match that was hidden.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct HiddenMatch {
    pub(crate) id: String,
    /// Counts up within the suppression.
    pub(crate) number: i64,
    pub(crate) rule_id: String,
    pub(crate) rule_title: String,
    /// In Vietnamese; empty where the rule has no such title.
    pub(crate) rule_title_vi: String,
    #[schema(value_type = Severity)]
    pub(crate) severity: &'static str,
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) event_time: String,
    pub(crate) event_count: i64,
    /// Its first event.
    pub(crate) event_id: String,
    /// How that began.
    pub(crate) raw: String,
    pub(crate) hidden_at: String,
}

/// Which suppressions a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    Ended,
    Any,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Suppressions {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
}

impl Suppressions {
    /// Sets one; none when too many hold already.
    pub(crate) async fn make(
        &self,
        new: NewSuppression<'_>,
    ) -> Result<Option<String>, sqlx::Error> {
        let now = self.clock.now().as_micros();
        let mut write = self.database.write().await?;
        let active: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM suppressions WHERE ends_at > $1 AND ended_at IS NULL",
        )
        .bind(now)
        .fetch_one(&mut *write)
        .await?;
        if active >= ACTIVE_MAX {
            return Ok(None);
        }
        let id = random_token();
        let target = new.target;
        sqlx::query(
            "INSERT INTO suppressions (id, rule_id, rule_title, unit, host, fields, reason, created_by, \
             created_at, ends_at, match_count, event_count) SELECT $1, $2, COALESCE((SELECT title FROM \
             rules WHERE id = $2 ORDER BY first_seen_at DESC LIMIT 1), ''), $3, $4, $5, $6, $7, $8, $9, 0, 0",
        )
        .bind(id.as_str())
        .bind(storable(&target.rule_id).as_ref())
        .bind(storable(&target.unit).as_ref())
        .bind(storable(&target.host).as_ref())
        .bind(json!(target.fields).to_string())
        .bind(storable(new.reason).as_ref())
        .bind(new.created_by)
        .bind(now)
        .bind(new.ends_at.as_micros())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(Some(id))
    }

    /// Ends one before its time; false when it had ended.
    pub(crate) async fn end(&self, id: &str, who: &str) -> Result<bool, sqlx::Error> {
        let mut write = self.database.write().await?;
        let result = sqlx::query(
            "UPDATE suppressions SET ended_at = $1, ended_by = $2 \
             WHERE id = $3 AND ended_at IS NULL AND ends_at > $1",
        )
        .bind(self.clock.now().as_micros())
        .bind(who)
        .bind(id)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(result.rows_affected() > 0)
    }

    /// One, if it is about units that may be seen.
    pub(crate) async fn one(
        &self,
        id: &str,
        scope: &Scope,
    ) -> Result<Option<Suppression>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.compare("id", "=", id.to_owned());
        conditions.scope("unit", scope);
        let sql = format!(
            "SELECT * FROM {}{}",
            titled("suppressions"),
            conditions.clause()
        );
        let row = conditions
            .query(sql)
            .fetch_optional(self.database.pool())
            .await?;
        row.map(|row| self.view(&row)).transpose()
    }

    /// Those about units that may be seen, the newest first, after `skip` of them.
    pub(crate) async fn list(
        &self,
        standing: Standing,
        scope: &Scope,
        skip: i64,
        limit: i64,
    ) -> Result<Vec<Suppression>, sqlx::Error> {
        let now = self.clock.now().as_micros();
        let mut conditions = Conditions::default();
        match standing {
            Standing::Active => {
                conditions.push("ended_at IS NULL");
                conditions.compare("ends_at", ">", now);
            }
            Standing::Ended => {
                conditions.compare("COALESCE(ended_at, ends_at)", "<=", now);
            }
            Standing::Any => {}
        }
        conditions.scope("unit", scope);
        let sql = format!(
            "SELECT * FROM {}{} ORDER BY created_at DESC, id LIMIT {limit} OFFSET {skip}",
            titled("suppressions"),
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(|row| self.view(row)).collect()
    }

    /// What one hid, the latest first: those below `before`. Seen only of units that may be seen.
    pub(crate) async fn hidden(
        &self,
        id: &str,
        scope: &Scope,
        before: i64,
        limit: i64,
    ) -> Result<Vec<HiddenMatch>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.compare("suppression_id", "=", id.to_owned());
        conditions.compare("number", "<", before);
        conditions.scope("unit", scope);
        let sql = format!(
            "SELECT * FROM {}{} ORDER BY number DESC LIMIT {limit}",
            titled("suppressed_matches"),
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(hidden_match).collect()
    }

    fn view(&self, row: &AnyRow) -> Result<Suppression, sqlx::Error> {
        let ends_at: i64 = row.try_get("ends_at")?;
        let ended_at: Option<i64> = row.try_get("ended_at")?;
        Ok(Suppression {
            id: row.try_get("id")?,
            target: Target {
                rule_id: row.try_get("rule_id")?,
                unit: row.try_get("unit")?,
                host: row.try_get("host")?,
                fields: fields_of(row.try_get("fields")?),
            },
            rule_title: title_of(row)?,
            rule_title_vi: row.try_get("title_vi")?,
            reason: row.try_get("reason")?,
            created_by: row.try_get("created_by")?,
            created_at: rfc3339(row.try_get("created_at")?),
            ends_at: rfc3339(ends_at),
            ended_at: ended_at.map(rfc3339),
            ended_by: row.try_get("ended_by")?,
            active: ended_at.is_none() && ends_at > self.clock.now().as_micros(),
            match_count: row.try_get("match_count")?,
            event_count: row.try_get("event_count")?,
            last_hidden_at: row
                .try_get::<Option<i64>, _>("last_hidden_at")?
                .map(rfc3339),
        })
    }
}

/// A table that names rules, each row with the titles of its rule's newest version: a rule may be suppressed before it was
/// ever heard of.
fn titled(table: &str) -> String {
    let newest = |column: &str| {
        format!(
            "COALESCE((SELECT {column} FROM rules WHERE rules.id = named.rule_id \
             ORDER BY first_seen_at DESC, content_hash LIMIT 1), '') AS {column}"
        )
    };
    format!(
        "(SELECT named.*, {}, {} FROM {table} AS named) AS titled",
        newest("title"),
        newest("title_vi")
    )
}

/// What a rule is called now, or was when the row was made.
fn title_of(row: &AnyRow) -> Result<String, sqlx::Error> {
    let now: String = row.try_get("title")?;
    if now.is_empty() {
        return row.try_get("rule_title");
    }
    Ok(now)
}

fn hidden_match(row: &AnyRow) -> Result<HiddenMatch, sqlx::Error> {
    Ok(HiddenMatch {
        id: row.try_get("match_id")?,
        number: row.try_get("number")?,
        rule_id: row.try_get("rule_id")?,
        rule_title: title_of(row)?,
        rule_title_vi: row.try_get("title_vi")?,
        severity: Severity::of_rank(row.try_get("severity")?).name(),
        unit: row.try_get("unit")?,
        host: row.try_get("host")?,
        event_time: rfc3339(row.try_get("event_time")?),
        event_count: row.try_get("event_count")?,
        event_id: row.try_get("event_id")?,
        raw: row.try_get("raw")?,
        hidden_at: rfc3339(row.try_get("hidden_at")?),
    })
}
