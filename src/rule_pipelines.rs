//! Reads processing pipelines from their files: those of the configuration and those of the command line.

use std::path::PathBuf;

use citywatch_rules::Pipelines;
use clap::Args;

use crate::report::UsageError;
use crate::rule_files;

/// The option that commands which load rules share.
#[derive(Clone, Debug, Default, Args)]
pub struct PipelineArgs {
    /// Processing pipeline in pySigma's form that rules go through, besides those of the configuration ([engine]
    /// pipelines): a file, or a directory with all below it; may be given several times
    #[arg(id = "pipeline", long = "pipeline", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl PipelineArgs {
    /// Reads them behind those of the configuration. The order in which they are applied is that of their priorities.
    ///
    /// # Errors
    /// See [`read`].
    pub fn read(&self, configured: &[PathBuf]) -> anyhow::Result<Pipelines> {
        read(&[configured, &self.files].concat())
    }
}

/// Reads pipelines.
///
/// # Errors
/// [`UsageError`] with all that is wrong, one line each: file, line, column, what, and what to do.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Pipelines> {
    if paths.is_empty() {
        return Ok(Pipelines::default());
    }
    if let Some(path) = paths.iter().find(|path| !path.exists()) {
        return Err(UsageError(format!(
            "no processing pipeline at {}: the path does not exist",
            path.display()
        ))
        .into());
    }
    let (sources, unreadable) = rule_files::read(paths)?;
    let pipelines = if unreadable.is_empty() {
        Pipelines::read(sources)
    } else {
        Err(Vec::new())
    };
    pipelines.map_err(|errors| {
        let errors = errors.iter().map(ToString::to_string);
        let lines: Vec<String> = unreadable.into_iter().chain(errors).collect();
        UsageError(lines.join("\n")).into()
    })
}
