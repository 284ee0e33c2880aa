//! sudo and su.

use super::pattern::{Message, message};
use super::put;
use crate::bytes::same_bytes;
use crate::draft::Draft;
use crate::event::Value;
use crate::layouts::Group;
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
    let said = Said {
        user,
        head,
        command,
    };
    /// Stands for the names of what sudo says.
    static NAMES: &str = "User TTY PWD USER reason TargetUser COMMAND CommandLine action outcome";
    let before = draft.begin_group();
    match said.put(draft) {
        Some(which) => {
            draft.end_group(before, Group::of(&NAMES, which), |draft| said.write(draft));
        }
        None => {
            draft.event.fields.truncate(before);
            said.write(draft);
        }
    }
    true
}

/// What sudo says.
struct Said<'a> {
    user: &'a str,
    /// What stands before the command.
    head: &'a str,
    command: Option<&'a str>,
}

/// Names of the parts before the command.
static PARTS: [&str; 7] = ["TTY", "PWD", "USER", "GROUP", "TSID", "CHROOT", "ENV"];

/// A part before the command: the place of its name and its value, or a reason of refusal.
enum Part<'a> {
    Named(usize, &'a str),
    Reason(&'a str),
}

impl<'a> Said<'a> {
    fn parts(&self) -> impl Iterator<Item = Part<'a>> + use<'a> {
        let mut rest = Some(self.head);
        let texts = std::iter::from_fn(move || {
            let parts = rest?;
            let part = match BETWEEN.split(parts) {
                Some((part, behind)) => {
                    rest = Some(behind);
                    part
                }
                None => {
                    rest = None;
                    parts
                }
            };
            Some(scan::trimmed(part))
        });
        texts.filter(|part| !part.is_empty()).map(|part| {
            let named = scan::split_near(part, b'=').and_then(|(name, value)| {
                let place = PARTS
                    .iter()
                    .position(|known| same_bytes(known.as_bytes(), name.as_bytes()))?;
                Some(Part::Named(place, value))
            });
            named.unwrap_or(Part::Reason(part))
        })
    }

    /// Puts the fields of an event that has none of their names, and gives a number for which they are; nothing where there
    /// are too many for that.
    fn put(&self, draft: &mut Draft<'a, '_>) -> Option<u32> {
        let (user, command) = (self.user, self.command.unwrap_or(""));
        let mut which = u32::from(user.is_empty()) * 2 + u32::from(command.is_empty());
        if !user.is_empty() {
            draft.put_in_group("User", Value::Str(user));
        }
        let (mut outcome, mut target) = ("success", "");
        for part in self.parts() {
            let code = match part {
                Part::Named(_, "") => continue,
                Part::Named(place, value) => {
                    let name = PARTS[place];
                    if place == TARGET {
                        target = value;
                    }
                    draft.put_in_group(name, Value::Str(value));
                    place
                }
                Part::Reason(reason) => {
                    outcome = "failure";
                    draft.put_in_group("reason", Value::Str(reason));
                    PARTS.len()
                }
            };
            which = which
                .checked_mul(16)?
                .checked_add(u32::try_from(code + 4).ok()?)?;
        }
        if !target.is_empty() {
            draft.put_in_group("TargetUser", Value::Str(target));
        }
        if !command.is_empty() {
            draft.put_in_group("COMMAND", Value::Str(command));
            draft.put_in_group("CommandLine", Value::Str(command));
        }
        draft.put_in_group("action", Value::Str("sudo"));
        draft.put_in_group("outcome", Value::Str(outcome));
        Some(which)
    }

    /// Adds the fields to any event.
    fn write(&self, draft: &mut Draft<'a, '_>) {
        draft.text("User", self.user);
        let mut outcome = "success";
        for part in self.parts() {
            match part {
                Part::Named(place, value) => draft.text(PARTS[place], value),
                Part::Reason(reason) => {
                    outcome = "failure";
                    draft.text("reason", reason);
                }
            }
        }
        draft.alias("USER", "TargetUser");
        if let Some(command) = self.command {
            draft.text("COMMAND", command);
            put(draft, "CommandLine", command);
        }
        draft.action("sudo", outcome);
    }
}

/// The place of `USER` in [`PARTS`].
const TARGET: usize = 2;
