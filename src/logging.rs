//! Structured logs on standard error: text on a terminal, JSON lines elsewhere.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Levels for a person at a terminal, who wants to see what goes wrong, and for a log that is kept.
const TERMINAL_LEVELS: &str = "warn";
const KEPT_LEVELS: &str =
    "warn,citywatch=info,citywatch_engine=info,citywatch_alerting=info,citywatch_collector=info";

/// Starts logging for process part `part`. `CITYWATCH_LOG` chooses levels as `RUST_LOG` does
/// (`info`, `citywatch_engine=debug`); `CITYWATCH_LOG_FORMAT` forces `text` or `json`.
pub fn start(part: &'static str) {
    let format = std::env::var("CITYWATCH_LOG_FORMAT").unwrap_or_default();
    let json = match format.as_str() {
        "json" => true,
        "text" => false,
        _ => !std::io::stderr().is_terminal(),
    };
    let levels = if json { KEPT_LEVELS } else { TERMINAL_LEVELS };
    let filter =
        EnvFilter::try_from_env("CITYWATCH_LOG").unwrap_or_else(|_| EnvFilter::new(levels));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    if json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_ansi(std::io::stderr().is_terminal()).init();
    }
    tracing::debug!(part, "logging started");
}
