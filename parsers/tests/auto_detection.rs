//! `auto` on real logs: the share of lines that get a format which the service that wrote them writes.

#![allow(clippy::unwrap_used, reason = "tests may")]

mod shared;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use bumpalo::Bump;
use citywatch_parsers::record::Truncated;
use citywatch_parsers::{Origin, ParseContext, RecordBatch, Timestamp, parse_batch};

/// Folders of service logs, and the formats that their services write. Said by hand from what the lines are.
const SERVICES: [(&str, &[&str]); 69] = [
    ("amavis-logs", &["syslog"]),
    ("apache2-logs", &["web_access", "apache_error"]),
    ("asterisk-logs", &["asterisk"]),
    ("auditd-logs", &["auditd"]),
    ("aws-alb-logs", &["aws_alb"]),
    ("aws-cloudfront-logs", &["aws_cloudfront"]),
    ("aws-cloudtrail", &["cloudtrail"]),
    ("bind9-logs", &["bind"]),
    // One line is of Caddy's own log, no access.
    ("caddy-logs", &["web_json", "json"]),
    ("cef-logs", &["cef", "syslog"]),
    ("charon-ipsec-logs", &["syslog"]),
    ("couchdb-logs", &["line"]),
    ("cri-logs", &["cri"]),
    ("docker-logs", &["docker"]),
    ("dovecot-logs", &["syslog"]),
    ("dropbear-logs", &["line"]),
    ("envoy-logs", &["cri"]),
    ("exchange-imap-logs", &["exchange_protocol"]),
    ("exchange-pop-logs", &["exchange_protocol"]),
    ("exchange-smtp-logs", &["exchange_smtp"]),
    ("exim-logs", &["exim"]),
    ("exim-syslog-logs", &["syslog"]),
    ("gitlab-logs", &["json"]),
    ("grafana-logs", &["json", "logfmt"]),
    ("haproxy-logs", &["haproxy"]),
    ("iis-xml-logs", &["windows_xml"]),
    ("iptables-logs", &["syslog"]),
    ("keycloak-logs", &["keycloak"]),
    ("laurel-logs", &["laurel"]),
    ("mailscanner-logs", &["syslog"]),
    ("mariadb-logs", &["mysql", "mysql_old"]),
    ("mikrotik-logs", &["syslog"]),
    // Here it is lines of Apache's error log.
    ("modsecurity", &["apache_error"]),
    ("modsecurity-logs", &["apache_error"]),
    ("mongodb-logs", &["json"]),
    ("mssql-text-logs", &["mssql"]),
    ("mysql-logs", &["mysql"]),
    ("nextcloud-logs", &["json"]),
    ("nginx-mail-logs", &["nginx_error", "web_access"]),
    (
        "nginx-proxy-manager-logs",
        &["nginx_proxy_manager", "nginx_error", "web_access"],
    ),
    ("nginx_http-logs", &["web_access", "nginx_error"]),
    ("odoo-logs", &["odoo"]),
    ("opensearch-dashboard-logs", &["syslog"]),
    ("openvpn", &["openvpn"]),
    ("palo-alto-threat", &["syslog"]),
    ("pam-logs", &["syslog"]),
    ("pf-logs", &["syslog"]),
    ("pgsql-logs", &["postgresql"]),
    ("postfix-logs", &["syslog"]),
    ("postscreen-logs", &["syslog"]),
    ("proftpd-logs", &["proftpd", "syslog"]),
    ("proxmox-backup-auth-logs", &["proxmox"]),
    ("proxmox-iptables-logs", &["proxmox"]),
    ("proxmox-logs", &["syslog"]),
    ("pureftpd-logs", &["syslog"]),
    ("segfault-logs", &["syslog"]),
    ("smb-logs", &["samba"]),
    ("sshd-logs", &["syslog"]),
    ("sshd-success-logs", &["syslog"]),
    ("suricata-logs-evelog", &["suricata"]),
    ("suricata-logs-fastlog", &["suricata_fast"]),
    ("synology-dsm-logs", &["syslog"]),
    ("syslog-logs", &["syslog"]),
    ("tcpdump-logs", &["line"]),
    ("unifi-logs", &["syslog"]),
    ("vsftpd-logs", &["vsftpd"]),
    ("windows-logs", &["windows_xml"]),
    ("wireguard-logs", &["syslog"]),
    ("zimbra-logs", &["zimbra"]),
];

