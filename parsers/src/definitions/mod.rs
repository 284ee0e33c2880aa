//! Formats as data: a text format that is written down in a TOML file instead of in Rust.
//!
//! The long tail that is shipped lives in `definitions/` of this crate; a site's own come in as
//! [`DefinitionSource`]s, for this crate does no I/O. Both are compiled once by the same code and are then
//! read as any other format. The crate's README says what a file may hold.

mod check;
mod compile;
mod file;
mod grok;
mod places;
mod read;
mod shipped;
mod words;

use std::fmt;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::bytes::holds_any;
use crate::draft::Draft;
use crate::formats::Fit;
pub use check::check_definitions;
pub use compile::Definition;
use words::Words;

/// A definition's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionSource {
    /// Its path, for messages.
    pub path: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// Why a definition is refused: `path:line:column: what is wrong and what to do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionProblem {
    /// The file.
    pub path: Arc<str>,
    /// Line and column, both from 1.
    pub line: usize,
    /// See `line`.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for DefinitionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            column,
            message,
        } = self;
        write!(f, "{path}:{line}:{column}: {message}")
    }
}

impl std::error::Error for DefinitionProblem {}

/// The zone of that name. The caller looks it up, for a time zone database is I/O.
pub type ZoneLookup<'z> = &'z dyn Fn(&str) -> Option<TimeZone>;

/// The definitions that are in force: a site's own, besides those that are shipped.
#[derive(Clone, Default)]
pub struct Definitions {
    /// Nothing where a site has none, so that settings without definitions cost nothing to make.
    site: Option<Arc<Site>>,
}

struct Site {
    table: Table,
    words: Words,
}

impl Definitions {
    /// Compiles a site's definitions. What is broken is left out and told; the rest is in force.
    /// Files whose names end in `.test.toml` hold tests and are skipped.
    pub fn load(
        sources: &[DefinitionSource],
        zones: ZoneLookup<'_>,
    ) -> (Self, Vec<DefinitionProblem>) {
        Self::default().reload(sources, zones)
    }

    /// As [`Self::load`], reusing what an earlier version holds.
    pub fn reload(
        &self,
        sources: &[DefinitionSource],
        zones: ZoneLookup<'_>,
    ) -> (Self, Vec<DefinitionProblem>) {
        let mut problems = Vec::new();
        let mut found: Vec<Definition> = Vec::new();
        let words = self
            .site
            .as_ref()
            .map_or_else(Words::default, |site| site.words.clone());
        for source in sources.iter().filter(|source| !is_test(source)) {
            match compile::definition(source, zones, &words) {
                Ok(definition) => match taken(&definition, &found) {
                    None => found.push(definition),
                    Some(by) => problems.push(DefinitionProblem {
                        path: Arc::clone(&source.path),
                        line: definition.name_place.0,
                        column: definition.name_place.1,
                        message: format!(
                            "the name `{}` is taken by {by}; give this format another",
                            definition.name
                        ),
                    }),
                },
                Err(problem) => problems.push(problem),
            }
        }
        let site = Arc::new(Site {
            table: Table::new(found),
            words,
        });
        (Self { site: Some(site) }, problems)
    }

    /// The site's definitions.
    pub fn site(&self) -> impl Iterator<Item = &Definition> {
        self.site.iter().flat_map(|site| &site.table.definitions)
    }

    /// The definitions that are shipped.
    pub fn shipped() -> impl Iterator<Item = &'static Definition> {
        shipped::TABLE.definitions.iter()
    }

    /// The definition of that name.
    pub(crate) fn by_name(&self, name: &str) -> Option<&Definition> {
        let in_table = |table: &'_ Table| {
            table
                .definitions
                .iter()
                .position(|definition| definition.name == name)
        };
        if let Some(site) = &self.site
            && let Some(place) = in_table(&site.table)
        {
            return Some(&site.table.definitions[place]);
        }
        in_table(&shipped::TABLE).map(|place| &shipped::TABLE.definitions[place])
    }

    /// The site's definition that knows this record by its first bytes.
    pub(crate) fn detect_site(&self, text: &str) -> Option<&Definition> {
        self.site.as_ref()?.table.detect(text)
    }

    /// The shipped definition that knows this record by its first bytes.
    pub(crate) fn detect_shipped(text: &str) -> Option<&'static Definition> {
        shipped::TABLE.detect(text)
    }

    /// Reads a message that stands in a wrapper (syslog, a container's line), if a definition knows it.
    pub(crate) fn read_inner<'a>(draft: &mut Draft<'a, '_>, program: &str, text: &'a str) -> bool {
        let context = draft.context;
        let tables = context
            .definitions
            .site
            .as_deref()
            .map(|site| &site.table)
            .into_iter()
            .chain([&*shipped::TABLE]);
        for table in tables {
            let known = table.by_program(program).or_else(|| table.detect(text));
            if let Some(definition) = known
                && definition.read(draft, text).is_ok()
            {
                return true;
            }
        }
        false
    }
}

impl fmt::Debug for Definitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.site().map(|definition| definition.name))
            .finish()
    }
}

impl Definition {
    /// Reads a record, or says that it is not of this format.
    pub(crate) fn read<'a>(&self, draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
        read::read(self, draft, text)
    }
}

fn is_test(source: &DefinitionSource) -> bool {
    source.path.ends_with(".test.toml")
}

