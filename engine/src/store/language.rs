//! The query language of the search line: `user:root and src_ip:10.0.0.0/8 and not process:*\sshd and "failed password"`.
//!
//! A line is read into a tree, or refused with the place of what is wrong. The tree becomes conditions of SQL in which
//! all that was typed is a parameter.

use std::net::IpAddr;

use super::condition::{Param, Params, address_condition, port_condition, text_condition};
use super::fold::fold_into;
use super::words::Word;
use super::{SearchFault, StoreError};

/// Longest search line.
const TEXT_BYTES_MAX: usize = 2_000;
/// Most words and fields of one search.
const LEAVES_MAX: usize = 64;
/// Parentheses within parentheses.
const DEPTH_MAX: usize = 16;

/// What a name of the language stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    /// A column of texts.
    Text(&'static str),
    /// One or two columns of addresses.
    Address(&'static [&'static str]),
    /// A column of ports.
    Port(&'static str),
}

/// Names that stand for columns; all others are fields of the record.
pub(super) const COLUMNS: &[(&str, Column)] = &[
    ("unit", Column::Text("unit")),
    ("host", Column::Text("host")),
    ("user", Column::Text("user")),
    ("process", Column::Text("process")),
    ("parent_process", Column::Text("parent_process")),
    ("command_line", Column::Text("command_line")),
    ("action", Column::Text("action")),
    ("outcome", Column::Text("outcome")),
    ("event_code", Column::Text("event_code")),
    ("url", Column::Text("url")),
    ("hash", Column::Text("hash")),
    ("product", Column::Text("product")),
    ("category", Column::Text("category")),
    ("service", Column::Text("service")),
    ("format", Column::Text("format")),
    ("agent", Column::Text("agent")),
    ("stream", Column::Text("stream")),
    ("src_ip", Column::Address(&["source_address"])),
    ("source_address", Column::Address(&["source_address"])),
    ("dst_ip", Column::Address(&["destination_address"])),
    (
        "destination_address",
        Column::Address(&["destination_address"]),
    ),
    (
        "ip",
        Column::Address(&["source_address", "destination_address"]),
    ),
    ("src_port", Column::Port("source_port")),
    ("source_port", Column::Port("source_port")),
    ("dst_port", Column::Port("destination_port")),
    ("destination_port", Column::Port("destination_port")),
];

/// Before the name of a record's own field where a column has the same name.
const OWN_FIELD: &str = "fields.";

/// A search line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Word(Word),
    Field { name: String, wanted: Wanted },
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// There.
    Present,
    /// This text, its stars standing for anything; without regard to case.
    Pattern(Vec<Part>),
    /// An address from the first to the last of a network.
    Network(IpAddr, IpAddr),
    /// A number in relation to this one: `=`, `<`, `<=`, `>`, `>=`.
    Number(&'static str, u64),
}

/// A part of a text with stars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Star,
}

