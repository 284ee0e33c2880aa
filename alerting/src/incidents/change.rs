//! What people change about an incident.

use serde::{Deserialize, Serialize};

use super::{IncidentRow, Stamp, State, note};
use crate::accounts::Role;
use crate::config::IncidentsConfig;
use crate::database::{Write, storable};

/// What an incident turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An attack.
    TruePositive,
    /// The rule was right, and what happened was allowed.
    BenignTruePositive,
    /// The rule was wrong.
    FalsePositive,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 3] = [
        Self::TruePositive,
        Self::BenignTruePositive,
        Self::FalsePositive,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TruePositive => "true_positive",
            Self::BenignTruePositive => "benign_true_positive",
            Self::FalsePositive => "false_positive",
        }
    }

    /// The verdict of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }
}

/// What to do with a field that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Edit<T> {
    /// Leave it.
    #[default]
    Keep,
    /// Empty it.
    Clear,
    /// Write this.
    Set(T),
}

impl<T> Edit<T> {
    fn apply(self, current: Option<T>) -> Option<T> {
        match self {
            Self::Keep => current,
            Self::Clear => None,
            Self::Set(value) => Some(value),
        }
    }
}

/// A wish to change an incident.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) state: Option<State>,
    pub(crate) verdict: Edit<Verdict>,
    pub(crate) verdict_reason: Edit<String>,
    /// A person's name.
    pub(crate) assignee: Edit<String>,
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
    /// An incident cannot take itself in.
    #[error("an incident cannot be merged into itself")]
    Itself,
    /// It cannot be assigned to a viewer, or to somebody who does not see it.
    #[error(
        "{name:?} may not work on this incident: it is outside of their units, or they only look"
    )]
    MayNotWorkOnIt {
        /// Who.
        name: String,
    },
    /// A closed incident says what it turned out to be: rules are judged by that.
    #[error(
        "a closed incident needs a verdict: send one in the same change, or reopen the incident \
         to take its verdict away"
    )]
    VerdictNeeded,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ChangeError {
    /// The word by which clients know it.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Merged { .. } => "merged",
            Self::Conflict { .. } => "conflict",
            Self::Itself | Self::MayNotWorkOnIt { .. } => "invalid",
            Self::VerdictNeeded => "verdict_needed",
            Self::Database(_) => "unavailable",
        }
    }
}

/// Changes an incident if its version still is `seen_version`; returns it as it was and as it is then. A wish that
/// changes nothing counts as no change.
pub(crate) async fn change(
    write: &mut Write,
    id: &str,
    seen_version: i64,
    change: Change,
    stamp: Stamp<'_>,
) -> Result<(IncidentRow, IncidentRow), ChangeError> {
    let before = locked(write, id, seen_version).await?;
    let after = changed(&before, change, stamp);
    if after == before {
        return Ok((before, after));
    }
    // What was closed without one by an older version can still be changed otherwise.
    if lacks_verdict(&after) && !lacks_verdict(&before) {
        return Err(ChangeError::VerdictNeeded);
    }
    if after.assignee != before.assignee
        && let Some(name) = &after.assignee
        && !may_work_on(write, name, &before.unit).await?
    {
        return Err(ChangeError::MayNotWorkOnIt { name: name.clone() });
    }
    sqlx::query(
        "UPDATE incidents SET state = $1, acknowledged_at = $2, resolved_at = $3, closed_at = $4, \
         assignee = $5, verdict = $6, verdict_reason = $7, updated_at = $8, change_sequence = $9, \
         version = version + 1 WHERE id = $10",
    )
    .bind(after.state.as_str())
    .bind(after.acknowledged_at)
    .bind(after.resolved_at)
    .bind(after.closed_at)
    .bind(after.assignee.as_deref())
    .bind(after.verdict.as_deref())
    .bind(after.verdict_reason.as_deref())
    .bind(stamp.at.as_micros())
    .bind(stamp.change)
    .bind(id)
    .execute(&mut **write)
    .await?;
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let lines = [
        ("state", before.state.clone(), after.state.clone()),
        ("assignee", text(&before.assignee), text(&after.assignee)),
        ("verdict", text(&before.verdict), text(&after.verdict)),
        (
            "verdict_reason",
            text(&before.verdict_reason),
            text(&after.verdict_reason),
        ),
    ];
    for (kind, from, to) in lines {
        if from != to {
            note(
                write,
                id,
                stamp,
                kind,
                &format!("{}: {from} -> {to}", kind.replace('_', " ")),
                &[("from", from.as_str()), ("to", to.as_str())],
            )
            .await?;
        }
    }
    let after = super::row(write, id).await?;
    Ok((before, after))
}

fn lacks_verdict(incident: &IncidentRow) -> bool {
    incident.state == State::Closed.name() && incident.verdict.is_none()
}

