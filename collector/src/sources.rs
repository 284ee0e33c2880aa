//! Where records come from.

pub mod command;
pub mod files;
mod once;
pub(crate) mod received;
pub(crate) mod receivers;
pub mod stdin;
pub mod syslog;