/// Reads a search line; none where it asks for nothing.
///
/// # Errors
/// [`StoreError::Search`] with the place of what is wrong.
pub(super) fn parse(line: &str) -> Result<Option<Node>, StoreError> {
    if line.len() > TEXT_BYTES_MAX {
        let reason = format!("the search is longer than {TEXT_BYTES_MAX} bytes");
        return Err(StoreError::search(
            line,
            (0, line.len()),
            SearchFault::TooLong,
            reason,
        ));
    }
    let mut reader = Reader {
        line,
        tokens: tokens(line)?,
        next: 0,
        leaves: 0,
    };
    if reader.tokens.is_empty() {
        return Ok(None);
    }
    let node = reader.either(0)?;
    match reader.peek() {
        None => Ok(node),
        Some(token) => Err(reader.wrong(
            token.place,
            SearchFault::UnexpectedClose,
            "nothing was opened here",
        )),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A word or a phrase.
    Word {
        text: String,
        quoted: bool,
    },
    /// `name:`, before its value.
    Name(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    kind: Kind,
    /// First byte, and one past the last.
    place: (usize, usize),
}

fn tokens(line: &str) -> Result<Vec<Token>, StoreError> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(letter) = line[at..].chars().next() {
        let from = at;
        let after_name =
            matches!(found.last(), Some(Token { kind: Kind::Name(_), place }) if place.1 == at);
        at += letter.len_utf8();
        let kind = match letter {
            _ if letter.is_whitespace() => continue,
            '(' => Kind::Open,
            ')' => Kind::Close,
            '"' => {
                let (text, end) = quoted(line, at).ok_or_else(|| {
                    let reason = "this quote is not closed".to_owned();
                    StoreError::search(line, (from, line.len()), SearchFault::OpenQuote, reason)
                })?;
                at = end;
                Kind::Word { text, quoted: true }
            }
            '-' if !after_name
                && line[at..].starts_with(|next: char| next != '-' && !next.is_whitespace()) =>
            {
                Kind::Not
            }
            _ => {
                let ends =
                    |letter: char| letter.is_whitespace() || matches!(letter, '(' | ')' | '"');
                let end = line[from..].find(ends).map_or(line.len(), |end| from + end);
                let word = &line[from..end];
                if let Some(name) = name_before_colon(word).filter(|_| !after_name) {
                    at = from + name.len() + 1;
                    Kind::Name(name.to_owned())
                } else {
                    at = end;
                    match word.to_ascii_lowercase().as_str() {
                        "and" if !after_name => Kind::And,
                        "or" if !after_name => Kind::Or,
                        "not" if !after_name => Kind::Not,
                        _ => Kind::Word {
                            text: word.to_owned(),
                            quoted: false,
                        },
                    }
                }
            }
        };
        found.push(Token {
            kind,
            place: (from, at),
        });
    }
    Ok(found)
}

/// The name of a field in `name:...`. No name: a single letter (a drive), what begins with a digit (a time, an
/// address), what two slashes follow (a URL).
fn name_before_colon(word: &str) -> Option<&str> {
    let (name, rest) = word.split_once(':')?;
    let fits = |letter: char| letter.is_alphanumeric() || "_.-@/".contains(letter);
    let is_name = name.chars().count() >= 2
        && name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
        && name.chars().all(fits)
        && !rest.starts_with("//")
        && !rest.starts_with(':');
    is_name.then_some(name)
}

/// The text of a quote that begins before `at`, and where it ends; `\"` is a quote within.
fn quoted(line: &str, at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut letters = line[at..].char_indices().peekable();
    while let Some((offset, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, at + offset + 1)),
            '\\' if matches!(letters.peek(), Some((_, '"'))) => {
                letters.next();
                text.push('"');
            }
            letter => text.push(letter),
        }
    }
    None
}

