//! useradd, userdel, usermod, groupadd, gpasswd, passwd, chpasswd: who may be on the system.

use super::pattern::{Message, message};
use super::{put, read_table};
use crate::draft::Draft;
use crate::scan;

static MESSAGES: &[Message] = &[
    message("delete user '{TargetUser}'", "user_delete", "success"),
    message(
        "removed group '{TargetGroup}' owned by '{TargetUser}'",
        "group_delete",
        "success",
    ),
    message("removed group '{TargetGroup}'", "group_delete", "success"),
    message("group '{TargetGroup}' removed", "group_delete", "success"),
    message(
        "add '{TargetUser}' to group '{TargetGroup}'",
        "group_member_add",
        "success",
    ),
    message(
        "add '{TargetUser}' to shadow group '{TargetGroup}'",
        "group_member_add",
        "success",
    ),
    message(
        "delete '{TargetUser}' from group '{TargetGroup}'",
        "group_member_remove",
        "success",
    ),
    message(
        "delete '{TargetUser}' from shadow group '{TargetGroup}'",
        "group_member_remove",
        "success",
    ),
    message(
        "user {TargetUser} added by {User} to group {TargetGroup}",
        "group_member_add",
        "success",
    ),
    message(
        "members of group {TargetGroup} set by {User} to {members}",
        "group_member_add",
        "success",
    ),
    message(
        "password for '{TargetUser}' changed by '{User}'",
        "password_change",
        "success",
    ),
    message(
        "password for {TargetUser} changed by {User}",
        "password_change",
        "success",
    ),
    message(
        "change user '{TargetUser}' password",
        "password_change",
        "success",
    ),
    message("lock user '{TargetUser}' password", "user_lock", "success"),
    message(
        "unlock user '{TargetUser}' password",
        "user_unlock",
        "success",
    ),
    message(
        "change user '{TargetUser}' {change}",
        "user_change",
        "success",
    ),
    message(
        "changed user '{TargetUser}' information",
        "user_change",
        "success",
    ),
    message(
        "changed user '{TargetUser}' shell to '{shell}'",
        "user_change",
        "success",
    ),
    message("failed adding user '{TargetUser}'", "user_add", "failure"),
    message("can't {reason}", "", "failure"),
];

/// What a `new user:` or `new group:` line's pairs are called.
pub(super) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let (action, name, details) = match text.split_once(": ") {
        Some(("new user", details)) => ("user_add", "TargetUser", details),
        Some(("new group", details)) => ("group_add", "TargetGroup", details),
        _ => return read_table(draft, MESSAGES, text),
    };
    for pair in scan::pairs_by(details, &[',']) {
        match pair.key {
            "name" => put(draft, name, pair.value),
            key => draft.number(key, pair.value),
        }
    }
    draft.action(action, "success");
    true
}
