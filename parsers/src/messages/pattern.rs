//! Messages of programs as data: a pattern with places, what was tried, how it ended.
//!
//! A pattern is literal text with places in braces: `{User}` takes text up to the next literal, `{User*}` up
//! to the last one that lets the rest fit (user names are the attacker's to choose, addresses behind them are
//! not), `{SourcePort:n}` digits only, `{SourceIp:a}` an address or host name without spaces,
//! `{SourceIp:i}` an address only, `{queue_id:w}` a word up to the first character of the next literal, `{time:t}` a time with slashes in its date, `{_}` anything. Some names are more than fields: `{time}` sets the event's time,
//! `{request}` and `{target}` are read as a web request and its target.
//! A pattern fits a message that begins with it; `$` at its end wants the message to end there.

mod tables;

use smallvec::SmallVec;

use crate::bytes::{find_any, find_last, leading_digits, number_of_digits};
use crate::draft::{Draft, Room, plain_number};
use crate::event::Value;
use crate::formats;
use crate::layouts::Group;
use crate::scan::{self, Word};
use crate::when;

pub(crate) use tables::{TablePlace, Tables};

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
    let place = draft.scratch.tables.place_of(table);
    read_at(draft, place, table, text)
}

/// The same, of the table that is at this place among those that were taken apart.
pub(crate) fn read_at<'a>(
    draft: &mut Draft<'a, '_>,
    place: TablePlace,
    table: &'static [Message],
    text: &'a str,
) -> bool {
    let mut places = Places::new();
    let Some((found, tail)) = draft.scratch.tables.at(place).find(text, &mut places) else {
        return false;
    };
    let before = draft.begin_group();
    let which = put_fields(draft, &places, tail);
    let found = &table[found];
    match which {
        Some(which) => draft.end_group(before, Group::of(found, which), |draft| {
            write_one_by_one(draft, found, &places);
        }),
        None => {
            draft.event.fields.truncate(before);
            write_one_by_one(draft, found, &places);
        }
    }
    true
}

fn write_one_by_one<'a>(draft: &mut Draft<'a, '_>, found: &Message, places: &[Place<'a>]) {
    for place in places {
        place.write(draft);
    }
    for (name, value) in found.also {
        draft.push(name, *value);
    }
    draft.action(found.action, found.outcome);
}

/// Puts the fields that a message adds to an event that has none of their names, and gives a number for which of them are
/// there; nothing where more than fields follows from its places.
#[inline]
fn put_fields<'a>(draft: &mut Draft<'a, '_>, places: &[Place<'a>], tail: Tail) -> Option<u32> {
    draft.put_group(places.len() + tail.also.len() + 2, |room| {
        let mut which = 0;
        for place in places {
            let choice = place.put(room)?;
            if which >> 30 != 0 {
                return None;
            }
            which = which << 2 | choice;
        }
        for (name, value) in tail.also {
            room.put(name, *value);
        }
        for (name, text) in [("action", tail.action), ("outcome", tail.outcome)] {
            if !text.is_empty() {
                room.put(name, Value::Str(text));
            }
        }
        Some(which)
    })
}

/// What a message adds besides its places.
#[derive(Clone, Copy)]
struct Tail {
    also: &'static [(&'static str, Value<'static>)],
    action: &'static str,
    outcome: &'static str,
}

/// What a place puts: nothing, its field, or one of another name.
const NOTHING_PUT: u32 = 0;
const FIELD_PUT: u32 = 1;
const OTHER_PUT: u32 = 2;

type Places<'a> = SmallVec<[Place<'a>; 8]>;

/// What a place of a pattern took.
#[derive(Clone, Copy)]
struct Place<'a> {
    name: &'static str,
    kind: Kind,
    meaning: Meaning,
    text: &'a str,
}

/// What a place is to an event that has nothing of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Nothing,
    /// More than a field.
    Special,
    /// The source's address, or else its name.
    Source,
    /// Any other address.
    Address,
    Number,
    Text,
}

impl Meaning {
    fn of(name: &str, kind: Kind) -> Self {
        match (name, kind) {
            ("_", _) => Self::Nothing,
            ("time" | "request" | "target" | "sc-status" | "protocol", _) => Self::Special,
            ("SourceIp", Kind::Address) => Self::Source,
            (_, Kind::Ip | Kind::Address) => Self::Address,
            (_, Kind::Number) => Self::Number,
            _ => Self::Text,
        }
    }
}

