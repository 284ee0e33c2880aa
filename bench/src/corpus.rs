//! The events and rules that are measured with: files named on the command line, or `../shared`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use citywatch_rules::{LoadOptions, RuleSet, RuleSource};

/// Records of a batch: what the pipeline hands on at once.
const BATCH_RECORDS: usize = 64;
/// When all records were received: 2026-11-23, so that times without a year are read as those of made records.
const RECEIVED_AT: Timestamp = Timestamp::from_seconds(1_795_392_000);

/// Lines of events in memory.
pub(crate) struct Corpus {
    /// In batches as the pipeline has them.
    pub(crate) batches: Vec<RecordBatch>,
    /// Number of lines.
    pub(crate) records: usize,
    /// Their bytes, line ends aside.
    pub(crate) bytes: usize,
    /// SHA-256 of all lines, hexadecimal.
    pub(crate) hash: String,
}

impl Corpus {
    /// Reads files of one JSON record per line.
    pub(crate) fn read(files: &[PathBuf]) -> Result<Self> {
        let mut gathering = Gathering::new("json");
        for file in files {
            let content = fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            content
                .split(|&byte| byte == b'\n')
                .filter(|line| !line.is_empty())
                .for_each(|line| gathering.push(line));
        }
        Ok(gathering.finish())
    }

    /// These records, of this format.
    pub(crate) fn of_lines(format: &str, lines: impl Iterator<Item = Vec<u8>>) -> Self {
        let mut gathering = Gathering::new(format);
        lines.for_each(|line| gathering.push(&line));
        gathering.finish()
    }

    /// The same records, said to be of another format.
    pub(crate) fn with_format(&self, format: &str) -> Self {
        let records = self.batches.iter().flat_map(RecordBatch::iter);
        Self::of_lines(format, records.map(|record| record.raw.to_vec()))
    }

    /// Writes the lines to one file, for a peer to read.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        use std::io::Write;
        let mut file = std::io::BufWriter::new(fs::File::create(path)?);
        for record in self.batches.iter().flat_map(RecordBatch::iter) {
            file.write_all(record.raw)?;
            file.write_all(b"\n")?;
        }
        Ok(file.flush()?)
    }
}

/// A corpus that is being read or made.
struct Gathering {
    corpus: Corpus,
    batch: RecordBatch,
    digest: ring::digest::Context,
}

impl Gathering {
    fn new(format: &str) -> Self {
        let origin = Origin {
            format: format.into(),
            ..Origin::default()
        };
        Self {
            corpus: Corpus {
                batches: Vec::new(),
                records: 0,
                bytes: 0,
                hash: String::new(),
            },
            batch: RecordBatch::new(Arc::new(origin)),
            digest: ring::digest::Context::new(&ring::digest::SHA256),
        }
    }

    fn push(&mut self, line: &[u8]) {
        self.digest.update(line);
        self.digest.update(b"\n");
        self.corpus.bytes += line.len();
        let position = self.corpus.records as u64;
        self.batch.push(line, position, RECEIVED_AT, Truncated::No);
        self.corpus.records += 1;
        if self.batch.len() == BATCH_RECORDS {
            let next = RecordBatch::new(Arc::clone(&self.batch.origin));
            self.corpus
                .batches
                .push(std::mem::replace(&mut self.batch, next));
        }
    }

    fn finish(mut self) -> Corpus {
        self.corpus.batches.push(self.batch);
        let hash = self.digest.finish();
        self.corpus.hash = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.corpus
    }
}

/// The directory with shared test input.
pub(crate) fn shared() -> PathBuf {
    std::env::var_os("CITYWATCH_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    )
}

/// The Windows recordings of `../shared/events`, unpacked into the cache.
pub(crate) fn windows_recordings() -> Result<Vec<PathBuf>> {
    let source = shared().join("events/otrf/atomic/windows");
    let cache = cache_dir()?.join("otrf");
    fs::create_dir_all(&cache)?;
    let mut files = Vec::new();
    for archive in files_below(&source, "zip")? {
        let name = archive.file_stem().context("an archive without a name")?;
        let target = cache.join(name);
        if !target.exists() {
            let status = Command::new("unzip")
                .arg("-qo")
                .arg(&archive)
                .arg("-d")
                .arg(&target)
                .status();
            if !status
                .context("running unzip (install the package `unzip`)")?
                .success()
            {
                bail!("unzip failed on {}", archive.display());
            }
        }
        files.extend(files_below(&target, "json")?);
    }
    Ok(files)
}

/// These directories of rules, or SigmaHQ's `rules` of ../shared.
pub(crate) fn rule_directories(given: &[PathBuf]) -> Vec<PathBuf> {
    if given.is_empty() {
        vec![shared().join("sigma/rules")]
    } else {
        given.to_vec()
    }
}

/// All rules below these directories.
pub(crate) fn rules(directories: &[PathBuf]) -> Result<RuleSet> {
    let mut sources = Vec::new();
    for directory in directories {
        for file in files_below(directory, "yml")? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            sources.push(RuleSource::new(file.display().to_string(), text));
        }
    }
    Ok(RuleSet::load(sources, &LoadOptions::default()))
}

/// Files with this extension, sorted; `path` itself when it is a file.
pub(crate) fn files_below(path: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut directories = vec![path.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in
            fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn cache_dir() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(
            std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?,
        )
        .join(".cache"),
    };
    Ok(base.join("citywatch"))
}
