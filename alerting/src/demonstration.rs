//! Whether this installation is a demonstration: recordings were played into it, and nothing of what it holds may be
//! taken for what happens in the city.
//!
//! The mark stands in the database, so that it holds for every process and whatever the configuration says later. It is
//! set once and never taken back: to be rid of it, remove the data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::database::Database;

/// On every answer of a demonstration, the API's and the console's alike.
const HEADER: HeaderName = HeaderName::from_static("citywatch-demonstration");

/// Why recordings may not be played here.
#[derive(Debug, thiserror::Error)]
pub enum DemonstrationError {
    /// Real incidents and played ones must never stand beside each other.
    #[error(
        "the database holds {incidents} incidents that are not of a demonstration: choose another data folder for it"
    )]
    Real {
        /// How many.
        incidents: i64,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The mark; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Demonstration(Arc<AtomicBool>);

impl Demonstration {
    /// The mark as the database has it.
    pub(crate) async fn open(database: &Database) -> Result<Self, sqlx::Error> {
        let value: i64 =
            sqlx::query_scalar("SELECT value FROM counters WHERE name = 'demonstration'")
                .fetch_one(database.pool())
                .await?;
        Ok(Self(Arc::new(AtomicBool::new(value != 0))))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the mark, where nothing real is.
    pub(crate) async fn begin(&self, database: &Database) -> Result<(), DemonstrationError> {
        if self.is_set() {
            return Ok(());
        }
        let mut write = database.write().await?;
        let incidents: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents")
            .fetch_one(&mut *write)
            .await?;
        if incidents > 0 {
            return Err(DemonstrationError::Real { incidents });
        }
        sqlx::query("UPDATE counters SET value = 1 WHERE name = 'demonstration'")
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Adds the header to what a demonstration answers.
pub(crate) async fn mark_answer(
    State(mark): State<Demonstration>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if mark.is_set() {
        let value = HeaderValue::from_static("true");
        response.headers_mut().insert(HEADER, value);
    }
    response
}
