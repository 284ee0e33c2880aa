//! The kinds of records that are read, by us and by the peer.

use anyhow::Result;
use clap::ValueEnum;

use super::records;
use crate::corpus::Corpus;
use crate::lanes::{self, City};

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// RFC 3164 of programs that nobody knows: the header and nothing else
    SyslogFraming,
    /// RFC 3164 of sshd, sudo, cron, systemd, mail, the kernel's packets
    Syslog,
    /// RFC 5424 with structured data, of programs that nobody knows
    Syslog5424Framing,
    /// RFC 5424 with structured data, of the same programs as `syslog`
    Syslog5424,
    /// CEF of three vendors
    Cef,
    /// A firewall's key=value pairs
    KeyValue,
    /// Access logs, combined format
    Apache,
    /// The same lines, of nginx
    Nginx,
    /// Sysmon process creations of 0.62 to 0.78 KB, varied from recordings
    JsonSmall,
    /// Recorded Windows events as they are, 2.6 KB on average
    JsonLarge,
}

impl Kind {
    /// All, in the order in which they are measured.
    pub(super) const ALL: [Self; 10] = [
        Self::SyslogFraming,
        Self::Syslog,
        Self::Syslog5424Framing,
        Self::Syslog5424,
        Self::Cef,
        Self::KeyValue,
        Self::Apache,
        Self::Nginx,
        Self::JsonSmall,
        Self::JsonLarge,
    ];

    /// As it stands in the results.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::SyslogFraming => "syslog_3164_framing",
            Self::Syslog => "syslog_3164",
            Self::Syslog5424Framing => "syslog_5424_framing",
            Self::Syslog5424 => "syslog_5424",
            Self::Cef => "cef",
            Self::KeyValue => "key_value",
            Self::Apache => "apache_access",
            Self::Nginx => "nginx_access",
            Self::JsonSmall => "json_0.7_kb",
            Self::JsonLarge => "json_2.6_kb",
        }
    }

    /// Our format.
    pub(super) const fn format(self) -> &'static str {
        match self {
            Self::SyslogFraming | Self::Syslog | Self::Syslog5424Framing | Self::Syslog5424 => {
                "syslog"
            }
            Self::Cef => "cef",
            Self::KeyValue => "logfmt",
            Self::Apache | Self::Nginx => "web_access",
            Self::JsonSmall | Self::JsonLarge => "json",
        }
    }

    /// VRL's function.
    pub(super) const fn vrl_function(self) -> &'static str {
        match self {
            Self::SyslogFraming | Self::Syslog | Self::Syslog5424Framing | Self::Syslog5424 => {
                "parse_syslog"
            }
            Self::Cef => "parse_cef",
            Self::KeyValue => "parse_key_value",
            Self::Apache => "parse_apache_log",
            Self::Nginx => "parse_nginx_log",
            Self::JsonSmall | Self::JsonLarge => "parse_json",
        }
    }

    /// A program in VRL that reads what we read, where its function for the format reads less.
    pub(super) const fn vrl_program(self) -> Option<&'static str> {
        match self {
            Self::Syslog | Self::Syslog5424 => Some(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/peers/vrl/programs/syslog_messages.vrl"
            )),
            _ => None,
        }
    }

    /// Whether it is JSON.
    pub(super) const fn is_json(self) -> bool {
        matches!(self, Self::JsonSmall | Self::JsonLarge)
    }

    /// The records.
    pub(super) fn corpus(self, seed: u64, count: usize) -> Result<Corpus> {
        let mut city = City::new(seed, self.name());
        let lines: Box<dyn Iterator<Item = Vec<u8>>> = match self {
            Self::JsonSmall => Box::new(lanes::process_creations(seed, SMALL_BYTES)?),
            Self::JsonLarge => Box::new(lanes::windows_events(count)?.into_iter()),
            _ => Box::new(std::iter::repeat_with(move || {
                records::make(self, &mut city).into_bytes()
            })),
        };
        Ok(Corpus::of_lines(self.format(), lines.take(count)))
    }
}

/// Bytes of a small JSON record.
const SMALL_BYTES: std::ops::RangeInclusive<usize> = 620..=780;
