//! Sessions: kept by the server, named by a random token in a cookie.

use ring::digest::{SHA256, digest};
use sqlx::Row;

use super::users::read;
use super::{User, random_token};
use crate::clock::{Clock, HOUR_MICROS, MINUTE_MICROS};
use crate::config::SessionsConfig;
use crate::database::Database;
use crate::intake::keys::hexadecimal;

/// Requests within this time of the last noted one do not write to the database.
const NOTED_EVERY_MICROS: i64 = MINUTE_MICROS;

/// A session in the database.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The person, as of now: a changed role counts at once.
    pub(crate) user: User,
    /// What mutating requests must carry in a header.
    pub(crate) csrf: String,
    /// SHA-256 of the token.
    pub(crate) token_hash: String,
}

/// Sessions in the database.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) config: SessionsConfig,
}

impl Sessions {
    /// Begins one; returns the token for the cookie with it. Expired ones, and the person's oldest beyond
    /// the bound, end.
    pub(crate) async fn begin(
        &self,
        user: User,
        address: &str,
    ) -> Result<(String, Session), sqlx::Error> {
        let token = random_token();
        let session = Session {
            csrf: random_token(),
            token_hash: hash(&token),
            user,
        };
        let now = self.clock.now().as_micros();
        let mut write = self.database.write().await?;
        sqlx::query("DELETE FROM sessions WHERE last_seen_at <= $1 OR created_at <= $2")
            .bind(self.idle_since())
            .bind(self.begun_since())
            .execute(&mut *write)
            .await?;
        sqlx::query(
            "DELETE FROM sessions WHERE user_id = $1 AND token_hash NOT IN (SELECT token_hash \
             FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, token_hash LIMIT $2)",
        )
        .bind(session.user.id.as_str())
        .bind(i64::from(self.config.per_user_max.max(1)) - 1)
        .execute(&mut *write)
        .await?;
        sqlx::query(
            "INSERT INTO sessions (token_hash, user_id, csrf, address, created_at, last_seen_at) \
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(session.token_hash.as_str())
        .bind(session.user.id.as_str())
        .bind(session.csrf.as_str())
        .bind(address)
        .bind(now)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok((token, session))
    }

    /// The session of a token, if it has not ended and its person may still sign in.
    pub(crate) async fn find(&self, token: &str) -> Result<Option<Session>, sqlx::Error> {
        let now = self.clock.now().as_micros();
        let token_hash = hash(token);
        let row = sqlx::query(
            "SELECT users.*, sessions.csrf, sessions.last_seen_at FROM sessions \
             JOIN users ON users.id = sessions.user_id WHERE sessions.token_hash = $1 \
             AND sessions.last_seen_at > $2 AND sessions.created_at > $3 AND users.disabled = 0",
        )
        .bind(token_hash.as_str())
        .bind(self.idle_since())
        .bind(self.begun_since())
        .fetch_optional(self.database.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        if now - row.try_get::<i64, _>("last_seen_at")? >= NOTED_EVERY_MICROS {
            let mut write = self.database.write().await?;
            sqlx::query("UPDATE sessions SET last_seen_at = $1 WHERE token_hash = $2")
                .bind(now)
                .bind(token_hash.as_str())
                .execute(&mut *write)
                .await?;
            write.commit().await?;
        }
        Ok(Some(Session {
            user: read(&row)?,
            csrf: row.try_get("csrf")?,
            token_hash,
        }))
    }

    /// Whether a session found earlier still holds; does not count as a sign of life of the person.
    pub(crate) async fn holds(&self, token_hash: &str) -> Result<bool, sqlx::Error> {
        let found: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM sessions JOIN users ON users.id = sessions.user_id \
             WHERE sessions.token_hash = $1 AND sessions.last_seen_at > $2 \
             AND sessions.created_at > $3 AND users.disabled = 0",
        )
        .bind(token_hash)
        .bind(self.idle_since())
        .bind(self.begun_since())
        .fetch_one(self.database.pool())
        .await?;
        Ok(found > 0)
    }

    /// Ends one.
    pub(crate) async fn end(&self, token_hash: &str) -> Result<(), sqlx::Error> {
        let mut write = self.database.write().await?;
        sqlx::query("DELETE FROM sessions WHERE token_hash = $1")
            .bind(token_hash)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// The number of sessions that have not ended.
    pub(crate) async fn count(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT COUNT(*) FROM sessions WHERE last_seen_at > $1 AND created_at > $2",
        )
        .bind(self.idle_since())
        .bind(self.begun_since())
        .fetch_one(self.database.pool())
        .await
    }

    fn idle_since(&self) -> i64 {
        self.clock.now().as_micros() - i64::from(self.config.idle_minutes.max(1)) * MINUTE_MICROS
    }

    fn begun_since(&self) -> i64 {
        self.clock.now().as_micros() - i64::from(self.config.absolute_hours.max(1)) * HOUR_MICROS
    }
}

/// SHA-256 of a token, hexadecimal. Tokens are random, so nothing slower is needed.
pub(crate) fn hash(token: &str) -> String {
    hexadecimal(digest(&SHA256, token.as_bytes()).as_ref())
}
