//! The header that Cisco's devices put before `%FACILITY-SEVERITY-MNEMONIC: text`: a sequence number, a host, a time with
//! marks of doubt and the name of a zone, each of them there or not ("System Message Guide", "Message format").

use crate::context::ParseContext;
use crate::time::Timestamp;
use crate::when;

/// Bytes before the tag that are looked at.
const HEADER_BYTES_MAX: usize = 128;

/// What stands before the tag.
pub(super) struct Header<'t> {
    pub(super) time: Clock,
    pub(super) host: &'t str,
    /// From the tag on.
    pub(super) message: &'t str,
}

/// What the device says about the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// Nothing.
    Silent,
    /// It is this.
    Set(Timestamp),
    /// Something far off the receipt, and that its clock was never set: `*Mar  1 00:00:41`.
    NeverSet,
}

/// Takes a message apart, if it has such a tag.
pub(super) fn read<'t>(
    text: &'t str,
    received_at: Timestamp,
    context: &ParseContext,
) -> Option<Header<'t>> {
    let head = &text.as_bytes()[..text.len().min(HEADER_BYTES_MAX)];
    let at = memchr::memchr(b'%', head).filter(|at| is_tag(&text[*at..]))?;
    let (header, message) = text.split_at(at);
    let is_free = header.is_empty() || header.ends_with([' ', ':']);
    is_free.then(|| {
        let (time, host) = time_and_host(header, received_at, context);
        Header {
            time,
            host,
            message,
        }
    })
}

/// `%SYS-5-CONFIG_I:`, `%ASA-6-302013:`, `%ASA-session-6-605004:`
fn is_tag(text: &str) -> bool {
    let Some((tag, _)) = text[1..].split_once(": ").filter(|(tag, _)| tag.len() < 64) else {
        return false;
    };
    let is_word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let mut words = tag.rsplit('-');
    let (mnemonic, severity) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    is_word(mnemonic)
        && matches!(severity.as_bytes(), [b'0'..=b'7'])
        && words.clone().next().is_some()
        && words.all(is_word)
}

fn time_and_host<'t>(
    header: &'t str,
    received_at: Timestamp,
    context: &ParseContext,
) -> (Clock, &'t str) {
    let mut time = Clock::Silent;
    let mut host = "";
    let mut rest = header;
    loop {
        // `*` says that the clock was not set, or is not in step with a server; `.` that it was and has lost its server.
        let behind_marks = rest.trim_start_matches([' ', ':', '*', '.']);
        let is_doubtful = rest[..rest.len() - behind_marks.len()].contains('*');
        rest = behind_marks;
        if rest.is_empty() {
            return (time, host);
        }
        if time == Clock::Silent {
            let found = when::bsd(rest, received_at, context)
                .or_else(|| when::iso(rest, &context.default_zone));
            if let Some((read, behind)) = found {
                let hours_off = (read.0 - received_at.0).abs() / 3_600_000_000;
                time = if is_doubtful && hours_off > i64::from(context.clock_ahead_max_hours) {
                    Clock::NeverSet
                } else {
                    Clock::Set(read)
                };
                rest = without_zone_name(behind);
                continue;
            }
        }
        let (word, behind) = rest.split_once(' ').unwrap_or((rest, ""));
        let word = word.trim_end_matches(':');
        // The first number is the message's, not a host.
        if host.is_empty() && !word.bytes().all(|byte| byte.is_ascii_digit()) {
            host = word;
        }
        rest = behind;
    }
}

/// ` ICT: ` behind a time is the name of its zone, which the default one stands for.
fn without_zone_name(text: &str) -> &str {
    let Some((word, rest)) = text.trim_start().split_once(':') else {
        return text;
    };
    let is_zone =
        (2..=5).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_zone { rest } else { text }
}