/// What a place takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Greedy,
    Number,
    Address,
    Ip,
    /// Text without spaces that ends where the next literal's first character stands.
    Word,
    /// A time with slashes in its date.
    SlashedTime,
}

impl Kind {
    fn accepts(self, text: &str) -> bool {
        match self {
            Self::Text | Self::Greedy => true,
            Self::Number => {
                number_of_digits(text.as_bytes()).is_some()
                    || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
            }
            Self::Address => !text.is_empty() && find_any([b' ', b'\t'], text.as_bytes()).is_none(),
            Self::Ip => scan::is_ip(text),
            Self::Word => !text.is_empty(),
            Self::SlashedTime => text.contains('/') && text.contains(':'),
        }
    }
}

impl<'a> Place<'a> {
    /// Puts what is added to an event that has nothing of that name, if it is a field and nothing else, as [`Self::write`]; and
    /// gives a number for which it was.
    #[inline(always)]
    fn put(&self, room: &mut Room<'a>) -> Option<u32> {
        if self.meaning == Meaning::Nothing {
            return Some(NOTHING_PUT);
        }
        let text = scan::trimmed(self.text);
        let text = match self.meaning {
            Meaning::Nothing => return Some(NOTHING_PUT),
            Meaning::Special => return None,
            Meaning::Source if !scan::is_ip(text) => {
                if text.is_empty() {
                    return Some(NOTHING_PUT);
                }
                room.put("SourceHostname", Value::Str(text));
                return Some(OTHER_PUT);
            }
            Meaning::Number => {
                match plain_number(text) {
                    Some(number) => room.put(self.name, Value::Int(number)),
                    None if text.is_empty() => return Some(NOTHING_PUT),
                    None => room.put(self.name, Value::Str(text)),
                }
                return Some(FIELD_PUT);
            }
            Meaning::Source | Meaning::Address => without_brackets(text),
            Meaning::Text => text,
        };
        if matches!(text.as_bytes(), [] | [b'-']) {
            return Some(NOTHING_PUT);
        }
        room.put(self.name, Value::Str(text));
        Some(FIELD_PUT)
    }

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
            ("SourceIp", Kind::Address) if !scan::is_ip(text) => draft.text("SourceHostname", text),
            (name, Kind::Ip | Kind::Address) => put(draft, name, without_brackets(text)),
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

/// An address without the brackets around it; mostly there are none.
#[inline]
fn without_brackets(text: &str) -> &str {
    match text.as_bytes() {
        [b'[' | b']', ..] | [.., b'[' | b']'] => text.trim_matches(['[', ']']),
        _ => text,
    }
}

/// What the header said already is not said twice.
fn put<'a>(draft: &mut Draft<'a, '_>, name: &'static str, text: &'a str) {
    if !matches!(text, "" | "-") {
        draft.push_if_absent(name, Value::Str(text));
    }
}

/// Patterns of what stands before messages, taken apart.
pub(crate) struct Headers(Box<[Taken]>);

impl Headers {
    /// Takes them apart.
    pub(crate) fn of(patterns: &[&'static str]) -> Self {
        Self(patterns.iter().map(|pattern| Taken::of(pattern)).collect())
    }

    /// Whether one of them fits, without reading it.
    pub(crate) fn fit(&self, text: &str) -> bool {
        self.find(text).is_some()
    }

    /// What the places of the first one that fits take.
    fn find<'a>(&self, text: &'a str) -> Option<Places<'a>> {
        let mut places = Places::new();
        let found = self.0.iter().any(|header| {
            places.clear();
            header.fits(text, &mut places)
        });
        found.then_some(places)
    }
}

/// Adds the fields of the first header that fits, and gives the text of its place `message`, if it has one.
pub(crate) fn read_header<'a>(
    draft: &mut Draft<'a, '_>,
    headers: &Headers,
    text: &'a str,
) -> Option<Option<&'a str>> {
    let places = headers.find(text)?;
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

/// A pattern taken apart, and what its message adds.
struct Pattern {
    taken: Taken,
    tail: Tail,
}

/// A pattern taken apart.
struct Taken {
    /// The text before the first place.
    head: Literal,
    holes: Box<[Hole]>,
}

