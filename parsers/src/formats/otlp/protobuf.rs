//! OTLP's logs as protobuf (opentelemetry-proto, `collector/logs/v1/logs_service.proto`), read into the nodes that the
//! same export has as JSON: names, lists and texts are those of the JSON mapping, so that one reader knows both.
//!
//! A reader of our own: the messages are few and their fields are listed below, while generated code would copy each
//! text, and refuse an export as a whole where one length is wrong. Lengths are never trusted beyond the bytes that
//! are there, and messages nest up to a bound.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use crate::event::Value;
use crate::json::Node;

/// What a field of a message holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// An identifier, as hexadecimal digits.
    Hex,
    /// Bytes that are a text where they are UTF-8 (under the first name of the message), else Base64.
    Bytes,
    Bool,
    Number,
    Double,
    Message(&'static Message),
    /// A repeated message.
    List(&'static Message),
}

/// Number, name in JSON and kind of a field that is read; others are passed over.
type Field = (u32, &'static str, Kind);
type Message = [Field];

static EXPORT: [Field; 1] = [(1, "resourceLogs", Kind::List(&RESOURCE_LOGS))];
static RESOURCE_LOGS: [Field; 2] = [
    (1, "resource", Kind::Message(&RESOURCE)),
    (2, "scopeLogs", Kind::List(&SCOPE_LOGS)),
];
static RESOURCE: [Field; 1] = [(1, "attributes", Kind::List(&KEY_VALUE))];
static SCOPE_LOGS: [Field; 2] = [
    (1, "scope", Kind::Message(&SCOPE)),
    (2, "logRecords", Kind::List(&LOG_RECORD)),
];
static SCOPE: [Field; 1] = [(1, "name", Kind::Text)];
static LOG_RECORD: [Field; 9] = [
    (1, "timeUnixNano", Kind::Number),
    (11, "observedTimeUnixNano", Kind::Number),
    (2, "severityNumber", Kind::Number),
    (3, "severityText", Kind::Text),
    (5, "body", Kind::Message(&ANY_VALUE)),
    (6, "attributes", Kind::List(&KEY_VALUE)),
    (9, "traceId", Kind::Hex),
    (10, "spanId", Kind::Hex),
    (12, "eventName", Kind::Text),
];
static KEY_VALUE: [Field; 2] = [
    (1, "key", Kind::Text),
    (2, "value", Kind::Message(&ANY_VALUE)),
];
static ANY_VALUE: [Field; 7] = [
    (1, "stringValue", Kind::Text),
    (2, "boolValue", Kind::Bool),
    (3, "intValue", Kind::Number),
    (4, "doubleValue", Kind::Double),
    (5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
    (6, "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
    (7, "bytesValue", Kind::Bytes),
];
static ARRAY_VALUE: [Field; 1] = [(1, "values", Kind::List(&ANY_VALUE))];
static KEY_VALUE_LIST: [Field; 1] = [(1, "values", Kind::List(&KEY_VALUE))];

/// What was wrong with an export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// A length or a number does not fit the bytes that are there: what is behind it is not read.
    pub(super) is_broken: bool,
    /// A text is not UTF-8: such bytes are replaced.
    pub(super) has_bad_text: bool,
}

/// Whether these bytes are an export from the first to the last: nothing but resources, whose fields are known and
/// fill them. A text cannot be mistaken for it, for all of its lengths would have to be right.
pub(super) fn is_export(raw: &[u8]) -> bool {
    let is_whole = |bytes, numbers: &[u32]| {
        let mut fields = Fields { rest: bytes };
        loop {
            match fields.next_field() {
                Ok(Some((number, Wire::Bytes(_)))) if numbers.contains(&number) => {}
                Ok(None) => return true,
                _ => return false,
            }
        }
    };
    if raw.first() != Some(&0x0A) || !is_whole(raw, &[1]) {
        return false;
    }
    let mut resources = Fields { rest: raw };
    let mut has_content = false;
    while let Ok(Some((_, Wire::Bytes(resource)))) = resources.next_field() {
        has_content |= !resource.is_empty();
        if !is_whole(resource, &[1, 2, 3]) {
            return false;
        }
    }
    has_content
}

/// The exports that a file holds: itself one, or several with their lengths before them, as four bytes, the highest first
/// (OpenTelemetry's file exporter), or as a varint (delimited messages). `None` when it is neither.
pub(super) fn exports(file: &[u8]) -> Option<Vec<&[u8]>> {
    if is_export(file) {
        return Some(vec![file]);
    }
    let big_endian = |fields: &mut Fields<'_>| {
        let length = u32::from_be_bytes(fields.fixed().ok()?);
        usize::try_from(length).ok()
    };
    let varint = |fields: &mut Fields<'_>| usize::try_from(fields.varint().ok()?).ok();
    delimited(file, big_endian).or_else(|| delimited(file, varint))
}

fn delimited<'f>(
    file: &'f [u8],
    length_of: impl Fn(&mut Fields<'f>) -> Option<usize>,
) -> Option<Vec<&'f [u8]>> {
    let mut fields = Fields { rest: file };
    let mut found = Vec::new();
    while !fields.rest.is_empty() {
        let length = length_of(&mut fields)?;
        let (export, rest) = fields.rest.split_at_checked(length)?;
        if !is_export(export) {
            return None;
        }
        found.push(export);
        fields.rest = rest;
    }
    (!found.is_empty()).then_some(found)
}

/// An export cut into exports of whole resources, each of at most `bytes_max` unless one resource alone is longer.
pub(super) fn pieces(export: &[u8], bytes_max: usize) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut fields = Fields { rest: export };
    let (mut start, mut end) = (0, 0);
    while let Ok(Some(_)) = fields.next_field() {
        let next = export.len() - fields.rest.len();
        if next - start > bytes_max && end > start {
            found.push(&export[start..end]);
            start = end;
        }
        end = next;
    }
    found.push(&export[start..]);
    found
}

