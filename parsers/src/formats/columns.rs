//! Logs whose fields stand in a fixed order: one table row per log.

use super::{Fit, Format, NotThisFormat, request_fields, status_fields, target_fields, w3c};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::Value;
use crate::scan;
use crate::when;

/// What separates the columns.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Split {
    /// Spaces; values with spaces in double quotes.
    Spaces,
    Tabs,
    /// Commas; double quotes around values, doubled within.
    Commas,
    Semicolons,
    Pipes,
}

/// A log of columns. Names that begin with `!` are read in a special way, `_` is left out.
struct Columns {
    name: &'static str,
    description: &'static str,
    split: Split,
    /// Columns that must be there.
    least: usize,
    names: &'static [&'static str],
    /// Says no to what is not of this log, from its first columns.
    accepts: fn(&[&str]) -> bool,
    source: (&'static str, &'static str, &'static str),
}

/// Columns that are looked at to know the log.
const HEAD: usize = 13;

const LOGS: [Columns; 5] = [
    // Elastic Load Balancing user guide, "Access logs for your Application Load Balancer".
    Columns {
        name: "aws_alb",
        description: "access log of AWS application load balancers",
        split: Split::Spaces,
        least: 17,
        names: &[
            "type",
            "!time",
            "elb",
            "!client",
            "!target_address",
            "request_processing_time",
            "target_processing_time",
            "response_processing_time",
            "!status",
            "target_status_code",
            "cs-bytes",
            "sc-bytes",
            "!request",
            "cs-user-agent",
            "ssl_cipher",
            "ssl_protocol",
            "target_group_arn",
            "trace_id",
            "domain_name",
        ],
        accepts: |head| {
            matches!(head[0], "http" | "https" | "h2" | "grpcs" | "ws" | "wss")
                && head[2].starts_with("app/")
        },
        source: ("aws", "webserver", "alb"),
    },
    // CloudFront developer guide, "Standard log file fields".
    Columns {
        name: "aws_cloudfront",
        description: "standard log of AWS CloudFront",
        split: Split::Tabs,
        least: 20,
        names: &[
            "!date",
            "!clock",
            "x-edge-location",
            "sc-bytes",
            "c-ip",
            "cs-method",
            "x-host",
            "!stem",
            "!status",
            "cs-referer",
            "cs-user-agent",
            "!query",
            "cs-cookie",
            "x-edge-result-type",
            "x-edge-request-id",
            "cs-host",
            "cs-protocol",
            "cs-bytes",
            "time-taken",
            "x-forwarded-for",
            "ssl-protocol",
            "ssl-cipher",
            "x-edge-response-result-type",
            "cs-version",
        ],
        accepts: |head| {
            head[0].len() == 10
                && head[1].len() == 8
                && head[2].contains('-')
                && scan::is_ip(head[4])
        },
        source: ("aws", "webserver", "cloudfront"),
    },
    // The columns that IIS logs unless told otherwise.
    Columns {
        name: "iis",
        description: "W3C log of IIS with its default fields",
        split: Split::Spaces,
        least: 14,
        names: &[
            "!date",
            "!clock",
            "s-ip",
            "cs-method",
            "!stem",
            "!query",
            "s-port",
            "cs-username",
            "c-ip",
            "cs-user-agent",
            "cs-referer",
            "!status",
            "sc-substatus",
            "sc-win32-status",
            "time-taken",
        ],
        accepts: |head| {
            head[0].len() == 10
                && head[1].len() == 8
                && scan::is_ip(head[2])
                && scan::is_ip(head[8])
        },
        source: ("windows", "webserver", "iis"),
    },
    Columns {
        name: "exchange_protocol",
        description: "Exchange's protocol log for POP3 and IMAP4",
        split: Split::Commas,
        least: 11,
        names: &[
            "!time",
            "session_id",
            "sequence",
            "!target_address",
            "!client",
            "User",
            "duration",
            "request_size",
            "response_size",
            "command",
            "parameters",
            "!exchange",
        ],
        accepts: |head| {
            scan::ip_and_port(head[3]).is_some()
                && scan::ip_and_port(head[4]).is_some()
                && head[1].len() == 16
        },
        source: ("windows", "application", "exchange"),
    },
    Columns {
        name: "exchange_smtp",
        description: "Exchange's protocol log for SMTP",
        split: Split::Commas,
        least: 8,
        names: &[
            "!time",
            "connector",
            "session_id",
            "sequence",
            "!target_address",
            "!client",
            "event",
            "!exchange",
            "context",
        ],
        accepts: |head| {
            scan::ip_and_port(head[4]).is_some()
                && scan::ip_and_port(head[5]).is_some()
                && head[1].contains('\\')
        },
        source: ("windows", "application", "exchange"),
    },
];

/// The format of the log at `PLACE`.
pub(super) const fn format<const PLACE: usize>() -> Format {
    Format {
        name: LOGS[PLACE].name,
        description: LOGS[PLACE].description,
        begins: Begins::DATE.or(Begins::DIGIT).or(Begins::LETTER),
        detect: |text| detect(&LOGS[PLACE], text),
        read: |draft, text| read(&LOGS[PLACE], draft, text),
    }
}

/// The name of IIS's log, which has other columns where its header says so.
pub(super) const IIS_NAME: &str = LOGS[2].name;

/// The columns of a line.
#[derive(Clone)]
pub(crate) struct Cells<'t> {
    rest: Option<&'t str>,
    split: Split,
}