/// A place of a pattern and what follows it.
#[derive(Clone, Copy)]
struct Hole {
    name: &'static str,
    kind: Kind,
    meaning: Meaning,
    behind: Literal,
    /// What follows the address that follows this place, a greedy one with a space behind it.
    behind_address: Option<Word>,
}

/// Text that must stand where it is.
#[derive(Clone, Copy)]
struct Literal {
    text: Word,
    /// Whether the message must end here.
    is_end: bool,
}

impl Literal {
    fn of(text: &'static str, is_last: bool) -> Self {
        let ended = text.strip_suffix('$').filter(|_| is_last);
        Self {
            text: Word::new(ended.unwrap_or(text)),
            is_end: ended.is_some(),
        }
    }

    /// What follows it in a text that begins with it.
    #[inline]
    fn strip<'a>(&self, text: &'a str) -> Option<&'a str> {
        let rest = self.text.strip(text)?;
        (!self.is_end || rest.is_empty()).then_some(rest)
    }
}

/// Ends that are tried for one place before the pattern is given up: bounds the work on hostile messages.
const TRIES_MAX: usize = 24;
/// Ends that are tried for all places of a pattern together: with several places, what one tries is tried for
/// each end of those before it. What a program writes fits within a few dozen.
const TRIES_OF_ALL_MAX: u32 = 1_000;

impl Pattern {
    fn of(message: &Message) -> Self {
        Self {
            taken: Taken::of(message.pattern),
            tail: Tail {
                also: message.also,
                action: message.action,
                outcome: message.outcome,
            },
        }
    }
}

impl Taken {
    fn of(pattern: &'static str) -> Self {
        let (head, behind) = head_of(pattern);
        Self {
            head,
            holes: holes_of(behind).into(),
        }
    }

    #[inline]
    fn fits<'a>(&self, text: &'a str, places: &mut Places<'a>) -> bool {
        let Some(behind_head) = self.head.strip(text) else {
            return false;
        };
        // What programs write mostly fits by the first end that is tried for each place.
        let mut rest = behind_head;
        for (number, hole) in self.holes.iter().enumerate() {
            match hole.first_fit(rest) {
                First::Fits(text, behind) => {
                    places.push(hole.place(text));
                    rest = behind;
                }
                First::NothingElse if number == 0 => return false,
                First::NothingElse | First::DoesNotFit => {
                    places.clear();
                    return holes_fit(&self.holes, behind_head, places, &mut 0);
                }
            }
        }
        true
    }
}

/// What came of the first end that was tried for a place.
enum First<'a> {
    /// What the place takes, and what stands behind it and the text that follows it.
    Fits(&'a str, &'a str),
    /// Not this one.
    DoesNotFit,
    /// There is no end that could be tried.
    NothingElse,
}

impl Hole {
    fn place<'a>(&self, text: &'a str) -> Place<'a> {
        Place {
            name: self.name,
            kind: self.kind,
            meaning: self.meaning,
            text,
        }
    }

    /// Tries the first end for it.
    #[inline(always)]
    fn first_fit<'a>(&self, text: &'a str) -> First<'a> {
        let next = &self.behind.text;
        // What stands behind it is looked for, or compared with what is there.
        let (end, is_found) = match self.kind {
            Kind::Number => {
                let digits = match leading_digits(text.as_bytes()) {
                    Some((digits, _)) => digits,
                    None => text.bytes().take_while(u8::is_ascii_digit).count(),
                };
                if digits == 0 {
                    return First::NothingElse;
                }
                (Some(digits), false)
            }
            // An address has no spaces in it: its end is the only one that can fit.
            Kind::Address | Kind::Ip if next.is_empty() || next.as_str().starts_with(' ') => {
                let end = find_any([b' ', b'\t'], text.as_bytes());
                (Some(end.unwrap_or(text.len())), false)
            }
            Kind::Word => (word_end(text, next), false),
            _ if next.is_empty() => (Some(text.len()), false),
            // Of all ends of this place, the address's own space is the last that can fit.
            Kind::Greedy => match &self.behind_address {
                Some(word) => {
                    let end = word.find_last(text);
                    let end = end.and_then(|end| find_last(b' ', &text.as_bytes()[..end]));
                    (end, false)
                }
                None => (next.find_last(text), true),
            },
            _ => (next.find(text), true),
        };
        let Some(end) = end else {
            return First::NothingElse;
        };
        let (found, rest) = text.split_at(end);
        let is_accepted = match self.kind {
            Kind::Text | Kind::Greedy | Kind::Number => true,
            Kind::Address | Kind::Word if !is_found => !found.is_empty(),
            kind => kind.accepts(found),
        };
        let behind = if !is_accepted {
            None
        } else if is_found {
            let behind = &rest[next.as_str().len()..];
            (!self.behind.is_end || behind.is_empty()).then_some(behind)
        } else {
            self.behind.strip(rest)
        };
        match behind {
            Some(behind) => First::Fits(found, behind),
            None if is_found || self.kind == Kind::Greedy => First::DoesNotFit,
            None => First::NothingElse,
        }
    }
}

