//! Questions to the store: search, one event, matches of late.

use std::net::Ipv6Addr;

use citywatch_parsers::{AgentId, RecordId, StreamId, Timestamp, UnitId};
use clickhouse::Row;
use clickhouse::query::{Query, RowCursor};
use serde::Deserialize;

use super::condition::Params;
use super::language::{self, Node};
use super::query::{EventCursor, EventQuery, EventSummary, MatchCursor, StoredEvent, StoredMatch};
use super::{Store, StoreError};
use crate::matches::{EventId, MatchId};

/// Most events of one answer.
const LIMIT_MAX: u32 = 1_000;
/// Bytes of `raw` that a list is given: a character more than it shows, so that it knows what was cut.
const RAW_SHOWN_BYTES: u32 = 4_096 + 4;

/// Columns of [`SummaryRow`], but for `raw`. Records may be any bytes: what is not UTF-8 is replaced.
const SUMMARY_COLUMNS: &str = "event_id, event_time, received_at, unit, host, format, product, category, \
     service, user, source_address, source_port, destination_address, destination_port, process, \
     parent_process, command_line, hash, url, action, outcome, event_code, \
     arrayFirst(text -> text != '', arrayMap(name -> fields[name], ['message', 'Message', 'msg', 'MESSAGE', 'log'])) AS message";

#[derive(Row, Deserialize)]
pub(super) struct SummaryRow {
    event_id: u128,
    event_time: i64,
    received_at: i64,
    unit: String,
    host: String,
    format: String,
    product: String,
    category: String,
    service: String,
    user: String,
    source_address: Ipv6Addr,
    source_port: u16,
    destination_address: Ipv6Addr,
    destination_port: u16,
    process: String,
    parent_process: String,
    command_line: String,
    hash: String,
    url: String,
    action: String,
    outcome: String,
    event_code: String,
    message: String,
    shown_raw: String,
}

impl From<SummaryRow> for EventSummary {
    fn from(row: SummaryRow) -> Self {
        let address = |address: Ipv6Addr| (!address.is_unspecified()).then_some(address);
        let port = |port: u16| (port != 0).then_some(port);
        Self {
            id: EventId(row.event_id),
            event_time: Timestamp(row.event_time),
            received_at: Timestamp(row.received_at),
            unit: UnitId::from(row.unit.as_str()),
            host: row.host,
            format: row.format,
            product: row.product,
            category: row.category,
            service: row.service,
            user: row.user,
            source_address: address(row.source_address),
            source_port: port(row.source_port),
            destination_address: address(row.destination_address),
            destination_port: port(row.destination_port),
            process: row.process,
            parent_process: row.parent_process,
            command_line: row.command_line,
            hash: row.hash,
            url: row.url,
            action: row.action,
            outcome: row.outcome,
            event_code: row.event_code,
            message: row.message,
            raw: row.shown_raw,
        }
    }
}

#[derive(Row, Deserialize)]
struct DetailRow {
    agent: String,
    stream: String,
    position: u64,
    sub_index: u32,
    fields: Vec<(String, String)>,
    field_kinds: String,
    problems: Vec<String>,
}

#[derive(Row, Deserialize)]
struct MatchDetailRow {
    match_id: u128,
    rule_id: String,
    rule_hash: String,
    rule_title: String,
    level: String,
    correlation: bool,
    unit: String,
    host: String,
    event_time: i64,
    group: Vec<(String, String)>,
    window_start: i64,
    window_end: i64,
    event_count: u64,
    evidence: String,
}

impl Store {
    /// Events that fit the query, newest first. Fewer than its limit means that there are no more.
    ///
    /// # Errors
    /// [`StoreError::Search`] for a line that cannot be read; see [`StoreError`] for the rest.
    pub async fn search(&self, query: &EventQuery) -> Result<Vec<EventSummary>, StoreError> {
        let wanted = language::parse(&query.text)?;
        if query.units.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut params = Params::default();
        let sql = search_sql(query, wanted.as_ref(), &mut params);
        let call = bind_search(self.client.query(&sql), query, &params);
        let rows: Vec<SummaryRow> = self.fetch_all("search", call).await?;
        Ok(rows.into_iter().map(EventSummary::from).collect())
    }