/// Reads an export into `nodes`, as a map with the one member `resourceLogs`.
pub(super) fn read<'a>(
    raw: &'a [u8],
    depth_max: usize,
    arena: &'a Bump,
    nodes: &mut Vec<Node<'a>>,
) -> Faults {
    let mut reader = Reader {
        arena,
        nodes,
        faults: Faults::default(),
    };
    // A value within a map is three messages deeper, and the first value is within six.
    reader.message(raw, &EXPORT, 3 * depth_max + 6);
    reader.faults
}

struct Reader<'a, 'n> {
    arena: &'a Bump,
    nodes: &'n mut Vec<Node<'a>>,
    faults: Faults,
}

impl<'a> Reader<'a, '_> {
    /// Adds the map that a message is.
    fn message(&mut self, bytes: &'a [u8], message: &'static Message, levels_left: usize) {
        let place = self.nodes.len();
        self.nodes.push(Node::Scalar(Value::Null));
        let mut len = 0;
        let fields: &Message = if levels_left > 0 { message } else { &[] };
        // A pass for each field that the message may have: their values must stand together, and they may not.
        for (number, name, kind) in fields {
            len += usize::from(self.field(bytes, *number, name, *kind, levels_left - 1));
        }
        let count = self.nodes.len() - place - 1;
        self.nodes[place] = Node::Object { len, count };
    }

    /// Adds a member, if the message has such a field; the last one where it should be one and is not.
    fn field(
        &mut self,
        bytes: &'a [u8],
        wanted: u32,
        name: &'static str,
        kind: Kind,
        levels_left: usize,
    ) -> bool {
        let place = self.nodes.len();
        let mut items = 0;
        let mut fields = Fields { rest: bytes };
        loop {
            let (number, value) = match fields.next_field() {
                Ok(Some(field)) => field,
                Ok(None) => break,
                Err(Broken(cut)) => {
                    self.faults.is_broken = true;
                    match cut {
                        Some(field) => field,
                        None => break,
                    }
                }
            };
            if number != wanted {
                continue;
            }
            if items == 0 || !matches!(kind, Kind::List(_)) {
                self.nodes.truncate(place);
                self.nodes.push(Node::Scalar(Value::Str(name)));
            }
            if matches!(kind, Kind::List(_)) && items == 0 {
                self.nodes.push(Node::Scalar(Value::Null));
            }
            let before = self.nodes.len();
            self.value(value, kind, levels_left);
            if self.nodes.len() > before {
                items += 1;
            } else if items == 0 || !matches!(kind, Kind::List(_)) {
                // No value, no member.
                self.nodes.truncate(place);
                items = 0;
            }
        }
        if let (Kind::List(_), 1..) = (kind, items) {
            let count = self.nodes.len() - place - 2;
            self.nodes[place + 1] = Node::Array { len: items, count };
        }
        self.nodes.len() > place
    }

    /// Adds a value; none where its wire form is not that of its kind.
    fn value(&mut self, value: Wire<'a>, kind: Kind, levels_left: usize) {
        let scalar = match (kind, value) {
            (Kind::Message(message) | Kind::List(message), Wire::Bytes(bytes)) => {
                self.message(bytes, message, levels_left);
                return;
            }
            (Kind::Text, Wire::Bytes(bytes)) => Value::Str(self.text(bytes)),
            (Kind::Hex, Wire::Bytes(bytes)) => Value::Str(hexadecimal(self.arena, bytes)),
            (Kind::Bytes, Wire::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => {
                    // The member's name, pushed before: a body of bytes is read as the text that it is.
                    if let Some(name) = self.nodes.last_mut() {
                        *name = Node::Scalar(Value::Str("stringValue"));
                    }
                    Value::Str(text)
                }
                Err(_) => Value::Str(base64(self.arena, bytes)),
            },
            (Kind::Bool, Wire::Number(number)) => Value::Bool(number != 0),
            (Kind::Number, Wire::Number(number)) => Value::Int(number.cast_signed()),
            (Kind::Double, Wire::Number(number)) => Value::Float(f64::from_bits(number)),
            _ => {
                self.faults.is_broken = true;
                return;
            }
        };
        self.nodes.push(Node::Scalar(scalar));
    }

    fn text(&mut self, bytes: &'a [u8]) -> &'a str {
        std::str::from_utf8(bytes).unwrap_or_else(|_| {
            self.faults.has_bad_text = true;
            ArenaString::from_utf8_lossy_in(bytes, self.arena).into_bump_str()
        })
    }
}

