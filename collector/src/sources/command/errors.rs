//! What a command says on its standard error, in the agent's log: in bounded lines, and not too many.

use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

const LINE_BYTES_MAX: usize = 1024;
const LINES_PER_WINDOW: u64 = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// Logs each line until the end.
pub(super) async fn log(mut errors: ChildStderr, command: String) {
    let mut buffer = vec![0; 4096];
    let mut lines = Lines::default();
    let mut window = Window::new();
    while let Ok(length @ 1..) = errors.read(&mut buffer).await {
        lines.receive(&buffer[..length], |line| window.log(&command, line));
    }
    lines.end(|line| window.log(&command, line));
    window.close(&command);
}

/// Cuts lines beyond the bound.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
}

impl Lines {
    fn receive(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                line(&self.line);
                self.line.clear();
            }
        }
    }

    fn end(self, mut line: impl FnMut(&[u8])) {
        line(&self.line);
    }
}

/// How much was logged of late.
struct Window {
    since: Instant,
    lines: u64,
}

impl Window {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            lines: 0,
        }
    }

    fn log(&mut self, command: &str, line: &[u8]) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        if self.since.elapsed() >= WINDOW {
            self.close(command);
            *self = Self::new();
        }
        self.lines += 1;
        metrics::counter!("citywatch_agent_command_error_lines_total").increment(1);
        if self.lines <= LINES_PER_WINDOW {
            let said = String::from_utf8_lossy(line);
            tracing::warn!(command, "a command says: {said}");
        }
    }

    /// Says how much was left out.
    fn close(&self, command: &str) {
        let left_out = self.lines.saturating_sub(LINES_PER_WINDOW);
        if left_out > 0 {
            tracing::warn!(command, left_out, "a command says more than is logged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_the_next_is_whole() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let bytes = format!("{}\nnext\nhalf", "x".repeat(3000));
        for piece in bytes.as_bytes().chunks(700) {
            lines.receive(piece, |line| found.push(line.to_vec()));
        }
        lines.end(|line| found.push(line.to_vec()));
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].len(), LINE_BYTES_MAX);
        assert_eq!(found[1..], [b"next\n".to_vec(), b"half".to_vec()]);
    }
}
