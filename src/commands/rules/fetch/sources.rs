//! Where archives come from: a file, a git directory, a server.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};

use super::super::style::Progress;
use crate::report::UsageError;

/// Bytes that a download may have.
const DOWNLOAD_BYTES_MAX: u64 = 1 << 30;
/// A server that is silent for so long, and a download that takes so long, is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(600);
const CHUNK_BYTES: usize = 1 << 16;

/// An archive and its SHA-256.
pub(super) fn file(path: &Path) -> anyhow::Result<(String, File)> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    hashed(file)
}

fn hashed(mut file: File) -> anyhow::Result<(String, File)> {
    file.rewind()?;
    let mut hasher = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    file.rewind()?;
    let hash = hasher.finish();
    let digits = hash.as_ref().iter().map(|byte| format!("{byte:02x}"));
    Ok((digits.collect(), file))
}

/// A file that nobody else sees and that is gone when it is closed.
fn scratch() -> anyhow::Result<File> {
    let path = std::env::temp_dir().join(format!("citywatch-fetch-{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// What a server gives under an address, and its SHA-256.
pub(super) fn download(url: &str) -> anyhow::Result<(String, File)> {
    let answer = agent().get(url).header("user-agent", "citywatch").call();
    let mut answer = answer.with_context(|| format!("{url}: cannot be fetched"))?;
    let length = answer.body().content_length().unwrap_or(0);
    if length > DOWNLOAD_BYTES_MAX {
        bail!("{url}: {length} bytes, more than the {DOWNLOAD_BYTES_MAX} that an archive may have");
    }
    let chunks = usize::try_from(length).unwrap_or(0) / CHUNK_BYTES + 1;
    let mut progress = Progress::new("parts of 64 KiB", chunks);
    let mut reader = answer.body_mut().as_reader();
    let mut file = scratch()?;
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0;
    let mut filled = 0;
    loop {
        let count = reader
            .read(&mut buffer)
            .with_context(|| format!("{url}: the download broke off"))?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        if bytes > DOWNLOAD_BYTES_MAX {
            bail!("{url}: more than the {DOWNLOAD_BYTES_MAX} bytes that an archive may have");
        }
        file.write_all(&buffer[..count])?;
        filled += count;
        while filled >= CHUNK_BYTES {
            filled -= CHUNK_BYTES;
            progress.step();
        }
    }
    hashed(file)
}

/// With the machine's own certificates of authorities.
fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .timeout_connect(Some(ANSWER_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_global(Some(DOWNLOAD_TIMEOUT))
        .tls_config(citywatch_alerting::asking_with_own_roots())
        .build()
        .into()
}

/// An archive of a commit of a git directory, and the commit.
pub(super) fn git(source: &Path, at: &str) -> anyhow::Result<(String, File)> {
    let git = |arguments: &[&str]| -> anyhow::Result<Vec<u8>> {
        let output = Command::new("git")
            .arg("-C")
            .arg(source)
            .args(arguments)
            .output()
            .context("git cannot be run; is it installed?")?;
        if !output.status.success() {
            bail!(
                "{}: {}",
                source.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    };
    if at.starts_with('-') {
        return Err(UsageError(format!("--at {at}: no commit's name begins so")).into());
    }
    let commit = git(&["rev-parse", "--verify", &format!("{at}^{{commit}}")])?;
    let commit = String::from_utf8(commit)?.trim().to_owned();
    let archive = git(&["archive", "--format=zip", &commit])?;
    let mut file = scratch()?;
    file.write_all(&archive)?;
    file.rewind()?;
    Ok((commit, file))
}
