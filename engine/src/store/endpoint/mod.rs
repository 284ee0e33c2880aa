//! chDB, the ClickHouse engine as a library, behind ClickHouse's own HTTP protocol.
//!
//! This is the process `citywatch store`. It owns one data directory, listens on loopback and
//! answers the official client, curl and whatever else speaks to ClickHouse. A crash in the library
//! ends this process only; `citywatch up` starts it again, and all that was acknowledged is there.

use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use super::Password;

/// Header by which our client says how many rows an insert holds: the endpoint compares them with
/// the rows written. ClickHouse itself ignores it.
pub(super) const ROWS_HEADER: &str = "X-Citywatch-Rows";
/// Error code of an insert whose rows written are not the rows sent; outside of ClickHouse's range.
pub(super) const ROWS_LOST_CODE: u32 = 91_001;

/// Settings of the endpoint.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Directory of the data; created if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Password of user `default`.
    pub password: Password,
    /// The library, when it is not where [`find_library`] looks.
    pub library: Option<PathBuf>,
}

/// Why the endpoint could not start or go on.
#[derive(Debug, Error)]
pub enum EndpointError {}

/// Serves until `shutdown` is cancelled, then closes the data cleanly. `ready` hears the address
/// once requests are answered.
///
/// # Errors
/// See [`EndpointError`].
pub async fn serve(
    config: EndpointConfig,
    ready: impl FnOnce(SocketAddr),
    shutdown: CancellationToken,
) -> Result<(), EndpointError> {
    ready(config.listen);
    shutdown.cancelled().await;
    Ok(())
}