/// A field's value as it stands in the bytes.
#[derive(Clone, Copy)]
enum Wire<'a> {
    /// A number of either width, fixed or not.
    Number(u64),
    Bytes(&'a [u8]),
}

/// The bytes do not go on as they should; of a field whose end is missing there is what is there.
struct Broken<'a>(Option<(u32, Wire<'a>)>);

/// The fields of a message, one after the other.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next_field(&mut self) -> Result<Option<(u32, Wire<'a>)>, Broken<'a>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let field = self.read_field();
        if field.is_err() {
            self.rest = &[];
        }
        field.map(Some)
    }

    fn read_field(&mut self) -> Result<(u32, Wire<'a>), Broken<'a>> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Broken(None))?;
        let value = match tag & 7 {
            0 => Wire::Number(self.varint()?),
            1 => Wire::Number(u64::from_le_bytes(self.fixed()?)),
            5 => Wire::Number(u64::from(u32::from_le_bytes(self.fixed()?))),
            2 => {
                let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
                let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
                    return Err(Broken(Some((number, Wire::Bytes(self.rest)))));
                };
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            _ => return Err(Broken(None)),
        };
        Ok((number, value))
    }

    fn fixed<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Broken<'a>> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(Broken(None))?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// Seven bits of a number in each byte, the lowest first; ten bytes at most.
    fn varint(&mut self) -> Result<u64, Broken<'a>> {
        let mut number = 0;
        for (place, byte) in self.rest.iter().take(10).enumerate() {
            number |= u64::from(byte & 0x7F) << (7 * place);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[place + 1..];
                return Ok(number);
            }
        }
        Err(Broken(None))
    }
}

