//! The records that reading is measured with, made up of what each kind of server writes. The same seed gives
//! the same bytes; only the JSON is made of recordings, which the project does not hold.

use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use super::kinds::Kind;
use crate::lanes::City;

/// The next record of a kind that needs no recordings.
pub(super) fn make(kind: Kind, city: &mut City) -> String {
    let at = jiff::Timestamp::from_millisecond(city.next_ms()).unwrap_or_default();
    let local = at.to_zoned(TimeZone::fixed(jiff::tz::offset(7)));
    let time = |form: &str| strtime::format(form, &local).unwrap_or_default();
    match kind {
        Kind::SyslogFraming | Kind::Syslog => {
            let message = message_of(kind == Kind::Syslog, city);
            let Message {
                priority,
                tag,
                text,
            } = message;
            let host = city.host().to_lowercase();
            format!(
                "<{priority}>{} {host} {tag}: {text}",
                time("%b %e %H:%M:%S")
            )
        }
        Kind::Syslog5424Framing | Kind::Syslog5424 => {
            let message = message_of(kind == Kind::Syslog5424, city);
            let Message {
                priority,
                tag,
                text,
            } = message;
            let (program, pid) = match tag.split_once('[') {
                Some((program, pid)) => (program, pid.trim_end_matches(']')),
                None => (tag.as_str(), "-"),
            };
            let host = city.host().to_lowercase();
            let data = match city.random.below(3) {
                0 => "-".to_owned(),
                1 => format!(
                    "[timeQuality tzKnown=\"1\" isSynced=\"1\" syncAccuracy=\"{}\"]",
                    city.random.below(900_000)
                ),
                _ => format!(
                    "[origin ip=\"{}\" software=\"rsyslogd\"][meta sequenceId=\"{}\"]",
                    city.inner_address(),
                    city.random.below(90_000)
                ),
            };
            let time = time("%Y-%m-%dT%H:%M:%S%.6f%:z");
            format!("<{priority}>1 {time} {host} {program} {pid} - {data} {text}")
        }
        Kind::Cef => cef(at.as_millisecond(), city),
        Kind::KeyValue => key_value(&time("date=%Y-%m-%d time=%H:%M:%S"), at.as_second(), city),
        Kind::Apache | Kind::Nginx => access(&time("%d/%b/%Y:%H:%M:%S %z"), city),
        Kind::JsonSmall | Kind::JsonLarge => unreachable!("made of recordings"),
    }
}

/// What stands behind a syslog header.
struct Message {
    priority: u8,
    tag: String,
    text: String,
}

/// A message of one of the programs that a server's log is full of, or of one that nobody knows.
fn message_of(is_known: bool, city: &mut City) -> Message {
    let pid = city.random.below(60_000) + 300;
    let user = city.user();
    let (inner, outer) = (city.inner_address(), city.outer_address());
    let port = city.port();
    let (priority, program, text) = if is_known {
        match city.random.below(12) {
            0 => (
                38,
                "sshd",
                format!("Failed password for invalid user {user} from {outer} port {port} ssh2"),
            ),
            1 => (
                38,
                "sshd",
                format!(
                    "Accepted publickey for {user} from {inner} port {port} ssh2: ED25519 SHA256:{}",
                    city.random.hex(43)
                ),
            ),
            2 => (
                38,
                "sshd",
                format!(
                    "Connection closed by authenticating user {user} {outer} port {port} [preauth]"
                ),
            ),
            3 => (
                86,
                "sshd",
                format!(
                    "pam_unix(sshd:session): session opened for user {user}(uid=1002) by (uid=0)"
                ),
            ),
            4 => (
                85,
                "sudo",
                format!(
                    "{user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND=/usr/bin/systemctl restart nginx"
                ),
            ),
            5 => (
                78,
                "CRON",
                "(root) CMD (command -v debian-sa1 > /dev/null && debian-sa1 1 1)".to_owned(),
            ),
            6 => (30, "systemd", {
                let session = city.random.below(9_000);
                format!("Started session-{session}.scope - Session {session} of User {user}.")
            }),
            7 => (
                38,
                "systemd-logind",
                format!("New session {} of user {user}.", city.random.below(9_000)),
            ),
            8 => (
                22,
                "postfix/smtpd",
                format!("connect from unknown[{outer}]"),
            ),
            9 => (
                22,
                "postfix/qmgr",
                format!(
                    "{}: from=<{user}@hcmc.example>, size={port}, nrcpt=1 (queue active)",
                    city.random.hex(10).to_uppercase()
                ),
            ),
            10 => (
                4,
                "kernel",
                format!(
                    "[82508.100168] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:ab:cd:ef:08:00 SRC={outer} DST={inner} LEN=40 TOS=0x00 PREC=0x00 TTL=244 ID=54321 PROTO=TCP SPT={port} DPT=22 WINDOW=1024 RES=0x00 SYN URGP=0"
                ),
            ),
            _ => (
                22,
                "dovecot",
                format!(
                    "imap-login: Login: user=<{user}>, method=PLAIN, rip={inner}, lip=10.0.0.5, mpid={pid}, TLS, session=<{}>",
                    city.random.hex(16)
                ),
            ),
        }
    } else {
        let text = match city.random.below(4) {
            0 => format!(
                "request {} of {user} took {} ms",
                city.random.hex(12),
                city.random.below(900)
            ),
            1 => format!(
                "document {} was sent to the office of {user}",
                city.random.below(90_000)
            ),
            2 => format!(
                "worker {} has done {} jobs, {} are waiting",
                pid % 16,
                port,
                pid % 100
            ),
            _ => format!(
                "Cannot reach the archive at {inner}, next attempt in {} s",
                pid % 60
            ),
        };
        (
            134,
            *city
                .random
                .pick(&["egov-gateway", "hoso-worker", "archived", "lgsp"]),
            text,
        )
    };
    Message {
        priority,
        tag: if program == "kernel" {
            program.to_owned()
        } else {
            format!("{program}[{pid}]")
        },
        text,
    }
}

