//! YAML with positions and bounds: a text becomes nodes that know where they are written.
//!
//! Rule files come from the internet. So nesting, the number of nodes and what aliases expand to are
//! bounded, and an alias bomb is found by counting, never by expanding it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::{ErrorKind, Problem};
use crate::rule::{Number, Position};

/// Rule files have a handful of levels; this leaves room and keeps recursion over nodes safe.
pub(crate) const DEPTH_MAX: usize = 64;
/// The largest SigmaHQ rule has about 2,000.
pub(crate) const NODES_MAX: usize = 1_000_000;
/// How many times longer aliases and merges may make a document than it is written, and what they always may.
const EXPANSION_MAX: usize = 8;
const EXPANDED_BYTES_FREE: usize = 16 << 10;

/// A value with its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) position: Position,
    pub(crate) kind: Kind,
    /// Number of nodes in it, itself included, aliases expanded.
    nodes: usize,
    /// Bytes of the texts in it, aliases expanded; each node counts as one at least.
    bytes: usize,
    /// Levels below it, itself included.
    depth: usize,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Kind {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) position: Position,
    pub(crate) value: Rc<Node>,
}

/// A scalar: what it resolves to (YAML 1.2 core schema) and how it is written.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) value: Resolved,
}

/// What a scalar resolves to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Bool(bool),
    Number(Number),
    Text,
}

/// A document of a file: its root and its own text.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) text: &'a str,
    pub(crate) position: Position,
    pub(crate) root: Result<Rc<Node>, Problem>,
}

/// Reads all documents of a file, one by one. Each stands for itself: one that is broken leaves the others whole.
pub(crate) fn read_documents(text: &str) -> impl Iterator<Item = Document<'_>> {
    // A byte order mark is no content, and would hide a --- behind it.
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let pieces = split_documents(text).into_iter();
    pieces
        .filter(|(_, piece)| has_content(piece))
        .map(|(line, piece)| {
            let root = Builder::new(line, piece.len()).build(piece);
            let position = match &root {
                Ok(node) => node.position,
                Err(problem) => problem.position,
            };
            Document {
                text: piece
                    .trim_start_matches("---")
                    .trim_start_matches(['\n', '\r']),
                position,
                root,
            }
        })
}

/// Whether there is more than comments, directives and markers.
fn has_content(piece: &str) -> bool {
    piece.split(['\n', '\r']).any(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with(['#', '%']) && line != "---" && line != "..."
    })
}

/// Cuts a file at its `---` lines, which begin a document wherever they stand (YAML 1.2.2 section 9.1.2).
/// Yields the number of lines before each piece.
fn split_documents(text: &str) -> Vec<(u32, &str)> {
    let mut pieces = Vec::new();
    let (mut start, mut start_line, mut offset) = (0, 0, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && offset > start {
            pieces.push((start_line, &text[start..offset]));
            start = offset;
            start_line = u32::try_from(index).unwrap_or(u32::MAX);
        }
        offset += line.len();
    }
    pieces.push((start_line, &text[start..]));
    pieces
}

/// Builds nodes from the parser's events.
struct Builder {
    lines_before: u32,
    anchors: HashMap<usize, Rc<Node>>,
    /// Open lists and maps, outermost first.
    open: Vec<Open>,
    nodes: usize,
    /// Bytes that aliases and merges have added, and the most that they may.
    added: usize,
    added_max: usize,
    root: Option<Rc<Node>>,
}

struct Open {
    position: Position,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Rc<Node>>),
    Map {
        map: OpenMap,
        key: Option<(String, Position)>,
    },
}

/// Entries up to which a map's keys are compared one by one: nearly all maps of rules.
const LISTED_MAX: usize = 16;

/// The entries of a map so far, and where each key is among them once there are many.
#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
    /// Which entries came from elsewhere by `<<`.
    merged: HashSet<usize>,
}

impl Builder {
    /// For a document of so many bytes.
    fn new(lines_before: u32, bytes: usize) -> Self {
        Self {
            lines_before,
            anchors: HashMap::new(),
            open: Vec::new(),
            nodes: 0,
            added: 0,
            added_max: EXPANDED_BYTES_FREE + bytes.saturating_mul(EXPANSION_MAX),
            root: None,
        }
    }

