//! What commands that ask the store have in common: where it is, and times as people write them.

use std::path::PathBuf;

use citywatch_parsers::Timestamp;
use clap::Args;
use jiff::tz::TimeZone;

use crate::config::Config;
use crate::definition_files;
use crate::report::UsageError;

/// Where the store is.
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(flatten)]
    pub config: crate::ConfigArgs,
    /// Folder for all data, instead of [data] dir
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl StoreArgs {
    /// The configuration with the data folder that the command names.
    ///
    /// # Errors
    /// When the configuration cannot be read.
    pub fn load(&self) -> anyhow::Result<Config> {
        let mut config = Config::load(self.config.config.as_deref())?;
        if let Some(dir) = &self.data {
            config.data.dir.clone_from(dir);
        }
        config.complete();
        Ok(config)
    }
}

/// The time zone in which people write times.
pub fn zone_of(config: &Config) -> TimeZone {
    definition_files::zone(&config.engine.time_zone).unwrap_or(TimeZone::UTC)
}

/// The time that an option names.
///
/// # Errors
/// When it is none.
pub fn time_option(option: &str, text: &str, zone: &TimeZone) -> Result<Timestamp, UsageError> {
    time_of(text, zone).ok_or_else(|| {
        UsageError(format!(
            "{option} {text:?} is no time: write 2026-11-20, 2026-11-20T08:00:00, 2026-11-20T08:00:00+07:00 or 2h (ago)"
        ))
    })
}

/// RFC 3339, a date or a time in `zone`, or how long ago.
fn time_of(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let instant = if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        instant
    } else if let Ok(time) = text.parse::<jiff::civil::DateTime>() {
        time.to_zoned(zone.clone()).ok()?.timestamp()
    } else {
        let ago: jiff::Span = text.parse().ok()?;
        let now = jiff::Timestamp::now().to_zoned(zone.clone());
        now.checked_sub(ago.abs()).ok()?.timestamp()
    };
    Some(Timestamp(instant.as_microsecond()))
}

/// Whether who reads has seen enough (`| head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = crate::definition_files::zone("Asia/Ho_Chi_Minh").unwrap();
        let time = |text| {
            time_of(text, &zone).map(|time| {
                jiff::Timestamp::from_microsecond(time.as_micros())
                    .unwrap()
                    .to_string()
            })
        };
        assert_eq!(time("2026-11-20").as_deref(), Some("2026-11-19T17:00:00Z"));
        assert_eq!(
            time("2026-11-20T08:00:00").as_deref(),
            Some("2026-11-20T01:00:00Z")
        );
        assert_eq!(
            time("2026-11-20T08:00:00Z").as_deref(),
            Some("2026-11-20T08:00:00Z")
        );
        assert!(time("2h").is_some() && time("3d").is_some());
        assert_eq!(time("yesterday"), None);
    }
}
