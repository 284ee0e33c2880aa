//! What a JSON object is, by the names of its fields: whose log it is, which log source, and what more it says.

use super::{
    Fit, Format, NotThisFormat, auditd, cloud_shapes, docker, gelf, json, modsecurity,
    service_shapes, shipper_shapes, target_fields, windows,
};
use crate::beginning::Begins;
use crate::classify;
use crate::context::Taxonomy;
use crate::draft::Draft;
use crate::event::Value;
use crate::messages::{self, Syslog};
use crate::time::Timestamp;

/// A kind of JSON log.
pub(super) struct Shape {
    name: &'static str,
    /// Of each of these lists one name must be there.
    needs: &'static [&'static [&'static str]],
    finish: for<'a> fn(&mut Draft<'a, '_>),
}

pub(super) const fn shape(
    name: &'static str,
    needs: &'static [&'static [&'static str]],
    finish: for<'a> fn(&mut Draft<'a, '_>),
) -> Shape {
    Shape {
        name,
        needs,
        finish,
    }
}

static SHAPES: &[Shape] = &[
    shape(
        "journald",
        &[
            &["MESSAGE"],
            &["__REALTIME_TIMESTAMP", "_HOSTNAME", "_TRANSPORT"],
        ],
        journald,
    ),
    shape("gelf", gelf::NEEDS, gelf::finish),
    shape("modsecurity", modsecurity::NEEDS, modsecurity::finish),
    shape("docker", &[&["log"], &["stream"], &["time"]], container),
    shape(
        "suricata",
        &[
            &["event_type"],
            &["flow_id", "src_ip", "stats.uptime", "in_iface"],
        ],
        suricata,
    ),
    shape(
        "zeek",
        &[&["@stream", "_path"], &["@proc", "ts", "uid", "_write_ts"]],
        zeek,
    ),
    shape(
        "zeek",
        &[&["ts"], &["uid"], &["id.orig_h", "id_orig_h"]],
        zeek,
    ),
    shape(
        "cloudtrail",
        &[&["eventVersion"], &["eventSource"], &["eventName"]],
        cloudtrail,
    ),
    shape(
        "kubernetes_audit",
        &[&["auditID"], &["verb"], &["requestURI"]],
        kubernetes,
    ),
    shape(
        "web_json",
        &[&["request.method"], &["request.uri"], &["status"]],
        caddy,
    ),
    shape(
        "web_json",
        &[
            &["method"],
            &["path", "x-envoy-origin-path"],
            &["response_code"],
        ],
        envoy,
    ),
    shape(
        "web_json",
        &[
            &["RequestMethod"],
            &["RequestPath"],
            &["DownstreamStatus", "OriginStatus"],
        ],
        traefik,
    ),
    shape(
        "web_json",
        &[
            &["request_method", "method"],
            &["request_uri", "uri"],
            &["status"],
            &["remote_addr", "remote_ip"],
        ],
        nginx_json,
    ),
    shape(
        "json",
        &[&["reqId"], &["remoteAddr"], &["message"]],
        service_shapes::nextcloud,
    ),
    shape(
        "json",
        &[&["t.$date"], &["c"], &["ctx"], &["msg"]],
        service_shapes::mongodb,
    ),
    shape(
        "json",
        &[&["atype"], &["ts.$date"], &["result"]],
        service_shapes::mongodb_audit,
    ),
    shape(
        "json",
        &[
            &["class"],
            &["event"],
            &["connection_id"],
            &["login.user", "account.user", "account.host"],
        ],
        service_shapes::mysql_audit,
    ),
    shape(
        "json",
        &[
            &["audit_record.name"],
            &["audit_record.record", "audit_record.timestamp"],
        ],
        service_shapes::percona_audit,
    ),
    shape(
        "json",
        &[&["loggerName"], &["threadName"], &["message"], &["level"]],
        service_shapes::java_server,
    ),
    shape(
        "json",
        &[&["who"], &["what"], &["action"], &["clientIpAddress"]],
        service_shapes::cas,
    ),
    shape(
        "json",
        &[&["companyId"], &["className"], &["classPK"], &["eventType"]],
        service_shapes::liferay,
    ),
    shape(
        "json",
        &[
            &["type"],
            &[
                "Authentication.remoteAddress",
                "Authorization.remoteAddress",
            ],
        ],
        service_shapes::samba,
    ),
    shape(
        "json",
        &[
            &["error_severity"],
            &["session_id"],
            &["backend_type", "dbname"],
        ],
        service_shapes::postgresql,
    ),
    shape(
        "json",
        &[
            &["legacyEventType", "displayMessage"],
            &["actor.alternateId"],
        ],
        |draft| draft.source("okta", "", "okta"),
    ),
    shape(
        "json",
        &[
            &["riskEventType", "properties.riskEventType"],
            &[
                "riskLevel",
                "riskState",
                "properties.riskLevel",
                "properties.riskState",
                "riskDetail",
                "properties.riskDetail",
            ],
        ],
        cloud_shapes::azure_risk,
    ),
    shape(
        "json",
        &[&["logtype"], &["node_id"], &["src_host"], &["dst_host"]],
        cloud_shapes::opencanary,
    ),
    shape(
        "json",
        &[&["auditType.category"], &["auditType.action"]],
        cloud_shapes::bitbucket,
    ),
    shape(
        "json",
        &[&["txid"], &["access_device.ip"], &["user.name"]],
        cloud_shapes::duo,
    ),
    shape(
        "json",
        &[&["event_type_id"], &["actor_user_id", "user_id"]],
        cloud_shapes::onelogin,
    ),
    shape(
        "json",
        &[
            &["operationName"],
            &[
                "properties.deviceDetail.deviceId",
                "properties.authenticationRequirement",
            ],
        ],
        azure_sign_in,
    ),
    shape(
        "json",
        &[
            &["operationName", "OperationName"],
            &[
                "properties.targetResources",
                "properties.activityDisplayName",
                "LoggedByService",
            ],
        ],
        |draft| {
            cloud_shapes::azure_names(draft);
            draft.source("azure", "", "auditlogs");
        },
    ),
    shape(
        "json",
        &[&["operationName"], &["resourceId", "ResourceId"]],
        |draft| {
            draft.alias("caller", "User");
            draft.alias(
                "identity.claims.http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
                "User",
            );
            draft.alias("identity.claims.name", "User");
            cloud_shapes::azure_names(draft);
            draft.source("azure", "", "activitylogs");
        },
    ),
    shape(
        "json",
        &[&["Workload"], &["Operation"], &["CreationTime"]],
        cloud_shapes::m365,
    ),
    shape(
        "json",
        &[
            &["id.applicationName"],
            &["actor.email", "actor.callerType"],
        ],
        cloud_shapes::google_workspace,
    ),
    shape(
        "json",
        &[&["protoPayload.serviceName", "protoPayload.methodName"]],
        cloud_shapes::gcp,
    ),
    shape(
        "json",
        &[
            &["_document_id", "actor_id"],
            &["action"],
            &["org", "repo", "org_id"],
        ],
        |draft| draft.source("github", "", "audit"),
    ),
];

const fn json_format(
    name: &'static str,
    description: &'static str,
    read: for<'a> fn(&mut Draft<'a, '_>, &'a str) -> Fit,
) -> Format {
    Format {
        name,
        description,
        begins: Begins::NOTHING,
        detect: |_| None,
        read,
    }
}

/// Reads JSON that is to have the shape of that name.
macro_rules! shaped {
    ($name:literal) => {
        |draft, text| {
            json::read(draft, text)?;
            if draft.event.format == $name {
                Ok(())
            } else {
                Err(NotThisFormat)
            }
        }
    };
}

pub(super) const JOURNALD: Format = json_format(
    "journald",
    "systemd's journal as JSON (journalctl -o json)",
    shaped!("journald"),
);
pub(super) const GELF: Format = json_format("gelf", "Graylog's GELF", shaped!("gelf"));
pub(super) const MODSECURITY: Format = json_format(
    "modsecurity",
    "ModSecurity's audit log as JSON",
    shaped!("modsecurity"),
);
pub(super) const DOCKER: Format = json_format(
    "docker",
    "a container's output as Docker's json-file driver writes it",
    shaped!("docker"),
);
pub(super) const LAUREL: Format =
    json_format("laurel", "Linux audit as laurel's JSON", shaped!("laurel"));
pub(super) const SURICATA: Format =
    json_format("suricata", "Suricata's EVE JSON", shaped!("suricata"));
pub(super) const ZEEK: Format = json_format("zeek", "Zeek's logs as JSON", shaped!("zeek"));
pub(super) const CLOUDTRAIL: Format =
    json_format("cloudtrail", "AWS CloudTrail", shaped!("cloudtrail"));
pub(super) const KUBERNETES_AUDIT: Format = json_format(
    "kubernetes_audit",
    "Kubernetes audit events",
    shaped!("kubernetes_audit"),
);
pub(super) const WEB_JSON: Format = json_format(
    "web_json",
    "access logs as JSON: Caddy, Envoy, Traefik, nginx",
    shaped!("web_json"),
);

/// Names the event by its shape and adds what follows from it.
pub(super) fn finish(draft: &mut Draft<'_, '_>) {
    if draft.event.format == "laurel" {
        auditd::finish_laurel(draft);
        return;
    }
    let outer = draft.event.format;
    draft.event.format = "json";
    if draft.context.taxonomy == Taxonomy::AsRecorded {
        windows::time_and_host(draft);
    } else if windows::is_windows_event(draft) {
        windows::finish(draft);
    } else if let Some(found) = shape_of(draft) {
        draft.event.format = found.name;
        (found.finish)(draft);
    }
    named_source(draft);
    if is_wrapper(outer) {
        draft.event.format = outer;
    }
}

/// Formats whose inner message may be JSON: they keep their name.
fn is_wrapper(format: &str) -> bool {
    matches!(
        format,
        "syslog" | "cri" | "docker" | "journald" | "gelf" | "otlp"
    )
}

/// The first shape that the names are of.
fn shape_of(draft: &mut Draft<'_, '_>) -> Option<&'static Shape> {
    let key = if draft.is_nested() {
        " shape of what is nested"
    } else {
        " shape"
    };
    let place = draft.follows_from_names(key, |draft| {
        let mut all = SHAPES.iter().chain(&shipper_shapes::SHAPES);
        all.position(|shape| fits(draft, shape))
    })?;
    SHAPES
        .get(place)
        .or_else(|| shipper_shapes::SHAPES.get(place - SHAPES.len()))
}

