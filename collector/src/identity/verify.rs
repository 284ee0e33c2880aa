//! Whether a certificate is one of ours, and whether a batch was signed by its key.
//!
//! A certificate is judged once and remembered for a while; the files of the authority are looked at
//! again every few seconds, so that a revocation is in force everywhere soon after it reached the file.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ring::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, SignatureVerificationAlgorithm, TrustAnchor,
    UnixTime,
};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, OwnedCertRevocationList, RevocationCheckDepth,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::{Holder, HolderError};
use crate::authority::Authority;
use crate::frame::sealed::{self, Sealed};
use crate::hex;

/// What agents sign with, and what authorities sign certificates with.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::ring::ED25519,
    webpki::ring::ECDSA_P256_SHA256,
    webpki::ring::ECDSA_P256_SHA384,
    webpki::ring::ECDSA_P384_SHA256,
    webpki::ring::ECDSA_P384_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA256,
    webpki::ring::RSA_PKCS1_2048_8192_SHA384,
    webpki::ring::RSA_PKCS1_2048_8192_SHA512,
];
/// What a batch may be signed with.
static BATCH_ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    &[webpki::ring::ED25519, webpki::ring::ECDSA_P256_SHA256];
/// A judgement is made anew after this long: certificates expire.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
const REMEMBERED_MAX: usize = 20_000;
const FILES_LOOKED_AT_EVERY: Duration = Duration::from_secs(2);

/// Why a batch or a certificate is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No signature where one is required.
    #[error("the batch is not signed, and this topic takes signed batches only")]
    Unsigned,
    /// The authority's certificate cannot be read here.
    #[error("signatures cannot be checked: {0}")]
    NoAuthority(String),
    /// Somebody else signed the certificate.
    #[error("the certificate was not signed by this system's authority")]
    UnknownAuthority,
    /// Its time is over.
    #[error(
        "the certificate of {who} has expired; the agent renews it by itself while it can reach its server, otherwise enrol it anew"
    )]
    Expired {
        /// Whom it names.
        who: String,
    },
    /// Its time has not come, or a clock is wrong.
    #[error("the certificate of {who} is not valid yet; is this machine's clock right?")]
    NotYetValid {
        /// Whom it names.
        who: String,
    },
    /// The authority revoked it.
    #[error("the certificate of {who} is revoked (serial {serial})")]
    Revoked {
        /// Whom it names.
        who: String,
        /// Its serial number.
        serial: String,
    },
    /// It is no certificate, or one that is not for this.
    #[error("the certificate cannot be used: {0}")]
    Certificate(String),
    /// It names no agent.
    #[error("the certificate is no agent's: {0}")]
    Holder(String),
    /// Somebody changed the batch, or another key signed it.
    #[error("the signature is not of {who}'s key over this batch")]
    Signature {
        /// Whom the certificate names.
        who: String,
    },
    /// The batch speaks for a unit that its certificate does not vouch for.
    #[error("the batch claims unit \"{claimed}\", but its certificate vouches for {own} only")]
    Unit {
        /// In the batch.
        claimed: String,
        /// In the certificate.
        own: String,
    },
    /// The batch claims to be another agent's.
    #[error("the batch claims to be of agent \"{claimed}\", but its certificate is {own}'s")]
    Agent {
        /// In the batch.
        claimed: String,
        /// In the certificate.
        own: String,
    },
}

impl Refusal {
    /// A name for counting.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::NoAuthority(_) => "no_authority",
            Self::UnknownAuthority => "unknown_authority",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Revoked { .. } => "revoked",
            Self::Certificate(_) => "certificate",
            Self::Holder(_) => "no_agent",
            Self::Signature { .. } => "signature",
            Self::Unit { .. } => "unit",
            Self::Agent { .. } => "agent",
        }
    }
}

/// A certificate that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Whom it names.
    pub holder: Holder,
    /// Serial number, hexadecimal.
    pub serial: String,
}

/// Checks certificates and signatures against the authority in a folder.
#[derive(Debug)]
pub struct Verifier {
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    looked_at: Instant,
    stamps: Stamps,
    files: Result<Arc<Files>, String>,
    remembered: HashMap<[u8; 32], Judgement>,
}

#[derive(Debug)]
struct Judgement {
    at: Instant,
    verdict: Result<Arc<Vouched>, Refusal>,
}

#[derive(Debug)]
struct Files {
    anchors: Vec<TrustAnchor<'static>>,
    revoked: Vec<CertRevocationList<'static>>,
}

/// Times and sizes of the two files.
type Stamps = [Option<(SystemTime, u64)>; 2];

impl Verifier {
    /// Trusts the authority whose `ca.pem` and `crl.pem` are in `dir`. What is not there or cannot be read
    /// is looked for again; until then everything signed is refused.
    pub fn new(dir: PathBuf) -> Self {
        let stamps = stamps(&dir);
        let files = read(&dir).map(Arc::new);
        if let Err(error) = &files {
            tracing::error!(%error, "signatures cannot be checked");
        }
        let state = State {
            looked_at: Instant::now(),
            stamps,
            files,
            remembered: HashMap::new(),
        };
        Self {
            dir,
            state: Mutex::new(state),
        }
    }

