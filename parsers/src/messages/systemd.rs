//! systemd and its login manager.

use super::pattern::{Message, message, message_with};
use crate::event::Value;

pub(super) static MESSAGES: &[Message] = &[
    message(
        "Started session-{session}.scope - Session {_} of User {User}.",
        "session_open",
        "success",
    ),
    message("Started {unit:w} - {description}.", "unit_start", "success"),
    message("Started {description}.", "unit_start", "success"),
    message(
        "Finished {unit:w} - {description}.",
        "unit_start",
        "success",
    ),
    message("Stopped {unit:w} - {description}.", "unit_stop", "success"),
    message("Stopped {description}.", "unit_stop", "success"),
    message("Starting {unit:w} - {description}...", "", ""),
    message("Stopping {unit:w} - {description}...", "", ""),
    message("Failed to start {description}.", "unit_start", "failure"),
    message(
        "{unit:w}: Failed with result '{reason}'",
        "unit_stop",
        "failure",
    ),
    message(
        "{unit:w}: Main process exited, code={code}, status={status}",
        "",
        "",
    ),
    message("{unit:w}: Deactivated successfully", "unit_stop", "success"),
    message("{unit:w}: Succeeded", "unit_stop", "success"),
    message("Created slice {unit:w} - {description}.", "", ""),
    message("Removed slice {unit:w} - {description}.", "", ""),
];

pub(super) static LOGIND_MESSAGES: &[Message] = &[
    message(
        "New session {session} of user {User}.",
        "session_open",
        "success",
    ),
    message("Session {session} logged out", "session_close", "success"),
    message("Removed session {session}.", "session_close", "success"),
    message_with(
        "System is powering down",
        "shutdown",
        "success",
        &[("target", Value::Str("poweroff"))],
    ),
    message_with(
        "System is rebooting",
        "shutdown",
        "success",
        &[("target", Value::Str("reboot"))],
    ),
];
