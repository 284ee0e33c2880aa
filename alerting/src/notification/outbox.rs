//! The outbox: messages that wait, were sent, or were given up.

use std::collections::BTreeMap;

use citywatch_parsers::Timestamp;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::delivery::{DeliveryError, DeliveryFault};
use super::item::{Item, Subject};
use super::routes::Route;
use crate::accounts::{Scope, random_token};
use crate::clock::{Clock, MINUTE_MICROS};
use crate::database::{Database, Write, storable};
use crate::incidents::{IncidentRow, rfc3339};
use crate::sql::Conditions;

/// Items that a message lists; those beyond are counted.
const ITEMS_MAX: i64 = 100;

/// The routes that want to be told of an incident.
async fn matching_routes(
    write: &mut Write,
    row: &IncidentRow,
    subject: Subject,
) -> Result<Vec<Route>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM notification_routes AS route WHERE route.enabled = 1 \
         AND route.severity_min <= $1 AND (route.unit = '' OR route.unit = $2 OR EXISTS \
         (SELECT 1 FROM unit_ancestors AS above WHERE above.ancestor = route.unit AND above.unit = $2)) \
         ORDER BY route.id",
    )
    .bind(row.severity)
    .bind(row.unit.as_str())
    .fetch_all(&mut **write)
    .await?;
    let mut routes: Vec<Route> = rows.iter().map(Route::read).collect::<Result<_, _>>()?;
    routes.retain(|route| route.subjects.contains(&subject));
    Ok(routes)
}

/// Writes what happened to an incident into the messages of the routes that want to be told.
pub(crate) async fn enqueue(
    write: &mut Write,
    row: &IncidentRow,
    subject: Subject,
    clock: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for route in matching_routes(write, row, subject).await? {
        let item = Item::of(row, subject, clock, now.as_micros());
        add(write, &route.id, route.group_minutes, &item, now).await?;
    }
    Ok(())
}

/// The same for the routes that were not told when it was opened: it was less severe than they want to know of.
pub(crate) async fn enqueue_raised(
    write: &mut Write,
    row: &IncidentRow,
    severity_before: i64,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    for route in matching_routes(write, row, Subject::Opened).await? {
        if route.severity_min.rank() > severity_before {
            let item = Item::of(row, Subject::Opened, "", now.as_micros());
            add(write, &route.id, route.group_minutes, &item, now).await?;
        }
    }
    Ok(())
}

/// A message of its own that says that it is a test.
pub(crate) async fn enqueue_test(
    write: &mut Write,
    route_id: &str,
    now: Timestamp,
) -> Result<String, sqlx::Error> {
    let id = new_message(write, route_id, now, now.as_micros()).await?;
    insert_item(write, &id, 1, &Item::test(now.as_micros())).await?;
    Ok(id)
}

/// Adds an item to the message that gathers for the route, or to a new one.
async fn add(
    write: &mut Write,
    route_id: &str,
    group_minutes: i64,
    item: &Item,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let gathering: Option<String> = sqlx::query_scalar(
        "SELECT id FROM notification_messages WHERE route_id = $1 AND state = 'waiting' \
         AND attempts = 0 AND claimed_until IS NULL AND next_attempt_at > $2 \
         ORDER BY created_at DESC LIMIT 1",
    )
    .bind(route_id)
    .bind(now.as_micros())
    .fetch_optional(&mut **write)
    .await?;
    if let Some(id) = gathering {
        // Whoever sends it may have taken it meanwhile: then it is no longer added to.
        let number: Option<i64> = sqlx::query_scalar(
            "UPDATE notification_messages SET item_count = item_count + 1 \
             WHERE id = $1 AND claimed_until IS NULL AND attempts = 0 RETURNING item_count",
        )
        .bind(id.as_str())
        .fetch_optional(&mut **write)
        .await?;
        if let Some(number) = number {
            if number <= ITEMS_MAX {
                insert_item(write, &id, number, item).await?;
            }
            return Ok(());
        }
    }
    let send_at = now.as_micros() + group_minutes * MINUTE_MICROS;
    let id = new_message(write, route_id, now, send_at).await?;
    insert_item(write, &id, 1, item).await
}

async fn new_message(
    write: &mut Write,
    route_id: &str,
    now: Timestamp,
    send_at: i64,
) -> Result<String, sqlx::Error> {
    let id = random_token();
    sqlx::query(
        "INSERT INTO notification_messages (id, route_id, state, item_count, attempts, created_at, \
         next_attempt_at, last_error) VALUES ($1, $2, 'waiting', 1, 0, $3, $4, '')",
    )
    .bind(id.as_str())
    .bind(route_id)
    .bind(now.as_micros())
    .bind(send_at)
    .execute(&mut **write)
    .await?;
    Ok(id)
}

