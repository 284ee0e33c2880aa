//! Which files are OpenTelemetry's logs in protobuf, by their first bytes.

/// Whether a file may be OpenTelemetry's logs in protobuf, by its first bytes: an export begins with the tag of a resource and its
/// length, and in it is another tag with a length that fits; before it may stand its own length. Texts do not begin so.
pub fn may_be_exports(start: &[u8]) -> bool {
    let behind_varint = varint(start).map_or(&[][..], |(_, rest)| rest);
    is_export_head(start)
        || (start.first() == Some(&0) && start.get(4..).is_some_and(is_export_head))
        || is_export_head(behind_varint)
}

fn is_export_head(start: &[u8]) -> bool {
    let resource = start.strip_prefix(b"\n").and_then(varint);
    let Some((length, [b'\n' | 0x12 | 0x1A, rest @ ..])) = resource else {
        return false;
    };
    varint(rest).is_some_and(|(inner, _)| inner + 2 <= length)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let last = bytes.iter().take(5).position(|byte| *byte < 0x80)?;
    let (number, rest) = bytes.split_at(last + 1);
    let number = number
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 7 | u64::from(byte & 0x7F));
    Some((number, rest))
}
