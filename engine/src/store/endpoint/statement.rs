//! As much of a statement as the endpoint must know: what kind it is, which format it asks for, and
//! where an insert's data begins. The engine parses it for real.

/// What is done with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement<'sql> {
    /// A `SELECT`: its result can be streamed.
    Select {
        /// Format that the statement names.
        format: Option<&'sql str>,
    },
    /// An insert with data: the statement without its `FORMAT` clause, and where its data begins.
    Insert {
        /// Up to the `FORMAT` or `VALUES` clause.
        head: &'sql str,
        /// The data's format.
        format: &'sql str,
        /// Data in the text itself.
        data: &'sql [u8],
    },
    /// Anything else, which is run to its end.
    Other {
        /// Format that the statement names.
        format: Option<&'sql str>,
    },
    /// More than one statement, which neither ClickHouse over HTTP nor this endpoint runs.
    Several,
}

/// Reads a statement. The bytes after an insert's `FORMAT` clause are data and need not be text.
pub(super) fn read(text: &[u8]) -> Statement<'_> {
    let mut tokens = Tokens { text, at: 0 };
    let Some(first) = tokens.next() else {
        return Statement::Other { format: None };
    };
    if first.is("INSERT") {
        return read_insert(text, tokens);
    }
    let select = first.is("SELECT") || first.is("WITH") || first.is("FROM") || first.text == "(";
    let mut rest: Vec<Token<'_>> = tokens.collect();
    if rest.last().is_some_and(|token| token.text == ";") {
        rest.pop();
    }
    if rest.iter().any(|token| token.text == ";") {
        return Statement::Several;
    }
    // The clause ends the statement but for settings; elsewhere `format` is a name like any other.
    let format = (1..rest.len()).find(|&at| {
        rest[at - 1].is("FORMAT")
            && rest[at].kind == Kind::Word
            && rest.get(at + 1).is_none_or(|after| after.is("SETTINGS"))
    });
    let format = format.map(|at| rest[at].text);
    if select {
        Statement::Select { format }
    } else {
        Statement::Other { format }
    }
}

/// `INSERT INTO [TABLE|FUNCTION] ... [(columns)] [SETTINGS ...] FORMAT x data | VALUES data | SELECT ...`.
fn read_insert<'sql>(text: &'sql [u8], mut tokens: Tokens<'sql>) -> Statement<'sql> {
    let mut depth = 0_usize;
    while let Some(token) = tokens.next() {
        match token.text {
            "(" => depth += 1,
            ")" => depth = depth.saturating_sub(1),
            ";" if depth == 0 && tokens.next().is_some() => return Statement::Several,
            _ if depth > 0 || token.kind != Kind::Word => {}
            _ if token.is("SELECT") || token.is("WITH") || token.is("INFILE") => {
                return match read(&text[token.start..]) {
                    Statement::Several => Statement::Several,
                    _ => Statement::Other { format: None },
                };
            }
            _ if token.is("VALUES") => {
                return insert(text, token.start, "Values", &text[tokens.at..]);
            }
            _ if token.is("FORMAT") => {
                let Some(format) = tokens.next().filter(|format| format.kind == Kind::Word) else {
                    break;
                };
                return insert(
                    text,
                    token.start,
                    format.text,
                    data_after(&text[tokens.at..]),
                );
            }
            _ => {}
        }
    }
    Statement::Other { format: None }
}

fn insert<'sql>(
    text: &'sql [u8],
    end: usize,
    format: &'sql str,
    data: &'sql [u8],
) -> Statement<'sql> {
    match std::str::from_utf8(&text[..end]) {
        Ok(head) => Statement::Insert {
            head: head.trim_end(),
            format,
            data,
        },
        Err(_) => Statement::Other { format: None },
    }
}

/// Blanks and one line end part the format's name from the data.
fn data_after(text: &[u8]) -> &[u8] {
    let blanks = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t'))
        .unwrap_or(text.len());
    let text = &text[blanks..];
    text.strip_prefix(b"\r\n")
        .or_else(|| text.strip_prefix(b"\n"))
        .unwrap_or(text)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A bare name or keyword, or a number.
    Word,
    /// A text or a quoted name.
    Quoted,
    /// Any other single character.
    Sign,
}

#[derive(Clone, Copy, Debug)]
struct Token<'sql> {
    kind: Kind,
    /// The word or sign; nothing for what is quoted or not ASCII.
    text: &'sql str,
    start: usize,
}

impl Token<'_> {
    fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }
}

/// Tokens of a statement, comments left out.
struct Tokens<'sql> {
    text: &'sql [u8],
    at: usize,
}

impl<'sql> Iterator for Tokens<'sql> {
    type Item = Token<'sql>;