async fn insert_item(
    write: &mut Write,
    message_id: &str,
    number: i64,
    item: &Item,
) -> Result<(), sqlx::Error> {
    let content = serde_json::to_string(item).expect("texts and numbers always serialize");
    sqlx::query("INSERT INTO notification_items (message_id, number, content) VALUES ($1, $2, $3)")
        .bind(message_id)
        .bind(number)
        .bind(storable(&content).as_ref())
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// A message as it is shown.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = NotificationMessage)]
pub(crate) struct MessageView {
    pub(crate) id: String,
    pub(crate) route_id: String,
    /// Empty when the route is no more.
    pub(crate) route_name: String,
    #[schema(value_type = MessageState)]
    pub(crate) state: String,
    pub(crate) item_count: i64,
    pub(crate) attempts: i64,
    pub(crate) created_at: String,
    /// When it is sent or tried again; of one that waits only.
    pub(crate) next_attempt_at: Option<String>,
    pub(crate) sent_at: Option<String>,
    /// What the last try met, for who says it in another language.
    pub(crate) last_fault: Option<DeliveryFault>,
    /// The same in words, with what the other side said.
    pub(crate) last_error: String,
}

/// What became of a message.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "names a shape")]
enum MessageState {
    Waiting,
    Sent,
    Failed,
}

/// A message to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) route_id: String,
    pub(crate) item_count: i64,
    pub(crate) attempts: i64,
    pub(crate) created_at: i64,
    pub(crate) items: Vec<Item>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
}