    fn build(mut self, text: &str) -> Result<Rc<Node>, Problem> {
        let mut parser = Parser::new_from_str(text);
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| {
                let marker = error.marker();
                Problem::new(
                    self.position(marker.line(), marker.col()),
                    ErrorKind::Yaml {
                        reason: error.info().to_owned(),
                    },
                )
            })?;
            self.take(event, span)?;
        }
        let empty = Problem::new(
            self.position(1, 0),
            ErrorKind::Yaml {
                reason: "the document is empty".to_owned(),
            },
        );
        self.root.ok_or(empty)
    }

    fn position(&self, line: usize, column: usize) -> Position {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: count(line).saturating_add(self.lines_before),
            column: count(column).saturating_add(1),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let position = self.position(span.start.line(), span.start.col());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_string = tag.is_some_and(|tag| tag.suffix == "str");
                let value = if style == ScalarStyle::Plain && !is_string {
                    resolve(&text)
                } else {
                    Resolved::Text
                };
                let bytes = 1 + text.len();
                let kind = Kind::Scalar(Scalar {
                    text: text.into_owned(),
                    value,
                });
                self.add(
                    Rc::new(Node {
                        position,
                        kind,
                        nodes: 1,
                        bytes,
                        depth: 1,
                    }),
                    anchor,
                    position,
                )
            }
            Event::SequenceStart(anchor, _) => self.open(Open {
                position,
                anchor,
                items: Items::List(Vec::new()),
            }),
            Event::MappingStart(anchor, _) => self.open(Open {
                position,
                anchor,
                items: Items::Map {
                    map: OpenMap::default(),
                    key: None,
                },
            }),
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned().ok_or_else(|| {
                    let reason =
                        "an alias that refers to nothing before it, or to what it stands in"
                            .to_owned();
                    Problem::new(position, ErrorKind::Yaml { reason })
                })?;
                self.expand(node.bytes, position)?;
                self.add(node, 0, position)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// Counts what an alias or a merge adds.
    fn expand(&mut self, bytes: usize, position: Position) -> Result<(), Problem> {
        self.added = self.added.saturating_add(bytes);
        if self.added > self.added_max {
            let kind = ErrorKind::TooLongExpanded {
                bytes_max: self.added_max,
            };
            return Err(Problem::new(position, kind));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), Problem> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Problem::new(
                open.position,
                ErrorKind::TooDeep {
                    depth_max: DEPTH_MAX,
                },
            ));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let (mut nodes, mut bytes, mut depth) = (1usize, 1usize, 1);
        let mut count = |child: &Node| {
            nodes = nodes.saturating_add(child.nodes);
            bytes = bytes.saturating_add(child.bytes);
            depth = depth.max(1 + child.depth);
        };
        match &open.items {
            Items::List(items) => items.iter().for_each(|child| count(child)),
            Items::Map { map, .. } => map.entries.iter().for_each(|entry| count(&entry.value)),
        }
        let kind = match open.items {
            Items::List(items) => Kind::List(items),
            Items::Map { map, .. } => Kind::Map(map.entries),
        };
        self.add(
            Rc::new(Node {
                position: open.position,
                kind,
                nodes,
                bytes,
                depth,
            }),
            open.anchor,
            open.position,
        )
    }

    /// Puts a finished node where it belongs. `position` is where it is used, which for an alias is
    /// not where it is written.
    fn add(&mut self, node: Rc<Node>, anchor: usize, position: Position) -> Result<(), Problem> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > NODES_MAX || node.nodes > NODES_MAX {
            return Err(Problem::new(
                position,
                ErrorKind::TooManyNodes {
                    nodes_max: NODES_MAX,
                },
            ));
        }
        if self.open.len() + node.depth > DEPTH_MAX {
            return Err(Problem::new(
                position,
                ErrorKind::TooDeep {
                    depth_max: DEPTH_MAX,
                },
            ));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        if let Some(Items::Map {
            key: Some((key, position)),
            ..
        }) = self.open.last().map(|open| &open.items)
            && key == "<<"
        {
            // Its entries are copied. An alias was counted for what it stands for; the copies count again.
            self.expand(node.bytes, *position)?;
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None if self.root.is_none() => self.root = Some(node),
            None => {
                let reason = "a second document without --- before it".to_owned();
                return Err(Problem::new(position, ErrorKind::Yaml { reason }));
            }
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { map, key }) => match key.take() {
                None => *key = Some((key_text(&node, position)?, position)),
                Some((key, position)) if key == "<<" => map.merge(&node, position)?,
                Some((key, position)) => map.insert(Entry {
                    key,
                    position,
                    value: node,
                })?,
            },
        }
        Ok(())
    }
}

