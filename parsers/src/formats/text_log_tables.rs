//! The logs of `text_logs`, one row each: how a line begins and what its messages mean.
//! The order is that of detection among them.

use super::text_logs::{Clock, Inside, TextLog};
use crate::messages::{DROPBEAR, EXIM, Message, PROFTPD, PROXMOX, VSFTPD, message};

/// Place of Envoy's log in the table: containers write it.
pub(super) const ENVOY: usize = 0;

pub(super) const LOGS: &[TextLog] = &[
    TextLog {
        name: "envoy",
        description: "Envoy's access log in its default text form",
        clocks: &[Clock::None],
        headers: &[
            "[{time}] \"{request*}\" {sc-status:n} {response_flags} {cs-bytes:n} {sc-bytes:n} {duration} {upstream_time} \"{c-ip}\" \"{cs-user-agent}\" \"{request_id}\" \"{cs-host}\" \"{upstream}\"",
        ],
        messages: &[],
        inside: Inside::Nothing,
        source: ("", "webserver", "envoy"),
    },
    TextLog {
        name: "nginx_proxy_manager",
        description: "access log of Nginx Proxy Manager",
        clocks: &[Clock::None],
        headers: &[
            "[{time}] {sc-status:n} - {cs-method} {scheme} {cs-host} \"{target*}\" [Client {c-ip:a}] [Length {sc-bytes:n}] {_} \"{cs-user-agent}\" \"{cs-referer}\"",
            "[{time}] {cache} {upstream_status} {sc-status:n} - {cs-method} {scheme} {cs-host} \"{target*}\" [Client {c-ip:a}] [Length {sc-bytes:n}] {_} \"{cs-user-agent}\" \"{cs-referer}\"",
        ],
        messages: &[],
        inside: Inside::Nothing,
        source: ("", "webserver", "nginx"),
    },
    TextLog {
        name: "haproxy",
        description: "HAProxy's HTTP log",
        clocks: &[Clock::None],
        headers: HAPROXY,
        messages: HAPROXY_MESSAGES,
        inside: Inside::Nothing,
        source: ("", "webserver", "haproxy"),
    },
    TextLog {
        name: "keycloak",
        description: "Keycloak's events in its server log",
        clocks: &[Clock::Iso],
        headers: &[
            "{level} [{logger}] ({thread}) type={_}realmId={_}",
            "{level} [org.keycloak.{logger}] ({thread}) {message}",
        ],
        messages: KEYCLOAK,
        inside: Inside::Pairs(&[',', ' ']),
        source: ("", "application", "keycloak"),
    },
    TextLog {
        name: "zimbra",
        description: "Zimbra's mailbox and audit log",
        clocks: &[Clock::Iso],
        headers: &["{level} [{thread}] [{context}] {logger} - {message}"],
        messages: &[
            message(
                "handler exception: authentication failed for [{User}], {reason}",
                "login",
                "failure",
            ),
            message(
                "cmd=Auth; account={User}; protocol={protocol}; error={reason};",
                "login",
                "failure",
            ),
            message(
                "cmd=Auth; account={User}; protocol={protocol};",
                "login",
                "success",
            ),
            message(
                "cmd=AdminAuth; account={User}; error={reason};",
                "login",
                "failure",
            ),
            message("cmd=AdminAuth; account={User};", "login", "success"),
            message(
                "user {User} authenticated, mechanism={AuthMethod}",
                "login",
                "success",
            ),
            message(
                "authentication failed for [{User}], {reason}",
                "login",
                "failure",
            ),
            message(
                "cmd=CreateAccount; name={TargetUser};",
                "user_add",
                "success",
            ),
            message(
                "cmd=DeleteAccount; name={TargetUser};",
                "user_delete",
                "success",
            ),
            message(
                "cmd=SetPassword; name={TargetUser};",
                "password_change",
                "success",
            ),
            message(
                "cmd=ModifyAccount; name={TargetUser};",
                "user_change",
                "success",
            ),
            message(
                "cmd={operation};{_}error={reason};",
                "administer",
                "failure",
            ),
            message("cmd={operation};", "administer", "success"),
        ],
        inside: Inside::Pairs(&[';']),
        source: ("", "application", "zimbra"),
    },
    TextLog {
        name: "postgresql",
        description: "PostgreSQL's server log",
        clocks: &[Clock::Iso],
        headers: &[
            "[{pid:n}] {SourceIp:i} {User}@{database} {level}:  {message}",
            ":{SourceIp:i}({SourcePort:n}):{User}@{database}:[{pid:n}]:{level}:  {message}",
            "[{pid:n}] {User}@{database} {level}:  {message}",
            "[{pid:n}] {level}:  {message}",
            "[{pid:n}]: {_} {level}:  {message}",
        ],
        messages: POSTGRESQL,
        inside: Inside::Nothing,
        source: ("postgresql", "database", ""),
    },
    TextLog {
        name: "mysql",
        description: "error and general log of MySQL and MariaDB",
        clocks: &[Clock::Iso],
        headers: &[
            "{thread:n} [{level}] [{error_code}] [{subsystem}] {message}",
            "{thread:n} [Warning] {message}",
            "{thread:n} [Note] {message}",
            "{thread:n} [ERROR] {message}",
            "{thread:n} Connect{message}",
            "{thread:n} Query{message}",
            "{thread:n} Quit{message}",
            "{thread:n} Init DB{message}",
        ],
        messages: MYSQL,
        inside: Inside::Nothing,
        source: ("mysql", "database", ""),
    },
    TextLog {
        name: "mysql_old",
        description: "error log of MySQL and MariaDB in its older form",
        clocks: &[Clock::Compact],
        headers: &["[{level}] {message}", "{thread:n} [{level}] {message}"],
        messages: MYSQL,
        inside: Inside::Nothing,
        source: ("mysql", "database", ""),
    },
    TextLog {
        name: "mssql",
        description: "SQL Server's error log",
        clocks: &[Clock::Iso],
        headers: &[
            "Logon  {message}",
            "Server  {message}",
            "Backup  {message}",
            "spid{spid}  {message}",
        ],
        messages: &[
            message(
                "Login failed for user '{User*}'. Reason: {reason} [CLIENT: {SourceIp:i}]",
                "login",
                "failure",
            ),
            message("Login failed for user '{User*}'.", "login", "failure"),
            message(
                "Login succeeded for user '{User*}'. {_} [CLIENT: {SourceIp:i}]",
                "login",
                "success",
            ),
            message(
                "Error: {error_code:n}, Severity: {severity:n}, State: {state:n}.",
                "",
                "",
            ),
            message(
                "Configuration option '{option}' changed from {before} to {after}. Run",
                "configure",
                "success",
            ),
            message("Starting up database '{database}'", "database_start", ""),
            message(
                "Database backed up. Database: {database}, ",
                "backup",
                "success",
            ),
            message(
                "Database was restored: Database: {database}, ",
                "restore",
                "success",
            ),
            message(
                "BACKUP failed to complete the command {CommandLine}",
                "backup",
                "failure",
            ),
        ],
        inside: Inside::Nothing,
        source: ("sql", "database", "mssql"),
    },
    TextLog {
        name: "odoo",
        description: "Odoo's server log",
        clocks: &[Clock::Iso],
        headers: &["{pid:n} {level} {database} odoo.{logger}: {message}"],
        messages: &[
            message(
                "Login failed for db:{database} login:{User*} from {SourceIp:a}",
                "login",
                "failure",
            ),
            message(
                "Login successful for db:{database} login:{User*} from {SourceIp:a}",
                "login",
                "success",
            ),
        ],
        inside: Inside::Nothing,
        source: ("", "application", "odoo"),
    },
    TextLog {
        name: "openvpn",
        description: "OpenVPN's log",
        clocks: &[Clock::Iso, Clock::Ctime],
        headers: OPENVPN_HEADERS,
        messages: OPENVPN,
        inside: Inside::Nothing,
        source: ("", "application", "openvpn"),
    },
    TextLog {
        name: "proftpd",
        description: "ProFTPD's own log",
        clocks: &[Clock::Iso],
        headers: &["{hostname} proftpd[{pid:n}] {message}"],
        messages: PROFTPD,
        inside: Inside::Nothing,
        source: ("linux", "", "proftpd"),
    },
    TextLog {
        name: "vsftpd",
        description: "vsftpd's own log",
        clocks: &[Clock::Ctime],
        headers: &["[pid {pid:n}] {message}"],
        messages: VSFTPD,
        inside: Inside::Nothing,
        source: ("linux", "", "vsftpd"),
    },
    TextLog {
        name: "exim",
        description: "Exim's main and reject log",
        clocks: &[Clock::Iso],
        headers: &[
            "{_} authenticator failed for {_}",
            "H={_} [{_:i}]{_}",
            "{queue_id} <= {_}",
            "{queue_id} => {_}",
            "{queue_id} -> {_}",
            "{queue_id} ** {_}",
            "{queue_id} == {_}",
            "{queue_id} Completed{_}",
            "no host name found for IP address {_}",
            "Start queue run{_}",
            "End queue run{_}",
        ],
        messages: EXIM,
        inside: Inside::Nothing,
        source: ("", "application", "exim"),
    },
    TextLog {
        name: "bind",
        description: "BIND's query and security log",
        clocks: &[Clock::DayFirst, Clock::None],
        headers: BIND_HEADERS,
        messages: BIND,
        inside: Inside::Nothing,
        source: ("", "dns", "bind"),
    },
    TextLog {
        name: "suricata_fast",
        description: "Suricata's and Snort's fast log",
        clocks: &[Clock::MonthFirst, Clock::MonthFirstWithoutYear],
        headers: &[
            "[**] [{gid:n}:{signature_id:n}:{rev:n}] {message} [**] [Classification: {classification}] [Priority: {priority:n}] {protocol} {SourceIp:i}:{SourcePort:n} -> {DestinationIp:i}:{DestinationPort:n}",
            "[**] [{gid:n}:{signature_id:n}:{rev:n}] {message} [**] [Classification: {classification}] [Priority: {priority:n}] {protocol} {SourceIp:i} -> {DestinationIp:i}",
            "[**] [{gid:n}:{signature_id:n}:{rev:n}] {message} [**] [Priority: {priority:n}] {protocol} {SourceIp:i}:{SourcePort:n} -> {DestinationIp:i}:{DestinationPort:n}",
        ],
        messages: &[],
        inside: Inside::Nothing,
        source: ("suricata", "", "suricata"),
    },
    TextLog {
        name: "asterisk",
        description: "Asterisk's security log",
        clocks: &[Clock::BracketedBsd],
        headers: &[
            "{level}[{pid:n}]{_}SecurityEvent={_}",
            "{level}[{pid:n}]{_}: {message}",
        ],
        messages: &[
            message(
                "{_}SecurityEvent=\"SuccessfulAuth\"{_}AccountID=\"{User}\"{_}RemoteAddress=\"{_}/{_}/{SourceIp:i}/{SourcePort:n}\"",
                "login",
                "success",
            ),
            message(
                "{_}SecurityEvent=\"{_}AccountID=\"{User}\"{_}RemoteAddress=\"{_}/{_}/{SourceIp:i}/{SourcePort:n}\"",
                "login",
                "failure",
            ),
        ],
        inside: Inside::Pairs(&[',', ' ']),
        source: ("", "application", "asterisk"),
    },
    TextLog {
        name: "proxmox",
        description: "Proxmox's firewall and backup server logs",
        clocks: &[Clock::None],
        headers: &[
            "{vmid:n} {log_level:n} {chain} {time:t} policy {message}",
            "{vmid:n} {log_level:n} {chain} {time:t} ACCEPT{message}",
            "{vmid:n} {log_level:n} {chain} {time:t} DROP{message}",
            "{vmid:n} {log_level:n} {chain} {time:t} REJECT{message}",
            "{vmid:n} {log_level:n} {chain} {time:t} PVEFW-{message}",
            "{vmid:n} {log_level:n} {chain} {time:t} IN={_}",
            "{time}: authentication failure; {_}",
            "{time}: successful auth for user {_}",
        ],
        messages: PROXMOX,
        inside: Inside::Packet,
        source: ("linux", "", "proxmox"),
    },
    TextLog {
        name: "samba",
        description: "Samba's authentication audit log",
        clocks: &[Clock::None],
        headers: &["Auth: [{_}] user [{_}"],
        messages: &[
            message(
                "Auth: [{protocol}] user [{domain}]\\[{User*}] at [{time}] with [{AuthMethod}] status [NT_STATUS_OK] workstation [{workstation}] remote host [{_}:{SourceIp:i}:{SourcePort:n}]",
                "login",
                "success",
            ),
            message(
                "Auth: [{protocol}] user [{domain}]\\[{User*}] at [{time}] with [{AuthMethod}] status [{reason}] workstation [{workstation}] remote host [{_}:{SourceIp:i}:{SourcePort:n}]",
                "login",
                "failure",
            ),
        ],
        inside: Inside::Nothing,
        source: ("linux", "", "samba"),
    },
    TextLog {
        name: "line",
        description: "lines of single services: dropbear without syslog, CouchDB, tcpdump",
        clocks: &[Clock::None],
        headers: &[
            "[{level}] {time} {node} <{process}> {request_id} {cs-host} {c-ip:i} {User} {cs-method} {target} {sc-status:n} {_}",
            "{clock} IP {SourceIp:i}.{SourcePort:n} > {DestinationIp:i}.{DestinationPort:n}: {message}",
            "Bad PAM password attempt {_}",
            "Bad password attempt {_}",
            "Login attempt for nonexistent user{_}",
            "Exit before auth {_}",
            "Exit ({_}): {_}",
        ],
        messages: DROPBEAR,
        inside: Inside::Nothing,
        source: ("", "", ""),
    },
];