fn changed(before: &IncidentRow, change: Change, stamp: Stamp<'_>) -> IncidentRow {
    let mut after = before.clone();
    after.assignee = change.assignee.apply(after.assignee);
    let verdict = match change.verdict {
        Edit::Keep => Edit::Keep,
        Edit::Clear => Edit::Clear,
        Edit::Set(verdict) => Edit::Set(verdict.name().to_owned()),
    };
    after.verdict = verdict.apply(after.verdict);
    after.verdict_reason = change
        .verdict_reason
        .apply(after.verdict_reason)
        .map(|reason| storable(&reason).into_owned());
    if let Some(state) = change.state.filter(|state| state.name() != before.state) {
        let now = Some(stamp.at.as_micros());
        after.state = state.name().to_owned();
        // Times of its life: set once on the way up, taken back when it is opened again.
        let acknowledged_at = before.acknowledged_at.or(now);
        (after.acknowledged_at, after.resolved_at, after.closed_at) = match state {
            State::New => (None, None, None),
            State::Acknowledged | State::InProgress => (acknowledged_at, None, None),
            State::Resolved => (acknowledged_at, before.resolved_at.or(now), None),
            State::Closed => (acknowledged_at, before.resolved_at.or(now), now),
        };
    }
    after
}

/// Adds a comment. Comments only ever add, so they need no version and change none.
pub(crate) async fn comment(
    write: &mut Write,
    id: &str,
    text: &str,
    stamp: Stamp<'_>,
) -> Result<(), ChangeError> {
    found(write, id).await?;
    sqlx::query("UPDATE incidents SET updated_at = $1, change_sequence = $2 WHERE id = $3")
        .bind(stamp.at.as_micros())
        .bind(stamp.change)
        .bind(id)
        .execute(&mut **write)
        .await?;
    Ok(note(write, id, stamp, "comment", &storable(text), &[]).await?)
}

/// Notes that a report was handed in, which stops its clock; false when one was handed in before.
pub(crate) async fn report(
    write: &mut Write,
    id: &str,
    clock: &str,
    reference: &str,
    stamp: Stamp<'_>,
) -> Result<bool, ChangeError> {
    found(write, id).await?;
    let new = sqlx::query(
        "INSERT INTO incident_reports (incident_id, clock, reported_at, who, reference) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(clock)
    .bind(stamp.at.as_micros())
    .bind(stamp.who)
    .bind(storable(reference).as_ref())
    .execute(&mut **write)
    .await?;
    if new.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("UPDATE incidents SET updated_at = $1, change_sequence = $2 WHERE id = $3")
        .bind(stamp.at.as_micros())
        .bind(stamp.change)
        .bind(id)
        .execute(&mut **write)
        .await?;
    let what = [clock, reference].join(" ");
    let parts = [("clock", clock), ("reference", reference)];
    let what = storable(what.trim()).into_owned();
    note(write, id, stamp, "report", &what, &parts).await?;
    Ok(true)
}

/// Lets an incident take in others.
pub(crate) async fn take_in(
    write: &mut Write,
    id: &str,
    seen_version: i64,
    others: &[String],
    stamp: Stamp<'_>,
    config: &IncidentsConfig,
) -> Result<IncidentRow, ChangeError> {
    let mut into = locked(write, id, seen_version).await?;
    for other in others {
        if other == id {
            return Err(ChangeError::Itself);
        }
        let from = found(write, other).await?;
        super::merge(write, &into, &from, stamp, config).await?;
        into = super::row(write, id).await?;
    }
    Ok(into)
}

/// The incident, if it still is what was seen.
async fn locked(
    write: &mut Write,
    id: &str,
    seen_version: i64,
) -> Result<IncidentRow, ChangeError> {
    let row = found(write, id).await?;
    if row.version != seen_version {
        return Err(ChangeError::Conflict {
            current: row.version,
        });
    }
    Ok(row)
}

/// Whether a person may change incidents of a unit.
async fn may_work_on(write: &mut Write, name: &str, unit: &str) -> Result<bool, sqlx::Error> {
    let found: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM users WHERE name = $1 AND disabled = 0 AND role <> $2 AND (unit_root = '' \
         OR unit_root = $3 OR EXISTS (SELECT 1 FROM unit_ancestors AS above \
         WHERE above.ancestor = users.unit_root AND above.unit = $3))",
    )
    .bind(name)
    .bind(Role::Viewer.name())
    .bind(unit)
    .fetch_one(&mut **write)
    .await?;
    Ok(found > 0)
}

/// The incident, if it is not part of another.
async fn found(write: &mut Write, id: &str) -> Result<IncidentRow, ChangeError> {
    let row: Option<IncidentRow> = sqlx::query_as("SELECT * FROM incidents WHERE id = $1")
        .bind(id)
        .fetch_optional(&mut **write)
        .await?;
    let row = row.ok_or(ChangeError::Missing)?;
    match row.merged_into {
        Some(into) => Err(ChangeError::Merged { into }),
        None => Ok(row),
    }
}
