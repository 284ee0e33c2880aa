//! Records from files, directories, archives and standard input, in batches, numbered from 1 per file.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use citywatch_parsers::evtx::EvtxFile;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, RecordBatch, Timestamp};
use flate2::read::MultiGzDecoder;

use crate::report::UsageError;

/// Bytes and records of one batch.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_RECORDS: usize = 4_096;
/// A longer line is cut here, as the agent does.
const RECORD_BYTES_MAX: usize = 1 << 20;
/// A document that is read as a whole (EVTX, a JSON array) may be no longer.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;

/// A batch with the name of the file that it came from; a record's position is its number.
pub struct InputBatch {
    /// As given on the command line; `archive.zip/member` for a member.
    pub file: Arc<str>,
    /// Its records.
    pub batch: RecordBatch,
}

/// What a record is said to be.
#[derive(Clone, Debug)]
pub struct InputSettings {
    /// A parser's name, or `auto`.
    pub format: String,
    /// When records that name no time are taken to have been received.
    pub received_at: Timestamp,
}

/// Hands all records of `paths` to `each`, in order; `-` is standard input.
pub fn read_all(
    paths: &[PathBuf],
    settings: &InputSettings,
    each: &mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    for path in paths {
        if path.as_os_str() == "-" {
            read_stream("-", std::io::stdin().lock(), settings, each)?;
            continue;
        }
        let mut files = Vec::new();
        list(path, &mut files)?;
        for file in files {
            read_file(&file, settings, each)
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
    }
    Ok(())
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot list {}", path.display()))?;
    let mut entries: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| list(entry, files))
}

fn read_file(
    path: &Path,
    settings: &InputSettings,
    each: &mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = path.display().to_string();
    let file = File::open(path)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => read_stream(&name, MultiGzDecoder::new(file), settings, each),
        Some("zip") => {
            let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
            for index in 0..archive.len() {
                let member = archive.by_index(index)?;
                if member.is_file() {
                    let name = format!("{name}/{}", member.name()?);
                    read_stream(&name, member, settings, each)?;
                }
            }
            Ok(())
        }
        _ => read_stream(&name, file, settings, each),
    }
}

fn read_stream(
    name: &str,
    stream: impl Read,
    settings: &InputSettings,
    each: &mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let start = reader.fill_buf()?;
    let format = &settings.format;
    if format == "evtx" || (format == "auto" && start.starts_with(b"ElfFile\0")) {
        return read_evtx(name, reader, settings, each);
    }
    if start.trim_ascii_start().first() == Some(&b'[')
        && ["auto", "json"].contains(&format.as_str())
    {
        return read_json_array(name, reader, settings, each);
    }
    let mut batcher = Batcher::new(name, settings, each);
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        batcher.push(line.trim_ascii_end())?;
    }
    batcher.flush()
}

/// One line of any length; `false` at the end.
fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    Ok(reader.read_until(b'\n', line)? > 0)
}

fn read_whole(reader: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader
        .take(DOCUMENT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= DOCUMENT_BYTES_MAX,
        "a document of more than 1 GiB: split it, or use NDJSON"
    );
    Ok(bytes)
}

fn read_evtx(
    name: &str,
    reader: impl Read,
    settings: &InputSettings,
    each: &mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let bytes = read_whole(reader)?;
    let mut batcher = Batcher::new(name, settings, each);
    let mut file = EvtxFile::open(bytes)?;
    for record in file.records() {
        match record {
            Ok(record) => batcher.push(&record.json)?,
            Err(error) => eprintln!("citywatch: {name}: {error}"),
        }
    }
    batcher.flush()
}

fn read_json_array(
    name: &str,
    reader: impl Read,
    settings: &InputSettings,
    each: &mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let bytes = read_whole(reader)?;
    let mut batcher = Batcher::new(name, settings, each);
    match serde_json::from_slice::<Vec<&serde_json::value::RawValue>>(&bytes) {
        Ok(values) => values
            .iter()
            .try_for_each(|value| batcher.push(value.get().as_bytes()))?,
        // Not one array after all: lines that begin with a bracket.
        Err(_) => bytes
            .split(|&byte| byte == b'\n')
            .try_for_each(|line| batcher.push(line.trim_ascii_end()))?,
    }
    batcher.flush()
}

struct Batcher<'a> {
    file: Arc<str>,
    origin: Arc<Origin>,
    batch: RecordBatch,
    received_at: Timestamp,
    number: u64,
    each: &'a mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
}

impl<'a> Batcher<'a> {
    fn new(
        name: &str,
        settings: &InputSettings,
        each: &'a mut dyn FnMut(InputBatch) -> anyhow::Result<()>,
    ) -> Self {
        let origin = Arc::new(Origin {
            agent: "eval".into(),
            stream: name.into(),
            format: settings.format.as_str().into(),
            ..Origin::default()
        });
        Self {
            file: name.into(),
            batch: RecordBatch::new(Arc::clone(&origin)),
            origin,
            received_at: settings.received_at,
            number: 0,
            each,
        }
    }

    /// Blank lines are no records, but count, so that a record's number is its line.
    fn push(&mut self, raw: &[u8]) -> anyhow::Result<()> {
        self.number += 1;
        if raw.is_empty() {
            return Ok(());
        }
        let truncated = if raw.len() > RECORD_BYTES_MAX {
            Truncated::Yes
        } else {
            Truncated::No
        };
        let raw = &raw[..raw.len().min(RECORD_BYTES_MAX)];
        self.batch
            .push(raw, self.number, self.received_at, truncated);
        if self.batch.len() >= BATCH_RECORDS || self.batch.bytes() >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let next = RecordBatch::new(Arc::clone(&self.origin));
        let batch = std::mem::replace(&mut self.batch, next);
        (self.each)(InputBatch {
            file: Arc::clone(&self.file),
            batch,
        })
    }
}
