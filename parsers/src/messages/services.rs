//! Mail, file transfer and other services that speak through syslog.

use std::sync::LazyLock;

use super::pattern::{Headers, Message, message, read_header};
use super::read_table;
use crate::draft::Draft;
use crate::formats::{BIND, BIND_HEADERS, HAPROXY, HAPROXY_MESSAGES, OPENVPN, OPENVPN_HEADERS};
use crate::scan::{self, Word};

pub(super) static POSTFIX: &[Message] = &[
    message(
        "warning: {SourceHostname}[{SourceIp:a}]: SASL {AuthMethod} authentication failed: {reason}, sasl_username={User}$",
        "login",
        "failure",
    ),
    message(
        "warning: {SourceHostname}[{SourceIp:a}]: SASL {AuthMethod} authentication failed: {reason}",
        "login",
        "failure",
    ),
    message(
        "warning: {SourceHostname}[{SourceIp:a}]: SASL {AuthMethod} authentication failed",
        "login",
        "failure",
    ),
    message(
        "NOQUEUE: reject: {smtp_command} from {SourceHostname}[{SourceIp:a}]: {smtp_code:n} {reason}; from=<{sender}> to=<{recipient}>",
        "mail_receive",
        "failure",
    ),
    message(
        "NOQUEUE: reject: {smtp_command} from {SourceHostname}[{SourceIp:a}]:{SourcePort:n}: {smtp_code:n} {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "NOQUEUE: reject: {smtp_command} from {SourceHostname}[{SourceIp:a}]: {smtp_code:n} {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "warning: non-SMTP command from {SourceHostname}[{SourceIp:a}]: {request}",
        "connect",
        "failure",
    ),
    message(
        "connect from {SourceHostname}[{SourceIp:a}]",
        "connect",
        "success",
    ),
    message(
        "disconnect from {SourceHostname}[{SourceIp:a}]",
        "disconnect",
        "",
    ),
    message(
        "lost connection after {smtp_command} from {SourceHostname}[{SourceIp:a}]",
        "disconnect",
        "",
    ),
    message(
        "PREGREET {_} after {_} from [{SourceIp:a}]:{SourcePort:n}: {request}",
        "connect",
        "failure",
    ),
    message(
        "DNSBL rank {rank:n} for [{SourceIp:a}]:{SourcePort:n}",
        "connect",
        "failure",
    ),
    message(
        "HANGUP after {_} from [{SourceIp:a}]:{SourcePort:n}",
        "disconnect",
        "",
    ),
    message(
        "CONNECT from [{SourceIp:a}]:{SourcePort:n} to [{DestinationIp:a}]:{DestinationPort:n}",
        "connect",
        "success",
    ),
    message(
        "warning: hostname {SourceHostname} does not resolve to address {SourceIp:a}",
        "",
        "",
    ),
    // Behind the others: they could begin any message.
    message(
        "{queue_id:w}: client={SourceHostname}[{SourceIp:a}], sasl_method={AuthMethod}, sasl_username={User}$",
        "login",
        "success",
    ),
    message(
        "{queue_id:w}: client={SourceHostname}[{SourceIp:a}]",
        "mail_receive",
        "success",
    ),
    message(
        "{queue_id:w}: from=<{sender}>, size={size:n}, nrcpt={recipients:n}",
        "mail_queue",
        "",
    ),
    message(
        "{queue_id:w}: to=<{recipient}>, {_}relay={relay}, {_}status=sent{_}",
        "mail_send",
        "success",
    ),
    message(
        "{queue_id:w}: to=<{recipient}>, {_}relay={relay}, {_}status={reason}",
        "mail_send",
        "failure",
    ),
];

pub(crate) static PROFTPD: &[Message] = &[
    message(
        "{_} ({_}[{SourceIp:a}]){_}USER {User*} (Login failed): {reason}",
        "login",
        "failure",
    ),
    message(
        "{_} ({_}[{SourceIp:a}]){_}USER {User*}: no such user found",
        "login",
        "failure",
    ),
    message(
        "{_} ({_}[{SourceIp:a}]){_}USER {User*}: Login successful",
        "login",
        "success",
    ),
    message(
        "{_} ({_}[{SourceIp:a}]){_}FTP session opened",
        "connect",
        "success",
    ),
    message(
        "{_} ({_}[{SourceIp:a}]){_}FTP session closed",
        "disconnect",
        "",
    ),
];

pub(super) static PUREFTPD: &[Message] = &[
    message(
        "({_}@{SourceIp:a}) [WARNING] Authentication failed for user [{User*}]",
        "login",
        "failure",
    ),
    message(
        "({_}@{SourceIp:a}) [INFO] {User*} is now logged in",
        "login",
        "success",
    ),
    message(
        "({_}@{SourceIp:a}) [INFO] New connection from {SourceHostname}",
        "connect",
        "success",
    ),
    message("({User}@{SourceIp:a}) [INFO] Logout", "logout", "success"),
    message(
        "({User}@{SourceIp:a}) [NOTICE] {TargetFilename*} {direction} ({_})",
        "file_transfer",
        "success",
    ),
];

/// As vsftpd writes them behind its time and process: `[user] FAIL LOGIN: Client "::ffff:1.2.3.4"`.
pub(crate) static VSFTPD: &[Message] = &[
    message(
        "[{User}] FAIL LOGIN: Client \"{SourceIp:a}\"",
        "login",
        "failure",
    ),
    message(
        "[{User}] OK LOGIN: Client \"{SourceIp:a}\"",
        "login",
        "success",
    ),
    message(
        "[{User}] FTP response: Client \"{SourceIp:a}\", \"530 {reason}\"",
        "login",
        "failure",
    ),
    message(
        "[{User}] OK {command}: Client \"{SourceIp:a}\", \"{TargetFilename}\"",
        "file_transfer",
        "success",
    ),
    message(
        "[{User}] FAIL {command}: Client \"{SourceIp:a}\", \"{TargetFilename}\"",
        "file_transfer",
        "failure",
    ),
    message("[{User}] {_}: Client \"{SourceIp:a}\"", "", ""),
    message("CONNECT: Client \"{SourceIp:a}\"", "connect", "success"),
];

pub(crate) static DROPBEAR: &[Message] = &[
    message(
        "Bad PAM password attempt for '{User*}' from {SourceIp:a}:{SourcePort:n}",
        "login",
        "failure",
    ),
    message(
        "Bad password attempt for '{User*}' from {SourceIp:a}:{SourcePort:n}",
        "login",
        "failure",
    ),
    message(
        "Login attempt for nonexistent user '{User*}' from {SourceIp:a}:{SourcePort:n}",
        "login",
        "failure",
    ),
    message(
        "Login attempt for nonexistent user from {SourceIp:a}:{SourcePort:n}",
        "login",
        "failure",
    ),
    message(
        "Login attempt with wrong user {User*} from {SourceIp:a}:{SourcePort:n}",
        "login",
        "failure",
    ),
    message(
        "Password auth succeeded for '{User*}' from {SourceIp:a}:{SourcePort:n}",
        "login",
        "success",
    ),
    message(
        "Pubkey auth succeeded for '{User*}' with {KeyType} key {KeyFingerprint} from {SourceIp:a}:{SourcePort:n}",
        "login",
        "success",
    ),
    message(
        "Exit before auth from <{SourceIp:a}:{SourcePort:n}>: {reason}",
        "disconnect",
        "failure",
    ),
    message(
        "Exit before auth (user '{User*}', {_} fails): {reason}",
        "disconnect",
        "failure",
    ),
    message(
        "Child connection from {SourceIp:a}:{SourcePort:n}",
        "connect",
        "success",
    ),
];

pub(crate) static PROXMOX: &[Message] = &[
    message(
        "authentication failure; rhost={SourceIp:i}:{SourcePort:n} user={User*} msg={reason}",
        "login",
        "failure",
    ),
    message(
        "{_}: authentication failure; rhost={SourceIp:i}:{SourcePort:n} user={User*} msg={reason}",
        "login",
        "failure",
    ),
    message("{_}: successful auth for user '{User}'", "login", "success"),
    message(
        "authentication failure; rhost={SourceIp:a} user={User*} msg={reason}",
        "login",
        "failure",
    ),
    message(
        "<{User}> successful auth for user '{_}'",
        "login",
        "success",
    ),
    message("successful auth for user '{User}'", "login", "success"),
];

static DOVECOT_AUTH: &[Message] = &[
    message(
        "{AuthMethod}({User*},{SourceIp:a},<{session}>): {reason}",
        "login",
        "failure",
    ),
    message(
        "{AuthMethod}({User*},{SourceIp:a}): {reason}",
        "login",
        "failure",
    ),
];

const BEHIND_PART: Word = Word::new(": ");

/// `imap-login: Login: user=<u>, rip=1.2.3.4, ...` and what auth and its workers say.
pub(super) fn read_dovecot<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let Some((part, rest)) = BEHIND_PART.split(text) else {
        return false;
    };
    let rest = scan::after(rest, "Info: ").unwrap_or(rest);
    if scan::begins(part, "auth") {
        // Workers name their connection first: `conn unix:auth-worker (pid=..): auth-worker<4>: sql(...)`.
        let said = rest
            .rsplit_once(">: ")
            .filter(|(before, _)| before.starts_with("conn "))
            .map_or(rest, |(_, said)| said);
        return read_table(draft, DOVECOT_AUTH, said);
    }
    let named = scan::split_near(part, b'(');
    if !part.ends_with("-login") && named.is_none() {
        return false;
    }
    // `imap(lan@city.example)<4711><aBc>` once the session is somebody's.
    match named {
        Some((service, behind)) => {
            draft.own_text("service", service);
            let user = behind.split(')').next().unwrap_or("");
            draft.text("User", user.split(',').next().unwrap_or(""));
        }
        None => draft.own_text("service", part),
    }
    for pair in scan::pairs_by(rest, &[',', ' ']) {
        let value = match pair.value.as_bytes() {
            [b'<', ..] | [.., b'>'] => pair.value.trim_start_matches('<').trim_end_matches('>'),
            _ => pair.value,
        };
        match pair.key {
            "user" => draft.own_text("User", value),
            "rip" => draft.own_text("SourceIp", value),
            "lip" => draft.own_text("DestinationIp", value),
            "method" => draft.own_text("AuthMethod", value),
            key => draft.text(key, value),
        }
    }
    if scan::begins(rest, "Login: ") {
        draft.action("login", "success");
    } else if rest.contains("auth failed") {
        draft.action("login", "failure");
    } else if rest.starts_with("Disconnected") || rest.starts_with("Aborted") {
        draft.action("disconnect", "");
    }
    true
}

