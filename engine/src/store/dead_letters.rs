//! Dead letters: what could not be parsed or stored, as the table keeps it and as it is asked for.
//!
//! A dead letter is known by its record (agent, stream, position). The id that people type is a hash
//! of that, made by the database; any beginning of it that no other letter shares is enough.

use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{LogSource, Origin, Record, RecordBatch, Timestamp};
use clickhouse::Row;
use clickhouse::query::Query;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

use super::rows::{EventRow, clamp_received_at, serialize_raw};
use super::{Store, StoreError};

/// Most dead letters of one answer.
const LIMIT_MAX: u32 = 10_000;
/// Longest beginning of a reason that a list shows, in characters.
const REASON_SHOWN: u32 = 500;
/// Shortest beginning of an id that is looked for.
const ID_MIN: usize = 4;
/// The id, as the database makes it.
const ID: &str = "lower(hex(sipHash128(toString(agent), toString(stream), position)))";

/// What could not be parsed or stored, as table `dead_letters` holds it.
#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
pub struct DeadLetterRow {
    /// The agent that read it.
    pub agent: String,
    /// The agent's stream.
    pub stream: String,
    /// Position in the stream.
    pub position: u64,
    /// Microseconds.
    pub received_at: i64,
    /// The office's id.
    pub unit: String,
    /// Where it was read.
    pub host: String,
    /// The format it was said to have.
    pub format: String,
    /// Whether it was cut at its size bound.
    pub truncated: bool,
    /// Product of the log source that it was said to have.
    pub product: String,
    /// Its category.
    pub category: String,
    /// Its service.
    pub service: String,
    /// Kind of reason, for counting: `internal_error`, `undecodable`, `refused`, `unreadable`, `not_stored`.
    pub kind: String,
    /// The reason in words.
    pub reason: String,
    /// When its events were stored after all, in microseconds; 0: not yet.
    pub replayed_at: i64,
    /// The record as it was written.
    #[serde(serialize_with = "serialize_raw", deserialize_with = "deserialize_raw")]
    pub raw: Vec<u8>,
}

impl DeadLetterRow {
    /// The row of an event that the store refused for `reason`. `origin` is its record's.
    pub fn from_event_row(row: &EventRow, origin: &Origin, kind: &str, reason: &str) -> Self {
        let record = Record {
            origin,
            raw: &row.raw,
            position: row.position,
            received_at: Timestamp(row.received_at),
            truncated: Truncated::No,
        };
        Self::from_record(&record, kind, reason)
    }

    /// The row of `record`, which could not be handled for `reason`.
    pub fn from_record(record: &Record<'_>, kind: &str, reason: &str) -> Self {
        let origin = record.origin;
        Self {
            agent: origin.agent.to_string(),
            stream: origin.stream.to_string(),
            position: record.position,
            received_at: clamp_received_at(record.received_at),
            unit: origin.unit.to_string(),
            host: origin.host.as_deref().unwrap_or("").into(),
            format: origin.format.to_string(),
            truncated: record.truncated == Truncated::Yes,
            product: origin.log_source.product.to_string(),
            category: origin.log_source.category.to_string(),
            service: origin.log_source.service.to_string(),
            kind: kind.into(),
            reason: reason.into(),
            replayed_at: 0,
            raw: record.raw.to_vec(),
        }
    }

    /// The record as the transport delivered it, with the same identity.
    pub fn to_batch(&self) -> RecordBatch {
        let origin = Origin {
            unit: self.unit.as_str().into(),
            agent: self.agent.as_str().into(),
            stream: self.stream.as_str().into(),
            host: (!self.host.is_empty()).then(|| self.host.as_str().into()),
            format: self.format.as_str().into(),
            log_source: LogSource {
                product: self.product.clone().into(),
                category: self.category.clone().into(),
                service: self.service.clone().into(),
            },
        };
        let truncated = if self.truncated {
            Truncated::Yes
        } else {
            Truncated::No
        };
        let mut batch = RecordBatch::new(origin.into());
        batch.push(
            &self.raw,
            self.position,
            Timestamp(self.received_at),
            truncated,
        );
        batch
    }
}

