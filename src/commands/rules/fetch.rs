//! `citywatch rules fetch`: rules of others, pinned by a hash: from a .zip file such as SigmaHQ's releases, or from a git directory.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::report::UsageError;

/// Options of `citywatch rules fetch`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules fetch sigma_core.zip --into rules/sigmahq            unpack, and note the archive's SHA-256
  citywatch rules fetch sigma_core.zip --into rules/sigmahq --pin 4f0c...
                                                                       refuse any other archive
  citywatch rules fetch ~/sigma --at r2026-11-01 --into rules/sigmahq  a commit or tag of a git directory

Only rule files and licenses are taken. What is there already is replaced as a whole when it came from this command
(citywatch-rules.lock says so), and left alone otherwise.

Exit code 0; 1 when the hash is another or something cannot be read; 2 for a wrong command line.")]
pub struct FetchArgs {
    /// A .zip file or a git directory
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// Where the rules go
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The SHA-256 that the archive must have, or the commit that a git directory must give
    #[arg(long, value_name = "HASH")]
    pin: Option<String>,
    /// Commit, tag or branch of a git directory
    #[arg(long, default_value = "HEAD", value_name = "COMMIT")]
    at: String,
}

/// What was fetched: written beside the rules.
#[derive(Debug, Serialize, Deserialize)]
struct Lock {
    source: String,
    hash: String,
    files: usize,
}

const LOCK: &str = "citywatch-rules.lock";
/// Bounds of an archive.
const FILES_MAX: usize = 100_000;
const FILE_BYTES_MAX: u64 = 10 << 20;
const BYTES_MAX: u64 = 1 << 30;

/// Runs it.
pub fn run(args: &FetchArgs) -> anyhow::Result<ExitCode> {
    if !args.source.exists() {
        return Err(UsageError(format!(
            "{}: there is no such file or directory",
            args.source.display()
        ))
        .into());
    }
    if args.into.exists()
        && !args.into.join(LOCK).exists()
        && std::fs::read_dir(&args.into)?.next().is_some()
    {
        return Err(UsageError(format!(
            "{}: there are files that did not come from this command; name an empty directory",
            args.into.display()
        ))
        .into());
    }
    let (hash, mut archive) = if args.source.is_dir() {
        git(args)?
    } else {
        file(&args.source)?
    };
    if let Some(pin) = &args.pin
        && !pin.eq_ignore_ascii_case(&hash)
    {
        bail!(
            "{}: its hash is {hash}, not {pin}: nothing was changed",
            args.source.display()
        );
    }
    let name = args
        .into
        .file_name()
        .context("--into names no directory")?
        .to_string_lossy()
        .into_owned();
    let fresh = args.into.with_file_name(format!(".{name}.new"));
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh)?;
    let files = match unpack(&mut archive, &fresh) {
        Ok(files) => files,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&fresh);
            return Err(error);
        }
    };
    let lock = Lock {
        source: args.source.display().to_string(),
        hash: hash.clone(),
        files,
    };
    std::fs::write(
        fresh.join(LOCK),
        serde_json::to_string_pretty(&lock)? + "\n",
    )?;
    if args.into.exists() {
        let old = args.into.with_file_name(format!(".{name}.old"));
        let _ = std::fs::remove_dir_all(&old);
        std::fs::rename(&args.into, &old)?;
        std::fs::rename(&fresh, &args.into)?;
        std::fs::remove_dir_all(&old)?;
    } else {
        std::fs::rename(&fresh, &args.into)?;
    }
    writeln!(
        std::io::stdout(),
        "{files} files in {}; pin: {hash}",
        args.into.display()
    )?;
    Ok(ExitCode::SUCCESS)
}

/// An archive and its SHA-256.
fn file(path: &Path) -> anyhow::Result<(String, File)> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut hasher = ring::digest::Context::new(&ring::digest::SHA256);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    file.rewind()?;
    let hash = hasher.finish();
    Ok((
        hash.as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        file,
    ))
}

/// An archive of a commit of a git directory, and the commit.
fn git(args: &FetchArgs) -> anyhow::Result<(String, File)> {
    let git = |arguments: &[&str]| -> anyhow::Result<Vec<u8>> {
        let output = Command::new("git")
            .arg("-C")
            .arg(&args.source)
            .args(arguments)
            .output()
            .context("git cannot be run; is it installed?")?;
        if !output.status.success() {
            bail!(
                "{}: {}",
                args.source.display(),
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        Ok(output.stdout)
    };
    if args.at.starts_with('-') {
        return Err(UsageError(format!("--at {}: no commit's name begins so", args.at)).into());
    }
    let commit = String::from_utf8(git(&[
        "rev-parse",
        "--verify",
        &format!("{}^{{commit}}", args.at),
    ])?)?
    .trim()
    .to_owned();
    let archive = git(&["archive", "--format=zip", &commit])?;
    let path = std::env::temp_dir().join(format!("citywatch-fetch-{}.zip", std::process::id()));
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    file.write_all(&archive)?;
    file.rewind()?;
    Ok((commit, file))
}

/// Writes the rule files of an archive below `into`; returns how many.
fn unpack(archive: &mut File, into: &Path) -> anyhow::Result<usize> {
    let mut archive = zip::ZipArchive::new(archive).context("not a .zip file")?;
    if archive.len() > FILES_MAX {
        bail!("more than {FILES_MAX} files in the archive");
    }
    let (mut files, mut bytes) = (0, 0);
    for index in 0..archive.len() {
        let mut member = archive.by_index(index)?;
        let name = member
            .name()
            .map(|name| name.to_string())
            .unwrap_or_default();
        let last = name.rsplit('/').next().unwrap_or("").to_owned();
        let is_rule = last.ends_with(".yml") || last.ends_with(".yaml");
        if !member.is_file() || !(is_rule || last.to_uppercase().starts_with("LICENSE")) {
            continue;
        }
        // A name of an archive is hostile: it stays below the directory.
        if name.starts_with('/')
            || name.contains('\\')
            || name.split('/').any(|part| part == ".." || part.is_empty())
        {
            bail!("{name:?}: a path that leads out of the archive; nothing was changed");
        }
        let mut text = Vec::new();
        member
            .by_ref()
            .take(FILE_BYTES_MAX + 1)
            .read_to_end(&mut text)?;
        bytes += text.len() as u64;
        if text.len() as u64 > FILE_BYTES_MAX || bytes > BYTES_MAX {
            bail!("{name:?}: larger than a rule file may be; nothing was changed");
        }
        let path = into.join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(into))?;
        std::fs::write(&path, &text)?;
        files += 1;
    }
    if files == 0 {
        bail!("there are no rule files in the archive; nothing was changed");
    }
    Ok(files)
}