fn fits(draft: &mut Draft<'_, '_>, shape: &Shape) -> bool {
    // The fields of the wrapper that an inner object stands in are no sign of that object's shape.
    if draft.is_nested() && is_wrapper(shape.name) {
        return false;
    }
    shape
        .needs
        .iter()
        .all(|names| names.iter().any(|name| draft.get(name).is_some()))
}

/// A log that says itself what it is: that completes what was concluded, as far as it does not contradict.
fn named_source<'a>(draft: &mut Draft<'a, '_>) {
    static PARTS: [&str; 3] = ["product", "category", "service"];
    let places = draft.places_of(&PARTS);
    let part = |place: usize| {
        draft
            .str_at(places[place])
            .filter(|text| text.len() <= 64 && !text.contains(' '))
            .unwrap_or("")
    };
    let [product, category, service] = [part(0), part(1), part(2)];
    // Sigma's categories are of small letters: what else is called so (`SignInLogs`) is the source's own.
    let category = if category.bytes().any(|byte| byte.is_ascii_uppercase()) {
        ""
    } else {
        category
    };
    if product.is_empty() && category.is_empty() && service.is_empty() {
        return;
    }
    let agrees = |known: &str, named: &str| {
        known.is_empty() || named.is_empty() || known.eq_ignore_ascii_case(named)
    };
    let mut completed = false;
    for source in &mut draft.event.log_sources {
        if agrees(&source.product, product)
            && agrees(&source.category, category)
            && agrees(&source.service, service)
        {
            classify::fill(&mut source.product, product);
            classify::fill(&mut source.category, category);
            classify::fill(&mut source.service, service);
            completed = true;
        }
    }
    if !completed {
        draft.event.log_sources.push(crate::event::LogSource {
            product: product.into(),
            category: category.into(),
            service: service.into(),
        });
    }
}

