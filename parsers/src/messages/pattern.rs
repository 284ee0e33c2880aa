//! Messages of programs as data: a pattern with places, what was tried, how it ended.
//!
//! A pattern is literal text with places in braces: `{User}` takes text up to the next literal, `{User*}` up
//! to the last one that lets the rest fit (user names are the attacker's to choose, addresses behind them are
//! not), `{SourcePort:n}` digits only, `{SourceIp:a}` an address or host name without spaces,
//! `{SourceIp:i}` an address only, `{time:t}` a time with slashes in its date, `{_}` anything. Some names are more than fields: `{time}` sets the event's time,
//! `{request}` and `{target}` are read as a web request and its target.
//! A pattern fits a message that begins with it; `$` at its end wants the message to end there.

use smallvec::SmallVec;

use crate::draft::Draft;
use crate::event::Value;
use crate::formats;
use crate::scan;
use crate::when;

/// A message of a program.
pub(crate) struct Message {
    pub(crate) pattern: &'static str,
    /// What was tried; empty to say nothing about it.
    pub(crate) action: &'static str,
    /// `success`, `failure` or empty.
    pub(crate) outcome: &'static str,
    /// Further fields.
    pub(crate) also: &'static [(&'static str, Value<'static>)],
}

/// A message without further fields.
pub(crate) const fn message(
    pattern: &'static str,
    action: &'static str,
    outcome: &'static str,
) -> Message {
    Message {
        pattern,
        action,
        outcome,
        also: &[],
    }
}

/// A message with further fields.
pub(crate) const fn message_with(
    pattern: &'static str,
    action: &'static str,
    outcome: &'static str,
    also: &'static [(&'static str, Value<'static>)],
) -> Message {
    Message {
        pattern,
        action,
        outcome,
        also,
    }
}

/// Finds the first message of the table that fits and adds its fields.
pub(crate) fn read<'a>(
    draft: &mut Draft<'a, '_>,
    table: &'static [Message],
    text: &'a str,
) -> bool {
    let mut places = Places::new();
    let Some(found) = table.iter().find(|message| {
        places.clear();
        fits(message.pattern, text, &mut places)
    }) else {
        return false;
    };
    for place in &places {
        place.write(draft);
    }
    for (name, value) in found.also {
        draft.push(name, *value);
    }
    draft.action(found.action, found.outcome);
    true
}

type Places<'a> = SmallVec<[Place<'a>; 8]>;

#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'static str,
    kind: Kind,
    text: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Greedy,
    Number,
    Address,
    Ip,
    /// A time with slashes in its date.
    SlashedTime,
}

impl Kind {
    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text | Self::Greedy => true,
            Self::Number => !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()),
            Self::Address => !text.is_empty() && !text.contains([' ', '\t']),
            Self::Ip => scan::ip(text).is_some(),
            Self::SlashedTime => text.contains('/') && text.contains(':'),
        }
    }
}

impl<'a> Place<'a> {
    fn write(&self, draft: &mut Draft<'a, '_>) {
        let text = self.text.trim();
        match (self.name, self.kind) {
            ("_", _) => {}
            ("time", _) => {
                if let Some(time) = when::any(text, draft.context) {
                    draft.time(time);
                }
            }
            ("request", _) => formats::request_fields(draft, text),
            ("target", _) => formats::target_fields(draft, text),
            ("sc-status", _) => formats::status_fields(draft, text),
            ("SourceIp", Kind::Address) if scan::ip(text).is_none() => {
                draft.text("SourceHostname", text)
            }
            (name, Kind::Ip | Kind::Address) => put(draft, name, text.trim_matches(['[', ']'])),
            (name, Kind::Number) => {
                if draft.get(name).is_none() {
                    draft.number(name, text);
                }
            }
            // Suricata writes `{TCP}`.
            ("protocol", _) => put(draft, "protocol", text.trim_matches(['{', '}'])),
            (name, _) => put(draft, name, text),
        }
    }
}

/// What the header said already is not said twice.
fn put<'a>(draft: &mut Draft<'a, '_>, name: &'static str, text: &'a str) {
    if !matches!(text, "" | "-") {
        draft.push_if_absent(name, Value::Str(text));
    }
}

/// Whether a pattern fits, without reading it.
pub(crate) fn is_fit(pattern: &'static str, text: &str) -> bool {
    fits(pattern, text, &mut Places::new())
}

/// Adds the fields of a pattern that fits, and gives the text of its place `message`, if it has one.
pub(crate) fn read_header<'a>(
    draft: &mut Draft<'a, '_>,
    patterns: &[&'static str],
    text: &'a str,
) -> Option<Option<&'a str>> {
    let mut places = Places::new();
    patterns.iter().find(|pattern| {
        places.clear();
        fits(pattern, text, &mut places)
    })?;
    for place in places.iter().filter(|place| place.name != "message") {
        place.write(draft);
    }
    Some(
        places
            .iter()
            .find(|place| place.name == "message")
            .map(|place| place.text),
    )
}