/// Recordings, by a part of their path; the first that fits counts.
const RECORDINGS: [(&str, &[&str]); 6] = [
    ("zeek_logs.zip/", &["zeek", "zeek_tsv"]),
    ("atomic/aws/", &["cloudtrail"]),
    // Tables of Azure Monitor: syslog and connections, no Windows events.
    ("syslog_auoms_auditd", &["json"]),
    ("vminsights_vmconnection", &["json"]),
    ("atomic/windows/", &["windows_json"]),
    ("compound/", &["windows_json"]),
];

/// Per mille of the lines that must be right.
const PER_MILLE_MIN: usize = 990;

/// Lines read of each file of the recordings: all of them with `CITYWATCH_ALL=1`.
fn lines_max() -> usize {
    if std::env::var_os("CITYWATCH_ALL").is_some() {
        usize::MAX
    } else {
        150
    }
}

#[derive(Default)]
struct Tally {
    right: usize,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, place: &str, line: &[u8], expected: &[&str]) {
        let origin = Origin {
            format: "auto".into(),
            ..Origin::default()
        };
        let mut batch = RecordBatch::new(Arc::new(origin));
        let received_at = Timestamp::from_seconds(1_795_316_400);
        batch.push(line, 0, received_at, Truncated::No);
        let arena = Bump::new();
        let events = parse_batch(&batch, &arena, &ParseContext::default());
        let format = events[0].format;
        if expected.contains(&format) {
            self.right += 1;
        } else {
            let line: String = String::from_utf8_lossy(line).chars().take(200).collect();
            self.wrong.push(format!("{place}: {format}: {line}"));
        }
    }

    fn check(&self) {
        let total = self.right + self.wrong.len();
        eprintln!("{} of {total} lines have the right format", self.right);
        assert!(
            total > 0 && self.right * 1_000 >= total * PER_MILLE_MIN,
            "{} of {total} lines are wrong, first:\n{}",
            self.wrong.len(),
            self.wrong[..self.wrong.len().min(20)].join("\n")
        );
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

#[test]
fn service_logs_get_the_format_of_their_service() {
    let Some(folder) = shared::folder("logs") else {
        return;
    };
    let mut tally = Tally::default();
    for path in shared::files(&folder, "log") {
        let name = path.parent().and_then(Path::file_name).unwrap();
        let name = name.to_str().unwrap();
        let expected = SERVICES.iter().find(|(known, _)| *known == name);
        // A folder that the table does not know counts as wrong, so that the table is kept up.
        let expected = expected.map_or(&[][..], |(_, formats)| formats);
        let text = fs::read(&path).unwrap();
        for line in text
            .split(|byte| *byte == b'\n')
            .filter(|line| !is_blank(line))
        {
            tally.add(name, line, expected);
        }
    }
    tally.check();
}

#[test]
fn recordings_get_the_format_of_what_recorded_them() {
    let Some(folder) = shared::folder("events") else {
        return;
    };
    let mut tally = Tally::default();
    for archive in shared::files(&folder, "zip") {
        let mut zip = zip::ZipArchive::new(File::open(&archive).unwrap()).unwrap();
        for index in 0..zip.len() {
            let file = zip.by_index(index).unwrap();
            let name = file.name().unwrap().into_owned();
            if !(name.ends_with(".json") || name.ends_with(".log")) {
                continue;
            }
            let within = archive.strip_prefix(&folder).unwrap();
            let place = format!("{}/{name}", within.display());
            let expected = RECORDINGS.iter().find(|(part, _)| place.contains(part));
            let expected = expected.map_or(&[][..], |(_, formats)| formats);
            let lines = BufReader::new(file).split(b'\n').map(Result::unwrap);
            for line in lines.filter(|line| !is_blank(line)).take(lines_max()) {
                tally.add(&place, &line, expected);
            }
        }
    }
    tally.check();
}
