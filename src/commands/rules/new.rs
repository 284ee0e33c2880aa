//! `citywatch rules new`: a rule to begin with, from questions or from an event.

use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{
    Event, LogSource, Origin, ParseContext, Parser, RecordBatch, Timestamp, Value,
};
use clap::Args;
use ring::rand::SecureRandom;

use super::inputs::InputFormat;
use super::records;
use crate::report::UsageError;

/// Options of `citywatch rules new`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  citywatch rules new > my_rule.yml                            asks what it must know
  citywatch rules new --from-event auth.log --record 3         searches for what tells this event
  citywatch rules new --title 'Odd Login' --product linux --service sshd

Id and date are filled in. A rule from an event names the fields that are the same for all such events, not times, ids or hosts:
remove what does not matter, and widen what does.")]
pub struct NewArgs {
    /// Take log source and fields from this event: a file of records, - for standard input, or the record itself
    #[arg(long, value_name = "EVENT")]
    from_event: Option<String>,
    /// Which record of the file
    #[arg(long, default_value_t = 1, value_name = "N")]
    record: usize,
    /// Format of the records
    #[arg(long, default_value = "auto", value_name = "FORMAT")]
    format: String,
    /// Title
    #[arg(long)]
    title: Option<String>,
    /// Description
    #[arg(long)]
    description: Option<String>,
    /// Author
    #[arg(long)]
    author: Option<String>,
    /// informational, low, medium, high or critical
    #[arg(long)]
    level: Option<String>,
    /// Product of the log source
    #[arg(long)]
    product: Option<String>,
    /// Category of the log source
    #[arg(long)]
    category: Option<String>,
    /// Service of the log source
    #[arg(long)]
    service: Option<String>,
    /// Write to this file instead of standard output; it must not exist
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
}

/// What a rule says.
#[derive(Debug, Default)]
struct Draft {
    title: String,
    description: String,
    author: String,
    level: String,
    log_source: LogSource<'static>,
    selection: Vec<(String, String)>,
}

/// Runs it.
pub fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let mut draft = Draft {
        title: args.title.clone().unwrap_or_default(),
        description: args.description.clone().unwrap_or_default(),
        author: args.author.clone().unwrap_or_default(),
        level: args.level.clone().unwrap_or_default(),
        log_source: LogSource {
            product: args.product.clone().unwrap_or_default().into(),
            category: args.category.clone().unwrap_or_default().into(),
            service: args.service.clone().unwrap_or_default().into(),
        },
        selection: Vec::new(),
    };
    match &args.from_event {
        Some(event) => from_event(args, event, &mut draft)?,
        None if args.title.is_none() => ask(&mut draft)?,
        None => {}
    }
    let text = write(&draft)?;
    match &args.into {
        None => std::io::stdout().write_all(text.as_bytes())?,
        Some(path) => {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(path)
                .map_err(|error| UsageError(format!("{}: {error}", path.display())))?;
            file.write_all(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Questions on standard error, answers from standard input.
fn ask(draft: &mut Draft) -> anyhow::Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let mut question = |words: &str, of: &mut String| -> anyhow::Result<()> {
        if of.is_empty() {
            eprint!("{words}: ");
            if let Some(line) = lines.next() {
                line.context("standard input")?.trim().clone_into(of);
            }
        }
        Ok(())
    };
    question("Title (what is found, in a few words)", &mut draft.title)?;
    question(
        "Description (what it means when it matches)",
        &mut draft.description,
    )?;
    question("Author", &mut draft.author)?;
    question(
        "Level (informational, low, medium, high, critical)",
        &mut draft.level,
    )?;
    for (words, part) in [
        (
            "Product of the log source (windows, linux, ...; empty: any)",
            &mut draft.log_source.product,
        ),
        (
            "Category (process_creation, webserver, ...; empty: any)",
            &mut draft.log_source.category,
        ),
        (
            "Service (sshd, security, ...; empty: any)",
            &mut draft.log_source.service,
        ),
    ] {
        let mut answer = part.to_string();
        question(words, &mut answer)?;
        *part = answer.into();
    }
    let mut field = String::new();
    question("First field to look at", &mut field)?;
    if !field.is_empty() {
        let mut value = String::new();
        question("Its value", &mut value)?;
        draft.selection.push((field, value));
    }
    Ok(())
}

/// Names of fields that differ from event to event.
const PASSING: &[&str] = &[
    "time",
    "date",
    "guid",
    "pid",
    "processid",
    "recordid",
    "logonid",
    "threadid",
    "hostname",
    "computer",
    "timestamp",
    "utctime",
    "sessionid",
    "event_id",
    "correlation",
    "port",
    "message",
    "raw",
    "version",
    "level",
    "keywords",
    "opcode",
    "task",
    "execution_",
    "security_userid",
    "@",
    "duration",
    "bytes",
];
const FIELDS_MAX: usize = 8;
const VALUE_CHARS_MAX: usize = 200;

fn from_event(args: &NewArgs, event: &str, draft: &mut Draft) -> anyhow::Result<()> {
    let definitions = citywatch_parsers::Definitions::default();
    let format = InputFormat::of_name(&args.format, &definitions)?;
    let path = PathBuf::from(event);
    let (raw, format) = if event == "-" || path.exists() {
        let kept = records::read(&[path], format).map_err(anyhow::Error::msg)?;
        let count = kept.len();
        let record = kept
            .into_iter()
            .nth(args.record.saturating_sub(1))
            .ok_or_else(|| UsageError(format!("{event}: it has {count} records")))?;
        (record.raw, record.format)
    } else {
        (event.as_bytes().to_vec(), "auto".into())
    };
    let origin = Origin {
        format,
        ..Origin::default()
    };
    let mut batch = RecordBatch::new(std::sync::Arc::new(origin));
    batch.push(&raw, 0, Timestamp::from_seconds(0), Truncated::No);
    let (arena, mut events) = (Bump::new(), Vec::new());
    if let Some(record) = batch.get(0) {
        Parser::new(ParseContext::default()).parse_record(record, &arena, &mut events);
    }
    let event = events.first().context("the record holds no event")?;
    if let Some(source) = event.log_sources.first() {
        let own = |mine: &mut std::borrow::Cow<'static, str>, other: &str| {
            if mine.is_empty() {
                *mine = other.to_owned().into();
            }
        };
        own(&mut draft.log_source.product, &source.product);
        own(&mut draft.log_source.category, &source.category);
        own(&mut draft.log_source.service, &source.service);
    }
    telling_fields(event, draft);
    Ok(())
}

/// Fields that are likely to be the same in all such events; of paths the last part.
fn telling_fields(event: &Event<'_>, draft: &mut Draft) {
    for field in &event.fields {
        let name = field.name.to_lowercase();
        let Some(value) = telling_value(field.value) else {
            continue;
        };
        // The log source says these already.
        let is_said = !draft.log_source.category.is_empty()
            && matches!(
                name.as_str(),
                "eventid" | "channel" | "provider_name" | "sourcename"
            );
        if is_said {
            continue;
        }
        let is_passing = PASSING.iter().any(|part| name.contains(part))
            || value.chars().count() > VALUE_CHARS_MAX
            || value.contains('\n');
        if is_passing || draft.selection.len() >= FIELDS_MAX {
            continue;
        }
        let is_image = name.ends_with("image") || name == "imageloaded";
        let (key, value) = match value.rsplit_once(['\\', '/']) {
            Some((_, last)) if is_image && !last.is_empty() => {
                let slash = if value.contains('\\') { '\\' } else { '/' };
                (format!("{}|endswith", field.name), format!("{slash}{last}"))
            }
            _ => (field.name.to_owned(), value),
        };
        draft.selection.push((key, value));
    }
}

fn telling_value(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null | Value::List(_) | Value::Float(_) => None,
        Value::Str(text) => (!text.is_empty() && text != "-").then(|| text.to_owned()),
        value => Some(value.to_string()),
    }
}

