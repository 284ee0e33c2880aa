//! The modifiers by name (modifiers specification).

use super::values::Utf16;
use crate::rule::{CompareOp, TimePart};

/// A modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modifier {
    All,
    Neq,
    Cased,
    Expand,
    Contains,
    StartsWith,
    EndsWith,
    Windash,
    Base64,
    Base64Offset,
    Utf16(Utf16Kind),
    Re,
    RegexFlag(RegexFlag),
    Cidr,
    Exists,
    FieldRef,
    Compare(CompareOp),
    Time(TimePart),
}

/// Which UTF-16.
pub(crate) type Utf16Kind = super::values::Utf16;

/// A flag behind `re`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegexFlag {
    Insensitive,
    MultiLine,
    SingleLine,
}

/// All modifiers with their names; `ignorecase`, `multiline` and `dotall` are pySigma's long forms.
pub(crate) const MODIFIERS: &[(&str, Modifier)] = &[
    ("all", Modifier::All),
    ("startswith", Modifier::StartsWith),
    ("endswith", Modifier::EndsWith),
    ("contains", Modifier::Contains),
    ("exists", Modifier::Exists),
    ("cased", Modifier::Cased),
    ("neq", Modifier::Neq),
    ("windash", Modifier::Windash),
    ("re", Modifier::Re),
    ("i", Modifier::RegexFlag(RegexFlag::Insensitive)),
    ("ignorecase", Modifier::RegexFlag(RegexFlag::Insensitive)),
    ("m", Modifier::RegexFlag(RegexFlag::MultiLine)),
    ("multiline", Modifier::RegexFlag(RegexFlag::MultiLine)),
    ("s", Modifier::RegexFlag(RegexFlag::SingleLine)),
    ("dotall", Modifier::RegexFlag(RegexFlag::SingleLine)),
    ("base64", Modifier::Base64),
    ("base64offset", Modifier::Base64Offset),
    ("utf16le", Modifier::Utf16(Utf16::LittleEndian)),
    ("wide", Modifier::Utf16(Utf16::LittleEndian)),
    ("utf16be", Modifier::Utf16(Utf16::BigEndian)),
    ("utf16", Modifier::Utf16(Utf16::WithMark)),
    ("lt", Modifier::Compare(CompareOp::Less)),
    ("lte", Modifier::Compare(CompareOp::LessOrEqual)),
    ("gt", Modifier::Compare(CompareOp::Greater)),
    ("gte", Modifier::Compare(CompareOp::GreaterOrEqual)),
    ("minute", Modifier::Time(TimePart::Minute)),
    ("hour", Modifier::Time(TimePart::Hour)),
    ("day", Modifier::Time(TimePart::Day)),
    ("week", Modifier::Time(TimePart::Week)),
    ("month", Modifier::Time(TimePart::Month)),
    ("year", Modifier::Time(TimePart::Year)),
    ("cidr", Modifier::Cidr),
    ("expand", Modifier::Expand),
    ("fieldref", Modifier::FieldRef),
];
