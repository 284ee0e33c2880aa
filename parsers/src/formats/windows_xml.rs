//! Windows events as XML, as `wevtutil`, Windows' own forwarding and many agents give them.

use bumpalo::collections::String as ArenaString;
use nom::Parser;
use nom::bytes::complete::{take_till, take_while1};
use nom::character::complete::{char, multispace0, one_of};
use nom::sequence::{delimited, preceded};

use super::{Fit, Format, NotThisFormat, windows};
use crate::beginning::Begins;
use crate::context::Taxonomy;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::scan::Scan;

pub(super) const WINDOWS_XML: Format = Format {
    name: "windows_xml",
    description: "Windows events as XML",
    begins: Begins::ANGLE.or(Begins::OTHER),
    detect,
    read,
};

fn detect(text: &str) -> Option<&'static str> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '-');
    let event = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>")?.1.trim_start(),
        None => text,
    };
    (event.starts_with("<Event>") || event.starts_with("<Event "))
        .then_some("begins with an <Event> element")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    detect(text).ok_or(NotThisFormat)?;
    elements(draft, text, Place::Outside);
    if draft.get("EventID").is_none() {
        return Err(NotThisFormat);
    }
    draft.event.format = "windows_xml";
    match draft.context.taxonomy {
        Taxonomy::Sigma => windows::finish(draft),
        Taxonomy::AsRecorded => windows::time_and_host(draft),
    }
    Ok(())
}

/// Adds the fields of an `<EventData>` element alone, which some agents put into a field of theirs.
pub(super) fn event_data<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    elements(draft, text, Place::Outside);
}

/// Which part of the event an element stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    System,
    EventData,
    UserData,
    Rendering,
}

impl Place {
    fn of(name: &str) -> Option<Self> {
        match name {
            "System" => Some(Self::System),
            "EventData" => Some(Self::EventData),
            "UserData" => Some(Self::UserData),
            "RenderingInfo" => Some(Self::Rendering),
            _ => None,
        }
    }
}

/// A start tag: `<name attributes>` or `<name attributes/>`.
struct Start<'t> {
    name: &'t str,
    attributes: &'t str,
    is_empty: bool,
}

fn start_tag(text: &str) -> Scan<'_, Start<'_>> {
    let name = take_while1(|c: char| !c.is_whitespace() && c != '>' && c != '/');
    let (rest, name) = preceded(char('<'), name).parse(text)?;
    let (rest, attributes) = take_till(|c| c == '>').parse(rest)?;
    let (rest, _) = char('>').parse(rest)?;
    let is_empty = attributes.ends_with('/');
    Ok((
        rest,
        Start {
            name,
            attributes: attributes.trim_end_matches('/'),
            is_empty,
        },
    ))
}

fn attribute_pair(text: &str) -> Scan<'_, (&str, &str)> {
    let (rest, _) = multispace0.parse(text)?;
    let (rest, name) = take_while1(|c: char| c != '=' && !c.is_whitespace()).parse(rest)?;
    let (rest, _) = delimited(multispace0, char('='), multispace0).parse(rest)?;
    let (rest, quote) = one_of("'\"").parse(rest)?;
    let (rest, value) = take_till(move |c| c == quote).parse(rest)?;
    let (rest, _) = char(quote).parse(rest)?;
    Ok((rest, (name, value)))
}

/// One pass over the tags. The event's structure is flat enough that the part and the innermost name say all.
fn elements<'a>(draft: &mut Draft<'a, '_>, text: &'a str, place: Place) {
    let mut place = place;
    let mut innermost: Option<(&'a str, &'a str)> = None;
    let mut rest = text;
    while let Some(open) = memchr::memchr(b'<', rest.as_bytes()) {
        let (before, tag) = rest.split_at(open);
        if let Some(behind) = tag.strip_prefix("</") {
            let (name, after) = behind.split_once('>').unwrap_or((behind, ""));
            if let Some((opened, attributes)) = innermost
                .take()
                .filter(|(opened, _)| *opened == name.trim())
            {
                let content = unescape(draft, before);
                element(draft, place, opened, attributes, content);
            } else if Place::of(name.trim()) == Some(place) {
                place = Place::Outside;
            }
            rest = after;
            continue;
        }
        if let Some(behind) = tag.strip_prefix("<?").or_else(|| tag.strip_prefix("<!")) {
            rest = behind.split_once('>').map_or("", |(_, after)| after);
            continue;
        }
        let Ok((after, start)) = start_tag(tag) else {
            draft.note(ProblemKind::Partial, "the XML breaks off");
            return;
        };
        rest = after;
        if let (Place::Outside, Some(part)) = (place, Place::of(start.name)) {
            place = if start.is_empty { place } else { part };
            innermost = None;
        } else if start.is_empty {
            element(draft, place, start.name, start.attributes, "");
            innermost = None;
        } else {
            innermost = Some((start.name, start.attributes));
        }
    }
}

fn element<'a>(
    draft: &mut Draft<'a, '_>,
    place: Place,
    name: &'a str,
    attributes: &'a str,
    content: &'a str,
) {
    match place {
        Place::System => {
            draft.text(name, content.trim());
            let mut rest = attributes;
            while let Ok((after, (attribute, value))) = attribute_pair(rest) {
                let value = unescape(draft, value);
                let name = draft.concat(&[name, "_", attribute]);
                draft.text(name, value);
                rest = after;
            }
        }
        Place::EventData => {
            let mut named = std::iter::successors(attribute_pair(attributes).ok(), |(rest, _)| {
                attribute_pair(rest).ok()
            })
            .map(|(_, pair)| pair);
            let data_name = named
                .find(|(attribute, _)| *attribute == "Name")
                .map(|(_, value)| value);
            let name = data_name.map_or(name, |data_name| unescape(draft, data_name));
            draft.push(name, Value::Str(content));
        }
        Place::UserData => draft.text(name, content),
        Place::Rendering if name == "Message" => draft.text("Message", content),
        Place::Rendering | Place::Outside => {}
    }
}

/// Resolves entities and character references; borrows where there are none.
pub(super) fn unescape<'a>(draft: &Draft<'a, '_>, text: &'a str) -> &'a str {
    if memchr::memchr(b'&', text.as_bytes()).is_none() {
        return text;
    }
    let mut plain = ArenaString::with_capacity_in(text.len(), draft.arena);
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        plain.push_str(before);
        match behind
            .split_once(';')
            .and_then(|(entity, after)| Some((character_of(entity)?, after)))
        {
            Some((character, after)) => {
                plain.push(character);
                rest = after;
            }
            None => {
                plain.push('&');
                rest = behind;
            }
        }
    }
    plain.push_str(rest);
    plain.into_bump_str()
}

fn character_of(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let code = entity.strip_prefix('#')?;
            let number = match code.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => code.parse(),
            };
            number.ok().and_then(char::from_u32)
        }
    }
}
