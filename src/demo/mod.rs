//! A demonstration: recordings are played through the real pipeline as if they had happened over the last weeks, at
//! several offices, and people work on what comes of it through the real API.
//!
//! Before the doors open, the history is played day by day ([`history`]): the records of a day go to the spool with the
//! times of that day, the engine stores and matches them, and alerting takes the matches under a clock that follows
//! them ([`analysts`]). What was played is noted after each day; a start that finds it played plays nothing, and one
//! that was interrupted goes on with the day that it was in. Records, matches and alerts have the same ids when they
//! are played again, so that nothing is there twice.
//!
//! Afterwards quiet scenes go on for as long as the program runs ([`live`]).

mod analysts;
mod config;
mod desk;
mod history;
mod live;
mod programme;
mod recording;

pub use config::DemoConfig;
pub use history::History;
pub use live::play_on;

/// The register's name of it.
const PART: &str = "demonstration";
