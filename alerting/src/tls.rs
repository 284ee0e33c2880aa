//! The console's certificate, given or made here, and how others' are checked.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use ureq::tls::{Certificate, RootCerts, TlsProvider};

use crate::config::TlsConfig;

/// An own certificate is valid for so long.
const OWN_VALID_DAYS: u32 = 397;
/// After so long a new one is made at the next start.
const OWN_RENEWED_AFTER: Duration = Duration::from_secs(330 * 24 * 3600);

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of the two paths is missing.
    #[error(
        "[alerting.tls] needs both certificate and private_key, or neither for an own certificate"
    )]
    Half,
    /// A file cannot be read or holds something else.
    #[error(
        "cannot read the {what} {path}: {reason}; it must be a PEM file that this user may read"
    )]
    Read {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The two do not belong together, or are of a kind that cannot be used.
    #[error("the certificate {certificate} and the key {key} cannot be used: {source}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// An own certificate cannot be made or kept.
    #[error("cannot make a certificate in {path}: {reason}")]
    Make {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// TLS settings with the given certificate, or with an own one kept in `data_dir`.
pub(crate) fn server_config(
    config: &TlsConfig,
    data_dir: &Path,
    listen: SocketAddr,
    host_names: &[String],
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let (certificate, key) = match (&config.certificate, &config.private_key) {
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        (None, None) => own_certificate(data_dir, listen, host_names)?,
        _ => return Err(TlsError::Half),
    };
    let chain = read_chain(&certificate)?;
    let private_key = PrivateKeyDer::from_pem_file(&key).map_err(|error| TlsError::Read {
        what: "private key",
        path: key.clone(),
        reason: error.to_string(),
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let settings = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(chain, private_key)
        });
    let mut settings = settings.map_err(|source| TlsError::Unusable {
        certificate,
        key,
        source,
    })?;
    settings.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(settings))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |reason: String| TlsError::Read {
        what: "certificate",
        path: path.to_owned(),
        reason,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| read(error.to_string()))?;
    if chain.is_empty() {
        return Err(read("no certificate in it".to_owned()));
    }
    Ok(chain)
}

/// Files of the own certificate and its key; made when missing, old, or for other names.
fn own_certificate(
    data_dir: &Path,
    listen: SocketAddr,
    host_names: &[String],
) -> Result<(PathBuf, PathBuf), TlsError> {
    let files = (
        data_dir.join("console-certificate.pem"),
        data_dir.join("console-key.pem"),
    );
    let names = own_names(listen, host_names);
    let names_file = data_dir.join("console-certificate-names.txt");
    let fresh = std::fs::metadata(&files.0)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|made| {
            // Made in the future: a clock was set back, which makes no certificate old.
            let age = SystemTime::now().duration_since(made).unwrap_or_default();
            age < OWN_RENEWED_AFTER
        });
    let same_names =
        std::fs::read_to_string(&names_file).is_ok_and(|kept| kept == names.join("\n"));
    if fresh && same_names && files.1.is_file() {
        return Ok(files);
    }
    let failed = |reason: String| TlsError::Make {
        path: data_dir.to_owned(),
        reason,
    };
    crate::database::create_private_folder(data_dir).map_err(|error| failed(error.to_string()))?;
    let (certificate, key) = make(&names).map_err(|error| failed(error.to_string()))?;
    write_private(&files.1, key.as_bytes())
        .and_then(|()| write_private(&files.0, certificate.as_bytes()))
        .and_then(|()| write_private(&names_file, names.join("\n").as_bytes()))
        .map_err(|error| failed(error.to_string()))?;
    tracing::info!(certificate = %files.0.display(), ?names, "made a certificate; browsers will warn of it");
    Ok(files)
}

fn own_names(listen: SocketAddr, host_names: &[String]) -> Vec<String> {
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_string());
    }
    names.extend(
        std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()),
    );
    names.extend(host_names.iter().cloned());
    names.sort();
    names.dedup();
    names
}

fn make(names: &[String]) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "Citywatch console");
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 3600);
    // A day's grace for clocks that are behind.
    params.not_before = (now - day).into();
    params.not_after = (now + day * OWN_VALID_DAYS).into();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Writes a file that nobody else on the machine reads, and makes it durable.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// TLS for asking others, who are known by the certificates of authorities that this machine has.
pub fn asking_with_own_roots() -> ureq::tls::TlsConfig {
    let roots = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<Certificate<'static>> = roots
        .iter()
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect();
    ureq::tls::TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}