impl Outbox {
    /// Messages of routes that may be seen, the newest first: those made before `before`.
    pub(crate) async fn list(
        &self,
        scope: &Scope,
        before: i64,
        limit: i64,
    ) -> Result<Vec<(i64, MessageView)>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.compare("message.created_at", "<", before);
        if *scope != Scope::City {
            conditions.push("route.unit IS NOT NULL");
        }
        conditions.scope("route.unit", scope);
        let sql = format!(
            "SELECT message.*, COALESCE(route.name, '') AS route_name FROM notification_messages AS message \
             LEFT JOIN notification_routes AS route ON route.id = message.route_id{} \
             ORDER BY message.created_at DESC, message.id LIMIT {limit}",
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("created_at")?, message_view(row)?)))
            .collect()
    }

    /// The state of a message, if it went by a route that may be seen.
    pub(crate) async fn state_of(
        &self,
        id: &str,
        scope: &Scope,
    ) -> Result<Option<String>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.compare("message.id", "=", id.to_owned());
        conditions.push("route.id = message.route_id");
        conditions.scope("route.unit", scope);
        let sql = format!(
            "SELECT message.state FROM notification_messages AS message, notification_routes AS route{}",
            conditions.clause()
        );
        let row = conditions
            .query(sql)
            .fetch_optional(self.database.pool())
            .await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// Lets a message that was given up be tried again at once; false when it was not given up.
    pub(crate) async fn retry(&self, id: &str) -> Result<bool, sqlx::Error> {
        let now = self.clock.now().as_micros();
        let mut write = self.database.write().await?;
        // Its age decides when it is given up: it begins anew.
        let result = sqlx::query(
            "UPDATE notification_messages SET state = 'waiting', next_attempt_at = $1, created_at = $1, \
             claimed_until = NULL WHERE id = $2 AND state = 'failed'",
        )
        .bind(now)
        .bind(id)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(result.rows_affected() > 0)
    }

    /// Messages by state.
    pub(crate) async fn counts(&self) -> Result<BTreeMap<String, u64>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT state, COUNT(*) AS n FROM notification_messages GROUP BY state")
                .fetch_all(self.database.pool())
                .await?;
        rows.iter()
            .map(|row| {
                let count: i64 = row.try_get("n")?;
                Ok((row.try_get("state")?, u64::try_from(count).unwrap_or(0)))
            })
            .collect()
    }

    /// Ids of messages that are due and that nobody is sending.
    pub(crate) async fn due(&self, limit: i64) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT id FROM notification_messages WHERE state = 'waiting' AND next_attempt_at <= $1 \
             AND (claimed_until IS NULL OR claimed_until <= $1) ORDER BY next_attempt_at LIMIT $2",
        )
        .bind(self.clock.now().as_micros())
        .bind(limit)
        .fetch_all(self.database.pool())
        .await
    }

    /// Takes a message for sending until `claimed_until`; none when another process was faster.
    pub(crate) async fn claim(
        &self,
        id: &str,
        claimed_until: i64,
    ) -> Result<Option<Message>, sqlx::Error> {
        let mut write = self.database.write().await?;
        let row = sqlx::query(
            "UPDATE notification_messages SET claimed_until = $1 WHERE id = $2 AND state = 'waiting' \
             AND (claimed_until IS NULL OR claimed_until <= $3) \
             RETURNING route_id, item_count, attempts, created_at",
        )
        .bind(claimed_until)
        .bind(id)
        .bind(self.clock.now().as_micros())
        .fetch_optional(&mut *write)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let contents: Vec<String> = sqlx::query_scalar(
            "SELECT content FROM notification_items WHERE message_id = $1 ORDER BY number",
        )
        .bind(id)
        .fetch_all(&mut *write)
        .await?;
        write.commit().await?;
        let mut items: Vec<Item> = contents
            .iter()
            .filter_map(|content| serde_json::from_str(content).ok())
            .collect();
        for item in &mut items {
            let row: Option<IncidentRow> = sqlx::query_as("SELECT * FROM incidents WHERE id = $1")
                .bind(item.incident_id.as_str())
                .fetch_optional(self.database.pool())
                .await?;
            if let Some(row) = row {
                item.rename(&row);
            }
        }
        Ok(Some(Message {
            id: id.to_owned(),
            route_id: row.try_get("route_id")?,
            item_count: row.try_get("item_count")?,
            attempts: row.try_get("attempts")?,
            created_at: row.try_get("created_at")?,
            items,
        }))
    }

    /// Notes how a try to send went.
    pub(crate) async fn settle(
        &self,
        message: &Message,
        outcome: Outcome<'_>,
    ) -> Result<(), sqlx::Error> {
        let now = self.clock.now().as_micros();
        let (state, next, sent_at, error) = match outcome {
            Outcome::Sent => ("sent", now, Some(now), None),
            Outcome::Again { at, error } => ("waiting", at, None, Some(error)),
            Outcome::GivenUp { error } => ("failed", now, None, Some(error)),
        };
        let fault = error.map_or("", |error| error.fault.name());
        let error: String = error
            .map_or("", |error| &error.text)
            .chars()
            .take(1_000)
            .collect();
        let mut write = self.database.write().await?;
        sqlx::query(
            "UPDATE notification_messages SET state = $1, attempts = attempts + 1, next_attempt_at = $2, \
             sent_at = $3, last_error = $4, last_fault = $5, claimed_until = NULL \
             WHERE id = $6 AND state = 'waiting'",
        )
        .bind(state)
        .bind(next)
        .bind(sent_at)
        .bind(storable(&error).as_ref())
        .bind(fault)
        .bind(message.id.as_str())
        .execute(&mut *write)
        .await?;
        sqlx::query(
            "UPDATE notification_routes SET failing_fault = $1, failing_error = $2, \
             failing_since = CASE WHEN $1 = '' THEN NULL ELSE COALESCE(failing_since, $3) END \
             WHERE id = $4 AND (failing_since IS NOT NULL OR $1 <> '')",
        )
        .bind(fault)
        .bind(storable(&error).as_ref())
        .bind(now)
        .bind(message.route_id.as_str())
        .execute(&mut *write)
        .await?;
        write.commit().await
    }

    /// Forgets what was sent or given up before `time`.
    pub(crate) async fn forget(&self, time: i64) -> Result<(), sqlx::Error> {
        let mut write = self.database.write().await?;
        for statement in [
            "DELETE FROM notification_items WHERE message_id IN (SELECT id FROM notification_messages \
             WHERE state <> 'waiting' AND created_at < $1)",
            "DELETE FROM notification_messages WHERE state <> 'waiting' AND created_at < $1",
        ] {
            sqlx::query(statement)
                .bind(time)
                .execute(&mut *write)
                .await?;
        }
        write.commit().await
    }
}

/// How a try to send went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome<'a> {
    Sent,
    Again { at: i64, error: &'a DeliveryError },
    GivenUp { error: &'a DeliveryError },
}

fn message_view(row: &AnyRow) -> Result<MessageView, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let next: i64 = row.try_get("next_attempt_at")?;
    Ok(MessageView {
        id: row.try_get("id")?,
        route_id: row.try_get("route_id")?,
        route_name: row.try_get("route_name")?,
        next_attempt_at: (state == "waiting").then(|| rfc3339(next)),
        state,
        item_count: row.try_get("item_count")?,
        attempts: row.try_get("attempts")?,
        created_at: rfc3339(row.try_get("created_at")?),
        sent_at: row.try_get::<Option<i64>, _>("sent_at")?.map(rfc3339),
        last_fault: DeliveryFault::of_name(&row.try_get::<String, _>("last_fault")?),
        last_error: row.try_get("last_error")?,
    })
}
