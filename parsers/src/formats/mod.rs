//! The table of formats: one line each, the unmistakable ones first, for `auto` asks in this order.

use crate::draft::Draft;

mod apache_error;
mod auditd;
mod cef;
mod docker;
mod json;
mod laurel;
mod leef;
mod logfmt;
mod nginx_error;
mod shapes;
mod sockaddr;
mod syscalls;
mod syslog;
mod text;
mod web_access;
mod windows;
mod windows_json;
mod windows_sources;
mod windows_xml;

pub(crate) use web_access::target_fields;

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
    /// From a record's first bytes: the reason why it is of this format, if it is.
    pub(crate) detect: fn(&str) -> Option<&'static str>,
    /// Reads a record.
    pub(crate) read: for<'a> fn(&mut Draft<'a, '_>, &'a str) -> Fit,
}

/// All formats in the order of detection.
pub static FORMATS: &[Format] = &[
    docker::CRI,
    auditd::AUDITD,
    cef::CEF,
    leef::LEEF,
    syslog::SYSLOG,
    json::JSON,
    windows::WINDOWS_JSON,
    windows_xml::WINDOWS_XML,
    apache_error::APACHE_ERROR,
    nginx_error::NGINX_ERROR,
    web_access::WEB_ACCESS,
    logfmt::LOGFMT,
    text::TEXT,
    shapes::JOURNALD,
    shapes::DOCKER,
    shapes::LAUREL,
    shapes::SURICATA,
    shapes::ZEEK,
    shapes::CLOUDTRAIL,
    shapes::KUBERNETES_AUDIT,
    shapes::WEB_JSON,
];

/// The format of what no other format reads.
pub(crate) static TEXT: Format = text::TEXT;

/// The format of that name.
pub fn format_by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Reads a message that is wrapped in another format, if it has a format of its own. `program` names who
/// wrote it, where that is known.
pub(crate) fn read_inner<'a>(draft: &mut Draft<'a, '_>, program: &str, text: &'a str) {
    /// What may stand in a syslog message or a container's line: formats that cannot be mistaken.
    const INNER: [&Format; 7] = [
        &auditd::AUDITD,
        &cef::CEF,
        &leef::LEEF,
        &json::JSON,
        &windows_xml::WINDOWS_XML,
        &web_access::WEB_ACCESS,
        &nginx_error::NGINX_ERROR,
    ];
    let _ = program;
    if let Some(format) = INNER.iter().find(|format| (format.detect)(text).is_some()) {
        // An inner message that does not fit leaves the outer one as it is.
        let _ = (format.read)(draft, text);
    }
}
