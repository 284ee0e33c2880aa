//! Who may send over HTTP: a bearer token, or a name and a password, read from files.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SystemRandom;
use serde::{Deserialize, Serialize};

/// What a sender must know; one way or both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// A file with the token of `Authorization: Bearer TOKEN`.
    pub bearer_token_file: Option<PathBuf>,
    /// The name of `Authorization: Basic`, as Beats send it.
    pub user: Option<String>,
    /// A file with its password.
    pub password_file: Option<PathBuf>,
}

/// Judges the header `Authorization` in a time that does not tell how much of it was right.
pub(crate) struct Gate {
    key: hmac::Key,
    /// Tags of the headers that open it.
    accepted: Vec<hmac::Tag>,
}

impl SignIn {
    /// What makes no sense or cannot be read, one sentence each, naming the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.user.is_some() != self.password_file.is_some() {
            problems.push("user and password_file: one is missing; set both, or none".into());
        }
        if self.bearer_token_file.is_none() && self.user.is_none() {
            problems.push(
                "empty: set `bearer_token_file`, or `user` and `password_file`, or remove the section"
                    .into(),
            );
        }
        let files = [
            ("bearer_token_file", &self.bearer_token_file),
            ("password_file", &self.password_file),
        ];
        for (key, path) in files {
            if let Some(Err(reason)) = path.as_deref().map(read_secret) {
                problems.push(format!("{key}: {reason}"));
            }
        }
        problems
    }

    /// Reads the files.
    pub(crate) fn gate(&self) -> Result<Gate, String> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| "the system gives no random bytes".to_owned())?;
        let mut headers = Vec::new();
        if let Some(path) = &self.bearer_token_file {
            headers.push(format!("bearer {}", read_secret(path)?));
        }
        if let (Some(user), Some(path)) = (&self.user, &self.password_file) {
            headers.push(format!(
                "basic {}",
                STANDARD.encode(format!("{user}:{}", read_secret(path)?))
            ));
        }
        let sign = |header: &String| hmac::sign(&key, header.as_bytes());
        Ok(Gate {
            accepted: headers.iter().map(sign).collect(),
            key,
        })
    }
}

impl Gate {
    /// Whether a request with this header may pass.
    pub(super) fn opens(&self, authorization: Option<&[u8]>) -> bool {
        let Some((scheme, secret)) = authorization.and_then(|header| {
            let blank = header.iter().position(|byte| *byte == b' ')?;
            Some((&header[..blank], header[blank..].trim_ascii()))
        }) else {
            return false;
        };
        let header = [&scheme.to_ascii_lowercase(), b" ".as_slice(), secret].concat();
        let opens = |tag: &hmac::Tag| hmac::verify(&self.key, &header, tag.as_ref()).is_ok();
        self.accepted.iter().any(opens)
    }
}

/// A secret is the first line of its file.
fn read_secret(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() {
        return Err(format!(
            "{}: empty; write the secret in its first line",
            path.display()
        ));
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_configured_opens() {
        let dir = tempfile::tempdir().unwrap();
        let (token, password) = (dir.path().join("token"), dir.path().join("password"));
        fs::write(&token, "t0ken\n").unwrap();
        fs::write(&password, "s3cret: x\n").unwrap();
        let sign_in = SignIn {
            bearer_token_file: Some(token),
            user: Some("beat".into()),
            password_file: Some(password),
        };
        assert_eq!(sign_in.problems(), Vec::<String>::new());
        let gate = sign_in.gate().unwrap();
        let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        for header in ["Bearer t0ken", "bearer  t0ken", &basic("beat:s3cret: x")] {
            assert!(gate.opens(Some(header.as_bytes())), "{header}");
        }
        for header in [
            "Bearer t0ken2",
            "Bearer ",
            "t0ken",
            "Basic t0ken",
            &basic("beat:s3cret"),
            &basic("x:s3cret: x"),
        ] {
            assert!(!gate.opens(Some(header.as_bytes())), "{header}");
        }
        assert!(!gate.opens(None));
    }

    #[test]
    fn half_a_sign_in_is_a_problem() {
        let missing = SignIn {
            bearer_token_file: Some("/nowhere/token".into()),
            user: Some("beat".into()),
            password_file: None,
        };
        let problems = missing.problems();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[1].starts_with("bearer_token_file: /nowhere/token: "));
        assert_eq!(SignIn::default().problems().len(), 1);
    }
}
