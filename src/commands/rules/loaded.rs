//! Rules of some paths, loaded; what is wrong with them is said and the others go on.

use std::path::{Path, PathBuf};

use citywatch_parsers::ParseContext;
use citywatch_rules::{LoadOptions, RuleSet};

use crate::config::Config;
use crate::report::{UsageError, say};
use crate::rule_pipelines::PipelineArgs;
use crate::{definition_files, rule_files};

/// Rules, and how records are parsed for them.
pub struct Loaded {
    /// The rules.
    pub set: RuleSet,
    /// Time zone and formats.
    pub context: ParseContext,
    /// Rules that could not be loaded, and files that could not be read.
    pub left_out: usize,
}

/// Loads the rules below `paths`.
///
/// # Errors
/// When a path does not exist, there is no rule at all, or the configuration is wrong.
pub fn load(
    paths: &[PathBuf],
    config: Option<&Path>,
    pipelines: &PipelineArgs,
) -> anyhow::Result<Loaded> {
    let read = Config::load(config)?;
    let context = match config {
        Some(_) => definition_files::parse_context(&read, None)?,
        None => ParseContext::default(),
    };
    let (sources, unreadable) = rule_files::read(paths)?;
    let options = LoadOptions {
        pipelines: pipelines.read(&read.engine.pipelines)?,
        placeholders: read.engine.placeholders,
    };
    let set = RuleSet::load(sources, &options);
    for problem in &unreadable {
        say(problem);
    }
    for problem in &set.problems {
        say(&problem.to_string());
    }
    if set.rules.is_empty() && set.correlations.is_empty() {
        let paths = paths.iter().map(|path| path.display().to_string());
        let paths = paths.collect::<Vec<_>>().join(", ");
        return Err(UsageError(format!(
            "no rules in {paths}: rules are .yml and .yaml files"
        ))
        .into());
    }
    let left_out = unreadable.len() + set.problems.len();
    Ok(Loaded {
        set,
        context,
        left_out,
    })
}
