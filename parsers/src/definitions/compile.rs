//! From a definition's file to what reads records: expressions compiled, names resolved, mistakes found.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use regex_automata::hybrid::dfa::DFA;
use regex_automata::meta;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};
use toml::Spanned;

use super::file::{
    self, DefinitionFile, FieldFile, Kind, PairSeparator, PatternFile, Separator, problem,
};
use super::places::{Name, Place, TimeForm, TimeReader};
use super::words::Words;
use super::{DefinitionProblem, DefinitionSource, ZoneLookup, grok};
use crate::event::Value;
use crate::formats::Split;
use crate::scan::{self, Word};

/// A compiled expression may take no more than this.
const REGEX_BYTES_MAX: usize = 8 << 20;

/// A text format that is defined by data.
#[derive(Debug)]
pub struct Definition {
    /// The name that configuration, origins and events give it.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    pub(super) name_place: (usize, usize),
    pub(super) detect: Detect,
    pub(super) patterns: Vec<Pattern>,
    pub(super) messages: Vec<Message>,
    pub(super) pairs: Option<Pairs>,
    pub(super) time: TimeReader,
    pub(super) constants: Fixed,
    pub(super) sources: Vec<[&'static str; 3]>,
}

/// How a record is known by its first bytes.
#[derive(Debug, Default)]
pub(super) struct Detect {
    /// Names of syslog programs, in lower case.
    pub(super) programs: Vec<&'static str>,
    prefix: Vec<&'static str>,
    contains: Vec<Word>,
    regex: Option<meta::Regex>,
    /// What such a record may begin with.
    head: Head,
}

/// Bytes that are looked at for the words of `contains`.
const CONTAINS_BYTES: usize = 1_024;

/// The beginning of a text in which words are looked for.
pub(super) fn head_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(CONTAINS_BYTES)]
}

impl Detect {
    pub(super) fn knows(&self, text: &str) -> bool {
        (self.prefix.is_empty() || self.prefix.iter().any(|prefix| scan::begins(text, prefix)))
            && (self.contains.is_empty() || {
                let head = head_of(text);
                self.contains.iter().any(|word| word.find(head).is_some())
            })
            && self.regex.as_ref().is_none_or(|regex| {
                regex.is_match(
                    Input::new(&text.as_bytes()[..text.len().min(CONTAINS_BYTES)])
                        .anchored(Anchored::Yes),
                )
            })
    }

    /// The rarest byte of each word of which one must be there.
    pub(super) fn rarest_of_words(&self) -> impl Iterator<Item = u8> + '_ {
        self.contains.iter().filter_map(Word::rarest)
    }

    /// Whether such a record may have this byte at this place, one of the first.
    pub(super) fn may_have(&self, place: usize, byte: u8) -> bool {
        self.head.has(place, byte)
    }

    /// `expression` is the text of `regex`.
    fn learn_head(&mut self, expression: Option<&str>, syntax: syntax::Config) {
        let says_nothing =
            self.prefix.is_empty() && self.contains.is_empty() && self.regex.is_none();
        self.head = if says_nothing {
            Head::NOTHING
        } else {
            let of_expression =
                expression.and_then(|expression| Head::of_expression(expression, syntax));
            of_expression
                .unwrap_or(Head::ANYTHING)
                .and(Head::of_prefixes(&self.prefix))
        };
    }
}

/// Bytes of a record's beginning that are looked at together.
pub(super) const HEAD_BYTES: usize = 8;

/// The bytes that may stand at each of the first places of a record, one bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Head([[u64; 4]; HEAD_BYTES]);

impl Head {
    const NOTHING: Self = Self([[0; 4]; HEAD_BYTES]);
    const ANYTHING: Self = Self([[u64::MAX; 4]; HEAD_BYTES]);

