//! What a file says at its top about the lines below: the columns of a log in W3C's form, of Zeek's, of a CSV file.
//!
//! A parser remembers it for each source (agent and stream). It is a help, no condition: who has not seen the top of
//! a file, since it began to read in the middle, takes a log's usual columns where there are such.

use std::collections::HashMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

use crate::format_name::{FormatName, HEADER_BYTES_MAX};
use crate::formats::vpc_flow;
use crate::record::Origin;

/// Sources that are remembered; of more, the one that was quiet for longest is forgotten.
const SOURCES_MAX: usize = 1_024;
/// Columns of a header, and bytes of their names together: a longer one is not remembered.
const COLUMNS_MAX: usize = 512;
const NAMES_BYTES_MAX: usize = 8 << 10;

/// Which log a header belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    W3c,
    Zeek,
    Csv,
    VpcFlow,
}

/// What is known of a source's lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Names of the columns, empty until they were told.
    pub(crate) columns: Vec<Box<str>>,
    /// Which of Zeek's logs it is.
    pub(crate) path: Box<str>,
    /// The day that all times are of, where they have none.
    pub(crate) date: Box<str>,
    /// Whether times are local instead of UTC.
    pub(crate) is_local: bool,
    /// What stands between the cells of a CSV file.
    pub(crate) separator: char,
}

/// A header is longer than the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The headers of the sources that were read.
#[derive(Default)]
pub(crate) struct Headers {
    by_source: HashMap<u128, Remembered>,
    uses: u64,
}

struct Remembered {
    header: Arc<Header>,
    last_use: u64,
}

impl Headers {
    /// What was told by that source.
    pub(crate) fn of(&mut self, origin: &Origin) -> Option<Arc<Header>> {
        // Most parsers never see a header.
        if self.by_source.is_empty() {
            return None;
        }
        self.uses += 1;
        let remembered = self.by_source.get_mut(&key(origin))?;
        remembered.last_use = self.uses;
        Some(Arc::clone(&remembered.header))
    }

    /// Adds what a line of that source tells. A header of another kind is forgotten.
    pub(crate) fn tell(&mut self, origin: &Origin, kind: Kind, change: impl FnOnce(&mut Header)) {
        let key = key(origin);
        if self.by_source.len() >= SOURCES_MAX && !self.by_source.contains_key(&key) {
            let quietest = self
                .by_source
                .iter()
                .min_by_key(|(_, header)| header.last_use);
            if let Some(quietest) = quietest.map(|(key, _)| *key) {
                self.by_source.remove(&quietest);
            }
        }
        self.uses += 1;
        let last_use = self.uses;
        let remembered = self.by_source.entry(key).or_insert_with(|| Remembered {
            header: Arc::default(),
            last_use,
        });
        remembered.last_use = last_use;
        let header = Arc::make_mut(&mut remembered.header);
        if header.kind != kind {
            *header = Header {
                kind,
                ..Header::default()
            };
        }
        change(header);
    }
}

impl Header {
    /// Sets the columns.
    ///
    /// # Errors
    /// When there are too many, or their names are too long; then there are none.
    pub(crate) fn set_columns<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(), TooLong> {
        self.columns.clear();
        let mut bytes = 0;
        for name in names {
            bytes += name.len();
            if self.columns.len() >= COLUMNS_MAX || bytes > NAMES_BYTES_MAX {
                self.columns.clear();
                return Err(TooLong);
            }
            self.columns.push(name.into());
        }
        Ok(())
    }

    /// The place of a column.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| **column == *name)
    }
}

fn key(origin: &Origin) -> u128 {
    let (agent, stream) = (origin.agent.as_str(), origin.stream.as_str());
    // A hash of each, so that no two pairs are joined to the same text.
    xxh3_128(agent.as_bytes()).rotate_left(1) ^ xxh3_128(stream.as_bytes())
}

/// Formats of files that say at their top what their columns are.
const WITH_HEADERS: [&str; 7] = ["auto", "", "w3c", "iis", "zeek_tsv", "csv", "vpc_flow"];

/// The lines that say what the columns of a file of that format are: what an agent sends along, so that who begins to read
/// in the middle of the file knows them. `top` is what the file begins with, `before` what stands just before the place from
/// which it is read on, where that lies behind the top: a server that was configured anew writes such lines on the way. Both
/// begin with a line; a last line without its end may go on.
pub fn header_of_file(format: &str, top: &str, before: &str) -> Option<String> {
    let named = FormatName::of(format);
    if named.header.is_some() || !WITH_HEADERS.contains(&named.name) {
        return None;
    }
    let top = top.strip_prefix('\u{FEFF}').unwrap_or(top);
    let header = if named.name == "csv" {
        first_line(top)
    } else {
        last_directives(before)
            .or_else(|| directives(top))
            .or_else(|| first_line(top).filter(|first| vpc_flow::is_header(first)))
    };
    header
        .filter(|header| !header.is_empty() && header.len() <= HEADER_BYTES_MAX)
        .map(|header| named.with_header(header))
}

