//! Reads a record by a definition.

use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use smallvec::SmallVec;

use super::compile::{Definition, Pattern, Shape};
use super::places::Place;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::formats::{Cells, Fit, NotThisFormat};
use crate::scan::{self, Quotes};

/// The parts of the time that were captured.
type TimeParts<'a> = SmallVec<[&'a str; 4]>;

/// Texts and where they go.
type Captured<'a, 'd> = SmallVec<[(&'d Place, &'a str); 24]>;

pub(super) fn read<'a>(definition: &Definition, draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (pattern, captured) = definition
        .patterns
        .iter()
        .find_map(|pattern| capture(pattern, text).map(|captured| (pattern, captured)))
        .ok_or(NotThisFormat)?;
    let mut parts = TimeParts::new();
    parts.resize(definition.time.parts, "");
    write(draft, &captured, &mut parts);
    set(draft, pattern);
    read_pairs(definition, draft, text, &mut parts);
    read_messages(definition, draft, text, &mut parts);
    read_time(definition, draft, &parts);
    for (name, value) in &definition.constants {
        draft.push_if_absent(name, *value);
    }
    map_values(definition, draft);
    add_sources(definition, draft);
    Ok(())
}

fn capture<'a, 'd>(pattern: &'d Pattern, text: &'a str) -> Option<Captured<'a, 'd>> {
    match &pattern.shape {
        Shape::Regex { regex, places } => {
            let mut slots: SmallVec<[Option<NonMaxUsize>; 64]> = SmallVec::new();
            slots.resize((places.len() + 1) * 2, None);
            regex.search_slots(&Input::new(text).anchored(Anchored::Yes), &mut slots)?;
            let found = places.iter().enumerate().filter_map(|(group, place)| {
                let place = place.as_ref()?;
                let (start, end) = (slots[group * 2 + 2]?.get(), slots[group * 2 + 3]?.get());
                Some((place, text.get(start..end)?))
            });
            Some(found.collect())
        }
        Shape::Columns {
            split,
            least,
            places,
            open_end,
        } => {
            let mut cells = Cells::new(text, *split);
            let mut captured = Captured::new();
            let mut count = 0;
            for (column, place) in places.iter().enumerate() {
                let is_last = column + 1 == places.len();
                let cell = if is_last && *open_end {
                    cells.rest()
                } else {
                    cells.next()
                };
                let Some(cell) = cell else { break };
                count += 1;
                if let Some(place) = place {
                    captured.push((place, cell.trim()));
                }
            }
            (count >= *least).then_some(captured)
        }
    }
}

fn write<'a>(draft: &mut Draft<'a, '_>, captured: &Captured<'a, '_>, parts: &mut TimeParts<'a>) {
    for (place, text) in captured {
        match place {
            Place::Time(part) => parts[*part] = text,
            Place::Field { .. } => place.write(draft, text),
        }
    }
}

fn set(draft: &mut Draft<'_, '_>, pattern: &Pattern) {
    for (name, value) in &pattern.set {
        draft.set(name, *value);
    }
}

/// The text that a definition calls `message` is the field, or all of it where no pattern captures one.
fn text_named<'a>(draft: &mut Draft<'a, '_>, name: &str, whole: &'a str) -> Option<&'a str> {
    draft
        .get_str_of(name)
        .or_else(|| (name == "message").then_some(whole))
}

fn read_pairs<'a>(
    definition: &Definition,
    draft: &mut Draft<'a, '_>,
    text: &'a str,
    parts: &mut TimeParts<'a>,
) {
    let Some(pairs) = &definition.pairs else {
        return;
    };
    let Some(text) = text_named(draft, pairs.field, text) else {
        return;
    };
    for pair in scan::pairs_by(text, pairs.separators) {
        let value = match pair.quotes {
            Quotes::Double => scan::unescape(pair.value, draft.arena),
            Quotes::Single | Quotes::None => pair.value,
        };
        match pairs.places.get(pair.key) {
            Some(Place::Time(part)) => parts[*part] = value,
            Some(place) => place.write(draft, value),
            None if pair.quotes == Quotes::None => draft.number(pair.key, value),
            None => draft.text(pair.key, value),
        }
    }
}

fn read_messages<'a>(
    definition: &Definition,
    draft: &mut Draft<'a, '_>,
    text: &'a str,
    parts: &mut TimeParts<'a>,
) {
    for message in &definition.messages {
        let Some(text) = text_named(draft, message.field, text) else {
            continue;
        };
        if let Some(captured) = capture(&message.pattern, text) {
            write(draft, &captured, parts);
            set(draft, &message.pattern);
            return;
        }
    }
}

fn read_time(definition: &Definition, draft: &mut Draft<'_, '_>, parts: &[&str]) {
    let given = parts.iter().filter(|part| !part.is_empty()).count();
    if given == 0 {
        return;
    }
    let received_at = draft.event.record.received_at;
    let time = if let [only] = parts {
        definition.time.read(only, received_at, draft.context)
    } else {
        let mut joined = bumpalo::collections::String::new_in(draft.arena);
        for part in parts.iter().filter(|part| !part.is_empty()) {
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.push_str(part);
        }
        definition.time.read(&joined, received_at, draft.context)
    };
    match time {
        Some(time) => draft.time(time),
        None => draft.note(
            ProblemKind::BadTime,
            "the time is not as the definition says",
        ),
    }
}

fn map_values(definition: &Definition, draft: &mut Draft<'_, '_>) {
    for (field, values) in &definition.values {
        let Some(found) = draft.get(field) else {
            continue;
        };
        let found = match found {
            Value::Str(text) => text,
            other => draft.format(format_args!("{other}")),
        };
        let to = values
            .iter()
            .find(|(from, _)| *from == found)
            .or_else(|| values.iter().find(|(from, _)| *from == "*"));
        if let Some((_, to)) = to {
            draft.set(field, Value::Str(to));
        }
    }
}

fn add_sources(definition: &Definition, draft: &mut Draft<'_, '_>) {
    let of_a_device = |product: &str| !product.is_empty() && product != "linux";
    // What a device writes is no log of Linux, although it came by syslog.
    if definition
        .sources
        .iter()
        .any(|[product, ..]| of_a_device(product))
    {
        draft.event.log_sources.retain(|source| {
            !(source.product == "linux" && matches!(&*source.service, "syslog" | "auth"))
        });
    }
    for (place, [product, category, service]) in definition.sources.iter().enumerate() {
        let before = draft.event.log_sources.len();
        draft.source(product, category, service);
        // The most specific come first.
        if draft.event.log_sources.len() > before && place < before {
            draft.event.log_sources[place..].rotate_right(1);
        }
    }
}