/// Which dead letters are meant. All conditions that are set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Beginnings of ids, at least four digits each; empty: any.
    pub ids: Vec<String>,
    /// The kind of reason, or a part of its words in any case.
    pub reason: Option<String>,
    /// The office's id.
    pub unit: Option<String>,
    /// The agent.
    pub agent: Option<String>,
    /// The agent's stream.
    pub stream: Option<String>,
    /// Earliest `received_at`, inclusive.
    pub from: Option<Timestamp>,
    /// Latest `received_at`, exclusive.
    pub to: Option<Timestamp>,
    /// Whether those whose events were stored after all are meant, too.
    pub replayed: Replayed,
}

/// What to do with dead letters that were replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replayed {
    /// Leave them out.
    #[default]
    LeftOut,
    /// Show them, too.
    Included,
}

/// Where the reading of dead letters, oldest first, stands: the last one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterCursor {
    received_at: i64,
    agent: String,
    stream: String,
    position: u64,
}

impl DeadLetterCursor {
    /// The place of this one.
    pub fn of(row: &DeadLetterRow) -> Self {
        Self {
            received_at: row.received_at,
            agent: row.agent.clone(),
            stream: row.stream.clone(),
            position: row.position,
        }
    }
}

/// A dead letter as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Hash of agent, stream and position; hexadecimal.
    pub id: String,
    /// The agent that read it.
    pub agent: String,
    /// The agent's stream.
    pub stream: String,
    /// Position in the stream.
    pub position: u64,
    /// When it was received, in microseconds.
    pub received_at: i64,
    /// The office's id.
    pub unit: String,
    /// Where it was read.
    pub host: String,
    /// The format it was said to have.
    pub format: String,
    /// Kind of reason.
    pub kind: String,
    /// The reason in words; cut when it is long.
    pub reason: String,
    /// Bytes of the record.
    pub bytes: u64,
    /// When its events were stored after all, in microseconds; 0: not yet.
    pub replayed_at: i64,
}

impl Store {
    /// Dead letters that fit the query, newest first, at most `limit` (1 to 10,000).
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an id that cannot be one; see [`StoreError`] for the rest.
    pub async fn dead_letters(
        &self,
        query: &DeadLetterQuery,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let limit = limit.clamp(1, LIMIT_MAX);
        let sql = format!(
            "SELECT {ID} AS id, agent, stream, position, received_at, unit, host, format, kind, \
             substringUTF8(reason, 1, {REASON_SHOWN}) AS reason, length(raw) AS bytes, replayed_at \
             FROM dead_letters FINAL WHERE {} ORDER BY received_at DESC, agent, stream, position DESC LIMIT {limit}",
            conditions(query)?
        );
        let call = bind(self.client.query(&sql), query);
        self.fetch_all("dead_letters", call).await
    }

    /// The dead letters whose id begins so, at most two: more than one means that more digits are needed.
    ///
    /// # Errors
    /// See [`Store::dead_letters`].
    pub async fn dead_letter(&self, id: &str) -> Result<Vec<DeadLetterRow>, StoreError> {
        let query = DeadLetterQuery {
            ids: vec![id.to_owned()],
            replayed: Replayed::Included,
            ..DeadLetterQuery::default()
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM dead_letters FINAL WHERE {} LIMIT 2",
            conditions(&query)?
        );
        let call = bind(self.client.query(&sql), &query);
        self.fetch_all("dead_letter", call).await
    }

