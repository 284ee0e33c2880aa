//! Where records come from.

pub mod command;
mod connection;
pub mod files;
pub mod http;
mod once;
pub(crate) mod received;
pub(crate) mod receivers;
pub(crate) mod senders;
pub mod stdin;
pub mod syslog;
pub mod tls;
