//! IBM's Log Event Extended Format: `LEEF:2.0|vendor|product|version|id|delimiter|key=value<delimiter>...`.

use super::{Fit, Format, NotThisFormat, cef};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::Value;
use crate::when;

pub(super) const LEEF: Format = Format {
    name: "leef",
    description: "IBM Log Event Extended Format",
    begins: Begins::LETTER,
    detect,
    read,
};

fn detect(text: &str) -> Option<&'static str> {
    text.starts_with("LEEF:").then_some("begins with LEEF:")
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    let rest = text.strip_prefix("LEEF:").ok_or(NotThisFormat)?;
    let mut parts = rest.splitn(6, '|');
    let mut part = || parts.next().ok_or(NotThisFormat);
    let (version, vendor, product, product_version, id) =
        (part()?, part()?, part()?, part()?, part()?);
    let behind = parts.next().unwrap_or("");
    draft.text("leef_version", version);
    draft.text("device_vendor", vendor);
    draft.text("device_product", product);
    draft.text("device_version", product_version);
    draft.text("signature_id", id);
    let (delimiter, attributes) = delimiter_of(version, behind);
    for attribute in attributes.split(delimiter) {
        if let Some((key, value)) = attribute.split_once('=') {
            draft.number(key.trim(), value.trim());
        }
    }
    for (from, to) in [
        ("src", "SourceIp"),
        ("srcPort", "SourcePort"),
        ("dst", "DestinationIp"),
        ("dstPort", "DestinationPort"),
        ("usrName", "User"),
        ("srcPort", "src_port"),
        ("dstPort", "dst_port"),
    ] {
        draft.alias(from, to);
    }
    let time = match draft.get("devTime") {
        Some(Value::Str(text)) => when::any(text, draft.context).or_else(|| {
            when::bsd(text, draft.event.record.received_at, draft.context).map(|(time, _)| time)
        }),
        #[expect(
            clippy::cast_precision_loss,
            reason = "epoch milliseconds have fewer than 53 bits"
        )]
        Some(Value::Int(number)) => when::epoch(number as f64),
        _ => None,
    };
    if let Some(time) = time {
        draft.time(time);
    }
    cef::device_sources(draft);
    cef::outcome_of_action(draft);
    Ok(())
}

/// LEEF 2.0 names its delimiter as a character or as `x09`; 1.0 has tabs.
fn delimiter_of<'a>(version: &str, text: &'a str) -> (char, &'a str) {
    if version.starts_with('2')
        && let Some((named, attributes)) =
            text.split_once('|').filter(|(named, _)| named.len() <= 4)
    {
        let code = named.strip_prefix("0x").or_else(|| named.strip_prefix('x'));
        let by_code = code
            .and_then(|code| u32::from_str_radix(code, 16).ok())
            .and_then(char::from_u32);
        return (
            by_code.or_else(|| named.chars().next()).unwrap_or('\t'),
            attributes,
        );
    }
    ('\t', text)
}
