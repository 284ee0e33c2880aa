//! Zeek's logs as tab separated values. Which columns there are is said at the top of the file and remembered; where
//! that was not seen, the columns of Zeek's own scripts are taken, by the log's name and the number of columns.

use super::{Fit, Format, NotThisFormat, shapes};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::headers::{Header, Kind};
use crate::when;

pub(super) const ZEEK_TSV: Format = Format {
    name: "zeek_tsv",
    description: "Zeek's logs as tab separated values",
    begins: Begins::DIGIT.or(Begins::OTHER),
    detect,
    read,
};

/// A log's name and its columns, as Zeek 6 and 7 write them.
const LOGS: &[(&str, &str)] = &[
    (
        "conn",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state local_orig local_resp missed_bytes history orig_pkts orig_ip_bytes resp_pkts resp_ip_bytes tunnel_parents",
    ),
    (
        "dns",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto trans_id rtt query qclass qclass_name qtype qtype_name rcode rcode_name AA TC RD RA Z answers TTLs rejected",
    ),
    (
        "http",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri referrer version user_agent origin request_body_len response_body_len status_code status_msg info_code info_msg tags username password proxied orig_fuids orig_filenames orig_mime_types resp_fuids resp_filenames resp_mime_types",
    ),
    (
        "kerberos",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p request_type client service success error_msg from till cipher forwardable renewable client_cert_subject client_cert_fuid server_cert_subject server_cert_fuid",
    ),
    (
        "smb_mapping",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p path service native_file_system share_type",
    ),
    (
        "smb_files",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p fuid action path name size prev_name times.modified times.accessed times.created times.changed",
    ),
    (
        "dce_rpc",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p rtt named_pipe endpoint operation",
    ),
    (
        "ssl",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version cipher curve server_name resumed last_alert next_protocol established ssl_history cert_chain_fps client_cert_chain_fps sni_matches_cert",
    ),
    (
        "ssh",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p version auth_success auth_attempts direction client server cipher_alg mac_alg compression_alg kex_alg host_key_alg host_key",
    ),
    (
        "rdp",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p cookie result security_protocol client_channels keyboard_layout client_build client_name client_dig_product_id desktop_width desktop_height requested_color_depth cert_type cert_count cert_permanent encryption_level encryption_method",
    ),
    (
        "weird",
        "ts uid id.orig_h id.orig_p id.resp_h id.resp_p name addl notice peer source",
    ),
    (
        "analyzer",
        "ts cause analyzer_kind analyzer_name uid fuid id.orig_h id.orig_p id.resp_h id.resp_p failure_reason failure_data",
    ),
    (
        "files",
        "ts fuid uid id.orig_h id.orig_p id.resp_h id.resp_p source depth analyzers mime_type filename duration local_orig is_orig seen_bytes total_bytes missing_bytes overflow_bytes timedout parent_fuid md5 sha1 sha256 extracted extracted_cutoff extracted_size",
    ),
    (
        "pe",
        "ts id machine compile_ts os subsystem is_exe is_64bit uses_aslr uses_dep uses_code_integrity uses_seh has_import_table has_export_table has_cert_table has_debug_data section_names",
    ),
    (
        "x509",
        "ts fingerprint certificate.version certificate.serial certificate.subject certificate.issuer certificate.not_valid_before certificate.not_valid_after certificate.key_alg certificate.sig_alg certificate.key_type certificate.key_length certificate.exponent certificate.curve san.dns san.uri san.email san.ip basic_constraints.ca basic_constraints.path_len host_cert client_cert",
    ),
    (
        "packet_filter",
        "ts node filter init success failure_reason",
    ),
];

/// Lines about the file, at its top and its end.
const DIRECTIVES: [&str; 9] = [
    "#separator",
    "#set_separator",
    "#empty_field",
    "#unset_field",
    "#path",
    "#open",
    "#close",
    "#fields",
    "#types",
];

fn is_directive(text: &str) -> bool {
    DIRECTIVES
        .iter()
        .any(|directive| text.starts_with(directive))
}

