//! `citywatch dead-letters`: the records that could not be processed or stored.
//!
//! What is shown was written by whoever wrote the log: nothing of it reaches a terminal unescaped.

mod replay;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use citywatch_engine::store::{DeadLetter, DeadLetterQuery, DeadLetterRow, Replayed, StoreError};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::config::Config;
use crate::report::{UsageError, say};
use crate::store_access::with_store;
use crate::stored::{StoreArgs, is_broken_pipe, time_option, zone_of};

/// Digits of an id that a table shows.
const ID_SHOWN: usize = 12;
/// Characters of a reason that a table shows.
const REASON_SHOWN: usize = 80;

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "The store is the one of [store] url; without it the embedded one in the data folder, whether 'citywatch up' runs or not.

Exit code 0; 1 when nothing was found or the store does not answer; 2 for a wrong command line."
)]
pub enum DeadLettersCommand {
    /// List them, newest first
    #[command(after_help = "Examples:
  citywatch dead-letters list
  citywatch dead-letters list --reason internal_error --from 2h
  citywatch dead-letters list --unit hcmc-q1 --from 2026-11-20 --to 2026-11-21 --output ndjson

Kinds of reasons: internal_error (the engine failed on the record), not_stored (the store refused its events), undecodable (a frame
that cannot be unpacked), refused (a batch that nobody vouches for), unreadable (messages that cannot be taken out of Kafka's own compression: only
their place is kept here). Times are RFC 3339, a date or a time in [engine] time_zone, or how long ago: 90m, 2h, 3d.")]
    List(ListArgs),
    /// Show one with its bytes
    #[command(after_help = "Examples:
  citywatch dead-letters show 3f9a27c1
  citywatch dead-letters show 3f9a27c1 --raw > record.bin

Bytes that are no text, control characters and characters that change how a line is read are shown as \\xNN and \\u{NNNN}.")]
    Show(ShowArgs),
    /// Send them through the pipeline once more: parse, match, alert, store
    #[command(after_help = "Examples:
  citywatch dead-letters replay --dry-run --all
  citywatch dead-letters replay 3f9a27c1 77aa01bc
  citywatch dead-letters replay --reason internal_error --from 2026-11-20

A record keeps its identity: what is stored already is not stored again, and alerts have the ids that they would have had. What is stored
then leaves the list. Use the configuration that the engine runs with: its rules, formats and incidents' database are used.

A record waits while nothing behind it in its stream is stored. An engine that runs meanwhile learns of replayed matches for its
own correlations when it starts the next time.

Exit code 0 when everything that fits is stored; 1 when nothing fits or something is not stored; 2 for a wrong command line.")]
    Replay(replay::ReplayArgs),
}