impl<'t> Cells<'t> {
    pub(crate) fn new(text: &'t str, split: Split) -> Self {
        Self {
            rest: Some(text),
            split,
        }
    }

    /// What has not been split yet.
    pub(crate) fn rest(&mut self) -> Option<&'t str> {
        self.rest.take()
    }
}

impl<'t> Iterator for Cells<'t> {
    type Item = &'t str;

    fn next(&mut self) -> Option<&'t str> {
        let rest = self.rest?;
        let separator = match self.split {
            Split::Spaces => b' ',
            Split::Tabs => b'\t',
            Split::Commas => b',',
            Split::Semicolons => b';',
            Split::Pipes => b'|',
        };
        let quoted = if rest.starts_with('"') && !matches!(self.split, Split::Tabs) {
            end_of_quotes(rest)
        } else {
            None
        };
        let (cell, behind) = match quoted {
            Some(end) => (&rest[1..end], &rest[end + 1..]),
            None => {
                let end = scan::find_near(separator, rest.as_bytes());
                rest.split_at(end.unwrap_or(rest.len()))
            }
        };
        self.rest = behind.strip_prefix(char::from(separator));
        Some(cell)
    }
}

/// Where the closing quote is: not a doubled one, not one behind a backslash.
fn end_of_quotes(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(found) = memchr::memchr(b'"', &bytes[at..]) {
        let end = at + found;
        match bytes.get(end + 1) {
            Some(b'"') => at = end + 2,
            _ if bytes[end - 1] == b'\\' && end > 1 => at = end + 1,
            _ => return Some(end),
        }
        if at > bytes.len() {
            return None;
        }
    }
    None
}

/// The first cells of a line of this log; the others are counted only where these are as they should be.
fn head_of<'t>(log: &Columns, text: &'t str) -> Option<[&'t str; HEAD]> {
    let mut cells = Cells::new(text, log.split);
    let mut head = [""; HEAD];
    let mut count = 0;
    for (cell, place) in cells.by_ref().zip(&mut head) {
        *place = cell;
        count += 1;
    }
    let is_long_enough = count >= HEAD.min(log.least);
    if !is_long_enough || !(log.accepts)(&head) {
        return None;
    }
    let others = log.least.saturating_sub(count);
    (cells.take(others).count() == others).then_some(head)
}

fn detect(log: &'static Columns, text: &str) -> Option<&'static str> {
    // None of these logs begins with a capital.
    let begins_right = text.starts_with(|c: char| c.is_ascii_digit() || c.is_ascii_lowercase());
    begins_right.then_some(())?;
    head_of(log, text).map(|_| log.description)
}

fn read<'a>(log: &'static Columns, draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    if log.name == IIS_NAME && (w3c::W3C.detect)(text).is_some() {
        return (w3c::W3C.read)(draft, text);
    }
    if log.name == IIS_NAME && w3c::read_with_header(draft, text) {
        draft.event.format = IIS_NAME;
        return Ok(());
    }
    let head = head_of(log, text).ok_or(NotThisFormat)?;
    let cells = Cells {
        rest: Some(text),
        split: log.split,
    };
    for (name, cell) in log.names.iter().zip(cells) {
        match name.strip_prefix('!') {
            Some(special) => special_cell(draft, special, cell, &head),
            None if *name == "_"
                || cell == "-" && !matches!(*name, "cs-user-agent" | "cs-referer") => {}
            None => draft.number(name, cell),
        }
    }
    let (product, category, service) = log.source;
    draft.source(product, category, service);
    Ok(())
}

fn special_cell<'a>(draft: &mut Draft<'a, '_>, special: &str, cell: &'a str, head: &[&'a str]) {
    match special {
        "time" => {
            if let Some(time) = when::any(cell, draft.context) {
                draft.time(time);
            }
        }
        // W3C logs are in UTC.
        "clock" => {
            let both = draft.concat(&[head[0], "T", cell, "Z"]);
            if let Some(time) = when::any(both, draft.context) {
                draft.time(time);
            }
        }
        "client" => address(draft, cell, "c-ip", "c-port"),
        "target_address" => address(draft, cell, "s-ip", "s-port"),
        "status" => status_fields(draft, cell),
        "request" => request_fields(draft, cell),
        "stem" => draft.text("cs-uri-stem", cell),
        "query" => whole_target(draft, cell),
        "exchange" => {
            draft.text("message", cell);
            let failed = cell.contains("AuthFailed")
                || cell.contains("LogonDenied")
                || cell.contains("Authentication unsuccessful");
            if failed {
                draft.action("login", "failure");
            }
        }
        _ => {}
    }
}

fn address<'a>(
    draft: &mut Draft<'a, '_>,
    cell: &'a str,
    name: &'static str,
    port_name: &'static str,
) {
    if let Some((address, port)) = scan::ip_and_port(cell) {
        draft.text(name, address);
        draft.number(port_name, port);
    } else {
        draft.text_or_dash(name, cell);
    }
}

/// Stem and query are columns of their own; the whole target is what they make together.
pub(super) fn whole_target<'a>(draft: &mut Draft<'a, '_>, query: &'a str) {
    let Some(stem) = draft.get_str("cs-uri-stem") else {
        return;
    };
    let target = if matches!(query, "-" | "") {
        stem
    } else {
        draft.concat(&[stem, "?", query])
    };
    draft.set("cs-uri-stem", Value::Str(stem));
    target_fields(draft, target);
    draft.set("cs-uri-stem", Value::Str(stem));
}