pub(crate) static EXIM: &[Message] = &[
    message(
        "{AuthMethod} authenticator failed for {_}[{SourceIp:i}]:{SourcePort:n}: {reason} (set_id={User*})",
        "login",
        "failure",
    ),
    message(
        "{AuthMethod} authenticator failed for {_}[{SourceIp:i}]: {reason} (set_id={User*})",
        "login",
        "failure",
    ),
    message(
        "{AuthMethod} authenticator failed for {_}[{SourceIp:i}]:{SourcePort:n}: {reason}",
        "login",
        "failure",
    ),
    message(
        "H={SourceHostname} [{SourceIp:i}]:{SourcePort:n} {_}F=<{sender}> rejected {smtp_command} <{TargetUser}>: {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "H={SourceHostname} [{SourceIp:i}]:{SourcePort:n} F=<{sender}> rejected {smtp_command} <{TargetUser}>: {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "H={SourceHostname} [{SourceIp:i}]:{SourcePort:n} {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "H={SourceHostname} [{SourceIp:i}] {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "{queue_id} <= {sender} H={SourceHostname} [{SourceIp:i}]",
        "mail_receive",
        "success",
    ),
    message("{queue_id} => {TargetUser} ", "mail_send", "success"),
    message("{queue_id} ** {TargetUser} ", "mail_send", "failure"),
];

pub(super) static CHARON: &[Message] = &[
    message(
        "{_} received packet: from {SourceIp:i}[{SourcePort:n}] to {DestinationIp:i}[{DestinationPort:n}]",
        "",
        "",
    ),
    message(
        "{_} sending packet: from {SourceIp:i}[{SourcePort:n}] to {DestinationIp:i}[{DestinationPort:n}]",
        "",
        "",
    ),
    message(
        "{_} XAuth authentication of '{User*}' failed",
        "login",
        "failure",
    ),
    message(
        "{_} XAuth pam_authenticate for '{User*}' failed: {reason}",
        "login",
        "failure",
    ),
    message(
        "{_} XAuth authentication of '{User*}' successful",
        "login",
        "success",
    ),
    message("{_} EAP-MS-CHAPv2 username: '{User*}'", "authenticate", ""),
    message("{_} EAP-MS-CHAPv2 verification failed", "login", "failure"),
    message(
        "{_} EAP method {_} failed for peer {User}",
        "login",
        "failure",
    ),
    message(
        "{_} IKE_SA {_} established between {_}",
        "connect",
        "success",
    ),
];

pub(super) static MAIL_FILTERS: &[Message] = &[
    message(
        "Message {queue_id} from {SourceIp:i} ({sender}) to {recipient} is {reason}",
        "mail_receive",
        "failure",
    ),
    message(
        "({_}) Blocked {reason} {_}, [{SourceIp:i}]:{SourcePort:n} {_}<{sender}> -> <{recipient}>",
        "mail_receive",
        "failure",
    ),
    message(
        "({_}) Passed {reason} {_}, [{SourceIp:i}]:{SourcePort:n} {_}<{sender}> -> <{recipient}>",
        "mail_receive",
        "success",
    ),
];

static BEFORE_BIND: LazyLock<Headers> = LazyLock::new(|| Headers::of(BIND_HEADERS));
/// The first of the headers have an address; the others are messages themselves.
static BEFORE_OPENVPN: LazyLock<Headers> = LazyLock::new(|| Headers::of(&OPENVPN_HEADERS[..3]));
static BEFORE_HAPROXY: LazyLock<Headers> = LazyLock::new(|| Headers::of(HAPROXY));

/// BIND within syslog: as in its own log.
pub(super) fn read_named<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let Some(message) = read_header(draft, &BEFORE_BIND, text) else {
        return false;
    };
    draft.source("", "dns", "bind");
    message.is_none_or(|message| read_table(draft, BIND, message))
}

/// OpenVPN within syslog: as in its own log.
pub(super) fn read_openvpn<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let message = read_header(draft, &BEFORE_OPENVPN, text).flatten();
    draft.source("", "application", "openvpn");
    read_table(draft, OPENVPN, message.unwrap_or(text))
}

/// HAProxy within syslog: as in its own log.
pub(super) fn read_haproxy<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    draft.source("", "webserver", "haproxy");
    match read_header(draft, &BEFORE_HAPROXY, text) {
        Some(message) => {
            if let Some(message) = message {
                read_table(draft, HAPROXY_MESSAGES, message);
            }
            true
        }
        None => read_table(draft, HAPROXY_MESSAGES, text),
    }
}

/// What ClamAV found, under the names of Sigma's category antivirus: `/srv/upload/a.php: Php.Malware.Agent-1 FOUND`.
pub(super) fn read_clamav<'a>(draft: &mut Draft<'a, '_>, text: &'a str) -> bool {
    let Some((file, signature)) = text
        .strip_suffix(" FOUND")
        .and_then(|found| found.rsplit_once(": "))
    else {
        return false;
    };
    // The daemon's own log has times in front.
    let file = file.rsplit_once(" -> ").map_or(file, |(_, file)| file);
    draft.text("Filename", file);
    draft.text("Signature", signature);
    draft.source("", "antivirus", "");
    true
}