struct Reader<'a> {
    line: &'a str,
    tokens: Vec<Token>,
    next: usize,
    leaves: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<Token> {
        self.tokens.get(self.next).cloned()
    }

    fn wrong(&self, place: (usize, usize), fault: SearchFault, reason: &str) -> StoreError {
        StoreError::search(self.line, place, fault, reason.to_owned())
    }

    /// Parts joined by `or`.
    fn either(&mut self, depth: usize) -> Result<Option<Node>, StoreError> {
        let mut parts = Vec::new();
        loop {
            parts.extend(self.all(depth)?);
            match self.peek() {
                Some(Token { kind: Kind::Or, .. }) => self.next += 1,
                _ => break,
            }
        }
        Ok(joined(parts, Node::Or))
    }

    /// Parts joined by `and` or by nothing.
    fn all(&mut self, depth: usize) -> Result<Option<Node>, StoreError> {
        let mut parts = Vec::new();
        let begins = self.next;
        while let Some(token) = self.peek() {
            match token.kind {
                Kind::Close => break,
                Kind::And | Kind::Or if self.next == begins => {
                    return Err(self.wrong(
                        token.place,
                        SearchFault::MissingOperand,
                        "something must stand before it",
                    ));
                }
                Kind::Or => {
                    self.followed(token.place)?;
                    break;
                }
                Kind::And => {
                    self.next += 1;
                    self.followed(token.place)?;
                }
                _ => parts.extend(self.one(depth)?),
            }
        }
        Ok(joined(parts, Node::And))
    }

    /// An error where nothing that can be joined follows the operator at `place`.
    fn followed(&self, place: (usize, usize)) -> Result<(), StoreError> {
        let after = self.tokens.iter().find(|token| token.place.0 >= place.1);
        match after.map(|token| &token.kind) {
            None | Some(Kind::Close | Kind::And | Kind::Or) => Err(self.wrong(
                place,
                SearchFault::MissingOperand,
                "something must stand after it",
            )),
            _ => Ok(()),
        }
    }

    fn one(&mut self, depth: usize) -> Result<Option<Node>, StoreError> {
        let Some(token) = self.peek() else {
            return Ok(None);
        };
        self.next += 1;
        if depth > DEPTH_MAX {
            return Err(self.wrong(
                token.place,
                SearchFault::TooDeep,
                "this is nested too deeply",
            ));
        }
        match token.kind {
            Kind::Not => {
                self.followed(token.place)?;
                let inner = self.one(depth + 1)?;
                Ok(inner.map(|inner| Node::Not(Box::new(inner))))
            }
            Kind::Open => {
                let inner = self.either(depth + 1)?;
                self.close(token.place)?;
                Ok(inner)
            }
            Kind::Name(name) => self.field(&name, token.place, depth).map(Some),
            Kind::Word { text, quoted } => {
                self.leaf(token.place)?;
                let mut folded = String::with_capacity(text.len());
                fold_into(&text, &mut folded);
                Ok(Word::of(&folded, quoted).map(Node::Word))
            }
            // `all` looks at these before it comes here.
            Kind::Close | Kind::And | Kind::Or => Ok(None),
        }
    }

    fn close(&mut self, opened: (usize, usize)) -> Result<(), StoreError> {
        if self.peek().is_some_and(|token| token.kind == Kind::Close) {
            self.next += 1;
            return Ok(());
        }
        Err(self.wrong(
            opened,
            SearchFault::OpenParenthesis,
            "this parenthesis is not closed",
        ))
    }

    fn leaf(&mut self, place: (usize, usize)) -> Result<(), StoreError> {
        self.leaves += 1;
        if self.leaves > LEAVES_MAX {
            return Err(self.wrong(
                place,
                SearchFault::TooMany,
                "these are too many words and fields",
            ));
        }
        Ok(())
    }

    /// What follows `name:`: a value, or several in parentheses with `or` between.
    fn field(
        &mut self,
        name: &str,
        place: (usize, usize),
        depth: usize,
    ) -> Result<Node, StoreError> {
        let next = self.peek().filter(|token| token.place.0 == place.1);
        let Some(token) = next else {
            return Err(self.wrong(
                place,
                SearchFault::MissingValue,
                "a value must follow the colon",
            ));
        };
        self.next += 1;
        match token.kind {
            Kind::Word { text, quoted } => {
                self.leaf(token.place)?;
                self.value(name, &text, quoted, token.place)
            }
            Kind::Open => {
                let mut parts = Vec::new();
                while let Some(Token { kind, place }) = self.peek() {
                    match kind {
                        Kind::Word { text, quoted } => {
                            self.next += 1;
                            self.leaf(place)?;
                            parts.push(self.value(name, &text, quoted, place)?);
                        }
                        Kind::Or => self.next += 1,
                        _ => break,
                    }
                }
                self.close(token.place)?;
                if depth > DEPTH_MAX || parts.is_empty() {
                    return Err(self.wrong(
                        token.place,
                        SearchFault::MissingValue,
                        "values must stand in the parentheses",
                    ));
                }
                Ok(joined(parts, Node::Or).expect("there is one at least"))
            }
            _ => Err(self.wrong(
                token.place,
                SearchFault::MissingValue,
                "a value must follow the colon",
            )),
        }
    }

    fn value(
        &self,
        name: &str,
        text: &str,
        quoted: bool,
        place: (usize, usize),
    ) -> Result<Node, StoreError> {
        let wanted = if text == "*" && !quoted {
            Wanted::Present
        } else {
            match column(name) {
                Some(Column::Address(_)) => {
                    let (first, last) = network(text).ok_or_else(|| {
                        let reason = "this is no address; write it like 10.0.0.5 or 10.0.0.0/8";
                        self.wrong(place, SearchFault::BadAddress, reason)
                    })?;
                    Wanted::Network(first, last)
                }
                Some(Column::Port(_)) => {
                    let (relation, number) = number(text).ok_or_else(|| {
                        let reason = "this is no port; write it like 443 or >1024";
                        self.wrong(place, SearchFault::BadNumber, reason)
                    })?;
                    Wanted::Number(relation, number)
                }
                _ if quoted => Wanted::Pattern(vec![Part::Text(text.to_owned())]),
                _ => Wanted::Pattern(pattern(text)),
            }
        };
        Ok(Node::Field {
            name: name.to_owned(),
            wanted,
        })
    }
}

