//! Apache's error log: `[time] [module:level] [pid n:tid n] [client a:p] AHnnnnn: message`.

use super::{Fit, Format, NotThisFormat, modsecurity};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::Value;
use crate::messages::{Message, message, read_table};
use crate::scan;
use crate::when;

pub(super) const APACHE_ERROR: Format = Format {
    name: "apache_error",
    description: "error log of Apache",
    begins: Begins::BRACKET,
    detect,
    read,
};

static MESSAGES: &[Message] = &[
    message(
        "user {cs-username*}: authentication failure for \"{target}\": {reason}",
        "login",
        "failure",
    ),
    message(
        "user {cs-username*} not found: {target}",
        "login",
        "failure",
    ),
    message(
        "client denied by server configuration: {path}",
        "access",
        "failure",
    ),
    message("invalid URI path ({target})", "", ""),
];

fn detect(text: &str) -> Option<&'static str> {
    let (rest, time) = scan::bracketed(text).ok()?;
    when::ctime(time, &jiff::tz::TimeZone::UTC)?;
    rest.starts_with(" [")
        .then_some("begins with a time and a level in brackets, as Apache's error log")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (mut rest, time) = scan::bracketed(text).map_err(|_| NotThisFormat)?;
    let (time, _) = when::ctime(time, &draft.context.default_zone).ok_or(NotThisFormat)?;
    draft.time(time);
    while let Ok((behind, part)) = scan::bracketed(rest.trim_start_matches(' ')) {
        if !bracket(draft, part) {
            break;
        }
        rest = behind;
    }
    let message = rest.trim();
    draft.text("message", message);
    if let Some((code, _)) = message.split_once(": ").filter(|(code, _)| is_code(code)) {
        draft.text("error_code", code);
    }
    if let Some((_, referer)) = message.rsplit_once(", referer: ") {
        draft.text("cs-referer", referer);
    }
    // Modules that speak of the connection's end name the client within the message.
    if draft.get("c-ip").is_none()
        && let Some((client, _)) = scan::between(message, "[client ", "]")
    {
        client_fields(draft, client);
    }
    let said = draft.get_str("error_code").map_or(message, |code| {
        message[code.len()..].trim_start_matches([':', ' '])
    });
    read_table(draft, MESSAGES, said);
    modsecurity::in_error_log(draft, message);
    draft.source("", "webserver", "apache");
    draft.source("", "", "apache");
    Ok(())
}

/// One `[...]` of the header; false when it belongs to the message already.
fn bracket<'a>(draft: &mut Draft<'a, '_>, part: &'a str) -> bool {
    if let Some(client) = part
        .strip_prefix("client ")
        .or_else(|| part.strip_prefix("remote "))
    {
        client_fields(draft, client);
        return true;
    }
    if let Some(pids) = part.strip_prefix("pid ") {
        let (pid, tid) = pids.split_once(":tid ").unwrap_or((pids, ""));
        draft.number("pid", pid);
        draft.number("tid", tid);
        return true;
    }
    let (module, level) = part.split_once(':').unwrap_or(("", part));
    let known = [
        "emerg", "alert", "crit", "error", "warn", "notice", "info", "debug", "trace",
    ];
    if draft.get("level").is_some() || !known.iter().any(|name| level.starts_with(name)) {
        return false;
    }
    draft.push("level", Value::Str(level));
    draft.text("module", module);
    true
}

fn client_fields<'a>(draft: &mut Draft<'a, '_>, client: &'a str) {
    match scan::ip_and_port(client) {
        Some((address, port)) => {
            draft.text("c-ip", address);
            draft.number("c-port", port);
        }
        None => draft.text("c-ip", client),
    }
}

fn is_code(code: &str) -> bool {
    code.strip_prefix("AH")
        .is_some_and(|digits| digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}
