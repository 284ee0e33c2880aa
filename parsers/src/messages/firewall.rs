//! Packets that the kernel logs for iptables, nftables and ufw: `[prefix] IN=eth0 OUT= SRC=.. DST=.. PROTO=TCP SPT=.. DPT=..`.

use super::{Message, message, read_table, wireguard};
use crate::bytes::{are_digits_or_dots, same_bytes};
use crate::draft::{Draft, told_number_or_text};
use crate::event::Value;
use crate::layouts::Group;
use crate::scan::{self, Word};

/// Words of a rule's prefix that say what became of the packet.
const VERDICTS: [(&str, &str); 9] = [
    ("BLOCK", "block"),
    ("DROP", "block"),
    ("REJECT", "block"),
    ("DENY", "block"),
    ("DENIED", "block"),
    ("ALLOW", "allow"),
    ("ACCEPT", "allow"),
    ("-D-", "block"),
    ("-A-", "allow"),
];

/// The names that Sigma's firewall rules use, beside netfilter's own.
static NAMES: [(&str, &str); 5] = [
    ("SRC", "src_ip"),
    ("DST", "dst_ip"),
    ("SPT", "src_port"),
    ("DPT", "dst_port"),
    ("PROTO", "protocol"),
];

static KERNEL: &[Message] = &[
    message(
        "{process}[{pid:n}]: segfault at {address} ip {instruction} sp {stack} error {error_code:n}",
        "crash",
        "",
    ),
    message(
        "device {interface} entered promiscuous mode",
        "promiscuous_mode",
        "success",
    ),
    message(
        "Out of memory: Killed process {pid:n} ({process})",
        "kill",
        "success",
    ),
];

/// What the kernel says: packets, and some other things that matter.
pub(super) fn read_kernel<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let said = without_uptime(text);
    read_packet(draft, said) || wireguard::read(draft, said) || read_table(draft, KERNEL, said)
}

/// Reads a packet's line, whatever stands before it.
pub(crate) fn read<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    read_packet(draft, without_uptime(text))
}

fn read_packet<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let is_packet = SOURCE.split(text).is_some_and(|(before, behind)| {
        DESTINATION.find(behind).is_some() || DESTINATION.find(before).is_some()
    });
    let Some(start) = is_packet.then(|| packet_start(text)).flatten() else {
        return false;
    };
    let (prefix, packet) = text.split_at(start);
    // The second LEN is UDP's own.
    draft.add_pairs(
        scan::pairs(packet),
        |_, pair, told| told_number_or_text(pair.value, told),
        |draft, pair| {
            if !same_bytes(pair.key.as_bytes(), b"LEN") || draft.get("LEN").is_none() {
                draft.number(pair.key, pair.value);
            }
        },
    );
    firewall_names(draft);
    let rule = rule_of(prefix);
    draft.text("rule", rule);
    if let Some(action) = verdict(rule) {
        draft.set("action", Value::Str(action));
    }
    draft.source("", "firewall", "");
    true
}

/// What a rule's prefix says, without the marks around it.
fn rule_of(prefix: &str) -> &str {
    let prefix = scan::trimmed(prefix);
    // Mostly there is one of each, or none.
    let rule = match prefix.as_bytes() {
        [b'[', first, .., last, b']']
            if ![*first, *last].iter().any(|byte| b"[]:".contains(byte)) =>
        {
            &prefix[1..prefix.len() - 1]
        }
        _ => prefix
            .trim_end_matches(':')
            .trim_start_matches('[')
            .trim_end_matches(']'),
    };
    scan::trimmed(rule)
}

/// Adds the names of Sigma's firewall rules for those of netfilter's that are there.
fn firewall_names(draft: &mut Draft<'_, '_>) {
    static NETFILTERS: [&str; 5] = ["SRC", "DST", "SPT", "DPT", "PROTO"];
    let places = draft.places_of(&NETFILTERS);
    let before = draft.begin_group();
    let mut which = 0;
    for (number, (place, (_, name))) in places.into_iter().zip(NAMES).enumerate() {
        if let Some(value) = draft.value_at(place) {
            which |= 1 << number;
            draft.put_in_group(name, value);
        }
    }
    draft.end_group(before, Group::of(&NAMES, which), |draft| {
        for (from, to) in NAMES {
            draft.alias(from, to);
        }
    });
}

const SOURCE: Word = Word::new(" SRC=");
const DESTINATION: Word = Word::new(" DST=");
const IN: Word = Word::new("IN=");

/// What became of a packet, if the rule's prefix says so.
pub(super) fn verdict(rule: &str) -> Option<&'static str> {
    VERDICTS
        .iter()
        .find(|(word, _)| contains_ignoring_case(rule, word))
        .map(|(_, action)| *action)
}

fn packet_start(text: &str) -> Option<usize> {
    if scan::begins(text, "IN=") {
        return Some(0);
    }
    // The first behind a space, else behind a bracket, else behind a colon.
    [b' ', b']', b':'].into_iter().find_map(|before| {
        let mut from = 0;
        while let Some(found) = IN.find(&text[from..]) {
            let at = from + found;
            if text.as_bytes().get(at.wrapping_sub(1)) == Some(&before) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    })
}

/// Digits and dots: most words in brackets are told by their first letter.
fn is_uptime(inner: &[u8]) -> bool {
    are_digits_or_dots(inner)
}

fn contains_ignoring_case(text: &str, upper_word: &str) -> bool {
    text.as_bytes()
        .windows(upper_word.len())
        .any(|window| window.eq_ignore_ascii_case(upper_word.as_bytes()))
}

/// The kernel's `[82508.100168] ` in front.
fn without_uptime(text: &str) -> &str {
    // Most messages do not begin so.
    if !matches!(text.as_bytes(), [b'[', ..]) {
        return text;
    }
    match scan::bracketed(text) {
        Ok((rest, inner)) if is_uptime(scan::trimmed(inner).as_bytes()) => match rest.as_bytes() {
            [b' ', behind, ..] if *behind != b' ' => &rest[1..],
            _ => rest.trim_start_matches(' '),
        },
        _ => text,
    }
}
