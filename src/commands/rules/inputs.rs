//! Records from files, directories, archives and standard input, in blocks, numbered from 1 per file.

use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use citywatch_parsers::evtx::EvtxFile;
use citywatch_parsers::{
    Definitions, FORMATS, FormatName, Known, Origin, Timestamp, encoding, otlp_exports,
};
use flate2::read::MultiGzDecoder;
use serde_json::value::RawValue;

use super::blocks::{Block, Ended, Gathered, Lines, Pace, RECORD_BYTES_MAX, Sink, Source, Stopped};
use super::exports::may_be_exports;
use super::watched_file::{Progressing, WatchedFile, bar_of};
use crate::report::{UsageError, say};

/// A document that is read as a whole (EVTX, a JSON array) may be no longer.
const DOCUMENT_BYTES_MAX: u64 = 1 << 30;
/// Archives within archives.
const ARCHIVES_MAX: u32 = 4;

const EVTX_MAGIC: &[u8] = b"ElfFile\0";
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// What records are said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// To be found out.
    Auto,
    /// EVTX files; their records are JSON.
    Evtx,
    /// JSON: an array, or objects one after the other, over any number of lines.
    Json,
    /// A record per line, read by this parser; `auto` for each on its own.
    Lines(Arc<str>),
}

impl InputFormat {
    /// The format of this name, one of the built-in ones or of the definitions; an encoding may follow it
    /// (`syslog; charset=windows-1258`).
    ///
    /// # Errors
    /// When there is none; the message names the nearest one, or all.
    pub fn of_name(format: &str, definitions: &Definitions) -> Result<Self, UsageError> {
        let FormatName {
            name,
            charset,
            header,
            unknown,
            ..
        } = FormatName::of(format);
        if let Some(unknown) = unknown {
            return Err(UsageError(format!(
                "--format {format}: a format has no parameter `{unknown}`; charset=NAME, zone=NAME and header=COLUMNS are known"
            )));
        }
        let parameters = charset.or(header);
        if let Some(charset) = charset.filter(|charset| encoding(charset).is_none()) {
            return Err(UsageError(format!(
                "--format {format}: there is no encoding `{charset}`; give one as browsers name it, such as windows-1258"
            )));
        }
        match (name, parameters) {
            ("auto", None) => return Ok(Self::Auto),
            ("evtx", _) => return Ok(Self::Evtx),
            ("json", None) => return Ok(Self::Json),
            ("ndjson", None) => return Ok(Self::Lines("json".into())),
            ("auto", Some(_)) => return Ok(Self::Lines(format.into())),
            _ => {}
        }
        if Known::by_name(name, definitions).is_some() {
            return Ok(Self::Lines(format.into()));
        }
        let mut names: Vec<&str> = ["auto", "evtx", "ndjson"]
            .into_iter()
            .chain(FORMATS.iter().map(|format| format.name))
            .chain(definitions.site().map(|definition| definition.name))
            .chain(Definitions::shipped().map(|definition| definition.name))
            .collect();
        names.sort_unstable();
        Err(UsageError(
            match citywatch_rules::error::nearest(name, names.iter().copied()) {
                Some(nearest) => {
                    format!("--format {name}: there is no such format; did you mean `{nearest}`?")
                }
                None => format!(
                    "--format {name}: there is no such format; there are {}",
                    names.join(", ")
                ),
            },
        ))
    }

    fn may_be_otlp(&self) -> bool {
        match self {
            Self::Auto => true,
            Self::Lines(name) => FormatName::of(name).name == "otlp",
            Self::Evtx | Self::Json => false,
        }
    }

    /// What the parser is told.
    fn parser(&self) -> Arc<str> {
        match self {
            Self::Auto => "auto".into(),
            Self::Evtx | Self::Json => "json".into(),
            Self::Lines(name) => Arc::clone(name),
        }
    }
}

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Files, or members of archives.
    pub files: u64,
}

/// Reads files.
pub struct Inputs<'s> {
    format: InputFormat,
    received_at: Timestamp,
    sink: &'s mut dyn Sink,
    sources: u64,
    left_out: LeftOut,
    progress: Progressing,
}

/// Why a file is left, in whole or from some place on.
type Failed = Box<dyn std::error::Error>;