fn joined(mut parts: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Option<Node> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(join(parts)),
    }
}

/// What a name stands for; none for a field of the record.
pub(super) fn column(name: &str) -> Option<Column> {
    COLUMNS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, column)| *column)
}

/// A text with stars; `\*` is a star, `\\` a backslash, any other backslash is itself.
fn pattern(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => {
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                if parts.last() != Some(&Part::Star) {
                    parts.push(Part::Star);
                }
            }
            '\\' if matches!(letters.peek(), Some('*' | '\\')) => literal.extend(letters.next()),
            letter => literal.push(letter),
        }
    }
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal));
    }
    parts
}

/// First and last address of a network, or of a single address.
fn network(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
        None => (text, None),
    };
    match address.trim_matches(['[', ']']).parse().ok()? {
        IpAddr::V4(address) => {
            let host = 32_u32.checked_sub(bits.unwrap_or(32))?;
            let mask = u32::MAX.checked_shl(host).unwrap_or(0);
            let first = u32::from(address) & mask;
            Some((IpAddr::V4(first.into()), IpAddr::V4((first | !mask).into())))
        }
        IpAddr::V6(address) => {
            let host = 128_u32.checked_sub(bits.unwrap_or(128))?;
            let mask = u128::MAX.checked_shl(host).unwrap_or(0);
            let first = u128::from(address) & mask;
            Some((IpAddr::V6(first.into()), IpAddr::V6((first | !mask).into())))
        }
    }
}

fn number(text: &str) -> Option<(&'static str, u64)> {
    let relations = [">=", "<=", ">", "<", "="];
    let relation = relations
        .into_iter()
        .find(|relation| text.starts_with(relation));
    let rest = relation.map_or(text, |relation| &text[relation.len()..]);
    Some((relation.unwrap_or("="), rest.parse().ok()?))
}

