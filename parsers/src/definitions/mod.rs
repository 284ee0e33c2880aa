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

use crate::bytes::find_any;
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
    /// By the first byte of a record: the definitions that may know it.
    by_first: Vec<Vec<usize>>,
    /// The same without those that look for words only.
    by_first_wordless: Vec<Vec<usize>>,
    /// The rarest bytes of the words that others look for, when three are enough: where a record has none of them, it is theirs not.
    signs: Option<[u8; 3]>,
    /// By the length of a syslog program's name: names in lower case, and whose they are.
    programs: Vec<Vec<(&'static str, usize)>>,
}

impl Table {
    fn new(definitions: Vec<Definition>) -> Self {
        let by_first = |wanted: &dyn Fn(&Definition) -> bool| -> Vec<Vec<usize>> {
            let firsts = 0..=u8::MAX;
            let lists = firsts.map(|first| {
                let places = definitions.iter().enumerate();
                places
                    .filter(|(_, definition)| {
                        definition.detect.may_begin_with(first) && wanted(definition)
                    })
                    .map(|(place, _)| place)
                    .collect()
            });
            lists.collect()
        };
        let mut signs: Vec<u8> = definitions
            .iter()
            .flat_map(|definition| definition.detect.rarest_of_words())
            .collect();
        signs.sort_unstable();
        signs.dedup();
        let signs = match signs[..] {
            [a] => Some([a, a, a]),
            [a, b] => Some([a, b, b]),
            [a, b, c] => Some([a, b, c]),
            _ => None,
        };
        let (by_first, by_first_wordless) = (
            by_first(&|_| true),
            by_first(&|definition| definition.detect.rarest_of_words().next().is_none()),
        );
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
            by_first,
            by_first_wordless,
            signs,
            programs,
        }
    }

    fn detect(&self, text: &str) -> Option<&Definition> {
        let first = *text.as_bytes().first()?;
        let no_words = self.signs.is_some_and(|[a, b, c]| {
            find_any([a, b, c], compile::head_of(text).as_bytes()).is_none()
        });
        let by_first = if no_words {
            &self.by_first_wordless
        } else {
            &self.by_first
        };
        by_first[usize::from(first)]
            .iter()
            .map(|place| &self.definitions[*place])
            .find(|definition| definition.detect.knows(first, text))
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
