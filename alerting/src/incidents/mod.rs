//! Incidents: alerts grouped by what they are about, with a life.
//!
//! Invariants:
//! - Every change happens in a transaction that has counted up the counter of changes first, and writes
//!   that number into the incident: who follows the changes misses none and needs no table of them.
//! - `version` counts what people change, for optimistic locking; alerts that join and scores that change leave it
//!   alone, or nobody could close an incident that is still growing.

mod change;
mod entity;
mod facets;
mod merge;
mod read;
mod rescore;
mod row;
mod score;
mod similar;
mod tags;
mod unit;
mod view;

pub use change::Verdict;
pub(crate) use change::{Change, ChangeError, Edit, change, comment, report, take_in};
pub(crate) use entity::{EntityPage, entity};
pub(crate) use facets::{Facets, NOBODY, Watch, facets};
pub(crate) use merge::merge;
pub(crate) use read::{
    IncidentFilter, Order, changed_after, count, detail, list, one, visible_ids,
};
pub(crate) use rescore::{Rescorer, Rescores};
pub(crate) use row::{IncidentRow, insert, row};
pub(crate) use score::{Judged, judged, rescore, score};
pub(crate) use similar::{Similar, similar};
pub(crate) use tags::joined_tags;
pub(crate) use unit::{common_unit, move_to};
pub(crate) use view::{Entity, Incident, IncidentDetail, NameValue, json, rfc3339};

use std::collections::BTreeMap;

use citywatch_parsers::Timestamp;
use serde::{Deserialize, Serialize};

use crate::database::{Write, storable};

/// Who stands in the history for what nobody did by hand.
pub(crate) const SYSTEM: &str = "citywatch";

/// Where an incident is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = IncidentState)]
pub enum State {
    /// Nobody has looked at it.
    New,
    /// Somebody has seen it.
    Acknowledged,
    /// Somebody works on it.
    InProgress,
    /// What had to be done is done.
    Resolved,
    /// Nothing is left to do.
    Closed,
}

impl State {
    /// All, in the order of life.
    pub const ALL: [Self; 5] = [
        Self::New,
        Self::Acknowledged,
        Self::InProgress,
        Self::Resolved,
        Self::Closed,
    ];

    /// Those that wait for somebody.
    pub const OPEN: [Self; 3] = [Self::New, Self::Acknowledged, Self::InProgress];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::InProgress => "in_progress",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }

    /// The state of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// Who changes something, when, at which place in the stream of changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) at: Timestamp,
    pub(crate) who: &'a str,
    pub(crate) change: i64,
}

/// Adds a line to an incident's history; `parts` says the same for who says it in another language.
pub(crate) async fn note(
    write: &mut Write,
    incident_id: &str,
    stamp: Stamp<'_>,
    kind: &str,
    what: &str,
    parts: &[(&str, &str)],
) -> Result<(), sqlx::Error> {
    let parts: BTreeMap<&str, &str> = parts.iter().copied().collect();
    let parts = serde_json::to_string(&parts).expect("texts always serialize");
    sqlx::query(
        "INSERT INTO incident_history (incident_id, number, at, who, kind, what, parameters) \
         SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4, $5, $6 \
         FROM incident_history WHERE incident_id = $1",
    )
    .bind(incident_id)
    .bind(stamp.at.as_micros())
    .bind(stamp.who)
    .bind(kind)
    .bind(what)
    .bind(storable(&parts).into_owned())
    .execute(&mut **write)
    .await?;
    Ok(())
}
