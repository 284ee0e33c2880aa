//! `citywatch-agent check`: what a configuration means on this machine, in words, before it is used.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use citywatch_collector::kafka::{Producer, ProducerConfig};
use citywatch_collector::sources::command;
use citywatch_collector::sources::files::{self, FilesConfig, MatchedFile, ReadFrom};
use citywatch_collector::sources::tls::ListenTls;
use citywatch_collector::spool::WhenFull;
use citywatch_collector::{AgentConfig, Identity};

/// More files of a group than this are counted only.
const FILES_SHOWN_MAX: usize = 20;

/// 0 when all is well, 1 when something cannot be read or Kafka does not answer.
pub(crate) fn check(config: &AgentConfig, identity: Option<&Identity>) -> ExitCode {
    let mut report = Report {
        config,
        out: Vec::new(),
        faults: Vec::new(),
    };
    let explained = report.explain(identity);
    let told = explained.and_then(|()| io::stdout().write_all(&report.out));
    match told {
        Ok(()) if report.faults.is_empty() => ExitCode::SUCCESS,
        // A closed pipe is no reason to complain; the answer stands.
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

/// What is said, and what is wrong.
struct Report<'c> {
    config: &'c AgentConfig,
    out: Vec<u8>,
    faults: Vec<String>,
}

impl Report<'_> {
    fn explain(&mut self, identity: Option<&Identity>) -> io::Result<()> {
        let config = self.config;
        writeln!(
            self.out,
            "agent {}, unit {}, host {}",
            config.name, config.unit, config.host
        )?;
        self.identity(identity)?;
        writeln!(self.out, "\nReads")?;
        self.files()?;
        self.journals()?;
        self.listeners()?;
        self.commands()?;
        if config.reads_nothing() {
            self.fault(
                "nothing to read: add a [[files]] section with `paths = [\"/var/log/auth.log\"]`",
            )?;
        }
        writeln!(self.out, "\nKeeps")?;
        self.keeps()?;
        writeln!(self.out, "\nSends")?;
        if let Some(https) = &config.https {
            let enrolled = identity.map(|identity| identity.current().note.server.clone());
            let url = https.url.clone().or(enrolled).unwrap_or_default();
            writeln!(self.out, "  to the intake {url}, within TLS")?;
        }
        if let Some(kafka) = &config.kafka {
            self.sends(kafka)?;
        }
        if !self.faults.is_empty() {
            writeln!(self.out, "\nWrong")?;
            for fault in &self.faults {
                writeln!(self.out, "  {fault}")?;
            }
        }
        Ok(())
    }

    fn identity(&mut self, identity: Option<&Identity>) -> io::Result<()> {
        let Some(identity) = identity else {
            return writeln!(
                self.out,
                "not enrolled: batches are not signed; see `citywatch-agent enroll --help`"
            );
        };
        let current = identity.current();
        let left = current.left(SystemTime::now());
        writeln!(
            self.out,
            "enrolled as {} at {}, certificate {} for another {} days",
            current.holder,
            current.note.server,
            current.note.serial,
            left.as_secs() / 86_400
        )?;
        if left.is_zero() {
            self.fault("the certificate has expired: enrol this agent anew with `citywatch-agent enroll --replace`")?;
        }
        Ok(())
    }

    /// Says what is wrong in its place, and again at the end.
    fn fault(&mut self, fault: &str) -> io::Result<()> {
        self.faults.push(fault.to_owned());
        writeln!(self.out, "    {fault}")
    }

    fn files(&mut self) -> io::Result<()> {
        for (index, group) in self.config.files.iter().enumerate() {
            writeln!(self.out, "  files[{index}]: {}", describe(group))?;
            self.masks(group.mask.as_deref())?;
            let (matches, problems) = files::matches(group);
            self.matched(&matches, problems)?;
        }
        Ok(())
    }

    fn journals(&mut self) -> io::Result<()> {
        for (index, journal) in self.config.journald.iter().enumerate() {
            let what = if journal.matches.is_empty() {
                "every entry".into()
            } else {
                format!("entries that match {}", journal.matches.join(" "))
            };
            let from = since(journal.read_from);
            writeln!(
                self.out,
                "  journald[{index}] {}: {what}, through {}, {from}",
                journal.name, journal.journalctl
            )?;
            self.masks(journal.mask.as_deref())?;
            self.program(&journal.journalctl)?;
        }
        for (index, group) in self.config.evtx.iter().enumerate() {
            let (paths, from) = (group.paths.join(", "), since(group.read_from));
            writeln!(
                self.out,
                "  evtx[{index}] {}: {paths} (a record of JSON per event, {from})",
                group.name
            )?;
            self.masks(group.mask.as_deref())?;
            let (matches, problems) = group.matches();
            self.matched(&matches, problems)?;
        }
        Ok(())
    }

    fn listeners(&mut self) -> io::Result<()> {
        for (index, syslog) in self.config.syslog.iter().enumerate() {
            let protocols: Vec<&str> = syslog
                .protocols
                .iter()
                .map(|protocol| protocol.name())
                .collect();
            writeln!(
                self.out,
                "  syslog[{index}]: on {} ({}), from {}",
                syslog.listen,
                protocols.join(" and "),
                senders(syslog.tls.as_ref(), None)
            )?;
            self.masks(syslog.mask.as_deref())?;
        }
        for (index, http) in self.config.http.iter().enumerate() {
            let from = senders(http.tls.as_ref(), Some(http.sign_in.is_some()));
            writeln!(
                self.out,
                "  http[{index}]: on {}://{}, lines to /, bulk requests to /_bulk (format {}), from {from}",
                http.scheme(),
                http.listen,
                http.format
            )?;
            self.masks(http.mask.as_deref())?;
        }
        Ok(())
    }

    fn commands(&mut self) -> io::Result<()> {
        for command in &self.config.command {
            let run = command.run.join(" ");
            writeln!(
                self.out,
                "  command {}: {run} (format {})",
                command.name(),
                command.format
            )?;
            self.masks(command.mask.as_deref())?;
            self.program(command.run.first().map_or("", String::as_str))?;
        }
        if let Some(stdin) = &self.config.stdin {
            writeln!(
                self.out,
                "  standard input to its end (format {})",
                stdin.format
            )?;
            self.masks(stdin.mask.as_deref())?;
        }
        Ok(())
    }

    fn program(&mut self, program: &str) -> io::Result<()> {
        match command::find_program(program) {
            Ok(path) => writeln!(self.out, "    {}", path.display()),
            Err(problem) => self.fault(&problem),
        }
    }

    fn matched(&mut self, matches: &[MatchedFile], problems: Vec<String>) -> io::Result<()> {
        for found in matches.iter().take(FILES_SHOWN_MAX) {
            let path = found.path.display();
            match &found.error {
                None => writeln!(self.out, "    {path}  {} bytes", found.bytes)?,
                Some(error) => self.fault(&format!("{path}  cannot be read: {error}"))?,
            }
        }
        let more = matches.iter().skip(FILES_SHOWN_MAX);
        let unreadable: Vec<_> = more.clone().filter(|found| found.error.is_some()).collect();
        for found in &unreadable {
            let error = found.error.as_deref().unwrap_or_default();
            self.fault(&format!(
                "{}  cannot be read: {error}",
                found.path.display()
            ))?;
        }
        if matches.len() > FILES_SHOWN_MAX {
            let more = more.count() - unreadable.len();
            writeln!(self.out, "    and {more} more")?;
        }
        for problem in problems {
            writeln!(self.out, "    {problem}")?;
        }
        Ok(())
    }

    fn masks(&mut self, own: Option<&[String]>) -> io::Result<()> {
        let kinds = own.unwrap_or(&self.config.masking.kinds);
        match kinds {
            [] => writeln!(self.out, "    masks nothing"),
            kinds => writeln!(self.out, "    masks {}", kinds.join(", ")),
        }
    }

    fn keeps(&mut self) -> io::Result<()> {
        let config = self.config;
        let dir = &config.state_dir;
        writeln!(
            self.out,
            "  positions in {}: they move when Kafka has the records; what was on its way is sent again after a crash, and known by its position",
            dir.display()
        )?;
        if let Some(reason) = why_unusable(dir) {
            self.fault(&format!("{}: {reason}", dir.display()))?;
        }
        let is_spooled = !config.syslog.is_empty()
            || !config.http.is_empty()
            || !config.command.is_empty()
            || config.stdin.is_some();
        if is_spooled {
            let then = then(config.spool.when_full);
            writeln!(
                self.out,
                "  what cannot be read again in {}, until Kafka has it: {} MiB at most, {then}",
                dir.join("spool").display(),
                config.spool.bytes_max >> 20
            )?;
        }
        for (source, when_full) in config.own_spools() {
            writeln!(
                self.out,
                "  what {source} receives in a spool of its own below {}: as large, {}",
                dir.join("spools").display(),
                then(when_full)
            )?;
        }
        if let Some(key) = &config.masking.key_file {
            writeln!(
                self.out,
                "  nothing of what is masked; its key is {}",
                key.display()
            )?;
        }
        Ok(())
    }

    fn sends(&mut self, kafka: &ProducerConfig) -> io::Result<()> {
        let how = match &kafka.tls {
            Some(tls) => format!("within TLS, as {}", tls.certificate.display()),
            None => "unencrypted".into(),
        };
        match Producer::probe(kafka) {
            Ok(partitions) => writeln!(
                self.out,
                "  kafka {}, {how}: topic {} has {partitions} partitions",
                kafka.brokers, kafka.topic
            ),
            Err(error) => {
                writeln!(self.out, "  kafka {}, {how}", kafka.brokers)?;
                self.fault(&error.to_string())
            }
        }
    }
}

