//! Bytes of a file to records: pure, so that the same bytes give the same records at any time.

use citywatch_parsers::record::Truncated;
use citywatch_parsers::{RecordBatch, Timestamp};

use super::Joining;

/// A record is cut beyond this many bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;

/// Bounds of one batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) records_max: usize,
    pub(crate) bytes_max: usize,
}

/// What becomes of the last record in the bytes, which may not be all there yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// It waits for more.
    Waits,
    /// A joined record whose lines are complete is taken; a line without its end waits.
    TakeLines,
    /// Everything is taken.
    TakeAll,
}

/// Bytes of a file, and where in it they lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk<'a> {
    pub(crate) bytes: &'a [u8],
    /// Offset of the first byte.
    pub(crate) offset: u64,
    /// Offsets at which a record was cut before by [`Tail`]: it is cut there again.
    pub(crate) cuts: &'a [u64],
    pub(crate) received_at: Timestamp,
}

/// Appends the records in `chunk` to `batch` until it is full; returns how many bytes they take.
/// A batch takes one record at least, however small its limits are.
pub(crate) fn split(
    chunk: Chunk<'_>,
    joining: Joining,
    tail: Tail,
    limits: BatchLimits,
    batch: &mut RecordBatch,
) -> usize {
    let mut splitter = Splitter {
        chunk,
        joining,
        open: None,
        taken: 0,
        batch,
        limits,
    };
    let mut start = 0;
    for newline in memchr::memchr_iter(b'\n', chunk.bytes) {
        if splitter.is_full() {
            return splitter.taken;
        }
        splitter.pieces(start, newline + 1);
        start = newline + 1;
    }
    if splitter.is_full() {
        return splitter.taken;
    }
    if tail == Tail::TakeAll && start < chunk.bytes.len() {
        splitter.pieces(start, chunk.bytes.len());
    }
    if tail != Tail::Waits {
        splitter.close();
    }
    splitter.taken
}

/// Appends one record that is longer than a buffer: its head, marked as cut.
pub(crate) fn push_long(
    head: &[u8],
    position: u64,
    received_at: Timestamp,
    batch: &mut RecordBatch,
) {
    batch.push(head, position, received_at, Truncated::Yes);
}

struct Splitter<'a> {
    chunk: Chunk<'a>,
    joining: Joining,
    open: Option<Open>,
    /// Bytes that are done with.
    taken: usize,
    batch: &'a mut RecordBatch,
    limits: BatchLimits,
}

/// A record that may go on with the next line.
struct Open {
    start: usize,
    end: usize,
}

impl Splitter<'_> {
    fn is_full(&self) -> bool {
        self.batch.len() >= self.limits.records_max || self.batch.bytes() >= self.limits.bytes_max
    }

    /// A line, or the pieces of one that was taken before its end had been written.
    fn pieces(&mut self, mut start: usize, end: usize) {
        for cut in self.chunk.cuts {
            let cut = usize::try_from(cut.saturating_sub(self.chunk.offset)).unwrap_or(usize::MAX);
            if start < cut && cut < end {
                self.line(start, cut);
                start = cut;
            }
        }
        self.line(start, end);
    }

    fn line(&mut self, start: usize, end: usize) {
        let line = trim_end(&self.chunk.bytes[start..end]);
        if let Some(open) = &mut self.open {
            let first = trim_end(&self.chunk.bytes[open.start..open.end]);
            let cut_here = self
                .chunk
                .cuts
                .contains(&(self.chunk.offset + start as u64));
            if !cut_here
                && end - open.start <= RECORD_BYTES_MAX
                && goes_on(self.joining, first, line)
            {
                open.end = end;
                if is_last(self.joining, first, line) {
                    self.close();
                }
                return;
            }
            self.close();
        }
        self.open = Some(Open { start, end });
        if may_not_go_on(self.joining, line) {
            self.close();
        }
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let raw = trim_end(&self.chunk.bytes[open.start..open.end]);
        push(
            raw,
            self.chunk.offset + open.start as u64,
            self.chunk.received_at,
            self.batch,
        );
        self.taken = open.end;
    }
}

fn push(raw: &[u8], position: u64, received_at: Timestamp, batch: &mut RecordBatch) {
    // A file truncated under a writer that keeps its offset begins with a hole.
    let hole = raw.iter().take_while(|byte| **byte == 0).count();
    let raw = &raw[hole..];
    if raw.is_empty() {
        return;
    }
    if raw.len() > RECORD_BYTES_MAX {
        batch.push(
            &raw[..RECORD_BYTES_MAX],
            position,
            received_at,
            Truncated::Yes,
        );
    } else {
        batch.push(raw, position, received_at, Truncated::No);
    }
}

