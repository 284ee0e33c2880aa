//! `citywatch user`: people's accounts, from the machine that holds them.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use citywatch_alerting::Alerting;
use clap::Subcommand;

use crate::ConfigArgs;
use crate::config::Config;

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Give somebody a new random password, end their sessions, and print it once
    Reset {
        /// The account's name
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
        /// Folder for all data, instead of [data] dir
        #[arg(long, value_name = "DIR")]
        data: Option<std::path::PathBuf>,
    },
}

/// Runs one of them.
pub fn run(command: &UserCommand) -> anyhow::Result<ExitCode> {
    let UserCommand::Reset { name, config, data } = command;
    let mut config = Config::load(config.config.as_deref())?;
    if let Some(dir) = data {
        config.data.dir.clone_from(dir);
    }
    config.complete();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let password = runtime.block_on(async {
        let alerting = Alerting::open(config.alerting, None).await?;
        let password = alerting.reset_user(name).await?;
        alerting.close().await;
        anyhow::Ok(password)
    })?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "new password of {name}: {}", password.password)?;
    writeln!(
        out,
        "it is shown this once; all sessions of {name} have ended"
    )?;
    Ok(ExitCode::SUCCESS)
}
