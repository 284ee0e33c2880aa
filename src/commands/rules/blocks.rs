//! Blocks of records: what is read from a file in one go, without a copy per record.

use std::io::Read;
use std::sync::Arc;

use super::joining::{JOINED_BYTES_MAX, Joining, Open};
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, Record, Timestamp};

/// Bytes that are read in one go. A block holds what fits, so that it is still in the cache when it is parsed.
const BLOCK_BYTES: usize = 256 << 10;
/// A longer line is cut here, as the agent does.
pub const RECORD_BYTES_MAX: usize = 1 << 20;

/// A file, a member of an archive, or standard input.
#[derive(Debug)]
pub struct Source {
    /// As given on the command line; `archive.zip/member` for a member.
    pub name: String,
    /// Its place among all that is read.
    pub index: u64,
    /// What its records say of where they came from.
    pub origin: Origin,
    /// When records that name no time are taken to have been received.
    pub received_at: Timestamp,
}

/// Records of one source in one buffer.
#[derive(Debug)]
pub struct Block {
    /// Where they came from.
    pub source: Arc<Source>,
    bytes: Vec<u8>,
    filled: usize,
    spans: Vec<Span>,
    /// Records that could not be read at all; they have numbers, too.
    pub unreadable: u64,
    /// Records before this block that may say what its columns are.
    headers: Arc<Vec<HeaderLine>>,
}

/// Number and bytes of a record that may be a header.
type HeaderLine = (u64, Vec<u8>);

/// A longer record is no header.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Lines of a header that are kept.
const HEADER_LINES_MAX: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Span {
    start: usize,
    end: usize,
    number: u64,
    truncated: Truncated,
}

impl Block {
    /// An empty block; `spare` lends its buffers.
    pub fn new(source: &Arc<Source>, spare: Option<Self>) -> Self {
        let (bytes, mut spans) = spare.map_or_else(
            || (vec![0; BLOCK_BYTES], Vec::new()),
            |block| (block.bytes, block.spans),
        );
        spans.clear();
        Self {
            source: Arc::clone(source),
            bytes,
            filled: 0,
            spans,
            unreadable: 0,
            headers: Arc::default(),
        }
    }

    /// Records from before this block that a parser must have read to know the columns of its lines, whichever thread
    /// has read them.
    pub fn headers(&self) -> impl Iterator<Item = Record<'_>> {
        self.headers.iter().map(|(number, raw)| Record {
            origin: &self.source.origin,
            raw,
            position: *number,
            received_at: self.source.received_at,
            truncated: Truncated::No,
        })
    }

    /// Whether its buffers are worth keeping for the next one.
    pub fn is_ordinary(&self) -> bool {
        self.bytes.len() <= 2 * BLOCK_BYTES
    }

    /// The bytes that were read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Whether there is nothing in it to be evaluated.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.unreadable == 0
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The records from one index on, up to another or so many bytes, at least one.
    pub fn up_to(&self, from: usize, records_max: usize, bytes_max: usize) -> usize {
        let mut bytes = 0;
        let fitting = self.spans[from..]
            .iter()
            .take(records_max)
            .take_while(|span| {
                bytes += span.end - span.start;
                bytes <= bytes_max
            });
        from + fitting.count().max(1)
    }

    /// The record at `index`.
    pub fn record(&self, index: usize) -> Record<'_> {
        let span = self.spans[index];
        Record {
            origin: &self.source.origin,
            raw: &self.bytes[span.start..span.end],
            position: span.number,
            received_at: self.source.received_at,
            truncated: span.truncated,
        }
    }

    /// Reads until the buffer is full or the input ends; from a pipe only what is there, so that a
    /// slow writer's records are evaluated as they come. Returns whether the input ended.
    pub fn fill(&mut self, input: &mut dyn Read, pace: Pace) -> std::io::Result<Ended> {
        while self.filled < self.bytes.len() {
            match input.read(&mut self.bytes[self.filled..]) {
                Ok(0) => return Ok(Ended::Yes),
                Ok(count) => {
                    self.filled += count;
                    if pace == Pace::AsItComes {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Ended::No)
    }

    /// Appends a record whose bytes are elsewhere.
    fn append(&mut self, raw: &[u8], number: u64) {
        let truncated = cut(raw.len());
        let raw = &raw[..raw.len().min(RECORD_BYTES_MAX)];
        let (start, end) = (self.filled, self.filled + raw.len());
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(raw);
        self.filled = end;
        self.spans.push(Span {
            start,
            end,
            number,
            truncated,
        });
    }
}

/// How eagerly a block is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// To the brim.
    Full,
    /// One read.
    AsItComes,
}

/// Whether an input has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There may be more.
    No,
    /// There is no more.
    Yes,
}

