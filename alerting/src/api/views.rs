//! Filters that a person keeps under a name.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::Row;
use sqlx::any::AnyRow;
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::incidents::tagged;
use super::problem::{JsonBody, Problem};
use super::refusal::{Refusal, Thing};
use super::triage::seen_version;
use crate::accounts::random_token;
use crate::database::storable;
use crate::incidents::rfc3339;

const NAME_BYTES_MAX: usize = 100;
/// Those that have views.
const SCREENS: [&str; 2] = ["incidents", "events"];
const QUERY_BYTES_MAX: usize = 4_000;
/// Of one person.
const VIEWS_MAX: i64 = 200;

/// A filter under a name.
#[derive(Serialize, ToSchema)]
pub(super) struct SavedView {
    id: String,
    name: String,
    screen: String,
    query: String,
    created_at: String,
    updated_at: String,
    version: i64,
}

/// A filter that is to be kept.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ViewWish {
    name: String,
    /// Of which screen: `incidents` or `events`.
    screen: String,
    /// What its address says after the question mark.
    query: String,
}

impl ViewWish {
    fn check(&self) -> Result<(), Problem> {
        let screen = self.screen.trim();
        if !SCREENS.contains(&screen) {
            return Err(Problem::field(
                "screen",
                FieldFault::unknown(screen, SCREENS),
            ));
        }
        let bounds = [
            ("name", self.name.trim(), 1, NAME_BYTES_MAX),
            ("query", self.query.as_str(), 0, QUERY_BYTES_MAX),
        ];
        for (field, text, min, max) in bounds {
            if !(min..=max).contains(&text.len()) {
                let fault = FieldFault::Length {
                    bytes_min: min,
                    bytes_max: max,
                };
                return Err(Problem::field(field, fault));
            }
        }
        Ok(())
    }
}

fn taken() -> Problem {
    Problem::of(Refusal::ViewNameTaken)
}

/// `GET /api/v1/views`: the caller's own, by screen and name.
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Value>, Problem> {
    let rows = sqlx::query("SELECT * FROM saved_views WHERE user_id = $1 ORDER BY screen, name")
        .bind(caller.session()?.user.id.as_str())
        .fetch_all(app.database.pool())
        .await?;
    let items: Vec<SavedView> = rows.iter().map(view).collect::<Result<_, _>>()?;
    Ok(Json(json!({ "items": items })))
}

/// `POST /api/v1/views`
pub(super) async fn make(
    State(app): State<App>,
    caller: Caller,
    JsonBody(wish): JsonBody<ViewWish>,
) -> Result<Response, Problem> {
    wish.check()?;
    let user_id = &caller.session()?.user.id;
    let id = random_token();
    let mut write = app.database.write().await?;
    let made = sqlx::query(
        "INSERT INTO saved_views (id, user_id, name, screen, query, created_at, updated_at, version) \
         SELECT $1, $2, $3, $4, $5, $6, $6, 1 \
         WHERE (SELECT COUNT(*) FROM saved_views WHERE user_id = $2) < $7 ON CONFLICT DO NOTHING",
    )
    .bind(id.as_str())
    .bind(user_id.as_str())
    .bind(storable(wish.name.trim()).into_owned())
    .bind(storable(wish.screen.trim()).into_owned())
    .bind(storable(&wish.query).into_owned())
    .bind(app.clock.now().as_micros())
    .bind(VIEWS_MAX)
    .execute(&mut *write)
    .await?
    .rows_affected();
    write.commit().await?;
    if made == 0 {
        return Err(taken());
    }
    let view = own(&app, &caller, &id).await?;
    Ok((StatusCode::CREATED, Json(view)).into_response())
}

/// `PUT /api/v1/views/{id}` with `If-Match`
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(wish): JsonBody<ViewWish>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    let before = own(&app, &caller, &id).await?;
    wish.check()?;
    let (name, screen) = (
        storable(wish.name.trim()).into_owned(),
        storable(wish.screen.trim()).into_owned(),
    );
    let mut write = app.database.write().await?;
    let taken_by: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM saved_views WHERE user_id = $1 AND screen = $2 AND name = $3 AND id <> $4",
    )
    .bind(caller.session()?.user.id.as_str())
    .bind(screen.as_str())
    .bind(name.as_str())
    .bind(id.as_str())
    .fetch_one(&mut *write)
    .await?;
    if taken_by > 0 {
        return Err(taken());
    }
    let changed = sqlx::query(
        "UPDATE saved_views SET name = $1, screen = $2, query = $3, updated_at = $4, \
         version = version + 1 WHERE id = $5 AND version = $6",
    )
    .bind(name)
    .bind(screen)
    .bind(storable(&wish.query).into_owned())
    .bind(app.clock.now().as_micros())
    .bind(id.as_str())
    .bind(seen_version)
    .execute(&mut *write)
    .await?
    .rows_affected();
    write.commit().await?;
    if changed == 0 {
        return Err(Problem::conflict(before.version));
    }
    let view = own(&app, &caller, &id).await?;
    Ok(tagged(view.version, Json(view).into_response()))
}

/// `DELETE /api/v1/views/{id}`
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    own(&app, &caller, &id).await?;
    let mut write = app.database.write().await?;
    sqlx::query("DELETE FROM saved_views WHERE id = $1")
        .bind(id)
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn own(app: &App, caller: &Caller, id: &str) -> Result<SavedView, Problem> {
    let row = sqlx::query("SELECT * FROM saved_views WHERE id = $1 AND user_id = $2")
        .bind(id)
        .bind(caller.session()?.user.id.as_str())
        .fetch_optional(app.database.pool())
        .await?;
    let row = row.ok_or_else(|| Problem::missing(Thing::View))?;
    Ok(view(&row)?)
}

fn view(row: &AnyRow) -> Result<SavedView, sqlx::Error> {
    Ok(SavedView {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        screen: row.try_get("screen")?,
        query: row.try_get("query")?,
        created_at: rfc3339(row.try_get("created_at")?),
        updated_at: rfc3339(row.try_get("updated_at")?),
        version: row.try_get("version")?,
    })
}