fn cef(at_ms: i64, city: &mut City) -> String {
    let (inner, outer) = (city.inner_address(), city.outer_address());
    let (port, user, host) = (city.port(), city.user(), city.host());
    match city.random.below(3) {
        0 => format!(
            "CEF:0|Check Point|VPN-1 & FireWall-1|Check Point|Log|https|Unknown|act=Accept deviceDirection=0 rt={at_ms} spt={port} dpt=443 cs2Label=Rule Name cs2=Office to web layer_name=Network src={inner} dst={outer} proto=6 service_id=https suser={user} dvchost={host}"
        ),
        1 => format!(
            "CEF:0|Trend Micro|Deep Security Agent|20.0.0-4416|{}|Malware found by real-time scan|6|cn1={} cn1Label=Host ID dvchost={host} rt={at_ms} fname=C:\\\\Users\\\\{user}\\\\Downloads\\\\hoadon{port}.exe act=Quarantine result=Cleaned msg=Realtime suser={user} fileHash={}",
            4_000_000 + city.random.below(30),
            city.random.below(900),
            city.random.hex(64)
        ),
        _ => format!(
            "CEF:0|Imperva Inc.|SecureSphere|14.7|SQL injection|SQL injection in a parameter|High|rt={at_ms} src={outer} spt={port} dst={inner} dpt=443 proto=TCP act=Block duser={user} request=https://dichvucong.example/hoso?id\\={port} requestMethod=GET cs1Label=Policy cs1=Web default msg=union select, {} times",
            city.random.below(9) + 1
        ),
    }
}

/// A firewall's pairs, as FortiGate writes them.
fn key_value(date_and_time: &str, seconds: i64, city: &mut City) -> String {
    let (inner, outer) = (city.inner_address(), city.outer_address());
    let (port, user, session) = (city.port(), city.user(), city.random.below(9_000_000));
    let (action, policy) = *city
        .random
        .pick(&[("accept", 12), ("deny", 0), ("close", 7)]);
    let (sent, received) = (
        city.random.skewed_below(90_000),
        city.random.skewed_below(900_000),
    );
    format!(
        "{date_and_time} devname=\"FGT-HCM-{:02}\" devid=\"FG100FTK2{:07}\" eventtime={seconds} tz=\"+0700\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip={inner} srcport={port} srcintf=\"lan\" srcintfrole=\"lan\" dstip={outer} dstport=443 dstintf=\"wan1\" dstintfrole=\"wan\" sessionid={session} proto=6 action=\"{action}\" policyid={policy} policytype=\"policy\" service=\"HTTPS\" dstcountry=\"Viet Nam\" trandisp=\"snat\" user=\"{user}\" duration={} sentbyte={sent} rcvdbyte={received} appcat=\"unscanned\"",
        city.random.below(40),
        city.random.below(9_000_000),
        city.random.below(300)
    )
}

const BROWSERS: &[&str] = &[
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 Zalo/24.10",
    "curl/8.5.0",
];

/// A line of an access log in the combined format, as Apache and nginx write it alike.
fn access(time: &str, city: &mut City) -> String {
    let client = if city.random.percent(50) {
        city.inner_address()
    } else {
        city.outer_address()
    };
    let user = if city.random.percent(10) {
        city.user()
    } else {
        "-".to_owned()
    };
    let number = city.random.below(90_000);
    let target = match city.random.below(5) {
        0 => "/".to_owned(),
        1 => format!("/hoso/{number}/chitiet"),
        2 => format!("/timkiem?q=gi%E1%BA%A5y+ph%C3%A9p&trang={number}"),
        3 => format!("/static/js/app.{number}.js"),
        _ => format!("/api/v1/thutuc/{number}?lang=vi"),
    };
    let method = *city.random.pick(&["GET", "GET", "GET", "POST"]);
    let status = *city.random.pick(&[200, 200, 200, 304, 302, 404, 403, 500]);
    let referer = *city.random.pick(&[
        "-",
        "https://dichvucong.example/",
        "https://dichvucong.example/timkiem?q=dat",
    ]);
    let browser = *city.random.pick(BROWSERS);
    let bytes = city.random.skewed_below(200_000);
    format!(
        "{client} - {user} [{time}] \"{method} {target} HTTP/1.1\" {status} {bytes} \"{referer}\" \"{browser}\""
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_records() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.is_json()) {
            let lines = |seed| -> Vec<String> {
                let mut city = City::new(seed, kind.name());
                (0..50).map(|_| make(kind, &mut city)).collect()
            };
            assert_eq!(lines(1), lines(1));
            assert_ne!(lines(1), lines(2));
        }
    }
}