    /// The event with this id, if it is stored.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!(
            "SELECT {SUMMARY_COLUMNS}, toValidUTF8(raw) AS shown_raw FROM events \
             WHERE event_id = {{id:UInt128}} LIMIT 1"
        );
        let call = self.client.query(&sql).param("id", id.0.to_string());
        let Some(row) = self.fetch_all::<SummaryRow>("event", call).await?.pop() else {
            return Ok(None);
        };
        let sql = "SELECT agent, stream, position, sub_index, fields, field_kinds, problems FROM events \
             WHERE event_id = {id:UInt128} AND event_time = fromUnixTimestamp64Micro({time:Int64}, 'UTC') LIMIT 1";
        // The time, now known, lets the primary index find it.
        let call = self
            .client
            .query(sql)
            .param("id", id.0.to_string())
            .param("time", row.event_time);
        let Some(detail) = self.fetch_all::<DetailRow>("event", call).await?.pop() else {
            return Ok(None);
        };
        Ok(Some(StoredEvent {
            summary: row.into(),
            record: RecordId {
                agent: AgentId::from(detail.agent.as_str()),
                stream: StreamId::from(detail.stream.as_str()),
                position: detail.position,
            },
            sub_index: detail.sub_index,
            fields: json_fields(detail.fields, &detail.field_kinds),
            problems: detail.problems,
        }))
    }

    /// The matches of the rules received since `since`, oldest event first, from the one after `after` on: what
    /// rebuilds the correlator. They are read in batches, so that memory stays bounded however many there are.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn recent_matches(
        &self,
        rule_ids: &[String],
        since: Timestamp,
        after: Option<MatchCursor>,
    ) -> Result<RecentMatches<'_>, StoreError> {
        // A correlation that grew has a row per size until they are merged: the largest stands.
        let mut sql = "SELECT match_id, rule_id, rule_hash, rule_title, level, correlation, unit, host, \
             event_time, group, window_start, window_end, event_count, evidence FROM matches FINAL \
             WHERE rule_id IN {rules:Array(String)} AND received_at >= fromUnixTimestamp64Micro({since:Int64}, 'UTC')"
            .to_owned();
        if after.is_some() {
            sql.push_str(
                " AND (event_time, match_id) > (fromUnixTimestamp64Micro({after_time:Int64}, 'UTC'), {after_id:UInt128})",
            );
        }
        sql.push_str(" ORDER BY event_time, match_id");
        let mut call = self
            .client
            .query(&sql)
            .param("rules", rule_ids)
            .param("since", since.as_micros());
        if let Some(MatchCursor { event_time, id }) = after {
            call = call
                .param("after_time", event_time.as_micros())
                .param("after_id", id.0.to_string());
        }
        let rows = call
            .fetch::<MatchDetailRow>()
            .map_err(|error| self.error(RECENT_MATCHES, error))?;
        Ok(RecentMatches { store: self, rows })
    }
}

/// What an error of [`RecentMatches`] calls the question.
const RECENT_MATCHES: &str = "recent_matches";

/// An answer to [`Store::recent_matches`] that is being read.
pub struct RecentMatches<'s> {
    store: &'s Store,
    rows: RowCursor<MatchDetailRow>,
}

impl RecentMatches<'_> {
    /// The next matches: as many as reach `bytes_max` bytes of evidence as it is stored, and none at the end.
    ///
    /// # Errors
    /// See [`StoreError`]; ask anew after the last match that was returned.
    pub async fn next_batch(&mut self, bytes_max: usize) -> Result<Vec<StoredMatch>, StoreError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(row) = self.store.in_time(RECENT_MATCHES, self.rows.next()).await?
        {
            bytes += size_of::<StoredMatch>() + row.evidence.len();
            batch.push(stored_match(row)?);
        }
        Ok(batch)
    }
}

impl std::fmt::Debug for RecentMatches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecentMatches").finish_non_exhaustive()
    }
}

