//! One entity with its history.

use axum::Json;
use axum::extract::{Path, State};

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::problem::Problem;
use super::refusal::Thing;
use crate::incidents::{self, EntityPage};
use crate::intake::entities::EntityKind;

/// `GET /api/v1/entities/{kind}/{value}`
pub(super) async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((kind, value)): Path<(String, String)>,
) -> Result<Json<EntityPage>, Problem> {
    let kind = EntityKind::of_name(&kind).ok_or_else(|| {
        let known = ["host", "user", "address", "hash", "file"];
        Problem::field("kind", FieldFault::unknown(&kind, known))
    })?;
    let (pool, clocks) = (app.database.pool(), &app.config.clocks);
    incidents::entity(pool, clocks, kind.name(), &value, caller.scope())
        .await?
        .map(Json)
        .ok_or_else(|| Problem::missing(Thing::Entity))
}