impl<'s> Inputs<'s> {
    /// Reads records of `format` for `sink`.
    pub fn new(format: InputFormat, received_at: Timestamp, sink: &'s mut dyn Sink) -> Self {
        Self {
            format,
            received_at,
            sink,
            sources: 0,
            left_out: LeftOut::default(),
            progress: Progressing::Hidden,
        }
    }

    /// With a bar, or without.
    pub fn progressing(mut self, progress: Progressing) -> Self {
        self.progress = progress;
        self
    }

    /// Hands all records of `paths` on, in order; `-` is standard input. A file that cannot be read
    /// is said and counted, and the others go on.
    ///
    /// # Errors
    /// When the output failed.
    pub fn read_all(mut self, paths: &[PathBuf]) -> Result<LeftOut, Stopped> {
        for path in paths {
            if path.as_os_str() == "-" {
                let mut input = std::io::stdin().lock();
                let outcome = self.read_stream("-", &mut input, Pace::AsItComes, 0)?;
                self.note("-", outcome);
                continue;
            }
            let mut files = Vec::new();
            let listed = list(path, &mut files).map_err(Failed::from);
            self.note(&path.display().to_string(), listed);
            let bar = (self.progress == Progressing::Shown).then(|| bar_of(&files));
            for file in files {
                let name = file.display().to_string();
                let outcome = match File::open(&file) {
                    Ok(opened) => self.read_file(&name, WatchedFile::new(opened, bar.clone()))?,
                    Err(error) => Err(error.into()),
                };
                self.note(&name, outcome);
            }
        }
        Ok(self.left_out)
    }

    fn note(&mut self, name: &str, outcome: Result<(), Failed>) {
        if let Err(error) = outcome {
            say(&format!("cannot read {name}: {error}"));
            self.left_out.files += 1;
        }
    }

    fn read_file(
        &mut self,
        name: &str,
        mut file: WatchedFile,
    ) -> Result<Result<(), Failed>, Stopped> {
        let mut magic = [0; 4];
        let read = file
            .read(&mut magic)
            .and_then(|count| file.rewind().map(|()| count));
        match read {
            Ok(count) if magic[..count] == *ZIP_MAGIC => {
                match zip::ZipArchive::new(BufReader::new(file)) {
                    Ok(archive) => self.read_zip(name, archive, 1),
                    Err(error) => Ok(Err(error.into())),
                }
            }
            // What cannot be rewound (a pipe with a name) is read as it comes, from its beginning.
            Ok(_) => self.read_stream(name, &mut file, Pace::Full, 0),
            Err(_) => {
                let mut input = Cursor::new(magic).chain(file);
                self.read_stream(name, &mut input, Pace::AsItComes, 0)
            }
        }
    }

    fn read_zip(
        &mut self,
        name: &str,
        mut archive: zip::ZipArchive<impl Read + std::io::Seek>,
        archives: u32,
    ) -> Result<Result<(), Failed>, Stopped> {
        for index in 0..archive.len() {
            let mut member = match archive.by_index(index) {
                Ok(member) if member.is_file() => member,
                Ok(_) => continue,
                Err(error) => {
                    self.note(
                        &format!("member {} of {name}", index + 1),
                        Err(error.into()),
                    );
                    continue;
                }
            };
            let member_name = match member.name() {
                Ok(member) => format!("{name}/{member}"),
                Err(_) => format!("{name}/{}", index + 1),
            };
            let outcome = self.read_stream(&member_name, &mut member, Pace::Full, archives)?;
            self.note(&member_name, outcome);
        }
        Ok(Ok(()))
    }

