//! Access logs of Apache and nginx: common and combined, with a virtual host before or behind, and what
//! configurations commonly add at the end.

use nom::Parser;
use nom::sequence::preceded;

use super::{Fit, Format, NotThisFormat};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::Value;
use crate::scan::{self, Scan, Word};
use crate::when;

pub(super) const WEB_ACCESS: Format = Format {
    name: "web_access",
    description: "access log of Apache or nginx: common, combined, with or without virtual host",
    begins: Begins::WORD.or(Begins::BRACKET),
    detect,
    read,
};

/// `client identity user [time] "request" status bytes ...`
struct Access<'t> {
    host: &'t str,
    client: &'t str,
    user: &'t str,
    time: &'t str,
    request: &'t str,
    status: &'t str,
    bytes: &'t str,
    rest: &'t str,
}

fn detect(text: &str) -> Option<&'static str> {
    let (_, access) = access(text).ok()?;
    when::clf(access.time, &jiff::tz::TimeZone::UTC)?;
    Some(
        "has a client, a time in brackets and a quoted request, as access logs of Apache and nginx",
    )
}

const BEFORE_TIME: Word = Word::new(" [");

fn access(text: &str) -> Scan<'_, Access<'_>> {
    let (rest, first) = scan::word(text)?;
    let (rest, second) = scan::next_word(rest)?;
    // User names may hold spaces: they end where the time begins.
    let (user, rest) = match BEFORE_TIME.find(rest) {
        Some(at) => (rest[..at].trim(), &rest[at..]),
        None => return Err(nom::Err::Error(())),
    };
    let (host, client, user) = match user.strip_prefix("- ") {
        Some(user) if second != "-" => (first, second, user),
        _ => ("", first, user),
    };
    let (rest, time) = preceded(scan::spaces, scan::bracketed).parse(rest)?;
    let (rest, request) = preceded(scan::spaces, scan::quoted).parse(rest)?;
    let (rest, status) = scan::next_word(rest)?;
    let (rest, bytes) = scan::next_word(rest)?;
    let numeric = |text: &str| text == "-" || text.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric(status) || !numeric(bytes) {
        return Err(nom::Err::Error(()));
    }
    Ok((
        "",
        Access {
            host,
            client,
            user,
            time,
            request,
            status,
            bytes,
            rest,
        },
    ))
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let (_, access) = access(text).map_err(|_| NotThisFormat)?;
    let (time, _) = when::clf(access.time, &draft.context.default_zone).ok_or(NotThisFormat)?;
    draft.time(time);
    draft.text_or_dash("c-ip", access.client);
    draft.text_or_dash("cs-username", access.user);
    let host = access
        .host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    match host {
        Some((host, port)) => {
            draft.text_or_dash("cs-host", host);
            draft.number("s-port", port);
        }
        None => draft.text_or_dash("cs-host", access.host),
    }
    request_fields(draft, access.request);
    status_fields(draft, access.status);
    if access.bytes != "-" {
        draft.number("sc-bytes", access.bytes);
    }
    let rest = tail(draft, access.rest);
    draft.text("extra", rest.trim());
    service(draft);
    Ok(())
}

/// `"referer" "user agent"`, then perhaps a forwarded address or the virtual host.
fn tail<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> &'a str {
    let mut quoted = preceded(scan::spaces, scan::quoted);
    let Ok((rest, referer)) = quoted.parse(text) else {
        return text;
    };
    let Ok((rest, agent)) = quoted.parse(rest) else {
        return text;
    };
    let referer = scan::unescape(referer, draft.arena);
    let agent = scan::unescape(agent, draft.arena);
    draft.text("cs-referer", referer);
    draft.text("cs-user-agent", agent);
    let Ok((behind, more)) = quoted.parse(rest) else {
        return rest;
    };
    let first = more.split(',').next().unwrap_or("").trim();
    if scan::is_ip(first) {
        draft.text("x-forwarded-for", more);
        behind
    } else {
        rest
    }
}

