//! What is measured with: recorded events from files, archives or folders, as one stream of lines.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use ring::digest;

/// A file of lines made of all inputs, with what identifies it.
#[derive(Debug)]
pub struct Corpus {
    /// Number of lines.
    pub events: u64,
    /// Their bytes, line ends included.
    pub bytes: u64,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
}

/// Writes the lines of all `.json`, `.ndjson` and `.log` files below `paths`, in archives (`.zip`)
/// too, to `target`, in the order of their names; blank lines are left out. At most `events_max`.
pub fn gather(paths: &[PathBuf], events_max: u64, target: &Path) -> anyhow::Result<Corpus> {
    let mut files = Vec::new();
    for path in paths {
        list(path, &mut files).with_context(|| path.display().to_string())?;
    }
    anyhow::ensure!(!files.is_empty(), "no files of events below {paths:?}");
    let out = File::create(target).with_context(|| target.display().to_string())?;
    let mut writer = Writer {
        out: BufWriter::with_capacity(1 << 20, out),
        hash: digest::Context::new(&digest::SHA256),
        corpus: Corpus {
            events: 0,
            bytes: 0,
            sha256: String::new(),
        },
        events_max,
    };
    for file in files {
        writer
            .add_file(&file)
            .with_context(|| file.display().to_string())?;
    }
    writer.out.flush()?;
    let digest = writer.hash.finish();
    let sha256 = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(Corpus {
        sha256,
        ..writer.corpus
    })
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_dir() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        entries.sort();
        return entries.iter().try_for_each(|entry| list(entry, files));
    }
    if is_lines(&path.to_string_lossy())
        || path.extension().is_some_and(|extension| extension == "zip")
    {
        files.push(path.to_owned());
    }
    Ok(())
}

fn is_lines(name: &str) -> bool {
    [".json", ".ndjson", ".log"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

struct Writer {
    out: BufWriter<File>,
    hash: digest::Context,
    corpus: Corpus,
    events_max: u64,
}

impl Writer {
    fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let file = File::open(path)?;
        if path.extension().is_none_or(|extension| extension != "zip") {
            return self.add_lines(file);
        }
        let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
        for index in 0..archive.len() {
            let member = archive.by_index(index)?;
            if member.is_file() && is_lines(&member.name()?) {
                self.add_lines(member)?;
            }
        }
        Ok(())
    }

    fn add_lines(&mut self, lines: impl Read) -> anyhow::Result<()> {
        let mut reader = BufReader::with_capacity(1 << 20, lines);
        let mut line = Vec::new();
        while self.corpus.events < self.events_max {
            line.clear();
            if reader.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            for bytes in [text, b"\n"] {
                self.out.write_all(bytes)?;
                self.hash.update(bytes);
            }
            self.corpus.events += 1;
            self.corpus.bytes += text.len() as u64 + 1;
        }
        Ok(())
    }
}
