//! `citywatch-agent check`: what a configuration means on this machine, before it is used.

use std::io::{self, Write};
use std::process::ExitCode;

use citywatch_collector::AgentConfig;
use citywatch_collector::kafka::{Producer, ProducerConfig};
use citywatch_collector::sources::command;
use citywatch_collector::sources::files::{self, FilesConfig, ReadFrom};

/// 0 when all is well, 1 when a file cannot be read or Kafka does not answer.
pub(crate) fn check(config: &AgentConfig, kafka: &ProducerConfig) -> ExitCode {
    let mut report = Vec::new();
    match explain(config, kafka, &mut report)
        .and_then(|faults| io::stdout().write_all(&report).map(|()| faults))
    {
        Ok(0) => ExitCode::SUCCESS,
        // A closed pipe is no reason to complain; the answer stands.
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

fn explain(
    config: &AgentConfig,
    kafka: &ProducerConfig,
    out: &mut impl Write,
) -> io::Result<usize> {
    let mut faults = 0;
    writeln!(
        out,
        "agent {}, unit {}, host {}",
        config.name, config.unit, config.host
    )?;
    writeln!(out, "positions in {}", config.state_dir.display())?;
    for (index, group) in config.files.iter().enumerate() {
        writeln!(out, "files[{index}]: {}", describe(group))?;
        let (matches, problems) = files::matches(group);
        for found in &matches {
            match &found.error {
                None => writeln!(out, "  {}  {} bytes", found.path.display(), found.bytes)?,
                Some(error) => {
                    writeln!(out, "  {}  cannot be read: {error}", found.path.display())?
                }
            }
        }
        for problem in problems {
            writeln!(out, "  {problem}")?;
        }
        faults += matches.iter().filter(|found| found.error.is_some()).count();
    }
    for syslog in &config.syslog {
        let protocols: Vec<&str> = syslog
            .protocols
            .iter()
            .map(|protocol| protocol.name())
            .collect();
        writeln!(
            out,
            "syslog on {} ({})",
            syslog.listen,
            protocols.join(" and ")
        )?;
    }
    for http in &config.http {
        let (listen, format) = (http.listen, &http.format);
        writeln!(
            out,
            "http on {listen}: lines to /, bulk requests to /_bulk (format {format})"
        )?;
    }
    for command in &config.command {
        let run = command.run.join(" ");
        writeln!(
            out,
            "command {}: {run} (format {})",
            command.name(),
            command.format
        )?;
        let program = command.run.first().map_or("", String::as_str);
        match command::find_program(program) {
            Ok(path) => writeln!(out, "  {}", path.display())?,
            Err(problem) => {
                writeln!(out, "  {problem}")?;
                faults += 1;
            }
        }
    }
    if let Some(stdin) = &config.stdin {
        writeln!(out, "standard input to its end (format {})", stdin.format)?;
    }
    if config.reads_nothing() {
        writeln!(
            out,
            "nothing to read: add a [[files]] section with `paths = [\"/var/log/auth.log\"]`"
        )?;
        faults += 1;
    }
    match Producer::probe(kafka) {
        Ok(partitions) => writeln!(
            out,
            "kafka {}: topic {} has {partitions} partitions",
            kafka.brokers, kafka.topic
        )?,
        Err(error) => {
            writeln!(out, "kafka {}: {error}", kafka.brokers)?;
            faults += 1;
        }
    }
    Ok(faults)
}

fn describe(group: &FilesConfig) -> String {
    let joining = match group.multiline {
        files::Joining::None => "a line is a record",
        files::Joining::Auditd => "lines of one audit event are a record",
        files::Joining::Modsecurity => "parts of one ModSecurity transaction are a record",
        files::Joining::Paragraph => "empty lines separate records",
        files::Joining::Indent => "indented lines belong to the record before",
        files::Joining::Quotes => "a record goes on until its quotes are closed",
        files::Joining::Xml => "a record goes on until its element is closed",
    };
    let from = match group.read_from {
        ReadFrom::Beginning => "from the beginning",
        ReadFrom::End => "what is written from the first start on",
    };
    format!(
        "{} (format {}, {joining}, {from})",
        group.paths.join(", "),
        group.format
    )
}
