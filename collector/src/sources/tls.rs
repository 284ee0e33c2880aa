//! TLS of the addresses that are listened on: the agent's certificate, and who may connect.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde::{Deserialize, Serialize};

/// Files for TLS, in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// The certificate that senders see, with those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority whose certificates senders must show; without it anyone may connect.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Why an address cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum ListenTlsError {
    /// A file cannot be read, or holds something else.
    #[error("tls.{key}: {}: {reason}; it must be a PEM file that the agent's user may read", .path.display())]
    File {
        /// Which of the files.
        key: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The files do not belong together, or are of a kind that cannot be used.
    #[error("tls: the certificate {} cannot be used: {reason}", .certificate.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why.
        reason: String,
    },
}

impl ListenTls {
    /// Reads the files. `alpn` are the protocols within TLS, the preferred first.
    ///
    /// # Errors
    /// [`ListenTlsError`], naming the file.
    pub fn server_config(&self, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, ListenTlsError> {
        let chain = certificates("certificate", &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| file_error("key", &self.key, error.to_string()))?;
        let unusable = |reason: String| ListenTlsError::Unusable {
            certificate: self.certificate.clone(),
            reason,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates("client_ca", path)? {
                    roots
                        .add(certificate)
                        .map_err(|error| file_error("client_ca", path, error.to_string()))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|error| file_error("client_ca", path, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| unusable(error.to_string()))?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    /// What cannot be used, one sentence naming the key; none if all is well.
    pub fn problem(&self) -> Option<String> {
        self.server_config(&[]).err().map(|error| error.to_string())
    }
}

fn certificates(
    key: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, ListenTlsError> {
    let found: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| file_error(key, path, error.to_string()))?;
    if found.is_empty() {
        return Err(file_error(key, path, "no certificate in it".into()));
    }
    Ok(found)
}

fn file_error(key: &'static str, path: &Path, reason: String) -> ListenTlsError {
    ListenTlsError::File {
        key,
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests {
    use super::testing::Authority;
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::make(dir.path());
        assert_eq!(authority.listen_to_own().problem(), None);
        let missing = ListenTls {
            key: dir.path().join("none.key"),
            ..authority.listen()
        };
        let problem = missing.problem().unwrap();
        assert!(
            problem.starts_with("tls.key: ") && problem.contains("none.key"),
            "{problem}"
        );
        let another = ListenTls {
            key: dir.path().join("sender.key"),
            ..authority.listen()
        };
        let problem = another.problem().unwrap();
        assert!(problem.contains("agent.pem cannot be used"), "{problem}");
        let no_ca = ListenTls {
            client_ca: Some(dir.path().join("agent.key")),
            ..authority.listen()
        };
        let problem = no_ca.problem().unwrap();
        assert!(
            problem.contains("client_ca") && problem.contains("no certificate in it"),
            "{problem}"
        );
    }
}