/// Which ones.
#[derive(Debug, Args)]
struct FilterArgs {
    /// Only this kind of reason, or these words in the reason
    #[arg(long, value_name = "KIND|WORDS")]
    reason: Option<String>,
    /// Only of this unit
    #[arg(long, value_name = "ID")]
    unit: Option<String>,
    /// Only of this agent; for others' messages from Kafka the topic, as the list shows it
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Only of this stream
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Only received at this time or later
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only received before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

/// Options of `citywatch dead-letters list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// Most dead letters to list
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// How to show them
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Options of `citywatch dead-letters show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The id, or its first digits: at least four, and as many as no other has
    id: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Write the record's bytes as they are, and nothing else
    #[arg(long)]
    raw: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For reading
    Table,
    /// One JSON object per dead letter
    Ndjson,
}

/// Runs one of them.
pub fn run(command: &DeadLettersCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let done = match command {
        DeadLettersCommand::List(args) => runtime.block_on(list(args)),
        DeadLettersCommand::Show(args) => runtime.block_on(show(args)),
        DeadLettersCommand::Replay(args) => runtime.block_on(replay::run(args)),
    };
    match done {
        // Who reads has seen enough (`| head`): that is no failure.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        done => done,
    }
}

async fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.store.load()?;
    let query = args.filter.query(&config)?;
    // One more than is shown says whether there are more.
    let asked = args.limit + 1;
    let mut letters = with_store(&config, |store| async move {
        store.dead_letters(&query, asked).await.map_err(mistake)
    })
    .await?;
    let more = letters.len() > args.limit as usize;
    letters.truncate(args.limit as usize);
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Ndjson => {
            for letter in &letters {
                writeln!(out, "{}", json_of(letter))?;
            }
        }
        Output::Table if !letters.is_empty() => print_table(&mut out, &letters)?,
        Output::Table => {}
    }
    out.flush()?;
    if letters.is_empty() {
        say("no dead letters fit");
        return Ok(ExitCode::FAILURE);
    }
    if more {
        say(&format!(
            "these are the newest {}; there are more: --limit shows more, --to earlier ones",
            letters.len()
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let config = args.store.load()?;
    let id = args.id.clone();
    let found = with_store(&config, |store| async move {
        store.dead_letter(&id).await.map_err(mistake)
    })
    .await?;
    let letter = match &found[..] {
        [] => {
            say(&format!(
                "no dead letter has the id {}",
                escaped(args.id.as_bytes())
            ));
            return Ok(ExitCode::FAILURE);
        }
        [letter] => letter,
        _ => {
            return Err(UsageError(format!(
                "several dead letters have an id that begins with {}: give more digits",
                args.id
            ))
            .into());
        }
    };
    let mut out = std::io::stdout().lock();
    if args.raw {
        out.write_all(&letter.raw)?;
    } else {
        print_letter(&mut out, letter)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl FilterArgs {
    fn query(&self, config: &Config) -> anyhow::Result<DeadLetterQuery> {
        let zone = zone_of(config);
        let time = |option: &str, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| time_option(option, text, &zone))
                .transpose()
        };
        Ok(DeadLetterQuery {
            ids: Vec::new(),
            reason: self.reason.clone(),
            unit: self.unit.clone(),
            agent: self.agent.clone(),
            stream: self.stream.clone(),
            from: time("--from", &self.from)?,
            to: time("--to", &self.to)?,
            replayed: Replayed::LeftOut,
        })
    }
}

/// A wrong id is the user's mistake, all else is the store's.
fn mistake(error: StoreError) -> anyhow::Error {
    match error {
        StoreError::Invalid { .. } => UsageError(error.to_string()).into(),
        other => other.into(),
    }
}

fn shown_time(microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(microseconds)
        .map_or_else(|_| microseconds.to_string(), |time| time.to_string())
}

fn json_of(letter: &DeadLetter) -> serde_json::Value {
    json!({
        "id": letter.id,
        "received_at": shown_time(letter.received_at),
        "kind": letter.kind,
        "reason": letter.reason,
        "unit": letter.unit,
        "host": letter.host,
        "agent": letter.agent,
        "stream": letter.stream,
        "position": letter.position,
        "format": letter.format,
        "bytes": letter.bytes,
    })
}

fn print_table(out: &mut impl Write, letters: &[DeadLetter]) -> std::io::Result<()> {
    writeln!(
        out,
        "{:<ID_SHOWN$}  {:<20}  {:<14}  {:>8}  {:<12}  {:<40}  REASON",
        "ID", "RECEIVED (UTC)", "KIND", "BYTES", "UNIT", "AGENT/STREAM@POSITION"
    )?;
    for letter in letters {
        let place = format!("{}/{}@{}", letter.agent, letter.stream, letter.position);
        let seconds = letter.received_at.div_euclid(1_000_000) * 1_000_000;
        let reason: String = escaped(letter.reason.as_bytes())
            .chars()
            .take(REASON_SHOWN)
            .collect();
        writeln!(
            out,
            "{:<ID_SHOWN$}  {:<20}  {:<14}  {:>8}  {:<12}  {:<40}  {reason}",
            letter.id.get(..ID_SHOWN).unwrap_or(&letter.id),
            shown_time(seconds),
            escaped(letter.kind.as_bytes()),
            letter.bytes,
            escaped(letter.unit.as_bytes()),
            escaped(place.as_bytes()),
        )?;
    }
    Ok(())
}

fn print_letter(out: &mut impl Write, letter: &DeadLetterRow) -> std::io::Result<()> {
    let facts = [
        ("received", shown_time(letter.received_at)),
        ("kind", letter.kind.clone()),
        ("reason", letter.reason.clone()),
        ("unit", letter.unit.clone()),
        ("host", letter.host.clone()),
        ("agent", letter.agent.clone()),
        ("stream", letter.stream.clone()),
        ("position", letter.position.to_string()),
        ("format", letter.format.clone()),
        ("bytes", letter.raw.len().to_string()),
    ];
    for (name, fact) in facts {
        writeln!(out, "{name:<9} {}", escaped(fact.as_bytes()))?;
    }
    writeln!(out, "\n{}", escaped(&letter.raw))
}

/// Text that does nothing to a terminal: what is not UTF-8 as `\xNN`; control characters, and those that
/// hide or turn around what stands beside them, as `\u{NNNN}`; the backslash doubled.
fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\0'..='\x7f' if character.is_control() => {
                    write!(text, "\\x{:02x}", character as u32).expect("a String takes all");
                }
                _ if character.is_control() || is_invisible(character) => {
                    text.extend(character.escape_unicode());
                }
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a String takes all");
        }
    }
    text
}

/// Characters without a shape that change how text is shown: directions, joiners, separators, tags.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_bytes_do_nothing_to_a_terminal() {
        assert_eq!(
            escaped("Đăng nhập\t\x1b[2J\u{9b}31m\u{202e}\\".as_bytes()),
            "Đăng nhập\\t\\x1b[2J\\u{9b}31m\\u{202e}\\\\"
        );
        assert_eq!(escaped(b"\xff\x00a\xc3"), "\\xff\\x00a\\xc3");
    }
}