pub(super) const KEYCLOAK: &[Message] = &[
    message("{_}type=LOGIN_ERROR, {_}", "login", "failure"),
    message("{_}type=\"LOGIN_ERROR\", {_}", "login", "failure"),
    message("{_}type=LOGIN, {_}", "login", "success"),
    message("{_}type=\"LOGIN\", {_}", "login", "success"),
    message("{_}type=LOGOUT, {_}", "logout", "success"),
    message("{_}type=\"LOGOUT\", {_}", "logout", "success"),
    message(
        "{_}type=\"UPDATE_PASSWORD\", {_}",
        "password_change",
        "success",
    ),
    message(
        "{_}type=\"UPDATE_CREDENTIAL\", {_}",
        "password_change",
        "success",
    ),
    message("{_}type=\"REGISTER\", {_}", "user_add", "success"),
    message("{_}type=\"IMPERSONATE\", {_}", "impersonate", "success"),
    message(
        "{_}type=\"USER_DISABLED_BY_{_}\", {_}",
        "login_limit",
        "failure",
    ),
    // What an administrator does: a Keycloak event of another kind.
    message("operationType={_}error={reason}", "administer", "failure"),
    message("operationType={_}", "administer", "success"),
];

pub(super) const POSTGRESQL: &[Message] = &[
    message(
        "password authentication failed for user \"{User*}\"",
        "login",
        "failure",
    ),
    message(
        "{AuthMethod} authentication failed for user \"{User*}\"",
        "login",
        "failure",
    ),
    message(
        "no pg_hba.conf entry for host \"{SourceIp:a}\", user \"{User}\", database \"{database}\"",
        "login",
        "failure",
    ),
    message("role \"{User*}\" does not exist", "login", "failure"),
    message(
        "connection authorized: user={User} database={database}",
        "login",
        "success",
    ),
    message(
        "connection received: host={SourceIp:a} port={SourcePort:n}",
        "connect",
        "success",
    ),
    message(
        "disconnection: session time: {duration} user={User} database={database} host={SourceIp:a} port={SourcePort:n}",
        "disconnect",
        "",
    ),
    message(
        "duration: {duration} ms  {_}: {statement}",
        "query",
        "success",
    ),
    message(
        "AUDIT: {audit_type},{statement_id:n},{_:n},{audit_class},{audit_command},{object_type},{object},{_}",
        "query",
        "",
    ),
    message("statement: {statement}", "query", ""),
];

