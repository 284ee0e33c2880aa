//! The one-time token: `cw1.<id>.<secret>.<fingerprint of the authority's certificate>`.
//!
//! Who has it knows both: that the authority will take it, and which authority it is for, so that an
//! agent does not tell its token to somebody else's server.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

use super::{OpenToken, seconds};
use crate::hex;

const VERSION: &str = "cw1";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 24;

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the text of one.
    #[error(
        "this is no token: one begins with \"{VERSION}.\" and has four parts; was it copied whole?"
    )]
    Malformed,
    /// Nobody made it, or its secret is another. The two are not told apart.
    #[error("the token is not known: make one with `citywatch ca token --unit UNIT`")]
    Unknown,
    /// Its time is over.
    #[error("the token is no longer valid: make another with `citywatch ca token --unit UNIT`")]
    Expired,
    /// Somebody has used it.
    #[error(
        "the token has been used: each enrols one agent. If it was not you, look at `citywatch ca list` and revoke that certificate"
    )]
    Used,
    /// No randomness.
    #[error("the system gives no random bytes")]
    Random,
}

/// A token with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: Vec<u8>,
    fingerprint: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Token {
    pub(super) fn make(fingerprint: [u8; 32]) -> Result<Self, TokenError> {
        let random = SystemRandom::new();
        let (mut id, mut secret) = ([0; ID_BYTES], vec![0; SECRET_BYTES]);
        random
            .fill(&mut id)
            .and_then(|()| random.fill(&mut secret))
            .map_err(|_| TokenError::Random)?;
        Ok(Self {
            id: hex::encode(&id),
            secret,
            fingerprint,
        })
    }

    /// The part that is no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// SHA-256 of the certificate of the authority that made it.
    pub fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// The same as people read it: hexadecimal.
    pub fn fingerprint_text(&self) -> String {
        hex::encode(&self.fingerprint)
    }

    /// The token as people copy it.
    pub fn reveal(&self) -> String {
        format!(
            "{VERSION}.{}.{}.{}",
            self.id,
            BASE64.encode(&self.secret),
            BASE64.encode(self.fingerprint)
        )
    }

    pub(super) fn secret_sha256(&self) -> String {
        hex::encode(digest::digest(&digest::SHA256, &self.secret).as_ref())
    }

    /// The authority's own word on this token, if it may be used.
    pub(super) fn admit<'a>(
        &self,
        known: Option<&'a OpenToken>,
        now: SystemTime,
    ) -> Result<&'a OpenToken, TokenError> {
        let kept = known.map_or("", |known| known.secret_sha256.as_str());
        if !is_same(self.secret_sha256().as_bytes(), kept.as_bytes()) {
            return Err(TokenError::Unknown);
        }
        let known = known.ok_or(TokenError::Unknown)?;
        if known.used {
            return Err(TokenError::Used);
        }
        if known.until <= seconds(now) {
            return Err(TokenError::Expired);
        }
        Ok(known)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [VERSION, id, secret, fingerprint] = parts[..] else {
            return Err(TokenError::Malformed);
        };
        let is_id = id.len() == 2 * ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let secret = BASE64
            .decode(secret)
            .ok()
            .filter(|secret| is_id && secret.len() == SECRET_BYTES)
            .ok_or(TokenError::Malformed)?;
        let fingerprint = BASE64
            .decode(fingerprint)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(TokenError::Malformed)?;
        Ok(Self {
            id: id.to_owned(),
            secret,
            fingerprint,
        })
    }
}

/// Compares in a time that does not depend on where they differ. What is compared are digests, so what
/// time there is tells nothing of the secret anyway.
fn is_same(given: &[u8], kept: &[u8]) -> bool {
    let differences = given
        .iter()
        .zip(kept)
        .fold(0, |seen, (a, b)| seen | (a ^ b));
    given.len() == kept.len() && std::hint::black_box(differences) == 0
}
