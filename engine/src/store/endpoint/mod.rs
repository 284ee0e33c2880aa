//! chDB, the ClickHouse engine as a library, behind ClickHouse's own HTTP protocol.
//!
//! This is the process `citywatch store`. It owns one data directory, listens on loopback and
//! answers the official client, curl and whatever else speaks to ClickHouse. A crash in the library
//! ends this process only; `citywatch up` starts it again, and all that was acknowledged is there.
//!
//! Invariants:
//! - An insert's data goes through the library's insert stream, never within a statement's text;
//!   what breaks off stores nothing; rows written are compared with rows sent.
//! - A request leaves no trace in the next one: each has a connection of its own.
//! - Memory is bounded: results and inserts pass in pieces, statements have a longest length, and
//!   so many requests run at once.

mod connection;
mod format;
mod http;
mod job;
mod library;
mod request;
mod statement;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Password;
use connection::{Connection, Engine};
pub use library::find_library;

/// Header by which our client says how many rows an insert holds: the endpoint compares them with
/// the rows written. ClickHouse itself ignores it.
pub(super) const ROWS_HEADER: &str = "X-Citywatch-Rows";
/// Error code of an insert whose rows written are not the rows sent; outside of ClickHouse's range.
pub(super) const ROWS_LOST_CODE: u32 = 91_001;

/// Name of the file whose lock says that a process has the data open.
const LOCK_FILE: &str = "citywatch-store.lock";
/// An earlier process may still be closing the data.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for requests under way when the endpoint stops.
const STOP_WAIT: Duration = Duration::from_secs(20);

/// Settings of the endpoint.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Directory of the data; created if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Where to listen, on loopback; port 0 picks a free one.
    pub listen: SocketAddr,
    /// The one user.
    pub user: String,
    /// That user's password; must not be empty.
    pub password: Password,
    /// The library, when it is not where [`find_library`] looks.
    pub library: Option<PathBuf>,
}

/// Why the endpoint could not start.
#[derive(Debug, Error)]
pub enum EndpointError {
    /// No library.
    #[error("libchdb.so is not at {}: run deploy/chdb-fetch.sh, or name its path in CITYWATCH_LIBCHDB", places_text(.places))]
    LibraryMissing {
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// Not the library, or another version of it.
    #[error("{} is no libchdb that can be used: {reason}; run deploy/chdb-fetch.sh", .path.display())]
    LibraryBroken {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// The data directory cannot be made or written.
    #[error("the store's data directory {} cannot be used: {reason}", .path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
    /// Another process has the data open.
    #[error("the store's data in {} is in use by another process: stop that `citywatch store` or `citywatch up` first", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The engine cannot open the data.
    #[error("the store's data in {} cannot be opened: {reason}", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// What the engine said.
        reason: String,
    },
    /// The address is not on loopback.
    #[error(
        "the store listens on loopback only, not on {address}: for other machines run a ClickHouse server"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// An endpoint without a password is open to every user of the machine.
    #[error("the store needs a password")]
    NoPassword,
    /// The address cannot be listened on.
    #[error(
        "the store cannot listen on {address}: {reason}; choose another port, or stop what has it"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
}

fn places_text(places: &[PathBuf]) -> String {
    let places: Vec<String> = places
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    places.join(" nor ")
}

/// Opens the endpoint and serves until `shutdown` is cancelled, then closes the data cleanly.
///
/// # Errors
/// See [`EndpointError`].
pub async fn serve(
    config: EndpointConfig,
    shutdown: CancellationToken,
) -> Result<(), EndpointError> {
    Endpoint::open(config).await?.serve(shutdown).await
}

/// An endpoint whose data is open and whose port is taken.
pub struct Endpoint {
    config: EndpointConfig,
    listener: TcpListener,
    address: SocketAddr,
    engine: Engine,
    /// Keeps the engine running while no request is under way.
    anchor: Connection,
    /// Held as long as the data is open.
    _lock: File,
}

impl Endpoint {
    /// Loads the library, opens the data, takes the port. Only one endpoint can be open in a process.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub async fn open(mut config: EndpointConfig) -> Result<Self, EndpointError> {
        if !config.listen.ip().is_loopback() {
            return Err(EndpointError::NotLoopback {
                address: config.listen,
            });
        }
        if config.password.expose().is_empty() {
            return Err(EndpointError::NoPassword);
        }
        let path = find_library(config.library.as_deref())?;
        // The engine takes a relative path for relative to its own data, twice over.
        if let Ok(absolute) = std::path::absolute(&config.data_dir) {
            config.data_dir = absolute;
        }
        let lock = lock(&config.data_dir).await?;
        // Before the data is opened: a taken port is the likelier mistake, and quickly told.
        let taken = |reason| EndpointError::Listen {
            address: config.listen,
            reason,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let data_dir = config.data_dir.clone();
        let opened = tokio::task::spawn_blocking(move || open_engine(&path, &data_dir)).await;
        let (engine, anchor) =
            opened.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        Ok(Self {
            config,
            listener,
            address,
            engine,
            anchor,
            _lock: lock,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is cancelled, then closes the data cleanly.
    ///
    /// # Errors
    /// [`EndpointError::Listen`] when the listener breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), EndpointError> {
        tracing::info!(address = %self.address, data = %self.config.data_dir.display(), "store is open");
        let account = request::Account::new(&self.config.user, self.config.password.expose());
        let service = http::Service::new(self.engine.clone(), account);
        let stopped = shutdown.clone();
        let serving = axum::serve(self.listener, service.router())
            .with_graceful_shutdown(async move { stopped.cancelled().await })
            .into_future();
        let late = async {
            shutdown.cancelled().await;
            tokio::time::sleep(STOP_WAIT).await;
        };
        let result = tokio::select! {
            result = serving => result,
            () = late => Ok(()),
        };
        let idle = service.wait_idle(STOP_WAIT).await;
        drop(self.anchor);
        if idle {
            // `chdb_shutdown` is not called: it refuses in a process that has opened a MergeTree table, also once no connection is
            // left and the table is detached (seen with 26.7.3). What was acknowledged is whole without it.
            tracing::info!("store is closed");
        } else {
            tracing::warn!("requests did not end in time; the data is whole all the same");
        }
        result.map_err(|reason| EndpointError::Listen {
            address: self.address,
            reason,
        })
    }
}

fn open_engine(library: &Path, data_dir: &Path) -> Result<(Engine, Connection), EndpointError> {
    let functions = library::load(library)?;
    tracing::info!(version = functions.version_text(), library = %library.display(), "chDB is loaded");
    let failed = |reason| EndpointError::Open {
        path: data_dir.to_owned(),
        reason,
    };
    let engine = Engine::new(functions, data_dir);
    let mut anchor = engine.connect().map_err(|error| failed(error.0))?;
    anchor
        .query("SELECT 1", "Null", &[])
        .map_err(|error| failed(error.0))?;
    Ok((engine, anchor))
}

/// Makes the directory and takes its lock, which the system frees when the process ends, however.
async fn lock(data_dir: &Path) -> Result<File, EndpointError> {
    let failed = |reason| EndpointError::DataDir {
        path: data_dir.to_owned(),
        reason,
    };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let file = File::create(data_dir.join(LOCK_FILE)).map_err(failed)?;
    let begun = tokio::time::Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(EndpointError::InUse {
                    path: data_dir.to_owned(),
                });
            }
            Err(std::fs::TryLockError::Error(reason)) => return Err(failed(reason)),
        }
    }
}
