//! sudo and su.

use super::pattern::{Message, message};
use super::put;
use crate::draft::Draft;
use crate::scan::{self, Word};

pub(super) static SU_MESSAGES: &[Message] = &[
    message("(to {TargetUser}) {User} on {tty}", "su", "success"),
    message(
        "FAILED SU (to {TargetUser}) {User} on {tty}",
        "su",
        "failure",
    ),
    message("Successful su for {TargetUser} by {User}", "su", "success"),
    message("FAILED su for {TargetUser} by {User}", "su", "failure"),
    message("+ {tty} {User}:{TargetUser}", "su", "success"),
    message("- {tty} {User}:{TargetUser}", "su", "failure"),
];

const BEHIND_USER: Word = Word::new(" : ");
const BETWEEN: Word = Word::new(" ; ");
const COMMAND: Word = Word::new("COMMAND=");

/// `user : [reason ;] TTY=.. ; PWD=.. ; USER=.. ; COMMAND=..`: the command comes last and may hold anything.
pub(super) fn read_sudo<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let Some((user, details)) = BEHIND_USER.split(text) else {
        return false;
    };
    let (head, command) = match COMMAND.split(details) {
        Some((head, command)) => (head, Some(command)),
        None => (details, None),
    };
    let user = scan::trimmed(user);
    let has_space = scan::find_near(b' ', user.as_bytes()).is_some();
    if has_space || (command.is_none() && BETWEEN.find(details).is_none()) {
        return false;
    }
    draft.text("User", user);
    let mut outcome = "success";
    let mut rest = Some(head);
    while let Some(parts) = rest {
        let (part, behind) = match BETWEEN.split(parts) {
            Some((part, behind)) => (part, Some(behind)),
            None => (parts, None),
        };
        rest = behind;
        let part = scan::trimmed(part);
        if part.is_empty() {
            continue;
        }
        match scan::split_near(part, b'=') {
            Some((
                name @ ("TTY" | "PWD" | "USER" | "GROUP" | "TSID" | "CHROOT" | "ENV"),
                value,
            )) => draft.text(name, value),
            _ => {
                outcome = "failure";
                draft.text("reason", part);
            }
        }
    }
    draft.alias("USER", "TargetUser");
    if let Some(command) = command {
        draft.text("COMMAND", command);
        put(draft, "CommandLine", command);
    }
    draft.action("sudo", outcome);
    true
}
