//! The table of people.

use citywatch_parsers::Timestamp;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{FirstPassword, Passwords, Role, Scope, random_password, random_token};
use crate::clock::Clock;
use crate::database::Database;

/// The name of the first administrator.
pub(crate) const FIRST_ADMINISTRATOR: &str = "admin";

/// A person.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) scope: Scope,
    /// Argon2id, PHC string format.
    pub(crate) password_hash: String,
    pub(crate) disabled: bool,
}

/// Why something about a person could not be done.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody has that name.
    #[error("there is no user {name:?}; known: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// People in the database.
#[derive(Clone, Debug)]
pub(crate) struct Users {
    pub(crate) database: Database,
    pub(crate) passwords: Passwords,
    pub(crate) clock: Clock,
}

impl Users {
    /// Makes the first administrator if there is nobody yet.
    pub(crate) async fn ensure_administrator(&self) -> Result<Option<FirstPassword>, UserError> {
        let people: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM users")
            .fetch_one(self.database.pool())
            .await?;
        if people > 0 {
            return Ok(None);
        }
        let password = random_password();
        let hash = self.passwords.hash(password.clone()).await;
        let now = self.clock.now().as_micros();
        let mut write = self.database.write().await?;
        // Another process may be setting up the same database: one of the two makes it.
        let made = sqlx::query(
            "INSERT INTO users (id, name, role, unit_root, password_hash, disabled, created_at, \
             password_changed_at, version) VALUES ($1, $2, $3, '', $4, 0, $5, $5, 1) \
             ON CONFLICT DO NOTHING",
        )
        .bind(random_token())
        .bind(FIRST_ADMINISTRATOR)
        .bind(Role::Administrator.name())
        .bind(hash)
        .bind(now)
        .execute(&mut *write)
        .await?
        .rows_affected();
        write.commit().await?;
        let first = FirstPassword {
            user: FIRST_ADMINISTRATOR.to_owned(),
            password,
        };
        Ok((made > 0).then_some(first))
    }

    /// Gives a person a new random password, lets them in again and ends their sessions.
    pub(crate) async fn reset(&self, name: &str) -> Result<FirstPassword, UserError> {
        let name = normalised(name);
        let password = random_password();
        let hash = self.passwords.hash(password.clone()).await;
        let mut write = self.database.write().await?;
        let changed = sqlx::query(
            "UPDATE users SET password_hash = $1, password_changed_at = $2, disabled = 0, \
             version = version + 1 WHERE name = $3",
        )
        .bind(hash)
        .bind(self.clock.now().as_micros())
        .bind(name.as_str())
        .execute(&mut *write)
        .await?
        .rows_affected();
        if changed == 0 {
            let known: Vec<String> =
                sqlx::query_scalar("SELECT name FROM users ORDER BY name LIMIT 20")
                    .fetch_all(&mut *write)
                    .await?;
            return Err(UserError::Unknown {
                name,
                known: known.join(", "),
            });
        }
        sqlx::query("DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE name = $1)")
            .bind(name.as_str())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        Ok(FirstPassword {
            user: name,
            password,
        })
    }

    /// When a person got the password that they have.
    pub(crate) async fn password_changed_at(
        &self,
        name: &str,
    ) -> Result<Option<Timestamp>, sqlx::Error> {
        let at: Option<i64> =
            sqlx::query_scalar("SELECT password_changed_at FROM users WHERE name = $1")
                .bind(name)
                .fetch_optional(self.database.pool())
                .await?;
        Ok(at.map(Timestamp))
    }

    /// The person of that name.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<User>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM users WHERE name = $1")
            .bind(normalised(name))
            .fetch_optional(self.database.pool())
            .await?;
        row.map(|row| read(&row)).transpose()
    }
}

/// Names are told apart without regard to case and blanks around them.
pub(crate) fn normalised(name: &str) -> String {
    name.trim().to_lowercase().replace('\0', "")
}

/// A person from a row that holds all columns of `users`.
pub(crate) fn read(row: &AnyRow) -> Result<User, sqlx::Error> {
    let role: String = row.try_get("role")?;
    let role = Role::of_name(&role).ok_or_else(|| {
        sqlx::Error::Decode(format!("unknown role {role:?} in the table users").into())
    })?;
    Ok(User {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role,
        scope: Scope::of_root(row.try_get("unit_root")?),
        password_hash: row.try_get("password_hash")?,
        disabled: row.try_get::<i64, _>("disabled")? != 0,
    })
}
