//! What the whole system says of itself.

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::extract::State;
use serde_json::Value;

use super::App;
use super::caller::Caller;
use crate::accounts::Scope;

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

    /// The status as it is now; an empty object where nobody provides one.
    pub(super) fn read(&self) -> Value {
        self.0
            .get()
            .map_or_else(|| serde_json::json!({}), |source| source())
    }
}

impl fmt::Debug for StatusSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatusSource")
    }
}

/// An object; its parts are those of the processes that run.
#[derive(utoipa::ToSchema)]
#[schema(value_type = Object)]
#[allow(dead_code, reason = "names a shape")]
pub(super) struct SystemStatus(Value);

/// `GET /api/v1/status`
pub(super) async fn show(State(app): State<App>, caller: Caller) -> Json<Value> {
    let mut status = app.status.read();
    if *caller.scope() != Scope::City {
        hide_units(&mut status);
    }
    Json(status)
}

/// What a status says unit by unit: the agents and what of them waits.
const BY_UNIT: [&str; 2] = ["agents", "held"];

/// Takes out what names units, for who may see only some of them: how the whole system stands is everybody's to know.
fn hide_units(status: &mut Value) {
    match status {
        Value::Object(parts) => {
            parts.retain(|name, _| !BY_UNIT.contains(&name.as_str()));
            parts.values_mut().for_each(hide_units);
        }
        Value::Array(parts) => parts.iter_mut().for_each(hide_units),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_a_part_of_the_city_is_told_of_no_unit() {
        let mut status = serde_json::json!({
            "events": 7,
            "details": {
                "agents": {"silent": 1, "agents": [{"agent": "web01", "unit": "hcmc/a"}]},
                "held": {"memory_bytes": 3, "units": ["hcmc/b"]},
                "queues": [{"name": "parse", "length": 4}],
            },
        });
        hide_units(&mut status);
        assert_eq!(
            status,
            serde_json::json!({
                "events": 7,
                "details": {"queues": [{"name": "parse", "length": 4}]},
            })
        );
    }
}