fn journald<'a>(draft: &mut Draft<'a, '_>) {
    if let Some(micros) = ["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"]
        .iter()
        .find_map(|name| draft.get_int(name))
    {
        draft.time(Timestamp(micros));
    }
    for (from, to) in [
        ("SYSLOG_IDENTIFIER", "program"),
        ("_COMM", "program"),
        ("_HOSTNAME", "hostname"),
        ("_PID", "pid"),
    ] {
        draft.alias(from, to);
    }
    let message = match draft.get("MESSAGE") {
        Some(Value::Str(text)) => text,
        Some(Value::List(bytes)) => text_of_bytes(draft, bytes),
        _ => "",
    };
    let program = draft.get_str("program").unwrap_or("");
    let facility = match draft.get_int("SYSLOG_FACILITY") {
        Some(4) => Some("auth"),
        Some(10) => Some("authpriv"),
        _ => None,
    };
    messages::read(
        draft,
        Syslog {
            program,
            facility,
            message,
        },
    );
}

/// The journal gives messages that are not UTF-8 as a list of bytes.
fn text_of_bytes<'a>(draft: &Draft<'a, '_>, bytes: &[Value<'_>]) -> &'a str {
    let bytes: &[u8] = draft
        .arena
        .alloc_slice_fill_iter(bytes.iter().map(|value| match value {
            Value::Int(byte) => u8::try_from(*byte).unwrap_or(b'?'),
            _ => b'?',
        }));
    bumpalo::collections::String::from_utf8_lossy_in(bytes, draft.arena).into_bump_str()
}

