//! What people change about an incident.

use super::{IncidentRow, Stamp, State, note};
use crate::database::Write;

/// A wish to move an incident on in its life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateChange<'a> {
    /// The incident.
    pub(crate) id: &'a str,
    /// The version that was seen; a later one is not overwritten.
    pub(crate) seen_version: i64,
    /// The new state.
    pub(crate) state: State,
}

/// Why it was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// There is none of that id, or not for this person.
    #[error("there is no such incident")]
    Missing,
    /// It is part of another one now.
    #[error("the incident was merged into another")]
    Merged {
        /// Into which.
        into: String,
    },
    /// Somebody changed it since it was read.
    #[error("the incident was changed since you read it")]
    Conflict {
        /// Its version now.
        current: i64,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Changes an incident's state; returns the incident as it is then.
pub(crate) async fn change_state(
    write: &mut Write,
    change: StateChange<'_>,
    stamp: Stamp<'_>,
) -> Result<IncidentRow, ChangeError> {
    let row = locked(write, change.id, change.seen_version).await?;
    if row.state == change.state.name() {
        return Ok(row);
    }
    let now = Some(stamp.at.as_micros());
    // Times of its life: set once on the way up, taken back when it is opened again.
    let (acknowledged_at, resolved_at, closed_at) = match change.state {
        State::New => (None, None, None),
        State::Acknowledged | State::InProgress => (row.acknowledged_at.or(now), None, None),
        State::Resolved => (row.acknowledged_at.or(now), row.resolved_at.or(now), None),
        State::Closed => (row.acknowledged_at.or(now), row.resolved_at.or(now), now),
    };
    sqlx::query(
        "UPDATE incidents SET state = $1, acknowledged_at = $2, resolved_at = $3, closed_at = $4, \
         updated_at = $5, change_sequence = $6, version = version + 1 WHERE id = $7",
    )
    .bind(change.state.name())
    .bind(acknowledged_at)
    .bind(resolved_at)
    .bind(closed_at)
    .bind(stamp.at.as_micros())
    .bind(stamp.change)
    .bind(change.id)
    .execute(&mut **write)
    .await?;
    let what = format!("state: {} -> {}", row.state, change.state.name());
    note(write, change.id, stamp, "state", &what).await?;
    Ok(super::row(write, change.id).await?)
}

/// The incident, if it still is what was seen.
async fn locked(
    write: &mut Write,
    id: &str,
    seen_version: i64,
) -> Result<IncidentRow, ChangeError> {
    let row: Option<IncidentRow> = sqlx::query_as("SELECT * FROM incidents WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut **write)
        .await?;
    let row = row.ok_or(ChangeError::Missing)?;
    if let Some(into) = row.merged_into {
        return Err(ChangeError::Merged { into });
    }
    if row.version != seen_version {
        return Err(ChangeError::Conflict {
            current: row.version,
        });
    }
    Ok(row)
}