/// Ends that are tried for one place before the pattern is given up: bounds the work on hostile messages.
const TRIES_MAX: usize = 24;
/// Ends that are tried for all places of a pattern together: with several places, what one tries is tried for
/// each end of those before it. What a program writes fits within a few dozen.
const TRIES_OF_ALL_MAX: u32 = 1_000;

fn fits<'a>(pattern: &'static str, text: &'a str, places: &mut Places<'a>) -> bool {
    fits_within(pattern, text, places, &mut 0)
}

/// As [`fits`], while `tries` counts.
fn fits_within<'a>(
    pattern: &'static str,
    text: &'a str,
    places: &mut Places<'a>,
    tries: &mut u32,
) -> bool {
    // Of a program's many patterns most differ from a message in the first letter already.
    if let Some(first) = pattern.bytes().next()
        && !matches!(first, b'{' | b'$')
        && text.bytes().next() != Some(first)
    {
        return false;
    }
    let Some((literal, behind)) = pattern.split_once('{') else {
        return match pattern.strip_suffix('$') {
            Some(literal) => text == literal,
            None => text.starts_with(pattern),
        };
    };
    let Some(text) = text.strip_prefix(literal) else {
        return false;
    };
    let Some((place, pattern)) = behind.split_once('}') else {
        return false;
    };
    let (name, kind) = parse_place(place);
    let next = pattern.split('{').next().unwrap_or("");
    let next = next.strip_suffix('$').unwrap_or(next);
    let mut attempt = |end: usize, places: &mut Places<'a>| {
        let found = &text[..end];
        *tries += 1;
        if *tries > TRIES_OF_ALL_MAX || !kind.accepts(found) {
            return false;
        }
        places.push(Place {
            name,
            kind,
            text: found,
        });
        let fitted = fits_within(pattern, &text[end..], places, tries);
        if !fitted {
            places.pop();
        }
        fitted
    };
    match kind {
        Kind::Number => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            return attempt(digits, places);
        }
        Kind::Address | Kind::Ip if next.is_empty() => {
            return attempt(text.find([' ', '\t']).unwrap_or(text.len()), places);
        }
        _ if next.is_empty() => return attempt(text.len(), places),
        _ => {}
    }
    if kind == Kind::Greedy {
        text.rmatch_indices(next)
            .take(TRIES_MAX)
            .any(|(end, _)| attempt(end, places))
    } else {
        text.match_indices(next)
            .take(TRIES_MAX)
            .any(|(end, _)| attempt(end, places))
    }
}

fn parse_place(place: &'static str) -> (&'static str, Kind) {
    if let Some(name) = place.strip_suffix('*') {
        (name, Kind::Greedy)
    } else if let Some(name) = place.strip_suffix(":n") {
        (name, Kind::Number)
    } else if let Some(name) = place.strip_suffix(":a") {
        (name, Kind::Address)
    } else if let Some(name) = place.strip_suffix(":i") {
        (name, Kind::Ip)
    } else if let Some(name) = place.strip_suffix(":t") {
        (name, Kind::SlashedTime)
    } else {
        (place, Kind::Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(pattern: &'static str, text: &str) -> Option<Vec<(String, String)>> {
        let mut found = Places::new();
        fits(pattern, text, &mut found).then(|| {
            found
                .iter()
                .map(|place| (place.name.to_owned(), place.text.to_owned()))
                .collect()
        })
    }

    #[test]
    fn an_attacker_cannot_name_the_address() {
        let pattern = "Failed password for {User*} from {SourceIp:a} port {SourcePort:n} ssh2";
        let text = "Failed password for root from 6.6.6.6 port 1 ssh2 from 1.2.3.4 port 22 ssh2";
        let found = places(pattern, text).unwrap();
        assert_eq!(found[0].1, "root from 6.6.6.6 port 1 ssh2");
        assert_eq!(found[1].1, "1.2.3.4");
        assert_eq!(found[2].1, "22");
    }

    #[test]
    fn what_almost_fits_at_many_places_is_given_up_soon() {
        let pattern = "{A} a {B} a {C} a {D} a {E} a {F} a {G:n} end";
        let text = " a ".repeat(500);
        let mut tries = 0;
        assert!(!fits_within(pattern, &text, &mut Places::new(), &mut tries));
        assert!(tries < TRIES_OF_ALL_MAX + 200, "{tries}");
    }

    #[test]
    fn ends_are_kept() {
        assert!(places("a {X}$", "a b").is_some());
        assert!(places("a {X:n}$", "a 1b").is_none());
        assert!(places("done$", "done.").is_none());
        assert!(
            places(
                "by {U*} {A:a} port {P:n}",
                "by a b 1.1.1.1 port 7 [preauth]"
            )
            .is_some()
        );
    }
}
