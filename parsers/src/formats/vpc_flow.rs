//! AWS VPC flow logs (VPC user guide, "Flow log records"): the default fields, or those that the first line of a file from S3
//! names, in its order. Who reads from CloudWatch or Kinesis, where there is no such line, names them with the format.

use super::{Cells, Fit, Format, NotThisFormat, Split};
use crate::beginning::Begins;
use crate::draft::Draft;
use crate::event::{ProblemKind, Value};
use crate::headers::{Header, Kind};
use crate::scan;
use crate::when;

pub(super) const VPC_FLOW: Format = Format {
    name: "vpc_flow",
    description: "AWS VPC flow logs: default fields, or those of their first line or of `header=`",
    begins: Begins::LETTER.or(Begins::DIGIT),
    detect,
    read,
};

/// Version 2, which is what one gets without asking for fields.
const DEFAULT: [&str; 14] = [
    "version",
    "account-id",
    "interface-id",
    "srcaddr",
    "dstaddr",
    "srcport",
    "dstport",
    "protocol",
    "packets",
    "bytes",
    "start",
    "end",
    "action",
    "log-status",
];

/// Fields of later versions.
const FURTHER: [&str; 26] = [
    "vpc-id",
    "subnet-id",
    "instance-id",
    "tcp-flags",
    "type",
    "pkt-srcaddr",
    "pkt-dstaddr",
    "region",
    "az-id",
    "sublocation-type",
    "sublocation-id",
    "pkt-src-aws-service",
    "pkt-dst-aws-service",
    "flow-direction",
    "traffic-path",
    "ecs-cluster-arn",
    "ecs-cluster-name",
    "ecs-container-instance-arn",
    "ecs-container-instance-id",
    "ecs-container-id",
    "ecs-second-container-id",
    "ecs-service-name",
    "ecs-task-definition-arn",
    "ecs-task-arn",
    "ecs-task-id",
    "reject-reason",
];

/// Fewer fields are no flow.
const COLUMNS_MIN: usize = 3;

/// Names that rules use besides, Sigma's of category firewall and of service netflow among them.
const SECOND_NAMES: [(&str, &str); 6] = [
    ("srcaddr", "src_ip"),
    ("dstaddr", "dst_ip"),
    ("srcport", "src_port"),
    ("dstport", "dst_port"),
    ("dstport", "destination.port"),
    ("srcport", "source.port"),
];

fn detect(text: &str) -> Option<&'static str> {
    if is_header(text) {
        return Some("names fields of AWS VPC flow logs");
    }
    is_default(text).then_some("is a flow of AWS VPC in its default fields")
}

/// Whether a line names fields and nothing else.
pub(crate) fn is_header(text: &str) -> bool {
    let known = |name: &str| DEFAULT.contains(&name) || FURTHER.contains(&name);
    let mut count = 0;
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split_ascii_whitespace().all(|name| {
            count += 1;
            known(name)
        })
        && count >= COLUMNS_MIN
}

/// `2 123456789012 eni-0a1b2c3d ...`, 14 cells.
fn is_default(text: &str) -> bool {
    let Some(rest) = scan::after(text, "2 ") else {
        return false;
    };
    let bytes = rest.as_bytes();
    bytes.len() > 17
        && bytes[..12].iter().all(u8::is_ascii_digit)
        && bytes[12..].starts_with(b" eni-")
        && rest.split(' ').count() + 1 == DEFAULT.len()
}

fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> Fit {
    if is_header(text) {
        remember(draft, text);
        draft.text("message", text);
        return Ok(());
    }
    let origin = draft.event.record.origin;
    let header = draft.scratch.headers.of(origin);
    if let Some(header) = header
        && read_with_header(draft, text, &header)
    {
        return Ok(());
    }
    if !is_default(text) {
        draft.note(
            ProblemKind::Partial,
            "neither the default fields of a flow nor those that a first line named; name them with the format, `vpc_flow; header=version vpc-id ...`",
        );
        return Err(NotThisFormat);
    }
    flow(draft, DEFAULT.into_iter(), text);
    Ok(())
}

fn remember(draft: &mut Draft<'_, '_>, text: &str) {
    let origin = draft.event.record.origin;
    let mut told = Ok(());
    draft.scratch.headers.tell(origin, Kind::VpcFlow, |header| {
        told = header.set_columns(text.split_ascii_whitespace());
    });
    if told.is_err() {
        draft.note(
            ProblemKind::TooLarge,
            "too many columns, or too long names; they are not remembered",
        );
    }
}

/// Reads a line by the columns that its source has told; false if there are none, or they do not fit.
pub(super) fn read_with_header<'a>(
    draft: &mut Draft<'a, '_>,
    text: &'a str,
    header: &Header,
) -> bool {
    let fits = header.kind == Kind::VpcFlow
        && !header.columns.is_empty()
        && text.split_ascii_whitespace().count() == header.columns.len()
        && header
            .columns
            .iter()
            .zip(text.split_ascii_whitespace())
            .all(|(column, cell)| is_of(column, cell));
    if fits {
        let columns: bumpalo::collections::Vec<'_, &'a str> =
            bumpalo::collections::Vec::from_iter_in(
                header
                    .columns
                    .iter()
                    .map(|column| &*draft.arena.alloc_str(column)),
                draft.arena,
            );
        flow(draft, columns.into_iter(), text);
    }
    fits
}

/// Whether a cell may stand in that column.
fn is_of(column: &str, cell: &str) -> bool {
    cell == "-"
        || match column {
            "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => scan::is_ip(cell),
            "action" => matches!(cell, "ACCEPT" | "REJECT"),
            "log-status" => matches!(cell, "OK" | "NODATA" | "SKIPDATA"),
            "version" | "srcport" | "dstport" | "protocol" | "packets" | "bytes" | "start"
            | "end" | "tcp-flags" => cell.bytes().all(|byte| byte.is_ascii_digit()),
            _ => true,
        }
}

fn flow<'a>(draft: &mut Draft<'a, '_>, columns: impl Iterator<Item = &'a str>, text: &'a str) {
    draft.event.format = VPC_FLOW.name;
    for (column, cell) in columns.zip(Cells::new(text, Split::Spaces)) {
        if cell == "-" {
            continue;
        }
        match column {
            "start" => match when::epoch_text(cell) {
                Some(time) => draft.time(time),
                None => draft.note(ProblemKind::BadTime, "the start is no time"),
            },
            "action" => draft.push(
                "action",
                Value::Str(match cell {
                    "ACCEPT" => "allow",
                    "REJECT" => "block",
                    other => other,
                }),
            ),
            // An account is a name made of digits.
            "account-id" => draft.text("account_id", cell),
            column if column.contains('-') => {
                let name = draft.arena.alloc_str(&column.replace('-', "_"));
                draft.number(name, cell);
            }
            column => draft.number(column, cell),
        }
    }
    for (from, to) in SECOND_NAMES {
        draft.alias(from, to);
    }
    draft.source("aws", "", "vpcflow");
    draft.source("", "firewall", "");
    draft.source("", "", "netflow");
}