fn detect(text: &str) -> Option<&'static str> {
    if is_directive(text) {
        return Some("begins with a directive of Zeek's logs");
    }
    // Most texts are told by the byte behind the seconds.
    if text.as_bytes().get(10) != Some(&b'.') {
        return None;
    }
    let (time, rest) = text.split_once('\t')?;
    let (seconds, micros) = time.split_once('.')?;
    let numeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (seconds.len() == 10
        && micros.len() == 6
        && numeric(seconds)
        && numeric(micros)
        && rest.contains('\t'))
    .then_some("begins with seconds, microseconds and a tab, as Zeek's logs")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let origin = draft.event.record.origin;
    let header = draft.scratch.headers.of(origin);
    if header.is_some_and(|header| read_with_header(draft, text, &header)) {
        return Ok(());
    }
    detect(text).ok_or(NotThisFormat)?;
    if is_directive(text) {
        directive(draft, text);
        return Ok(());
    }
    let count = text.split('\t').count();
    let (name, columns) = columns_of(draft, text, count).ok_or(NotThisFormat)?;
    for (name, cell) in columns.split(' ').zip(text.split('\t')) {
        value(draft, name, cell);
    }
    if let Some(time) = text.split('\t').next().and_then(when::epoch_text) {
        draft.time(time);
    }
    shapes::zeek_names(draft, name);
    Ok(())
}

fn value<'a>(draft: &mut Draft<'a, '_>, name: &'a str, cell: &'a str) {
    match cell {
        "-" | "(empty)" => {}
        "T" => draft.push(name, Value::Bool(true)),
        "F" => draft.push(name, Value::Bool(false)),
        _ => draft.number(name, cell),
    }
}

/// Remembers what a line about the file says.
fn directive<'a>(draft: &mut Draft<'a, '_>, text: &'a str) {
    draft.text("message", text);
    let Some((name, value)) = text.split_once('\t') else {
        return;
    };
    let origin = draft.event.record.origin;
    let headers = &mut draft.scratch.headers;
    match name {
        "#path" => headers.tell(origin, Kind::Zeek, |header| {
            *header = Header {
                kind: Kind::Zeek,
                path: value[..value.floor_char_boundary(64)].into(),
                ..Header::default()
            };
        }),
        "#fields" => {
            let mut told = Ok(());
            headers.tell(origin, Kind::Zeek, |header| {
                told = header.set_columns(value.split('\t'));
            });
            if told.is_err() {
                draft.note(
                    ProblemKind::TooLarge,
                    "too many columns, or too long names; they are not remembered",
                );
            }
        }
        _ => {}
    }
}

/// Reads a line by the columns that its source has told; false if they do not fit it.
pub(super) fn read_with_header<'a>(
    draft: &mut Draft<'a, '_>,
    text: &'a str,
    header: &Header,
) -> bool {
    let fits = header.kind == Kind::Zeek
        && !header.columns.is_empty()
        && !text.starts_with('#')
        && text.split('\t').count() == header.columns.len()
        && header
            .columns
            .iter()
            .zip(text.split('\t'))
            .all(|(column, cell)| match &**column {
                "ts" => when::epoch_text(cell).is_some() || cell.contains('T'),
                "id.orig_h" | "id.resp_h" => cell == "-" || crate::scan::is_ip(cell),
                _ => true,
            });
    if !fits {
        return false;
    }
    for (column, cell) in header.columns.iter().zip(text.split('\t')) {
        if &**column == "ts" {
            let time = when::epoch_text(cell).or_else(|| when::any(cell, draft.context));
            if let Some(time) = time {
                draft.time(time);
            }
        }
        let name = draft.arena.alloc_str(column);
        value(draft, name, cell);
    }
    let known = LOGS
        .iter()
        .map(|(name, _)| *name)
        .chain(shapes::ZEEK_SERVICES);
    let service = known.into_iter().find(|name| **name == *header.path);
    shapes::zeek_names(draft, service.unwrap_or(""));
    true
}

/// By the file's name where it says so, else by the number of columns and where the addresses are.
fn columns_of(
    draft: &Draft<'_, '_>,
    text: &str,
    count: usize,
) -> Option<(&'static str, &'static str)> {
    let stream = draft.event.record.origin.stream.as_str();
    let fits = |columns: &str| columns.split(' ').count() == count;
    let named = LOGS
        .iter()
        .find(|(name, columns)| stream.contains(name) && fits(columns));
    let cell = |place: usize| text.split('\t').nth(place).unwrap_or("");
    let by_shape = LOGS.iter().find(|(_, columns)| {
        let address = columns.split(' ').position(|column| column == "id.orig_h");
        fits(columns)
            && address.is_none_or(|place| cell(place) == "-" || crate::scan::is_ip(cell(place)))
    });
    named.or(by_shape).copied()
}
