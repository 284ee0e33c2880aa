//! The store against the real engine: chDB in a process of its own, spoken to over HTTP.
//!
//! Skipped, visibly, where libchdb is not fetched (deploy/chdb-fetch.sh).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests stop at the first surprise"
)]

mod client;
mod compressed;
mod crash;
#[path = "../detect/generate.rs"]
mod generate;
mod http;
mod plans;
mod process;
mod protocol;
mod sample;
mod sql;
mod watch;