/// HAProxy's lines, within syslog and without.
pub(crate) const HAPROXY: &[&str] = &[
    // With headers captured, and without.
    "{c-ip:i}:{c-port:n} [{time}] {frontend} {backend} {timers} {sc-status:n} {sc-bytes:n} {_} {_} {termination} {connections} {queues} {captured_headers} \"{request*}\"",
    "{c-ip:i}:{c-port:n} [{time}] {frontend} {backend} {timers} {sc-status:n} {sc-bytes:n} {_} {_} {termination} {connections} {queues} \"{request*}\"",
    // TCP.
    "{c-ip:i}:{c-port:n} [{time}] {frontend} {backend} {timers} {sc-bytes:n} {termination} {connections} {queues}",
    "{c-ip:i}:{c-port:n} [{time}] {frontend}: {message}",
];

/// What HAProxy says beside its clients' requests.
pub(crate) const HAPROXY_MESSAGES: &[Message] = &[
    message("SSL handshake failure{_}", "connect", "failure"),
    message("Stopped a TLS{_}", "connect", "failure"),
    message(
        "Connect from {SourceIp:i}:{SourcePort:n} to {DestinationIp:i}:{DestinationPort:n} ({frontend})",
        "connect",
        "success",
    ),
    message(
        "Server {server} is DOWN, reason: {reason}",
        "server_down",
        "",
    ),
    message("Server {server} is UP, reason: {reason}", "server_up", ""),
    message(
        "backend {backend} has no server available!",
        "server_down",
        "failure",
    ),
];