    /// Reads a stream whose content says what it is.
    fn read_stream(
        &mut self,
        name: &str,
        input: &mut dyn Read,
        pace: Pace,
        archives: u32,
    ) -> Result<Result<(), Failed>, Stopped> {
        let source = self.source(name);
        let mut block = Block::new(&source, self.sink.spare());
        let mut ended = Ended::No;
        let mut failed;
        let mut input = input;
        // At least what tells the kinds of files apart.
        while ended == Ended::No && block.bytes().len() < EVTX_MAGIC.len() {
            ended = match block.fill(input, pace) {
                Ok(ended) => ended,
                // What came before it is read all the same, and the error met again behind it.
                Err(error) => {
                    failed = Broken(Some(error));
                    input = &mut failed;
                    break;
                }
            };
        }
        let start = block.bytes();
        if start.starts_with(GZIP_MAGIC) || start.starts_with(ZIP_MAGIC) {
            if archives >= ARCHIVES_MAX {
                return Ok(Err("too many archives within each other".into()));
            }
            let start = start.to_vec();
            let zipped = start.starts_with(ZIP_MAGIC);
            let mut input = Cursor::new(start).chain(input);
            if !zipped {
                let mut plain = MultiGzDecoder::new(input);
                return self.read_stream(name, &mut plain, pace, archives + 1);
            }
            return match read_whole(&mut input)
                .and_then(|bytes| Ok(zip::ZipArchive::new(Cursor::new(bytes))?))
            {
                Ok(archive) => self.read_zip(name, archive, archives + 1),
                Err(error) => Ok(Err(error)),
            };
        }
        let is_evtx = start.starts_with(EVTX_MAGIC);
        if self.format == InputFormat::Evtx || (is_evtx && self.format == InputFormat::Auto) {
            return match self.whole(&block, input) {
                Ok(bytes) => self.read_evtx(&source, bytes),
                Err(error) => Ok(Err(error)),
            };
        }
        if matches!(self.format, InputFormat::Auto | InputFormat::Json)
            && is_json_document(start, ended)
        {
            return match self.whole(&block, input) {
                Ok(bytes) => self.read_json(&source, &bytes),
                Err(error) => Ok(Err(error)),
            };
        }
        if self.format.may_be_otlp() && may_be_exports(start) {
            return match self.whole(&block, input) {
                Ok(bytes) => self.read_exports(&source, &bytes),
                Err(error) => Ok(Err(error)),
            };
        }
        let outcome = Lines::new(self.sink).read(block, ended, input, pace)?;
        Ok(outcome.map_err(Failed::from))
    }

    /// OpenTelemetry's logs in protobuf; lines where they are not that after all.
    fn read_exports(
        &mut self,
        source: &Arc<Source>,
        bytes: &[u8],
    ) -> Result<Result<(), Failed>, Stopped> {
        let Some(exports) = otlp_exports(bytes, RECORD_BYTES_MAX) else {
            let mut input = bytes;
            let mut block = Block::new(source, self.sink.spare());
            let ended = match block.fill(&mut input, Pace::Full) {
                Ok(ended) => ended,
                Err(error) => return Ok(Err(error.into())),
            };
            let outcome = Lines::new(self.sink).read(block, ended, &mut input, Pace::Full)?;
            return Ok(outcome.map_err(Failed::from));
        };
        let mut records = Gathered::new(source, self.sink);
        for export in exports {
            records.push(export)?;
        }
        records.flush()?;
        Ok(Ok(()))
    }

    fn source(&mut self, name: &str) -> Arc<Source> {
        let index = self.sources;
        self.sources += 1;
        Arc::new(Source {
            name: name.to_owned(),
            index,
            origin: Origin {
                agent: "eval".into(),
                stream: name.into(),
                format: self.format.parser(),
                ..Origin::default()
            },
            received_at: self.received_at,
        })
    }

    fn whole(&self, start: &Block, input: &mut dyn Read) -> Result<Vec<u8>, Failed> {
        read_whole(&mut Cursor::new(start.bytes()).chain(input))
    }

    fn read_evtx(
        &mut self,
        source: &Arc<Source>,
        bytes: Vec<u8>,
    ) -> Result<Result<(), Failed>, Stopped> {
        let mut file = match EvtxFile::open(bytes) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error.into())),
        };
        let mut records = Gathered::new(source, self.sink);
        for record in file.records() {
            match record {
                Ok(record) => records.push(&record.json)?,
                Err(error) => {
                    let number = records.unreadable();
                    say(&format!("{}: record {number}: {error}", source.name));
                }
            }
        }
        records.flush()?;
        Ok(Ok(()))
    }

    /// The items of an array, or objects one after the other.
    fn read_json(
        &mut self,
        source: &Arc<Source>,
        bytes: &[u8],
    ) -> Result<Result<(), Failed>, Stopped> {
        let mut records = Gathered::new(source, self.sink);
        let is_array = bytes.trim_ascii_start().first() == Some(&b'[');
        if is_array && let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(bytes) {
            for item in items {
                records.push(item.get().as_bytes())?;
            }
            records.flush()?;
            return Ok(Ok(()));
        }
        let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<&RawValue>();
        let mut read_until = 0;
        while let Some(Ok(value)) = values.next() {
            records.push(value.get().as_bytes())?;
            read_until = values.byte_offset();
        }
        // What is no JSON after all: lines, from there on.
        for line in bytes[read_until..].split(|&byte| byte == b'\n') {
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                records.push(line)?;
            }
        }
        records.flush()?;
        Ok(Ok(()))
    }
}

