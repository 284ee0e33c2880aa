//! Items of a search: a field with its modifiers and values (modifiers specification).

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::allowance::Allowance;
use super::draft::{DraftItem, Extent, Link, Placeholders, RegexValue, Value};
use super::modifiers::{MODIFIERS, Modifier, RegexFlag};
use super::values::Template;
use crate::error::{ErrorKind, Problem, nearest};
use crate::pcre::{Flag, Flags};
use crate::rule::{Case, CidrBlock, CompareOp, Number, Position, Presence, Relation, TimePart};
use crate::yaml::{Kind, Node, Resolved, Scalar};

/// Patterns that one item may stand for where that is more than it has values.
pub(super) const PATTERNS_MAX: usize = 10_000;
/// Bytes that they may have where there are more of them than values.
const PATTERN_BYTES_MAX: usize = 16 << 20;

/// A key of a search: a field (none for keywords) with its modifiers.
pub(super) struct Item {
    field: Option<Arc<str>>,
    modifiers: Vec<(&'static str, Modifier)>,
    position: Position,
}

/// How the values of an item are tested.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Text,
    Regex(Flags),
    Cidr,
    Exists,
    FieldRef,
    Compare(CompareOp),
    Time(TimePart, CompareOp),
}

impl Item {
    /// A keyword without modifiers.
    pub(super) fn keyword() -> Self {
        Self {
            field: None,
            modifiers: Vec::new(),
            position: Position::default(),
        }
    }