const MYSQL: &[Message] = &[
    message(
        "Access denied for user '{User*}'@'{SourceIp:a}' (using password: {_})",
        "login",
        "failure",
    ),
    message(
        "{User}@{SourceIp:a} on {database} using {protocol}",
        "login",
        "success",
    ),
    message(
        "Aborted connection {_} to db: '{database}' user: '{User}' host: '{SourceIp:a}' ({reason})",
        "disconnect",
        "failure",
    ),
    message(
        "Host '{SourceIp:a}' is blocked because of many connection errors",
        "connect",
        "failure",
    ),
];

/// `client @0x7f 1.2.3.4#53 (name): ...`, after whatever categories and severities are logged.
pub(crate) const BIND_HEADERS: &[&str] = &[
    "client @{_} {SourceIp:i}#{SourcePort:n} ({_}): view {view}: {message}",
    "{log_category}: {severity}: client @{_} {SourceIp:i}#{SourcePort:n} ({_}): view {view}: {message}",
    "{log_category}: client @{_} {SourceIp:i}#{SourcePort:n} ({_}): view {view}: {message}",
    "client @{_} {SourceIp:i}#{SourcePort:n} ({_}): {message}",
    "client @{_} {SourceIp:i}#{SourcePort:n}: {message}",
    "client {SourceIp:i}#{SourcePort:n} ({_}): {message}",
    "client {SourceIp:i}#{SourcePort:n}: {message}",
    "{log_category}: client @{_} {SourceIp:i}#{SourcePort:n} ({_}): {message}",
    "{log_category}: {severity}: client @{_} {SourceIp:i}#{SourcePort:n} ({_}): {message}",
    "{log_category}: {severity}: client {SourceIp:i}#{SourcePort:n} ({_}): {message}",
];