impl OpenMap {
    /// A key of the map's own: only once, and stronger than a merged one.
    fn insert(&mut self, entry: Entry) -> Result<(), Problem> {
        match self.place(&entry.key) {
            None => self.push(entry),
            Some(place) if self.merged.remove(&place) => self.entries[place] = entry,
            Some(place) => {
                let first_line = self.entries[place].position.line;
                let kind = ErrorKind::DuplicateKey {
                    key: entry.key,
                    first_line,
                };
                return Err(Problem::new(entry.position, kind));
            }
        }
        Ok(())
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.places.is_empty() {
            self.entries.iter().position(|entry| entry.key == key)
        } else {
            self.places.get(key).copied()
        }
    }

    fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        if self.entries.len() > LISTED_MAX {
            let known = self.places.len();
            let new = self.entries.iter().enumerate().skip(known);
            self.places
                .extend(new.map(|(place, entry)| (entry.key.clone(), place)));
        }
    }

    /// The merge key `<<` of YAML 1.1: entries of another map, or of several, that are not there yet.
    fn merge(&mut self, node: &Node, position: Position) -> Result<(), Problem> {
        match &node.kind {
            Kind::Map(others) => {
                for other in others {
                    if self.place(&other.key).is_none() {
                        self.merged.insert(self.entries.len());
                        self.push(other.clone());
                    }
                }
                Ok(())
            }
            Kind::List(nodes) => nodes.iter().try_for_each(|node| self.merge(node, position)),
            Kind::Scalar(_) => {
                let what = "what << merges".to_owned();
                let kind = ErrorKind::WrongType {
                    what,
                    expected: "a map",
                    found: node.describe(),
                };
                Err(Problem::new(position, kind))
            }
        }
    }
}

fn key_text(node: &Node, position: Position) -> Result<String, Problem> {
    match &node.kind {
        Kind::Scalar(scalar) => Ok(scalar.text.clone()),
        Kind::List(_) | Kind::Map(_) => Err(Problem::new(
            position,
            ErrorKind::WrongType {
                what: "a key".to_owned(),
                expected: "text",
                found: node.describe(),
            },
        )),
    }
}

/// The core schema of YAML 1.2 (section 10.3.2); `.inf` and `.nan` stay text.
fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Bool(true),
        "false" | "False" | "FALSE" => return Resolved::Bool(false),
        _ => {}
    }
    // Nearly all texts are none of these by their first letter.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Resolved::Text;
    }
    let radix = |prefix: &str, radix| {
        text.strip_prefix(prefix)
            .and_then(|digits| u64::from_str_radix(digits, radix).ok())
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Resolved::Number(Number::Int(number.into()));
    }
    // `+1`, `1.` and `.5` are numbers in YAML, too.
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let filled = match unsigned.strip_prefix('-') {
        _ if unsigned.starts_with('.') => format!("0{unsigned}"),
        Some(rest) if rest.starts_with('.') => format!("-0{rest}"),
        _ if unsigned.ends_with('.') => format!("{unsigned}0"),
        _ => unsigned.to_owned(),
    };
    Number::parse(&filled).map_or(Resolved::Text, Resolved::Number)
}

impl Node {
    /// What it is, for error messages.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Scalar(scalar) => match scalar.value {
                Resolved::Null => "empty",
                Resolved::Bool(_) => "true or false",
                Resolved::Number(_) => "a number",
                Resolved::Text => "text",
            },
        }
    }

    /// The entries, if it is a map.
    pub(crate) fn entries(&self, what: &str) -> Result<&[Entry], Problem> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            _ => Err(self.wrong(what, "a map of keys and values")),
        }
    }

    /// The text of a scalar that is not null, whatever it resolves to.
    pub(crate) fn text(&self, what: &str) -> Result<&str, Problem> {
        match &self.kind {
            Kind::Scalar(scalar) if scalar.value != Resolved::Null => Ok(&scalar.text),
            _ => Err(self.wrong(what, "text")),
        }
    }

    /// The texts of a list, or of a scalar as a list of one; nothing for null.
    pub(crate) fn texts(&self, what: &str) -> Result<Vec<(&str, Position)>, Problem> {
        match &self.kind {
            Kind::List(items) => items
                .iter()
                .map(|item| Ok((item.text(what)?, item.position)))
                .collect(),
            Kind::Scalar(scalar) if scalar.value == Resolved::Null => Ok(Vec::new()),
            Kind::Scalar(scalar) => Ok(vec![(scalar.text.as_str(), self.position)]),
            Kind::Map(_) => Err(self.wrong(what, "text or a list of texts")),
        }
    }

    /// The error that this should be something else.
    pub(crate) fn wrong(&self, what: &str, expected: &'static str) -> Problem {
        Problem::new(
            self.position,
            ErrorKind::WrongType {
                what: what.to_owned(),
                expected,
                found: self.describe(),
            },
        )
    }
}
