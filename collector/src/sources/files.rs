//! Tailing files: what is read, how it is cut into records, and what is remembered of it.
//!
//! A file is known by its device, inode and first bytes, never by its name: a renamed file goes on
//! under the same stream, and new content under an old name is a new stream. Positions are byte
//! offsets, so they grow strictly within a stream, and the same content read again has the same
//! positions: the engine drops what it has.

pub(crate) mod checkpoints;
pub(crate) mod coding;
pub(crate) mod discovery;
pub(crate) mod header;
pub(crate) mod identity;
pub(crate) mod lines;
pub(crate) mod tailed;
pub(crate) mod tailer;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use citywatch_parsers::{LogSource, Origin, RecordBatch, Timestamp};

/// A group of files that are read alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Paths; `*`, `?`, `[...]` and `**` match as in a shell.
    pub paths: Vec<String>,
    /// What to leave out: patterns for the file's name, or for the path if they contain `/`.
    #[serde(default = "default_exclude")]
    pub exclude: Vec<String>,
    /// Name of the format in the parsers' table, or `auto`.
    #[serde(default = "super::auto")]
    pub format: String,
    /// The host the files speak of; the agent's own if absent.
    #[serde(default)]
    pub host: Option<String>,
    /// The office, where one agent reads for several; the agent's own if absent.
    #[serde(default)]
    pub unit: Option<String>,
    /// What is known of the log source; the rest is found out by the parsers.
    #[serde(default)]
    pub log_source: LogSource<'static>,
    /// How lines are joined into records.
    #[serde(default)]
    pub multiline: Joining,
    /// `auto` (UTF-16 by its mark, else UTF-8), or the name of an encoding: `utf-16le`, `windows-1258`, ...
    #[serde(default = "super::auto")]
    pub encoding: String,
    /// Where reading begins in files that are there when the agent first sees this group.
    #[serde(default)]
    pub read_from: ReadFrom,
    /// What is masked of its records; as `[masking]` says if absent.
    #[serde(default)]
    pub mask: Option<Vec<String>>,
}

/// The records of a whole file that is not tailed, cut and joined as the agent would.
pub fn records_of(
    bytes: &[u8],
    joining: Joining,
    origin: Arc<Origin>,
    received_at: Timestamp,
) -> RecordBatch {
    let limits = lines::BatchLimits {
        records_max: usize::MAX,
        bytes_max: usize::MAX,
    };
    let chunk = lines::Chunk {
        bytes,
        offset: 0,
        cuts: &[],
        received_at,
    };
    let mut batch = RecordBatch::new(origin);
    lines::split(chunk, joining, lines::Tail::TakeAll, limits, &mut batch);
    batch
}

/// How lines are joined into records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// A line is a record.
    #[default]
    None,
    /// Consecutive lines of one audit event (`msg=audit(TIME:SERIAL)`) are a record.
    Auditd,
    /// Lines from part A (`--BOUNDARY-A--`) to part Z of one transaction in ModSecurity's audit log are a record.
    Modsecurity,
    /// Records are separated by empty lines: Oracle's audit trail, the journal's export format.
    Paragraph,
    /// A line that begins with a blank or a tab belongs to the record before it.
    Indent,
    /// A record goes on until its quotes are closed: CSV whose cells have line ends in them.
    Quotes,
    /// A record that begins with `<Name>` goes on until `</Name>`: Oracle's audit trail as XML.
    Xml,
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// At the first byte.
    #[default]
    Beginning,
    /// At the end: only what is written from now on.
    End,
}

/// How the bytes of a group's files become records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutting {
    pub(crate) joining: Joining,
    pub(crate) encoding: coding::Expected,
}

impl FilesConfig {
    pub(crate) fn cutting(&self) -> Cutting {
        Cutting {
            joining: self.multiline,
            encoding: coding::Expected::of(&self.encoding),
        }
    }

    /// What makes no sense, one sentence each; `index` is the group's number.
    pub(crate) fn problems(&self, index: usize) -> Vec<String> {
        let mut problems = pattern_problems("files", index, &self.paths, &self.exclude);
        let encoding = coding::problem(&self.encoding, &self.format);
        problems.extend(encoding.map(|problem| format!("files[{index}].{problem}")));
        problems
    }
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            exclude: default_exclude(),
            format: super::auto(),
            host: None,
            unit: None,
            log_source: LogSource::default(),
            multiline: Joining::None,
            encoding: super::auto(),
            read_from: ReadFrom::Beginning,
            mask: None,
        }
    }
}

/// A file that a group reads, as it stands now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// Why it cannot be read, if so, and what to do.
    pub error: Option<String>,
}

/// What a group's patterns match now, and what is wrong with them in words.
pub fn matches(group: &FilesConfig) -> (Vec<MatchedFile>, Vec<String>) {
    let found = discovery::expand(group);
    let inspect = |path: PathBuf| match fs::metadata(&path) {
        Ok(metadata) if !metadata.is_file() => None,
        Ok(metadata) => {
            let error = File::open(&path).err().map(|error| tailed::explain(&error));
            Some(MatchedFile {
                path,
                bytes: metadata.len(),
                error,
            })
        }
        Err(error) => Some(MatchedFile {
            path,
            bytes: 0,
            error: Some(tailed::explain(&error)),
        }),
    };
    (
        found.paths.into_iter().filter_map(inspect).collect(),
        found.problems,
    )
}

/// What is wrong with a group's patterns, one sentence each.
pub(crate) fn pattern_problems(
    section: &str,
    index: usize,
    paths: &[String],
    exclude: &[String],
) -> Vec<String> {
    let mut problems = Vec::new();
    if paths.is_empty() {
        problems.push(format!(
            "{section}[{index}].paths: empty; name the files to read, or remove the group"
        ));
    }
    for pattern in paths.iter().chain(exclude) {
        if let Err(error) = glob::Pattern::new(pattern) {
            problems.push(format!(
                "{section}[{index}]: pattern `{pattern}`: {} at character {}",
                error.msg,
                error.pos + 1
            ));
        }
    }
    problems
}

/// Compressed leftovers of rotation: they were read before they were compressed.
fn default_exclude() -> Vec<String> {
    ["*.gz", "*.bz2", "*.xz", "*.zst"]
        .map(String::from)
        .to_vec()
}

#[cfg(test)]
mod tests;