fn hexadecimal<'a>(arena: &'a Bump, bytes: &[u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = ArenaString::with_capacity_in(bytes.len() * 2, arena);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text.into_bump_str()
}

/// RFC 4648 section 4, as the JSON mapping has bytes.
fn base64<'a>(arena: &'a Bump, bytes: &[u8]) -> &'a str {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = ArenaString::with_capacity_in(bytes.len().div_ceil(3) * 4, arena);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) as usize & 63;
            let is_there = place <= three.len();
            text.push(if is_there {
                char::from(DIGITS[digit])
            } else {
                '='
            });
        }
    }
    text.into_bump_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes_of<'a>(raw: &'a [u8], arena: &'a Bump) -> (Vec<Node<'a>>, Faults) {
        let mut nodes = Vec::new();
        let faults = read(raw, 32, arena, &mut nodes);
        (nodes, faults)
    }

    #[test]
    fn only_whole_exports_are_taken_for_exports() {
        // One resource with one attribute `a` = true.
        let export = b"\x0A\x0B\x0A\x09\x0A\x07\x0A\x01a\x12\x02\x10\x01";
        assert!(is_export(export));
        assert!(!is_export(&export[..export.len() - 1]), "cut");
        assert!(!is_export(b"\x0A\x00"), "nothing in it");
        assert!(!is_export(b"\n{\"resourceLogs\":[]}"));
        assert!(!is_export(b"\n\n\n"));
        assert!(!is_export(b""));
    }

    #[test]
    fn what_is_cut_is_read_as_far_as_it_goes() {
        let arena = Bump::new();
        let (nodes, faults) =
            nodes_of(b"\x0A\x7F\x0A\x09\x0A\x07\x0A\x01a\x12\x02\x10\x01", &arena);
        assert!(faults.is_broken);
        assert!(
            nodes.contains(&Node::Scalar(Value::Bool(true))),
            "{nodes:?}"
        );
    }

    #[test]
    fn a_field_of_another_wire_form_is_left_out() {
        let arena = Bump::new();
        let mut nodes = Vec::new();
        let mut reader = Reader {
            arena: &arena,
            nodes: &mut nodes,
            faults: Faults::default(),
        };
        // Key `a`, then a key that is a number.
        reader.message(b"\x0A\x01a\x08\x01", &KEY_VALUE, 3);
        assert!(reader.faults.is_broken);
        assert_eq!(nodes, [Node::Object { len: 0, count: 0 }]);
    }

    #[test]
    fn bytes_are_text_or_base64() {
        let arena = Bump::new();
        assert_eq!(base64(&arena, b""), "");
        assert_eq!(base64(&arena, b"f"), "Zg==");
        assert_eq!(base64(&arena, b"fo"), "Zm8=");
        assert_eq!(base64(&arena, b"foob"), "Zm9vYg==");
        assert_eq!(hexadecimal(&arena, &[0x5B, 0x8E, 0x0F]), "5b8e0f");
    }

    #[test]
    fn values_within_values_end_at_the_bound() {
        // AnyValue in ArrayValue in AnyValue ..., far deeper than is read.
        let mut value = b"\x10\x01".to_vec();
        for _ in 0..10_000 {
            for tag in [0x0A, 0x2A] {
                let mut outer = vec![tag];
                let mut length = value.len();
                while length >= 0x80 {
                    outer.push((length & 0x7F) as u8 | 0x80);
                    length >>= 7;
                }
                outer.push(length as u8);
                outer.append(&mut value);
                value = outer;
            }
        }
        let arena = Bump::new();
        let mut nodes = Vec::new();
        let mut reader = Reader {
            arena: &arena,
            nodes: &mut nodes,
            faults: Faults::default(),
        };
        reader.message(&value, &ANY_VALUE, 100);
        assert_eq!(reader.faults, Faults::default());
        assert!(nodes.len() < 1_000);
    }
}
