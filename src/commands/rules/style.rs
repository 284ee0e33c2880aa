//! Colours and progress: on a terminal only, and never against `NO_COLOR`.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Colours of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// None.
    Plain,
    /// Escape sequences of terminals.
    Coloured,
}

impl Style {
    /// Of the standard output.
    pub fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !refused {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    /// What is well.
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// What is wrong.
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// What may be wrong.
    pub fn doubtful(self, text: &str) -> String {
        self.paint("33", text)
    }

    /// Headings.
    pub fn strong(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }
}

/// Text of a log or a rule for a terminal: control characters are shown, not obeyed.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let harmful = matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || harmful {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Work that takes less shows no bar.
const QUIET_FOR: Duration = Duration::from_millis(500);
const REDRAWN_EVERY: Duration = Duration::from_millis(100);
const BAR_CHARS: usize = 30;

/// A bar on standard error, if that is a terminal.
#[derive(Debug)]
pub struct Progress {
    begun: Instant,
    drawn: Option<Instant>,
    what: &'static str,
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    /// A bar for `total` of `what`.
    pub fn new(what: &'static str, total: usize) -> Self {
        Self {
            begun: Instant::now(),
            drawn: None,
            what,
            total,
            done: 0,
            shown: std::io::stderr().is_terminal(),
        }
    }

    /// One more is done.
    pub fn step(&mut self) {
        self.done += 1;
        let is_due = self.begun.elapsed() > QUIET_FOR
            && self
                .drawn
                .is_none_or(|drawn| drawn.elapsed() > REDRAWN_EVERY);
        if self.shown && is_due {
            self.drawn = Some(Instant::now());
            let filled = BAR_CHARS * self.done / self.total.max(1);
            let bar = format!("{}{}", "#".repeat(filled), " ".repeat(BAR_CHARS - filled));
            let mut out = std::io::stderr().lock();
            let _ = write!(
                out,
                "\r[{bar}] {} of {} {}\x1b[K",
                self.done, self.total, self.what
            );
            let _ = out.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(printable("a\x1b[2Jb\u{202E}c"), "a\\u{1b}[2Jb\\u{202e}c");
        assert_eq!(printable("Tiếng Việt"), "Tiếng Việt");
        assert_eq!(Style::Plain.bad("x"), "x");
        assert_eq!(Style::Coloured.good("x"), "\x1b[32mx\x1b[0m");
    }
}
