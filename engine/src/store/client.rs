//! [`Store`]: the client of ClickHouse and of the chDB endpoint.

use std::collections::HashSet;
use std::future::Future;
use std::time::Duration;

use citywatch_parsers::{AgentId, StreamId};
use clickhouse::{Client, Compression, Row, RowOwned, RowRead, RowWrite};
use serde::Deserialize;
use xxhash_rust::xxh3::Xxh3;

use super::dead_letters::DeadLetterRow;
use super::endpoint::{ROWS_HEADER, ROWS_LOST_CODE};
use super::native;
use super::plan::InsertPlan;
use super::rows::{EventRow, MatchRow};
use super::schema::{self, SCHEMA_VERSION};
use super::told::{InsertClient, InsertClients};
use super::{StoreConfig, StoreError};
use crate::matches::MatchId;

/// The store. Clones share their connections.
#[derive(Clone)]
pub struct Store {
    pub(super) client: Client,
    inserting: InsertClients,
    pub(super) config: StoreConfig,
}

/// Rows per table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, Deserialize, Row)]
pub struct Counts {
    /// Rows of `events`.
    pub events: u64,
    /// Rows of `matches`: a correlation that grew counts once.
    pub matches: u64,
    /// Rows of `dead_letters`.
    pub dead_letters: u64,
}

