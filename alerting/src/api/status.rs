//! What the whole system says of itself.

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::App;

type Source = dyn Fn() -> Value + Send + Sync;

/// Where the status page's content comes from: whoever runs all parts provides it.
#[derive(Clone, Default)]
pub(crate) struct StatusSource(Arc<OnceLock<Box<Source>>>);

impl StatusSource {
    /// Provides it; the first one stands.
    pub(crate) fn provide(&self, source: Box<Source>) {
        if self.0.set(source).is_err() {
            tracing::warn!("the status is provided twice; the first source stands");
        }
    }
}

impl fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusSource")
    }
}

/// `GET /api/v1/status`
pub(super) async fn show(State(app): State<App>) -> Json<Value> {
    Json(
        app.status
            .0
            .get()
            .map_or_else(|| serde_json::json!({}), |source| source()),
    )
}
