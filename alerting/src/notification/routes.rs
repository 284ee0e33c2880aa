//! Routes in the database: where notifications go, and about what.

use citywatch_parsers::Timestamp;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::delivery::DeliveryFault;
use super::item::Subject;
use crate::accounts::{Scope, random_token};
use crate::clock::Clock;
use crate::database::{Database, storable};
use crate::incidents::rfc3339;
use crate::severity::Severity;
use crate::sql::Conditions;

/// How a route's messages leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RouteKind {
    Email,
    Webhook,
}

impl RouteKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        [Self::Email, Self::Webhook]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// A route as somebody wants it.
#[derive(Clone, Debug)]
pub(crate) struct RouteWish {
    pub(crate) name: String,
    pub(crate) kind: RouteKind,
    pub(crate) target: String,
    pub(crate) unit: String,
    pub(crate) severity_min: Severity,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) group_minutes: i64,
    pub(crate) template: String,
    pub(crate) enabled: bool,
}

/// A route; shown without its secret.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = NotificationRoute)]
pub(crate) struct Route {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: RouteKind,
    pub(crate) target: String,
    pub(crate) unit: String,
    pub(crate) severity_min: Severity,
    pub(crate) subjects: Vec<Subject>,
    pub(crate) group_minutes: i64,
    pub(crate) template: String,
    pub(crate) enabled: bool,
    pub(crate) created_by: String,
    pub(crate) created_at: String,
    pub(crate) version: i64,
    #[serde(skip)]
    pub(crate) secret: String,
}

impl Route {
    pub(crate) fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let kind: String = row.try_get("kind")?;
        let subjects: String = row.try_get("subjects")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            kind: RouteKind::of_name(&kind).unwrap_or(RouteKind::Webhook),
            target: row.try_get("target")?,
            unit: row.try_get("unit")?,
            severity_min: Severity::of_rank(row.try_get("severity_min")?),
            subjects: subjects.split(',').filter_map(Subject::of_name).collect(),
            group_minutes: row.try_get("group_minutes")?,
            template: row.try_get("template")?,
            enabled: row.try_get::<i64, _>("enabled")? != 0,
            created_by: row.try_get("created_by")?,
            created_at: rfc3339(row.try_get("created_at")?),
            version: row.try_get("version")?,
            secret: row.try_get("secret")?,
        })
    }
}

/// That nothing gets through by a route, and what waits for it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct RouteTrouble {
    pub(crate) route_id: String,
    /// The first try that failed since something got through.
    pub(crate) since: String,
    /// What the last try met, for who says it in another language.
    pub(crate) fault: DeliveryFault,
    /// The same in words, with what the other side said.
    pub(crate) error: String,
    /// Messages that wait.
    pub(crate) waiting_messages: i64,
    /// What they tell of.
    pub(crate) waiting_items: i64,
    /// When the next try is; none when nothing waits.
    pub(crate) next_attempt_at: Option<String>,
}

impl RouteTrouble {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let fault: String = row.try_get("failing_fault")?;
        Ok(Self {
            route_id: row.try_get("id")?,
            since: rfc3339(row.try_get("failing_since")?),
            fault: DeliveryFault::of_name(&fault).unwrap_or(DeliveryFault::Unreachable),
            error: row.try_get("failing_error")?,
            waiting_messages: row.try_get("messages")?,
            waiting_items: row.try_get("items")?,
            next_attempt_at: row
                .try_get::<Option<i64>, _>("next_attempt_at")?
                .map(rfc3339),
        })
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
}

impl Routes {
    /// Those about units that may be seen, by name.
    pub(crate) async fn list(&self, scope: &Scope) -> Result<Vec<Route>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.push("id <> ''");
        conditions.scope("unit", scope);
        let sql = format!(
            "SELECT * FROM notification_routes{} ORDER BY name, id",
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(Route::read).collect()
    }

    /// Those by which nothing gets through, with what waits for it.
    pub(crate) async fn troubles(&self, scope: &Scope) -> Result<Vec<RouteTrouble>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.push("route.failing_since IS NOT NULL");
        conditions.scope("route.unit", scope);
        let sql = format!(
            "SELECT route.id, route.failing_since, route.failing_fault, route.failing_error, \
             COUNT(message.id) AS messages, CAST(COALESCE(SUM(message.item_count), 0) AS BIGINT) AS items, \
             MIN(message.next_attempt_at) AS next_attempt_at FROM notification_routes AS route \
             LEFT JOIN notification_messages AS message ON message.route_id = route.id \
             AND message.state = 'waiting'{} \
             GROUP BY route.id, route.failing_since, route.failing_fault, route.failing_error \
             ORDER BY route.failing_since, route.id",
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(RouteTrouble::read).collect()
    }