/// Where a word ends: at the first character of what follows it, with no space before that.
#[inline]
fn word_end(text: &str, next: &Word) -> Option<usize> {
    let first = next.as_str().as_bytes().first().copied().unwrap_or(b' ');
    match find_any([first, b' '], text.as_bytes()) {
        Some(end) if text.as_bytes()[end] == first => Some(end),
        Some(_) => None,
        None => next.is_empty().then_some(text.len()),
    }
}

/// The text before the first place, and the pattern from the name of that place on, if it has one.
fn head_of(pattern: &'static str) -> (Literal, Option<&'static str>) {
    match pattern.split_once('{') {
        Some((head, behind)) => (Literal::of(head, false), Some(behind)),
        None => (Literal::of(pattern, true), None),
    }
}

fn holes_of(mut rest: Option<&'static str>) -> Vec<Hole> {
    let mut holes: Vec<Hole> = Vec::new();
    while let Some((place, behind)) = rest.and_then(|rest| rest.split_once('}')) {
        let (name, kind) = parse_place(place);
        let (behind, further) = head_of(behind);
        rest = further;
        holes.push(Hole {
            name,
            kind,
            meaning: Meaning::of(name, kind),
            behind,
            behind_address: None,
        });
    }
    for place in 1..holes.len() {
        let (address, behind) = (holes[place].kind, holes[place].behind.text);
        let hole = &mut holes[place - 1];
        let is_before_address = hole.kind == Kind::Greedy
            && hole.behind.text.as_str() == " "
            && address == Kind::Address
            && behind.as_str().starts_with(' ');
        hole.behind_address = is_before_address.then_some(behind);
    }
    holes
}

/// Whether the text is what the places take and what stands between and behind them.
fn holes_fit<'a>(holes: &[Hole], text: &'a str, places: &mut Places<'a>, tries: &mut u32) -> bool {
    let Some((hole, further)) = holes.split_first() else {
        return true;
    };
    let mut attempt = |end: usize| {
        let found = &text[..end];
        *tries += 1;
        if *tries > TRIES_OF_ALL_MAX || !hole.kind.accepts(found) {
            return false;
        }
        let Some(rest) = hole.behind.strip(&text[end..]) else {
            return false;
        };
        places.push(hole.place(found));
        let fitted = holes_fit(further, rest, places, tries);
        if !fitted {
            places.pop();
        }
        fitted
    };
    let next = hole.behind.text;
    match hole.kind {
        Kind::Number => {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            return attempt(digits);
        }
        Kind::Address | Kind::Ip if next.is_empty() => {
            let end = find_any([b' ', b'\t'], text.as_bytes());
            return attempt(end.unwrap_or(text.len()));
        }
        Kind::Word => return word_end(text, &next).is_some_and(attempt),
        _ if next.is_empty() => return attempt(text.len()),
        _ => {}
    }
    // Ends that are tried do not overlap.
    if hole.kind == Kind::Greedy {
        let mut before = text;
        for _ in 0..TRIES_MAX {
            let Some(end) = next.find_last(before) else {
                return false;
            };
            if attempt(end) {
                return true;
            }
            before = &text[..end];
        }
    } else {
        let mut from = 0;
        for _ in 0..TRIES_MAX {
            let Some(found) = next.find(&text[from..]) else {
                return false;
            };
            if attempt(from + found) {
                return true;
            }
            from += found + next.as_str().len();
        }
    }
    false
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
    } else if let Some(name) = place.strip_suffix(":w") {
        (name, Kind::Word)
    } else if let Some(name) = place.strip_suffix(":t") {
        (name, Kind::SlashedTime)
    } else {
        (place, Kind::Text)
    }
}

#[cfg(test)]
mod tests;
