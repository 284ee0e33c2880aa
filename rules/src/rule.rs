//! What a rule is once it is read: names resolved, modifiers lowered, filters applied.
//!
//! The reader turns the many ways to write a value (wildcards, modifiers, lists, maps) into few
//! primitive tests under And, Or and Not, so that everything behind it (reference evaluator,
//! compiled engine, translation to SQL) has one small language to get right. What it takes to show
//! a rule to people (the named searches, the text) stays beside it.
//!
//! | written | read |
//! |---|---|
//! | list of values | `Or`; `And` with `all` |
//! | map | `And` of its items |
//! | list of maps | `Or` of them |
//! | `contains`, `startswith`, `endswith` | `*` around the pattern |
//! | `windash`, `base64offset`, placeholders | `Or` of several patterns |
//! | `base64`, `utf16le`, `utf16be`, `utf16`, `wide` | the encoded pattern |
//! | `neq` | `Not` around the item |
//! | a keyword | `Keyword` with `*` on both sides of the pattern |
//! | a list of conditions | `Or` of them |

use std::fmt;
use std::sync::Arc;

use citywatch_parsers::LogSource;

pub use crate::number::{CompareOp, Number};
pub use crate::pattern::{Case, CidrBlock, RegexPattern, Shape, TextPart, TextPattern};

/// A Sigma rule: which events it is about and what must hold for one of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Who it is.
    pub meta: Meta,
    /// The events that it speaks of, lower-case; empty parts mean any.
    pub log_source: LogSource<'static>,
    /// The search identifiers in the order of the rule, those of its filters last (their names
    /// carry the filter's name: `filter-title/selection`).
    pub searches: Vec<Search>,
    /// What must hold: the whole rule with the searches inlined and the filters applied.
    pub condition: Expr,
    /// The same as written, with the searches by name: for explaining, one per filter after the rule's own.
    pub conditions: Vec<ConditionText>,
    /// `fields`: what the author wants to be shown.
    pub fields: Vec<Arc<str>>,
}

/// A named search of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Its name in the condition.
    pub name: Arc<str>,
    /// What must hold.
    pub expr: Expr,
    /// Where it is written.
    pub position: Position,
}

/// A condition as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionText {
    /// The text.
    pub text: Arc<str>,
    /// Where it is written.
    pub position: Position,
}

/// A place in a rule file, both counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line in the file.
    pub line: u32,
    /// Column in the line.
    pub column: u32,
}

/// The identity of a rule: its `id`, or where it has none, `name`, or a hash of its title.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub Arc<str>);

impl RuleId {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What rules and correlations say about themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Identity.
    pub id: RuleId,
    /// `name`: what correlations and filters may call it.
    pub name: Option<Arc<str>>,
    /// `title`.
    pub title: Arc<str>,
    /// `description`; empty when there is none.
    pub description: Arc<str>,
    /// `status`.
    pub status: Option<Status>,
    /// `level`.
    pub level: Option<Level>,
    /// `author`; empty when there is none.
    pub author: Arc<str>,
    /// `date`, as written.
    pub date: Arc<str>,
    /// `modified`, as written.
    pub modified: Arc<str>,
    /// `tags`.
    pub tags: Vec<Arc<str>>,
    /// `references`.
    pub references: Vec<Arc<str>>,
    /// `falsepositives`.
    pub false_positives: Vec<Arc<str>>,
    /// `taxonomy`; `sigma` when there is none.
    pub taxonomy: Arc<str>,
    /// The file that it was read from.
    pub path: Arc<str>,
    /// Where it begins in the file.
    pub position: Position,
    /// The rule as it was written: its own YAML document, without those beside it.
    pub text: Arc<str>,
    /// The hash of what filters and pipelines made of the rule, if there were any.
    pub changed_hash: Option<Arc<str>>,
    /// Whether matches of this rule alone become alerts. A rule that a correlation refers to has
    /// none of its own, unless a correlation that refers to it says `generate: true`
    /// (correlation specification, "Generate").
    pub alerts: Alerts,
}

impl Meta {
    /// Which version of rule, filters and pipelines matched: SHA-256 of `text`, lower-case hexadecimal; with filters,
    /// for each in turn SHA-256 of the hash so far and the filter's own, and the same with the pipelines' text.
    pub fn content_hash(&self) -> Arc<str> {
        match &self.changed_hash {
            Some(hash) => Arc::clone(hash),
            None => Arc::from(crate::load::sha256_hex([self.text.as_bytes()])),
        }
    }
}

