//! The table of routes: who may use them, what the audit log tells of them, what they take and give.

use std::sync::LazyLock;

use axum::http::{Method, header};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, patch, post, put};

use utoipa::ToSchema;

use super::describe::{About, openapi_json};
use super::{
    Access, App, Recorded, attack, entities, events, explain, incidents, notifications, people,
    rules, session, status, stream, suppressions, triage, units, views,
};
use crate::accounts::{Imported, Person, Role, TokenView, Unit};
use crate::incidents::{EntityPage, Facets, Incident, IncidentDetail, Similar};
use crate::notification::{MessageView, Route as NotificationRoute};
use crate::suppression::{HiddenMatch, Preview, Suppression};

/// A route of the API.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, parts in braces being parameters.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// Whether the audit log tells of it.
    pub recorded: Recorded,
    pub(super) handler: fn() -> MethodRouter<App>,
    pub(super) about: fn() -> About,
}

/// A route that the audit log tells of.
const fn told(
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<App>,
    about: fn() -> About,
) -> Route {
    Route {
        method,
        path,
        access,
        recorded: Recorded::Yes,
        handler,
        about,
    }
}

/// A route that it does not tell of.
const fn quiet(
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<App>,
    about: fn() -> About,
) -> Route {
    Route {
        method,
        path,
        access,
        recorded: Recorded::No,
        handler,
        about,
    }
}

const VIEWER: Access = Access::AtLeast(Role::Viewer);
const ANALYST: Access = Access::AtLeast(Role::Analyst);
const LEAD: Access = Access::AtLeast(Role::Lead);
const ADMINISTRATOR: Access = Access::AtLeast(Role::Administrator);

