//! How errors leave the program: one line of words, and an exit code that scripts can rely on.

use std::fmt;
use std::process::ExitCode;

/// Exit code for usage and configuration errors.
pub const USAGE: u8 = 2;

/// An error of the user's making: wrong option, wrong configuration. Exit code 2.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The exit code for an error: 2 where the user's input is wrong, 1 for all else.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(|cause| cause.is::<UsageError>()) {
        ExitCode::from(USAGE)
    } else {
        ExitCode::FAILURE
    }
}

/// Prints one line of words on standard error. That nobody listens there is no reason to fail.
pub fn say(words: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "citywatch: {words}");
}
