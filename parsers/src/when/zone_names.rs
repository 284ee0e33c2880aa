//! Names of time zones as logs abbreviate them. Only those that mean one offset wherever they are written; the others
//! (`CST`, `IST`, `BST`) are known as names, and the time is read in the zone that is set.

/// What a zone's name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZoneName {
    /// Seconds ahead of UTC.
    Offset(i64),
    /// Different zones have this name.
    Ambiguous,
}

const HOUR: i64 = 3_600;

/// Names with their hours (times two, for half hours) ahead of UTC.
#[rustfmt::skip]
const NAMES: [(&str, i64); 40] = [
    ("UTC", 0), ("GMT", 0), ("WET", 0), ("UCT", 0),
    ("CET", 2), ("WEST", 2), ("MET", 2),
    ("CEST", 4), ("EET", 4), ("SAST", 4), ("CAT", 4), ("MEST", 4),
    ("EEST", 6), ("MSK", 6), ("EAT", 6), ("TRT", 6),
    ("IRST", 7), ("GST", 8), ("PKT", 10),
    ("ICT", 14), ("WIB", 14),
    ("SGT", 16), ("HKT", 16), ("PHT", 16), ("MYT", 16), ("WITA", 16), ("AWST", 16),
    ("JST", 18), ("KST", 18), ("WIT", 18), ("AEST", 20), ("AEDT", 22), ("NZST", 24),
    ("EDT", -8), ("EST", -10), ("CDT", -10), ("MDT", -12), ("MST", -14), ("PDT", -14), ("PST", -16),
];

const AMBIGUOUS: [&str; 5] = ["CST", "IST", "BST", "AST", "SST"];

/// The longest name.
pub(super) const NAME_BYTES_MAX: usize = 4;

/// The zone of that name.
pub(super) fn zone_named(name: &str) -> Option<ZoneName> {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known
        .map(|(_, halves)| ZoneName::Offset(halves * HOUR / 2))
        .or_else(|| AMBIGUOUS.contains(&name).then_some(ZoneName::Ambiguous))
}
