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
use std::net::IpAddr;
use std::sync::Arc;

use citywatch_parsers::LogSource;

use crate::fold::fold_text;

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
    /// SHA-256 of `text`, lower-case hexadecimal; with filters, for each in turn SHA-256 of the hash so far
    /// and the filter's text: which version of rule and filters matched.
    pub content_hash: Arc<str>,
    /// Whether matches of this rule alone become alerts. A rule that a correlation refers to has
    /// none of its own, unless a correlation that refers to it says `generate: true`
    /// (correlation specification, "Generate").
    pub alerts: Alerts,
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

/// Whether letters that differ in case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// Same: both sides are compared after [`fold_text`].
    Insensitive,
    /// Different.
    Sensitive,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CompareOp {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
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

/// A number of a rule. Whole numbers stay exact.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// A whole number in the range of `i64` and `u64` together.
    Int(i128),
    /// Any other; always finite.
    Float(f64),
}

/// A pattern that a whole text must fit: literal parts and wildcards.
///
/// Parts never touch parts of the same kind where they could be one: no two literals in a row, no
/// empty literal, no two `*` in a row, and `?` before `*` where both stand together. No parts at
/// all: only the empty text fits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TextPattern {
    parts: Vec<TextPart>,
    case: Case,
}

/// A part of a [`TextPattern`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TextPart {
    /// This text; folded by [`fold_text`] in a case-insensitive pattern.
    Literal(Arc<str>),
    /// `?`: exactly one character (Unicode scalar value), whichever it is.
    One,
    /// `*`: any number of characters, none included.
    Any,
}

/// A [`TextPattern`] that is one of the simple shapes that nearly all patterns have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// `text` (also empty).
    Equals(&'a str),
    /// `text*`.
    StartsWith(&'a str),
    /// `*text`.
    EndsWith(&'a str),
    /// `*text*`.
    Contains(&'a str),
    /// `*`: any text.
    Anything,
    /// Anything else.
    Other,
}

/// A regular expression in the syntax of the `regex` crate, translated from the PCRE that the rule
/// has, and compiled there.
#[derive(Clone, Debug)]
pub struct RegexPattern {
    /// As written in the rule.
    pub source: Arc<str>,
    /// Translated, with the flags in front: `(?is)...`.
    pub pattern: Arc<str>,
    /// Compiled from `pattern`.
    pub regex: regex::Regex,
}

impl PartialEq for RegexPattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.pattern == other.pattern
    }
}

impl Eq for RegexPattern {}

impl std::hash::Hash for RegexPattern {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.source.hash(state);
        self.pattern.hash(state);
    }
}

/// An IP network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CidrBlock {
    network: IpAddr,
    prefix_bits: u8,
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

impl CompareOp {
    /// Whether `left op right`, given how left compares with right.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}

impl TextPattern {
    /// A pattern of these parts, put into the canonical form described at the type.
    pub fn new(parts: impl IntoIterator<Item = TextPart>, case: Case) -> Self {
        let mut canonical: Vec<TextPart> = Vec::new();
        for part in parts {
            match (part, canonical.last_mut()) {
                (TextPart::Literal(text), _) if text.is_empty() => {}
                (TextPart::Literal(text), Some(TextPart::Literal(before))) => {
                    *before = Arc::from(format!("{before}{text}"));
                }
                (TextPart::Any, Some(TextPart::Any)) => {}
                (TextPart::One, Some(TextPart::Any)) => {
                    canonical.insert(canonical.len() - 1, TextPart::One);
                }
                (part, _) => canonical.push(part),
            }
        }
        if case == Case::Insensitive {
            for part in &mut canonical {
                if let TextPart::Literal(text) = part {
                    *text = Arc::from(fold_text(text).as_ref());
                }
            }
        }
        Self {
            parts: canonical,
            case,
        }
    }

    /// The parts, in canonical form.
    pub fn parts(&self) -> &[TextPart] {
        &self.parts
    }

    /// Whether case counts.
    pub fn case(&self) -> Case {
        self.case
    }

    /// Which simple shape it has.
    pub fn shape(&self) -> Shape<'_> {
        use TextPart::{Any, Literal};
        match self.parts.as_slice() {
            [] => Shape::Equals(""),
            [Any] => Shape::Anything,
            [Literal(text)] => Shape::Equals(text),
            [Literal(text), Any] => Shape::StartsWith(text),
            [Any, Literal(text)] => Shape::EndsWith(text),
            [Any, Literal(text), Any] => Shape::Contains(text),
            _ => Shape::Other,
        }
    }
}

