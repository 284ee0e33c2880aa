//! The HTTP API under `/api/v1`, and the pages beside it.
//!
//! Invariants:
//! - Every route stands in [`ROUTES`], with the least role that may use it; there is no other way in. A
//!   test walks the table.
//! - What a person may see is bounded where queries are built, by the scope in [`Caller`].
//! - Errors are problems (RFC 9457) that name field and reason.

mod caller;
mod events;
mod guard;
mod incidents;
mod notifications;
mod people;
mod problem;
mod rules;
mod session;
mod status;
mod stream;
mod suppressions;
mod triage;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use citywatch_engine::store::Store;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

pub(crate) use caller::Transport;
pub(crate) use guard::{CertificateOrigin, Doors};
pub(crate) use status::StatusSource;
pub(crate) use stream::Followers;

use crate::accounts::{Role, Sessions, SignInLimits, Tokens, Units, Users};
use crate::audit::Audit;
use crate::changes::Changes;
use crate::clock::Clock;
use crate::config::AlertingConfig;
use crate::database::Database;
use crate::notification::{Outbox, Routes};
use crate::suppression::Suppressions;
use problem::Problem;

/// Longest body of a request: nothing here uploads files.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// After this a request has failed. A stream's answer has begun by then.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<AppInner>);

/// See [`App`].
pub(crate) struct AppInner {
    pub(crate) config: Arc<AlertingConfig>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    pub(crate) tokens: Tokens,
    pub(crate) units: Units,
    pub(crate) suppressions: Suppressions,
    pub(crate) routes: Routes,
    pub(crate) outbox: Outbox,
    pub(crate) audit: Audit,
    pub(crate) sign_in_limits: SignInLimits,
    pub(crate) changes: Changes,
    pub(crate) followers: Followers,
    pub(crate) store: Option<Store>,
    pub(crate) status: StatusSource,
    pub(crate) shutdown: CancellationToken,
}

impl App {
    pub(crate) fn new(inner: AppInner) -> Self {
        Self(Arc::new(inner))
    }
}

impl std::ops::Deref for App {
    type Target = AppInner;

    fn deref(&self) -> &AppInner {
        &self.0
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody: signing in, and nothing else.
    Public,
    /// Who is signed in with this role or a higher one.
    AtLeast(Role),
}

/// Whether the audit log tells of a route's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It does, before the route does anything.
    Yes,
    /// What pages ask for by themselves, again and again, is not told; nor what changes nothing and shows
    /// no event.
    No,
}

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
    handler: fn() -> MethodRouter<App>,
}

/// A route that the audit log tells of.
const fn told(
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route {
        method,
        path,
        access,
        recorded: Recorded::Yes,
        handler,
    }
}

/// A route that it does not tell of.
const fn quiet(
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route {
        method,
        path,
        access,
        recorded: Recorded::No,
        handler,
    }
}

const VIEWER: Access = Access::AtLeast(Role::Viewer);
const ANALYST: Access = Access::AtLeast(Role::Analyst);
const LEAD: Access = Access::AtLeast(Role::Lead);
const ADMINISTRATOR: Access = Access::AtLeast(Role::Administrator);

