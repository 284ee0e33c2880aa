//! Transformations of values that need no more than the value.

use crate::error::ErrorKind;
use crate::load::draft::{Extent, Placeholders, RegexValue, Value};
use crate::load::values::{Piece, Template};
use crate::pcre::{Flag, Flags};
use crate::rule::Number;

/// How a text becomes a regular expression: `regex`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum RegexMethod {
    Plain,
    IgnoreCaseFlag,
    IgnoreCaseBrackets,
}

/// The methods by name.
pub(super) const REGEX_METHODS: &[(&str, RegexMethod)] = &[
    ("plain", RegexMethod::Plain),
    ("ignore_case_flag", RegexMethod::IgnoreCaseFlag),
    ("ignore_case_brackets", RegexMethod::IgnoreCaseBrackets),
];

/// What `convert_type` makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TypeTarget {
    Text,
    Number,
}

/// The types by name.
pub(super) const TYPE_TARGETS: &[(&str, TypeTarget)] =
    &[("str", TypeTarget::Text), ("num", TypeTarget::Number)];

/// What `case` makes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CaseMethod {
    Lower,
    Upper,
    Snake,
}

/// The methods by name.
pub(super) const CASE_METHODS: &[(&str, CaseMethod)] = &[
    ("lower", CaseMethod::Lower),
    ("upper", CaseMethod::Upper),
    ("snake_case", CaseMethod::Snake),
];

impl RegexMethod {
    /// The expression for a text. An empty text stays.
    pub(super) fn apply(self, template: &Template) -> Result<Value, ErrorKind> {
        if template.pieces().is_empty() {
            return Ok(Value::Text(template.clone()));
        }
        let mut source = String::new();
        for piece in template.pieces() {
            match piece {
                Piece::Any => source.push_str(".*"),
                Piece::One => source.push('.'),
                Piece::Literal(bytes) => {
                    for c in String::from_utf8_lossy(bytes).chars() {
                        self.push(c, &mut source);
                    }
                }
                Piece::Placeholder(name) => {
                    return Err(ErrorKind::Value {
                        value: format!("%{name}%"),
                        reason: "a placeholder cannot become a regular expression; give it values before, with value_placeholders".to_owned(),
                    });
                }
            }
        }
        let insensitive = match self {
            Self::IgnoreCaseFlag => Flag::On,
            Self::Plain | Self::IgnoreCaseBrackets => Flag::Off,
        };
        Ok(Value::Regex(RegexValue {
            source,
            flags: Flags {
                insensitive,
                ..Flags::default()
            },
            placeholders: Placeholders::None,
            extent: Extent::Whole,
        }))
    }

    fn push(self, c: char, source: &mut String) {
        if self == Self::IgnoreCaseBrackets && c.is_alphabetic() {
            source.push('[');
            source.extend(c.to_lowercase());
            source.extend(c.to_uppercase());
            source.push(']');
            return;
        }
        // What Python's `re.escape` escapes.
        if "\t\n\r\u{b}\u{c} #$&()*+-.?[\\]^{|}~".contains(c) {
            source.push('\\');
        }
        source.push(c);
    }
}

impl TypeTarget {
    /// The value in the other type; none where it stays. An expansion is converted within.
    pub(super) fn apply(self, value: &Value) -> Result<Option<Value>, ErrorKind> {
        Ok(match (self, value) {
            (_, Value::Expansion(values)) => {
                let mut converted = Vec::with_capacity(values.len());
                for value in values {
                    converted.push(self.apply(value)?.unwrap_or_else(|| value.clone()));
                }
                Some(Value::Expansion(converted))
            }
            (Self::Text, Value::Number { number, .. }) => {
                Some(Value::Text(Template::parse(&number.to_string())))
            }
            (Self::Number, Value::Text(template)) => {
                let text = template.plain();
                let number = Number::parse(text.trim()).ok_or_else(|| ErrorKind::Value {
                    value: text.clone(),
                    reason: "is no number, and convert_type is to make one of it; restrict the transformation to fields of numbers".to_owned(),
                })?;
                Some(Value::Number { number, text })
            }
            _ => None,
        })
    }
}

impl CaseMethod {
    pub(super) fn apply(self, template: &Template) -> Template {
        template.map_literals(|text| {
            let text = match self {
                Self::Lower => text.to_lowercase(),
                Self::Upper => text.to_uppercase(),
                Self::Snake => snake(text),
            };
            vec![Piece::Literal(text.into_bytes())]
        })
    }
}

/// An underscore before each capital letter but a first one, and all in small letters.
fn snake(text: &str) -> String {
    let mut snake = String::with_capacity(text.len());
    for (index, c) in text.char_indices() {
        if index > 0 && c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}