fn taken(definition: &Definition, found: &[Definition]) -> Option<&'static str> {
    if found.iter().any(|other| other.name == definition.name) {
        Some("another definition")
    } else if crate::formats::format_by_name(definition.name).is_some()
        || definition.name == "auto"
        || definition.name == "evtx"
    {
        Some("a built-in format")
    } else {
        None
    }
}

/// Definitions with what finds the right one fast.
struct Table {
    definitions: Vec<Definition>,
    /// Of each [`GROUP`] of definitions, which may know a record by its first bytes and by signs.
    groups: Vec<Group>,
    /// By the length of a syslog program's name: names in lower case, and whose they are.
    programs: Vec<Vec<(&'static str, usize)>>,
}

/// Definitions that are asked about together: one bit each.
const GROUP: usize = 64;
/// Bytes of words that are looked for together.
const SIGNS: usize = 4;

/// Sets of definitions, one bit each.
struct Group {
    /// By place and byte: those that may know a record that has the byte there.
    by_head: Box<[[u64; 256]; compile::HEAD_BYTES]>,
    /// The rarest bytes of the words that some look for, and who may know a record that has them.
    signs: [(u8, u64); SIGNS],
    /// Those that need none of these bytes.
    signless: u64,
}

impl Group {
    fn of(definitions: &[Definition]) -> Self {
        let set_of = |wanted: &dyn Fn(&Definition) -> bool| {
            let places = definitions.iter().enumerate();
            places.fold(0_u64, |set, (place, definition)| {
                set | u64::from(wanted(definition)) << place
            })
        };
        let mut by_head = Box::new([[0; 256]; compile::HEAD_BYTES]);
        for (place, by_byte) in by_head.iter_mut().enumerate() {
            for (byte, set) in (0..=u8::MAX).zip(by_byte) {
                *set = set_of(&|definition| definition.detect.may_have(place, byte));
            }
        }
        let mut bytes: Vec<u8> = definitions
            .iter()
            .flat_map(|definition| definition.detect.rarest_of_words())
            .collect();
        bytes.sort_unstable();
        bytes.dedup();
        // A definition that looks for others is asked each time.
        bytes.truncate(SIGNS);
        let mut signs = [(0, 0); SIGNS];
        for (sign, byte) in signs.iter_mut().zip(&bytes) {
            let has_it = |definition: &Definition| {
                let mut words = definition.detect.rarest_of_words();
                words.any(|rarest| rarest == *byte)
            };
            *sign = (*byte, set_of(&has_it));
        }
        let signless = set_of(&|definition| {
            let mut words = definition.detect.rarest_of_words().peekable();
            words.peek().is_none() || words.any(|rarest| !bytes.contains(&rarest))
        });
        Self {
            by_head,
            signs,
            signless,
        }
    }

    /// Those that may know a record.
    #[inline]
    fn candidates(&self, text: &str) -> u64 {
        let head = text.as_bytes();
        let mut by_head = u64::MAX;
        match head.first_chunk::<{ compile::HEAD_BYTES }>() {
            Some(head) => {
                for (by_byte, byte) in self.by_head.iter().zip(head) {
                    by_head &= by_byte[usize::from(*byte)];
                }
            }
            None => {
                for (by_byte, byte) in self.by_head.iter().zip(head) {
                    by_head &= by_byte[usize::from(*byte)];
                }
            }
        }
        if by_head & !self.signless == 0 {
            return by_head;
        }
        let bytes = self.signs.map(|(byte, _)| [byte]);
        let found = holds_any(bytes, compile::head_of(text).as_bytes());
        let mut by_sign = self.signless;
        for ((_, theirs), is_there) in self.signs.iter().zip(found) {
            if is_there {
                by_sign |= theirs;
            }
        }
        by_head & by_sign
    }
}

impl Table {
    fn new(definitions: Vec<Definition>) -> Self {
        let groups = definitions.chunks(GROUP).map(Group::of).collect();
        let mut programs: Vec<Vec<(&'static str, usize)>> = Vec::new();
        for (place, definition) in definitions.iter().enumerate() {
            for program in &definition.detect.programs {
                if programs.len() <= program.len() {
                    programs.resize(program.len() + 1, Vec::new());
                }
                // Of two definitions for one program the later one is taken.
                programs[program.len()].insert(0, (*program, place));
            }
        }
        Self {
            definitions,
            groups,
            programs,
        }
    }

    /// The first definition that knows the text by its first bytes; none knows an empty one.
    fn detect(&self, text: &str) -> Option<&Definition> {
        if text.is_empty() {
            return None;
        }
        self.groups.iter().enumerate().find_map(|(group, sets)| {
            let mut candidates = sets.candidates(text);
            while candidates != 0 {
                let place = group * GROUP + candidates.trailing_zeros() as usize;
                let definition = self.definitions.get(place)?;
                if definition.detect.knows(text) {
                    return Some(definition);
                }
                candidates &= candidates - 1;
            }
            None
        })
    }

    fn by_program(&self, program: &str) -> Option<&Definition> {
        if program.is_empty() {
            return None;
        }
        let same_length = self.programs.get(program.len())?;
        let first = program.as_bytes()[0].to_ascii_lowercase();
        let (_, place) = same_length
            .iter()
            .find(|(name, _)| name.as_bytes()[0] == first && name.eq_ignore_ascii_case(program))?;
        self.definitions.get(*place)
    }
}
