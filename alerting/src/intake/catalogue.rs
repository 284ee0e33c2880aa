//! The rules that engines work with, noted in the database: so that also a process without an engine can tell them.

use citywatch_engine::RuleInfo;
use citywatch_parsers::Timestamp;

use super::translation::translation_of;
use crate::database::{Database, storable};
use crate::severity::Severity;

/// Notes the rules as they are loaded now; those that were loaded before are forgotten. Engines of one city load the
/// same rules, so whichever notes them last notes the same.
pub(crate) async fn note(
    database: &Database,
    rules: &[RuleInfo],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut write = database.write().await?;
    sqlx::query("DELETE FROM rules_loaded")
        .execute(&mut *write)
        .await?;
    for rule in rules {
        let says = translation_of(&rule.text);
        sqlx::query(
            "INSERT INTO rules_loaded (id, content_hash, title, title_vi, level, status, description, \
             description_vi, tags, body, correlation, loaded_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             ON CONFLICT DO NOTHING",
        )
        .bind(storable(&rule.id).into_owned())
        .bind(rule.content_hash.as_str())
        .bind(storable(&rule.title).into_owned())
        .bind(storable(&says.title).into_owned())
        .bind(Severity::of_level(&rule.level).name())
        .bind(storable(&says.status).into_owned())
        .bind(storable(&rule.description).into_owned())
        .bind(storable(&says.description).into_owned())
        .bind(serde_json::json!(rule.tags).to_string())
        .bind(storable(&rule.text).into_owned())
        .bind(i64::from(rule.correlation))
        .bind(now.as_micros())
        .execute(&mut *write)
        .await?;
    }
    write.commit().await
}
