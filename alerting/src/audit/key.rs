//! The key that signs the audit log: in a file beside the database, never in it.

use std::fmt;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::intake::keys::hexadecimal;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} the audit key {path}: {reason}")]
pub struct AuditKeyError {
    what: &'static str,
    path: PathBuf,
    reason: String,
}

/// A key pair.
pub(crate) struct AuditKey {
    pair: Ed25519KeyPair,
    public_key: String,
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditKey")
            .field("public_key", &self.public_key)
            .finish_non_exhaustive()
    }
}

impl AuditKey {
    /// The key kept in `data_dir`, made at the first start.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, AuditKeyError> {
        let path = data_dir.join("audit-key.pk8");
        let failed = |what, reason: String| AuditKeyError {
            what,
            path: path.clone(),
            reason,
        };
        if !path.exists() {
            crate::database::create_private_folder(data_dir)
                .map_err(|error| failed("make", error.to_string()))?;
            let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                .map_err(|error| failed("make", error.to_string()))?;
            crate::tls::write_private(&path, document.as_ref())
                .map_err(|error| failed("write", error.to_string()))?;
        }
        let document = std::fs::read(&path).map_err(|error| failed("read", error.to_string()))?;
        let pair = Ed25519KeyPair::from_pkcs8(&document)
            .map_err(|error| failed("read", error.to_string()))?;
        let public_key = hexadecimal(pair.public_key().as_ref());
        Ok(Self { pair, public_key })
    }

    /// The public key, hexadecimal.
    pub(crate) fn public_key(&self) -> &str {
        &self.public_key
    }

    /// The signature of a text, hexadecimal.
    pub(crate) fn sign(&self, text: &str) -> String {
        hexadecimal(self.pair.sign(text.as_bytes()).as_ref())
    }
}

/// Whether the signature of a text is by that key; all hexadecimal.
pub(crate) fn is_signed(text: &str, signature: &str, public_key: &str) -> bool {
    let (Some(signature), Some(public_key)) = (bytes(signature), bytes(public_key)) else {
        return false;
    };
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(text.as_bytes(), &signature)
        .is_ok()
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}