impl std::fmt::Debug for Store {
    /// Where it is; never the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("url", &self.config().url)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// A client for the store that `config` names. Nothing is sent yet: see [`Store::ping`].
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a configuration that cannot be used.
    pub fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        config.check()?;
        let account = config.clone();
        Ok(Self {
            client: configured(Client::default(), config),
            inserting: InsertClients::new(move |client| configured(client, &account)),
            config: config.clone(),
        })
    }

    /// The configuration that the store was reached by.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Asks for an answer.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] and [`StoreError::TimedOut`] while it starts or is down,
    /// [`StoreError::SignIn`] when user or password are wrong.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let client = self.client.clone().with_database("default");
        let one: u8 = self.fetch_one("ping", client.query("SELECT 1")).await?;
        debug_assert_eq!(one, 1);
        Ok(())
    }

    /// Brings the tables to the present version and the retention to what the configuration says.
    /// May run at each start and on several machines.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] when a newer program made the tables, and all of [`Store::ping`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let database = schema::identifier(&self.config.database);
        let client = self.client.clone().with_database("default");
        self.statement(
            &client,
            &format!("CREATE DATABASE IF NOT EXISTS {database}"),
        )
        .await?;
        self.statement(&client, &schema::versions_table(&self.config))
            .await?;
        let newest = client.query(&format!(
            "SELECT max(version) FROM {database}.schema_versions"
        ));
        let found: u32 = self.fetch_one("migrate", newest).await?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::NewerSchema {
                database: self.config.database.clone(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        for version in found + 1..=SCHEMA_VERSION {
            for statement in schema::migration(version, &self.config) {
                self.statement(&client, &statement).await?;
            }
            let note =
                format!("INSERT INTO {database}.schema_versions (version) VALUES ({version})");
            self.statement(&client, &note).await?;
            tracing::info!(version, database = %self.config.database, "store schema migrated");
        }
        for statement in schema::settings(&self.config) {
            self.statement(&client, &statement).await?;
        }
        Ok(())
    }

    /// The highest position of the stream of which an event is stored: what is at or below it is
    /// known. `None` when nothing of the stream is stored.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn highest_position(
        &self,
        agent: &AgentId,
        stream: &StreamId,
    ) -> Result<Option<u64>, StoreError> {
        #[derive(Row, Deserialize)]
        struct Highest {
            rows: u64,
            position: u64,
        }
        // Answered from the projection `stream_positions`, which is written with each part.
        let query = self
            .client
            .query("SELECT count() AS rows, max(highest) AS position FROM (SELECT max(position) AS highest FROM events WHERE agent = {agent:String} AND stream = {stream:String} GROUP BY agent, stream)")
            .param("agent", agent.as_str())
            .param("stream", stream.as_str());
        let highest: Highest = self.fetch_one("highest_position", query).await?;
        Ok((highest.rows > 0).then_some(highest.position))
    }

    /// Ids of the stored matches whose first event lies after `position` in the stream: those that
    /// a replay from there would find again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn match_ids_after(
        &self,
        agent: &AgentId,
        stream: &StreamId,
        position: Option<u64>,
    ) -> Result<HashSet<MatchId>, StoreError> {
        let query = self
            .client
            .query("SELECT DISTINCT match_id FROM matches WHERE agent = {agent:String} AND stream = {stream:String} AND position >= {first:UInt64}")
            .param("agent", agent.as_str())
            .param("stream", stream.as_str())
            .param("first", position.map_or(0, |position| position.saturating_add(1)));
        let ids: Vec<u128> = self.fetch_all("match_ids_after", query).await?;
        Ok(ids.into_iter().map(MatchId).collect())
    }

    /// Stores a block of events: all of it or, after an error, none.
    ///
    /// Sending the same block again after a retryable error stores it once: its deduplication token
    /// is made of its events' ids.
    ///
    /// # Errors
    /// [`StoreError::is_retryable`] tells whether to send the block again.
    /// [`StoreError::ManyPartitions`] when rows differ in [`EventRow::partition`].
    pub async fn insert_events(&self, rows: &[EventRow]) -> Result<(), StoreError> {
        let token = token("events", rows.iter().map(|row| row.event_id.to_le_bytes()));
        self.insert_events_under(rows, token).await
    }

    /// Stores the events of a plan; nothing where another insert was made under its token, without an error.
    ///
    /// # Errors
    /// See [`Store::insert_events`].
    pub async fn insert_planned(
        &self,
        rows: &[EventRow],
        plan: &InsertPlan,
    ) -> Result<(), StoreError> {
        self.insert_events_under(rows, plan.token().to_owned())
            .await
    }

    async fn insert_events_under(
        &self,
        rows: &[EventRow],
        token: String,
    ) -> Result<(), StoreError> {
        if let Some(first) = rows.first()
            && let Some(other) = rows.iter().find(|row| row.partition() != first.partition())
        {
            return Err(StoreError::ManyPartitions {
                table: "events",
                first: format!("{:?}", first.partition()),
                second: format!("{:?}", other.partition()),
            });
        }
        if rows.is_empty() {
            return Ok(());
        }
        let wait = Some(Duration::from_secs(self.config.insert_timeout_seconds));
        let sent = rows.len() as u64;
        let listening = self.inserting.take();
        let call = async {
            let client = &listening.client;
            let client = client.clone().with_header(ROWS_HEADER, sent.to_string());
            let mut insert = client
                .insert_formatted_with(native::insert_statement())
                .with_timeouts(wait, wait)
                .with_setting("insert_deduplication_token", token);
            for (name, value) in INSERT_SETTINGS {
                insert = insert.with_setting(*name, *value);
            }
            for piece in native::pieces(rows) {
                insert.send(piece.into()).await?;
            }
            listening.listen();
            insert.end().await
        };
        let ended = call.await;
        self.compared("events", sent, listening, ended)
    }

    /// What became of an insert: done only if the server says that it wrote as many rows as were sent. More are none of
    /// ours: they belong to materialized views that an operator has made.
    fn compared(
        &self,
        table: &'static str,
        sent: u64,
        listening: InsertClient,
        ended: Result<(), clickhouse::error::Error>,
    ) -> Result<(), StoreError> {
        ended.map_err(|error| self.insert_error(table, sent, error))?;
        match listening.rows_written() {
            Some(written) if written >= sent => {
                self.inserting.give_back(listening);
                Ok(())
            }
            Some(written) => Err(StoreError::RowsLost {
                table,
                sent,
                written,
            }),
            None => Err(StoreError::RowsUntold {
                url: self.config.url.clone(),
                table,
                sent,
            }),
        }
    }

    /// Stores matches. A match stored before, or a correlation with fewer events, adds nothing that
    /// a reader would see.
    ///
    /// # Errors
    /// See [`Store::insert_events`].
    pub async fn insert_matches(&self, rows: &[MatchRow]) -> Result<(), StoreError> {
        self.insert("matches", rows).await
    }

    /// Stores dead letters. One that is stored already is not stored again; the same one with another
    /// `replayed_at` takes its place.
    ///
    /// # Errors
    /// See [`Store::insert_events`].
    pub async fn insert_dead_letters(&self, rows: &[DeadLetterRow]) -> Result<(), StoreError> {
        self.insert("dead_letters", rows).await
    }

    /// Rows per table.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let query = self.client.query(
            "SELECT assumeNotNull((SELECT count() FROM events)) AS events, \
             assumeNotNull((SELECT uniqExact(match_id) FROM matches)) AS matches, \
             assumeNotNull((SELECT uniqExact(agent, stream, position) FROM dead_letters)) AS dead_letters",
        );
        self.fetch_one("counts", query).await
    }

    pub(super) async fn insert<T>(&self, table: &'static str, rows: &[T]) -> Result<(), StoreError>
    where
        T: Row + for<'a> Row<Value<'a> = T> + RowWrite,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let sent = rows.len() as u64;
        let wait = Duration::from_secs(self.config.insert_timeout_seconds);
        let listening = self.inserting.take();
        let call = async {
            let client = &listening.client;
            let client = client.clone().with_header(ROWS_HEADER, sent.to_string());
            let mut insert = client
                .insert::<T>(table)
                .await?
                .with_timeouts(Some(wait), Some(wait));
            for (name, value) in INSERT_SETTINGS {
                insert = insert.with_setting(*name, *value);
            }
            // The table itself keeps one of each. ClickHouse notes a block as known before its part is there: after a
            // crash in between, the same block would be dropped.
            insert = insert.with_setting("insert_deduplicate", "0");
            for row in rows {
                insert.write(row).await?;
            }
            listening.listen();
            insert.end().await
        };
        let ended = call.await;
        self.compared(table, sent, listening, ended)
    }

    fn insert_error(
        &self,
        table: &'static str,
        sent: u64,
        error: clickhouse::error::Error,
    ) -> StoreError {
        match self.error("insert", error) {
            StoreError::Refused {
                code: ROWS_LOST_CODE,
                message,
                ..
            } => StoreError::RowsLost {
                table,
                sent,
                written: written_rows(&message),
            },
            other => other,
        }
    }

    async fn statement(&self, client: &Client, sql: &str) -> Result<(), StoreError> {
        let call = client.query_raw(sql).execute();
        self.in_time("migrate", call).await
    }

    pub(super) async fn fetch_one<T: RowOwned + RowRead>(
        &self,
        what: &'static str,
        query: clickhouse::query::Query,
    ) -> Result<T, StoreError> {
        self.in_time(what, query.fetch_one::<T>()).await
    }

    pub(super) async fn fetch_all<T: RowOwned + RowRead>(
        &self,
        what: &'static str,
        query: clickhouse::query::Query,
    ) -> Result<Vec<T>, StoreError> {
        self.in_time(what, query.fetch_all::<T>()).await
    }

    pub(super) async fn in_time<T>(
        &self,
        what: &'static str,
        call: impl Future<Output = Result<T, clickhouse::error::Error>>,
    ) -> Result<T, StoreError> {
        let seconds = self.config.query_timeout_seconds;
        match tokio::time::timeout(Duration::from_secs(seconds), call).await {
            Ok(answer) => answer.map_err(|error| self.error(what, error)),
            Err(_) => Err(StoreError::TimedOut {
                url: self.config.url.clone(),
                what,
                seconds,
            }),
        }
    }

    pub(super) fn error(&self, what: &'static str, error: clickhouse::error::Error) -> StoreError {
        StoreError::of_call(&self.config, what, error)
    }
}

