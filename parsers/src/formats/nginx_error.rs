//! nginx's error log: `2024/08/26 01:33:38 [error] 12#34: *56 message, client: a, server: s, request: "r", host: "h"`.

use super::{Fit, Format, NotThisFormat, modsecurity, target_fields};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::messages::{Message, message, read_table};
use crate::scan;
use crate::when;

pub(super) const NGINX_ERROR: Format = Format {
    name: "nginx_error",
    description: "error log of nginx",
    begins: Begins::DATE,
    detect,
    read,
};

static MESSAGES: &[Message] = &[
    message(
        "user \"{cs-username*}\": password mismatch",
        "login",
        "failure",
    ),
    message(
        "user \"{cs-username*}\" was not found in",
        "login",
        "failure",
    ),
    message(
        "client {c-ip:i}:{c-port:n} connected to",
        "connect",
        "success",
    ),
    message(
        "client login failed: \"{reason*}\" while in http auth state",
        "login",
        "failure",
    ),
    message("client logged in, ", "login", "success"),
    message("access forbidden by rule", "access", "failure"),
];

fn detect(text: &str) -> Option<&'static str> {
    let (_, rest) =
        when::iso(text, &jiff::tz::TimeZone::UTC).filter(|_| text.as_bytes()[4] == b'/')?;
    let (rest, _) = scan::bracketed(rest.strip_prefix(' ')?).ok()?;
    let (_, process) = scan::next_word(rest).ok()?;
    process
        .contains('#')
        .then_some("begins with a time, a level and pid#tid, as nginx's error log")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (time, rest) = when::iso(text, &draft.context.default_zone).ok_or(NotThisFormat)?;
    let (rest, level) = scan::bracketed(rest.trim_start_matches(' ')).map_err(|_| NotThisFormat)?;
    let (rest, process) = scan::next_word(rest).map_err(|_| NotThisFormat)?;
    let (pid, tid) = process
        .trim_end_matches(':')
        .split_once('#')
        .ok_or(NotThisFormat)?;
    draft.time(time);
    draft.text("level", level);
    draft.number("pid", pid);
    draft.number("tid", tid);
    let rest = rest.trim_start_matches(' ');
    let message = match rest.split_once(' ') {
        Some((connection, message)) if connection.starts_with('*') => {
            draft.number("connection", &connection[1..]);
            message
        }
        _ => rest,
    };
    draft.text("message", message);
    // From the right: the message in front may hold anything that a client sends.
    let mut head = message;
    while let Some((before, pair)) = head.rsplit_once(", ") {
        let Some((name, value)) = pair.split_once(": ") else {
            break;
        };
        detail(draft, name, value.trim_matches('"'));
        head = before;
    }
    read_table(draft, MESSAGES, message);
    modsecurity::in_error_log(draft, message);
    draft.source("", "webserver", "nginx");
    draft.source("", "", "nginx");
    Ok(())
}

fn detail<'a>(draft: &mut Draft<'a, '_>, name: &'a str, value: &'a str) {
    match name {
        "client" => draft.text("c-ip", value),
        "server" => draft.text("s-sitename", value),
        "host" => draft.text("cs-host", value),
        "referrer" => draft.text("cs-referer", value),
        "request" => {
            let (method, rest) = value.split_once(' ').unwrap_or(("", value));
            draft.text("cs-method", method);
            target_fields(
                draft,
                rest.rsplit_once(" HTTP/")
                    .map_or(rest, |(target, _)| target),
            );
        }
        "upstream" => draft.text("upstream", value),
        "login" => draft.text("cs-username", value),
        _ => {}
    }
}