    fn next(&mut self) -> Option<Token<'sql>> {
        self.skip_blanks();
        let start = self.at;
        let first = *self.text.get(start)?;
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
        let kind = match first {
            b'\'' | b'"' | b'`' => {
                self.at = self.after_quote(start);
                Kind::Quoted
            }
            _ if is_word(&first) => {
                let rest = &self.text[start..];
                self.at += rest
                    .iter()
                    .position(|byte| !is_word(byte))
                    .unwrap_or(rest.len());
                Kind::Word
            }
            _ => {
                self.at += 1;
                Kind::Sign
            }
        };
        let text = match kind {
            Kind::Quoted => "",
            _ => std::str::from_utf8(&self.text[start..self.at]).unwrap_or(""),
        };
        Some(Token { kind, text, start })
    }
}

impl Tokens<'_> {
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let blanks = rest
                .iter()
                .position(|byte| !byte.is_ascii_whitespace())
                .unwrap_or(rest.len());
            self.at += blanks;
            let rest = &rest[blanks..];
            let comment =
                if rest.starts_with(b"--") || rest.starts_with(b"#!") || rest.starts_with(b"# ") {
                    memchr::memchr(b'\n', rest).unwrap_or(rest.len())
                } else if rest.starts_with(b"/*") {
                    memchr::memmem::find(rest, b"*/").map_or(rest.len(), |end| end + 2)
                } else {
                    return;
                };
            self.at += comment;
        }
    }

    /// Where the text quoted at `start` ends; a doubled quote opens the next part of it.
    fn after_quote(&self, start: usize) -> usize {
        let quote = self.text[start];
        let mut at = start + 1;
        while let Some(&byte) = self.text.get(at) {
            at += match byte {
                b'\\' => 2,
                byte if byte == quote => return at + 1,
                _ => 1,
            };
        }
        self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selects_and_their_formats() {
        let select = |format| Statement::Select { format };
        for (sql, expected) in [
            ("SELECT 1", select(None)),
            ("select 1 format JSON", select(Some("JSON"))),
            ("SELECT 1 FORMAT CSV;", select(Some("CSV"))),
            (
                "SELECT 1 FORMAT CSV SETTINGS max_threads = 1",
                select(Some("CSV")),
            ),
            ("SELECT format FROM events", select(None)),
            ("SELECT format('{}', 'FORMAT x')", select(None)),
            ("SELECT ' FORMAT CSV'", select(None)),
            ("SELECT 1 -- FORMAT CSV", select(None)),
            ("/* why */ WITH 1 AS x SELECT x", select(None)),
            ("(SELECT 1) UNION ALL (SELECT 2)", select(None)),
            (
                "SHOW TABLES FORMAT JSON",
                Statement::Other {
                    format: Some("JSON"),
                },
            ),
            ("", Statement::Other { format: None }),
        ] {
            assert_eq!(read(sql.as_bytes()), expected, "{sql}");
        }
    }

    #[test]
    fn several_statements_are_seen() {
        for sql in [
            "SELECT 1; DROP TABLE t",
            "SELECT ';'; SELECT 2",
            "INSERT INTO t SELECT 1; DROP TABLE t",
            "CREATE TABLE t (a Int8);\nSELECT 1",
        ] {
            assert_eq!(read(sql.as_bytes()), Statement::Several, "{sql}");
        }
        for sql in [
            "SELECT 1;",
            "SELECT ';'",
            "SELECT 1 -- ; DROP",
            "SELECT `a;b`",
            r"SELECT 'it\';s'",
        ] {
            assert_ne!(read(sql.as_bytes()), Statement::Several, "{sql}");
        }
    }

    #[test]
    fn inserts_are_split_from_their_data() {
        let insert = |head, format, data: &'static [u8]| Statement::Insert { head, format, data };
        assert_eq!(
            read(b"INSERT INTO `t`(`a`) FORMAT RowBinary"),
            insert("INSERT INTO `t`(`a`)", "RowBinary", b"")
        );
        assert_eq!(
            read(b"INSERT INTO t FORMAT Native\n\n\xff\0;"),
            insert("INSERT INTO t", "Native", b"\n\xff\0;")
        );
        assert_eq!(
            read(b"insert into t settings async_insert=0 format JSONEachRow {\"a\": 1}"),
            insert(
                "insert into t settings async_insert=0",
                "JSONEachRow",
                b"{\"a\": 1}"
            )
        );
        assert_eq!(
            read(b"INSERT INTO t VALUES (1);"),
            insert("INSERT INTO t", "Values", b" (1);")
        );
        assert_eq!(
            read(b"INSERT INTO t SELECT 1"),
            Statement::Other { format: None }
        );
        assert_eq!(
            read(b"INSERT INTO t (`format`, \"values\") FORMAT CSV"),
            insert("INSERT INTO t (`format`, \"values\")", "CSV", b"")
        );
    }
}
