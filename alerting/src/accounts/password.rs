//! Hashing passwords, and making random ones.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Semaphore;

/// Each hash takes 19 MiB and some 20 ms of a core: this many at once, the others wait.
const AT_ONCE_MAX: usize = 2;

/// Hashes and verifies passwords: argon2id, version 19, 19 MiB, 2 passes, 1 lane, the first choice of the
/// OWASP Password Storage Cheat Sheet.
#[derive(Clone, Debug)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
    /// Verified in place of a user's hash when there is no such user, so that the time tells nothing.
    nobody: Arc<str>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            nobody: hash(&random_password()).into(),
        }
    }

    /// The hash of a password in PHC string format.
    pub(crate) async fn hash(&self, password: String) -> String {
        self.on_a_thread(move || hash(&password)).await
    }

    /// Whether the password is the one of that hash; without a hash it never is.
    pub(crate) async fn verify(&self, password: String, expected: Option<String>) -> bool {
        let nobody = self.nobody.clone();
        self.on_a_thread(move || {
            let known = expected.is_some();
            let expected = expected.unwrap_or_else(|| nobody.to_string());
            let right = PasswordHash::new(&expected).is_ok_and(|hash| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &hash)
                    .is_ok()
            });
            known && right
        })
        .await
    }

    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let _turn = self
            .turns
            .acquire()
            .await
            .expect("the semaphore is never closed");
        tokio::task::spawn_blocking(work)
            .await
            .expect("hashing does not panic")
    }
}

fn hash(password: &str) -> String {
    Argon2::default()
        .hash_password(password.as_bytes())
        .expect("the default parameters are valid and the system has randomness")
        .to_string()
}

/// 32 random bytes.
pub(crate) fn random_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .expect("the system has randomness");
    bytes
}

/// A random token of 256 bits, fit for cookies and headers.
pub(crate) fn random_token() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes())
}

/// A random password of 100 bits: five groups of four characters that nobody mistakes for another.
pub(crate) fn random_password() -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let characters: Vec<char> = random_bytes()
        .iter()
        .take(20)
        .map(|byte| ALPHABET[usize::from(byte % 32)].into())
        .collect();
    characters
        .chunks(4)
        .map(|group| group.iter().collect::<String>())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".to_owned()).await;
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(
            passwords
                .verify("correct horse".to_owned(), Some(hash.clone()))
                .await
        );
        assert!(
            !passwords
                .verify("correct horsf".to_owned(), Some(hash))
                .await
        );
        assert!(!passwords.verify("correct horse".to_owned(), None).await);
    }

    #[test]
    fn random_passwords_have_five_groups() {
        let password = random_password();
        assert_eq!(password.len(), 24);
        assert_eq!(password.split('-').count(), 5);
        assert_ne!(password, random_password());
    }
}