/// Whether it is JSON over several lines, not a record per line. Its first line is no JSON by itself,
/// or an array.
fn is_json_document(start: &[u8], ended: Ended) -> bool {
    let start = start.trim_ascii_start();
    let (line, whole) = match memchr::memchr(b'\n', start) {
        Some(end) => (&start[..end], true),
        None => (start, ended == Ended::Yes),
    };
    let line = line.trim_ascii_end();
    match line.first() {
        // Lines of many formats begin with a time in brackets.
        Some(b'[') => {
            let inner = start[1..].trim_ascii_start();
            inner.first().is_none_or(|byte| matches!(byte, b'{' | b']'))
        }
        Some(b'{') => {
            let inner = line[1..].trim_ascii_start();
            whole
                && (inner.is_empty() || inner.starts_with(b"\""))
                && serde_json::from_slice::<serde::de::IgnoredAny>(line)
                    .is_err_and(|error| error.is_eof())
        }
        _ => false,
    }
}

/// An input that failed: it fails once more.
struct Broken(Option<std::io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

fn read_whole(input: &mut dyn Read) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    input.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err("a document of more than 1 GiB: split it, or use a record per line".into());
    }
    Ok(bytes)
}

/// All files below `path`, by name. Links to directories are not followed below it, so there are no circles.
fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !std::fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<std::fs::DirEntry> =
        std::fs::read_dir(path)?.collect::<std::io::Result<_>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            list(&path, files)?;
        } else if kind.is_file() || (kind.is_symlink() && path.is_file()) {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_told_from_texts() {
        for text in [
            &b"\n\n\nNov 22 x"[..],
            b"\n\n\n\n\n\n",
            b"a\n\n\n\n",
            b"",
            b"\n",
            b"\0\0\0\0\n",
        ] {
            assert!(!may_be_exports(text), "{text:?}");
        }
        // An export of 6 bytes, and the same behind its length in both forms.
        let export = b"\n\x04\x12\x02\x12\0";
        assert!(may_be_exports(export));
        assert!(may_be_exports(&[&[0, 0, 0, 6][..], export].concat()));
        assert!(may_be_exports(&[&[6][..], export].concat()));
    }

    #[test]
    fn formats_have_names_and_neighbours() {
        let of_name = |name| InputFormat::of_name(name, &Definitions::default());
        let error = |name| of_name(name).unwrap_err().to_string();
        assert_eq!(
            of_name("ndjson").unwrap(),
            InputFormat::Lines("json".into())
        );
        // A definition is a format like any other, and an encoding goes on to the parser.
        for name in ["unbound", "auto; charset=windows-1258"] {
            assert_eq!(of_name(name).unwrap(), InputFormat::Lines(name.into()));
        }
        assert!(error("sylog").contains("did you mean `syslog`"));
        assert!(error("tomcatt").contains("did you mean `tomcat`"));
        assert!(error("xyzzyxyzzy").contains("cas, cef, "));
        assert!(error("syslog;charset=klingon").contains("no encoding `klingon`"));
    }

    #[test]
    fn json_over_several_lines_is_told_from_lines() {
        let cases: [(&str, bool); 10] = [
            ("{\"a\":1}\n{\"a\":2}\n", false),
            ("{\n  \"a\": 1\n}\n", true),
            ("[{\"a\":1},{\"a\":2}]", true),
            ("[\n{\"a\":1}]", true),
            ("[]", true),
            ("[Wed Oct 11 14:32:52 2026] [error] x\n", false),
            ("{\"a\": {\n\"b\": 1}}", true),
            ("{\"a\": broken}\n", false),
            ("{ set x 1 }\n", false),
            ("plain text\n", false),
        ];
        for (text, document) in cases {
            assert_eq!(
                is_json_document(text.as_bytes(), Ended::Yes),
                document,
                "{text}"
            );
        }
    }
}
