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
mod problem;
mod session;
mod status;
mod stream;
mod triage;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post};
use citywatch_engine::store::Store;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

pub(crate) use caller::Transport;
pub(crate) use guard::{CertificateOrigin, Doors};
pub(crate) use status::StatusSource;
pub(crate) use stream::Followers;

use crate::accounts::{Role, Sessions, SignInLimits, Users};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::config::AlertingConfig;
use crate::database::Database;
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

/// A route of the API.
pub struct Route {
    /// Its method.
    pub method: Method,
    /// Its path, parts in braces being parameters.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    handler: fn() -> MethodRouter<App>,
}

const fn route(
    method: Method,
    path: &'static str,
    access: Access,
    handler: fn() -> MethodRouter<App>,
) -> Route {
    Route {
        method,
        path,
        access,
        handler,
    }
}

const VIEWER: Access = Access::AtLeast(Role::Viewer);
const ANALYST: Access = Access::AtLeast(Role::Analyst);

/// Every route of the API. A table: one line each, however long.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route(Method::POST, "/api/v1/session", Access::Public, || post(session::sign_in)),
    route(Method::GET, "/api/v1/session", VIEWER, || get(session::show)),
    route(Method::DELETE, "/api/v1/session", VIEWER, || delete(session::sign_out)),
    route(Method::GET, "/api/v1/incidents", VIEWER, || get(incidents::list)),
    route(Method::POST, "/api/v1/incidents/bulk", ANALYST, || post(triage::change_many)),
    route(Method::GET, "/api/v1/incidents/{id}", VIEWER, || get(incidents::show)),
    route(Method::PATCH, "/api/v1/incidents/{id}", ANALYST, || patch(triage::change)),
    route(Method::GET, "/api/v1/incidents/{id}/similar", VIEWER, || get(incidents::similar)),
    route(Method::POST, "/api/v1/incidents/{id}/comments", ANALYST, || post(triage::comment)),
    route(Method::POST, "/api/v1/incidents/{id}/merge", ANALYST, || post(triage::merge)),
    route(Method::GET, "/api/v1/events", VIEWER, || get(events::search)),
    route(Method::GET, "/api/v1/events/{id}", VIEWER, || get(events::show)),
    route(Method::GET, "/api/v1/status", VIEWER, || get(status::show)),
    route(Method::GET, "/api/v1/stream", VIEWER, || get(stream::follow)),
];

/// The whole site: API and console, behind its guards.
pub(crate) fn site(app: App, doors: Doors) -> Router {
    let mut api = Router::new();
    for route in ROUTES {
        let guard = middleware::from_fn_with_state((app.clone(), route.access), caller::admit);
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