/// Where blocks go, and where spare ones come from.
pub trait Sink {
    /// Takes a block with records.
    ///
    /// # Errors
    /// When nothing more is to be read: the output failed.
    fn take(&mut self, block: Block) -> Result<(), Stopped>;

    /// A block that was evaluated, to be used again.
    fn spare(&mut self) -> Option<Block>;
}

/// The output failed: reading goes on no longer. Why is known where it failed.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

/// Cuts what is read into lines, a record each unless its format joins lines; blank ones are none.
pub struct Lines<'s> {
    sink: &'s mut dyn Sink,
    number: u64,
    /// Within a line of which the beginning was taken and the rest is left out.
    skipping: bool,
    /// The first record, and the last of each kind that begins with `#`.
    headers: Arc<Vec<HeaderLine>>,
    joining: Joining,
}

impl<'s> Lines<'s> {
    /// Lines for `sink`.
    pub fn new(sink: &'s mut dyn Sink) -> Self {
        Self {
            sink,
            number: 0,
            skipping: false,
            headers: Arc::default(),
            joining: Joining::None,
        }
    }

    /// Reads all of `input`, of which `block` holds the beginning.
    ///
    /// # Errors
    /// When the input cannot be read: what came before is taken all the same.
    pub fn read(
        &mut self,
        mut block: Block,
        mut ended: Ended,
        input: &mut dyn Read,
        pace: Pace,
    ) -> Result<std::io::Result<()>, Stopped> {
        self.joining = Joining::of_format(&block.source.origin.format);
        loop {
            let mut rest = self.split(&mut block);
            if ended == Ended::Yes {
                self.rest(&mut block, rest);
                return self.deliver(block).map(Ok);
            }
            if rest == 0 && block.filled == block.bytes.len() {
                // A line that is longer than the block.
                if block.filled > RECORD_BYTES_MAX {
                    let end = block.filled;
                    self.line(&mut block, 0, end);
                    self.skipping = true;
                    rest = end;
                } else {
                    block.bytes.resize(block.bytes.len() * 2, 0);
                }
            }
            if rest > 0 {
                let mut next = Block::new(&block.source, self.sink.spare());
                let tail = &block.bytes[rest..block.filled];
                if next.bytes.len() < tail.len() + BLOCK_BYTES / 2 {
                    next.bytes.resize(tail.len() + BLOCK_BYTES, 0);
                }
                next.bytes[..tail.len()].copy_from_slice(tail);
                next.filled = tail.len();
                let done = std::mem::replace(&mut block, next);
                self.deliver(done)?;
            }
            ended = match block.fill(input, pace) {
                Ok(ended) => ended,
                Err(error) => {
                    // The lines that are whole; of the last one nobody knows the rest.
                    self.split(&mut block);
                    return self.deliver(block).map(|()| Err(error));
                }
            };
        }
    }

