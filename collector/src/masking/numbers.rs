//! Numbers of people: identity cards, telephones, payment cards.

use super::Found;
use super::digits::{GROUPS_MAX, Group, groups, may_begin, may_end, separator};
use super::syntax::Syntax;

/// Which kinds are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each kind is wanted or not")]
pub(super) struct Wanted {
    pub(super) cccd: bool,
    pub(super) cmnd: bool,
    pub(super) phone: bool,
    pub(super) card: bool,
}

impl Wanted {
    pub(super) fn any(self) -> bool {
        self.cccd || self.cmnd || self.phone || self.card
    }
}

/// Codes of the provinces in a citizen's number (Circular 59/2021/TT-BCA, annex I).
const PROVINCES: [u8; 63] = [
    1, 2, 4, 6, 8, 10, 11, 12, 14, 15, 17, 19, 20, 22, 24, 25, 26, 27, 30, 31, 33, 34, 35, 36, 37,
    38, 40, 42, 44, 45, 46, 48, 49, 51, 52, 54, 56, 58, 60, 62, 64, 66, 67, 68, 70, 72, 74, 75, 77,
    79, 80, 82, 83, 84, 86, 87, 89, 91, 92, 93, 94, 95, 96,
];

/// How the plus sign before a country's code is written.
const PLUS_SIGNS: [&[u8]; 5] = [b"+", b"%2B", b"%2b", b"\\u002B", b"\\u002b"];

/// Adds all numbers of the kinds that are wanted.
pub(super) fn find<'m>(text: &[u8], syntax: Syntax, wanted: Wanted, found: &mut Vec<Found<'m>>) {
    let groups = groups(text, syntax);
    let mut first = 0;
    while first < groups.len() {
        match number(text, &groups[first..], syntax, wanted) {
            Some((number, used)) => {
                found.push(number);
                first += used;
            }
            None => first += 1,
        }
    }
}

/// The longest number that begins with the first group, and how many groups it takes.
fn number<'m>(
    text: &[u8],
    groups: &[Group],
    syntax: Syntax,
    wanted: Wanted,
) -> Option<(Found<'m>, usize)> {
    let start = groups.first()?.range.start;
    if !may_begin(text, start, syntax) {
        return None;
    }
    let mut separators: Vec<&[u8]> = Vec::new();
    for pair in groups.windows(2).take(GROUPS_MAX - 1) {
        match separator(text, &pair[0], &pair[1]) {
            Some(between) => separators.push(between),
            None => break,
        }
    }
    for count in (1..=separators.len() + 1).rev() {
        let taken = &groups[..count];
        let end = taken[count - 1].range.end;
        if !may_end(text, end) {
            continue;
        }
        let written = Written {
            text,
            groups: taken,
            separators: &separators[..count - 1],
        };
        if let Some((kind, start, value)) = written.judge(wanted) {
            let number = Found {
                range: start..end,
                kind,
                value,
            };
            return Some((number, count));
        }
    }
    None
}

/// Groups that may be one number.
struct Written<'t> {
    text: &'t [u8],
    groups: &'t [Group],
    separators: &'t [&'t [u8]],
}