fn write(draft: &Draft) -> anyhow::Result<String> {
    let or = |text: &str, other: &str| {
        if text.is_empty() {
            other.to_owned()
        } else {
            text.to_owned()
        }
    };
    let today = jiff::Zoned::now().date();
    let mut text = String::new();
    writeln!(
        text,
        "title: {}",
        quoted(&or(&draft.title, "Name What Is Found"))
    )?;
    writeln!(text, "id: {}", uuid()?)?;
    writeln!(text, "status: experimental")?;
    writeln!(
        text,
        "description: {}",
        quoted(&or(
            &draft.description,
            "What it means when this matches, and what to do."
        ))
    )?;
    writeln!(text, "author: {}", quoted(&or(&draft.author, "Unknown")))?;
    writeln!(text, "date: {today}")?;
    writeln!(text, "logsource:")?;
    let parts = [
        ("product", &draft.log_source.product),
        ("category", &draft.log_source.category),
        ("service", &draft.log_source.service),
    ];
    let mut named = false;
    for (name, part) in parts.into_iter().filter(|(_, part)| !part.is_empty()) {
        writeln!(text, "    {name}: {}", quoted(part))?;
        named = true;
    }
    if !named {
        writeln!(text, "    product: linux")?;
    }
    writeln!(text, "detection:\n    selection:")?;
    for (field, value) in &draft.selection {
        writeln!(
            text,
            "        {}: {}",
            quoted(field),
            quoted(&escaped(value))
        )?;
    }
    if draft.selection.is_empty() {
        writeln!(text, "        FieldName: value")?;
    }
    writeln!(text, "    condition: selection")?;
    writeln!(text, "falsepositives:\n    - Unknown")?;
    writeln!(text, "level: {}", quoted(&or(&draft.level, "medium")))?;
    Ok(text)
}

/// Wildcards of a value are meant as they stand. A backslash needs no escape unless a wildcard or another follows it.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        let is_special =
            matches!(c, '*' | '?') || c == '\\' && matches!(chars.peek(), Some('*' | '?' | '\\'));
        if is_special {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// A YAML scalar that reads as this text, quoted where it must be.
fn quoted(text: &str) -> String {
    let plain = text.chars().next().is_some_and(char::is_alphabetic)
        && text.chars().all(|c| {
            c.is_alphanumeric() || matches!(c, ' ' | '_' | '-' | '.' | '/' | '|' | '(' | ')' | ',')
        })
        && !text.ends_with(' ')
        && !matches!(
            text.to_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off"
        );
    let is_number = text
        .parse::<i64>()
        .is_ok_and(|number| number.to_string() == text);
    if plain || is_number {
        text.to_owned()
    } else if text.chars().any(char::is_control) {
        let escaped: String = text
            .chars()
            .flat_map(|c| {
                if c.is_control() {
                    format!("\\x{:02x}", u32::from(c) & 0xff)
                } else {
                    c.to_string()
                }
                .chars()
                .collect::<Vec<_>>()
            })
            .collect();
        format!("\"{}\"", escaped.replace('"', "\\\""))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A UUID of version 4 (RFC 9562, section 5.4).
fn uuid() -> anyhow::Result<String> {
    let mut bytes = [0u8; 16];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    ))
}