/// Settings by which one insert becomes one block, and so one part: stored as a whole or not, and told only once it is.
const INSERT_SETTINGS: &[(&str, &str)] = &[
    ("wait_end_of_query", "1"),
    ("async_insert", "0"),
    ("max_insert_block_size", "10000000"),
    ("min_insert_block_size_rows", "10000000"),
    ("min_insert_block_size_bytes", "0"),
];

/// A client with address and account.
fn configured(client: Client, config: &StoreConfig) -> Client {
    let client = client
        .with_url(&config.url)
        .with_user(&config.user)
        .with_database(&config.database)
        .with_compression(compression(config))
        .with_product_info("citywatch", env!("CARGO_PKG_VERSION"));
    match config.password.expose() {
        "" => client,
        password => client.with_password(password),
    }
}

/// The same rows give the same token, so that ClickHouse drops a block sent twice.
fn token<Id: AsRef<[u8]>>(table: &str, ids: impl Iterator<Item = Id>) -> String {
    let mut hasher = Xxh3::new();
    for id in ids {
        hasher.update(&(id.as_ref().len() as u64).to_le_bytes());
        hasher.update(id.as_ref());
    }
    format!("{table}:{:032x}", hasher.digest128())
}

/// On loopback compression costs more than it saves, and our endpoint knows none; blocks are compressed on disk.
fn compression(config: &StoreConfig) -> Compression {
    if config.is_on_this_machine() {
        Compression::None
    } else {
        Compression::Lz4
    }
}

/// What the endpoint says: `Code: 91001. DB::Exception: 5 rows written of 10 sent`.
fn written_rows(message: &str) -> u64 {
    let count = message
        .split_once(" rows written of ")
        .map_or("", |(before, _)| before);
    count
        .rsplit(' ')
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
