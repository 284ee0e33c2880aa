//! Files in the data folder that tell a secret to commands of the same user.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;

/// Writes a file that its owner alone may read. It is made anew, so that it is nobody else's, and moved into place whole.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        if fresh.exists() {
            std::fs::remove_file(&fresh)?;
        }
        let mut file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(content)?;
        std::fs::rename(&fresh, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_others_could_read_is_replaced_by_what_they_cannot() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.json");
        for name in ["secret.json", "secret.new"] {
            let old = dir.path().join(name);
            std::fs::write(&old, "old").unwrap();
            std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o666)).unwrap();
        }
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!dir.path().join("secret.new").exists());
    }
}
