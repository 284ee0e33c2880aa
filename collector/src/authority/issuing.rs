//! Certificates as bytes: the authority's own, agents', servers', and the list of revoked ones.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams,
    CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams, SanType,
    SerialNumber,
};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

use crate::hex;
use crate::identity::Holder;

const DAY: Duration = Duration::from_secs(24 * 3600);
const OWN_VALID: Duration = DAY.saturating_mul(3650);
/// Clocks that are behind by less still take a fresh certificate.
const GRACE: Duration = DAY;
/// The list is replaced whenever something is revoked; nobody is to refuse it for its age.
const LIST_VALID: Duration = DAY.saturating_mul(3650);
/// Bound of a common name (X.520).
const COMMON_NAME_MAX: usize = 64;
const SERIAL_BYTES: usize = 16;

/// Why something is not signed.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The key cannot be read.
    #[error(
        "the authority's key cannot be used: {0}; it must be PEM, PKCS#8, P-256, P-384 or Ed25519"
    )]
    Key(rcgen::Error),
    /// The certificate cannot be read.
    #[error("the authority's certificate cannot be used: {0}; it must be PEM")]
    Certificate(String),
    /// The two do not belong together.
    #[error("key and certificate of the authority do not belong together")]
    Mismatch,
    /// The certificate may not sign others.
    #[error("the certificate may not sign {what}: its key usage lacks {usage}")]
    MayNotSign {
        /// What it may not sign.
        what: &'static str,
        /// What is missing.
        usage: &'static str,
    },
    /// What was sent is no request for a certificate, or not signed by the key in it.
    #[error("this is no request for a certificate (PKCS#10): {0}")]
    Request(rcgen::Error),
    /// A key of a kind that is not taken.
    #[error("the request's key is of a kind that is not taken; use Ed25519 or P-256")]
    KeyKind,
    /// No name, or one that cannot stand in a certificate.
    #[error("\"{0}\" is neither a host's name nor an address")]
    Name(String),
    /// Making it failed.
    #[error("the certificate cannot be made: {0}")]
    Make(rcgen::Error),
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

/// A certificate that was just signed.
pub(super) struct Signed {
    pub(super) serial: String,
    pub(super) certificate: String,
}

/// The authority's key with its certificate.
#[derive(Debug)]
pub(super) struct Signer {
    issuer: Issuer<'static, KeyPair>,
    chain: String,
    fingerprint: [u8; 32],
}