    /// Makes records of the whole lines; returns where the last, unfinished one begins.
    fn split(&mut self, block: &mut Block) -> usize {
        if block.spans.is_empty() {
            block.headers = Arc::clone(&self.headers);
        }
        // Taken out, so that records can be added while it is searched.
        let bytes = std::mem::take(&mut block.bytes);
        let filled = &bytes[..block.filled];
        let (mut start, mut line_start) = (0, 0);
        let mut open: Option<Open> = None;
        while let Some(length) = memchr::memchr(b'\n', &filled[line_start..]) {
            let end = line_start + length;
            if std::mem::take(&mut self.skipping) {
                (start, line_start) = (end + 1, end + 1);
                continue;
            }
            let line = &filled[line_start..end];
            open = match open {
                None => self.joining.opened_by(line),
                Some(open) => open.after(line),
            };
            let mut record_end = end;
            if open.is_some() {
                if end - start < JOINED_BYTES_MAX {
                    line_start = end + 1;
                    continue;
                }
                // It does not close: its first line is a record by itself.
                record_end = start + memchr::memchr(b'\n', &filled[start..]).unwrap_or(end - start);
                open = None;
            }
            block.spans.extend(self.span(&bytes, start, record_end));
            (start, line_start) = (record_end + 1, record_end + 1);
        }
        block.bytes = bytes;
        if self.skipping {
            block.filled = 0;
            return 0;
        }
        start
    }

    /// Makes records of what is left at the input's end: what was not closed is lines.
    fn rest(&mut self, block: &mut Block, mut start: usize) {
        while let Some(length) = memchr::memchr(b'\n', &block.bytes[start..block.filled]) {
            self.line(block, start, start + length);
            start += length + 1;
        }
        let end = block.filled;
        self.line(block, start, end);
    }

    fn line(&mut self, block: &mut Block, start: usize, end: usize) {
        let span = self.span(&block.bytes, start, end);
        block.spans.extend(span);
    }

    fn span(&mut self, bytes: &[u8], start: usize, end: usize) -> Option<Span> {
        let line = &bytes[start..end];
        let length = line.trim_ascii_end().len();
        // The second half of the last line end of a file in UTF-16 is no record.
        if length == 0 || line[..length] == [0] {
            return None;
        }
        self.number += 1;
        if self.number == 1 || line[0] == b'#' {
            self.keep_header(&line[..length]);
        }
        Some(Span {
            start,
            end: start + length.min(RECORD_BYTES_MAX),
            number: self.number,
            truncated: cut(length),
        })
    }

    fn keep_header(&mut self, line: &[u8]) {
        if line.len() > HEADER_BYTES_MAX {
            return;
        }
        let word = |line: &[u8]| {
            let end = line
                .iter()
                .position(|byte| matches!(byte, b' ' | b'\t' | b':'));
            line[..end.unwrap_or(line.len())].to_vec()
        };
        let named = word(line);
        let headers = Arc::make_mut(&mut self.headers);
        headers.retain(|(number, known)| *number == 1 || word(known) != named);
        if headers.len() < HEADER_LINES_MAX {
            headers.push((self.number, line.to_vec()));
        }
    }

    fn deliver(&mut self, block: Block) -> Result<(), Stopped> {
        if block.is_empty() {
            return Ok(());
        }
        self.sink.take(block)
    }
}

/// Gathers records that are made one by one into blocks.
pub struct Gathered<'s> {
    sink: &'s mut dyn Sink,
    block: Block,
    number: u64,
}

impl<'s> Gathered<'s> {
    /// Records of `source` for `sink`.
    pub fn new(source: &Arc<Source>, sink: &'s mut dyn Sink) -> Self {
        let block = Block::new(source, sink.spare());
        Self {
            sink,
            block,
            number: 0,
        }
    }

