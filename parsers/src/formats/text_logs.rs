//! Logs of lines that begin with a time and a header: one table row per log, in `text_log_tables`.

use std::sync::LazyLock;

use super::text_log_tables::LOGS;
use super::{Fit, Format, NotThisFormat};
use crate::beginning::Begins;
use crate::context::ParseContext;
use crate::draft::Draft;
use crate::messages::{Headers, Message, firewall, read_header, read_table};
use crate::scan;
use crate::time::Timestamp;
use crate::when;

/// How a log's lines begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// With nothing: the time is a place of the header, or there is none.
    None,
    /// `2026-11-21 21:00:00`
    Iso,
    /// `221128 14:49:17`
    Compact,
    /// `Sat Nov 21 21:00:00 2026`
    Ctime,
    /// `21-Nov-2026 21:00:00`
    DayFirst,
    /// `11/21/2026-21:00:00`
    MonthFirst,
    /// `11/21-21:00:00`, as Snort writes it
    MonthFirstWithoutYear,
    /// `[Nov 21 21:00:00]`
    BracketedBsd,
}

impl Clock {
    fn read<'t>(
        self,
        text: &'t str,
        received_at: Timestamp,
        context: &ParseContext,
    ) -> when::Read<'t, Option<Timestamp>> {
        let zone = &context.default_zone;
        let found = match self {
            Self::None => return Some((None, text)),
            Self::Iso => when::iso(text, zone),
            Self::Compact => when::compact(text, zone),
            Self::Ctime => when::ctime(text, zone),
            Self::DayFirst => when::day_first(text, zone),
            Self::MonthFirst => when::month_first(text, zone),
            Self::MonthFirstWithoutYear => when::month_first_near(text, received_at, context),
            Self::BracketedBsd => {
                let (rest, inner) = scan::bracketed(text).ok()?;
                when::bsd(inner, received_at, context)
                    .filter(|(_, behind)| behind.is_empty())
                    .map(|(time, _)| (time, rest))
            }
        };
        found.map(|(time, rest)| (Some(time), rest.trim_start_matches(' ')))
    }
}

/// What else is in a message.
#[derive(Clone, Copy)]
pub(super) enum Inside {
    /// Nothing but what the table of messages knows.
    Nothing,
    /// `key=value` pairs with these separators.
    Pairs(&'static [char]),
    /// A packet as netfilter logs it.
    Packet,
}

/// A log of lines.
pub(super) struct TextLog {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) clocks: &'static [Clock],
    /// Patterns of what follows the time; their place `message` is what the messages are looked for in.
    /// A record is of this log when one of them fits.
    pub(super) headers: &'static [&'static str],
    pub(super) messages: &'static [Message],
    pub(super) inside: Inside,
    /// Product, category, service.
    pub(super) source: (&'static str, &'static str, &'static str),
}

/// The headers of each log, taken apart.
static HEADERS: LazyLock<Vec<Headers>> = LazyLock::new(|| {
    let of = |log: &TextLog| Headers::of(log.headers);
    LOGS.iter().map(of).collect()
});

/// No time and no header begins with a pair.
const fn begins(log: &TextLog) -> Begins {
    let mut begins = Begins::NOTHING;
    let mut clocks = log.clocks;
    while let [clock, rest @ ..] = clocks {
        begins = begins.or(match clock {
            Clock::Iso => Begins::DATE,
            Clock::Compact | Clock::MonthFirst | Clock::MonthFirstWithoutYear => Begins::DIGIT,
            Clock::Ctime => Begins::LETTER,
            // A weekday may stand before the day.
            Clock::DayFirst => Begins::DIGIT.or(Begins::LETTER),
            Clock::BracketedBsd => Begins::BRACKET,
            Clock::None => {
                let mut of_headers = Begins::NOTHING;
                let mut headers = log.headers;
                while let [header, rest @ ..] = headers {
                    of_headers = of_headers.or(Begins::of_pattern(header));
                    headers = rest;
                }
                of_headers
            }
        });
        clocks = rest;
    }
    begins
}

/// The format of the log at `PLACE`.
pub(super) const fn format<const PLACE: usize>() -> Format {
    Format {
        name: LOGS[PLACE].name,
        description: LOGS[PLACE].description,
        begins: begins(&LOGS[PLACE]),
        detect: |text| detect(&LOGS[PLACE], &HEADERS[PLACE], text),
        read: |draft, text| read(&LOGS[PLACE], &HEADERS[PLACE], draft, text),
    }
}

fn detect(log: &'static TextLog, headers: &Headers, text: &str) -> Option<&'static str> {
    let context = ParseContext::default();
    let anytime = Timestamp::from_seconds(1_750_000_000);
    let fits = log
        .clocks
        .iter()
        .filter_map(|clock| clock.read(text, anytime, &context))
        .any(|(_, rest)| headers.fit(rest));
    fits.then_some(log.description)
}

fn read<'a>(
    log: &'static TextLog,
    headers: &Headers,
    draft: &mut Draft<'a, '_>,
    text: &'a str,
) -> Fit {
    let received_at = draft.event.record.received_at;
    for clock in log.clocks {
        let Some((time, rest)) = clock.read(text, received_at, draft.context) else {
            continue;
        };
        let Some(message) = read_header(draft, headers, rest) else {
            continue;
        };
        if let Some(time) = time {
            draft.time(time);
        }
        let message = message.unwrap_or(rest).trim();
        draft.text("message", message);
        inside(log, draft, message);
        read_table(draft, log.messages, message);
        if log.name == "zimbra" {
            zimbra_context(draft);
        }
        draft.alias("cs-method", "action");
        if let Some(host) = draft.get_str("hostname") {
            draft.host(host);
        }
        let (product, category, service) = log.source;
        draft.source(product, category, service);
        return Ok(());
    }
    Err(NotThisFormat)
}

/// Zimbra's context names whose session it is, and the client's address as `oip` where a proxy stands between.
fn zimbra_context(draft: &mut Draft<'_, '_>) {
    draft.alias("oip", "SourceIp");
    draft.alias("ip", "SourceIp");
    draft.alias("name", "User");
}

fn inside<'a>(log: &TextLog, draft: &mut Draft<'a, '_>, message: &'a str) {
    match log.inside {
        Inside::Nothing => {}
        Inside::Packet => {
            firewall::read(draft, message);
        }
        Inside::Pairs(separators) => {
            let context = draft.get_str("context").unwrap_or(message);
            for pair in scan::pairs_by(context, separators) {
                draft.number(pair.key, pair.value.trim());
            }
        }
    }
}