/// Whether a rule's own matches become alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alerts {
    /// Each match is an alert.
    #[default]
    Own,
    /// Matches only feed correlations.
    OnlyCorrelated,
}

/// `status` (rules specification, "Status").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Status {
    Stable,
    Test,
    Experimental,
    Deprecated,
    Unsupported,
}

/// `level` (rules specification, "Level"), ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Status {
    /// All of them with their names.
    pub const ALL: &[(&str, Self)] = &[
        ("stable", Self::Stable),
        ("test", Self::Test),
        ("experimental", Self::Experimental),
        ("deprecated", Self::Deprecated),
        ("unsupported", Self::Unsupported),
    ];
}

impl Level {
    /// All of them with their names.
    pub const ALL: &[(&str, Self)] = &[
        ("informational", Self::Informational),
        ("low", Self::Low),
        ("medium", Self::Medium),
        ("high", Self::High),
        ("critical", Self::Critical),
    ];

    /// As written in rules.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

/// What must hold for an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// All of them; true when empty.
    And(Vec<Expr>),
    /// At least one of them; false when empty.
    Or(Vec<Expr>),
    /// It does not hold. An absent field makes a test false and so this true.
    Not(Box<Expr>),
    /// A field passes a test.
    Field(FieldTest),
    /// Some value of the event, or its raw text, passes a test. Only [`Test::Text`] (with `*` at
    /// both ends unless it was written with its own) and [`Test::Regex`] occur.
    Keyword(Test),
    /// Always or never.
    Const(bool),
}

/// A test of one field. A list passes when one of its elements does ([`Test::Exists`] looks at the
/// field itself).
#[derive(Clone, Debug, PartialEq)]
pub struct FieldTest {
    /// The field's name, exact.
    pub field: Arc<str>,
    /// The test.
    pub test: Test,
}

/// A test of one value. Absent fields fail all but [`Test::Null`] and `Exists(Presence::Absent)`.
/// Null values fail all but [`Test::Null`] and `Exists(Presence::Present)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The whole value, as text, fits the pattern. Numbers and booleans are compared as text.
    Text(TextPattern),
    /// The regular expression is found somewhere in the value, as text.
    Regex(RegexPattern),
    /// The value is text that is an IP address in this network. IPv4-mapped IPv6 addresses count as IPv4.
    Cidr(CidrBlock),
    /// The value, a number or a numeric string, compares so.
    Compare {
        /// How, value on the left.
        op: CompareOp,
        /// With what.
        number: Number,
    },
    /// The value is this number, or a numeric string of this number.
    Number(Number),
    /// The value is this boolean, or `true`/`false` as text in any case.
    Bool(bool),
    /// The field is there, whatever its value (also null), or it is not.
    Exists(Presence),
    /// The field is absent or its value null.
    Null,
    /// The value, as text, stands in this relation to that of another field of the same event.
    FieldRef(FieldRef),
    /// A part of the value, a date as text, compares so. The part is taken as written, without
    /// regard to time zones.
    TimePart {
        /// Which part.
        part: TimePart,
        /// How, value on the left.
        op: CompareOp,
        /// With what.
        number: Number,
    },
}

/// Whether a field must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Presence {
    Present,
    Absent,
}

/// A part of a date (modifiers specification, "Time Modifiers").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Of the month, 1 to 31.
    Day,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// As it is.
    Year,
}

/// A comparison with another field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRef {
    /// The other field.
    pub field: Arc<str>,
    /// What this field's text must do to the other's.
    pub relation: Relation,
    /// Whether case counts.
    pub case: Case,
}

/// A relation of two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Relation {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
}

impl Expr {
    /// Number of expressions in it, itself included.
    pub(crate) fn parts(&self) -> usize {
        let mut parts = 0;
        self.walk(&mut |_| parts += 1);
        parts
    }

    /// Calls `visit` with this and every expression in it, outer ones first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match self {
            Self::And(children) | Self::Or(children) => {
                children.iter().for_each(|child| child.walk(visit));
            }
            Self::Not(child) => child.walk(visit),
            Self::Field(_) | Self::Keyword(_) | Self::Const(_) => {}
        }
    }
}