    /// Whom a certificate (DER) names, if it counts now.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn certificate(&self, der: &[u8], now: SystemTime) -> Result<Arc<Vouched>, Refusal> {
        let key: [u8; 32] = digest::digest(&digest::SHA256, der)
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes");
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.look_at_files(&mut state);
        if let Some(known) = state.remembered.get(&key)
            && known.at.elapsed() < REMEMBERED_FOR
        {
            return known.verdict.clone();
        }
        let files = state.files.clone().map_err(Refusal::NoAuthority)?;
        // Judged under the lock: it takes a tenth of a millisecond, once a minute for each agent.
        let verdict = judge(&files, der, now).map(Arc::new);
        if state.remembered.len() >= REMEMBERED_MAX {
            state
                .remembered
                .retain(|_, known| known.at.elapsed() < REMEMBERED_FOR);
            if state.remembered.len() >= REMEMBERED_MAX {
                state.remembered.clear();
            }
        }
        let judgement = Judgement {
            at: Instant::now(),
            verdict: verdict.clone(),
        };
        state.remembered.insert(key, judgement);
        verdict
    }

    /// Who signed a batch, if the certificate counts and the signature is right.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn sealed(&self, sealed: &Sealed<'_>, now: SystemTime) -> Result<Arc<Vouched>, Refusal> {
        let vouched = self.certificate(sealed.certificate, now)?;
        let certificate = CertificateDer::from(sealed.certificate);
        let certificate = EndEntityCert::try_from(&certificate)
            .map_err(|error| Refusal::Certificate(error.to_string()))?;
        let text = sealed::signed_text(sealed.frame);
        let is_right = BATCH_ALGORITHMS.iter().any(|algorithm| {
            certificate
                .verify_signature(*algorithm, &text, sealed.signature)
                .is_ok()
        });
        if is_right {
            Ok(vouched)
        } else {
            let who = vouched.holder.to_string();
            Err(Refusal::Signature { who })
        }
    }

    fn look_at_files(&self, state: &mut State) {
        if state.looked_at.elapsed() < FILES_LOOKED_AT_EVERY {
            return;
        }
        state.looked_at = Instant::now();
        let stamps = stamps(&self.dir);
        if stamps == state.stamps {
            return;
        }
        match read(&self.dir) {
            Ok(files) => {
                tracing::info!(dir = %self.dir.display(), "the authority's certificate and list of revoked ones were read anew");
                state.files = Ok(Arc::new(files));
                state.stamps = stamps;
                state.remembered.clear();
            }
            // What was read before stays in force: a list that is being copied does not stop everything.
            Err(error) => {
                tracing::error!(%error, "the authority's files cannot be read anew");
                if state.files.is_err() {
                    state.files = Err(error);
                }
            }
        }
    }
}

fn stamps(dir: &std::path::Path) -> Stamps {
    [
        Authority::certificate_file(dir),
        Authority::revoked_file(dir),
    ]
    .map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    })
}

fn read(dir: &std::path::Path) -> Result<Files, String> {
    let path = Authority::certificate_file(dir);
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&path)
        .and_then(Iterator::collect)
        .map_err(|error| failed(&error))?;
    // Only the authority's own: what stands above it may have signed others that are not agents'.
    let own = certificates
        .first()
        .ok_or_else(|| failed(&"no certificate in it"))?;
    let anchor = webpki::anchor_from_trusted_cert(own).map_err(|error| failed(&error))?;
    let path = Authority::revoked_file(dir);
    let revoked = if path.exists() {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let list =
            CertificateRevocationListDer::from_pem_file(&path).map_err(|error| failed(&error))?;
        let list = OwnedCertRevocationList::from_der(&list).map_err(|error| failed(&error))?;
        vec![list.into()]
    } else {
        tracing::warn!(path = %path.display(), "there is no list of revoked certificates: none is taken for revoked");
        Vec::new()
    };
    Ok(Files {
        anchors: vec![anchor.to_owned()],
        revoked,
    })
}

fn judge(files: &Files, der: &[u8], now: SystemTime) -> Result<Vouched, Refusal> {
    let der = CertificateDer::from(der);
    let unusable = |error: webpki::Error| Refusal::Certificate(error.to_string());
    let certificate = EndEntityCert::try_from(&der).map_err(unusable)?;
    let serial = hex::encode(certificate.serial());
    // Said in messages before it is checked; believed only afterwards.
    let named = certificate
        .valid_uri_names()
        .map(Holder::from_uri)
        .next()
        .unwrap_or(Err(HolderError::Uri { uri: String::new() }));
    let who = named
        .as_ref()
        .map_or_else(|_| format!("serial {serial}"), Holder::to_string);
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    let lists: Vec<&CertRevocationList<'_>> = files.revoked.iter().collect();
    let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
        options
            .with_depth(RevocationCheckDepth::EndEntity)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .build()
    });
    certificate
        .verify_for_usage(
            ALGORITHMS,
            &files.anchors,
            &[],
            UnixTime::since_unix_epoch(since.unwrap_or_default()),
            KeyUsage::client_auth(),
            revocation,
            None,
        )
        .map_err(|error| match error {
            webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
                Refusal::UnknownAuthority
            }
            webpki::Error::CertExpired { .. } => Refusal::Expired { who: who.clone() },
            webpki::Error::CertNotValidYet { .. } => Refusal::NotYetValid { who: who.clone() },
            webpki::Error::CertRevoked => Refusal::Revoked {
                who: who.clone(),
                serial: serial.clone(),
            },
            other => unusable(other),
        })?;
    let holder = named.map_err(|error| Refusal::Holder(error.to_string()))?;
    Ok(Vouched { holder, serial })
}