fn trim_end(mut line: &[u8]) -> &[u8] {
    while let [rest @ .., b'\n' | b'\r'] = line {
        line = rest;
    }
    line
}

fn may_not_go_on(joining: Joining, line: &[u8]) -> bool {
    match joining {
        Joining::None => true,
        Joining::Auditd => audit_serial(line).is_none() || is_end_of_event(line),
        Joining::Modsecurity => boundary(line).is_none(),
        Joining::Paragraph => line.is_empty(),
        Joining::Indent => false,
        Joining::Quotes => !has_odd_quotes(line),
        Joining::Xml => !is_open_element(line),
    }
}

/// Whether the record that begins with the line that `first` begins with ends with `line`.
fn is_last(joining: Joining, first: &[u8], line: &[u8]) -> bool {
    match joining {
        Joining::Auditd => is_end_of_event(line),
        Joining::Modsecurity => boundary(first)
            .is_some_and(|boundary| line.strip_prefix(boundary) == Some(b"Z--".as_slice())),
        Joining::Quotes => has_odd_quotes(line),
        Joining::Xml => closing_tag(first).is_some_and(|tag| has_tag(line, &tag)),
        Joining::None | Joining::Paragraph | Joining::Indent => false,
    }
}

/// Whether `line` belongs to the record that begins with the line that `first` begins with.
fn goes_on(joining: Joining, first: &[u8], line: &[u8]) -> bool {
    match joining {
        Joining::None => false,
        Joining::Auditd => audit_serial(first) == audit_serial(line),
        // Up to the end of its own part Z: what a client sent may hold the boundary of another.
        Joining::Modsecurity => boundary(first).is_some(),
        Joining::Paragraph => !line.is_empty(),
        Joining::Indent => line.first().is_none_or(|byte| matches!(byte, b' ' | b'\t')),
        // What was complete has been closed before.
        Joining::Quotes | Joining::Xml => first.len() < JOINED_BYTES_MAX,
    }
}

/// What joins by what opens and closes takes no more than this: a quote or a tag that never closes must not join a file.
const JOINED_BYTES_MAX: usize = 128 << 10;

fn has_odd_quotes(line: &[u8]) -> bool {
    memchr::memchr_iter(b'"', line).count() % 2 == 1
}

/// Whether a line opens an element that it does not close.
fn is_open_element(line: &[u8]) -> bool {
    closing_tag(line).is_some_and(|tag| !has_tag(line, &tag))
}

/// `</Name>` for a record that begins with `<Name>` or `<Name attribute="...">`.
fn closing_tag(record: &[u8]) -> Option<Vec<u8>> {
    let behind = record.strip_prefix(b"<")?;
    let length = behind
        .iter()
        .take(64)
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.' | b'-')
        })
        .count();
    let (name, rest) = behind.split_at(length);
    (length > 0 && matches!(rest.first(), Some(b'>' | b' ' | b'\t')))
        .then(|| [b"</", name, b">"].concat())
}

fn has_tag(line: &[u8], tag: &[u8]) -> bool {
    memchr::memmem::find(line, tag).is_some()
}

/// `TIME:SERIAL` of `... msg=audit(TIME:SERIAL): ...`; it stands within the first bytes of a line.
fn audit_serial(line: &[u8]) -> Option<&[u8]> {
    const MARK: &[u8] = b"msg=audit(";
    let head = &line[..line.len().min(512)];
    let head = head.split(|byte| *byte == b'\n').next()?;
    let after = &head[memchr::memmem::find(head, MARK)? + MARK.len()..];
    Some(&after[..memchr::memchr(b')', after)?])
}

/// What stands before the letter in the line that opens part A: `--BOUNDARY-A--`, or `---BOUNDARY---A--`.
fn boundary(record: &[u8]) -> Option<&[u8]> {
    let head = &record[..record.len().min(80)];
    let line = trim_end(head.split(|byte| *byte == b'\n').next()?);
    let boundary = line.strip_suffix(b"A--")?;
    let is_boundary = boundary.starts_with(b"--")
        && boundary.ends_with(b"-")
        && boundary.iter().any(u8::is_ascii_alphanumeric)
        && boundary
            .iter()
            .all(|byte| *byte == b'-' || byte.is_ascii_alphanumeric());
    is_boundary.then_some(boundary)
}

