//! An agent's own identity: a key that was made here and never leaves, and the certificate for it.
//!
//! In its folder: `identity.pem` (what is known of it in a first line, the key, the certificate; readable
//! by its owner only) and `ca.pem` (the authority). Key and certificate are in one file so that a renewal
//! replaces both at once; OpenSSL reads either from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::Ed25519KeyPair;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use super::{Holder, HolderError};
use crate::frame::sealed::{self, Sealed};
use crate::private_file;

const FILE: &str = "identity.pem";
const CA: &str = "ca.pem";
/// Before the line of JSON; what stands outside of PEM blocks is a comment to everybody else.
const NOTE: &str = "citywatch-identity: ";
/// What stands before the seed of an Ed25519 key in PKCS#8, version 1 (RFC 8410): OpenSSL before 3.3 does
/// not read version 2, which `ring` and `rcgen` write.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{}: {reason}; enrol this agent anew", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

/// What is known of a certificate beside what stands in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Whom it names, as in the certificate.
    pub holder: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// When it was signed, in seconds since 1970.
    pub at: i64,
    /// When it ends, in seconds since 1970.
    pub until: i64,
    /// Where it is renewed: `https://host:port`.
    pub server: String,
}

/// A fresh key whose certificate is still to come.
pub struct NewKey {
    pkcs8: Vec<u8>,
    request: Vec<u8>,
}

/// An identity at one time: it changes when it is renewed.
pub struct Current {
    /// What is known of the certificate.
    pub note: Note,
    /// Whom it names.
    pub holder: Holder,
    key: Ed25519KeyPair,
    pkcs8: Vec<u8>,
    certificate: CertificateDer<'static>,
}

/// An identity on disk.
pub struct Identity {
    dir: PathBuf,
    current: RwLock<Arc<Current>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl NewKey {
    /// Makes a key.
    ///
    /// # Errors
    /// [`IdentityError::Random`].
    pub fn make() -> Result<Self, IdentityError> {
        let mut pkcs8 = PKCS8_PREFIX.to_vec();
        let mut seed = [0; 32];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| IdentityError::Random)?;
        pkcs8.extend_from_slice(&seed);
        let key = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(
            &PrivatePkcs8KeyDer::from(pkcs8.clone()),
            &rcgen::PKCS_ED25519,
        );
        let key = key.expect("any 32 bytes are a key, and the form is right");
        let request = rcgen::CertificateParams::default().serialize_request(&key);
        let request = request.expect("an empty request can be signed");
        Ok(Self {
            pkcs8,
            request: request.der().to_vec(),
        })
    }

    /// The request for its certificate (PKCS#10, DER), signed by it. It asks for nothing: who it is for is
    /// decided by the authority.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Keeps the key with its certificate in `dir`, in place of what was there.
    ///
    /// # Errors
    /// [`IdentityError`]; then what was there is as it was.
    pub fn keep(
        &self,
        dir: &Path,
        certificate: &str,
        ca: &str,
        note: &Note,
    ) -> Result<(), IdentityError> {
        private_file::make_folder(dir).map_err(failed(dir))?;
        let path = dir.join(CA);
        private_file::replace(&path, ca.as_bytes(), private_file::READABLE)
            .map_err(failed(&path))?;
        let path = dir.join(FILE);
        let note = serde_json::to_string(note).expect("a note is always JSON");
        let key = pem_block("PRIVATE KEY", &self.pkcs8);
        let text = format!("{NOTE}{note}\n{key}{certificate}");
        // Nothing is written that cannot be read again.
        Current::read(&text, &path)?;
        private_file::replace(&path, text.as_bytes(), private_file::OWNER_ONLY)
            .map_err(failed(&path))
    }
}

impl Current {
    fn read(text: &str, path: &Path) -> Result<Self, IdentityError> {
        let wrong = |reason: String| IdentityError::Content {
            path: path.to_owned(),
            reason,
        };
        let note = text
            .lines()
            .find_map(|line| line.strip_prefix(NOTE))
            .ok_or_else(|| wrong("this is no identity of an agent".into()))?;
        let note: Note = serde_json::from_str(note).map_err(|error| wrong(error.to_string()))?;
        let PrivateKeyDer::Pkcs8(key) = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|error| wrong(format!("no private key: {error}")))?
        else {
            return Err(wrong("the private key is not in PKCS#8".into()));
        };
        let pkcs8 = key.secret_pkcs8_der().to_vec();
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|error| wrong(format!("the private key is not Ed25519: {error}")))?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|error| wrong(format!("no certificate: {error}")))?;
        let holder = named(&certificate).map_err(&wrong)?;
        Ok(Self {
            note,
            holder,
            key,
            pkcs8,
            certificate,
        })
    }

    /// A packed batch with this identity's signature around it.
    pub fn seal(&self, frame: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&sealed::signed_text(frame));
        sealed::join(&Sealed {
            certificate: &self.certificate,
            signature: signature.as_ref(),
            frame,
        })
    }

    /// Bytes that [`Self::seal`] adds.
    pub fn seal_bytes(&self) -> usize {
        self.seal(&[]).len()
    }

    /// Whether two thirds of its time are over.
    pub fn is_due(&self, now: SystemTime) -> bool {
        let Note { at, until, .. } = self.note;
        seconds(now) >= at + (until - at) / 3 * 2
    }

    /// How much of its time is left; nothing once it has expired.
    pub fn left(&self, now: SystemTime) -> Duration {
        let left = self.note.until.saturating_sub(seconds(now));
        Duration::from_secs(u64::try_from(left).unwrap_or(0))
    }

    pub(crate) fn tls_parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.pkcs8.clone());
        (vec![self.certificate.clone()], key.into())
    }
}

impl Identity {
    /// The identity in `dir`; none if no agent was enrolled there.
    ///
    /// # Errors
    /// [`IdentityError`] when it is there and cannot be used.
    pub fn open(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(FILE);
        match read(&path) {
            Ok(current) => Ok(Some(Self {
                dir: dir.to_owned(),
                current: RwLock::new(Arc::new(current)),
            })),
            Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file with key and certificate, for what reads PEM itself.
    pub fn file(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// The file with the authority's certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.join(CA)
    }

    /// The identity now.
    pub fn current(&self) -> Arc<Current> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Takes over what was written to its folder.
    ///
    /// # Errors
    /// [`IdentityError`]; then what is in force stays so.
    pub fn reload(&self) -> Result<(), IdentityError> {
        let fresh = Arc::new(read(&self.file())?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// The authority that servers must have their certificates from.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn roots(&self) -> Result<RootCertStore, IdentityError> {
        let path = self.ca_file();
        let bytes = fs::read(&path).map_err(failed(&path))?;
        roots_of(&bytes).map_err(|reason| IdentityError::Content { path, reason })
    }
}

/// The certificates in a PEM text as those to trust.
pub(crate) fn roots_of(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".into());
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Current, IdentityError> {
    let text = fs::read_to_string(path).map_err(failed(path))?;
    Current::read(&text, path)
}

/// Whom a certificate names; nothing about it is checked.
fn named(certificate: &CertificateDer<'_>) -> Result<Holder, String> {
    let parsed = webpki::EndEntityCert::try_from(certificate).map_err(|error| error.to_string())?;
    let mut names = parsed.valid_uri_names().map(Holder::from_uri);
    let named: Option<Result<Holder, HolderError>> = names.next();
    named
        .ok_or("the certificate names no agent")?
        .map_err(|error| error.to_string())
}

fn pem_block(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).expect("base64 is ASCII"))
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::Io {
        path: path.clone(),
        source,
    }
}
