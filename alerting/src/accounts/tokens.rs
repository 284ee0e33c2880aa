//! Tokens for programs: a random secret with a role, a scope and an end.

use serde::Serialize;
use sqlx::Row;

use super::session::hash;
use super::{Role, Scope, random_token};
use crate::clock::{Clock, HOUR_MICROS};
use crate::database::Database;
use crate::incidents::rfc3339;

/// Begins each token, so that scanners for leaked secrets know it.
const PREFIX: &str = "cwt_";

/// A token as it is shown: without its secret.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ApiToken)]
pub(crate) struct TokenView {
    pub(crate) id: String,
    pub(crate) name: String,
    #[schema(value_type = Role)]
    pub(crate) role: String,
    /// Empty for the whole city.
    pub(crate) unit: String,
    pub(crate) created_by: String,
    pub(crate) created_at: String,
    pub(crate) expires_at: String,
    pub(crate) revoked_at: Option<String>,
    pub(crate) last_used_at: Option<String>,
}

/// A token that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewToken<'a> {
    pub(crate) name: &'a str,
    pub(crate) role: Role,
    pub(crate) unit_root: &'a str,
    pub(crate) created_by: &'a str,
    /// Microseconds since the epoch.
    pub(crate) expires_at: i64,
}

/// A token that holds.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) scope: Scope,
}

/// Tokens in the database.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
}

impl Tokens {
    /// Makes one; returns its id and the secret, which is told this once.
    pub(crate) async fn make(&self, new: NewToken<'_>) -> Result<(String, String), sqlx::Error> {
        let (id, secret) = (random_token(), format!("{PREFIX}{}", random_token()));
        let mut write = self.database.write().await?;
        sqlx::query(
            "INSERT INTO api_tokens (id, name, token_hash, role, unit_root, created_by, created_at, \
             expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id.as_str())
        .bind(new.name)
        .bind(hash(&secret))
        .bind(new.role.name())
        .bind(new.unit_root)
        .bind(new.created_by)
        .bind(self.clock.now().as_micros())
        .bind(new.expires_at)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok((id, secret))
    }

    /// The token of a secret, if it has neither ended nor been revoked.
    pub(crate) async fn find(&self, secret: &str) -> Result<Option<Token>, sqlx::Error> {
        let now = self.clock.now().as_micros();
        let row = sqlx::query(
            "SELECT id, name, role, unit_root, last_used_at FROM api_tokens \
             WHERE token_hash = $1 AND expires_at > $2 AND revoked_at IS NULL",
        )
        .bind(hash(secret))
        .bind(now)
        .fetch_optional(self.database.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let id: String = row.try_get("id")?;
        // To the hour: who looks for unused tokens needs no more, and requests stay cheap.
        if row
            .try_get::<Option<i64>, _>("last_used_at")?
            .is_none_or(|used| now - used >= HOUR_MICROS)
        {
            let mut write = self.database.write().await?;
            sqlx::query("UPDATE api_tokens SET last_used_at = $1 WHERE id = $2")
                .bind(now)
                .bind(id.as_str())
                .execute(&mut *write)
                .await?;
            write.commit().await?;
        }
        let role: String = row.try_get("role")?;
        let Some(role) = Role::of_name(&role) else {
            return Ok(None);
        };
        let scope = Scope::of_root(row.try_get("unit_root")?);
        Ok(Some(Token {
            id,
            name: row.try_get("name")?,
            role,
            scope,
        }))
    }

    /// Whether a token found earlier still holds.
    pub(crate) async fn holds(&self, id: &str) -> Result<bool, sqlx::Error> {
        let found: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM api_tokens WHERE id = $1 AND expires_at > $2 AND revoked_at IS NULL",
        )
        .bind(id)
        .bind(self.clock.now().as_micros())
        .fetch_one(self.database.pool())
        .await?;
        Ok(found > 0)
    }

    /// Ends one; false when there is none of that id.
    pub(crate) async fn revoke(&self, id: &str) -> Result<bool, sqlx::Error> {
        let mut write = self.database.write().await?;
        let result = sqlx::query(
            "UPDATE api_tokens SET revoked_at = COALESCE(revoked_at, $1) WHERE id = $2",
        )
        .bind(self.clock.now().as_micros())
        .bind(id)
        .execute(&mut *write)
        .await?;
        write.commit().await?;
        Ok(result.rows_affected() > 0)
    }

    /// All of them, the newest first.
    pub(crate) async fn list(&self) -> Result<Vec<TokenView>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM api_tokens ORDER BY created_at DESC, id LIMIT 1000")
            .fetch_all(self.database.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(TokenView {
                    id: row.try_get("id")?,
                    name: row.try_get("name")?,
                    role: row.try_get("role")?,
                    unit: row.try_get("unit_root")?,
                    created_by: row.try_get("created_by")?,
                    created_at: rfc3339(row.try_get("created_at")?),
                    expires_at: rfc3339(row.try_get("expires_at")?),
                    revoked_at: row.try_get::<Option<i64>, _>("revoked_at")?.map(rfc3339),
                    last_used_at: row.try_get::<Option<i64>, _>("last_used_at")?.map(rfc3339),
                })
            })
            .collect()
    }
}
