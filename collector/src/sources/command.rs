//! The output of commands: each is started with the agent and again whenever it ends.
//!
//! Output cannot be read again, so its records go to a spool first. A command runs in a process group
//! of its own; at shutdown the group is asked to end (SIGTERM), read to its end, and killed after a while.

mod errors;

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::process::{Child, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use citywatch_parsers::{LogSource, Origin};

use super::files::Joining;
use super::files::lines::BatchLimits;
use super::once::{ByteStream, Input, Stopped};
use super::received::Counts;
use crate::sink::Sink;
use crate::spool::WhenFull;

const RESTART_AFTER_MIN: Duration = Duration::from_secs(1);
const RESTART_AFTER_MAX: Duration = Duration::from_secs(60);
/// A command that ran for this long begins again with the shortest pause.
const RAN_WELL_AFTER: Duration = Duration::from_secs(60);
/// How long a command may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);

/// A command whose output is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandConfig {
    /// Its name in streams, log and status; the program's by default.
    #[serde(default)]
    pub name: Option<String>,
    /// The program and its arguments; no shell reads them.
    pub run: Vec<String>,
    /// Name of the format in the parsers' table, or `auto`; with the encoding where it is not UTF-8.
    #[serde(default = "super::auto")]
    pub format: String,
    /// The host the records speak of; the agent's own if absent.
    #[serde(default)]
    pub host: Option<String>,
    /// The office; the agent's own if absent.
    #[serde(default)]
    pub unit: Option<String>,
    /// What is known of the log source; the rest is found out by the parsers.
    #[serde(default)]
    pub log_source: LogSource<'static>,
    /// How lines are joined into records.
    #[serde(default)]
    pub multiline: Joining,
    /// What is masked of its records; as `[masking]` says if absent.
    #[serde(default)]
    pub mask: Option<Vec<String>>,
    /// What happens when its records fill their spool: with this, they have one of their own; without, that of `[spool]`.
    #[serde(default)]
    pub when_full: Option<WhenFull>,
}

impl CommandConfig {
    /// Its name: as configured, else the program's without its folder.
    pub fn name(&self) -> &str {
        let program = self.run.first().map_or("", String::as_str);
        let program = program.rsplit('/').next().unwrap_or(program);
        self.name.as_deref().unwrap_or(program)
    }
}

/// What makes no sense in a list of commands, one sentence each, naming the key.
pub fn problems(commands: &[CommandConfig]) -> Vec<String> {
    let mut problems = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        if command.run.first().is_none_or(String::is_empty) {
            problems.push(format!(
                "command[{index}].run: empty; name the program and its arguments: run = [\"journalctl\", \"-f\"]"
            ));
        } else if command.name().is_empty() {
            problems.push(format!(
                "command[{index}].name: empty; give it a name, or none"
            ));
        }
        let same = |other: &CommandConfig| other.name() == command.name();
        if let Some(first) = commands[..index].iter().position(same) {
            problems.push(format!(
                "command[{index}].name: `{}` is the name of command[{first}] too; set `name` to another",
                command.name()
            ));
        }
    }
    problems
}

