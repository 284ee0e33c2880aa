//! What people do with incidents: states, verdicts, assignees, comments, merging; one or many at once.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::App;
use super::caller::Caller;
use super::field_fault::FieldFault;
use super::incidents::{state, tagged, visible};
use super::problem::{JsonBody, Problem};
use super::refusal::{Refusal, Thing};
use crate::clocks::REPORT;
use crate::database::Counter;
use crate::incidents::{self, Change, ChangeError, Edit, IncidentRow, Stamp, Verdict};

const TEXT_BYTES_MAX: usize = 20_000;
/// Incidents of one bulk action.
const BULK_MAX: usize = 1_000;

/// Null empties a field, an absent field is left as it is.
#[derive(Clone, Deserialize, Default, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IncidentWish {
    #[schema(value_type = Option<incidents::State>)]
    state: Option<String>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<Verdict>)]
    verdict: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    verdict_reason: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    assignee: Option<Option<String>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

fn edit(wish: Option<Option<String>>) -> Edit<String> {
    match wish {
        None => Edit::Keep,
        Some(None) => Edit::Clear,
        Some(Some(value)) => Edit::Set(value),
    }
}

impl IncidentWish {
    async fn check(self, app: &App) -> Result<Change, Problem> {
        let verdict = match edit(self.verdict) {
            Edit::Keep => Edit::Keep,
            Edit::Clear => Edit::Clear,
            Edit::Set(name) => Edit::Set(verdict(&name)?),
        };
        let verdict_reason = edit(self.verdict_reason);
        if let Edit::Set(reason) = &verdict_reason {
            check_text("verdict_reason", reason)?;
        }
        let mut assignee = edit(self.assignee);
        if let Edit::Set(name) = &assignee {
            let user = app.users.find(name).await?.filter(|user| !user.disabled);
            let user = user.ok_or_else(|| {
                let name = name.clone();
                Problem::field("assignee", FieldFault::NoSuchPerson { name })
            })?;
            assignee = Edit::Set(user.name);
        }
        let state = self.state.as_deref().map(state).transpose()?;
        Ok(Change {
            state,
            verdict,
            verdict_reason,
            assignee,
        })
    }
}

fn verdict(name: &str) -> Result<Verdict, Problem> {
    Verdict::of_name(name).ok_or_else(|| {
        let known: Vec<_> = Verdict::ALL.iter().map(|verdict| verdict.name()).collect();
        Problem::field("verdict", FieldFault::unknown(name, known))
    })
}

pub(super) fn check_text(field: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() {
        return Err(Problem::field(field, FieldFault::Empty));
    }
    if text.len() > TEXT_BYTES_MAX {
        return Err(Problem::field(
            field,
            FieldFault::TooLong {
                bytes_max: TEXT_BYTES_MAX,
            },
        ));
    }
    Ok(())
}

/// `PATCH /api/v1/incidents/{id}` with `If-Match`.
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(wish): JsonBody<IncidentWish>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    let change = wish.check(&app).await?;
    visible(&app, &caller, &id).await?;
    let mut write = app.database.write().await?;
    let sequence = write.next(Counter::Change).await?;
    let stamp = Stamp {
        at: app.clock.now(),
        who: caller.name(),
        change: sequence,
    };
    let (before, after) = incidents::change(&mut write, &id, seen_version, change, stamp).await?;
    write.commit().await?;
    app.changes.announce(sequence);
    app.rescores.wanted(judged_anew(&before, &after));
    let incident = visible(&app, &caller, &id).await?;
    Ok(tagged(incident.version, Json(incident).into_response()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkChange)]