    /// One, if it is about units that may be seen.
    pub(crate) async fn one(&self, id: &str, scope: &Scope) -> Result<Option<Route>, sqlx::Error> {
        let mut conditions = Conditions::default();
        conditions.compare("id", "=", id.to_owned());
        conditions.scope("unit", scope);
        let sql = format!("SELECT * FROM notification_routes{}", conditions.clause());
        let row = conditions
            .query(sql)
            .fetch_optional(self.database.pool())
            .await?;
        row.as_ref().map(Route::read).transpose()
    }

    /// Makes one; returns its id and, for a webhook, the secret that signs its messages.
    pub(crate) async fn make(
        &self,
        wish: &RouteWish,
        who: &str,
    ) -> Result<(String, String), sqlx::Error> {
        let id = random_token();
        let secret = match wish.kind {
            RouteKind::Webhook => random_token(),
            RouteKind::Email => String::new(),
        };
        let now: Timestamp = self.clock.now();
        let mut write = self.database.write().await?;
        sqlx::query(
            "INSERT INTO notification_routes (id, name, kind, target, unit, severity_min, subjects, \
             group_minutes, template, secret, enabled, created_by, created_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 1)",
        )
        .bind(id.as_str())
        .bind(storable(&wish.name).as_ref())
        .bind(wish.kind.name())
        .bind(storable(&wish.target).as_ref())
        .bind(storable(&wish.unit).as_ref())
        .bind(wish.severity_min.rank())
        .bind(names(&wish.subjects))
        .bind(wish.group_minutes)
        .bind(storable(&wish.template).as_ref())
        .bind(secret.as_str())
        .bind(i64::from(wish.enabled))
        .bind(who)
        .bind(now.as_micros())
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok((id, secret))
    }

    /// Changes one if its version still is `seen_version`. Its kind stays: a secret belongs to a webhook.
    pub(crate) async fn change(
        &self,
        id: &str,
        seen_version: i64,
        wish: &RouteWish,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.database.write().await?;
        let result = sqlx::query(
            "UPDATE notification_routes SET name = $1, target = $2, unit = $3, severity_min = $4, \
             subjects = $5, group_minutes = $6, template = $7, enabled = $8, version = version + 1, \
             failing_since = CASE WHEN target = $2 THEN failing_since ELSE NULL END WHERE id = $9 AND version = $10",
        )
        .bind(storable(&wish.name).as_ref())
        .bind(storable(&wish.target).as_ref())
        .bind(storable(&wish.unit).as_ref())
        .bind(wish.severity_min.rank())
        .bind(names(&wish.subjects))
        .bind(wish.group_minutes)
        .bind(storable(&wish.template).as_ref())
        .bind(i64::from(wish.enabled))
        .bind(id)
        .bind(seen_version)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(result.rows_affected() > 0)
    }

    /// Gives a webhook a new secret, told this once.
    pub(crate) async fn renew_secret(&self, id: &str) -> Result<String, sqlx::Error> {
        let secret = random_token();
        let mut write = self.database.write().await?;
        sqlx::query(
            "UPDATE notification_routes SET secret = $1, version = version + 1 WHERE id = $2",
        )
        .bind(secret.as_str())
        .bind(id)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(secret)
    }

    /// Removes one. What waits for it is given up, and says so.
    pub(crate) async fn remove(&self, id: &str) -> Result<(), sqlx::Error> {
        let mut write = self.database.write().await?;
        sqlx::query(
            "UPDATE notification_messages SET state = 'failed', last_error = 'the route was removed', \
             last_fault = 'removed' \
             WHERE route_id = $1 AND state = 'waiting'",
        )
        .bind(id)
        .execute(&mut *write)
        .await?;
        sqlx::query("DELETE FROM notification_routes WHERE id = $1")
            .bind(id)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }
}

fn names(subjects: &[Subject]) -> String {
    let names: Vec<&str> = subjects.iter().map(|subject| subject.name()).collect();
    names.join(",")
}