/// Every route of the API. A table: two lines each, however long.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    // Signing in is told by its handler, which knows the name and whether the password was right.
    quiet(Method::POST, "/api/v1/session", Access::Public, || post(session::sign_in),
        || About::new("Sign in; the answer sets a cookie").body::<session::Credentials>().gives::<session::SessionView>()),
    quiet(Method::GET, "/api/v1/session", VIEWER, || get(session::show),
        || About::new("Who is signed in").gives::<session::SessionView>()),
    told(Method::DELETE, "/api/v1/session", VIEWER, || delete(session::sign_out),
        || About::new("Sign out").answers(204)),
    told(Method::PUT, "/api/v1/session/password", VIEWER, || put(session::change_password),
        || About::new("Change your own password").body::<session::PasswordChange>().answers(204)),
    quiet(Method::GET, "/api/v1/openapi.json", VIEWER, || get(openapi),
        || About::new("This document").gives::<Document>()),
    quiet(Method::GET, "/api/v1/incidents", VIEWER, || get(incidents::list),
        || About::new("Incidents, the newest first").query::<incidents::ListParams>().gives::<incidents::IncidentPage>()),
    quiet(Method::GET, "/api/v1/incidents/facets", VIEWER, || get(incidents::facets),
        || About::new("Counts of incidents under a filter").query::<incidents::ListParams>().gives::<Facets>()),
    told(Method::POST, "/api/v1/incidents/bulk", ANALYST, || post(triage::change_many),
        || About::new("Change many; what could not be changed is listed").body::<triage::Bulk>().gives::<triage::BulkOutcome>()),
    told(Method::POST, "/api/v1/incidents/bulk/undo", ANALYST, || post(triage::undo),
        || About::new("Bring back what a change changed, where nobody changed it since").body::<triage::Undo>().gives::<triage::BulkOutcome>()),
    told(Method::GET, "/api/v1/incidents/{id}", VIEWER, || get(incidents::show),
        || About::new("One incident with all that a verdict needs").gives::<IncidentDetail>()),
    told(Method::PATCH, "/api/v1/incidents/{id}", ANALYST, || patch(triage::change),
        || About::new("Change state, verdict, assignee").if_match().body::<triage::IncidentWish>().gives::<Incident>()),
    quiet(Method::GET, "/api/v1/incidents/{id}/similar", VIEWER, || get(incidents::similar),
        || About::new("Incidents like this one, and what was decided about them").lists::<Similar>()),
    told(Method::GET, "/api/v1/incidents/{id}/explanations", VIEWER, || get(explain::show),
        || About::new("Why rules matched its events").query::<explain::ExplainParams>().lists::<explain::Explained>()),
    told(Method::POST, "/api/v1/incidents/{id}/comments", ANALYST, || post(triage::comment),
        || About::new("Comment, in Markdown").body::<triage::Comment>().answers(201)),
    told(Method::POST, "/api/v1/incidents/{id}/reports", ANALYST, || post(triage::report),
        || About::new("Note that a report was handed in, which stops its clock").body::<triage::ReportWish>().makes::<Incident>()),
    told(Method::POST, "/api/v1/incidents/{id}/merge", ANALYST, || post(triage::merge),
        || About::new("Take other incidents in").if_match().body::<triage::Merge>().gives::<Incident>()),
    quiet(Method::GET, "/api/v1/rules", VIEWER, || get(rules::list),
        || About::new("Rules that raised alerts, with what became of these").query::<rules::RuleParams>().lists::<rules::RuleFigures>()),
    quiet(Method::GET, "/api/v1/rules/{id}", VIEWER, || get(rules::show),
        || About::new("One rule, explained").query::<rules::DetailParams>().gives::<rules::RuleDetail>()),
    told(Method::PATCH, "/api/v1/rules/{id}", LEAD, || patch(rules::change),
        || About::new("Switch it on or off").query::<rules::DetailParams>().if_match().body::<rules::RuleWish>().gives::<rules::RuleDetail>()),
    quiet(Method::GET, "/api/v1/attack", VIEWER, || get(attack::show),
        || About::new("ATT&CK: coverage by rules, and hits").query::<attack::AttackParams>().gives::<attack::Coverage>()),
    told(Method::GET, "/api/v1/entities/{kind}/{value}", VIEWER, || get(entities::show),
        || About::new("A host, user, address, hash or file with its history").gives::<EntityPage>()),
    quiet(Method::GET, "/api/v1/views", VIEWER, || get(views::list),
        || About::new("Your own saved views").lists::<views::SavedView>()),
    told(Method::POST, "/api/v1/views", VIEWER, || post(views::make),
        || About::new("Save a view").body::<views::ViewWish>().makes::<views::SavedView>()),
    told(Method::PUT, "/api/v1/views/{id}", VIEWER, || put(views::change),
        || About::new("Change a view").if_match().body::<views::ViewWish>().gives::<views::SavedView>()),
    told(Method::DELETE, "/api/v1/views/{id}", VIEWER, || delete(views::remove),
        || About::new("Remove a view").answers(204)),
    quiet(Method::GET, "/api/v1/suppressions", VIEWER, || get(suppressions::list),
        || About::new("Suppressions, the newest first").query::<suppressions::ListParams>().pages::<Suppression>()),
    told(Method::POST, "/api/v1/suppressions", LEAD, || post(suppressions::make),
        || About::new("Hide what is known, with a reason and an end").body::<suppressions::SuppressionWish>().makes::<Suppression>()),
    told(Method::POST, "/api/v1/suppressions/preview", LEAD, || post(suppressions::preview),
        || About::new("What it would have hidden in the last 7 days").body::<suppressions::Wanted>().gives::<Preview>()),
    quiet(Method::GET, "/api/v1/suppressions/{id}", VIEWER, || get(suppressions::show),
        || About::new("One suppression").gives::<Suppression>()),
    told(Method::DELETE, "/api/v1/suppressions/{id}", LEAD, || delete(suppressions::finish),
        || About::new("End it now; it stays in the list of those that ended").answers(204)),
    told(Method::GET, "/api/v1/suppressions/{id}/hidden", VIEWER, || get(suppressions::hidden),
        || About::new("What it hid, the latest first").query::<suppressions::HiddenParams>().pages::<HiddenMatch>()),
    told(Method::GET, "/api/v1/notifications/routes", ADMINISTRATOR, || get(notifications::routes),
        || About::new("Where notifications go").gives::<notifications::RouteList>()),
    told(Method::POST, "/api/v1/notifications/routes", ADMINISTRATOR, || post(notifications::make),
        || About::new("A new one; a webhook's secret is told this once").body::<notifications::RouteWanted>().makes::<notifications::MadeRoute>()),
    told(Method::PUT, "/api/v1/notifications/routes/{id}", ADMINISTRATOR, || put(notifications::change),
        || About::new("Change one").if_match().body::<notifications::RouteWanted>().gives::<NotificationRoute>()),
    told(Method::POST, "/api/v1/notifications/routes/{id}/secret", ADMINISTRATOR, || post(notifications::renew_secret),
        || About::new("A new secret, told this once").gives::<notifications::RouteSecret>()),
    told(Method::POST, "/api/v1/notifications/routes/{id}/test", ADMINISTRATOR, || post(notifications::test),
        || About::new("Send a message that says that it is a test").gives_as::<notifications::TestMessage>(202)),
    quiet(Method::GET, "/api/v1/notifications/messages", ADMINISTRATOR, || get(notifications::messages),
        || About::new("What was sent, waits or failed, the newest first").query::<notifications::MessageParams>().pages::<MessageView>()),
    told(Method::POST, "/api/v1/notifications/messages/{id}/retry", ADMINISTRATOR, || post(notifications::retry),
        || About::new("Try again what was given up").answers(202)),
    told(Method::DELETE, "/api/v1/notifications/routes/{id}", ADMINISTRATOR, || delete(notifications::remove),
        || About::new("Remove one").answers(204)),
    quiet(Method::GET, "/api/v1/assignees", ANALYST, || get(people::assignees),
        || About::new("Names of people who may work on incidents").lists::<String>()),
    told(Method::GET, "/api/v1/events", VIEWER, || get(events::search),
        || About::new("Search events").query::<events::SearchParams>().gives::<events::EventPage>()),
    told(Method::GET, "/api/v1/events/fields", VIEWER, || get(events::fields),
        || About::new("Fields of what a search finds, with their most frequent values").query::<events::ExploreParams>().gives::<events::FieldList>()),
    told(Method::GET, "/api/v1/events/histogram", VIEWER, || get(events::histogram),
        || About::new("What a search finds, over time").query::<events::ExploreParams>().gives::<events::EventHistogram>()),
    told(Method::GET, "/api/v1/events/{id}", VIEWER, || get(events::show),
        || About::new("One event with its fields").gives::<events::EventDetail>()),
    told(Method::GET, "/api/v1/events/{id}/neighbours", VIEWER, || get(events::neighbours),
        || About::new("Events around one on the same host").query::<events::NeighbourParams>().gives::<events::EventNeighbours>()),
    quiet(Method::GET, "/api/v1/status", VIEWER, || get(status::show),
        || About::new("What the whole system says of itself").gives::<status::SystemStatus>()),
    quiet(Method::GET, "/api/v1/stream", VIEWER, || get(stream::follow),
        || About::new("Incidents as they change: events named incident, resumable by Last-Event-ID").query::<stream::FollowParams>().streams()),
    quiet(Method::GET, "/api/v1/units", VIEWER, || get(units::list),
        || About::new("The units that you may see").lists::<Unit>()),
    told(Method::PUT, "/api/v1/units", ADMINISTRATOR, || put(units::import),
        || About::new("Take units in from CSV: id,name,parent").text_body("text/csv").gives::<Imported>()),
    told(Method::PATCH, "/api/v1/units/{id}", ADMINISTRATOR, || patch(units::change),
        || About::new("Rename or move a unit; what it was stays known").if_match().body::<units::UnitWish>().gives::<Unit>()),
    told(Method::POST, "/api/v1/units/{id}/merge", ADMINISTRATOR, || post(units::merge),
        || About::new("Let another unit take it in").if_match().body::<units::UnitMerge>().gives::<Unit>()),
    quiet(Method::GET, "/api/v1/postures", VIEWER, || get(units::postures),
        || About::new("How the units of the tree stand, each with those below it").lists::<units::UnitStanding>()),
    quiet(Method::GET, "/api/v1/units/{id}/posture", VIEWER, || get(units::posture),
        || About::new("How a unit stands, with those below it").gives::<units::Posture>()),
    told(Method::GET, "/api/v1/users", ADMINISTRATOR, || get(people::list),
        || About::new("People within your units").lists::<Person>()),
    told(Method::POST, "/api/v1/users", ADMINISTRATOR, || post(people::make),
        || About::new("A new person; the first password is told this once").body::<people::NewPerson>().makes::<people::MadePerson>()),
    told(Method::PATCH, "/api/v1/users/{id}", ADMINISTRATOR, || patch(people::change),
        || About::new("Change role, unit, or shut out").if_match().body::<people::PersonWish>().gives::<Person>()),
    told(Method::POST, "/api/v1/users/{id}/password", ADMINISTRATOR, || post(people::reset),
        || About::new("A new random password, told this once").gives::<people::NewPassword>()),
    told(Method::GET, "/api/v1/tokens", ADMINISTRATOR, || get(people::tokens),
        || About::new("Tokens for programs, without their secrets").lists::<TokenView>()),
    told(Method::POST, "/api/v1/tokens", ADMINISTRATOR, || post(people::make_token),
        || About::new("A new token, told this once").body::<people::TokenWish>().makes::<people::MadeToken>()),
    told(Method::DELETE, "/api/v1/tokens/{id}", ADMINISTRATOR, || delete(people::revoke_token),
        || About::new("End a token").answers(204)),
    told(Method::GET, "/api/v1/audit", ADMINISTRATOR, || get(people::audit),
        || About::new("The audit log, the newest first").query::<people::AuditParams>().pages::<people::AuditEntry>()),
];

/// `GET /api/v1/openapi.json`
async fn openapi() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(openapi_json);
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

/// An OpenAPI document: an object.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[allow(dead_code, reason = "names a shape")]
struct Document(serde_json::Value);
