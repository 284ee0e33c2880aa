//! `citywatch audit`: whether the log of what people did is what was written.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use citywatch_alerting::{Alerting, AuditHead};
use clap::{Args, Subcommand};

use crate::ConfigArgs;
use crate::config::Config;

/// What can be done with the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Read the whole log and tell what was changed, removed, reordered or cut off
    Verify {
        /// File with heads that were kept elsewhere, one JSON object a line, whatever stands before it (as a syslog
        /// server writes it); shows a cut tail. May be given several times
        #[arg(long = "head", value_name = "FILE")]
        heads: Vec<PathBuf>,
        /// Public key, hexadecimal, of another machine that wrote into the same log. May be given several times
        #[arg(long = "key", value_name = "KEY")]
        keys: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Print the head: the last entry's number, its hash, signature and key, to be kept elsewhere
    Head {
        #[command(flatten)]
        place: Place,
    },
}

/// Where the log is.
#[derive(Clone, Debug, Args)]
pub struct Place {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder for all data, instead of [data] dir
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Place {
    fn load(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.config.as_deref())?;
        if let Some(dir) = &self.data {
            config.data.dir.clone_from(dir);
        }
        config.complete();
        Ok(config)
    }
}

/// Runs one of them.
pub fn run(command: &AuditCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let mut out = std::io::stdout().lock();
    match command {
        AuditCommand::Head { place } => {
            let config = place.load()?;
            let head = runtime.block_on(async {
                let alerting = Alerting::open(config.alerting, None).await?;
                let head = alerting.audit_head().await?;
                alerting.close().await;
                anyhow::Ok(head)
            })?;
            match head {
                Some(head) => writeln!(out, "{}", serde_json::to_string(&head)?)?,
                None => writeln!(out, "the audit log is empty")?,
            }
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Verify { heads, keys, place } => {
            let config = place.load()?;
            let mut kept = Vec::new();
            for file in heads {
                kept.extend(read_heads(file)?);
            }
            let report = runtime.block_on(citywatch_alerting::verify_audit(
                &config.alerting,
                keys,
                &kept,
            ))?;
            for problem in &report.problems {
                writeln!(out, "entry {} {}", problem.sequence, problem.what)?;
            }
            let verdict = if report.problems.is_empty() && kept.is_empty() {
                "nothing in it was changed, removed or reordered; whether its end is missing only heads that were kept \
                 elsewhere can tell (--head FILE)"
            } else if report.problems.is_empty() {
                "nothing was changed, removed or reordered"
            } else {
                "the log is not what was written"
            };
            writeln!(
                out,
                "{} entries, held against {} kept heads: {verdict}",
                report.entries,
                kept.len()
            )?;
            Ok(if report.problems.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}

/// The heads in a file: one a line, after whatever a syslog server wrote before it.
fn read_heads(file: &Path) -> anyhow::Result<Vec<AuditHead>> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the heads in {}", file.display()))?;
    let mut heads = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(begin) = line.find('{') else {
            continue;
        };
        let head = serde_json::from_str(&line[begin..])
            .with_context(|| format!("{}:{}: this is no head", file.display(), number + 1))?;
        heads.push(head);
    }
    anyhow::ensure!(
        !heads.is_empty(),
        "{}: there is no head in it",
        file.display()
    );
    Ok(heads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_from_lines_of_a_syslog_server() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("heads");
        let head = r#"{"sequence":7,"hash":"aa","signature":"bb","public_key":"cc"}"#;
        let text = format!("Nov 22 10:00:00 soc citywatch - {head}\n\n{head}\n");
        std::fs::write(&file, text).unwrap();
        let heads = read_heads(&file).unwrap();
        assert_eq!((heads.len(), heads[0].sequence), (2, 7));
        std::fs::write(&file, "x {\n").unwrap();
        let error = format!("{:#}", read_heads(&file).unwrap_err());
        assert!(error.contains("heads:1: this is no head"), "{error}");
        std::fs::write(&file, "").unwrap();
        assert!(read_heads(&file).is_err());
    }
}
