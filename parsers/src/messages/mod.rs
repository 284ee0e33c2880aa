//! What programs say within syslog: one table of messages per program.

mod accounts;
mod appliances;
mod cron;
pub(crate) mod firewall;
mod pam;
mod pan_os;
mod pattern;
mod programs;
mod services;
mod signs;
mod sshd;
mod sudo;
mod systemd;
mod wireguard;

use crate::definitions::Definitions;
use crate::draft::Draft;
use crate::event::Value;
use crate::formats;
use pattern::read_at;
pub(crate) use pattern::{Headers, Message, Tables, message, read as read_table, read_header};
pub(crate) use programs::{Programs, Speaker};
pub(crate) use services::{DROPBEAR, EXIM, PROFTPD, PROXMOX, VSFTPD};

/// A syslog message, its header taken off.
#[derive(Clone, Copy)]
pub(crate) struct Syslog<'a> {
    /// As written: `sshd`, `postfix/smtpd`, `CRON`; empty when there is none.
    pub(crate) program: &'a str,
    pub(crate) facility: Option<&'static str>,
    pub(crate) message: &'a str,
}

/// How a program's messages are read.
enum Reader {
    Table(&'static [Message]),
    Grammar(for<'a> fn(&mut Draft<'a, '_>, &'a str) -> bool),
}

/// A program: its names, its log source, its messages.
struct Program {
    names: &'static [&'static str],
    /// Sigma's service, if it has one of its own.
    service: &'static str,
    reader: Reader,
}

const fn program(names: &'static [&'static str], service: &'static str, reader: Reader) -> Program {
    Program {
        names,
        service,
        reader,
    }
}

static PROGRAMS: &[Program] = &[
    program(
        &["sshd", "sshd-session", "sshd-auth"],
        "sshd",
        Reader::Table(sshd::MESSAGES),
    ),
    program(&["sudo"], "sudo", Reader::Grammar(sudo::read_sudo)),
    program(&["su"], "su", Reader::Table(sudo::SU_MESSAGES)),
    program(
        &["cron", "crond", "crontab", "anacron", "atd"],
        "cron",
        Reader::Table(cron::MESSAGES),
    ),
    program(&["systemd", "init"], "", Reader::Table(systemd::MESSAGES)),
    program(
        &["systemd-logind"],
        "",
        Reader::Table(systemd::LOGIND_MESSAGES),
    ),
    program(
        &[
            "useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd",
            "passwd", "chpasswd", "chage", "chfn", "chsh", "newusers",
        ],
        "",
        Reader::Grammar(accounts::read),
    ),
    program(
        &["kernel", "ulogd"],
        "",
        Reader::Grammar(firewall::read_kernel),
    ),
    program(
        &["filterlog"],
        "",
        Reader::Grammar(appliances::read_filterlog),
    ),
    program(&["exim", "exim4"], "", Reader::Table(services::EXIM)),
    program(
        &["charon", "ipsec", "strongswan"],
        "",
        Reader::Table(services::CHARON),
    ),
    program(
        &["mailscanner", "amavis"],
        "",
        Reader::Table(services::MAIL_FILTERS),
    ),
    program(&["named"], "", Reader::Grammar(services::read_named)),
    program(&["haproxy"], "", Reader::Grammar(services::read_haproxy)),
    program(
        &["openvpn", "ovpn-server", "ovpn-client"],
        "",
        Reader::Grammar(services::read_openvpn),
    ),
    program(&["dovecot"], "", Reader::Grammar(services::read_dovecot)),
    program(
        &["postfix", "postscreen"],
        "",
        Reader::Table(services::POSTFIX),
    ),
    program(&["proftpd"], "", Reader::Table(services::PROFTPD)),
    program(&["pure-ftpd"], "", Reader::Table(services::PUREFTPD)),
    program(&["vsftpd"], "vsftpd", Reader::Table(services::VSFTPD)),
    program(&["dropbear"], "", Reader::Table(services::DROPBEAR)),
    program(
        &["pvedaemon", "pveproxy", "proxmox-backup-api"],
        "",
        Reader::Table(services::PROXMOX),
    ),
    program(
        &["clamd", "clamav", "freshclam", "clamav-daemon"],
        "clamav",
        Reader::Grammar(services::read_clamav),
    ),
    program(&["guacd", "guacamole"], "guacamole", Reader::Table(&[])),
    program(&["modsecurity"], "modsecurity", Reader::Table(&[])),
];

impl Syslog<'_> {
    /// Without the spaces at its end.
    pub(crate) fn trimmed(self) -> Self {
        let message = match self.message.as_bytes() {
            [.., last] if last.is_ascii_graphic() => self.message,
            _ => self.message.trim_end(),
        };
        Self { message, ..self }
    }
}

/// What the name of a program says.
#[inline(always)]
pub(crate) fn speaker(draft: &mut Draft<'_, '_>, program: &str) -> Speaker {
    draft.scratch.programs.of(program)
}

/// Adds the message and what follows from it.
pub(crate) fn read<'a>(draft: &mut Draft<'a, '_>, syslog: Syslog<'a>) {
    let syslog = syslog.trimmed();
    draft.text("message", syslog.message);
    understand(draft, syslog);
}

/// Reads a message that is a field already: fields of what is understood, the log source, and what may be wrapped in it.
pub(crate) fn understand<'a>(draft: &mut Draft<'a, '_>, syslog: Syslog<'a>) {
    let program = speaker(draft, syslog.program);
    understand_of(draft, syslog, program);
}

/// The same, of a program whose name was looked at already.
pub(crate) fn understand_of<'a>(draft: &mut Draft<'a, '_>, syslog: Syslog<'a>, speaker: Speaker) {
    let message = syslog.message;
    let (name, known) = (speaker.name_in(syslog.program), speaker.known);
    classify(draft, syslog, speaker);
    let understood = pam::read(draft, message)
        || known.is_some_and(|program| match program.reader {
            Reader::Table(table) => {
                let place = draft.scratch.tables.of_program(speaker.number, table);
                read_at(draft, place, table, message)
            }
            Reader::Grammar(read) => read(draft, message),
        });
    if understood {
        return;
    }
    let signs = signs::of(message);
    if !without_program(draft, message, signs)
        && !Definitions::read_inner(draft, name, message)
        && signs & signs::INNER != 0
    {
        draft.nested(|draft| formats::read_inner(draft, message));
    }
}

/// Messages that are known by what they say, whoever says it.
fn without_program<'a>(draft: &mut Draft<'a, '_>, message: &'a str, signs: u8) -> bool {
    signs & signs::PAIR != 0 && firewall::read(draft, message) || pan_os::read(draft, message)
}

fn classify(draft: &mut Draft<'_, '_>, syslog: Syslog<'_>, program: Speaker) {
    let is_auth = program.is_auth || matches!(syslog.facility, Some("auth" | "authpriv"));
    draft.linux_services(
        program.known.map_or("", |program| program.service),
        if is_auth { "auth" } else { "syslog" },
    );
}

/// A named value that is always the same.
fn put<'a>(draft: &mut Draft<'a, '_>, name: &'static str, text: &'a str) {
    if !text.is_empty() {
        draft.set(name, Value::Str(text));
    }
}
