//! The table of formats: one line each, the unmistakable ones first, for `auto` asks in this order.

use crate::beginning::{Beginning, Begins};
use crate::draft::Draft;
use crate::headers::Kind;

mod apache_error;
mod auditd;
mod cef;
mod checkpoint;
mod cisco_header;
mod cloud_shapes;
mod columns;
mod csv;
mod docker;
mod gelf;
mod journald_export;
mod json;
mod laurel;
mod leef;
mod logfmt;
mod modsecurity;
mod modsecurity_serial;
mod nginx_error;
mod oracle_trail;
mod otlp;
mod service_shapes;
mod shapes;
mod shipper_shapes;
mod snare;
mod sockaddr;
mod syscalls;
mod syslog;
mod text;
mod text_log_tables;
mod text_logs;
pub(crate) mod vpc_flow;
mod w3c;
mod web_access;
mod windows;
mod windows_inserts;
mod windows_json;
mod windows_sources;
mod windows_xml;
mod zeek_tsv;

pub(crate) use columns::{Cells, Split};
pub(crate) use otlp::is_protobuf;
pub use otlp::otlp_exports;
pub(crate) use text_log_tables::{
    BIND, BIND_HEADERS, HAPROXY, HAPROXY_MESSAGES, OPENVPN, OPENVPN_HEADERS,
};
pub(crate) use web_access::{proxy_names, request_fields, status_fields, target_fields};

/// A grammar does not fit the record; the caller tries another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotThisFormat;

/// What a grammar answers: it has filled the draft, or the record is not of its format.
pub(crate) type Fit = Result<(), NotThisFormat>;

/// A format: how to know it and how to read it.
pub struct Format {
    /// The name that configuration, origins and events give it.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// What its records begin with: of others it is not asked.
    pub(crate) begins: Begins,
    /// From a record's first bytes: the reason why it is of this format, if it is.
    pub(crate) detect: fn(&str) -> Option<&'static str>,
    /// Reads a record.
    pub(crate) read: for<'a> fn(&mut Draft<'a, '_>, &'a str) -> Fit,
}

impl Format {
    /// The reason why a text is of this format, if it is.
    pub(crate) fn knows(&self, text: &str, beginning: Beginning) -> Option<&'static str> {
        self.begins.has(beginning).then_some(())?;
        (self.detect)(text)
    }
}

/// All formats in the order of detection.
pub static FORMATS: &[Format] = &[
    docker::CRI,
    auditd::AUDITD,
    cef::CEF,
    leef::LEEF,
    snare::SNARE,
    journald_export::JOURNALD_EXPORT,
    modsecurity_serial::MODSECURITY,
    syslog::SYSLOG,
    json::JSON,
    windows::WINDOWS_JSON,
    windows_xml::WINDOWS_XML,
    oracle_trail::ORACLE_TRAIL,
    apache_error::APACHE_ERROR,
    nginx_error::NGINX_ERROR,
    web_access::WEB_ACCESS,
    zeek_tsv::ZEEK_TSV,
    w3c::W3C,
    text_logs::format::<0>(),
    text_logs::format::<1>(),
    text_logs::format::<2>(),
    text_logs::format::<3>(),
    text_logs::format::<4>(),
    text_logs::format::<5>(),
    text_logs::format::<6>(),
    text_logs::format::<7>(),
    text_logs::format::<8>(),
    text_logs::format::<9>(),
    text_logs::format::<10>(),
    text_logs::format::<11>(),
    text_logs::format::<12>(),
    text_logs::format::<13>(),
    text_logs::format::<14>(),
    text_logs::format::<15>(),
    text_logs::format::<16>(),
    text_logs::format::<17>(),
    text_logs::format::<18>(),
    text_logs::format::<19>(),
    columns::format::<0>(),
    columns::format::<1>(),
    columns::format::<2>(),
    columns::format::<3>(),
    columns::format::<4>(),
    vpc_flow::VPC_FLOW,
    csv::CSV,
    logfmt::LOGFMT_NAMED,
    text::TEXT,
    shapes::JOURNALD,
    otlp::OTLP,
    shapes::GELF,
    shapes::DOCKER,
    shapes::LAUREL,
    shapes::SURICATA,
    shapes::ZEEK,
    shapes::CLOUDTRAIL,
    shapes::KUBERNETES_AUDIT,
    shapes::WEB_JSON,
];

/// What a record that begins with a brace is tried as first.
pub(crate) static JSON_ALONE: &[Format] = &[json::JSON];

/// Asked when neither the table nor a definition knows a record: signs that are too weak to be asked earlier.
pub(crate) static LAST_RESORTS: [Format; 2] = [logfmt::LOGFMT, syslog::BARE_SYSLOG];

/// The format that is known by its bytes.
pub(crate) static OTLP: Format = otlp::OTLP;

/// The format of what no other format reads.
pub(crate) static TEXT: Format = text::TEXT;

/// The format of that name.
pub fn format_by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Reads a line by what its source has told about its columns; false if it told nothing, or something else.
pub(crate) fn read_by_header<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let origin = draft.event.record.origin;
    let Some(header) = draft.scratch.headers.of(origin) else {
        return false;
    };
    match header.kind {
        Kind::W3c => {
            draft.event.format = w3c::W3C.name;
            w3c::read_with_header(draft, text)
        }
        Kind::Zeek => {
            draft.event.format = zeek_tsv::ZEEK_TSV.name;
            zeek_tsv::read_with_header(draft, text, &header)
        }
        Kind::VpcFlow => vpc_flow::read_with_header(draft, text, &header),
        Kind::Csv => false,
    }
}

/// Adds the members of a JSON object as fields, and what follows from its shape. The event keeps its format's name.
pub(crate) fn json_fields<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let outer = draft.event.format;
    json::object_fields(draft, text)?;
    shapes::finish(draft);
    draft.event.format = outer;
    Ok(())
}

/// Reads a message that is wrapped in another format, if it has a format of its own.
pub(crate) fn read_inner<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    /// What may stand in a syslog message or a container's line: formats that cannot be mistaken.
    use text_log_tables::ENVOY;
    const INNER: [&Format; 9] = [
        &text_logs::format::<ENVOY>(),
        &auditd::AUDITD,
        &cef::CEF,
        &leef::LEEF,
        &json::JSON,
        &windows_xml::WINDOWS_XML,
        &web_access::WEB_ACCESS,
        &nginx_error::NGINX_ERROR,
        // Firewalls put pairs behind a priority: FortiGate, Sophos.
        &logfmt::LOGFMT,
    ];
    let beginning = Beginning::of(text);
    let mut known = INNER.iter();
    if let Some(format) = known.find(|format| format.knows(text, beginning).is_some()) {
        // An inner message that does not fit leaves the outer one as it is.
        let _ = (format.read)(draft, text);
    }
}

/// Reads the message of a collector's wrapper (GELF, OTLP): a line of syslog, or what else may stand in a message.
/// The wrapper's own text stays the message where the line is none of these.
fn read_message<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    draft.nested(|draft| {
        let beginning = Beginning::of(text);
        if syslog::SYSLOG.knows(text, beginning).is_some() {
            // What does not fit leaves the wrapper as it is.
            let _ = (syslog::SYSLOG.read)(draft, text);
        } else {
            read_inner(draft, text);
        }
    });
}