/// A status code and what it says about the outcome.
pub(crate) fn status_fields(draft: &mut Draft<'_, '_>, status: &str) {
    if let Ok(status) = status.parse::<i64>() {
        draft.push("sc-status", Value::Int(status));
        draft.action("", if status >= 400 { "failure" } else { "success" });
    }
}

/// `GET /path?query HTTP/1.1`; what is no request is kept whole.
pub(crate) fn request_fields<'a>(draft: &mut Draft<'a, '_>, request: &'a str) {
    let request = scan::unescape(request, draft.arena);
    let method_and_rest = request.split_once(' ').filter(|(method, _)| {
        !method.is_empty()
            && method.len() <= 24
            && method
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || b"-_".contains(&byte))
    });
    let Some((method, rest)) = method_and_rest else {
        draft.text_or_dash("request", request);
        draft.text_or_dash("cs-uri-query", request);
        return;
    };
    // The target may hold spaces; the version does not.
    let (target, version) = rest
        .rsplit_once(' ')
        .filter(|(_, last)| last.starts_with("HTTP/"))
        .unwrap_or((rest, ""));
    draft.text("cs-method", method);
    draft.text("action", method);
    draft.text("cs-version", version);
    target_fields(draft, target);
}

/// The target of a request under the names of W3C logs; see README.md about `cs-uri-query`.
pub(crate) fn target_fields<'a>(draft: &mut Draft<'a, '_>, target: &'a str) {
    if target.is_empty() {
        return;
    }
    draft.text("c-uri", target);
    let target = match absolute(target) {
        Some((host, target)) => {
            draft.push_if_absent("cs-host", Value::Str(host));
            target
        }
        None => target,
    };
    draft.text("cs-uri", target);
    match target.split_once('?') {
        Some((stem, query)) => {
            draft.text("cs-uri-stem", stem);
            let both = draft
                .arena
                .alloc_slice_copy(&[Value::Str(query), Value::Str(target)]);
            draft.push("cs-uri-query", Value::List(both));
        }
        None => {
            draft.text("cs-uri-stem", target);
            draft.text("cs-uri-query", target);
        }
    }
}

/// The names that rules for proxies use besides (Sigma's taxonomy, category proxy).
pub(crate) fn proxy_names<'a>(draft: &mut Draft<'a, '_>) {
    for (from, to) in [
        ("cs-user-agent", "c-useragent"),
        ("cs-uri-stem", "c-uri-stem"),
        ("cs-referer", "cs-referrer"),
        ("cs-host", "r-dns"),
        ("c-ip", "src_ip"),
        ("s-ip", "dst_ip"),
        ("r-ip", "dst_ip"),
    ] {
        draft.alias(from, to);
    }
    let target = draft.get_str("c-uri").or_else(|| draft.get_str("cs-uri"));
    if let Some((_, query)) = target.and_then(|target| target.split_once('?')) {
        draft.push_if_absent("c-uri-query", Value::Str(query));
    }
    let stem = draft.get_str("cs-uri-stem").unwrap_or("");
    let file = stem.rsplit('/').next().unwrap_or("");
    if let Some((_, extension)) = file.rsplit_once('.').filter(|(_, end)| {
        (1..=10).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }) {
        draft.push_if_absent("c-uri-extension", Value::Str(extension));
    }
}

/// `http://host:port/path`, as proxies are asked for it: the host without port, and the rest.
fn absolute(target: &str) -> Option<(&str, &str)> {
    let is_web = |scheme: &str| matches!(scheme, "http" | "https" | "ws" | "wss");
    let (_, rest) = target
        .split_once("://")
        .filter(|(scheme, _)| is_web(scheme))?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let port = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    Some((port.map_or(host, |(host, _)| host), path))
}

/// Both servers write the same lines; who it was is known from the origin or the program, if at all.
fn service(draft: &mut Draft<'_, '_>) {
    let origin = draft.event.record.origin;
    let stream = origin.stream.as_str();
    let program = draft.get_str("program").unwrap_or("");
    let says = |name: &str| {
        origin.log_source.service == name || stream.contains(name) || program.contains(name)
    };
    if says("nginx") {
        draft.source("", "webserver", "nginx");
    } else {
        draft.source("", "webserver", "apache");
    }
}