    /// Reads `field|modifier|modifier`.
    pub(super) fn parse(key: &str, position: Position) -> Result<Self, Problem> {
        let mut words = key.split('|');
        let field = words
            .next()
            .filter(|field| !field.is_empty())
            .map(Arc::from);
        let mut modifiers: Vec<(&'static str, Modifier)> = Vec::new();
        // Where the modifier stands: keys are written in one line nearly always.
        let mut column = position.column + count(key.split('|').next().unwrap_or("")) + 1;
        for word in words {
            let at = Position {
                line: position.line,
                column,
            };
            column += count(word) + 1;
            match MODIFIERS.iter().find(|(name, _)| *name == word) {
                Some(&(name, _)) if modifiers.iter().any(|&(other, _)| other == name) => {
                    let reason = "is written twice; remove one".to_owned();
                    return Err(Problem::new(
                        at,
                        ErrorKind::Modifier {
                            modifier: name,
                            reason,
                        },
                    ));
                }
                Some(&found) => modifiers.push(found),
                None => {
                    let suggestion = nearest(word, MODIFIERS.iter().map(|(name, _)| *name));
                    return Err(Problem::new(
                        at,
                        ErrorKind::UnknownModifier {
                            modifier: word.to_owned(),
                            suggestion,
                        },
                    ));
                }
            }
        }
        Ok(Self {
            field,
            modifiers,
            position,
        })
    }

    fn has(&self, modifier: Modifier) -> bool {
        self.modifiers.iter().any(|&(_, other)| other == modifier)
    }

    fn case(&self) -> Case {
        if self.has(Modifier::Cased) {
            Case::Sensitive
        } else {
            Case::Insensitive
        }
    }

    /// The item with these values, modifiers applied.
    pub(super) fn draft(
        &self,
        node: &Node,
        allowance: &Allowance<'_>,
    ) -> Result<DraftItem, Problem> {
        let operator = self.operator()?;
        let nodes: &[Rc<Node>] = match &node.kind {
            Kind::List(items) if items.is_empty() => {
                return Err(node.wrong("the value", "a value or a list of at least one"));
            }
            Kind::List(items) => items,
            _ => &[],
        };
        let all = self.has(Modifier::All);
        if all && nodes.len() < 2 && !self.has(Modifier::Expand) {
            // Modifiers specification: "Single item values are not allowed to have an `all` modifier".
            return Err(self.misused("all", "needs a list of two values or more; remove it"));
        }
        let is_plain_keyword = self.field.is_none() && self.modifiers.is_empty();
        let mut values = Vec::with_capacity(nodes.len().max(1));
        if nodes.is_empty() {
            values.push((self.value(operator, node, allowance)?, node.position));
        }
        for value in nodes {
            if let Kind::Scalar(scalar) = &value.kind
                && scalar.value == Resolved::Null
                && !is_plain_keyword
            {
                let reason = "null cannot be part of a list (rules specification, \"Special Field Values\"); \
                              write a search of its own and join the two in the condition";
                let kind = ErrorKind::Value {
                    value: scalar.text.clone(),
                    reason: reason.to_owned(),
                };
                return Err(Problem::new(value.position, kind));
            }
            values.push((self.value(operator, value, allowance)?, value.position));
        }
        Ok(DraftItem {
            field: self.field.clone(),
            values,
            link: if all { Link::All } else { Link::Any },
            negated: self.has(Modifier::Neq),
            case: self.case(),
            position: if is_plain_keyword {
                node.position
            } else {
                self.position
            },
            processed_by: Vec::new(),
        })
    }

    /// A value once the modifiers are applied.
    fn value(
        &self,
        operator: Operator,
        node: &Node,
        allowance: &Allowance<'_>,
    ) -> Result<Value, Problem> {
        let Kind::Scalar(scalar) = &node.kind else {
            return Err(node.wrong("the value", "a single value or a list of them"));
        };
        self.scalar(operator, scalar, allowance)
            .map_err(|kind| Problem::new(node.position, kind))
    }

    fn misused(&self, modifier: &'static str, reason: &str) -> Problem {
        Problem::new(
            self.position,
            ErrorKind::Modifier {
                modifier,
                reason: reason.to_owned(),
            },
        )
    }

    /// Which operator the modifiers make, if they can stand together.
    fn operator(&self) -> Result<Operator, Problem> {
        let mut operator = Operator::Text;
        let mut operator_name = "";
        for &(name, modifier) in &self.modifiers {
            let next = match (modifier, operator) {
                (Modifier::RegexFlag(flag), Operator::Regex(flags)) => {
                    Operator::Regex(flags.with(flag))
                }
                (Modifier::RegexFlag(_), _) => {
                    return Err(
                        self.misused(name, "is a flag of re and must come behind it: |re|i")
                    );
                }
                (Modifier::Compare(op), Operator::Time(part, CompareOp::Equal)) => {
                    Operator::Time(part, op)
                }
                (Modifier::Time(part), Operator::Compare(op)) => Operator::Time(part, op),
                (Modifier::Re, Operator::Text) => Operator::Regex(Flags::default()),
                (Modifier::Cidr, Operator::Text) => Operator::Cidr,
                (Modifier::Exists, Operator::Text) => Operator::Exists,
                (Modifier::FieldRef, Operator::Text) => Operator::FieldRef,
                (Modifier::Compare(op), Operator::Text) => Operator::Compare(op),
                (Modifier::Time(part), Operator::Text) => Operator::Time(part, CompareOp::Equal),
                (
                    Modifier::Re
                    | Modifier::Cidr
                    | Modifier::Exists
                    | Modifier::FieldRef
                    | Modifier::Compare(_)
                    | Modifier::Time(_),
                    _,
                ) => {
                    return Err(self.misused(
                        name,
                        &format!("cannot stand beside {operator_name}; keep one of them"),
                    ));
                }
                _ => continue,
            };
            operator = next;
            operator_name = name;
        }
        self.check_beside(operator, operator_name)?;
        Ok(operator)
    }

    /// Whether the modifiers that are no operators can stand beside the operator.
    fn check_beside(&self, operator: Operator, operator_name: &str) -> Result<(), Problem> {
        let mut relation = "";
        for &(name, modifier) in &self.modifiers {
            let fits = match modifier {
                Modifier::Contains | Modifier::StartsWith | Modifier::EndsWith => {
                    if !relation.is_empty() {
                        return Err(self.misused(
                            name,
                            &format!("cannot stand beside {relation}; keep one of them"),
                        ));
                    }
                    relation = name;
                    matches!(operator, Operator::Text | Operator::FieldRef)
                }
                Modifier::Windash
                | Modifier::Base64
                | Modifier::Base64Offset
                | Modifier::Utf16(_) => operator == Operator::Text,
                Modifier::Cased => matches!(operator, Operator::Text | Operator::FieldRef),
                Modifier::Expand => matches!(
                    operator,
                    Operator::Text | Operator::Regex(_) | Operator::Cidr
                ),
                Modifier::All => operator != Operator::Exists,
                _ => true,
            };
            if !fits {
                let reason = match modifier {
                    Modifier::Cased => format!("means nothing beside {operator_name}; remove it"),
                    _ if matches!(operator, Operator::Regex(_)) => {
                        "cannot stand beside re: a regular expression is searched anywhere, use ^ and $; remove it".to_owned()
                    }
                    _ => format!("is for text and cannot stand beside {operator_name}; remove one of them"),
                };
                return Err(self.misused(name, &reason));
            }
        }
        if self.field.is_none() && !matches!(operator, Operator::Text | Operator::Regex(_)) {
            let name = self
                .modifiers
                .iter()
                .map(|&(name, _)| name)
                .find(|&name| name == operator_name);
            return Err(self.misused(
                name.unwrap_or("exists"),
                "needs a field before it: field|modifier",
            ));
        }
        Ok(())
    }

    fn scalar(
        &self,
        operator: Operator,
        scalar: &Scalar,
        allowance: &Allowance<'_>,
    ) -> Result<Value, ErrorKind> {
        let placeholders = if self.has(Modifier::Expand) {
            Placeholders::Written
        } else {
            Placeholders::None
        };
        Ok(match operator {
            Operator::Text => self.text_value(scalar, allowance)?,
            Operator::Regex(flags) => Value::Regex(RegexValue {
                source: not_null(scalar, "a regular expression")?.to_owned(),
                flags,
                placeholders,
                extent: Extent::Anywhere,
            }),
            Operator::Cidr => Value::Cidr {
                text: not_null(scalar, "a network such as 10.0.0.0/8")?.to_owned(),
                placeholders,
            },
            Operator::Exists => match (scalar.value, scalar.text.to_lowercase().as_str()) {
                (Resolved::Bool(true), _) | (_, "yes") => Value::Exists(Presence::Present),
                (Resolved::Bool(false), _) | (_, "no") => Value::Exists(Presence::Absent),
                _ => return Err(value_error(scalar, "exists takes true or false")),
            },
            Operator::FieldRef => Value::FieldRef {
                field: Arc::from(not_null(scalar, "the name of a field")?),
                relation: if self.has(Modifier::Contains) {
                    Relation::Contains
                } else if self.has(Modifier::StartsWith) {
                    Relation::StartsWith
                } else if self.has(Modifier::EndsWith) {
                    Relation::EndsWith
                } else {
                    Relation::Equals
                },
            },
            Operator::Compare(op) => Value::Compare {
                op,
                number: number(scalar)?,
            },
            Operator::Time(part, op) => {
                let number = number(scalar)?;
                check_time_part(part, number, scalar)?;
                Value::Time { part, op, number }
            }
        })
    }

    fn text_value(&self, scalar: &Scalar, allowance: &Allowance<'_>) -> Result<Value, ErrorKind> {
        let is_text_only = |modifier: &Modifier| {
            matches!(
                modifier,
                Modifier::Windash | Modifier::Base64 | Modifier::Base64Offset | Modifier::Utf16(_)
            )
        };
        let shaped = [Modifier::Contains, Modifier::StartsWith, Modifier::EndsWith]
            .iter()
            .any(|&m| self.has(m));
        let text_only = self
            .modifiers
            .iter()
            .find(|(_, modifier)| is_text_only(modifier));
        if scalar.value != Resolved::Text
            && let Some(&(modifier, _)) = text_only
        {
            let reason = format!(
                "is for text, but {:?} is none; put it in quotes to mean the text",
                scalar.text
            );
            return Err(ErrorKind::Modifier { modifier, reason });
        }
        let text = || scalar.text.clone();
        Ok(match scalar.value {
            Resolved::Null if self.field.is_none() => {
                let reason = "null cannot be searched for; write a text";
                return Err(value_error(scalar, reason));
            }
            Resolved::Null if shaped => {
                let reason = "null has no text to compare; remove the modifiers";
                return Err(value_error(scalar, reason));
            }
            Resolved::Null => Value::Null,
            Resolved::Bool(value) if !shaped => Value::Bool {
                value,
                text: text(),
            },
            Resolved::Number(number) if !shaped => Value::Number {
                number,
                text: text(),
            },
            _ => self.templates(&scalar.text, allowance)?,
        })
    }

    /// The value after its modifiers, in their order. Placeholders stay, for pipelines to fill, unless an encoding
    /// needs their values.
    fn templates(&self, text: &str, allowance: &Allowance<'_>) -> Result<Value, ErrorKind> {
        let is_encoding = |&(_, modifier): &(_, Modifier)| {
            matches!(
                modifier,
                Modifier::Windash | Modifier::Base64 | Modifier::Base64Offset | Modifier::Utf16(_)
            )
        };
        let mut templates = if !self.has(Modifier::Expand) {
            vec![Template::parse(text)]
        } else if self.modifiers.iter().any(is_encoding) {
            Template::with_placeholders(text).expanded(allowance.options)?
        } else {
            vec![Template::with_placeholders(text)]
        };
        let mut is_one = templates.len() == 1;
        for &(_, modifier) in &self.modifiers {
            let mut next = Vec::with_capacity(templates.len());
            for template in templates {
                match modifier {
                    Modifier::Contains => next.push(template.any_before().any_behind()),
                    Modifier::StartsWith => next.push(template.any_behind()),
                    Modifier::EndsWith => next.push(template.any_before()),
                    Modifier::Windash => next.extend(template.windash()?),
                    Modifier::Base64 => next.push(template.base64()?),
                    Modifier::Base64Offset => next.extend(template.base64_offsets()?),
                    Modifier::Utf16(encoding) => next.push(template.utf16(encoding)?),
                    _ => next.push(template),
                }
                if next.len() > PATTERNS_MAX {
                    return Err(ErrorKind::TooManyPatterns {
                        patterns: next.len(),
                        patterns_max: PATTERNS_MAX,
                    });
                }
            }
            is_one &= !matches!(modifier, Modifier::Windash | Modifier::Base64Offset);
            templates = next;
        }
        allowance.take_text(templates.iter().map(Template::bytes).sum())?;
        Ok(match templates.pop() {
            Some(template) if is_one => Value::Text(template),
            last => {
                templates.extend(last);
                Value::Expansion(templates.into_iter().map(Value::Text).collect())
            }
        })
    }
}

impl Flags {
    fn with(mut self, flag: RegexFlag) -> Self {
        match flag {
            RegexFlag::Insensitive => self.insensitive = Flag::On,
            RegexFlag::MultiLine => self.multi_line = Flag::On,
            RegexFlag::SingleLine => self.single_line = Flag::On,
        }
        self
    }
}

/// Whether patterns of so many bytes are not too much for one item.
pub(super) fn check_bytes(bytes: usize) -> Result<(), ErrorKind> {
    if bytes > PATTERN_BYTES_MAX {
        return Err(ErrorKind::TooLongPatterns {
            bytes,
            bytes_max: PATTERN_BYTES_MAX,
        });
    }
    Ok(())
}

fn count(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

fn value_error(scalar: &Scalar, reason: &str) -> ErrorKind {
    ErrorKind::Value {
        value: scalar.text.clone(),
        reason: reason.to_owned(),
    }
}

fn not_null<'a>(scalar: &'a Scalar, what: &str) -> Result<&'a str, ErrorKind> {
    match scalar.value {
        Resolved::Null => Err(value_error(scalar, &format!("there must be {what}"))),
        _ => Ok(&scalar.text),
    }
}