pub(crate) const BIND: &[Message] = &[
    message(
        "query: {query} {class} {record_type} {flags} ({DestinationIp:i})",
        "query",
        "",
    ),
    message("query: {query} {class} {record_type}", "query", ""),
    message(
        "query (cache) '{query}/{record_type}/{class}' denied",
        "query",
        "failure",
    ),
    message(
        "query '{query}/{record_type}/{class}' denied",
        "query",
        "failure",
    ),
    message(
        "zone transfer '{query}/{record_type}/{class}' denied",
        "zone_transfer",
        "failure",
    ),
    message(
        "bad zone transfer request: '{query}/{class}': {reason}",
        "zone_transfer",
        "failure",
    ),
    message(
        "transfer of '{query}/{class}': AXFR started",
        "zone_transfer",
        "success",
    ),
    message("update '{query}/{class}' denied", "update", "failure"),
    message(
        "rpz {_} {policy} rewrite {query}/{record_type}/{class} via {rule}",
        "block",
        "failure",
    ),
];

/// OpenVPN's lines, within syslog and without.
pub(crate) const OPENVPN_HEADERS: &[&str] = &[
    "{SourceIp:i}:{SourcePort:n}/{User} {message}",
    "{SourceIp:i}:{SourcePort:n} {message}",
    "{User}/{SourceIp:i}:{SourcePort:n} {message}",
    "OpenVPN {_}",
    "Incoming {_}",
    "Outgoing {_}",
    "MULTI: {_}",
    "TLS Error: {_}",
    "TLS: {_}",
    "VERIFY {_}",
    "library versions: {_}",
    "Initialization Sequence {_}",
    "Listening for {_}",
    "TUN/TAP {_}",
    "TCP connection {_}",
    "Authenticate/Decrypt {_}",
    "AUTH: {_}",
];

pub(crate) const OPENVPN: &[Message] = &[
    message("TLS Auth Error: {reason}", "login", "failure"),
    message(
        "TLS Error: {reason} from [AF_INET]{SourceIp:i}:{SourcePort:n}",
        "connect",
        "failure",
    ),
    message("TLS Error: {reason}", "connect", "failure"),
    message("VERIFY ERROR: {reason}", "connect", "failure"),
    message(
        "Authenticate/Decrypt packet error: {reason}",
        "connect",
        "failure",
    ),
    message("SENT CONTROL [{User}]: 'AUTH_FAILED{_}", "login", "failure"),
    message("[UNDEF] Peer Connection Initiated{_}", "connect", ""),
    message("[{User}] Peer Connection Initiated{_}", "login", "success"),
    message(
        "TCP connection established with [AF_INET]{SourceIp:i}:{SourcePort:n}",
        "connect",
        "success",
    ),
];
