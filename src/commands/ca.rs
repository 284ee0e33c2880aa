//! `citywatch ca`: the authority that vouches for agents, from the machine that keeps its key.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use citywatch_collector::authority::{Authority, Issued, TokenRequest};
use citywatch_collector::identity::Reach;
use clap::{Args, Subcommand};
use jiff::tz::TimeZone;

use crate::ConfigArgs;
use crate::config::Config;
use crate::report::UsageError;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What can be done with the authority.
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Make the authority: with a key of its own, or with the city's intermediate certificate
    Init {
        /// The city's certificate for this authority, PEM, with those above it; needs --key
        #[arg(long, value_name = "FILE", requires = "key")]
        import: Option<PathBuf>,
        /// Its private key, PEM
        #[arg(long, value_name = "FILE", requires = "import")]
        key: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Make a one-time token with which an agent enrols itself; it is shown this once
    Token {
        /// The unit that the agent speaks for, for example hcmc/linh-xuan
        #[arg(long)]
        unit: String,
        /// The agent's name; without it the agent names itself
        #[arg(long, value_name = "NAME")]
        agent: Option<String>,
        /// The agent receives for others: it may also speak for units below its own
        #[arg(long)]
        relay: bool,
        /// How long the token may be used: 30m, 24h, 7d
        #[arg(long, default_value = "24h", value_parser = parse_span)]
        valid: Duration,
        #[command(flatten)]
        place: Place,
    },
    /// Show the certificates that were signed, and the tokens that can still be used
    List {
        /// Show those that ended or were renewed, too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a certificate by its serial number, or all of an agent
    Revoke {
        /// Serial number or agent's name
        #[arg(value_name = "SERIAL|AGENT")]
        what: String,
        #[command(flatten)]
        place: Place,
    },
    /// Make key and certificate of a Kafka broker, an engine or another program that is no agent
    Issue {
        /// Names and addresses by which it is reached
        #[arg(required = true, value_name = "HOST")]
        names: Vec<String>,
        /// Where the key and then the certificates go, in one PEM file; readable by its owner only
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How long it is valid
        #[arg(long, default_value = "397d", value_parser = parse_span)]
        valid: Duration,
        #[command(flatten)]
        place: Place,
    },
}

/// Where the authority is kept.
#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder for all data, instead of [data] dir; the authority is in its subfolder `ca`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    fn dir(&self) -> anyhow::Result<PathBuf> {
        let mut config = Config::load(self.config.config.as_deref())?;
        if let Some(dir) = &self.data {
            config.data.dir.clone_from(dir);
        }
        config.complete();
        Ok(config.ca.dir)
    }

    fn open(&self) -> anyhow::Result<Authority> {
        Ok(Authority::open(&self.dir()?)?)
    }
}

/// Runs one of them.
pub fn run(command: &CaCommand) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now();
    let mut out = std::io::stdout().lock();
    match command {
        CaCommand::Init { import, key, place } => {
            init(
                &place.dir()?,
                import.as_deref(),
                key.as_deref(),
                now,
                &mut out,
            )?;
        }
        CaCommand::Token {
            unit,
            agent,
            relay,
            valid,
            place,
        } => {
            let request = TokenRequest {
                unit: unit.clone(),
                agent: agent.clone(),
                reach: if *relay { Reach::Below } else { Reach::Unit },
                valid: *valid,
            };
            let token = place.open()?.make_token(&request, now)?;
            writeln!(out, "{}", token.reveal())?;
            eprintln!(
                "on the agent's machine: citywatch-agent enroll https://HOST:PORT TOKEN\n\
                 HOST:PORT is [intake] listen of this system; the token is shown this once and enrols one agent"
            );
        }
        CaCommand::List { all, place } => list(&place.open()?, *all, now, &mut out)?,
        CaCommand::Revoke { what, place } => {
            for revoked in place.open()?.revoke(what, now)? {
                writeln!(out, "revoked {}  {}", revoked.serial, describe(&revoked))?;
            }
        }
        CaCommand::Issue {
            names,
            out: path,
            valid,
            place,
        } => {
            let (key, certificates) = place.open()?.issue(names, *valid, now)?;
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .and_then(|mut file| {
                    file.write_all(format!("{key}{certificates}").as_bytes())?;
                    file.sync_all()
                })
                .with_context(|| format!("cannot write {}", path.display()))?;
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn init(
    dir: &Path,
    import: Option<&Path>,
    key: Option<&Path>,
    now: SystemTime,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())))
    };
    let authority = match (import, key) {
        (Some(certificate), Some(key)) => {
            Authority::import(dir, &read(key)?, &read(certificate)?, now)?
        }
        _ => Authority::init(dir, now)?,
    };
    writeln!(out, "the authority is in {}", dir.display())?;
    writeln!(out, "  sha256:{}", authority.fingerprint_text())?;
    writeln!(
        out,
        "keep a copy of ca-key.pem where nobody else finds it; engines elsewhere need ca.pem and crl.pem"
    )?;
    Ok(())
}

fn list(
    authority: &Authority,
    all: bool,
    now: SystemTime,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(out, "authority sha256:{}\n", authority.fingerprint_text())?;
    writeln!(
        out,
        "{:<32}  {:<9}  {:<17}  FOR",
        "SERIAL", "STATE", "UNTIL (UTC)"
    )?;
    for known in authority.certificates()? {
        let state = match known.revoked_at {
            Some(_) => "revoked",
            None if !known.is_valid(now) => "expired",
            None if known.is_renewed => "renewed",
            None => "valid",
        };
        if all || state == "valid" || state == "revoked" {
            writeln!(
                out,
                "{}  {state:<9}  {:<17}  {}",
                known.serial,
                day_and_minute(known.until),
                describe(&known)
            )?;
        }
    }
    let tokens = authority.tokens(now)?;
    if !tokens.is_empty() {
        writeln!(out, "\n{:<12}  {:<17}  FOR", "TOKEN", "UNTIL (UTC)")?;
    }
    for token in tokens {
        let agent = token.agent.as_deref().unwrap_or("any agent");
        writeln!(
            out,
            "{}  {:<17}  {agent} of {}{}",
            token.id,
            day_and_minute(token.until),
            token.unit,
            relay(token.reach)
        )?;
    }
    Ok(())
}

fn describe(known: &Issued) -> String {
    match &known.holder {
        Some(holder) => format!("{holder}{}", relay(holder.reach())),
        None => format!("{} (no agent)", known.name),
    }
}

fn relay(reach: Reach) -> &'static str {
    match reach {
        Reach::Unit => "",
        Reach::Below => " and units below",
    }
}

fn day_and_minute(seconds: i64) -> String {
    let time = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    time.to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M")
        .to_string()
}

/// `90s`, `30m`, `24h`, `7d`.
fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no span of time; write 30m, 24h or 7d");
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or_else(wrong)?;
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let unit = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        "d" => DAY,
        _ => return Err(wrong()),
    };
    let span = unit.checked_mul(number).filter(|span| *span <= DAY * 3650);
    span.filter(|span| !span.is_zero())
        .ok_or_else(|| format!("\"{text}\": from one second to ten years"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_span("24h"), Ok(DAY));
        assert_eq!(parse_span("90s"), Ok(Duration::from_secs(90)));
        for wrong in ["", "h", "24", "1w", "-1h", "0d", "99999d", "ngày"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }
}