    /// Adds a record.
    pub fn push(&mut self, raw: &[u8]) -> Result<(), Stopped> {
        self.number += 1;
        self.block.append(raw, self.number);
        if self.block.filled >= BLOCK_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Counts a record that cannot be read, and returns its number.
    pub fn unreadable(&mut self) -> u64 {
        self.number += 1;
        self.block.unreadable += 1;
        self.number
    }

    /// Hands on what is there.
    pub fn flush(&mut self) -> Result<(), Stopped> {
        if self.block.is_empty() {
            return Ok(());
        }
        let next = Block::new(&self.block.source, self.sink.spare());
        self.sink.take(std::mem::replace(&mut self.block, next))
    }
}

fn cut(length: usize) -> Truncated {
    if length > RECORD_BYTES_MAX {
        Truncated::Yes
    } else {
        Truncated::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Collects records; lends the last block's buffers on.
    #[derive(Default)]
    struct Collected {
        records: Vec<(u64, Vec<u8>, Truncated)>,
        spare: Option<Block>,
    }

    impl Sink for Collected {
        fn take(&mut self, block: Block) -> Result<(), Stopped> {
            for index in 0..block.len() {
                let record = block.record(index);
                self.records
                    .push((record.position, record.raw.to_vec(), record.truncated));
            }
            self.spare = Some(block);
            Ok(())
        }

        fn spare(&mut self) -> Option<Block> {
            self.spare.take()
        }
    }

    #[test]
    fn a_block_knows_the_header_lines_before_it() {
        #[derive(Default)]
        struct Headers(Vec<Vec<String>>);
        impl Sink for Headers {
            fn take(&mut self, block: Block) -> Result<(), Stopped> {
                let lines = block.headers();
                self.0.push(
                    lines
                        .map(|record| String::from_utf8_lossy(record.raw).into_owned())
                        .collect(),
                );
                Ok(())
            }
            fn spare(&mut self) -> Option<Block> {
                None
            }
        }
        let filler = "2026-11-22 x\n".repeat(BLOCK_BYTES / 13 + 1);
        let input = format!("#Software: a\n#Fields: date b\n{filler}#Fields: date c\n{filler}");
        let (mut found, mut input) = (Headers::default(), input.as_bytes());
        let mut block = Block::new(&source(), None);
        let ended = block.fill(&mut input, Pace::Full).unwrap();
        Lines::new(&mut found)
            .read(block, ended, &mut input, Pace::Full)
            .unwrap()
            .unwrap();
        assert!(found.0[0].is_empty());
        assert_eq!(found.0[1], ["#Software: a", "#Fields: date b"]);
        assert_eq!(found.0[2], ["#Software: a", "#Fields: date c"]);
    }

    fn source() -> Arc<Source> {
        Arc::new(Source {
            name: "test".to_owned(),
            index: 0,
            origin: Origin::default(),
            received_at: Timestamp(0),
        })
    }

    /// Gives at most so many bytes at once.
    struct Drip<'b>(&'b [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = self.1.min(buffer.len());
            self.0.read(&mut buffer[..most])
        }
    }

    fn lines(input: &[u8], at_once: usize, pace: Pace) -> Vec<(u64, Vec<u8>, Truncated)> {
        let mut collected = Collected::default();
        let mut input = Drip(input, at_once);
        let mut block = Block::new(&source(), None);
        let ended = block.fill(&mut input, pace).unwrap();
        Lines::new(&mut collected)
            .read(block, ended, &mut input, pace)
            .unwrap()
            .unwrap();
        collected.records
    }

    #[test]
    fn lines_are_numbered_from_one_and_blank_ones_are_no_records() {
        for (at_once, pace) in [(1, Pace::AsItComes), (3, Pace::Full), (1 << 20, Pace::Full)] {
            let records = lines(b"a\r\n\n  \nbb\n\nccc", at_once, pace);
            let texts: Vec<(u64, &[u8])> = records
                .iter()
                .map(|(number, raw, _)| (*number, raw.as_slice()))
                .collect();
            assert_eq!(texts, [(1, b"a".as_slice()), (2, b"bb"), (3, b"ccc")]);
        }
    }

    fn joined(format: &str, input: &str, at_once: usize) -> Vec<String> {
        let source = Arc::new(Source {
            name: "test".to_owned(),
            index: 0,
            origin: Origin {
                format: format.into(),
                ..Origin::default()
            },
            received_at: Timestamp(0),
        });
        let mut collected = Collected::default();
        let mut input = Drip(input.as_bytes(), at_once);
        let mut block = Block::new(&source, None);
        let ended = block.fill(&mut input, Pace::AsItComes).unwrap();
        Lines::new(&mut collected)
            .read(block, ended, &mut input, Pace::AsItComes)
            .unwrap()
            .unwrap();
        let texts = collected
            .records
            .into_iter()
            .map(|(_, raw, _)| String::from_utf8(raw).unwrap());
        texts.collect()
    }

    #[test]
    fn a_record_with_a_line_end_in_quotes_or_in_an_element_is_one() {
        let csv = "a,b\n1,\"x\ny \"\"z\"\"\n\"\n2,c\n";
        let xml = "<AuditRecord><A>1</A>\n<B>2</B></AuditRecord>\nplain\n<Event x='1'>\n</Event>\n";
        for at_once in [1, 7, 1 << 20] {
            assert_eq!(
                joined("csv", csv, at_once),
                ["a,b", "1,\"x\ny \"\"z\"\"\n\"", "2,c"]
            );
            assert_eq!(joined("json", csv, at_once).len(), 5);
            assert_eq!(
                joined("auto", xml, at_once),
                [
                    "<AuditRecord><A>1</A>\n<B>2</B></AuditRecord>",
                    "plain",
                    "<Event x='1'>\n</Event>"
                ]
            );
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_line_only() {
        let lines: String = (0..30_000).map(|n| format!("{n},x\n")).collect();
        let input = format!("a,b\n1,\"open\n{lines}");
        for at_once in [70_001, 1 << 20] {
            let records = joined("csv", &input, at_once);
            assert_eq!(records.len(), 30_002);
            assert_eq!((&*records[1], &*records[2]), ("1,\"open", "0,x"));
        }
        // At the end of the input, too.
        assert_eq!(joined("csv", "1,\"open\n2,x", 3), ["1,\"open", "2,x"]);
    }

    #[test]
    fn lines_cross_blocks_and_stay_whole() {
        let text: String = (0..200_000).map(|n| format!("line {n}\n")).collect();
        let records = lines(text.as_bytes(), 70_001, Pace::Full);
        assert_eq!(records.len(), 200_000);
        for (number, (position, raw, _)) in records.iter().enumerate() {
            assert_eq!(*position, number as u64 + 1);
            assert_eq!(raw, format!("line {number}").as_bytes());
        }
    }

    /// A truncated archive, a broken disk.
    #[test]
    fn whole_lines_before_an_error_are_records() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("broken"))
            }
        }
        for lines in [1_usize, 100_000] {
            let text: String = (0..lines).map(|n| format!("line {n}\n")).collect();
            let text = text + "half a li";
            let mut input = text.as_bytes().chain(Broken);
            let mut collected = Collected::default();
            let block = Block::new(&source(), None);
            let outcome = Lines::new(&mut collected).read(block, Ended::No, &mut input, Pace::Full);
            assert!(outcome.unwrap().is_err());
            assert_eq!(collected.records.len(), lines);
        }
    }

    #[test]
    fn a_line_beyond_the_bound_is_cut_and_the_next_is_whole() {
        for length in [
            RECORD_BYTES_MAX - 1,
            RECORD_BYTES_MAX,
            RECORD_BYTES_MAX + 1,
            5 * RECORD_BYTES_MAX,
        ] {
            let mut text = vec![b'x'; length];
            text.extend_from_slice(b"\nnext\n");
            let records = lines(&text, 1 << 16, Pace::Full);
            assert_eq!(records.len(), 2, "{length}");
            assert_eq!(records[0].1.len(), length.min(RECORD_BYTES_MAX));
            assert_eq!(records[0].2 == Truncated::Yes, length > RECORD_BYTES_MAX);
            assert_eq!(records[1].1, b"next");
            assert_eq!(records[1].0, 2);
        }
    }
}