/// "The modifiers listed in this section can only be applied to numeric values."
fn number(scalar: &Scalar) -> Result<Number, ErrorKind> {
    match scalar.value {
        Resolved::Number(number) => Ok(number),
        Resolved::Text if Number::parse(&scalar.text).is_some() => Err(value_error(
            scalar,
            "is text, but must be a number; write it without quotes",
        )),
        _ => Err(value_error(scalar, "must be a number")),
    }
}

fn check_time_part(part: TimePart, number: Number, scalar: &Scalar) -> Result<(), ErrorKind> {
    let (from, to) = match part {
        TimePart::Minute => (0, 59),
        TimePart::Hour => (0, 23),
        TimePart::Day => (1, 31),
        TimePart::Week => (1, 53),
        TimePart::Month => (1, 12),
        TimePart::Year => (0, 9999),
    };
    match number {
        Number::Int(value) if (from..=to).contains(&value) => Ok(()),
        _ => Err(value_error(
            scalar,
            &format!("must be a whole number from {from} to {to}"),
        )),
    }
}

pub(super) fn parse_cidr(text: &str) -> Result<CidrBlock, ErrorKind> {
    let problem = |reason: String| ErrorKind::Value {
        value: text.to_owned(),
        reason,
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| {
        problem("is no network; write one such as 10.0.0.0/8 or fe80::/10".to_owned())
    })?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match prefix {
        None => bits_max,
        Some(prefix) => prefix
            .parse()
            .ok()
            .filter(|_| prefix.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| {
                problem(format!(
                    "behind / stands the number of bits, 0 to {bits_max}"
                ))
            })?,
    };
    let block = CidrBlock::new(address, prefix_bits).ok_or_else(|| {
        problem(format!(
            "behind / stands the number of bits, 0 to {bits_max}"
        ))
    })?;
    // A mistake more often than not, and an error in Python's ipaddress, which pySigma uses.
    if block.network() != address && block.network() != address.to_canonical() {
        return Err(problem(format!(
            "has bits set beyond its prefix; did you mean {block}?"
        )));
    }
    Ok(block)
}
