//! Listens, and answers until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use tokio_util::sync::CancellationToken;

use crate::api::{self, App, CertificateOrigin, Doors, Transport};
use crate::tls::{self, TlsError};

/// Requests that run at shutdown may take so long to finish.
const GRACE: Duration = Duration::from_secs(5);

/// Who sends the headers of a request slower than this is cut off. It also ends idle connections, so it is
/// longer than common clients keep theirs.
const HEADER_TIMEOUT: Duration = Duration::from_secs(75);

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is not free.
    #[error(
        "cannot listen on {address}: another program does. Stop it (`ss -ltnp 'sport = :{port}'` names \
         it), or set another port in [alerting] listen",
        port = .address.port()
    )]
    PortTaken {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}; check [alerting] listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listener failed while running.
    #[error("the web server at {address} stopped: {source}")]
    Stopped {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A bound listener: the port is taken, nothing is answered yet.
#[derive(Debug)]
pub struct Server {
    listener: std::net::TcpListener,
    tls: Option<RustlsConfig>,
    doors: Doors,
    app: App,
}

impl Server {
    pub(crate) fn bind(app: App, listen: SocketAddr) -> Result<Self, ServeError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => ServeError::PortTaken { address: listen },
            _ => ServeError::Listen {
                address: listen,
                source,
            },
        };
        let listener = std::net::TcpListener::bind(listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let config = &app.config;
        let given = config.tls.certificate.is_some() || config.tls.private_key.is_some();
        // A given certificate is used on loopback as well.
        let (tls, transport, certificate) = if given || !address.ip().is_loopback() {
            let settings =
                tls::server_config(&config.tls, &config.data_dir, address, &config.host_names)?;
            let origin = if given {
                CertificateOrigin::Given
            } else {
                CertificateOrigin::Own
            };
            (
                Some(RustlsConfig::from_config(settings)),
                Transport::Tls,
                origin,
            )
        } else {
            (None, Transport::Plain, CertificateOrigin::None)
        };
        let doors = Doors {
            transport,
            address,
            host_names: config.host_names.clone(),
            certificate,
        };
        Ok(Self {
            listener,
            tls,
            doors,
            app,
        })
    }

    /// Where it listens: the port that was given for port 0.
    pub fn address(&self) -> SocketAddr {
        self.doors.address
    }

    /// The address to open in a browser.
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.doors.address)
    }

    /// Answers until `shutdown`, then lets running requests finish for a short while.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        let address = self.address();
        let handle = Handle::new();
        let stopper = tokio::spawn({
            let handle = handle.clone();
            let streams = self.app.shutdown.clone();
            async move {
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    () = streams.cancelled() => {}
                }
                streams.cancel();
                handle.graceful_shutdown(Some(GRACE));
            }
        });
        let site =
            api::site(self.app, self.doors).into_make_service_with_connect_info::<SocketAddr>();
        let stopped = |source| ServeError::Stopped { address, source };
        let result = match self.tls {
            Some(tls) => {
                let mut server = axum_server::from_tcp_rustls(self.listener, tls)
                    .map_err(stopped)?
                    .handle(handle);
                server
                    .http_builder()
                    .http1()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT);
                server.serve(site).await
            }
            None => {
                let mut server = axum_server::from_tcp(self.listener)
                    .map_err(stopped)?
                    .handle(handle);
                server
                    .http_builder()
                    .http1()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT);
                server.serve(site).await
            }
        };
        stopper.abort();
        result.map_err(stopped)
    }
}