/// Who may send to an address.
fn senders(tls: Option<&ListenTls>, signs_in: Option<bool>) -> String {
    let who = match tls {
        Some(tls) if tls.client_ca.is_some() => "senders with a certificate of its authority",
        _ => "anyone who reaches it",
    };
    let how = match tls {
        Some(_) => ", encrypted",
        None => ", unencrypted",
    };
    let signed_in = match signs_in {
        Some(true) => ", signed in",
        _ => "",
    };
    format!("{who}{how}{signed_in}")
}

fn since(read_from: ReadFrom) -> &'static str {
    match read_from {
        ReadFrom::Beginning => "from the beginning",
        ReadFrom::End => "what is written from the first start on",
    }
}

/// Why nothing can be kept in a directory, which need not be there yet.
fn why_unusable(dir: &Path) -> Option<String> {
    let there = dir
        .ancestors()
        .find(|dir| dir.exists())
        .unwrap_or(Path::new("."));
    if !there.is_dir() {
        return Some(format!(
            "{} is no directory: choose another `state_dir`",
            there.display()
        ));
    }
    let probe = there.join(".citywatch-agent-check");
    let written = std::fs::write(&probe, b"");
    let _ = std::fs::remove_file(&probe);
    let error = written.err()?;
    Some(format!(
        "nothing can be written there ({error}): give it to the agent's user, or choose another `state_dir`"
    ))
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
    let encoding = match group.encoding.as_str() {
        "auto" => "UTF-8, or UTF-16 by its mark",
        named => named,
    };
    format!(
        "{} (format {}, {joining}, {encoding}, {})",
        group.paths.join(", "),
        group.format,
        since(group.read_from)
    )
}

/// What happens at a spool's bound.
fn then(when_full: WhenFull) -> &'static str {
    match when_full {
        WhenFull::Block => "then senders wait",
        WhenFull::DropOldest => "then the oldest go, and are counted",
    }
}
