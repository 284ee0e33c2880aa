//! Logs in W3C's extended form ("Extended Log File Format", W3C working draft 960323) whose columns are those that
//! their line `#Fields:` names: IIS with more or fewer fields than by default, Windows Firewall, proxies.

use super::columns::whole_target;
use super::{Fit, Format, NotThisFormat, proxy_names, status_fields, target_fields};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::headers::{Header, Kind};
use crate::scan;
use crate::when;

pub(super) const W3C: Format = Format {
    name: "w3c",
    description: "W3C extended log with the columns of its #Fields line: IIS, Windows Firewall, proxies",
    begins: Begins::OTHER,
    detect: |text| {
        is_directive(text).then_some("begins with a directive of W3C's extended log files")
    },
    read,
};

const DIRECTIVES: [&str; 9] = [
    "#Fields:",
    "#Software:",
    "#Version:",
    "#Date:",
    "#Start-Date:",
    "#End-Date:",
    "#Remark:",
    "#Time Format:",
    "#Log-type:",
];

fn is_directive(text: &str) -> bool {
    text.starts_with('#')
        && DIRECTIVES
            .iter()
            .any(|directive| text.starts_with(directive))
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    if is_directive(text) {
        directive(draft, text);
        return Ok(());
    }
    if read_with_header(draft, text) {
        return Ok(());
    }
    Err(NotThisFormat)
}

/// Remembers what a line about the file says.
fn directive<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    draft.event.format = W3C.name;
    draft.text("message", text);
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let value = value.trim();
    let origin = draft.event.record.origin;
    let headers = &mut draft.scratch.headers;
    match name {
        // Exchange separates by commas, and its columns are known by what they hold.
        "#Fields" if !value.contains(',') => {
            let mut told = Ok(());
            headers.tell(origin, Kind::W3c, |header| {
                told = header.set_columns(value.split_ascii_whitespace());
            });
            if told.is_err() {
                draft.note(
                    ProblemKind::TooLarge,
                    "too many columns, or too long names; they are not remembered",
                );
            }
        }
        "#Date" | "#Start-Date" => {
            let date = value.get(..10).unwrap_or("");
            headers.tell(origin, Kind::W3c, |header| header.date = date.into());
        }
        "#Time Format" => headers.tell(origin, Kind::W3c, |header| {
            header.is_local = value.eq_ignore_ascii_case("local");
        }),
        // The top of another file.
        "#Software" => headers.tell(origin, Kind::W3c, |header| *header = Header::default()),
        _ => {}
    }
}

/// Reads a line by the columns that its source has told; false if there are none, or they do not fit.
pub(super) fn read_with_header<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let origin = draft.event.record.origin;
    let Some(header) = draft.scratch.headers.of(origin) else {
        return false;
    };
    let is_of_it = header.kind == Kind::W3c && !header.columns.is_empty() && fits(&header, text);
    if is_of_it {
        cells(draft, &header, text);
    }
    is_of_it
}

/// As many cells as columns, and an address or a date where there should be one.
fn fits(header: &Header, text: &str) -> bool {
    let mut columns = header.columns.iter();
    let fits = cells_of(text).all(|cell| match columns.next() {
        Some(column) => match &**column {
            "c-ip" | "s-ip" | "src-ip" | "dst-ip" => cell == "-" || scan::is_ip(cell),
            "date" => cell.len() == 10,
            _ => true,
        },
        None => false,
    });
    fits && columns.next().is_none()
}

/// Cells are separated by blanks; those that have blanks are quoted.
fn cells_of(text: &str) -> impl Iterator<Item = &str> {
    super::Cells::new(text, super::Split::Spaces)
}

/// Names that rules know, for those that servers write.
const NAMES: [(&str, &str); 10] = [
    ("cs(User-Agent)", "cs-user-agent"),
    ("cs(Referer)", "cs-referer"),
    ("cs(Cookie)", "cs-cookie"),
    ("cs(Host)", "cs-host"),
    ("cs(X-Forwarded-For)", "x-forwarded-for"),
    ("X-Forwarded-For", "x-forwarded-for"),
    ("src-ip", "src_ip"),
    ("dst-ip", "dst_ip"),
    ("src-port", "src_port"),
    ("dst-port", "dst_port"),
];

fn cells<'a>(draft: &mut Draft<'a, '_>, header: &Header, text: &'a str) {
    let (mut date, mut clock, mut query) = (None, "", "-");
    for (column, cell) in header.columns.iter().zip(cells_of(text)) {
        match &**column {
            "date" => date = Some(cell),
            "time" => clock = cell,
            "cs-uri-query" => query = cell,
            "sc-status" => status_fields(draft, cell),
            _ if cell == "-" && !matches!(&**column, "cs(User-Agent)" | "cs(Referer)") => {}
            "action" => firewall_action(draft, cell),
            column => {
                let known = NAMES.iter().find(|(name, _)| *name == column);
                match known {
                    Some((_, name)) => draft.number(name, cell),
                    None => {
                        let name = draft.arena.alloc_str(column);
                        draft.number(name, cell);
                    }
                }
            }
        }
    }
    whole_target(draft, query);
    proxied_target(draft, query);
    if draft.get("action").is_none() {
        draft.alias("cs-method", "action");
    }
    let date = date.unwrap_or(&header.date);
    if !clock.is_empty() && !date.is_empty() {
        let zone = if header.is_local { "" } else { "Z" };
        let both = draft.concat(&[date, "T", clock, zone]);
        match when::any(both, draft.context) {
            Some(time) => draft.time(time),
            None => draft.note(ProblemKind::BadTime, "date and time are none"),
        }
    }
    sources(draft, header);
}

/// Proxies have the parts of the target in columns of their own.
fn proxied_target<'a>(draft: &mut Draft<'a, '_>, query: &'a str) {
    let path = draft.get_str("cs-uri-path").unwrap_or("");
    let (Some(scheme), Some(host)) = (draft.get_str("cs-uri-scheme"), draft.get_str("cs-host"))
    else {
        return;
    };
    let (mark, query) = match query {
        "-" | "" => ("", ""),
        query => ("?", query.strip_prefix('?').unwrap_or(query)),
    };
    let target = draft.concat(&[scheme, "://", host, path, mark, query]);
    target_fields(draft, target);
}

/// Windows Firewall's `ALLOW`, `DROP`, `INFO-EVENTS-LOST`.
fn firewall_action<'a>(draft: &mut Draft<'a, '_>, cell: &'a str) {
    let action = match cell {
        "ALLOW" => "allow",
        "DROP" => "block",
        other => other,
    };
    draft.push("action", Value::Str(action));
}

fn sources(draft: &mut Draft<'_, '_>, header: &Header) {
    let has = |name| header.place(name).is_some();
    if has("src-ip") && has("dst-ip") {
        draft.source("windows", "firewall", "");
    } else if has("s-action") || has("sc-filter-result") || has("r-ip") {
        proxy_names(draft);
        draft.source("", "proxy", "");
    } else if has("s-sitename") || has("sc-substatus") || has("sc-win32-status") || has("s-ip") {
        draft.event.format = super::columns::IIS_NAME;
        draft.source("windows", "webserver", "iis");
    } else if has("cs-uri-stem") || has("cs-uri") {
        draft.source("", "webserver", "");
    }
}
