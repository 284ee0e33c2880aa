//! What is about to be inserted into `events`, in a line of text that a transport keeps.
//!
//! Who finds the plan of somebody else, or its own of before a crash, cannot know whether the insert was made, will
//! be made or never will: its sender may be stopped, or its bytes be on their way. [`Store::settle`] decides it: ClickHouse
//! takes one insert only under a deduplication token, so a row of ours under the plan's token shuts out what has
//! not been inserted by then. Where the insert came first, its rows are there to be seen; our row was dropped in its stead.
//!
//! Such a row ("claim") belongs to no unit and to the year 1970: nobody who looks for events meets it.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

use clickhouse::Row;
use serde::Deserialize;

use super::rows::EventRow;
use super::{Store, StoreError};

const DAY_US: i64 = 86_400 * 1_000_000;
/// First word of a plan's text.
const MARK: &str = "events1";
/// Agent, stream and format of a claim.
pub(super) const CLAIM: &str = "citywatch/claim";

/// One insert into `events`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsertPlan {
    token: String,
    day: i64,
    retention_class: String,
    /// Id of one of its events: where it is stored, all of them are.
    witness: u128,
}

impl InsertPlan {
    /// The plan of an insert of these rows, of one partition; none without rows. Each plan has a token of its own:
    /// who plans the same rows again does so because the plan before is shut out.
    pub fn of(rows: &[EventRow]) -> Option<Self> {
        let first = rows.first()?;
        let (day, retention_class) = first.partition();
        let [high, low] = [1u8, 2].map(|half| RandomState::new().hash_one(half));
        Some(Self {
            token: format!("events:{high:016x}{low:016x}"),
            day,
            retention_class: retention_class.to_owned(),
            witness: first.event_id,
        })
    }

    /// Its deduplication token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    fn claim(&self) -> EventRow {
        EventRow {
            event_id: u128::from(RandomState::new().hash_one(&self.token)),
            received_at: self.day * DAY_US,
            retention_class: self.retention_class.clone().into(),
            agent: CLAIM.into(),
            stream: CLAIM.into(),
            format: CLAIM,
            ..EventRow::empty()
        }
    }
}

impl fmt::Display for InsertPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            token,
            day,
            retention_class,
            witness,
        } = self;
        write!(f, "{MARK} {token} {day} {witness:032x} {retention_class}")
    }
}

impl FromStr for InsertPlan {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let read = || {
            let mut words = text.splitn(5, ' ');
            let mut next = || words.next().filter(|word| !word.is_empty());
            let mark = next()? == MARK;
            let plan = Self {
                token: next()?.to_owned(),
                day: next()?.parse().ok()?,
                witness: u128::from_str_radix(next()?, 16).ok()?,
                retention_class: next()?.to_owned(),
            };
            let in_range = (-100_000..100_000).contains(&plan.day);
            (mark && in_range).then_some(plan)
        };
        read().ok_or_else(|| StoreError::invalid("plan", text, "it is none of this program's"))
    }
}

impl Store {
    /// Whether the insert that was planned is stored.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn has_stored(&self, plan: &InsertPlan) -> Result<bool, StoreError> {
        #[derive(Row, Deserialize)]
        struct Found {
            rows: u64,
        }
        let query = self
            .client
            .query("SELECT count() AS rows FROM events WHERE event_id = {witness:UInt128} AND received_at >= fromUnixTimestamp64Micro({from:Int64}) AND received_at < fromUnixTimestamp64Micro({to:Int64})")
            .param("witness", plan.witness.to_string())
            .param("from", plan.day * DAY_US)
            .param("to", (plan.day + 1) * DAY_US);
        let found: Found = self.fetch_one("has_stored", query).await?;
        Ok(found.rows > 0)
    }

    /// Makes sure that the insert is stored by now or never will be.
    ///
    /// # Errors
    /// See [`Store::insert_events`].
    pub async fn settle(&self, plan: &InsertPlan) -> Result<(), StoreError> {
        if self.has_stored(plan).await? {
            return Ok(());
        }
        tracing::info!(%plan, "what was planned and is not stored is shut out");
        metrics::counter!("citywatch_store_claims_total").increment(1);
        self.insert_planned(&[plan.claim()], plan).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::STANDARD_RETENTION;
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let row = EventRow {
            event_id: 7,
            received_at: 3 * DAY_US + 5,
            retention_class: STANDARD_RETENTION.into(),
            ..EventRow::empty()
        };
        let plan = InsertPlan::of(std::slice::from_ref(&row)).expect("it has a row");
        assert_eq!(
            plan.to_string().parse::<InsertPlan>().ok(),
            Some(plan.clone())
        );
        assert_ne!(
            InsertPlan::of(&[row]).map(|plan| plan.token),
            Some(plan.token)
        );
        for other in [
            "",
            "events1",
            "events1 t 3 zz standard",
            "events1 t 999999999999 7 standard",
            "offset of another program 7 x",
        ] {
            assert!(other.parse::<InsertPlan>().is_err(), "{other}");
        }
    }
}