/// Where a program is, as it would be started.
///
/// # Errors
/// Why it cannot be started, and what to do.
pub fn find_program(program: &str) -> Result<PathBuf, String> {
    if program.contains('/') {
        let path = PathBuf::from(program);
        return match fs::metadata(&path) {
            Ok(_) if is_program(&path) => Ok(path),
            Ok(_) => Err(format!(
                "{program} is not executable: set its mode, or name another"
            )),
            Err(error) => Err(format!("{program} cannot be started: {error}")),
        };
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut candidates = env::split_paths(&folders).map(|folder| folder.join(program));
    candidates.find(|path| is_program(path)).ok_or_else(|| {
        format!("{program} is in no folder of PATH: install it, or name its whole path")
    })
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs the command again and again until `shutdown`. `origin` is that of its records.
pub(crate) async fn serve(
    config: CommandConfig,
    origin: Origin,
    limits: BatchLimits,
    sink: Sink,
    counts: Arc<Counts>,
    shutdown: CancellationToken,
) {
    let mut stream = ByteStream::new(origin, config.multiline, limits);
    let mut pauses = Pauses::new();
    loop {
        let ended = run(&config, &mut stream, &sink, &counts, &shutdown).await;
        stream.keep_all(&sink, &counts).await;
        if shutdown.is_cancelled() {
            return;
        }
        let how = match ended {
            Ok(status) => format!("it ended ({status})"),
            Err(error) => format!("it cannot be run: {error}"),
        };
        tracing::warn!(command = config.name(), "a command is started again: {how}");
        metrics::counter!("citywatch_agent_command_ends_total").increment(1);
        counts.set_error(Some(how));
        counts.ends.fetch_add(1, Ordering::Relaxed);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = pauses.pause() => {}
        }
    }
}

/// How long is waited before what ended is started again: longer each time, unless it ran well.
pub(super) struct Pauses {
    next: Duration,
    since: Instant,
}

impl Pauses {
    /// Something is started now.
    pub(super) fn new() -> Self {
        Self {
            next: RESTART_AFTER_MIN,
            since: Instant::now(),
        }
    }

    /// It ended; after this it is started again.
    pub(super) async fn pause(&mut self) {
        if self.since.elapsed() >= RAN_WELL_AFTER {
            self.next = RESTART_AFTER_MIN;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(RESTART_AFTER_MAX);
        self.since = Instant::now();
    }
}

/// A program that runs in a process group of its own; what it says on standard error is logged.
pub(super) struct Running {
    child: Child,
    group: Group,
    pub(super) output: ChildStdout,
}

impl Running {
    pub(super) fn start(name: &str, run: &[String]) -> io::Result<Self> {
        let (program, arguments) = run
            .split_first()
            .ok_or_else(|| io::Error::other("no program is named"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group::of(&child);
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(errors::log(errors, name.to_owned()));
        }
        let output = child.stdout.take();
        let output = output.ok_or_else(|| io::Error::other("it has no output"))?;
        Ok(Self {
            child,
            group,
            output,
        })
    }

    /// Asks it to end, and kills it after a while.
    pub(super) async fn stop(mut self) -> io::Result<ExitStatus> {
        self.group.signal(libc::SIGTERM);
        tokio::select! {
            status = self.child.wait() => return status,
            () = tokio::time::sleep(END_WITHIN) => self.group.signal(libc::SIGKILL),
        }
        self.child.wait().await
    }
}

/// Runs it once, to its end or `shutdown`.
async fn run(
    config: &CommandConfig,
    stream: &mut ByteStream,
    sink: &Sink,
    counts: &Counts,
    shutdown: &CancellationToken,
) -> io::Result<ExitStatus> {
    let Running {
        mut child,
        group,
        output,
    } = Running::start(config.name(), &config.run)?;
    let mut input = Input::Output(output);
    let mut stopped = stream.read(&mut input, sink, counts, shutdown).await;
    let give_up = CancellationToken::new();
    if matches!(stopped, Stopped::Ended(_)) {
        // It closed its output, and may still be at work.
        tokio::select! {
            status = child.wait() => return status,
            () = shutdown.cancelled() => {}
        }
    }
    group.signal(libc::SIGTERM);
    let deadline = give_up.clone();
    tokio::spawn(async move {
        tokio::time::sleep(END_WITHIN).await;
        deadline.cancel();
    });
    if matches!(stopped, Stopped::Shutdown) {
        stopped = stream.read(&mut input, sink, counts, &give_up).await;
        tracing::debug!(?stopped, "a command was read to its end");
    }
    tokio::select! {
        status = child.wait() => return status,
        () = give_up.cancelled() => group.signal(libc::SIGKILL),
    }
    child.wait().await
}

/// The process group that a command leads.
#[derive(Clone, Copy)]
struct Group(Option<libc::pid_t>);

impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| libc::pid_t::try_from(id).ok());
        Self(leader.filter(|leader| *leader > 1))
    }

    /// Only before the leader was waited for: until then its number is nobody else's.
    fn signal(self, signal: libc::c_int) {
        if let Some(leader) = self.0 {
            // SAFETY: kill takes two numbers and touches no memory of ours.
            unsafe { libc::kill(-leader, signal) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(name: Option<&str>, run: &[&str]) -> CommandConfig {
        CommandConfig {
            name: name.map(String::from),
            run: run.iter().map(ToString::to_string).collect(),
            format: "auto".into(),
            host: None,
            unit: None,
            log_source: LogSource::default(),
            multiline: Joining::None,
            mask: None,
            when_full: None,
        }
    }

    #[test]
    fn commands_have_names_of_their_own() {
        let commands = [
            command(None, &["/usr/bin/journalctl", "-f"]),
            command(Some("journalctl"), &["journalctl"]),
            command(None, &[]),
            command(Some(""), &["x"]),
        ];
        let found = problems(&commands);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(
            found[0].contains("`journalctl` is the name of command[0] too"),
            "{found:?}"
        );
        assert!(found[1].starts_with("command[2].run: empty"), "{found:?}");
    }

    #[test]
    fn programs_are_found_as_they_are_started() {
        assert!(find_program("sh").is_ok());
        assert!(find_program("/bin/sh").is_ok());
        let missing = find_program("citywatch-no-such-program").unwrap_err();
        assert!(missing.contains("in no folder of PATH"), "{missing}");
        let data = tempfile::NamedTempFile::new().unwrap();
        let refused = find_program(&data.path().display().to_string()).unwrap_err();
        assert!(refused.contains("is not executable"), "{refused}");
    }
}
