//! `citywatch-agent`: reads log files and sends their records to Kafka.

mod check;
mod enroll;
mod mask;
mod monitor;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use citywatch_collector::AgentConfig;
use clap::{Args, Parser, Subcommand};

/// Exit code for a command line or a configuration that cannot be used.
const EXIT_USAGE: u8 = 2;

/// Reads log files and sends their records to Kafka; every record once, in order.
#[derive(Parser)]
#[command(
    name = "citywatch-agent",
    version,
    args_conflicts_with_subcommands = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    /// Read and send until SIGINT or SIGTERM (the default)
    Run(Common),
    /// Explain a configuration: which files it matches, whether they can be read, where records go
    Check(Common),
    /// Show what would be masked of a text, and how much of each kind
    Mask(mask::MaskArgs),
    /// Give this agent its identity: a key made here, certified against a one-time token
    Enroll(EnrollArgs),
}

/// Options of `citywatch-agent enroll`.
#[derive(Args)]
struct EnrollArgs {
    /// The intake of the system that made the token
    #[arg(value_name = "https://HOST:PORT")]
    server: String,
    /// What `citywatch ca token` printed; `-` reads it from standard input, so that no list of processes shows it
    token: String,
    /// SHA-256 of the authority's certificate, if you have it from elsewhere: must be the token's
    #[arg(long, value_name = "sha256:DIGITS")]
    ca_fingerprint: Option<String>,
    /// The agent's name, if the token does not give it; the host's name otherwise
    #[arg(long)]
    name: Option<String>,
    /// Replace the identity that is there
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// The configuration, in TOML
    #[arg(short, long, default_value = "agent.toml", value_name = "FILE")]
    config: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Run(cli.common));
    let common = match &command {
        Command::Run(common) | Command::Check(common) => common,
        Command::Mask(args) => &args.common,
        Command::Enroll(args) => return enroll::enroll(args),
    };
    let mut config = match AgentConfig::load(&common.config) {
        Ok(config) => config,
        Err(error) => return refuse(&error.to_string()),
    };
    if let Command::Mask(args) = &command {
        return mask::mask(&config, args);
    }
    let identity = match config.adopt_identity() {
        Ok(identity) => identity.map(Arc::new),
        Err(error) => return refuse(&error.to_string()),
    };
    let path = common.config.display();
    if config.kafka.is_none() && config.https.is_none() {
        return refuse(&format!(
            "{path}: neither a [kafka] section (`brokers = \"host:9092\"`) nor an [https] section says where records go"
        ));
    }
    if config.https.is_some() && identity.is_none() {
        return refuse(&format!(
            "{path}: [https] needs an identity: enrol this agent with `citywatch-agent enroll`"
        ));
    }
    match command {
        Command::Check(_) => check::check(&config, identity.as_deref()),
        _ => run::run(&config, identity.as_ref()),
    }
}

fn refuse(message: &str) -> ExitCode {
    for line in message.lines() {
        eprintln!("citywatch-agent: {line}");
    }
    ExitCode::from(EXIT_USAGE)
}
