//! What happened around an event on the same host.

use super::search::{SummaryRow, listed_columns};
use super::{EventSummary, Store, StoreError};

/// How far around an event is looked: a host that is mostly silent shall not cost a walk through all that is stored.
const SPAN_MICROS: i64 = 86_400_000_000;

/// Events around one, each list the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Those before it.
    pub before: Vec<EventSummary>,
    /// Those after it.
    pub after: Vec<EventSummary>,
}

impl Store {
    /// Events of the same unit and host within a day of `event`: the nearest, at most `limit` on each side.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn neighbours(
        &self,
        event: &EventSummary,
        limit: u32,
    ) -> Result<Neighbours, StoreError> {
        let mut before = self.beside(event, limit, Side::Before).await?;
        before.reverse();
        Ok(Neighbours {
            before,
            after: self.beside(event, limit, Side::After).await?,
        })
    }

    /// The nearest first.
    async fn beside(
        &self,
        event: &EventSummary,
        limit: u32,
        side: Side,
    ) -> Result<Vec<EventSummary>, StoreError> {
        let (relation, order, from, to) = match side {
            Side::Before => ("<", "DESC", -SPAN_MICROS, 0),
            Side::After => (">", "ASC", 0, SPAN_MICROS),
        };
        let columns = listed_columns();
        // The span lets the primary index cut; the pair decides within one microsecond.
        let sql = format!(
            "SELECT {columns} FROM events WHERE unit = {{unit:String}} AND host = {{host:String}} \
             AND event_time >= fromUnixTimestamp64Micro({{from:Int64}}, 'UTC') \
             AND event_time <= fromUnixTimestamp64Micro({{to:Int64}}, 'UTC') \
             AND (event_time, event_id) {relation} (fromUnixTimestamp64Micro({{time:Int64}}, 'UTC'), {{id:UInt128}}) \
             ORDER BY event_time {order}, event_id {order} LIMIT {limit}"
        );
        let time = event.event_time.as_micros();
        let call = self
            .client
            .query(&sql)
            .param("unit", event.unit.as_str())
            .param("host", event.host.as_str())
            .param("from", time.saturating_add(from))
            .param("to", time.saturating_add(to))
            .param("time", time)
            .param("id", event.id.0.to_string());
        let rows: Vec<SummaryRow> = self.fetch_all("neighbours", call).await?;
        Ok(rows.into_iter().map(EventSummary::from).collect())
    }
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}