/// Columns of [`SummaryRow`] for a list: of a long record its beginning.
pub(super) fn listed_columns() -> String {
    format!("{SUMMARY_COLUMNS}, toValidUTF8(substring(raw, 1, {RAW_SHOWN_BYTES})) AS shown_raw")
}

fn search_sql(query: &EventQuery, wanted: Option<&Node>, params: &mut Params) -> String {
    let limit = query.limit.clamp(1, LIMIT_MAX);
    let conditions = conditions(query, wanted, params);
    let columns = listed_columns();
    format!(
        "SELECT {columns} FROM events \
         WHERE {conditions} ORDER BY event_time DESC, event_id DESC LIMIT {limit}"
    )
}

/// Which events a query asks for.
pub(super) fn conditions(query: &EventQuery, wanted: Option<&Node>, params: &mut Params) -> String {
    let mut sql = String::from("1");
    if query.from.is_some() {
        sql.push_str(" AND event_time >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')");
    }
    if query.to.is_some() {
        sql.push_str(" AND event_time < fromUnixTimestamp64Micro({to:Int64}, 'UTC')");
    }
    if query.units.is_some() {
        sql.push_str(" AND unit IN {units:Array(String)}");
    }
    if query.cursor.is_some() {
        // The first condition lets the primary index cut; the second decides within one microsecond.
        sql.push_str(
            " AND event_time <= fromUnixTimestamp64Micro({cursor_time:Int64}, 'UTC')\
             \x20AND (event_time, event_id) < (fromUnixTimestamp64Micro({cursor_time:Int64}, 'UTC'), {cursor_id:UInt128})",
        );
    }
    if let Some(wanted) = wanted {
        sql.push_str(" AND ");
        sql.push_str(&wanted.condition(params));
    }
    sql
}

pub(super) fn bind_search(mut call: Query, query: &EventQuery, params: &Params) -> Query {
    if let Some(from) = query.from {
        call = call.param("from", from.as_micros());
    }
    if let Some(to) = query.to {
        call = call.param("to", to.as_micros());
    }
    if let Some(units) = &query.units {
        let units: Vec<&str> = units.iter().map(UnitId::as_str).collect();
        call = call.param("units", units);
    }
    if let Some(EventCursor { event_time, id }) = query.cursor {
        call = call
            .param("cursor_time", event_time.as_micros())
            .param("cursor_id", id.0.to_string());
    }
    params.bind(call)
}

/// Fields as JSON values of the kinds that the record gave them.
fn json_fields(fields: Vec<(String, String)>, kinds: &str) -> Vec<(String, serde_json::Value)> {
    let mut kinds = kinds.chars();
    let fields = fields.into_iter().map(|(name, text)| {
        let value = json_value(kinds.next(), text);
        (name, value)
    });
    fields.collect()
}

/// Numbers, booleans and lists were written by us; should one not read back, its text stands.
fn json_value(kind: Option<char>, text: String) -> serde_json::Value {
    match kind {
        Some('n') => serde_json::Value::Null,
        Some('b' | 'i' | 'u' | 'f' | 'l') => {
            serde_json::from_str(&text).unwrap_or(serde_json::Value::String(text))
        }
        _ => serde_json::Value::String(text),
    }
}

fn stored_match(row: MatchDetailRow) -> Result<StoredMatch, StoreError> {
    let id = MatchId(row.match_id);
    let evidence = serde_json::from_str(&row.evidence).map_err(|error| {
        StoreError::invalid("evidence of match", &id.to_string(), &error.to_string())
    })?;
    let window =
        (row.window_end != 0).then_some((Timestamp(row.window_start), Timestamp(row.window_end)));
    Ok(StoredMatch {
        id,
        rule_id: row.rule_id,
        rule_hash: row.rule_hash,
        rule_title: row.rule_title,
        level: row.level,
        correlation: row.correlation,
        unit: UnitId::from(row.unit.as_str()),
        host: row.host,
        event_time: Timestamp(row.event_time),
        group: row.group,
        window,
        event_count: row.event_count,
        evidence,
    })
}
