//! Connections that have shaken hands: TLS with a certificate of our own authority, and the client's if it
//! shows one.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::IntakeError;
use crate::authority::Authority;
use crate::https;
use crate::sources::connection::{Connection, Terms};
use crate::sources::received::{Counts, RETRY_AFTER};

const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing moves for this long is closed.
const IDLE_MAX: Duration = Duration::from_secs(120);
const CONNECTIONS_MAX: usize = 1024;
/// Connections that have shaken hands and wait to be served.
const WAITING_MAX: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The server's certificate; its key is never on disk.
const VALID: Duration = DAY.saturating_mul(30);
const RENEWED_AFTER: Duration = DAY.saturating_mul(20);
/// After a failure the old one is used on, and a new one is tried again.
const RETRIED_AFTER: Duration = Duration::from_secs(3600);

/// The server's certificate, made anew in time.
pub(super) struct Certificates {
    authority: Arc<Authority>,
    names: Vec<String>,
    current: Mutex<(Arc<ServerConfig>, Instant)>,
}

impl Certificates {
    pub(super) fn new(authority: Arc<Authority>, names: Vec<String>) -> Result<Self, IntakeError> {
        let config = make(&authority, &names)?;
        let renew_at = Instant::now() + RENEWED_AFTER;
        Ok(Self {
            authority,
            names,
            current: Mutex::new((config, renew_at)),
        })
    }

    fn current(&self) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= current.1 {
            match make(&self.authority, &self.names) {
                Ok(config) => *current = (config, Instant::now() + RENEWED_AFTER),
                Err(error) => {
                    tracing::error!(%error, "the intake's certificate cannot be renewed");
                    current.1 = Instant::now() + RETRIED_AFTER;
                }
            }
        }
        Arc::clone(&current.0)
    }
}

fn make(authority: &Authority, names: &[String]) -> Result<Arc<ServerConfig>, IntakeError> {
    let tls = |error: &dyn std::fmt::Display| IntakeError::Tls(error.to_string());
    let (key, chain) = authority.issue_unlisted(names, VALID, SystemTime::now())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| tls(&error))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| tls(&error))?;
    let mut roots = RootCertStore::empty();
    // The authority's own comes after the server's.
    let own = chain.get(1).ok_or_else(|| tls(&"no authority"))?;
    roots.add(own.clone()).map_err(|error| tls(&error))?;
    let provider = https::provider();
    // Revocation is judged per request, where the answer can say so.
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| tls(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// The certificate that it showed, DER: of our authority and in its time, perhaps revoked.
    pub(super) certificate: Option<CertificateDer<'static>>,
}

/// Hands out connections after their handshake: one that is slow does not keep others waiting.
pub(super) struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<Connection>, Peer)>,
}

impl TlsListener {
    pub(super) fn start(
        socket: TcpListener,
        certificates: Certificates,
        shutdown: CancellationToken,
    ) -> Self {
        let address = socket
            .local_addr()
            .unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let (hand_over, ready) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
            // TLS is agreed on above this, where the client's certificate can be seen.
            let terms = Terms {
                tls: None,
                idle_max: IDLE_MAX,
                counts: Arc::new(Counts::default()),
            };
            loop {
                let accepting = async {
                    let place = Arc::clone(&places).acquire_owned().await;
                    let place = place.expect("nobody closes the semaphore");
                    (socket.accept().await, place)
                };
                let (accepted, place) = tokio::select! {
                    () = shutdown.cancelled() => return,
                    accepted = accepting => accepted,
                };
                let (stream, address) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors, for example: others may end.
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(RETRY_AFTER).await;
                        continue;
                    }
                };
                let connection = Connection::new(stream, address, terms.clone(), place);
                let acceptor = TlsAcceptor::from(certificates.current());
                let hand_over = hand_over.clone();
                tokio::spawn(async move {
                    let shaken =
                        tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(connection)).await;
                    match shaken {
                        Ok(Ok(stream)) => {
                            let peer = Peer {
                                address,
                                certificate: shown(&stream),
                            };
                            // Nobody serves any more at the end.
                            let _ = hand_over.send((stream, peer)).await;
                        }
                        Ok(Err(error)) => refused(address, &error),
                        Err(_) => refused(address, &io::Error::from(io::ErrorKind::TimedOut)),
                    }
                });
            }
        });
        Self { address, ready }
    }
}

fn shown(stream: &TlsStream<Connection>) -> Option<CertificateDer<'static>> {
    let (_, session) = stream.get_ref();
    Some(session.peer_certificates()?.first()?.clone().into_owned())
}

fn refused(address: SocketAddr, error: &io::Error) {
    metrics::counter!("citywatch_intake_handshakes_failed_total").increment(1);
    tracing::info!(%address, %error, "a TLS handshake with the intake failed");
}

impl Listener for TlsListener {
    type Io = TlsStream<Connection>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Peer) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // Shutdown: whoever serves hears of it elsewhere.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer {
            address: self.address,
            certificate: None,
        })
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}
