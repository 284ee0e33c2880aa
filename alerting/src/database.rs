//! The database of alerts, incidents and accounts: SQLite by default, PostgreSQL by its address.
//!
//! One schema and one SQL for both, through sqlx's `Any` driver. Its price: only texts, integers and
//! nothing finer (TEXT and BIGINT columns), and no queries checked at compile time. The other ways cost
//! more: two typed pools behind an enum write each query twice, and generics over `sqlx::Database` carry
//! some ten trait bounds into each function.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{Any, AnyConnection, AnyPool, Executor, Transaction};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::config::DatabaseUrl;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Connections to the database. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pool: AnyPool,
    backend: Backend,
    /// SQLite has one writer at a time and lets the others poll for their turn; here they queue for it.
    turn: Arc<Mutex<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Backend {
    Sqlite,
    Postgres,
}

/// Why the database cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The data folder cannot be made.
    #[error("cannot create the folder {path}: {source}; create it or set [alerting] data_dir")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No connection.
    #[error("cannot open the database {place}: {source}")]
    Open {
        /// File or address, without secrets.
        place: String,
        /// Why.
        source: sqlx::Error,
    },
    /// The schema cannot be brought up to date.
    #[error(
        "cannot bring the schema of {place} up to date: {source}; a database written by a newer \
         version needs that version"
    )]
    Migrate {
        /// File or address, without secrets.
        place: String,
        /// Why.
        source: sqlx::migrate::MigrateError,
    },
}

impl Database {
    /// Opens SQLite in `data_dir`, which is made when missing, or the given PostgreSQL, and brings the
    /// schema up to date.
    pub(crate) async fn open(
        data_dir: &Path,
        url: Option<&DatabaseUrl>,
    ) -> Result<Self, DatabaseError> {
        install_default_drivers();
        let (backend, address, place) = match url {
            Some(url) => (Backend::Postgres, url.secret().to_owned(), url.to_string()),
            None => {
                create_private_folder(data_dir)?;
                let path = data_dir.join("alerting.sqlite");
                (
                    Backend::Sqlite,
                    sqlite_url(&path),
                    path.display().to_string(),
                )
            }
        };
        let options = AnyPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if backend == Backend::Sqlite {
                        connection.execute(SQLITE_SETTINGS).await?;
                    }
                    Ok(())
                })
            });
        let pool = options
            .connect(&address)
            .await
            .map_err(|source| DatabaseError::Open {
                place: place.clone(),
                source,
            })?;
        MIGRATIONS
            .run(&pool)
            .await
            .map_err(|source| DatabaseError::Migrate { place, source })?;
        Ok(Self {
            pool,
            backend,
            turn: Arc::new(Mutex::new(())),
        })
    }

    /// For reading.
    pub(crate) fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Begins a transaction that will write. Dropped without a commit, it is rolled back.
    pub(crate) async fn write(&self) -> Result<Write, sqlx::Error> {
        let (turn, begin) = match self.backend {
            // A transaction that begins by reading and then writes fails at once under a writer.
            Backend::Sqlite => (
                Some(self.turn.clone().lock_owned().await),
                "BEGIN IMMEDIATE",
            ),
            Backend::Postgres => (None, "BEGIN"),
        };
        Ok(Write {
            transaction: self.pool.begin_with(begin).await?,
            _turn: turn,
        })
    }

    /// Closes all connections, after what runs on them.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }
}

/// FULL: an alert is answered as committed, and its events' positions move on; it must survive a power
/// cut. The write-ahead log lets readers go on while one writes.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; \
     PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;";

/// A writing transaction.
pub(crate) struct Write {
    transaction: Transaction<'static, Any>,
    _turn: Option<OwnedMutexGuard<()>>,
}

impl Write {
    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }

    /// Counts up a counter and keeps its lock to the end of the transaction.
    pub(crate) async fn next(&mut self, counter: Counter) -> Result<i64, sqlx::Error> {
        let name = match counter {
            Counter::Change => "change",
            Counter::Incident => "incident",
            Counter::Audit => "audit",
            Counter::Tree => "tree",
        };
        sqlx::query_scalar("UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value")
            .bind(name)
            .fetch_one(&mut **self)
            .await
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.transaction
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }
}

/// What is counted up in the table `counters`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counter {
    /// Places in the stream of changes.
    Change,
    /// Numbers of incidents.
    Incident,
    /// Entries of the audit log.
    Audit,
    /// Changes of the tree of units.
    Tree,
}

/// Whether the database refuses what is in a statement and would refuse it for ever: a value that is too large, or that a
/// constraint forbids. Everything else may pass: no connection, a full disk, a lock, a schema that somebody repairs.
pub(crate) fn is_refusal_of_data(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_data_code(&code)),
        sqlx::Error::RowNotFound
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. } => true,
        _ => false,
    }
}

fn is_data_code(code: &str) -> bool {
    // PostgreSQL (appendix A of its manual): data exception, integrity constraint violation, program limit exceeded.
    if code.len() == 5 {
        return ["22", "23", "54"]
            .iter()
            .any(|class| code.starts_with(class));
    }
    // SQLite (rescode.html): the low byte of TOOBIG, CONSTRAINT and MISMATCH.
    code.parse::<u32>()
        .is_ok_and(|code| matches!(code & 0xff, 18..=20))
}

/// PostgreSQL cannot store a NUL in a text, and log content may hold any: it is shown as U+FFFD.
pub(crate) fn storable(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

fn sqlite_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                url.push(byte.into())
            }
            _ => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url.push_str("?mode=rwc");
    url
}

/// Password hashes and keys rest here: nobody else on the machine reads them.
pub(crate) fn create_private_folder(path: &Path) -> Result<(), DatabaseError> {
    let folder = |source| DatabaseError::Folder {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_refused_for_ever_is_refused_data() {
        for code in ["22001", "23505", "54000", "2067", "1811", "18"] {
            assert!(is_data_code(code), "{code}");
        }
        // No table, no space, a shutdown, a lock, an error of input and output.
        for code in ["42P01", "53100", "57P01", "40001", "1", "5", "10", "13", ""] {
            assert!(!is_data_code(code), "{code}");
        }
        assert!(!is_refusal_of_data(&sqlx::Error::PoolTimedOut));
    }
}