/// `type=EOE`, with or without a node before it.
fn is_end_of_event(line: &[u8]) -> bool {
    line.starts_with(b"type=EOE ")
        || (line.starts_with(b"node=") && memchr::memmem::find(line, b" type=EOE ").is_some())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use citywatch_parsers::Origin;
    use proptest::prelude::*;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        records_max: 1000,
        bytes_max: 1 << 22,
    };

    fn records(
        bytes: &[u8],
        joining: Joining,
        tail: Tail,
        cuts: &[u64],
    ) -> (Vec<(u64, String)>, usize) {
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        let chunk = Chunk {
            bytes,
            offset: 100,
            cuts,
            received_at: Timestamp(1),
        };
        let taken = split(chunk, joining, tail, LIMITS, &mut batch);
        (
            batch
                .iter()
                .map(|record| (record.position, String::from_utf8_lossy(record.raw).into()))
                .collect(),
            taken,
        )
    }

    fn texts(bytes: &str, joining: Joining, tail: Tail) -> Vec<String> {
        records(bytes.as_bytes(), joining, tail, &[])
            .0
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn lines_are_records_and_the_last_waits_for_its_end() {
        let (found, taken) = records(b"one\r\n\ntwo\nthr", Joining::None, Tail::Waits, &[]);
        assert_eq!(found, [(100, "one".into()), (106, "two".into())]);
        assert_eq!(taken, 10);
        assert_eq!(texts("one\ntw", Joining::None, Tail::TakeLines), ["one"]);
        assert_eq!(
            texts("one\ntw", Joining::None, Tail::TakeAll),
            ["one", "tw"]
        );
    }

    #[test]
    fn lines_of_one_audit_event_are_one_record() {
        let log = "type=SYSCALL msg=audit(1.1:7): a\ntype=CWD msg=audit(1.1:7): b\ntype=EOE msg=audit(1.1:7): \n\
                   type=USER_AUTH msg=audit(1.2:8): c\ntype=USER_ACCT msg=audit(1.2:9): d\nnot an audit line\n\
                   node=gate type=PATH msg=audit(1.3:10): e\nnode=gate type=PATH msg=audit(1.3:10): f\n";
        let joined = texts(log, Joining::Auditd, Tail::Waits);
        assert_eq!(joined.len(), 4);
        assert_eq!(joined[0].lines().count(), 3);
        assert_eq!(joined[3], "not an audit line");
        assert_eq!(
            texts(log, Joining::Auditd, Tail::TakeLines)[4]
                .lines()
                .count(),
            2
        );
    }

    #[test]
    fn parts_of_one_transaction_are_one_record() {
        let log = "--a1b2c3d4-A--\n[time] id\n--a1b2c3d4-C--\n--ffffffff-A--\n--ffffffff-Z--\n\n--a1b2c3d4-Z--\n\n\
                   ---q2kW---A--\r\n[time] id\r\n---q2kW---Z--\r\n\r\nsomething else\n--e5f6-A--\nhalf\n";
        let joined = texts(log, Joining::Modsecurity, Tail::Waits);
        assert_eq!(joined.len(), 3, "{joined:?}");
        assert!(joined[0].starts_with("--a1b2c3d4-A--") && joined[0].ends_with("--a1b2c3d4-Z--"));
        assert!(joined[1].ends_with("---q2kW---Z--"));
        assert_eq!(joined[2], "something else");
        let taken = texts(log, Joining::Modsecurity, Tail::TakeLines);
        assert_eq!(taken[3], "--e5f6-A--\nhalf");
    }

    #[test]
    fn quotes_and_elements_are_closed_before_the_next_record() {
        let log = "a,b\n1,\"x\ny \"\"z\"\"\n\"\n2,c\n3,\"half\n";
        let joined = texts(log, Joining::Quotes, Tail::Waits);
        assert_eq!(joined, ["a,b", "1,\"x\ny \"\"z\"\"\n\"", "2,c"]);
        assert_eq!(texts(log, Joining::Quotes, Tail::TakeLines)[3], "3,\"half");
        let log = "<?xml version=\"1.0\"?>\n<AuditRecord><A>1</A>\n<B>2</B></AuditRecord>\n<AuditRecord>3</AuditRecord>\nx\n<a b='1'>\n";
        let joined = texts(log, Joining::Xml, Tail::Waits);
        assert_eq!(joined.len(), 4, "{joined:?}");
        assert_eq!(joined[1], "<AuditRecord><A>1</A>\n<B>2</B></AuditRecord>");
        let open = format!("1,\"open\n{}", "2,x\n".repeat(100_000));
        let joined = texts(&open, Joining::Quotes, Tail::TakeLines);
        assert!(
            joined[0].len() <= JOINED_BYTES_MAX + 4,
            "{}",
            joined[0].len()
        );
    }

    #[test]
    fn empty_lines_separate_records() {
        let log = "Sun Nov 22 09:15:30 2026\r\nLENGTH: \"9\"\r\n\r\n\nSun Nov 22 09:15:31 2026\nLENGTH: \"8\"\n\nhalf\n";
        let joined = texts(log, Joining::Paragraph, Tail::Waits);
        assert_eq!(joined.len(), 2, "{joined:?}");
        assert_eq!(joined[0].lines().count(), 2);
        assert_eq!(texts(log, Joining::Paragraph, Tail::TakeLines)[2], "half");
    }

    #[test]
    fn indented_lines_belong_to_the_line_before() {
        let log = "error\n  at a\n\n\tat b\nnext\n";
        assert_eq!(
            texts(log, Joining::Indent, Tail::Waits),
            ["error\n  at a\n\n\tat b"]
        );
        assert_eq!(
            texts(log, Joining::Indent, Tail::TakeLines),
            ["error\n  at a\n\n\tat b", "next"]
        );
    }

    #[test]
    fn a_record_is_cut_where_it_was_cut_before() {
        let (found, _) = records(
            b"error\n  at a\n  at b\n",
            Joining::Indent,
            Tail::TakeLines,
            &[113],
        );
        assert_eq!(
            found,
            [(100, "error\n  at a".into()), (113, "  at b".into())]
        );
        let (found, _) = records(b"one\ntwo parts\n", Joining::None, Tail::Waits, &[107]);
        assert_eq!(
            found,
            [
                (100, "one".into()),
                (104, "two".into()),
                (107, " parts".into())
            ]
        );
    }

    #[test]
    fn long_records_are_cut_and_marked() {
        let mut line = vec![b'x'; RECORD_BYTES_MAX + 5];
        line.extend_from_slice(b"\nshort\n");
        let mut batch = RecordBatch::new(Arc::new(Origin::default()));
        let chunk = Chunk {
            bytes: &line,
            offset: 0,
            cuts: &[],
            received_at: Timestamp(1),
        };
        assert_eq!(
            split(chunk, Joining::None, Tail::Waits, LIMITS, &mut batch),
            line.len()
        );
        let records: Vec<_> = batch
            .iter()
            .map(|record| (record.raw.len(), record.truncated))
            .collect();
        assert_eq!(
            records,
            [(RECORD_BYTES_MAX, Truncated::Yes), (5, Truncated::No)]
        );
    }

    #[test]
    fn a_joined_record_never_outgrows_the_bound() {
        let line = format!("  {}\n", "x".repeat(1000));
        let log = line.repeat(1200);
        let joined = texts(&log, Joining::Indent, Tail::TakeLines);
        assert_eq!(joined.len(), 2);
        assert_eq!(
            joined
                .iter()
                .map(|text| text.lines().count())
                .sum::<usize>(),
            1200
        );
    }

    #[test]
    fn holes_are_left_out() {
        assert_eq!(
            texts("\0\0\0\0line\n\0\0\n", Joining::None, Tail::Waits),
            ["line"]
        );
    }

    proptest! {
        /// However the file is read in pieces, the records are the same.
        #[test]
        fn pieces_do_not_matter(
            log in "([a ]|\n|type=X msg=audit\\(1:[12]\\): x\n|type=EOE msg=audit\\(1:1\\): \n|--[ab]-[ABZ]--\n){0,40}",
            piece in 1_usize..60,
            records_max in 1_usize..4,
            joining in prop::sample::select(vec![Joining::None, Joining::Auditd, Joining::Modsecurity, Joining::Paragraph, Joining::Indent, Joining::Quotes, Joining::Xml]),
        ) {
            let whole = records(log.as_bytes(), joining, Tail::TakeAll, &[]).0;
            let mut found = Vec::new();
            let (mut offset, mut end) = (0, 0);
            while offset < log.len() {
                end = (end + piece).min(log.len());
                let tail = if end == log.len() { Tail::TakeAll } else { Tail::Waits };
                loop {
                    let mut batch = RecordBatch::new(Arc::new(Origin::default()));
                    let chunk = Chunk { bytes: &log.as_bytes()[offset..end], offset: 100 + offset as u64, cuts: &[], received_at: Timestamp(1) };
                    let taken = split(chunk, joining, tail, BatchLimits { records_max, bytes_max: 1 << 20 }, &mut batch);
                    found.extend(batch.iter().map(|record| (record.position, String::from_utf8_lossy(record.raw).into_owned())));
                    offset += taken;
                    if taken == 0 {
                        break;
                    }
                }
            }
            prop_assert_eq!(found, whole);
        }
    }
}