/// Whether a line is one of those that [`header_of_file`] looks for within a file.
pub fn names_columns(line: &[u8]) -> bool {
    line.starts_with(b"#Fields:") || line.starts_with(b"#fields\t")
}

fn first_line(text: &str) -> Option<&str> {
    text.split_once('\n')
        .map(|(first, _)| first.trim_end_matches('\r'))
}

/// The last lines within a text that name columns, with those about the file before and behind them.
fn last_directives(text: &str) -> Option<&str> {
    let mut end = text.len();
    loop {
        let before = text.get(..end)?;
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        if names_columns(&before.as_bytes()[start..]) {
            // The lines before it belong to it: the log's name, the day.
            let mut first = start;
            while let Some(previous) = text[..first].strip_suffix('\n') {
                let line = previous.rfind('\n').map_or(0, |newline| newline + 1);
                if !previous[line..].starts_with('#') {
                    break;
                }
                first = line;
            }
            return directives(&text[first..]);
        }
        end = start.checked_sub(1)?;
    }
}

/// The lines that begin with `#` in front of all others, if they name columns.
fn directives(text: &str) -> Option<&str> {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if !line.starts_with('#') || !line.ends_with('\n') {
            break;
        }
        end += line.len();
    }
    let found = text[..end].trim_end();
    found
        .lines()
        .any(|line| names_columns(line.as_bytes()))
        .then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(stream: usize) -> Origin {
        Origin {
            stream: format!("s{stream}").as_str().into(),
            ..Origin::default()
        }
    }

    #[test]
    fn the_quietest_source_is_forgotten_first() {
        let mut headers = Headers::default();
        for stream in 0..SOURCES_MAX {
            headers.tell(&origin(stream), Kind::W3c, |header| {
                header.path = "x".into()
            });
        }
        assert!(headers.of(&origin(0)).is_some(), "used again");
        headers.tell(&origin(SOURCES_MAX), Kind::Csv, |_| {});
        assert_eq!(headers.by_source.len(), SOURCES_MAX);
        assert!(headers.of(&origin(0)).is_some());
        assert!(headers.of(&origin(1)).is_none());
    }

    #[test]
    fn headers_are_bounded_and_of_one_kind() {
        let mut header = Header::default();
        assert_eq!(header.set_columns(["a", "b"].into_iter()), Ok(()));
        assert_eq!(header.place("b"), Some(1));
        let long = "x".repeat(NAMES_BYTES_MAX + 1);
        assert_eq!(
            header.set_columns([long.as_str()].into_iter()),
            Err(TooLong)
        );
        assert_eq!(
            header.set_columns(["a"; COLUMNS_MAX + 1].into_iter()),
            Err(TooLong)
        );
        assert!(header.columns.is_empty());

        let mut headers = Headers::default();
        headers.tell(&origin(1), Kind::Zeek, |header| header.path = "dns".into());
        headers.tell(&origin(1), Kind::W3c, |_| {});
        let found = headers.of(&origin(1)).unwrap();
        assert_eq!((found.kind, &*found.path), (Kind::W3c, ""));
    }

    #[test]
    fn the_header_of_a_file_is_its_last_before_a_place() {
        let iis = "#Software: IIS\r\n#Date: 2026-11-22\r\n#Fields: date time c-ip\r\n";
        let rest = "2026-11-22 03:00:00 10.0.0.1\n";
        let of = |format, top: &str, before: &str| header_of_file(format, top, before);
        let found = of("auto", &format!("{iis}{rest}"), "").unwrap();
        assert_eq!(
            FormatName::of(&found).header,
            Some("#Software: IIS\r\n#Date: 2026-11-22\r\n#Fields: date time c-ip")
        );
        let changed = format!("{rest}#Date: 2026-11-23\n#Fields: date c-ip\n{rest}");
        let found = of("iis", &format!("{iis}{rest}"), &changed).unwrap();
        assert_eq!(found, "iis; header=#Date: 2026-11-23\n#Fields: date c-ip");
        // A line that is still being written is none yet.
        assert_eq!(of("auto", "#Software: IIS\n#Fields: date ti", ""), None);
        assert_eq!(of("syslog", iis, ""), None);
        assert_eq!(of("csv; header=a,b", "x,y\n1,2\n", ""), None);
        assert_eq!(
            of("csv; charset=windows-1258", "x,y\r\n1,2\n", "3,4\n").unwrap(),
            "csv; charset=windows-1258; header=x,y"
        );
        let flow = "version srcaddr dstaddr\n2 10.0.0.1 10.0.0.2\n";
        assert_eq!(
            of("", flow, "").unwrap(),
            "auto; header=version srcaddr dstaddr"
        );
        assert_eq!(of("auto", "Nov 22 03:00:00 a b: c\n", "#x\n"), None);
        let long = format!("#Fields: {}\n", "x ".repeat(HEADER_BYTES_MAX));
        assert_eq!(of("auto", &long, ""), None);
    }
}
