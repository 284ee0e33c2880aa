//! OpenSSH's server.

use super::pattern::{Message, message, message_with};
use crate::event::Value;

const UNKNOWN_USER: &[(&str, Value<'static>)] = &[("UserKnown", Value::Bool(false))];
const PREAUTH: &[(&str, Value<'static>)] = &[("preauth", Value::Bool(true))];
const PREAUTH_UNKNOWN: &[(&str, Value<'static>)] = &[
    ("preauth", Value::Bool(true)),
    ("UserKnown", Value::Bool(false)),
];

pub(super) static MESSAGES: &[Message] = &[
    message(
        "Accepted {AuthMethod} for {User*} from {SourceIp:a} port {SourcePort:n} ssh2: {KeyType} {KeyFingerprint}",
        "login",
        "success",
    ),
    message(
        "Accepted {AuthMethod} for {User*} from {SourceIp:a} port {SourcePort:n}",
        "login",
        "success",
    ),
    message_with(
        "Failed {AuthMethod} for invalid user {User*} from {SourceIp:a} port {SourcePort:n}",
        "login",
        "failure",
        UNKNOWN_USER,
    ),
    message_with(
        "Failed {AuthMethod} for illegal user {User*} from {SourceIp:a} port {SourcePort:n}",
        "login",
        "failure",
        UNKNOWN_USER,
    ),
    message(
        "Failed {AuthMethod} for {User*} from {SourceIp:a} port {SourcePort:n}",
        "login",
        "failure",
    ),
    message(
        "Postponed {AuthMethod} for {User*} from {SourceIp:a} port {SourcePort:n}",
        "authenticate",
        "",
    ),
    message(
        "Partial {AuthMethod} for {User*} from {SourceIp:a} port {SourcePort:n}",
        "authenticate",
        "",
    ),
    message_with(
        "Invalid user {User*} from {SourceIp:a} port {SourcePort:n}",
        "invalid_user",
        "failure",
        UNKNOWN_USER,
    ),
    message_with(
        "Invalid user {User*} from {SourceIp:a}$",
        "invalid_user",
        "failure",
        UNKNOWN_USER,
    ),
    message_with(
        "error: PAM: {reason} for illegal user {User*} from {SourceIp:a}",
        "login",
        "failure",
        UNKNOWN_USER,
    ),
    message(
        "error: PAM: {reason} for {User*} from {SourceIp:a}",
        "login",
        "failure",
    ),
    message_with(
        "Connection {_} by invalid user {User*} {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "failure",
        PREAUTH_UNKNOWN,
    ),
    message_with(
        "Connection {_} by authenticating user {User*} {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message_with(
        "Connection {_} by {SourceIp:a} port {SourcePort:n} [preauth]",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message(
        "Connection {_} by {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "",
    ),
    message_with(
        "Connection {_} by {SourceIp:a} [preauth]",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message_with(
        "Disconnected from invalid user {User*} {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "failure",
        PREAUTH_UNKNOWN,
    ),
    message_with(
        "Disconnected from {_} user {User*} {SourceIp:a} port {SourcePort:n} [preauth]",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message(
        "Disconnected from user {User*} {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "",
    ),
    message_with(
        "Disconnected from {SourceIp:a} port {SourcePort:n} [preauth]",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message(
        "Disconnected from {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "",
    ),
    message_with(
        "Disconnecting invalid user {User*} {SourceIp:a} port {SourcePort:n}: {reason}",
        "disconnect",
        "failure",
        PREAUTH_UNKNOWN,
    ),
    message_with(
        "Disconnecting authenticating user {User*} {SourceIp:a} port {SourcePort:n}: {reason}",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message_with(
        "Disconnecting {SourceIp:a} port {SourcePort:n}: {reason}",
        "disconnect",
        "failure",
        PREAUTH,
    ),
    message(
        "Received disconnect from {SourceIp:a} port {SourcePort:n}:{_}: {reason}",
        "disconnect",
        "",
    ),
    message(
        "Received disconnect from {SourceIp:a}: {_}: {reason}",
        "disconnect",
        "",
    ),
    message_with(
        "error: maximum authentication attempts exceeded for invalid user {User*} from {SourceIp:a} port {SourcePort:n}",
        "login_limit",
        "failure",
        UNKNOWN_USER,
    ),
    message(
        "error: maximum authentication attempts exceeded for {User*} from {SourceIp:a} port {SourcePort:n}",
        "login_limit",
        "failure",
    ),
    message(
        "Did not receive identification string from {SourceIp:a} port {SourcePort:n}",
        "negotiate",
        "failure",
    ),
    message(
        "Did not receive identification string from {SourceIp:a}",
        "negotiate",
        "failure",
    ),
    message(
        "Bad protocol version identification '{reason*}' from {SourceIp:a} port {SourcePort:n}",
        "negotiate",
        "failure",
    ),
    message(
        "Unable to negotiate with {SourceIp:a} port {SourcePort:n}: {reason}",
        "negotiate",
        "failure",
    ),
    message(
        "fatal: Unable to negotiate with {SourceIp:a} port {SourcePort:n}: {reason}",
        "negotiate",
        "failure",
    ),
    message(
        "banner exchange: Connection from {SourceIp:a} port {SourcePort:n}: {reason}",
        "negotiate",
        "failure",
    ),
    message(
        "ssh_dispatch_run_fatal: Connection from {SourceIp:a} port {SourcePort:n}: {reason}",
        "negotiate",
        "failure",
    ),
    message(
        "Magic value check failed ({_}) on obfuscated handshake from {SourceIp:a} port {SourcePort:n}",
        "negotiate",
        "failure",
    ),
    message(
        "error: kex_exchange_identification: {reason}",
        "negotiate",
        "failure",
    ),
    message(
        "kex_exchange_identification: {reason}",
        "negotiate",
        "failure",
    ),
    message(
        "Protocol major versions differ for {SourceIp:a} port {SourcePort:n}",
        "negotiate",
        "failure",
    ),
    message(
        "fatal: Timeout before authentication for connection from {SourceIp:a} to {DestinationIp:a}",
        "disconnect",
        "failure",
    ),
    message(
        "fatal: Timeout before authentication for {SourceIp:a} port {SourcePort:n}",
        "disconnect",
        "failure",
    ),
    message(
        "Timeout before authentication for connection from {SourceIp:a} to {DestinationIp:a}",
        "disconnect",
        "failure",
    ),
    message(
        "drop connection {_} from [{SourceIp:a}]:{SourcePort:n} on [{DestinationIp:a}]:{DestinationPort:n} {reason}",
        "connect",
        "failure",
    ),
    message(
        "User {User*} from {SourceIp:a} not allowed because {reason}",
        "login",
        "failure",
    ),
    message(
        "User {User*} not allowed because {reason}",
        "login",
        "failure",
    ),
    message(
        "reverse mapping checking getaddrinfo for {SourceHostname} [{SourceIp:a}] failed",
        "",
        "",
    ),
    message("Authentication refused: {reason}", "login", "failure"),
    message(
        "Starting session: {SessionType} for {User*} from {SourceIp:a} port {SourcePort:n}",
        "session_open",
        "success",
    ),
    message(
        "Close session: user {User*} from {SourceIp:a} port {SourcePort:n}",
        "session_close",
        "success",
    ),
    message(
        "Connection from {SourceIp:a} port {SourcePort:n} on {DestinationIp:a} port {DestinationPort:n}",
        "connect",
        "success",
    ),
    message(
        "Connection from {SourceIp:a} port {SourcePort:n}",
        "connect",
        "success",
    ),
    message(
        "Server listening on {DestinationIp:a} port {DestinationPort:n}",
        "listen",
        "success",
    ),
    message(
        "Received signal {signal:n}; terminating",
        "service_stop",
        "success",
    ),
    message(
        "subsystem request for {subsystem} by user {User}",
        "subsystem",
        "success",
    ),
    message(
        "refused connect from {_} ({SourceIp:i})",
        "connect",
        "failure",
    ),
];
