//! `citywatch rules fetch`: rules of others, pinned by a hash: from an archive such as SigmaHQ's releases, in a file or on a
//! server, or from a git directory.

mod archive;
mod releases;
mod sources;
mod tar;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::report::UsageError;

/// Options of `citywatch rules fetch`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules fetch sigmahq@r2025-10-01 --into rules/sigmahq       all rules of a release of SigmaHQ
  citywatch rules fetch sigmahq/core@r2025-10-01 --into rules/sigmahq --pin 4f0c...
                                                                       one of its packages: all, core, core+, core++, emerging-threats
  citywatch rules fetch sigma_core.zip --into rules/sigmahq            unpack, and note the archive's SHA-256
  citywatch rules fetch sigma_core.zip --into rules/sigmahq --pin 4f0c...
                                                                       refuse any other archive
  citywatch rules fetch sigma-2026.tar.gz --into rules/sigmahq         the same of a .tar.gz
  citywatch rules fetch https://github.com/SigmaHQ/sigma/archive/refs/tags/TAG.tar.gz --into rules/sigmahq --pin 4f0c...
                                                                       a release, from the server
  citywatch rules fetch ~/sigma --at r2026-11-01 --into rules/sigmahq  a commit or tag of a git directory

Without --pin the hash is printed, to be given as --pin the next time; what comes over http:// needs it at once, since anybody on the way
could change it.

Only rule files and licenses are taken. What is there already is replaced as a whole when it came from this command
(citywatch-rules.lock says so), and left alone otherwise.

Exit code 0; 1 when the hash is another or something cannot be read; 2 for a wrong command line.")]
pub struct FetchArgs {
    /// A release (sigmahq@TAG), a .zip or .tar.gz file, its address (https://...), or a git directory
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Where the rules go
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The SHA-256 that the archive must have, or the commit that a git directory must give
    #[arg(long, value_name = "HASH")]
    pin: Option<String>,
    /// Where the release's archive lies instead of on SigmaHQ's own server: on a mirror, for example
    #[arg(long, value_name = "URL")]
    address: Option<String>,
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
/// Runs it.
pub fn run(args: &FetchArgs) -> anyhow::Result<ExitCode> {
    let source = Source::of(args)?;
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
    let (hash, mut archive) = source.read(&args.at)?;
    if let Some(pin) = &args.pin
        && !pin.eq_ignore_ascii_case(&hash)
    {
        bail!(
            "{}: its hash is {hash}, not {pin}: nothing was changed",
            args.source
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
    let files = match archive::unpack(&mut archive, &fresh) {
        Ok(files) => files,
        Err(error) => {
            let _ = std::fs::remove_dir_all(&fresh);
            return Err(error);
        }
    };
    let lock = Lock {
        source: args.source.clone(),
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

fn is_address(source: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| {
        let start = source.get(..scheme.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Where the rules come from.
enum Source {
    Address(String),
    GitDirectory(PathBuf),
    File(PathBuf),
}

impl Source {
    fn of(args: &FetchArgs) -> anyhow::Result<Self> {
        let source = &args.source;
        let path = Path::new(source);
        // A file or directory of that name comes first: it is at hand.
        let release = match path.exists() {
            true => None,
            false => releases::address_of(source)?,
        };
        if args.address.is_some() && release.is_none() {
            return Err(UsageError(format!(
                "--address is for a release such as sigmahq@r2025-10-01, and {source} is none; name the address alone"
            ))
            .into());
        }
        let address = match (release, &args.address) {
            (Some(_), Some(address)) if !is_address(address) => {
                return Err(UsageError(format!(
                    "--address {address}: an address begins with https:// or http://"
                ))
                .into());
            }
            (Some(_), Some(address)) => Some(address.clone()),
            (Some(release), None) => Some(release),
            (None, _) => is_address(source).then(|| source.clone()),
        };
        if let Some(address) = address {
            if args.pin.is_none() && !address.to_lowercase().starts_with("https") {
                return Err(UsageError(format!(
                    "{address}: over http anybody on the way could change it; give its hash with --pin, or use https"
                ))
                .into());
            }
            return Ok(Self::Address(address));
        }
        if !path.exists() {
            return Err(UsageError(format!("{source}: there is no such file or directory")).into());
        }
        Ok(if path.is_dir() {
            Self::GitDirectory(path.to_owned())
        } else {
            Self::File(path.to_owned())
        })
    }

    /// The archive, and what it is pinned by.
    fn read(&self, at: &str) -> anyhow::Result<(String, File)> {
        match self {
            Self::Address(address) => sources::download(address),
            Self::GitDirectory(path) => sources::git(path, at),
            Self::File(path) => sources::file(path),
        }
    }
}