fn container<'a>(draft: &mut Draft<'a, '_>) {
    let message = draft.get_str("log").unwrap_or("").trim_end_matches('\n');
    docker::container_message(draft, message);
}

fn suricata(draft: &mut Draft<'_, '_>) {
    for (from, to) in [("dest_ip", "dst_ip"), ("dest_port", "dst_port")] {
        draft.alias(from, to);
    }
    draft.source("suricata", "", "suricata");
    match draft.get_str("event_type") {
        Some("dns") => {
            draft.alias("dns.rrname", "query");
            draft.alias("dns.rrtype", "record_type");
            draft.alias("dns.answers.rdata", "answer");
            draft.source("", "dns", "");
        }
        Some("alert") => draft.alias("alert.signature", "message"),
        _ => {}
    }
}

/// Zeek's logs that rules speak of as services.
pub(super) const ZEEK_SERVICES: [&str; 16] = [
    "conn",
    "dns",
    "http",
    "smb_files",
    "smb_mapping",
    "dce_rpc",
    "kerberos",
    "x509",
    "rdp",
    "ssl",
    "ssh",
    "files",
    "ftp",
    "smtp",
    "weird",
    "notice",
];

fn zeek<'a>(draft: &mut Draft<'a, '_>) {
    // The Kafka and Splunk writers have `_` where Zeek has a dot.
    for (from, to) in [
        ("id_orig_h", "id.orig_h"),
        ("id_orig_p", "id.orig_p"),
        ("id_resp_h", "id.resp_h"),
        ("id_resp_p", "id.resp_p"),
    ] {
        draft.alias(from, to);
    }
    if let Some(host) = draft.get_str("@system") {
        draft.host(host);
    }
    let stream = draft
        .get_str("@stream")
        .or_else(|| draft.get_str("_path"))
        .unwrap_or("");
    let service = ZEEK_SERVICES
        .iter()
        .find(|service| **service == stream)
        .copied()
        .unwrap_or("");
    zeek_names(draft, service);
}

/// Log sources of one of Zeek's logs, and names that rules use besides.
pub(super) fn zeek_names(draft: &mut Draft<'_, '_>, service: &'static str) {
    draft.source("zeek", "", service);
    match service {
        "dns" => {
            draft.alias("answers", "answer");
            draft.alias("qtype_name", "record_type");
            draft.source("", "dns", "");
        }
        "http" => {
            draft.alias("uri", "c-uri");
            draft.alias("user_agent", "c-useragent");
        }
        _ => {}
    }
}

fn cloudtrail(draft: &mut Draft<'_, '_>) {
    let is_refused = draft.get("errorCode").is_some()
        || draft.get("errorMessage").is_some()
        || draft.get_str("responseElements.ConsoleLogin") == Some("Failure");
    draft.action("", if is_refused { "failure" } else { "success" });
    for part in ["requestParameters", "responseElements"] {
        cloud_shapes::gather(draft, part, part);
    }
    draft.source("aws", "", "cloudtrail");
}

/// 0 is success; any other number says why not.
fn azure_sign_in(draft: &mut Draft<'_, '_>) {
    let code = ["resultType", "ResultType", "properties.status.errorCode"]
        .iter()
        .find_map(|name| draft.get_int(name));
    if let Some(code) = code {
        draft.action("login", if code == 0 { "success" } else { "failure" });
    }
    cloud_shapes::azure_names(draft);
    draft.source("azure", "", "signinlogs");
}

