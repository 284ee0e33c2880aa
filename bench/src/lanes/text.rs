//! Lines of syslog and auditd as they were recorded, with other hosts, users, addresses, numbers and times.

use std::collections::HashMap;

use super::city::City;

/// A line of syslog after its header.
#[derive(Clone, Debug)]
pub(crate) struct SyslogLine {
    /// Which program wrote it.
    program: String,
    /// The program's tag and the message.
    rest: String,
}

/// Recorded lines of syslog by the program that wrote them; lines with other headers are left out.
pub(crate) fn syslog_lines(text: &str) -> Vec<Vec<SyslogLine>> {
    let mut by_program: HashMap<String, Vec<SyslogLine>> = HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().take(4).collect();
        let (Some(first), Some(&last_of_header)) = (words.first(), words.get(3)) else {
            continue;
        };
        let is_iso = first.len() > 18 && first.as_bytes().get(10) == Some(&b'T');
        let is_bsd = first.len() == 3 && words[2].bytes().filter(|&byte| byte == b':').count() == 2;
        let host = match (is_iso, is_bsd) {
            (true, _) => words[1],
            (_, true) => last_of_header,
            _ => continue,
        };
        let Some(rest) = line
            .find(&format!(" {host} "))
            .map(|at| line[at + host.len() + 2..].to_owned())
        else {
            continue;
        };
        let program: String = rest
            .chars()
            .take_while(|letter| !"[: ".contains(*letter))
            .collect();
        if program.is_empty() {
            continue;
        }
        by_program
            .entry(program.clone())
            .or_default()
            .push(SyslogLine { program, rest });
    }
    let mut groups: Vec<Vec<SyslogLine>> = by_program.into_values().collect();
    groups.sort_by(|one, other| one[0].program.cmp(&other[0].program));
    groups
}

/// Takes the lines that say this out of the others.
pub(crate) fn take_lines(lines: &mut Vec<Vec<SyslogLine>>, says: &str) -> Vec<Vec<SyslogLine>> {
    let mut taken = Vec::new();
    for group in &mut *lines {
        let (said, left): (Vec<SyslogLine>, Vec<SyslogLine>) =
            group.drain(..).partition(|line| line.rest.contains(says));
        *group = left;
        taken.push(said);
    }
    lines.retain(|group| !group.is_empty());
    taken.retain(|group| !group.is_empty());
    taken
}

/// The line with another address after its "from".
pub(crate) fn from_address(line: Vec<u8>, address: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(&line).into_owned();
    let Some((before, after)) = text.rsplit_once(" from ") else {
        return line;
    };
    let rest = after.find(' ').map_or("", |end| &after[end..]);
    format!("{before} from {address}{rest}").into_bytes()
}

/// A line of one of the programs, varied: each program as often as any other.
pub(crate) fn vary_syslog(recorded: &[Vec<SyslogLine>], city: &mut City) -> Vec<u8> {
    let group = city.random.below(recorded.len());
    let line = city.random.pick(&recorded[group]).clone();
    let at = jiff::Timestamp::from_millisecond(city.next_ms()).unwrap_or_default();
    let local = at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7)));
    let host = city.host().to_lowercase();
    let header = if city.random.percent(50) {
        local.strftime("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string()
    } else {
        local.strftime("%b %e %H:%M:%S").to_string()
    };
    format!("{header} {host} {}", vary_words(&line.rest, city)).into_bytes()
}

/// Recorded lines of auditd.
pub(crate) fn auditd_lines(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| line.contains("type=") && line.contains("msg=audit(1"))
        .map(|line| match line.split_once(" type=") {
            Some((node, rest)) if node.starts_with("node=") => format!("type={rest}"),
            _ => line.to_owned(),
        })
        .collect()
}

/// A line of auditd, varied.
pub(crate) fn vary_auditd(recorded: &[String], city: &mut City) -> Vec<u8> {
    let line = city.random.pick(recorded).clone();
    let at_ms = city.next_ms();
    let serial = city.random.below(900_000) + 100;
    let Some((kind, rest)) = line.split_once(" msg=audit(") else {
        return line.into_bytes();
    };
    let Some((_, fields)) = rest.split_once("):") else {
        return line.into_bytes();
    };
    let host = city.host().to_lowercase();
    let fields = vary_words(fields, city);
    let head = format!(
        "node={host} {kind} msg=audit({}.{:03}:{serial}):",
        at_ms / 1_000,
        at_ms % 1_000
    );
    (head + &fields).into_bytes()
}