impl Written<'_> {
    /// Its kind, where it begins with its sign, and its value.
    fn judge(&self, wanted: Wanted) -> Option<(&'static str, usize, Vec<u8>)> {
        let length: usize = self.groups.iter().map(Group::len).sum();
        if !(9..=19).contains(&length) {
            return None;
        }
        let digits: Vec<u8> = self
            .groups
            .iter()
            .flat_map(|group| &self.text[group.range.clone()])
            .copied()
            .collect();
        let start = self.groups[0].range.start;
        if wanted.card && self.is_card(&digits) {
            return Some(("card", start, digits));
        }
        if wanted.phone
            && let Some((start, national)) = self.phone(&digits)
        {
            return Some(("phone", start, national));
        }
        if wanted.cccd && length == 12 && self.is_whole_or(&[3, 3, 3, 3]) && is_cccd(&digits) {
            return Some(("cccd", start, digits));
        }
        if wanted.cmnd && length == 9 && self.is_whole_or(&[3, 3, 3]) && is_cmnd(&digits) {
            return Some(("cmnd", start, digits));
        }
        None
    }

    /// Whether it is one group, or such groups with the same sign between them.
    fn is_whole_or(&self, lengths: &[usize]) -> bool {
        self.groups.len() == 1
            || (self
                .groups
                .iter()
                .map(Group::len)
                .eq(lengths.iter().copied())
                && self.is_even())
    }

    fn is_even(&self) -> bool {
        self.separators.windows(2).all(|pair| pair[0] == pair[1])
            && self
                .separators
                .iter()
                .all(|between| between.len() == 1 && *between != b")")
    }

    /// 13 to 19 digits of a network that is known, with Luhn's checksum (ISO/IEC 7812-1, annex B).
    fn is_card(&self, digits: &[u8]) -> bool {
        let written = match digits.len() {
            15 => self.is_whole_or(&[4, 6, 5]),
            16 => self.is_whole_or(&[4, 4, 4, 4]),
            19 => self.is_whole_or(&[4, 4, 4, 4, 3]) || self.is_whole_or(&[6, 13]),
            13..=19 => self.groups.len() == 1,
            _ => false,
        };
        written && is_network(digits) && is_luhn(digits)
    }

    /// Where it begins, and the number without `0`, `84` or `+84` before it.
    fn phone(&self, digits: &[u8]) -> Option<(usize, Vec<u8>)> {
        let start = self.groups[0].range.start;
        let before = &self.text[..start];
        let plus = PLUS_SIGNS.iter().find(|plus| before.ends_with(plus));
        let (national, begin) = match (plus, digits) {
            (Some(plus), [b'8', b'4', national @ ..]) => (national, start - plus.len()),
            (None, [b'0', b'0', b'8', b'4', national @ ..] | [b'8', b'4', national @ ..]) => {
                (national, start)
            }
            (None, [b'0', national @ ..]) => (national, start),
            _ => return None,
        };
        // `+84 (0)90`: the zero is not part of it.
        let national = match national {
            [b'0', rest @ ..] if digits.starts_with(b"84") => rest,
            _ => national,
        };
        if !is_national(national) || !self.is_written_as_phone() {
            return None;
        }
        let opens = self.text[..begin].ends_with(b"(")
            && self
                .separators
                .iter()
                .any(|between| between.starts_with(b")"));
        Some((begin - usize::from(opens), national.to_vec()))
    }

    /// Short groups are no telephone's: versions and dates have them. Dots stand between groups of three.
    fn is_written_as_phone(&self) -> bool {
        let after_code = usize::from(self.groups.len() > 1 && self.groups[0].len() <= 4);
        let rest = self.separators.get(after_code..).unwrap_or_default();
        let is_even = rest.windows(2).all(|pair| pair[0] == pair[1]);
        let least = if self.separators.contains(&b".".as_slice()) {
            3
        } else {
            2
        };
        is_even
            && self.groups.iter().skip(1).all(|group| group.len() >= least)
            && (self.groups.len() == 1 || self.groups[0].len() >= 2)
    }
}

/// A number within Viet Nam (Ministry of Information and Communications, numbering plan of 2014 as changed in 2018):
/// mobile with nine digits, fixed lines with ten.
fn is_national(number: &[u8]) -> bool {
    match number {
        [b'3', second, ..] => number.len() == 9 && matches!(second, b'2'..=b'9'),
        [b'5', second, ..] => {
            number.len() == 9 && matches!(second, b'2' | b'5' | b'6' | b'8' | b'9')
        }
        [b'7', second, ..] => number.len() == 9 && matches!(second, b'0' | b'6'..=b'9'),
        [b'8', second, ..] => number.len() == 9 && *second != b'0',
        [b'9', ..] => number.len() == 9,
        [b'2', b'4' | b'8', third, ..] => {
            number.len() == 10 && matches!(third, b'2' | b'3' | b'6' | b'7' | b'9' | b'5')
        }
        [b'2', second, third, ..] => {
            number.len() == 10 && second.is_ascii_digit() && third.is_ascii_digit()
        }
        _ => false,
    }
}

/// Province, century and sex, year, six digits.
fn is_cccd(digits: &[u8]) -> bool {
    let number = |range: &[u8]| {
        range
            .iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    let province = number(&digits[..3]);
    PROVINCES.iter().any(|known| u32::from(*known) == province) && digits[3] <= b'3'
}

/// The old card: a province's code from 01 to 38, and seven digits.
fn is_cmnd(digits: &[u8]) -> bool {
    matches!(
        digits,
        [b'0', b'1'..=b'9', ..] | [b'1' | b'2', ..] | [b'3', b'0'..=b'8', ..]
    )
}

/// NAPAS, Visa, Mastercard, American Express, JCB, Diners Club, UnionPay, Discover.
fn is_network(digits: &[u8]) -> bool {
    let first = |count: usize| {
        digits[..count]
            .iter()
            .fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'))
    };
    match digits.len() {
        14 => matches!(first(2), 36 | 38 | 39) || (300..=305).contains(&first(3)),
        15 => matches!(first(2), 34 | 37),
        16 | 19 if first(4) == 9704 => true,
        13 | 16 | 19 if digits[0] == b'4' => true,
        16 if (51..=55).contains(&first(2)) || (2221..=2720).contains(&first(4)) => true,
        16..=19 => {
            (3528..=3589).contains(&first(4))
                || first(2) == 62
                || first(4) == 6011
                || first(2) == 65
        }
        _ => false,
    }
}

fn is_luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit - b'0');
            if place % 2 == 1 {
                doubled(digit)
            } else {
                digit
            }
        })
        .sum();
    sum.is_multiple_of(10)
}