/// Every route of the API. A table: one line each, however long.
#[rustfmt::skip]
pub static ROUTES: &[Route] = &[
    // Signing in is told by its handler, which knows the name and whether the password was right.
    quiet(Method::POST, "/api/v1/session", Access::Public, || post(session::sign_in)),
    quiet(Method::GET, "/api/v1/session", VIEWER, || get(session::show)),
    told(Method::DELETE, "/api/v1/session", VIEWER, || delete(session::sign_out)),
    told(Method::PUT, "/api/v1/session/password", VIEWER, || put(session::change_password)),
    quiet(Method::GET, "/api/v1/incidents", VIEWER, || get(incidents::list)),
    told(Method::POST, "/api/v1/incidents/bulk", ANALYST, || post(triage::change_many)),
    told(Method::GET, "/api/v1/incidents/{id}", VIEWER, || get(incidents::show)),
    told(Method::PATCH, "/api/v1/incidents/{id}", ANALYST, || patch(triage::change)),
    quiet(Method::GET, "/api/v1/incidents/{id}/similar", VIEWER, || get(incidents::similar)),
    told(Method::POST, "/api/v1/incidents/{id}/comments", ANALYST, || post(triage::comment)),
    told(Method::POST, "/api/v1/incidents/{id}/reports", ANALYST, || post(triage::report)),
    told(Method::POST, "/api/v1/incidents/{id}/merge", ANALYST, || post(triage::merge)),
    quiet(Method::GET, "/api/v1/rules", VIEWER, || get(rules::list)),
    quiet(Method::GET, "/api/v1/suppressions", VIEWER, || get(suppressions::list)),
    told(Method::POST, "/api/v1/suppressions", LEAD, || post(suppressions::make)),
    told(Method::POST, "/api/v1/suppressions/preview", LEAD, || post(suppressions::preview)),
    quiet(Method::GET, "/api/v1/suppressions/{id}", VIEWER, || get(suppressions::show)),
    told(Method::DELETE, "/api/v1/suppressions/{id}", LEAD, || delete(suppressions::finish)),
    told(Method::GET, "/api/v1/suppressions/{id}/hidden", VIEWER, || get(suppressions::hidden)),
    told(Method::GET, "/api/v1/notifications/routes", ADMINISTRATOR, || get(notifications::routes)),
    told(Method::POST, "/api/v1/notifications/routes", ADMINISTRATOR, || post(notifications::make)),
    told(Method::PUT, "/api/v1/notifications/routes/{id}", ADMINISTRATOR, || put(notifications::change)),
    told(Method::POST, "/api/v1/notifications/routes/{id}/secret", ADMINISTRATOR, || post(notifications::renew_secret)),
    told(Method::POST, "/api/v1/notifications/routes/{id}/test", ADMINISTRATOR, || post(notifications::test)),
    quiet(Method::GET, "/api/v1/notifications/messages", ADMINISTRATOR, || get(notifications::messages)),
    told(Method::POST, "/api/v1/notifications/messages/{id}/retry", ADMINISTRATOR, || post(notifications::retry)),
    told(Method::DELETE, "/api/v1/notifications/routes/{id}", ADMINISTRATOR, || delete(notifications::remove)),
    quiet(Method::GET, "/api/v1/assignees", ANALYST, || get(people::assignees)),
    told(Method::GET, "/api/v1/events", VIEWER, || get(events::search)),
    told(Method::GET, "/api/v1/events/{id}", VIEWER, || get(events::show)),
    quiet(Method::GET, "/api/v1/status", VIEWER, || get(status::show)),
    quiet(Method::GET, "/api/v1/stream", VIEWER, || get(stream::follow)),
    quiet(Method::GET, "/api/v1/units", VIEWER, || get(people::units)),
    told(Method::PUT, "/api/v1/units", ADMINISTRATOR, || put(people::import_units)),
    told(Method::GET, "/api/v1/users", ADMINISTRATOR, || get(people::list)),
    told(Method::POST, "/api/v1/users", ADMINISTRATOR, || post(people::make)),
    told(Method::PATCH, "/api/v1/users/{id}", ADMINISTRATOR, || patch(people::change)),
    told(Method::POST, "/api/v1/users/{id}/password", ADMINISTRATOR, || post(people::reset)),
    told(Method::GET, "/api/v1/tokens", ADMINISTRATOR, || get(people::tokens)),
    told(Method::POST, "/api/v1/tokens", ADMINISTRATOR, || post(people::make_token)),
    told(Method::DELETE, "/api/v1/tokens/{id}", ADMINISTRATOR, || delete(people::revoke_token)),
    told(Method::GET, "/api/v1/audit", ADMINISTRATOR, || get(people::audit)),
];

/// The whole site: API and console, behind its guards.
pub(crate) fn site(app: App, doors: Doors) -> Router {
    let mut api = Router::new();
    for route in ROUTES {
        let guard = middleware::from_fn_with_state((app.clone(), route), caller::admit);
        api = api.route(route.path, (route.handler)().layer(guard));
    }
    let api = api
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "This address does not take that method.",
            )
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::GATEWAY_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
        .with_state(app);
    let doors = Arc::new(doors);
    api.fallback(crate::assets::serve)
        .layer(middleware::from_fn_with_state(
            doors.clone(),
            guard::check_request,
        ))
        .layer(CompressionLayer::new().gzip(true).br(true))
        .layer(middleware::from_fn_with_state(doors, guard::add_headers))
        .layer(middleware::from_fn(guard::measure))
}

/// The address that a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The answer for an address under `/api/` that is none.
pub(crate) fn no_such_route() -> Response {
    Problem::new(
        StatusCode::NOT_FOUND,
        "There is no such address in this API.",
    )
    .into_response()
}