/// What comes before a user's name.
const BEFORE_USERS: &[&str] = &[
    " user ",
    " for ",
    "user=",
    "acct=\"",
    "logname=",
    "ruser=",
    "USER=",
    "for user ",
    "name=",
];
/// Words that stand where a user's name can, and names that rules know.
const NO_USERS: &[&str] = &[
    "root", "invalid", "user", "unknown", "from", "by", "www-data", "the",
];

/// The text with other addresses, users and numbers. The same one becomes the same everywhere in the line.
fn vary_words(text: &str, city: &mut City) -> String {
    let text = vary_users(text, city);
    let mut out = String::with_capacity(text.len() + 16);
    let mut addresses: HashMap<String, String> = HashMap::new();
    let mut rest = text.as_str();
    let mut before = ' ';
    while let Some(letter) = rest.chars().next() {
        let starts_number = letter.is_ascii_digit() && !before.is_ascii_alphanumeric();
        let length = if starts_number {
            rest.find(|next: char| !next.is_ascii_digit() && next != '.')
                .unwrap_or(rest.len())
        } else {
            letter.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        let follows_word = after
            .chars()
            .next()
            .is_none_or(|next| !next.is_ascii_alphanumeric() && next != '_');
        if starts_number && follows_word && is_address(token) {
            let varied = addresses.entry(token.to_owned()).or_insert_with(|| {
                if city.random.percent(40) {
                    city.inner_address()
                } else {
                    city.outer_address()
                }
            });
            out.push_str(varied);
        } else if starts_number && follows_word && is_serial(token) {
            let low = 10_usize.pow(token.len() as u32 - 1);
            out.push_str(&(low + city.random.below(low * 5)).to_string());
        } else {
            out.push_str(token);
        }
        before = token.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    out
}

/// A process, a port, a session: not a user's id or a system call, which rules ask for.
fn is_serial(token: &str) -> bool {
    (4..=9).contains(&token.len())
        && !token.starts_with('0')
        && token.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_address(token: &str) -> bool {
    token
        .parse::<std::net::Ipv4Addr>()
        .is_ok_and(|address| !address.is_unspecified() && !address.is_loopback())
}

fn vary_users(text: &str, city: &mut City) -> String {
    let user = city.user();
    let found = BEFORE_USERS.iter().find_map(|before| {
        let from = text.find(before)? + before.len();
        let name: &str = text[from..]
            .split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_.".contains(letter))
            .next()?;
        let is_user = name.len() > 2
            && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
            && !NO_USERS.contains(&name);
        is_user.then_some(name)
    });
    match found {
        Some(name) => text.replace(name, &user),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_meaning_and_changes_its_names() {
        let recorded = syslog_lines(
            "Nov 21 21:03:11 cong-dich-vu sshd[2210]: Failed password for invalid user oracle from 203.0.113.77 port 40112 ssh2\n\
             2026-11-21T21:05:11+07:00 web01 CRON[400]: (root) CMD (run-parts)\nno header\n",
        );
        assert_eq!(recorded.len(), 2);
        let mut city = City::new(1, "test");
        let lines: Vec<String> = (0..40)
            .map(|_| String::from_utf8(vary_syslog(&recorded, &mut city)).unwrap())
            .collect();
        let failed = lines.iter().find(|line| line.contains("sshd[")).unwrap();
        assert!(
            failed.contains("Failed password for invalid user "),
            "{failed}"
        );
        assert!(failed.ends_with(" ssh2"), "{failed}");
        for old in ["oracle", "203.0.113.77", "40112", "cong-dich-vu"] {
            assert!(!failed.contains(old), "{failed}");
        }
    }

    #[test]
    fn numbers_that_rules_ask_for_stay() {
        let recorded = auditd_lines(
            "node=a type=SYSCALL msg=audit(1795308826.445:1477): arch=c000003e syscall=59 ppid=2551 auid=1002 uid=0 exe=\"/usr/bin/id\"\n",
        );
        let mut city = City::new(1, "test");
        let line = String::from_utf8(vary_auditd(&recorded, &mut city)).unwrap();
        for kept in [
            "type=SYSCALL msg=audit(",
            "arch=c000003e syscall=59",
            "uid=0 exe=\"/usr/bin/id\"",
        ] {
            assert!(line.contains(kept), "{line}");
        }
        assert!(!line.contains("ppid=2551"), "{line}");
    }
}
