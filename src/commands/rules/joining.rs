//! Lines that are one record together: a CSV record whose cell has a line end within quotes, an XML record over several lines.

/// A longer record is not joined: a quote that is never closed must not swallow a file.
pub const JOINED_BYTES_MAX: usize = 128 << 10;

/// How lines of a source are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// A line is a record.
    None,
    /// A record goes on until its quotes are closed (RFC 4180).
    Quotes,
    /// A record that opens one of these elements goes on until it is closed.
    Elements,
}

/// What a record waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// The quote that closes a cell.
    Quote,
    /// The tag that closes an element.
    Tag(&'static [u8]),
}

/// Records of these formats that are written over several lines: Oracle's audit trail, Windows events.
const ELEMENTS: [(&[u8], &[u8]); 3] = [
    (b"<AuditRecord>", b"</AuditRecord>"),
    (b"<Event>", b"</Event>"),
    (b"<Event ", b"</Event>"),
];

impl Joining {
    /// By the name of the source's format.
    pub fn of_format(format: &str) -> Self {
        match citywatch_parsers::FormatName::of(format).name {
            "csv" | "postgresql_csv" => Self::Quotes,
            "auto" | "" | "oracle_trail" | "windows_xml" => Self::Elements,
            _ => Self::None,
        }
    }

    /// What a record waits for whose first line this is.
    pub fn opened_by(self, line: &[u8]) -> Option<Open> {
        match self {
            Self::None => None,
            Self::Quotes => has_odd_quotes(line).then_some(Open::Quote),
            Self::Elements => {
                // Most lines of most files do not begin so.
                if line.first() != Some(&b'<') {
                    return None;
                }
                let (_, close) = ELEMENTS.iter().find(|(open, _)| line.starts_with(open))?;
                let is_closed = memchr::memmem::find(line, close).is_some();
                (!is_closed).then_some(Open::Tag(close))
            }
        }
    }
}

impl Open {
    /// What the record still waits for behind one more line.
    pub fn after(self, line: &[u8]) -> Option<Self> {
        let is_closed = match self {
            Self::Quote => has_odd_quotes(line),
            Self::Tag(close) => memchr::memmem::find(line, close).is_some(),
        };
        (!is_closed).then_some(self)
    }
}

fn has_odd_quotes(line: &[u8]) -> bool {
    memchr::memchr_iter(b'"', line).count() % 2 == 1
}