    /// What fits an expression may begin with; `None` where that cannot be found out.
    fn of_expression(expression: &str, syntax: syntax::Config) -> Option<Self> {
        let automaton = DFA::builder().syntax(syntax).build(expression).ok()?;
        let mut cache = automaton.create_cache();
        let anchored = Input::new("").anchored(Anchored::Yes);
        let mut states = vec![automaton.start_state_forward(&mut cache, &anchored).ok()?];
        let mut head = Self::NOTHING;
        for place in 0..HEAD_BYTES {
            let mut next_states = Vec::new();
            for state in &states {
                // Behind what fits anything may follow.
                if state.is_match() {
                    head.0[place..].fill([u64::MAX; 4]);
                    return Some(head);
                }
                for byte in 0..=u8::MAX {
                    let next = automaton.next_state(&mut cache, *state, byte).ok()?;
                    // States mean nothing once the cache has been emptied.
                    if cache.clear_count() > 0 {
                        return None;
                    }
                    if !next.is_dead() {
                        head.add(place, byte);
                        next_states.push(next);
                    }
                }
            }
            next_states.sort_unstable();
            next_states.dedup();
            states = next_states;
        }
        Some(head)
    }

    /// What begins with one of these; with anything where there are none.
    fn of_prefixes(prefixes: &[&str]) -> Self {
        if prefixes.is_empty() {
            return Self::ANYTHING;
        }
        let mut head = Self::NOTHING;
        for prefix in prefixes {
            for place in 0..HEAD_BYTES {
                match prefix.as_bytes().get(place) {
                    Some(byte) => head.add(place, *byte),
                    None => head.0[place] = [u64::MAX; 4],
                }
            }
        }
        head
    }

    fn add(&mut self, place: usize, byte: u8) {
        self.0[place][usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn has(&self, place: usize, byte: u8) -> bool {
        self.0[place][usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    /// What both allow.
    fn and(mut self, other: Self) -> Self {
        for (bits, others) in self.0.iter_mut().flatten().zip(other.0.iter().flatten()) {
            *bits &= others;
        }
        self
    }
}

/// Names and values that are always the same.
pub(super) type Fixed = Vec<(&'static str, Value<'static>)>;

/// One way in which records of the format are written.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) shape: Shape,
    pub(super) set: Fixed,
}

#[derive(Debug)]
pub(super) enum Shape {
    /// Places by group, from group 1 on.
    Regex {
        regex: meta::Regex,
        places: Vec<Option<Place>>,
    },
    Columns {
        split: Split,
        least: usize,
        places: Vec<Option<Place>>,
        /// The last column takes the rest of the line.
        open_end: bool,
    },
}

/// A pattern for what a field says.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) field: &'static str,
    pub(super) pattern: Pattern,
}

/// `key=value` pairs within a field.
#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) field: &'static str,
    pub(super) separators: &'static [char],
    pub(super) places: BTreeMap<&'static str, Place>,
}

struct Compiler<'s> {
    source: &'s DefinitionSource,
    words: &'s Words,
    file: &'s DefinitionFile,
    time_from: Vec<&'s str>,
    /// Names that patterns, columns and messages give.
    captured: Vec<String>,
}

/// Compiles a definition's file.
pub(super) fn definition(
    source: &DefinitionSource,
    zones: ZoneLookup<'_>,
    words: &Words,
) -> Result<Definition, DefinitionProblem> {
    let file: DefinitionFile = file::parse(source)?;
    let time_from = match &file.time.from[..] {
        [] => vec!["time"],
        names => names.iter().map(|name| name.get_ref().as_str()).collect(),
    };
    let mut compiler = Compiler {
        source,
        words,
        file: &file,
        time_from,
        captured: Vec::new(),
    };
    compiler.definition(zones)
}

