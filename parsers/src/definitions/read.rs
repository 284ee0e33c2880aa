//! Reads a record by a definition.

use bumpalo::Bump;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use smallvec::SmallVec;

use super::compile::{Definition, Pattern, Shape};
use super::places::Place;
use crate::draft::Draft;
use crate::event::ProblemKind;
use crate::formats::{Cells, Fit, NotThisFormat, proxy_names};
use crate::scan::{self, Quotes};

/// What was captured and is no field.
struct Aside<'a> {
    whole: &'a str,
    /// The parts of the time.
    time: SmallVec<[&'a str; 4]>,
    /// Texts that are only looked into.
    held: SmallVec<[(&'static str, &'a str); 2]>,
    /// The wrapper that the text stands in has a message already, of which this one is a part.
    has_message: bool,
}

impl<'a> Aside<'a> {
    fn new(draft: &mut Draft<'a, '_>, whole: &'a str, time_parts: usize) -> Self {
        let mut time = SmallVec::new();
        time.resize(time_parts, "");
        Self {
            whole,
            time,
            held: SmallVec::new(),
            has_message: draft.get(MESSAGE).is_some(),
        }
    }

    /// The text of that name: held, a field, or for `message` all of it where no pattern captures one.
    fn text_named(&self, draft: &mut Draft<'a, '_>, name: &str) -> Option<&'a str> {
        let held = self.held.iter().find(|(held, _)| *held == name);
        held.map(|(_, text)| *text)
            .or_else(|| draft.get_str_of(name))
            .or_else(|| (name == MESSAGE).then_some(self.whole))
    }
}

/// What a person reads.
const MESSAGE: &str = "message";

/// Texts and where they go.
type Captured<'a, 'd> = SmallVec<[(&'d Place, &'a str); 24]>;

pub(super) fn read<'a>(definition: &Definition, draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (pattern, captured) = definition
        .patterns
        .iter()
        .find_map(|pattern| capture(pattern, text, draft.arena).map(|captured| (pattern, captured)))
        .ok_or(NotThisFormat)?;
    let mut aside = Aside::new(draft, text, definition.time.parts);
    write(draft, &captured, &mut aside);
    set(draft, pattern);
    read_pairs(definition, draft, &mut aside);
    read_messages(definition, draft, &mut aside);
    read_time(definition, draft, &aside.time);
    for (name, value) in &definition.constants {
        draft.push_if_absent(name, *value);
    }
    add_sources(definition, draft);
    Ok(())
}

fn capture<'a, 'd>(
    pattern: &'d Pattern,
    text: &'a str,
    arena: &'a Bump,
) -> Option<Captured<'a, 'd>> {
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
                    captured.push((place, undoubled(cell.trim(), arena)));
                }
            }
            (count >= *least).then_some(captured)
        }
    }
}

/// Quotes within quotes are doubled.
fn undoubled<'a>(cell: &'a str, arena: &'a Bump) -> &'a str {
    if cell.contains("\"\"") {
        arena.alloc_str(&cell.replace("\"\"", "\""))
    } else {
        cell
    }
}

fn write<'a>(draft: &mut Draft<'a, '_>, captured: &Captured<'a, '_>, aside: &mut Aside<'a>) {
    for (place, text) in captured {
        match place {
            Place::Time(part) => aside.time[*part] = text,
            Place::Held(name) => aside.held.push((name, text)),
            Place::Field { .. } if aside.has_message && place.is_only(MESSAGE) => {
                aside.held.push((MESSAGE, text));
            }
            Place::Field { .. } => place.write(draft, text),
        }
    }
}

fn set(draft: &mut Draft<'_, '_>, pattern: &Pattern) {
    for (name, value) in &pattern.set {
        draft.set(name, *value);
    }
}

fn read_pairs<'a>(definition: &Definition, draft: &mut Draft<'a, '_>, aside: &mut Aside<'a>) {
    let Some(pairs) = &definition.pairs else {
        return;
    };
    let Some(text) = aside.text_named(draft, pairs.field) else {
        return;
    };
    for pair in scan::pairs_by(text, pairs.separators) {
        let value = match pair.quotes {
            Quotes::Double => scan::unescape(pair.value, draft.arena),
            Quotes::Single | Quotes::None => pair.value,
        };
        match pairs.places.get(pair.key) {
            Some(Place::Time(part)) => aside.time[*part] = value,
            Some(place) => place.write(draft, value),
            None if pair.quotes == Quotes::None => draft.number(pair.key, value),
            None => draft.text(pair.key, value),
        }
    }
}

fn read_messages<'a>(definition: &Definition, draft: &mut Draft<'a, '_>, aside: &mut Aside<'a>) {
    for message in &definition.messages {
        let Some(text) = aside.text_named(draft, message.field) else {
            continue;
        };
        let mut captured = capture(&message.pattern, text, draft.arena);
        // What captures a message may leave out words in front of it that tell messages apart.
        if captured.is_none() && message.field == MESSAGE && text.len() != aside.whole.len() {
            captured = capture(&message.pattern, aside.whole, draft.arena);
        }
        if let Some(captured) = captured {
            write(draft, &captured, aside);
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
        if *category == "proxy" {
            proxy_names(draft);
        }
        let before = draft.event.log_sources.len();
        draft.source(product, category, service);
        // The most specific come first.
        if draft.event.log_sources.len() > before && place < before {
            draft.event.log_sources[place..].rotate_right(1);
        }
    }
}