impl fmt::Display for TextPattern {
    /// In Sigma's syntax, wildcards and backslashes of literals escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                TextPart::Literal(text) => {
                    for c in text.chars() {
                        if matches!(c, '*' | '?' | '\\') {
                            f.write_str("\\")?;
                        }
                        write!(f, "{c}")?;
                    }
                }
                TextPart::One => f.write_str("?")?,
                TextPart::Any => f.write_str("*")?,
            }
        }
        Ok(())
    }
}

impl CidrBlock {
    /// The network that `address` with `prefix_bits` lies in; host bits are cleared. An IPv4-mapped
    /// IPv6 network of at least 96 bits becomes the IPv4 network. `None` when the prefix is too long.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        match address {
            IpAddr::V4(v4) if prefix_bits <= 32 => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(prefix_bits))
                    .unwrap_or(0);
                Some(Self {
                    network: IpAddr::V4((v4.to_bits() & mask).into()),
                    prefix_bits,
                })
            }
            IpAddr::V6(v6) if prefix_bits <= 128 => match v6.to_ipv4_mapped() {
                Some(v4) if prefix_bits >= 96 => Self::new(IpAddr::V4(v4), prefix_bits - 96),
                _ => {
                    let mask = u128::MAX
                        .checked_shl(128 - u32::from(prefix_bits))
                        .unwrap_or(0);
                    Some(Self {
                        network: IpAddr::V6((v6.to_bits() & mask).into()),
                        prefix_bits,
                    })
                }
            },
            _ => None,
        }
    }

    /// The first address.
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// Length of the prefix in bits, 0 to 32 or 128.
    pub fn prefix_bits(&self) -> u8 {
        self.prefix_bits
    }

    /// Whether `address` is in it. An IPv4-mapped IPv6 address counts as its IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match (self.network, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                Self::new(address, self.prefix_bits)
                    .is_some_and(|block| block.network == self.network)
            }
            _ => false,
        }
    }
}

impl fmt::Display for CidrBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix_bits)
    }
}

impl Number {
    /// A finite number; `None` for NaN and infinities.
    pub fn from_f64(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Float(number))
    }

    /// Reads `-?digits[.digits][e[+-]digits]` and nothing else: no spaces, no `+`, no hexadecimal.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        if digits(unsigned) && unsigned.len() <= 20 {
            return text.parse().ok().map(Self::Int);
        }
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (unsigned, None),
        };
        let exponent_ok = exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)));
        let mantissa_ok = match mantissa.split_once('.') {
            Some((whole, fraction)) => digits(whole) && digits(fraction),
            None => digits(mantissa),
        };
        if exponent_ok && mantissa_ok {
            text.parse().ok().and_then(Self::from_f64)
        } else {
            None
        }
    }

    /// As a float, rounded where it must be.
    pub fn to_f64(self) -> f64 {
        match self {
            #[allow(
                clippy::cast_precision_loss,
                reason = "that is what the function is for"
            )]
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    /// By value: exact among whole numbers and between whole numbers and floats.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        use std::cmp::Ordering;
        match (*self, *other) {
            (Self::Int(left), Self::Int(right)) => left.cmp(&right),
            // Floats are finite by construction; NaN built by hand is a bug and sorts as equal.
            (Self::Float(left), Self::Float(right)) => {
                left.partial_cmp(&right).unwrap_or(Ordering::Equal)
            }
            (Self::Float(_), Self::Int(_)) => other.cmp(self).reverse(),
            (Self::Int(left), Self::Float(right)) => {
                // Beyond 2^100 no whole number that we hold is near; below it the floor is exact.
                if right >= 2f64.powi(100) {
                    Ordering::Less
                } else if right <= -(2f64.powi(100)) {
                    Ordering::Greater
                } else {
                    #[allow(
                        clippy::cast_possible_truncation,
                        reason = "the range was checked above"
                    )]
                    let floor = right.floor() as i128;
                    left.cmp(&floor).then(if right > right.floor() {
                        Ordering::Less
                    } else {
                        Ordering::Equal
                    })
                }
            }
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number}"),
        }
    }
}
