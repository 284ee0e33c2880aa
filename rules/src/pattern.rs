//! What values are compared with: text with wildcards, regular expressions, networks.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::fold::fold_text;

/// Whether letters that differ in case are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// Same: both sides are compared after [`fold_text`].
    Insensitive,
    /// Different.
    Sensitive,
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
                if let TextPart::Literal(text) = part
                    && let Cow::Owned(folded) = fold_text(text)
                {
                    *text = Arc::from(folded);
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