impl Node {
    /// The condition, its values noted in `params`.
    pub(super) fn condition(&self, params: &mut Params) -> String {
        let join = |parts: &[Self], between: &str, params: &mut Params| {
            let parts: Vec<String> = parts.iter().map(|part| part.condition(params)).collect();
            format!("({})", parts.join(between))
        };
        match self {
            Self::And(parts) => join(parts, " AND ", params),
            Self::Or(parts) => join(parts, " OR ", params),
            Self::Not(part) => format!("NOT {}", part.condition(params)),
            Self::Word(word) => word.condition(params),
            Self::Field { name, wanted } => match (column(name), wanted) {
                (Some(Column::Address(columns)), wanted) => {
                    address_condition(columns, wanted, params)
                }
                (Some(Column::Port(column)), wanted) => port_condition(column, wanted, params),
                (Some(Column::Text(column)), wanted) => {
                    text_condition(column, None, wanted, params)
                }
                (None, wanted) => {
                    let own = name.strip_prefix(OWN_FIELD).unwrap_or(name);
                    let key = params.place(Param::Text(own.to_owned()));
                    let value = format!("fields[{key}]");
                    let present = format!("mapContains(fields, {key})");
                    text_condition(&value, Some(&present), wanted, params)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(line: &str) -> String {
        let mut params = Params::default();
        let condition = parse(line).unwrap().unwrap().condition(&mut params);
        format!("{condition} {:?}", params.texts())
    }

    fn error(line: &str) -> (usize, usize, SearchFault) {
        match parse(line) {
            Err(StoreError::Search {
                at, length, fault, ..
            }) => (at, length, fault),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_line_becomes_conditions_with_parameters() {
        let line =
            r#"user:root and src_ip:10.0.0.0/8 and not process:*\\sshd and "failed password""#;
        assert_eq!(
            sql(line),
            "(user ILIKE {q0:String} AND (source_address BETWEEN toIPv6({q1:String}) AND toIPv6({q2:String})) \
             AND NOT process ILIKE {q3:String} AND (text LIKE {q4:String})) \
             [\"root\", \"::ffff:10.0.0.0\", \"::ffff:10.255.255.255\", \"%\\\\\\\\sshd\", \"%failed password%\"]"
        );
        assert_eq!(
            sql("dst_port:>=1024 or EventID:(4624 or 4625)"),
            "(destination_port >= {q0:UInt64} OR (fields[{q1:String}] ILIKE {q2:String} OR \
             fields[{q3:String}] ILIKE {q4:String})) [\"1024\", \"EventID\", \"4624\", \"EventID\", \"4625\"]"
        );
        assert_eq!(
            sql("fields.user:* -host:web"),
            "(mapContains(fields, {q0:String}) AND NOT host ILIKE {q1:String}) [\"user\", \"web\"]"
        );
    }

    #[test]
    fn or_binds_weaker_than_and() {
        let line = |line: &str| parse(line).unwrap();
        assert_eq!(line("a or b c"), line("a or (b and c)"));
        assert_ne!(line("a or b c"), line("(a or b) c"));
        assert_eq!(line("NOT a"), line("-a"));
    }

    #[test]
    fn times_drives_and_urls_are_words() {
        for word in [
            "12:30:45",
            r"C:\Windows",
            "https://a.vn/x",
            "2001:db8::7",
            "a::b",
        ] {
            let node = parse(word).unwrap().unwrap();
            assert!(matches!(node, Node::Word(_)), "{word}: {node:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(error("a and"), (2, 3, SearchFault::MissingOperand));
        assert_eq!(error("or a"), (0, 2, SearchFault::MissingOperand));
        assert_eq!(error("a or or b"), (2, 2, SearchFault::MissingOperand));
        assert_eq!(error("a (b or c"), (2, 1, SearchFault::OpenParenthesis));
        assert_eq!(error("a) b"), (1, 1, SearchFault::UnexpectedClose));
        assert_eq!(error("đăng \"nhập"), (5, 5, SearchFault::OpenQuote));
        assert_eq!(error("user: root"), (0, 5, SearchFault::MissingValue));
        assert_eq!(
            error("src_ip:10.0.0.0/33"),
            (7, 11, SearchFault::BadAddress)
        );
        assert_eq!(error("dst_port:ssh"), (9, 3, SearchFault::BadNumber));
        assert_eq!(error(&"a ".repeat(65)).2, SearchFault::TooMany);
        assert_eq!(error(&"(".repeat(40)).2, SearchFault::TooDeep);
        assert_eq!(error(&"a".repeat(2_001)).2, SearchFault::TooLong);
        for nothing in ["", "  ", "*", "\"\"", "()"] {
            assert_eq!(parse(nothing).unwrap(), None, "{nothing:?}");
        }
    }
}
