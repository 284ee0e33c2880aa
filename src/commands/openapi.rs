//! `citywatch openapi`: what the HTTP API takes and gives, as OpenAPI.

use std::io::Write;
use std::process::ExitCode;

/// Prints the document.
pub fn run() -> anyhow::Result<ExitCode> {
    let text = citywatch_alerting::openapi_json();
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
