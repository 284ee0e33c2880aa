//! What administrators do about people.

use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::users::{Users, normalised};
use super::{FirstPassword, Role, random_password, random_token};
use crate::incidents::rfc3339;

/// A person as administrators see them.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
    #[schema(value_type = Role)]
    pub(crate) role: String,
    /// The unit whose subtree the person sees; empty for the whole city.
    pub(crate) unit: String,
    pub(crate) disabled: bool,
    pub(crate) created_at: String,
    pub(crate) version: i64,
}

/// What to change about a person.
#[derive(Clone, Debug, Default)]
pub(crate) struct PersonChange<'a> {
    pub(crate) role: Option<Role>,
    pub(crate) unit: Option<&'a str>,
    pub(crate) disabled: Option<bool>,
}

impl Users {
    /// All people by name.
    pub(crate) async fn list(&self) -> Result<Vec<Person>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM users ORDER BY name LIMIT 10000")
            .fetch_all(self.database.pool())
            .await?;
        rows.iter().map(read).collect()
    }

    /// The person of that id.
    pub(crate) async fn person(&self, id: &str) -> Result<Option<Person>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(self.database.pool())
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Makes a person with a random password; none when the name is taken.
    pub(crate) async fn make(
        &self,
        name: &str,
        role: Role,
        unit: &str,
    ) -> Result<Option<(String, FirstPassword)>, sqlx::Error> {
        let (id, name, password) = (random_token(), normalised(name), random_password());
        let hash = self.passwords.hash(password.clone()).await;
        let mut write = self.database.write().await?;
        let made = sqlx::query(
            "INSERT INTO users (id, name, role, unit_root, password_hash, disabled, created_at, \
             password_changed_at, version) VALUES ($1, $2, $3, $4, $5, 0, $6, $6, 1) \
             ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(name.as_str())
        .bind(role.name())
        .bind(unit)
        .bind(hash)
        .bind(self.clock.now().as_micros())
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        Ok((made > 0).then_some((
            id,
            FirstPassword {
                user: name,
                password,
            },
        )))
    }

    /// Changes a person whose version still is `seen_version`; false when it is not. Counts at once: each
    /// request reads role and scope anew.
    pub(crate) async fn change(
        &self,
        person: &Person,
        seen_version: i64,
        change: PersonChange<'_>,
    ) -> Result<bool, sqlx::Error> {
        let mut write = self.database.write().await?;
        let changed = sqlx::query(
            "UPDATE users SET role = $1, unit_root = $2, disabled = $3, version = version + 1 \
             WHERE id = $4 AND version = $5",
        )
        .bind(
            change
                .role
                .map_or_else(|| person.role.clone(), |role| role.name().to_owned()),
        )
        .bind(change.unit.unwrap_or(&person.unit))
        .bind(i64::from(change.disabled.unwrap_or(person.disabled)))
        .bind(person.id.as_str())
        .bind(seen_version)
        .execute(&mut *write)
        .await?
        .rows_affected();
        if change.disabled == Some(true) && changed > 0 {
            sqlx::query("DELETE FROM sessions WHERE user_id = $1")
                .bind(person.id.as_str())
                .execute(&mut *write)
                .await?;
        }
        write.commit().await?;
        Ok(changed > 0)
    }

    /// Gives a person the password they chose, and ends their other sessions.
    pub(crate) async fn set_password(
        &self,
        user_id: &str,
        password: String,
        session_kept: &str,
    ) -> Result<(), sqlx::Error> {
        let hash = self.passwords.hash(password).await;
        let mut write = self.database.write().await?;
        sqlx::query(
            "UPDATE users SET password_hash = $1, password_changed_at = $2, version = version + 1 \
             WHERE id = $3",
        )
        .bind(hash)
        .bind(self.clock.now().as_micros())
        .bind(user_id)
        .execute(&mut *write)
        .await?;
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND token_hash <> $2")
            .bind(user_id)
            .bind(session_kept)
            .execute(&mut *write)
            .await?;
        write.commit().await
    }

    /// Names of people who may work on incidents.
    pub(crate) async fn assignees(&self) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT name FROM users WHERE disabled = 0 AND role <> $1 ORDER BY name LIMIT 10000",
        )
        .bind(Role::Viewer.name())
        .fetch_all(self.database.pool())
        .await
    }
}

fn read(row: &AnyRow) -> Result<Person, sqlx::Error> {
    Ok(Person {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        unit: row.try_get("unit_root")?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
        created_at: rfc3339(row.try_get("created_at")?),
        version: row.try_get("version")?,
    })
}