impl Compiler<'_> {
    fn definition(&mut self, zones: ZoneLookup<'_>) -> Result<Definition, DefinitionProblem> {
        let file = self.file;
        let name = file.name.get_ref();
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_name {
            return Err(problem(
                self.source,
                Some(file.name.span()),
                format!("`{name}` is no name: letters, digits, _ and - make one"),
            ));
        }
        if file.pattern.is_empty() {
            return Err(problem(
                self.source,
                Some(file.name.span()),
                "there is no [[pattern]]: add one with `regex`, `grok` or `columns`",
            ));
        }
        let patterns = file
            .pattern
            .iter()
            .map(|pattern| self.pattern(pattern))
            .collect::<Result<Vec<_>, _>>()?;
        let messages = file
            .message
            .iter()
            .map(|message| {
                let pattern = PatternFile {
                    regex: message.regex.clone(),
                    grok: message.grok.clone(),
                    columns: None,
                    separator: Separator::default(),
                    columns_min: None,
                    set: message.set.clone(),
                };
                Ok(Message {
                    field: self.words.keep(message.field.get_ref()),
                    pattern: self.pattern(&pattern)?,
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.check_names()?;
        Ok(Definition {
            name: self.words.keep(name),
            description: self.words.keep(&file.description),
            name_place: file::line_and_column(self.source, file.name.span().start),
            detect: self.detect()?,
            patterns,
            messages,
            pairs: file.pairs.as_ref().map(|pairs| self.pairs(pairs)),
            time: self.time(zones)?,
            constants: self.fixed(&file.constants),
            sources: file
                .logsource
                .iter()
                .map(|source| {
                    [&source.product, &source.category, &source.service]
                        .map(|part| self.words.keep(part))
                })
                .collect(),
        })
    }

    fn detect(&self) -> Result<Detect, DefinitionProblem> {
        let file = &self.file.detect;
        let (regex, expanded) = match (&file.regex, &file.grok) {
            (None, None) => (None, None),
            (regex, grok) => {
                let (compiled, expanded) = self.expression(regex.as_ref(), grok.as_ref())?;
                (Some(compiled), expanded)
            }
        };
        let expression = match &expanded {
            Some(expanded) => Some(expanded.regex.as_str()),
            None => file.regex.as_ref().map(|regex| regex.get_ref().as_str()),
        };
        let mut detect = Detect {
            programs: file
                .programs
                .iter()
                .map(|program| self.words.keep(&program.to_ascii_lowercase()))
                .collect(),
            prefix: file
                .prefix
                .iter()
                .map(|word| self.words.keep(word))
                .collect(),
            contains: file
                .contains
                .iter()
                .map(|word| Word::new(self.words.keep(word)))
                .collect(),
            regex,
            head: Head::NOTHING,
        };
        detect.learn_head(expression, self.syntax());
        Ok(detect)
    }

    /// How expressions are understood.
    fn syntax(&self) -> syntax::Config {
        syntax::Config::new().dot_matches_new_line(self.file.multiline)
    }

    /// The expression of a pattern, and the names and types that grok gave its groups.
    fn expression(
        &self,
        regex: Option<&Spanned<String>>,
        grok: Option<&Spanned<String>>,
    ) -> Result<(meta::Regex, Option<grok::Expanded>), DefinitionProblem> {
        let (text, place, expanded) = match (regex, grok) {
            (Some(regex), None) => (regex.get_ref().clone(), regex.span(), None),
            (None, Some(grok)) => {
                let expanded = grok::expand(grok.get_ref(), &self.file.patterns)
                    .map_err(|message| problem(self.source, Some(grok.span()), message))?;
                (expanded.regex.clone(), grok.span(), Some(expanded))
            }
            (Some(regex), Some(_)) => {
                return Err(problem(
                    self.source,
                    Some(regex.span()),
                    "both `regex` and `grok`; one pattern has one of them: write two patterns",
                ));
            }
            (None, None) => {
                return Err(problem(
                    self.source,
                    Some(self.file.name.span()),
                    "a pattern has neither `regex` nor `grok` nor `columns`; give it one",
                ));
            }
        };
        let compiled = meta::Regex::builder()
            .syntax(self.syntax())
            .configure(meta::Config::new().nfa_size_limit(Some(REGEX_BYTES_MAX)))
            .build(&text);
        match compiled {
            Ok(regex) => Ok((regex, expanded)),
            Err(error) => Err(problem(self.source, Some(place), said_of(&error))),
        }
    }

    fn pattern(&mut self, file: &PatternFile) -> Result<Pattern, DefinitionProblem> {
        let set = self.fixed(&file.set);
        if let Some(columns) = &file.columns {
            if let Some(other) = file.regex.as_ref().or(file.grok.as_ref()) {
                return Err(problem(
                    self.source,
                    Some(other.span()),
                    "a pattern of columns has no expression besides; write two patterns",
                ));
            }
            return Ok(Pattern {
                shape: self.columns(file, columns.get_ref()),
                set,
            });
        }
        let (regex, expanded) = self.expression(file.regex.as_ref(), file.grok.as_ref())?;
        let place_of = file
            .regex
            .as_ref()
            .or(file.grok.as_ref())
            .map(Spanned::span);
        let mut places = Vec::new();
        for (_, group, name) in regex.group_info().all_names() {
            if group == 0 {
                continue;
            }
            let Some(name) = name else {
                places.push(None);
                continue;
            };
            let of_grok = expanded.as_ref().and_then(|expanded| {
                let place: usize = name.strip_prefix('g')?.parse().ok()?;
                expanded.names.get(place)
            });
            let (name, kind) = match of_grok {
                Some((name, kind)) => (name.clone(), kind.as_deref()),
                None => (name.to_owned(), None),
            };
            let kind = match kind {
                None => None,
                Some("int" | "long") => Some(Kind::Int),
                Some("float" | "double") => Some(Kind::Float),
                Some("bool" | "boolean") => Some(Kind::Bool),
                Some("string") => Some(Kind::String),
                Some("ip") => Some(Kind::Ip),
                Some(other) => {
                    return Err(problem(
                        self.source,
                        place_of,
                        format!(
                            "there is no type `{other}` in grok; int, float, bool, string and ip are known"
                        ),
                    ));
                }
            };
            places.push(Some(self.place(&name, kind)));
        }
        Ok(Pattern {
            shape: Shape::Regex { regex, places },
            set,
        })
    }

    fn columns(&mut self, file: &PatternFile, names: &[String]) -> Shape {
        let open_end = names.last().is_some_and(|name| name.ends_with('*'));
        let places = names
            .iter()
            .map(|name| match name.trim_end_matches('*') {
                "" | "_" => None,
                name => Some(self.place(name, None)),
            })
            .collect();
        Shape::Columns {
            split: match file.separator {
                Separator::Tab => Split::Tabs,
                Separator::Space => Split::Spaces,
                Separator::Comma => Split::Commas,
                Separator::Semicolon => Split::Semicolons,
                Separator::Pipe => Split::Pipes,
            },
            least: file.columns_min.unwrap_or(names.len()).max(2),
            places,
            open_end,
        }
    }

    /// What becomes of the text that was captured under `name`.
    fn place(&mut self, name: &str, kind: Option<Kind>) -> Place {
        self.captured.push(name.to_owned());
        self.place_of(name, kind, self.field(name))
    }

    fn field(&self, name: &str) -> Option<&FieldFile> {
        self.file
            .fields
            .iter()
            .find(|(field, _)| field.get_ref() == name)
            .map(|(_, file)| &file.0)
    }

    fn place_of(&self, name: &str, kind: Option<Kind>, file: Option<&FieldFile>) -> Place {
        if let Some(part) = self.time_from.iter().position(|part| *part == name) {
            return Place::Time(part);
        }
        if name.starts_with('_') {
            return Place::Held(self.words.keep(name));
        }
        let names = match file {
            Some(file) if !file.names.is_empty() => {
                file.names.iter().map(|name| self.name(name)).collect()
            }
            _ => vec![self.name(name)],
        };
        let named = match name {
            "host" | "hostname" => Kind::Host,
            _ => Kind::Auto,
        };
        let of_file = file
            .map(|file| file.kind)
            .filter(|kind| *kind != Kind::Auto);
        Place::Field {
            names,
            kind: of_file.or(kind).unwrap_or(named),
        }
    }

    fn name(&self, name: &str) -> Name {
        let values = self
            .file
            .values
            .iter()
            .find(|(field, _)| field.get_ref() == name)
            .into_iter()
            .flat_map(|(_, values)| values)
            .map(|(from, to)| (self.words.keep(from), self.words.keep(to)))
            .collect();
        Name {
            name: self.words.keep(name),
            values,
        }
    }

    fn pairs(&self, pairs: &file::PairsFile) -> Pairs {
        let places = self
            .file
            .fields
            .iter()
            .map(|(name, file)| (name.get_ref(), Some(&file.0)))
            .chain(
                self.file
                    .time
                    .from
                    .iter()
                    .map(|name| (name.get_ref(), None)),
            )
            .chain(
                self.file
                    .values
                    .keys()
                    .map(|name| (name.get_ref(), self.field(name.get_ref()))),
            )
            .map(|(name, file)| (self.words.keep(name), self.place_of(name, None, file)))
            .collect();
        Pairs {
            field: self.words.keep(pairs.field.get_ref()),
            separators: match pairs.separator {
                PairSeparator::Space => &[' '],
                PairSeparator::Comma => &[','],
                PairSeparator::Semicolon => &[';'],
                PairSeparator::Pipe => &['|'],
                PairSeparator::Tab => &['\t'],
            },
            places,
        }
    }

    /// Names that nothing captures are slips of the pen, unless pairs may bring them.
    fn check_names(&self) -> Result<(), DefinitionProblem> {
        let file = self.file;
        let captured = |name: &str| self.captured.iter().any(|captured| captured == name);
        let unknown = |name: &Spanned<String>, what: &str| {
            let message =
                match file::nearest(name.get_ref(), self.captured.iter().map(String::as_str)) {
                    Some(nearest) => format!(
                        "{what} `{name}`, which no pattern captures; did you mean `{nearest}`?",
                        name = name.get_ref()
                    ),
                    None => format!(
                        "{what} `{name}`, which no pattern captures; captured are {known}",
                        name = name.get_ref(),
                        known = self.captured.join(", ")
                    ),
                };
            Err(problem(self.source, Some(name.span()), message))
        };
        if let Some(pairs) = &file.pairs {
            let is_whole = pairs.field.get_ref() == "message" || captured(pairs.field.get_ref());
            return if is_whole {
                Ok(())
            } else {
                unknown(&pairs.field, "[pairs] looks into")
            };
        }
        let slip = |name: &&Spanned<String>| !captured(name.get_ref());
        if let Some(name) = file.fields.keys().find(slip) {
            return unknown(name, "[fields] speaks of");
        }
        if let Some(name) = file.time.from.iter().find(slip) {
            return unknown(name, "[time] speaks of");
        }
        Ok(())
    }

    fn time(&self, zones: ZoneLookup<'_>) -> Result<TimeReader, DefinitionProblem> {
        let file = &self.file.time;
        let forms = file
            .format
            .iter()
            .map(|format| {
                TimeForm::named(format.get_ref())
                    .map_err(|message| problem(self.source, Some(format.span()), message))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let zone = match &file.zone {
            None => None,
            Some(name) => Some(zone(name.get_ref(), zones).ok_or_else(|| {
                problem(
                    self.source,
                    Some(name.span()),
                    format!(
                        "there is no time zone `{}`; write UTC, +07:00 or a name such as Asia/Ho_Chi_Minh",
                        name.get_ref()
                    ),
                )
            })?),
        };
        Ok(TimeReader {
            parts: self.time_from.len(),
            forms,
            zone,
        })
    }

    fn fixed(&self, table: &BTreeMap<String, toml::Value>) -> Fixed {
        table
            .iter()
            .map(|(name, value)| (self.words.keep(name), self.value(value)))
            .collect()
    }

    fn value(&self, value: &toml::Value) -> Value<'static> {
        match value {
            toml::Value::Integer(number) => Value::Int(*number),
            toml::Value::Float(number) => Value::Float(*number),
            toml::Value::Boolean(truth) => Value::Bool(*truth),
            toml::Value::String(text) => Value::Str(self.words.keep(text)),
            other => Value::Str(self.words.keep(&other.to_string())),
        }
    }
}

/// `UTC`, an offset, or a name that the caller knows.
fn zone(name: &str, zones: ZoneLookup<'_>) -> Option<TimeZone> {
    if name.eq_ignore_ascii_case("utc") || name == "Z" {
        return Some(TimeZone::UTC);
    }
    let sign = match name.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return zones(name),
    };
    let digits: String = name[1..].chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 4 && digits.len() != 2 {
        return None;
    }
    let hours: i32 = digits[..2].parse().ok()?;
    let minutes: i32 = digits.get(2..4).unwrap_or("0").parse().unwrap_or(0);
    jiff::tz::Offset::from_seconds(sign * (hours * 3_600 + minutes * 60))
        .ok()
        .map(TimeZone::fixed)
}

/// What is wrong with an expression, in one line.
fn said_of(error: &meta::BuildError) -> String {
    if let Some(limit) = error.size_limit() {
        return format!(
            "the expression compiles to more than {limit} bytes; make its repetitions smaller"
        );
    }
    let detail = error.syntax_error().map_or_else(
        || error.to_string(),
        |syntax| {
            // The library draws the expression over several lines; its last line says what is wrong.
            let said = syntax.to_string();
            let last = said.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        },
    );
    format!("the expression is not right: {detail}")
}