/// A new authority: its key and its certificate, PEM.
pub(super) fn make_authority(now: SystemTime) -> Result<(String, String), IssueError> {
    let key = KeyPair::generate().map_err(IssueError::Make)?;
    let mut params = CertificateParams::default();
    let serial = random_serial()?;
    // Two authorities of one name would be hard to tell apart.
    let name = format!("Citywatch authority {}", &hex::encode(&serial)[..8]);
    params.distinguished_name = named(&name, None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_times(&mut params, &serial, OWN_VALID, now);
    let certificate = params.self_signed(&key).map_err(IssueError::Make)?;
    Ok((key.serialize_pem(), certificate.pem()))
}

impl Signer {
    /// `chain` begins with the authority's own certificate.
    pub(super) fn new(key: &str, chain: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key).map_err(IssueError::Key)?;
        let unusable = |error: &dyn std::fmt::Display| IssueError::Certificate(error.to_string());
        let own =
            CertificateDer::from_pem_slice(chain.as_bytes()).map_err(|error| unusable(&error))?;
        let parsed = webpki::EndEntityCert::try_from(&own).map_err(|error| unusable(&error))?;
        if *parsed.subject_public_key_info() != *key.subject_public_key_info() {
            return Err(IssueError::Mismatch);
        }
        let issuer = Issuer::from_ca_cert_der(&own, key).map_err(|error| unusable(&error))?;
        let usages = issuer.key_usages();
        for (usage, name, what) in [
            (KeyUsagePurpose::KeyCertSign, "keyCertSign", "certificates"),
            (
                KeyUsagePurpose::CrlSign,
                "cRLSign",
                "lists of revoked certificates",
            ),
        ] {
            if !usages.is_empty() && !usages.contains(&usage) {
                return Err(IssueError::MayNotSign { what, usage: name });
            }
        }
        let fingerprint = digest::digest(&digest::SHA256, &own)
            .as_ref()
            .try_into()
            .expect("SHA-256 has 32 bytes");
        Ok(Self {
            issuer,
            chain: chain.to_owned(),
            fingerprint,
        })
    }

    pub(super) fn chain(&self) -> &str {
        &self.chain
    }

    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// A certificate for the key in `request` and nothing else of it.
    pub(super) fn sign_agent(
        &self,
        holder: &Holder,
        request: &[u8],
        valid: Duration,
        now: SystemTime,
    ) -> Result<Signed, IssueError> {
        let request = CertificateSigningRequestDer::from(request);
        let request =
            CertificateSigningRequestParams::from_der(&request).map_err(IssueError::Request)?;
        let kind = request.public_key.algorithm();
        if ![&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256].contains(&kind) {
            return Err(IssueError::KeyKind);
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = named(holder.agent().as_str(), Some(holder.unit().as_str()));
        let uri = holder.uri();
        let san = uri
            .as_str()
            .try_into()
            .map_err(|_| IssueError::Name(uri.clone()))?;
        params.subject_alt_names = vec![SanType::URI(san)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, &request.public_key, valid, now)
    }

    /// A new key with a certificate for a server or another client; the key, PEM.
    pub(super) fn make_other(
        &self,
        names: &[String],
        valid: Duration,
        now: SystemTime,
    ) -> Result<(String, Signed), IssueError> {
        let first = names
            .first()
            .ok_or_else(|| IssueError::Name(String::new()))?;
        for name in names {
            // Also an address.
            rustls::pki_types::ServerName::try_from(name.as_str())
                .map_err(|_| IssueError::Name(name.clone()))?;
        }
        let mut params = CertificateParams::new(names.to_vec()).map_err(IssueError::Make)?;
        params.distinguished_name = named(first, None);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        // Of the kind that every TLS library and Kafka's PEM reader takes.
        let key =
            KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(IssueError::Make)?;
        let signed = self.sign(params, &key, valid, now)?;
        Ok((key.serialize_pem(), signed))
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        valid: Duration,
        now: SystemTime,
    ) -> Result<Signed, IssueError> {
        let serial = random_serial()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        set_times(&mut params, &serial, valid, now);
        let certificate = params
            .signed_by(key, &self.issuer)
            .map_err(IssueError::Make)?;
        Ok(Signed {
            serial: hex::encode(&serial),
            certificate: certificate.pem(),
        })
    }

    /// The list of revoked certificates, PEM: serial numbers with the second of their revocation.
    pub(super) fn sign_revoked(
        &self,
        revoked: &[(&str, i64)],
        now: SystemTime,
    ) -> Result<String, IssueError> {
        let revoked_certs = revoked
            .iter()
            .filter_map(|(serial, at)| {
                let at = u64::try_from(*at).ok()?;
                Some(RevokedCertParams {
                    serial_number: SerialNumber::from_slice(&hex::decode(serial)?),
                    revocation_time: (SystemTime::UNIX_EPOCH + Duration::from_secs(at)).into(),
                    reason_code: None,
                    invalidity_date: None,
                })
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: now.into(),
            next_update: (now + LIST_VALID).into(),
            crl_number: SerialNumber::from(revoked.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).map_err(IssueError::Make)?;
        list.pem().map_err(IssueError::Make)
    }
}

fn named(common_name: &str, unit: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    let common_name: String = common_name.chars().take(COMMON_NAME_MAX).collect();
    name.push(DnType::CommonName, common_name);
    if let Some(unit) = unit {
        let unit: String = unit.chars().take(COMMON_NAME_MAX).collect();
        name.push(DnType::OrganizationalUnitName, unit);
    }
    name
}

fn set_times(params: &mut CertificateParams, serial: &[u8], valid: Duration, now: SystemTime) {
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = (now - GRACE).into();
    params.not_after = (now + valid).into();
}

/// Positive, and of the same length however it is written.
fn random_serial() -> Result<[u8; SERIAL_BYTES], IssueError> {
    let mut serial = [0; SERIAL_BYTES];
    SystemRandom::new()
        .fill(&mut serial)
        .map_err(|_| IssueError::Random)?;
    serial[0] = serial[0] & 0x3f | 0x40;
    Ok(serial)
}