pub(super) struct Bulk {
    items: Vec<BulkItem>,
    change: IncidentWish,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkItem {
    id: String,
    version: i64,
}

/// What became of a bulk action.
#[derive(Serialize, ToSchema)]
pub(super) struct BulkOutcome {
    changed: Vec<BulkChanged>,
    failed: Vec<BulkFailed>,
}

#[derive(Serialize, ToSchema)]
struct BulkChanged {
    id: String,
    /// Its version now.
    version: i64,
    /// What it was before: with id and version it undoes the change.
    before: Before,
}

/// What a change may have changed, as it was before.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IncidentBefore)]
struct Before {
    #[schema(value_type = incidents::State)]
    state: String,
    #[schema(value_type = Option<Verdict>)]
    verdict: Option<String>,
    verdict_reason: Option<String>,
    assignee: Option<String>,
}

impl From<&incidents::IncidentRow> for Before {
    fn from(row: &incidents::IncidentRow) -> Self {
        Self {
            state: row.state.clone(),
            verdict: row.verdict.clone(),
            verdict_reason: row.verdict_reason.clone(),
            assignee: row.assignee.clone(),
        }
    }
}

impl Before {
    /// The change that brings it back.
    fn into_wish(self) -> IncidentWish {
        IncidentWish {
            state: Some(self.state),
            verdict: Some(self.verdict),
            verdict_reason: Some(self.verdict_reason),
            assignee: Some(self.assignee),
        }
    }
}

#[derive(Serialize, ToSchema)]
struct BulkFailed {
    id: String,
    reason: String,
    /// `missing`, `merged`, `conflict`, `verdict_needed` or `invalid`.
    code: &'static str,
}

/// `POST /api/v1/incidents/bulk`: each incident for itself, in one transaction; what could not be changed
/// is listed with the reason.
pub(super) async fn change_many(
    State(app): State<App>,
    caller: Caller,
    JsonBody(bulk): JsonBody<Bulk>,
) -> Result<Response, Problem> {
    if bulk.items.len() > BULK_MAX {
        return Err(Problem::field(
            "items",
            FieldFault::Count {
                min: 0,
                max: BULK_MAX,
            },
        ));
    }
    let change = bulk.change.check(&app).await?;
    let wanted = bulk
        .items
        .into_iter()
        .map(|item| (item, Ok(change.clone())))
        .collect();
    Ok(Json(change_each(&app, &caller, wanted).await?).into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkUndo)]
pub(super) struct Undo {
    /// From the answer to the change.
    items: Vec<UndoItem>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UndoItem {
    id: String,
    version: i64,
    before: Before,
}

/// `POST /api/v1/incidents/bulk/undo`: brings back what a change changed, where nobody changed it since.
pub(super) async fn undo(
    State(app): State<App>,
    caller: Caller,
    JsonBody(undo): JsonBody<Undo>,
) -> Result<Response, Problem> {
    if undo.items.len() > BULK_MAX {
        return Err(Problem::field(
            "items",
            FieldFault::Count {
                min: 0,
                max: BULK_MAX,
            },
        ));
    }
    let mut wanted = Vec::with_capacity(undo.items.len());
    for UndoItem {
        id,
        version,
        before,
    } in undo.items
    {
        let change = match before.into_wish().check(&app).await {
            Ok(change) => Ok(change),
            Err(problem) if problem.is_the_callers() => Err(problem.detail().to_owned()),
            Err(problem) => return Err(problem),
        };
        wanted.push((BulkItem { id, version }, change));
    }
    Ok(Json(change_each(&app, &caller, wanted).await?).into_response())
}

/// Changes each incident for itself, in one transaction. An item may come with what is wrong with it.
async fn change_each(
    app: &App,
    caller: &Caller,
    wanted: Vec<(BulkItem, Result<Change, String>)>,
) -> Result<BulkOutcome, Problem> {
    let ids = wanted.iter().map(|(item, _)| item.id.as_str());
    let may_see = incidents::visible_ids(app.database.pool(), ids, caller.scope()).await?;
    let mut write = app.database.write().await?;
    let sequence = write.next(Counter::Change).await?;
    let stamp = Stamp {
        at: app.clock.now(),
        who: caller.name(),
        change: sequence,
    };
    let (mut changed, mut failed, mut rules) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (item, change) in wanted {
        let BulkItem { id, version } = item;
        let outcome = match change {
            Err(reason) => {
                let code = "invalid";
                failed.push(BulkFailed { id, reason, code });
                continue;
            }
            Ok(change) if may_see.contains(&id) => {
                incidents::change(&mut write, &id, version, change, stamp).await
            }
            Ok(_) => Err(ChangeError::Missing),
        };
        match outcome {
            Ok((before, row)) => {
                rules.extend(judged_anew(&before, &row));
                changed.push(BulkChanged {
                    id: row.id,
                    version: row.version,
                    before: Before::from(&before),
                });
            }
            Err(ChangeError::Database(error)) => return Err(error.into()),
            Err(error) => failed.push(BulkFailed {
                id,
                reason: error.to_string(),
                code: error.code(),
            }),
        }
    }
    write.commit().await?;
    app.changes.announce(sequence);
    app.rescores.wanted(rules);
    Ok(BulkOutcome { changed, failed })
}

/// The rule of an incident whose verdict a change gave, took back or replaced.
fn judged_anew(before: &IncidentRow, after: &IncidentRow) -> Option<String> {
    (before.verdict != after.verdict).then(|| after.rule_id.clone())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Comment {
    /// Markdown; kept as it was written, made safe where it is shown.
    text: String,
}

/// `POST /api/v1/incidents/{id}/comments`
pub(super) async fn comment(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(comment): JsonBody<Comment>,
) -> Result<Response, Problem> {
    check_text("text", &comment.text)?;
    visible(&app, &caller, &id).await?;
    let mut write = app.database.write().await?;
    let sequence = write.next(Counter::Change).await?;
    let stamp = Stamp {
        at: app.clock.now(),
        who: caller.name(),
        change: sequence,
    };
    incidents::comment(&mut write, &id, &comment.text, stamp).await?;
    write.commit().await?;
    app.changes.announce(sequence);
    Ok(StatusCode::CREATED.into_response())
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportWish {
    /// The name of a reporting clock, without `report:`.
    clock: String,
    /// Where the report is to be found: a number, a letter, a link.
    #[serde(default)]
    reference: String,
}

/// `POST /api/v1/incidents/{id}/reports`: a report was handed in, which stops its clock.
pub(super) async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(report): JsonBody<ReportWish>,
) -> Result<Response, Problem> {
    let clocks = &app.config.clocks.reporting;
    if !clocks.iter().any(|clock| clock.name == report.clock) {
        let known: Vec<_> = clocks.iter().map(|clock| clock.name.as_str()).collect();
        let fault = FieldFault::unknown(&report.clock, known);
        return Err(Problem::field("clock", fault));
    }
    if report.reference.len() > 1_000 {
        return Err(Problem::field(
            "reference",
            FieldFault::TooLong { bytes_max: 1_000 },
        ));
    }
    visible(&app, &caller, &id).await?;
    let mut write = app.database.write().await?;
    let sequence = write.next(Counter::Change).await?;
    let stamp = Stamp {
        at: app.clock.now(),
        who: caller.name(),
        change: sequence,
    };
    let clock = format!("{REPORT}{}", report.clock);
    let reference = report.reference.trim();
    if !incidents::report(&mut write, &id, &clock, reference, stamp).await? {
        return Err(Problem::of(Refusal::ReportedBefore));
    }
    write.commit().await?;
    app.changes.announce(sequence);
    let incident = visible(&app, &caller, &id).await?;
    Ok(tagged(
        incident.version,
        (StatusCode::CREATED, Json(incident)).into_response(),
    ))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Merge {
    /// Ids of the incidents to take in.
    from: Vec<String>,
}

/// `POST /api/v1/incidents/{id}/merge` with `If-Match`: this one takes the others in.
pub(super) async fn merge(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    JsonBody(merge): JsonBody<Merge>,
) -> Result<Response, Problem> {
    let seen_version = seen_version(&headers)?;
    if merge.from.is_empty() || merge.from.len() > 100 {
        return Err(Problem::field(
            "from",
            FieldFault::Count { min: 1, max: 100 },
        ));
    }
    for id in merge.from.iter().chain([&id]) {
        visible(&app, &caller, id).await?;
    }
    let mut write = app.database.write().await?;
    let sequence = write.next(Counter::Change).await?;
    let stamp = Stamp {
        at: app.clock.now(),
        who: caller.name(),
        change: sequence,
    };
    incidents::take_in(
        &mut write,
        &id,
        seen_version,
        &merge.from,
        stamp,
        &app.config.incidents,
    )
    .await?;
    write.commit().await?;
    app.changes.announce(sequence);
    let incident = visible(&app, &caller, &id).await?;
    Ok(tagged(incident.version, Json(incident).into_response()))
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Missing => Self::missing(Thing::Incident),
            ChangeError::Merged { into } => Self::merged(into),
            ChangeError::Conflict { current } => Self::conflict(current),
            ChangeError::Itself => Self::field("from", FieldFault::Itself),
            ChangeError::MayNotWorkOnIt { name } => {
                Self::field("assignee", FieldFault::MayNotWorkOnIt { name })
            }
            ChangeError::VerdictNeeded => Self::of(Refusal::VerdictNeeded),
            ChangeError::Database(error) => error.into(),
        }
    }
}

/// The version in `If-Match`, as `ETag` gave it, with or without quotes.
pub(super) fn seen_version(headers: &HeaderMap) -> Result<i64, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Err(Problem::of(Refusal::VersionMissing));
    };
    let text = value.to_str().unwrap_or("").trim();
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
        .parse()
        .map_err(|_| Problem::field("If-Match", FieldFault::NoVersion))
}
