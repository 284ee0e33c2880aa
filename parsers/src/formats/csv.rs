//! CSV with a header (RFC 4180): the first line of a file names the columns of all others. Only who names the format
//! gets it: a line with commas may be anything.

use super::{Cells, Fit, Format, NotThisFormat, Split, json, shapes};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::headers::{Header, Kind};
use crate::when;

pub(super) const CSV: Format = Format {
    name: "csv",
    description: "comma, semicolon or tab separated values with a header line; only when named",
    begins: Begins::NOTHING,
    detect: |_| None,
    read,
};

const SEPARATORS: [(char, Split); 4] = [
    (',', Split::Commas),
    (';', Split::Semicolons),
    ('\t', Split::Tabs),
    ('|', Split::Pipes),
];

fn cells(text: &str, separator: char) -> Cells<'_> {
    let split = SEPARATORS.iter().find(|(known, _)| *known == separator);
    Cells::new(text, split.map_or(Split::Commas, |(_, split)| *split))
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let record = draft.event.record;
    let header = draft.scratch.headers.of(record.origin);
    let header = header.filter(|header| header.kind == Kind::Csv && !header.columns.is_empty());
    if is_header(text, header.as_deref(), record.position) {
        remember(draft, text);
        draft.text("message", text);
        return Ok(());
    }
    match header {
        Some(header) => values(draft, text, &header),
        None => {
            let separator = separator_of(text).ok_or(NotThisFormat)?;
            draft.note(
                ProblemKind::Partial,
                "no header was seen; columns have numbers",
            );
            let unnamed = Header {
                separator,
                ..Header::default()
            };
            values(draft, text, &unnamed);
        }
    }
    json::finish(draft);
    date_and_time(draft);
    shapes::finish(draft);
    draft.event.format = CSV.name;
    Ok(())
}

/// What stands most often between the cells.
fn separator_of(text: &str) -> Option<char> {
    let count = |separator: char| cells(text, separator).count();
    SEPARATORS
        .iter()
        .map(|(separator, _)| *separator)
        .rev()
        .max_by_key(|separator| count(*separator))
        .filter(|separator| count(*separator) > 1)
}

/// Whether a line names columns: the first of a file, or one that looks like it while none is known, or the same again.
fn is_header(text: &str, known: Option<&Header>, position: u64) -> bool {
    let Some(separator) = separator_of(text) else {
        return false;
    };
    let mut names = cells(text, separator);
    let looks_like_names = names.clone().all(is_name);
    looks_like_names
        && match known {
            None => true,
            // A file's first byte, or its first record.
            Some(_) if position <= 1 => true,
            Some(header) => names.next().is_some_and(|first| {
                header
                    .columns
                    .first()
                    .is_some_and(|known| **known == *first)
            }),
        }
}

/// A name begins with a letter or a mark of its own, and is no sentence.
fn is_name(cell: &str) -> bool {
    let cell = cell.trim();
    cell.len() <= 64
        && cell.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@' | '#' | '('))
        && !cell.contains(['=', '\\', '{', '"'])
}

fn remember(draft: &mut Draft<'_, '_>, text: &str) {
    let separator = separator_of(text).unwrap_or(',');
    let origin = draft.event.record.origin;
    let mut told = Ok(());
    draft.scratch.headers.tell(origin, Kind::Csv, |header| {
        header.separator = separator;
        told = header.set_columns(cells(text, separator).map(str::trim));
    });
    if told.is_err() {
        draft.note(
            ProblemKind::TooLarge,
            "too many columns, or too long names; they are not remembered",
        );
    }
}

fn values<'a>(draft: &mut Draft<'a, '_>, text: &'a str, header: &Header) {
    let mut count = 0;
    for (place, cell) in cells(text, header.separator).enumerate() {
        count += 1;
        let cell = unquoted(draft, cell);
        if cell.is_empty() {
            continue;
        }
        let name = match header.columns.get(place) {
            Some(name) => draft.arena.alloc_str(name),
            None => draft.format(format_args!("column_{}", place + 1)),
        };
        draft.number(name, cell);
    }
    if !header.columns.is_empty() && count != header.columns.len() {
        draft.note(
            ProblemKind::Partial,
            format!("{count} cells, the header has {}", header.columns.len()),
        );
    }
}

/// Quotes within quotes are doubled.
fn unquoted<'a>(draft: &Draft<'a, '_>, cell: &'a str) -> &'a str {
    if !cell.contains("\"\"") {
        return cell;
    }
    let mut text = bumpalo::collections::String::with_capacity_in(cell.len(), draft.arena);
    let mut parts = cell.split("\"\"");
    text.push_str(parts.next().unwrap_or(""));
    for part in parts {
        text.push('"');
        text.push_str(part);
    }
    text.into_bump_str()
}

/// Date and time of day may have columns of their own.
fn date_and_time(draft: &mut Draft<'_, '_>) {
    for (date, clock) in [("Date", "Time"), ("date", "time"), ("DATE", "TIME")] {
        if let (Some(Value::Str(date)), Some(Value::Str(clock))) =
            (draft.get(date), draft.get(clock))
        {
            let both = draft.concat(&[date, " ", clock]);
            if let Some(time) = when::any(both, draft.context) {
                draft.time(time);
            }
        }
    }
}
