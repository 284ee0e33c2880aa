//! `citywatch-agent`: reads log files and sends their records to Kafka.

mod check;
mod mask;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

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
    };
    let config = match AgentConfig::load(&common.config) {
        Ok(config) => config,
        Err(error) => return refuse(&error.to_string()),
    };
    if let Command::Mask(args) = &command {
        return mask::mask(&config, args);
    }
    let Some(kafka) = config.kafka.clone() else {
        let path = common.config.display();
        return refuse(&format!(
            "{path}: no [kafka] section: add it with `brokers = \"host:9092\"` to say where records go"
        ));
    };
    match command {
        Command::Check(_) => check::check(&config, &kafka),
        Command::Run(_) | Command::Mask(_) => run::run(&config, &kafka),
    }
}

fn refuse(message: &str) -> ExitCode {
    for line in message.lines() {
        eprintln!("citywatch-agent: {line}");
    }
    ExitCode::from(EXIT_USAGE)
}
