//! What surrounds a search: fields with their most frequent values, and events over time.

use citywatch_parsers::Timestamp;
use clickhouse::Row;
use serde::Deserialize;

use super::condition::Params;
use super::language::{self, COLUMNS, Column};
use super::query::EventQuery;
use super::search::{bind_search, conditions};
use super::{Store, StoreError};

/// Events that are looked at for their values, the newest: enough to see what is frequent.
const SAMPLE: u32 = 10_000;
/// Fields that are told, those that most events have first.
const FIELDS_MAX: u32 = 200;
/// Values of one field that are told.
const VALUES_MAX: u32 = 10;
/// Longer values are cut, in characters.
const VALUE_CHARACTERS_MAX: u32 = 200;
/// Bars of a histogram, about.
const BARS: i64 = 60;
/// Bars of hours and days begin where they begin in Indochina Time, which knows no summer time.
const ZONE_SECONDS: i64 = 7 * 3_600;

/// A field with its most frequent values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValues {
    /// As the query language takes it.
    pub name: String,
    /// Events of the sample that have it.
    pub events: u64,
    /// Its different values among these.
    pub distinct: u64,
    /// The most frequent first.
    pub top: Vec<TopValue>,
}

/// A value with the number of events that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopValue {
    /// The value.
    pub value: String,
    /// Events of the sample.
    pub events: u64,
}

/// Events over time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimeBars {
    /// Of one bar.
    pub seconds: i64,
    /// Where bars begin, and how many events are in them; those that are not empty, the earliest first.
    pub bars: Vec<(Timestamp, u64)>,
}

#[derive(Row, Deserialize)]
struct FieldRow {
    name: String,
    events: u64,
    distinct: u64,
    top: Vec<(String, u64)>,
}

#[derive(Row, Deserialize)]
struct SpanRow {
    events: u64,
    first: i64,
    last: i64,
}

#[derive(Row, Deserialize)]
struct BarRow {
    bar: i64,
    events: u64,
}

impl Store {
    /// The fields of the newest events that fit the query, with their most frequent values.
    ///
    /// # Errors
    /// [`StoreError::Search`] for a line that cannot be read; see [`StoreError`] for the rest.
    pub async fn field_values(&self, query: &EventQuery) -> Result<Vec<FieldValues>, StoreError> {
        let wanted = language::parse(&query.text)?;
        if query.units.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut params = Params::default();
        let conditions = conditions(query, wanted.as_ref(), &mut params);
        // One name per column, and no field of a record that has the name of a column.
        let mut told: Vec<&str> = Vec::new();
        let mut pairs: Vec<String> = Vec::new();
        for (name, column) in COLUMNS {
            let expression = match column {
                Column::Text(column) => format!("toString({column})"),
                Column::Address([column]) => format!(
                    "if({column} = toIPv6('::'), '', replaceOne(toString({column}), '::ffff:', ''))"
                ),
                Column::Address(_) => continue,
                Column::Port(column) => format!("if({column} = 0, '', toString({column}))"),
            };
            if !pairs
                .iter()
                .any(|pair| pair.ends_with(&format!("{expression})")))
            {
                pairs.push(format!("('{name}', {expression})"));
            }
            told.push(name);
        }
        let names: Vec<String> = told.iter().map(|name| format!("'{name}'")).collect();
        let sql = format!(
            "SELECT name, sum(n) AS events, count() AS distinct, \
             arraySlice(arraySort(pair -> (-toInt64(pair.2), pair.1), groupArray((value, n))), 1, {VALUES_MAX}) AS top \
             FROM (SELECT pair.1 AS name, substringUTF8(toValidUTF8(pair.2), 1, {VALUE_CHARACTERS_MAX}) AS value, \
             count() AS n FROM (SELECT arrayJoin(arrayConcat([{}], \
             arrayFilter(own -> own.1 NOT IN ({}), CAST(fields, 'Array(Tuple(String, String))')))) AS pair \
             FROM (SELECT * FROM events WHERE {conditions} ORDER BY event_time DESC LIMIT {SAMPLE})) \
             WHERE pair.2 != '' GROUP BY name, value) GROUP BY name ORDER BY events DESC, name LIMIT {FIELDS_MAX}",
            pairs.join(", "),
            names.join(", "),
        );
        let call = bind_search(self.client.query(&sql), query, &params);
        let rows: Vec<FieldRow> = self.fetch_all("field_values", call).await?;
        Ok(rows
            .into_iter()
            .map(|row| FieldValues {
                name: row.name,
                events: row.events,
                distinct: row.distinct,
                top: row
                    .top
                    .into_iter()
                    .map(|(value, events)| TopValue { value, events })
                    .collect(),
            })
            .collect())
    }

    /// How many events fit the query, over time.
    ///
    /// # Errors
    /// [`StoreError::Search`] for a line that cannot be read; see [`StoreError`] for the rest.
    pub async fn time_bars(&self, query: &EventQuery) -> Result<TimeBars, StoreError> {
        let wanted = language::parse(&query.text)?;
        if query.units.as_ref().is_some_and(Vec::is_empty) {
            return Ok(TimeBars::default());
        }
        let mut params = Params::default();
        let conditions = conditions(query, wanted.as_ref(), &mut params);
        let (first, last) = match query.from.zip(query.to) {
            Some((from, to)) => (from.as_micros(), to.as_micros()),
            None => {
                let sql = format!(
                    "SELECT count() AS events, toUnixTimestamp64Micro(min(event_time)) AS first, \
                     toUnixTimestamp64Micro(max(event_time)) AS last FROM events WHERE {conditions}"
                );
                let call = bind_search(self.client.query(&sql), query, &params);
                let rows: Vec<SpanRow> = self.fetch_all("time_bars", call).await?;
                match rows.first().filter(|span| span.events > 0) {
                    Some(span) => (span.first, span.last),
                    None => return Ok(TimeBars::default()),
                }
            }
        };
        let seconds = bar_seconds(last.saturating_sub(first) / 1_000_000);
        let sql = format!(
            "SELECT toInt64(intDiv(toUnixTimestamp64Micro(event_time) + {}, {})) AS bar, count() AS events \
             FROM events WHERE {conditions} GROUP BY bar ORDER BY bar LIMIT 1000",
            ZONE_SECONDS * 1_000_000,
            seconds * 1_000_000
        );
        let call = bind_search(self.client.query(&sql), query, &params);
        let rows: Vec<BarRow> = self.fetch_all("time_bars", call).await?;
        Ok(TimeBars {
            seconds,
            bars: rows
                .into_iter()
                .map(|row| {
                    let at = row.bar * seconds - ZONE_SECONDS;
                    (Timestamp(at * 1_000_000), row.events)
                })
                .collect(),
        })
    }
}

/// The width of a bar: a round one.
fn bar_seconds(span: i64) -> i64 {
    const ROUND: [i64; 15] = [
        1, 5, 15, 30, 60, 300, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800,
        2_592_000,
    ];
    ROUND
        .into_iter()
        .find(|width| *width >= span / BARS)
        .unwrap_or(2_592_000)
}
