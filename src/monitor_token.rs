//! The token that lets commands of the same user look at log content through the monitor. Metrics and
//! status show none of it; samples do.

use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

use crate::private_file;
use crate::report::UsageError;

/// Its file in the data folder, readable by its owner alone.
const NAME: &str = "monitor-token";

/// Makes a new one and leaves it in the data folder.
///
/// # Errors
/// When the file cannot be written.
pub fn leave(data_dir: &Path) -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no randomness"))?;
    let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let path = data_dir.join(NAME);
    private_file::write(&path, token.as_bytes())?;
    Ok(token)
}

/// Reads that of a running process.
///
/// # Errors
/// [`UsageError`] when there is none, or it is not for this user.
pub fn read(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join(NAME);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        UsageError(format!(
            "cannot read {}: {error}; name the data folder of the running Citywatch with --data or --config, as the user that it runs as",
            path.display()
        ))
    })?;
    Ok(text.trim().to_owned())
}

/// Whether what somebody sent is the token; the time that it takes does not tell how much of it was right.
pub fn is_right(token: &str, sent: &str) -> bool {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, token.as_bytes());
    let tag = ring::hmac::sign(&key, sent.as_bytes());
    ring::hmac::verify(&key, token.as_bytes(), tag.as_ref()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let token = leave(dir.path()).unwrap();
        assert_eq!(token.len(), 64);
        assert_eq!(read(dir.path()).unwrap(), token);
        assert!(is_right(&token, &token));
        for wrong in ["", "x", &token[1..], &format!("{token}0")] {
            assert!(!is_right(&token, wrong), "{wrong}");
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(dir.path().join(NAME))
                .unwrap()
                .permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(leave(dir.path()).unwrap(), token, "a new one at each start");
    }
}
