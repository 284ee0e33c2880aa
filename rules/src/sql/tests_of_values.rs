//! Tests of one value, as conditions over `x`.

use std::fmt::Write;
use std::net::IpAddr;

use super::definitions::Definitions;
use super::letters::Letters;
use super::literal::{like_part, literal};
use super::numbers::{compares, equals_one_of};
use super::regexes::regex_of_pattern;
use crate::rule::{Case, CidrBlock, Shape, Test, TextPart, TextPattern};

/// A condition over `x`, and what `x` must be for it.
#[derive(Debug)]
pub(super) enum Wanted {
    /// The value, folded for comparison with ASCII.
    Folded(String),
    /// The value.
    AsIs(String),
    /// Nothing: the condition says all.
    Unsaid(String),
}

/// Most texts that one search for any of them takes.
const SEARCHED_MAX: usize = 255;

/// Conditions of which one must hold for one of the tests to pass. Regular expressions and what looks at the field itself are
/// the caller's.
pub(super) fn conditions(
    tests: &[&Test],
    letters: &mut Letters,
    definitions: &mut Definitions,
) -> Vec<Wanted> {
    let mut numbers = Vec::new();
    let mut folded = Texts::default();
    let mut as_is = Texts::default();
    for test in tests {
        match test {
            Test::Text(pattern) if pattern.case() == Case::Sensitive => as_is.add(pattern),
            Test::Text(pattern) if is_plain(pattern, letters) => folded.add(pattern),
            Test::Text(pattern) => {
                let regex = literal(&regex_of_pattern(pattern, letters));
                as_is.others.push(format!("match(x, {regex})"));
            }
            Test::Cidr(block) => as_is.others.push(in_network(block)),
            Test::Compare { op, number } => {
                let condition = compares(*op, *number, definitions);
                as_is.others.push(condition);
            }
            Test::Number(number) => numbers.push(*number),
            // Only ASCII's letters have another case here.
            Test::Bool(value) => as_is.others.push(format!("lower(x) = '{value}'")),
            // The caller's.
            Test::Regex(_)
            | Test::Exists(_)
            | Test::Null
            | Test::FieldRef(_)
            | Test::TimePart { .. } => {}
        }
    }
    as_is.others.extend(equals_one_of(&numbers, definitions));
    let mut wanted = Vec::new();
    wanted.extend(folded.condition().map(Wanted::Folded));
    wanted.extend(as_is.condition().map(Wanted::AsIs));
    wanted
}

/// Whether folding ASCII alone decides: no other letter of it has a case.
fn is_plain(pattern: &TextPattern, letters: &mut Letters) -> bool {
    pattern.parts().iter().all(|part| match part {
        TextPart::Literal(text) => text
            .chars()
            .all(|c| c.is_ascii() || letters.same_as(c).len() == 1),
        TextPart::One | TextPart::Any => true,
    })
}

/// Texts that a value is compared with, by how.
#[derive(Default)]
struct Texts {
    equal: Vec<String>,
    contained: Vec<String>,
    others: Vec<String>,
}

impl Texts {
    fn add(&mut self, pattern: &TextPattern) {
        match pattern.shape() {
            Shape::Equals(text) => self.equal.push(literal(text)),
            Shape::Contains(text) => self.contained.push(literal(text)),
            Shape::StartsWith(text) => self
                .others
                .push(format!("startsWith(x, {})", literal(text))),
            Shape::EndsWith(text) => self.others.push(format!("endsWith(x, {})", literal(text))),
            Shape::Anything => self.others.push("1".to_owned()),
            Shape::Other => {
                let mut like = String::new();
                for part in pattern.parts() {
                    match part {
                        TextPart::Literal(text) => like_part(text, &mut like),
                        TextPart::One => like.push('_'),
                        TextPart::Any => like.push('%'),
                    }
                }
                self.others.push(format!("x LIKE {}", literal(&like)));
            }
        }
    }

    fn condition(self) -> Option<String> {
        let mut all = Vec::new();
        match &self.equal[..] {
            [] => {}
            [one] => all.push(format!("x = {one}")),
            many => all.push(format!("x IN ({})", many.join(", "))),
        }
        for texts in self.contained.chunks(SEARCHED_MAX) {
            all.push(match texts {
                [one] => format!("position(x, {one}) > 0"),
                many => format!("multiSearchAny(x, [{}])", many.join(", ")),
            });
        }
        all.extend(self.others);
        (!all.is_empty()).then(|| all.join(" OR "))
    }
}

/// The value is an address in the network. IPv4 is held against IPv6 in its mapped form.
fn in_network(block: &CidrBlock) -> String {
    let (first, prefix_bits) = match block.network() {
        IpAddr::V4(address) => (
            address.to_ipv6_mapped().to_bits(),
            96 + u32::from(block.prefix_bits()),
        ),
        IpAddr::V6(address) => (address.to_bits(), u32::from(block.prefix_bits())),
    };
    let rest = u128::MAX.checked_shr(prefix_bits).unwrap_or(0);
    let address = |bits: u128| std::net::Ipv6Addr::from_bits(bits);
    // A zone behind the address is left out.
    let mut condition = format!(
        "(ifNull(toIPv6OrNull(splitByChar('%', x)[1]) BETWEEN toIPv6('{}') AND toIPv6('{}'), 0)",
        address(first),
        address(first | rest)
    );
    if block.network().is_ipv6() {
        // An IPv4 address lies in no network of IPv6.
        condition.push_str(
            " AND NOT ifNull(toIPv6OrNull(splitByChar('%', x)[1]) BETWEEN toIPv6('::ffff:0.0.0.0') AND toIPv6('::ffff:255.255.255.255'), 0)",
        );
    }
    condition.push(')');
    condition
}

/// Conditions joined, in brackets where there are several. Each stands for itself: it is a call, a comparison or in brackets.
pub(super) fn joined(conditions: &[String], by: &str) -> String {
    match conditions {
        [one] => one.clone(),
        many => {
            let mut text = String::from("(");
            for (index, condition) in many.iter().enumerate() {
                let by = if index == 0 { "" } else { by };
                write!(text, "{by}{condition}").expect("writing to a String cannot fail");
            }
            text.push(')');
            text
        }
    }
}
