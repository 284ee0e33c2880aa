//! A block of events in ClickHouse's Native format: column after column, as it is stored.
//!
//! ClickHouse takes it with two thirds of the CPU time that rows in RowBinary cost (measured). Types
//! are given plain: the server makes `LowCardinality` of them. The client's typed rows are the
//! second opinion, see tests/store.
//!
//! Format: <https://clickhouse.com/docs/interfaces/formats/Native>, revision 0.

use std::net::Ipv6Addr;

use super::field_texts::{FieldTexts, push_number as number, push_text as text};
use super::rows::EventRow;

/// Writes a column's values.
type WriteColumn = fn(&[EventRow], &mut Vec<u8>);

const TIME: &str = "DateTime64(6, 'UTC')";
const TEXT: &str = "String";
const TEXTS: &str = "Array(String)";

/// Name, type and values of each column of table `events`.
const COLUMNS: [(&str, &str, WriteColumn); 33] = [
    ("event_id", "UInt128", |rows, out| {
        fixed(rows, out, |row| row.event_id.to_le_bytes())
    }),
    ("event_time", TIME, |rows, out| {
        fixed(rows, out, |row| row.event_time.to_le_bytes())
    }),
    ("received_at", TIME, |rows, out| {
        fixed(rows, out, |row| row.received_at.to_le_bytes())
    }),
    ("retention_class", TEXT, |rows, out| {
        texts(rows, out, |row| row.retention_class.as_bytes())
    }),
    ("unit", TEXT, |rows, out| {
        texts(rows, out, |row| row.unit.as_bytes())
    }),
    ("host", TEXT, |rows, out| {
        texts(rows, out, |row| row.host.as_bytes())
    }),
    ("agent", TEXT, |rows, out| {
        texts(rows, out, |row| row.agent.as_bytes())
    }),
    ("stream", TEXT, |rows, out| {
        texts(rows, out, |row| row.stream.as_bytes())
    }),
    ("position", "UInt64", |rows, out| {
        fixed(rows, out, |row| row.position.to_le_bytes())
    }),
    ("sub_index", "UInt32", |rows, out| {
        fixed(rows, out, |row| row.sub_index.to_le_bytes())
    }),
    ("format", TEXT, |rows, out| {
        texts(rows, out, |row| row.format.as_bytes())
    }),
    ("product", TEXT, |rows, out| {
        texts(rows, out, |row| row.product.as_bytes())
    }),
    ("category", TEXT, |rows, out| {
        texts(rows, out, |row| row.category.as_bytes())
    }),
    ("service", TEXT, |rows, out| {
        texts(rows, out, |row| row.service.as_bytes())
    }),
    ("other_log_sources", TEXTS, |rows, out| {
        lists(rows, out, |row| &row.other_log_sources)
    }),
    ("user", TEXT, |rows, out| {
        texts(rows, out, |row| row.user.as_bytes())
    }),
    ("source_address", "IPv6", |rows, out| {
        fixed(rows, out, |row| address(row.source_address))
    }),
    ("source_port", "UInt16", |rows, out| {
        fixed(rows, out, |row| row.source_port.to_le_bytes())
    }),
    ("destination_address", "IPv6", |rows, out| {
        fixed(rows, out, |row| address(row.destination_address))
    }),
    ("destination_port", "UInt16", |rows, out| {
        fixed(rows, out, |row| row.destination_port.to_le_bytes())
    }),
    ("process", TEXT, |rows, out| {
        texts(rows, out, |row| row.process.as_bytes())
    }),
    ("parent_process", TEXT, |rows, out| {
        texts(rows, out, |row| row.parent_process.as_bytes())
    }),
    ("command_line", TEXT, |rows, out| {
        texts(rows, out, |row| row.command_line.as_bytes())
    }),
    ("hash", TEXT, |rows, out| {
        texts(rows, out, |row| row.hash.as_bytes())
    }),
    ("url", TEXT, |rows, out| {
        texts(rows, out, |row| row.url.as_bytes())
    }),
    ("action", TEXT, |rows, out| {
        texts(rows, out, |row| row.action.as_bytes())
    }),
    ("outcome", TEXT, |rows, out| {
        texts(rows, out, |row| row.outcome.as_bytes())
    }),
    ("event_code", TEXT, |rows, out| {
        texts(rows, out, |row| row.event_code.as_bytes())
    }),
    ("fields", "Map(String, String)", fields),
    ("field_kinds", TEXT, |rows, out| {
        texts(rows, out, |row| row.field_kinds.as_bytes())
    }),
    ("text", TEXT, |rows, out| {
        texts(rows, out, |row| row.text.as_bytes())
    }),
    ("raw", TEXT, |rows, out| texts(rows, out, |row| &row.raw)),
    ("problems", TEXTS, |rows, out| {
        lists(rows, out, |row| &row.problems)
    }),
];

/// The insert whose data [`pieces`] gives.
pub(super) fn insert_statement() -> String {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
    format!("INSERT INTO events ({}) FORMAT Native", names.join(", "))
}

/// One block that holds `rows`, a column at a time, so that it is never in memory as a whole.
pub(super) fn pieces(rows: &[EventRow]) -> impl Iterator<Item = Vec<u8>> {
    COLUMNS
        .iter()
        .enumerate()
        .map(|(index, (name, kind, write))| {
            let mut out = Vec::new();
            if index == 0 {
                number(&mut out, COLUMNS.len());
                number(&mut out, rows.len());
            }
            text(&mut out, name.as_bytes());
            text(&mut out, kind.as_bytes());
            write(rows, &mut out);
            out
        })
}

fn fixed<const N: usize>(rows: &[EventRow], out: &mut Vec<u8>, value: fn(&EventRow) -> [u8; N]) {
    out.reserve(rows.len() * N);
    for row in rows {
        out.extend_from_slice(&value(row));
    }
}

fn texts(rows: &[EventRow], out: &mut Vec<u8>, value: fn(&EventRow) -> &[u8]) {
    out.reserve(rows.iter().map(|row| value(row).len() + 3).sum());
    for row in rows {
        text(out, value(row));
    }
}

/// Arrays: where each ends, then all their values.
fn lists(rows: &[EventRow], out: &mut Vec<u8>, value: fn(&EventRow) -> &[String]) {
    ends(rows, out, |row| value(row).len());
    for item in rows.iter().flat_map(value) {
        text(out, item.as_bytes());
    }
}

/// A map is an array of pairs: where each ends, then all keys, then all values.
fn fields(rows: &[EventRow], out: &mut Vec<u8>) {
    let all = || rows.iter().map(|row| &row.fields);
    let bytes = |fields: &FieldTexts| fields.names().len() + fields.values().len();
    out.reserve(rows.len() * 8 + all().map(bytes).sum::<usize>());
    ends(rows, out, |row| row.fields.len());
    all().for_each(|fields| out.extend_from_slice(fields.names()));
    all().for_each(|fields| out.extend_from_slice(fields.values()));
}

fn ends(rows: &[EventRow], out: &mut Vec<u8>, length: impl Fn(&EventRow) -> usize) {
    let mut end = 0_u64;
    for row in rows {
        end += length(row) as u64;
        out.extend_from_slice(&end.to_le_bytes());
    }
}

fn address(address: Ipv6Addr) -> [u8; 16] {
    address.octets()
}

#[cfg(test)]
mod tests {
    use clickhouse::Row as _;

    use super::*;

    #[test]
    fn columns_are_those_of_the_row() {
        let names: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, EventRow::COLUMN_NAMES);
    }
}
