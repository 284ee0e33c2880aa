//! A client for our own HTTPS servers: one connection, one request at a time, the server known by the
//! authority that signed its certificate.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use ring::digest;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::hex;
use crate::identity::own::Current;

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpsError {
    /// Not an address.
    #[error("\"{0}\" is no address: write https://HOST:PORT")]
    Address(String),
    /// Nobody listens there, or it cannot be reached.
    #[error("cannot connect to {address}: {reason}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// It did not answer, or stopped in the middle.
    #[error("{address} does not answer: {reason}")]
    Answer {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// Keys or certificates of this side cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// What the server says is wrong: its own words, or the status.
    pub fn complaint(&self) -> String {
        let words: Option<String> = serde_json::from_slice::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|body| Some(body["error"].as_str()?.to_owned()));
        words.unwrap_or_else(|| format!("it answers {}", self.status))
    }
}

/// How a server is known.
pub enum Trust {
    /// One of these signed its certificate.
    Roots(RootCertStore),
    /// The authority that signed its certificate has this SHA-256, and the server shows its certificate.
    Fingerprint([u8; 32]),
}

/// A connection to one server, made anew when it broke.
pub struct Client {
    address: String,
    name: ServerName<'static>,
    connector: TlsConnector,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of `https://host:port`; `identity` is shown to the server if given.
    ///
    /// # Errors
    /// [`HttpsError::Address`] or [`HttpsError::Tls`]; nothing is connected yet.
    pub fn new(url: &str, trust: Trust, identity: Option<&Current>) -> Result<Self, HttpsError> {
        let (address, name) = parse_url(url)?;
        let provider = provider();
        let tls = |error: rustls::Error| HttpsError::Tls(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(tls)?;
        let builder = match trust {
            Trust::Roots(roots) => builder.with_root_certificates(roots),
            Trust::Fingerprint(fingerprint) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Pinned {
                    fingerprint,
                    provider,
                })),
        };
        let config = match identity {
            Some(identity) => {
                let (chain, key) = identity.tls_parts();
                builder.with_client_auth_cert(chain, key).map_err(tls)?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            address,
            name,
            connector: TlsConnector::from(Arc::new(config)),
            connection: None,
        })
    }

    /// Asks once. A connection that the server closed meanwhile is made anew.
    ///
    /// # Errors
    /// [`HttpsError::Connect`] or [`HttpsError::Answer`].
    pub async fn ask(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Answer, HttpsError> {
        let mut kept = self.connection.take();
        if let Some(sender) = &mut kept
            && sender.ready().await.is_err()
        {
            kept = None;
        }
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, content_type)
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))
            .map_err(|error| self.no_answer(&error))?;
        let asked = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(|error| self.no_answer(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| HttpsError::Answer {
                    address: self.address.clone(),
                    reason: error.to_string(),
                })?;
            Ok(Answer {
                status,
                body: body.to_bytes(),
            })
        };
        let answer = tokio::time::timeout(ANSWER_WITHIN, asked)
            .await
            .map_err(|_| HttpsError::Answer {
                address: self.address.clone(),
                reason: format!("not within {} s", ANSWER_WITHIN.as_secs()),
            })??;
        self.connection = Some(sender);
        Ok(answer)
    }

    /// Posts JSON.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn post_json(
        &mut self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<Answer, HttpsError> {
        let body = Bytes::from(body.to_string());
        self.ask(Method::POST, path, "application/json", body).await
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, HttpsError> {
        let connecting = async {
            let stream = TcpStream::connect(&self.address)
                .await
                .map_err(|error| self.no_connection(&error))?;
            // Small requests are not to wait for more.
            let _ = stream.set_nodelay(true);
            let stream = self
                .connector
                .connect(self.name.clone(), stream)
                .await
                .map_err(|error| self.no_connection(&error))?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| self.no_connection(&error))?;
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
            Ok(sender)
        };
        let timed_out = |_| HttpsError::Connect {
            address: self.address.clone(),
            reason: format!("not within {} s", CONNECT_WITHIN.as_secs()),
        };
        tokio::time::timeout(CONNECT_WITHIN, connecting)
            .await
            .map_err(timed_out)?
    }

    fn no_connection(&self, error: &dyn std::error::Error) -> HttpsError {
        HttpsError::Connect {
            address: self.address.clone(),
            reason: with_sources(error),
        }
    }

    fn no_answer(&self, error: &dyn std::error::Error) -> HttpsError {
        HttpsError::Answer {
            address: self.address.clone(),
            reason: with_sources(error),
        }
    }
}

/// What an error says and what caused it, with what TLS's own words leave open.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    let hint = if words.contains("CertificateExpired") || words.contains("certificate expired") {
        "; this agent's certificate or the server's has expired: enrol the agent anew, or set a clock right"
    } else if words.contains("NotValidForName") || words.contains("not valid for name") {
        "; add the name or address to [intake] host_names of the server"
    } else if words.contains("UnknownIssuer") || words.contains("UnknownCA") {
        "; the two sides were not certified by the same authority"
    } else {
        ""
    };
    words + hint
}

/// Host and port of `https://host:port`, and the name that the server's certificate must have.
fn parse_url(url: &str) -> Result<(String, ServerName<'static>), HttpsError> {
    let wrong = || HttpsError::Address(url.to_owned());
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => return Err(wrong()),
    };
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| wrong())?;
    Ok((format!("{host}:{port}"), name))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Trusts a server whose authority has a certain fingerprint: what a token tells an agent that knows
/// nothing else yet.
#[derive(Debug)]
struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let pinned = intermediates.iter().find(|certificate| {
            digest::digest(&digest::SHA256, certificate).as_ref() == self.fingerprint
        });
        let Some(pinned) = pinned else {
            return Err(rustls::Error::General(format!(
                "the server is not the one that the token is for: it does not show the authority sha256:{}",
                hex::encode(&self.fingerprint)
            )));
        };
        let mut roots = RootCertStore::empty();
        roots.add(pinned.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone())
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
