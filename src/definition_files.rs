//! A site's own text formats: found on disk, compiled, and taken over again when the files change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use citywatch_parsers::definitions::DefinitionSource;
use citywatch_parsers::{Definitions, ParseContext};
use jiff::tz::TimeZone;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, ParsersConfig};
use crate::parts::{PartState, Parts};
use crate::report::UsageError;
use crate::saying::Saying;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// All `.toml` files at or below `path`, in the order of their names; what cannot be read is told.
///
/// # Errors
/// [`UsageError`] when the path does not exist.
pub fn read(path: &Path) -> anyhow::Result<(Vec<DefinitionSource>, Vec<String>)> {
    if !path.exists() {
        return Err(UsageError(format!(
            "no definitions at {}: the path does not exist; name a .toml file or a folder of them",
            path.display()
        ))
        .into());
    }
    let mut files = Vec::new();
    collect(path, &mut files).with_context(|| format!("cannot list {}", path.display()))?;
    let mut sources = Vec::with_capacity(files.len());
    let mut unreadable = Vec::new();
    for file in files {
        match read_one(&file) {
            Ok(text) => sources.push(DefinitionSource {
                path: file.to_string_lossy().into(),
                text: text.into(),
            }),
            Err(error) => unreadable.push(format!("{}: {error}", file.display())),
        }
    }
    Ok((sources, unreadable))
}

/// The time zone of that name, from the system's database.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

/// The definitions of the configuration; what is broken is told on `tell` and left out.
pub fn load(
    config: &ParsersConfig,
    before: &Definitions,
    tell: &mut dyn FnMut(String),
) -> anyhow::Result<Definitions> {
    let Some(path) = &config.definitions else {
        return Ok(Definitions::default());
    };
    let (sources, unreadable) = read(path)?;
    let (definitions, problems) = before.reload(&sources, &zone);
    let told = problems.iter().map(ToString::to_string);
    unreadable.into_iter().chain(told).for_each(tell);
    Ok(definitions)
}

/// The settings that the engine would parse with; `definitions` instead of those of the configuration.
///
/// # Errors
/// When there is no such time zone, or nothing at the path of the definitions.
pub fn parse_context(config: &Config, definitions: Option<&Path>) -> anyhow::Result<ParseContext> {
    let name = &config.engine.time_zone;
    let default_zone = zone(name).ok_or_else(|| {
        UsageError(format!(
            "[engine] time_zone \"{name}\" is not known: use a name such as Asia/Ho_Chi_Minh"
        ))
    })?;
    let named = definitions.map(|path| ParsersConfig {
        definitions: Some(path.to_owned()),
    });
    let parsers = named.as_ref().unwrap_or(&config.parsers);
    let definitions = load(parsers, &Definitions::default(), &mut |problem| {
        eprintln!("{problem}");
    })?;
    Ok(ParseContext {
        default_zone,
        definitions,
        ..ParseContext::default()
    })
}

/// Loads the definitions, and again whenever their files change, until `shutdown`.
pub fn watch(
    config: &ParsersConfig,
    parts: &Parts,
    shutdown: &CancellationToken,
) -> anyhow::Result<watch::Receiver<Definitions>> {
    let Some(path) = config.definitions.clone() else {
        // Nothing will ever be sent: the receiver keeps what it was made with.
        return Ok(watch::channel(Definitions::default()).1);
    };
    // Seen before they are read: a file that changes meanwhile is looked at once more.
    let mut seen = state_of(&path);
    let first = load_and_report(config, &Definitions::default(), parts)?;
    let (sender, receiver) = watch::channel(first);
    let (config, parts, shutdown) = (config.clone(), parts.clone(), shutdown.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
            let now = state_of(&path);
            if now == seen {
                continue;
            }
            seen = now;
            let before = sender.borrow().clone();
            match load_and_report(&config, &before, &parts) {
                Ok(definitions) => {
                    sender.send_replace(definitions);
                }
                Err(error) => {
                    tracing::error!(%error, "definitions stay as they were");
                }
            }
        }
    });
    Ok(receiver)
}

fn load_and_report(
    config: &ParsersConfig,
    before: &Definitions,
    parts: &Parts,
) -> anyhow::Result<Definitions> {
    let mut left_out = 0_usize;
    let definitions = load(config, before, &mut |problem| {
        left_out += 1;
        tracing::error!(problem, "a definition is left out");
    })?;
    let count = definitions.site().count();
    metrics::gauge!("citywatch_definitions_left_out").set(left_out as f64);
    let saying = Saying::DefinitionsLoaded {
        loaded: count,
        left_out,
    };
    tracing::info!(detail = %saying, "definitions");
    parts.set("definitions", PartState::Running, saying);
    Ok(definitions)
}

/// What tells one version of the files from another.
fn state_of(path: &Path) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let mut files = Vec::new();
    // What cannot be listed now is a change as well; loading says what is wrong.
    let _ = collect(path, &mut files);
    files
        .into_iter()
        .filter_map(|file| {
            let metadata = std::fs::metadata(&file).ok()?;
            Some((file, (metadata.len(), metadata.modified().ok())))
        })
        .collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let is_definition = entry.extension().is_some_and(|end| end == "toml");
        if entry.is_dir() || is_definition {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn read_one(path: &Path) -> std::io::Result<String> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "{bytes} bytes is more than a definition may have"
        )));
    }
    String::from_utf8(std::fs::read(path)?)
        .map_err(|_| std::io::Error::other("not UTF-8 text; save it as UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const GATE: &str =
        "name = \"gate\"\ndescription = \"gate\"\n[[pattern]]\ngrok = '%{USER:User}'\n";

    fn names(definitions: &Definitions) -> Vec<&str> {
        definitions
            .site()
            .map(|definition| definition.name)
            .collect()
    }

    fn write(dir: &Path, name: &str, text: &str) {
        std::fs::write(dir.join(name), text).unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn changes_are_taken_over_and_broken_ones_left_out() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "gate.toml", GATE);
        let config = ParsersConfig {
            definitions: Some(dir.path().to_owned()),
        };
        let (parts, shutdown) = (Parts::default(), CancellationToken::new());
        let mut current = watch(&config, &parts, &shutdown).unwrap();
        assert_eq!(names(&current.borrow_and_update()), ["gate"]);
        write(
            dir.path(),
            "door.toml",
            &GATE.replace("\"gate\"", "\"door\""),
        );
        write(dir.path(), "gate.toml", "name = 7");
        // A look between the two writes, or within one, is right too: another one follows.
        let settled = current.wait_for(|definitions| names(definitions) == ["door"]);
        tokio::time::timeout(Duration::from_secs(300), settled)
            .await
            .unwrap()
            .unwrap();
        let said = &parts.snapshot()["definitions"].detail;
        assert_eq!(said, "1 loaded, 1 left out (the log says why)");
        shutdown.cancel();
    }

    #[test]
    fn a_folder_that_is_missing_is_a_mistake() {
        let error = read(Path::new("/no/such/folder")).unwrap_err();
        assert!(error.is::<UsageError>());
    }
}