fn kubernetes(draft: &mut Draft<'_, '_>) {
    if let Some(code) = draft.get_int("responseStatus.code") {
        draft.action("", if code >= 400 { "failure" } else { "success" });
    }
    draft.alias("objectRef.apiGroup", "apiGroup");
    // What is asked for is a pod, or what makes pods.
    for (from, to) in [
        ("requestObject.spec.volumes.hostPath.path", "hostPath"),
        (
            "requestObject.spec.template.spec.volumes.hostPath.path",
            "hostPath",
        ),
        (
            "requestObject.spec.jobTemplate.spec.template.spec.volumes.hostPath.path",
            "hostPath",
        ),
        (
            "requestObject.spec.containers.securityContext.capabilities.add",
            "capabilities",
        ),
        (
            "requestObject.spec.template.spec.containers.securityContext.capabilities.add",
            "capabilities",
        ),
        (
            "requestObject.spec.jobTemplate.spec.template.spec.containers.securityContext.capabilities.add",
            "capabilities",
        ),
    ] {
        draft.alias(from, to);
    }
    draft.source("kubernetes", "application", "audit");
}

/// Sets the names of W3C logs from those of a server's JSON.
pub(super) fn web<'a>(
    draft: &mut Draft<'a, '_>,
    names: &[(&'static str, &'static str)],
    target: &'static str,
) {
    for (from, to) in names {
        draft.alias(from, to);
    }
    if let Some(target) = draft.get_str(target) {
        target_fields(draft, target);
    }
    if let Some(status) = draft.get_int("sc-status") {
        draft.set("sc-status", Value::Int(status));
        draft.action("", if status >= 400 { "failure" } else { "success" });
    }
    draft.alias("cs-method", "action");
}

fn caddy(draft: &mut Draft<'_, '_>) {
    let names = [
        ("request.client_ip", "c-ip"),
        ("request.remote_ip", "c-ip"),
        ("request.method", "cs-method"),
        ("request.host", "cs-host"),
        ("request.proto", "cs-version"),
        ("status", "sc-status"),
        ("size", "sc-bytes"),
        ("request.headers.User-Agent", "cs-user-agent"),
        ("request.headers.Referer", "cs-referer"),
        ("user_id", "cs-username"),
        ("duration", "time-taken"),
    ];
    web(draft, &names, "request.uri");
    draft.source("", "webserver", "caddy");
}

fn envoy(draft: &mut Draft<'_, '_>) {
    let names = [
        ("method", "cs-method"),
        (":authority", "cs-host"),
        ("user-agent", "cs-user-agent"),
        ("x-forwarded-for", "c-ip"),
        ("authority", "cs-host"),
        ("protocol", "cs-version"),
        ("response_code", "sc-status"),
        ("bytes_sent", "sc-bytes"),
        ("user_agent", "cs-user-agent"),
        ("x_forwarded_for", "c-ip"),
        ("downstream_remote_address", "c-ip"),
        ("duration", "time-taken"),
    ];
    draft.alias("x-envoy-origin-path", "path");
    web(draft, &names, "path");
    draft.source("", "webserver", "envoy");
}

fn traefik(draft: &mut Draft<'_, '_>) {
    let names = [
        ("ClientHost", "c-ip"),
        ("ClientPort", "c-port"),
        ("RequestMethod", "cs-method"),
        ("RequestHost", "cs-host"),
        ("RequestProtocol", "cs-version"),
        ("DownstreamStatus", "sc-status"),
        ("OriginStatus", "sc-status"),
        ("DownstreamContentSize", "sc-bytes"),
        ("request_User-Agent", "cs-user-agent"),
        ("request_Referer", "cs-referer"),
        ("ClientUsername", "cs-username"),
    ];
    web(draft, &names, "RequestPath");
    draft.source("", "webserver", "traefik");
}

fn nginx_json(draft: &mut Draft<'_, '_>) {
    let names = [
        ("remote_addr", "c-ip"),
        ("remote_ip", "c-ip"),
        ("request_method", "cs-method"),
        ("method", "cs-method"),
        ("status", "sc-status"),
        ("body_bytes_sent", "sc-bytes"),
        ("host", "cs-host"),
        ("server_name", "cs-host"),
        ("http_user_agent", "cs-user-agent"),
        ("http_referer", "cs-referer"),
        ("remote_user", "cs-username"),
        ("request_time", "time-taken"),
    ];
    let target = if draft.get("request_uri").is_some() {
        "request_uri"
    } else {
        "uri"
    };
    web(draft, &names, target);
    draft.source("", "webserver", "nginx");
}
