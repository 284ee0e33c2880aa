//! Where records come from.

pub mod command;
pub(crate) mod connection;
pub mod evtx;
pub mod files;
pub(crate) mod host;
pub mod http;
pub mod journald;
mod once;
pub(crate) mod received;
pub(crate) mod receivers;
pub(crate) mod resumed;
pub(crate) mod senders;
pub mod stdin;
pub mod syslog;
pub mod tls;

/// The format, or encoding, of a source that names none: found out.
fn auto() -> String {
    "auto".into()
}

/// What is wrong with the name of a source, which stands in streams and in the name of a file.
fn name_problem<'a>(
    section: &str,
    index: usize,
    name: &str,
    mut others: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let place = format!("{section}[{index}].name");
    if name.is_empty() || name.len() > 100 || !name.bytes().all(is_plain) {
        return Some(format!(
            "{place}: `{name}` is no name; use letters, digits, `-`, `_` and `.`"
        ));
    }
    let first = others.position(|other| other == name)?;
    Some(format!(
        "{place}: `{name}` is the name of {section}[{first}] too; set `name` to another"
    ))
}