    /// The next dead letters that fit the query with their bytes, oldest first, from the one after `after`
    /// on: as many as reach `bytes_max` bytes, and none at the end.
    ///
    /// # Errors
    /// See [`Store::dead_letters`].
    pub async fn next_dead_letters(
        &self,
        query: &DeadLetterQuery,
        after: Option<&DeadLetterCursor>,
        rows_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<DeadLetterRow>, StoreError> {
        const WHAT: &str = "next_dead_letters";
        let mut sql = format!(
            "SELECT {COLUMNS} FROM dead_letters FINAL WHERE {}",
            conditions(query)?
        );
        if after.is_some() {
            sql.push_str(
                " AND (received_at, agent, stream, position) > (fromUnixTimestamp64Micro({after_time:Int64}, 'UTC'), \
                 {after_agent:String}, {after_stream:String}, {after_position:UInt64})",
            );
        }
        write!(
            sql,
            " ORDER BY received_at, agent, stream, position LIMIT {rows_max}"
        )
        .expect("writing to a String cannot fail");
        let mut call = bind(self.client.query(&sql), query);
        if let Some(after) = after {
            call = call
                .param("after_time", after.received_at)
                .param("after_agent", &after.agent)
                .param("after_stream", &after.stream)
                .param("after_position", after.position);
        }
        let mut answer = call
            .fetch::<DeadLetterRow>()
            .map_err(|error| self.error(WHAT, error))?;
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < bytes_max
            && let Some(row) = self.in_time(WHAT, answer.next()).await?
        {
            bytes += size_of::<DeadLetterRow>() + row.raw.len();
            rows.push(row);
        }
        Ok(rows)
    }

    /// Those of `positions` of a stream of which an event is stored. `received_at` is the first and the last
    /// receipt of these records: events of other days are not looked at.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn stored_positions(
        &self,
        agent: &str,
        stream: &str,
        positions: &[u64],
        received_at: (Timestamp, Timestamp),
    ) -> Result<HashSet<u64>, StoreError> {
        let sql = "SELECT DISTINCT position FROM events WHERE agent = {agent:String} AND stream = {stream:String} \
             AND received_at >= fromUnixTimestamp64Micro({first:Int64}, 'UTC') \
             AND received_at <= fromUnixTimestamp64Micro({last:Int64}, 'UTC') AND position IN {positions:Array(UInt64)}";
        let call = self
            .client
            .query(sql)
            .param("agent", agent)
            .param("stream", stream)
            .param("first", clamp_received_at(received_at.0))
            .param("last", clamp_received_at(received_at.1))
            .param("positions", positions);
        let found: Vec<u64> = self.fetch_all("stored_positions", call).await?;
        Ok(found.into_iter().collect())
    }
}

/// Columns of [`DeadLetterRow`].
const COLUMNS: &str = "agent, stream, position, received_at, unit, host, format, truncated, product, \
     category, service, kind, reason, replayed_at, raw";

fn conditions(query: &DeadLetterQuery) -> Result<String, StoreError> {
    let mut sql = match query.replayed {
        Replayed::LeftOut => "replayed_at = fromUnixTimestamp64Micro(0, 'UTC')",
        Replayed::Included => "1",
    }
    .to_owned();
    for id in &query.ids {
        let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if id.len() < ID_MIN || id.len() > 32 || !digits {
            return Err(StoreError::invalid(
                "id of a dead letter",
                id,
                "an id is up to 32 hexadecimal digits; its first four or more are enough",
            ));
        }
    }
    if !query.ids.is_empty() {
        sql.push_str(" AND arrayExists(start -> startsWith(");
        sql.push_str(ID);
        sql.push_str(", start), {ids:Array(String)})");
    }
    let set = [
        (
            query.reason.is_some(),
            "(kind = {reason:String} OR positionCaseInsensitiveUTF8(dead_letters.reason, {reason:String}) > 0)",
        ),
        (query.unit.is_some(), "unit = {unit:String}"),
        (query.agent.is_some(), "agent = {agent:String}"),
        (query.stream.is_some(), "stream = {stream:String}"),
        (
            query.from.is_some(),
            "received_at >= fromUnixTimestamp64Micro({from:Int64}, 'UTC')",
        ),
        (
            query.to.is_some(),
            "received_at < fromUnixTimestamp64Micro({to:Int64}, 'UTC')",
        ),
    ];
    for (_, condition) in set.iter().filter(|(set, _)| *set) {
        sql.push_str(" AND ");
        sql.push_str(condition);
    }
    Ok(sql)
}

fn bind(mut call: Query, query: &DeadLetterQuery) -> Query {
    if !query.ids.is_empty() {
        let ids: Vec<String> = query.ids.iter().map(|id| id.to_ascii_lowercase()).collect();
        call = call.param("ids", ids);
    }
    let texts = [
        ("reason", &query.reason),
        ("unit", &query.unit),
        ("agent", &query.agent),
        ("stream", &query.stream),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            call = call.param(name, text);
        }
    }
    for (name, time) in [("from", query.from), ("to", query.to)] {
        if let Some(time) = time {
            call = call.param(name, time.as_micros());
        }
    }
    call
}

/// Bytes of a column of type String, which need not be UTF-8.
fn deserialize_raw<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Raw;

    impl Visitor<'_> for Raw {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }

    deserializer.deserialize_byte_buf(Raw)
}
