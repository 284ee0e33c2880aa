//! What a file says about its columns: a log in W3C's form, one of Zeek's, a CSV file. Who parses may begin anywhere in the
//! file, after a restart of its own, so these lines go along with each batch, in its format.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use citywatch_parsers::header_of_file;

use super::coding::Coding;

/// Bytes at the top of a file that may hold such lines.
const TOP_BYTES: usize = 8 << 10;
/// Bytes before the place that is read from: a server that was configured anew writes such lines on the way.
const BEFORE_BYTES_MAX: u64 = 1 << 20;

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// The format with the header, if there is one.
    pub(crate) format: Option<String>,
    /// Whether it stays so: else the top of the file is still being written.
    pub(crate) is_final: bool,
}

/// Looks for the header of a file that is read on from `offset`.
pub(crate) fn find(file: &File, coding: Coding, format: &str, offset: u64) -> io::Result<Found> {
    let top = piece(file, 0, TOP_BYTES as u64)?;
    let top_bytes = top.len();
    let start = offset.saturating_sub(BEFORE_BYTES_MAX);
    // Within the top there is nothing more to find.
    let before = if offset > top_bytes as u64 {
        coding.text(piece(file, start, offset - start)?, start)
    } else {
        Vec::new()
    };
    let top = coding.text(top, 0);
    // A piece from the middle begins with the rest of a line.
    let before = match memchr::memchr(b'\n', &before) {
        Some(newline) if start > 0 => &before[newline + 1..],
        _ => &before[..],
    };
    // What is no UTF-8 stands in other lines than those that are looked for.
    let (top_text, before) = (
        String::from_utf8_lossy(&top),
        String::from_utf8_lossy(before),
    );
    let found = header_of_file(format, &top_text, &before);
    let is_written = top_bytes == TOP_BYTES || has_line_of_its_own(&top);
    Ok(Found {
        is_final: is_written,
        format: found,
    })
}

/// Whether a whole line is there that says nothing about the file.
fn has_line_of_its_own(top: &[u8]) -> bool {
    top.split_inclusive(|byte| *byte == b'\n')
        .any(|line| line.ends_with(b"\n") && !line.starts_with(b"#"))
}

fn piece(file: &File, offset: u64, bytes: u64) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; usize::try_from(bytes).unwrap_or(TOP_BYTES)];
    let mut filled = 0;
    while filled < piece.len() {
        match file.read_at(&mut piece[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(piece)
}
