//! PAM modules speak through whatever program uses them: `pam_unix(sshd:auth): authentication failure; ...`.

use super::pattern::{Message, message};
use super::read_table;
use crate::draft::Draft;
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

/// Reads a message of a PAM module.
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let header = scan::after(text, "PAM ").unwrap_or(text);
    if !scan::begins(header, "pam_") {
        return more_failures(draft, text);
    }
    let Some((source, rest)) = BEHIND_SOURCE.split(header) else {
        return false;
    };
    let Some((module, service)) = source.split_once('(') else {
        return false;
    };
    let service = service
        .rsplit_once(':')
        .map_or(service, |(service, _)| service);
    draft.text("pam_module", module);
    draft.text("pam_service", service);
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
                let name = if scan::ip(pair.value).is_some() {
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
