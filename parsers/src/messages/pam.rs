//! PAM modules speak through whatever program uses them: `pam_unix(sshd:auth): authentication failure; ...`.

use super::pattern::{Message, message};
use super::read_table;
use crate::bytes::find_last;
use crate::draft::Draft;
use crate::event::Value;
use crate::layouts::Group;
use crate::scan::{self, Word};

static MESSAGES: &[Message] = &[
    message(
        "session opened for user {User}(uid={TargetUid:n}) by {SubjectUser}(uid={SubjectUid:n})",
        "session_open",
        "success",
    ),
    message(
        "session opened for user {User} by {SubjectUser}(uid={SubjectUid:n})",
        "session_open",
        "success",
    ),
    message(
        "session opened for user {User} by (uid={SubjectUid:n})",
        "session_open",
        "success",
    ),
    message(
        "session closed for user {User}$",
        "session_close",
        "success",
    ),
    message(
        "password changed for {TargetUser}$",
        "password_change",
        "success",
    ),
    message("check pass; user unknown", "authenticate", "failure"),
    message("account {User} has expired", "authenticate", "failure"),
    message(
        "account {User} has password changed in future",
        "authenticate",
        "",
    ),
    message("user {User} has time limit", "authenticate", "failure"),
    message("could not identify user (from uid={_})", "", ""),
    message("user \"{User*}\" was locked", "lock", "failure"),
    message(
        "Consecutive login failures for user {User} account temporarily locked",
        "lock",
        "failure",
    ),
    message("user {User} ({_}) tally {_}, deny", "lock", "failure"),
];

const BEHIND_SOURCE: Word = Word::new("): ");
const FAILURE: Word = Word::new("authentication failure; ");

/// Reads a message of a PAM module. Most messages are told by their first letter.
#[inline(always)]
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    matches!(text.as_bytes(), [b'p' | b'P', ..]) && read_likely(draft, text)
}

fn read_likely<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let header = scan::after(text, "PAM ").unwrap_or(text);
    if !scan::begins(header, "pam_") {
        return more_failures(draft, text);
    }
    let Some((source, rest)) = BEHIND_SOURCE.split(header) else {
        return false;
    };
    let Some(open) = scan::find_near(b'(', source.as_bytes()) else {
        return false;
    };
    let (module, service) = (&source[..open], &source[open + 1..]);
    let service = find_last(b':', service.as_bytes()).map_or(service, |end| &service[..end]);
    /// Stands for the names of a module's header.
    static NAMES: &str = "pam_module pam_service";
    let before = draft.begin_group();
    let mut which = 0;
    for (place, name, text) in [(1, "pam_module", module), (2, "pam_service", service)] {
        if !text.is_empty() {
            which |= place;
            draft.put_in_group(name, Value::Str(text));
        }
    }
    draft.end_group(before, Group::of(&NAMES, which), |draft| {
        draft.text("pam_module", module);
        draft.text("pam_service", service);
    });
    if let Some((_, details)) = FAILURE.split(rest) {
        failure(draft, details);
    } else {
        read_table(draft, MESSAGES, rest);
    }
    true
}

/// `PAM 2 more authentication failures; logname= uid=0 ...`.
fn more_failures<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    match scan::after(text, "PAM ").and_then(|text| text.split_once(" more authentication failure"))
    {
        Some((count, details)) if !count.is_empty() => {
            draft.number("count", count);
            failure(draft, details);
            true
        }
        _ => false,
    }
}

fn failure<'a>(draft: &mut Draft<'a, '_>, details: &'a str) {
    for pair in scan::pairs(details) {
        match pair.key {
            "user" => draft.text("User", pair.value),
            "rhost" => {
                draft.text("rhost", pair.value);
                let name = if scan::is_ip(pair.value) {
                    "SourceIp"
                } else {
                    "SourceHostname"
                };
                draft.text_or_dash(name, pair.value);
            }
            key => draft.number(key, pair.value),
        }
    }
    draft.action("authenticate", "failure");
}
