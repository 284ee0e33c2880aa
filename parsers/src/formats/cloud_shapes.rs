//! The names that SigmaHQ's rules use for logs of clouds and of services that write JSON, beside those that the logs have.

use crate::draft::Draft;
use crate::event::Value;
use crate::scan;
use crate::when;

/// Azure Monitor writes its tables' columns in another case than its diagnostic settings, and rules know both; what they
/// call `properties.message` is what was done.
const AZURE: [(&str, &str); 34] = [
    ("properties.activityDisplayName", "properties.message"),
    ("ActivityDisplayName", "properties.message"),
    ("operationName", "properties.message"),
    ("OperationName", "properties.message"),
    ("operationName", "OperationName"),
    ("OperationName", "operationName"),
    ("operationName", "OperationNameValue"),
    ("category", "Category"),
    ("category", "CategoryValue"),
    ("resourceId", "ResourceId"),
    ("resultType", "ResultType"),
    ("ResultType", "resultType"),
    ("properties.status.errorCode", "ResultType"),
    ("resultDescription", "ResultDescription"),
    ("properties.status.failureReason", "ResultDescription"),
    ("properties.activityDisplayName", "ActivityDisplayName"),
    ("properties.loggedByService", "LoggedByService"),
    (
        "properties.authenticationRequirement",
        "AuthenticationRequirement",
    ),
    (
        "properties.conditionalAccessStatus",
        "conditionalAccessStatus",
    ),
    ("ConditionalAccessStatus", "conditionalAccessStatus"),
    ("properties.resourceDisplayName", "ResourceDisplayName"),
    ("properties.riskState", "RiskState"),
    (
        "properties.deviceDetail.trustType",
        "DeviceDetail.trusttype",
    ),
    ("properties.deviceDetail.deviceId", "DeviceDetail.deviceId"),
    (
        "properties.deviceDetail.isCompliant",
        "DeviceDetail.isCompliant",
    ),
    ("properties.clientAppUsed", "ClientApp"),
    ("properties.userAgent", "userAgent"),
    ("properties.userPrincipalName", "Username"),
    ("properties.homeTenantId", "homeTenantId"),
    ("properties.resourceTenantId", "resourceTenantId"),
    ("properties.location", "location"),
    ("properties.targetResources.type", "targetResources.type"),
    (
        "properties.targetResources.modifiedProperties.newValue",
        "TargetResources.ModifiedProperties.NewValue",
    ),
    (
        "properties.targetResources.modifiedProperties.displayName",
        "TargetResources.ModifiedProperties.DisplayName",
    ),
];

/// Parts of Azure's audit in which rules look for a word.
const AZURE_PARTS: [(&str, &str); 5] = [
    ("properties.targetResources", "properties.targetResources"),
    ("properties.targetResources", "TargetResources"),
    ("TargetResources", "TargetResources"),
    (
        "properties.targetResources.modifiedProperties",
        "TargetResources.modifiedProperties",
    ),
    ("properties.initiatedBy", "properties.initiatedBy"),
];

/// Values of one part of a record that are gathered.
const GATHERED_MAX: usize = 256;

/// Rules look for words anywhere in a part of the record (`requestParameters|contains`): gives all values within it that name.
pub(super) fn gather(draft: &mut Draft<'_, '_>, part: &'static str, name: &'static str) {
    let arena = draft.arena;
    let mut values = bumpalo::collections::Vec::new_in(arena);
    for field in draft.fields() {
        let is_within = scan::after(field.name, part).is_some_and(|rest| rest.starts_with('.'));
        if !is_within {
            continue;
        }
        match field.value {
            Value::List(list) => values.extend_from_slice_copy(list),
            value => values.push(value),
        }
        if values.len() >= GATHERED_MAX {
            values.truncate(GATHERED_MAX);
            break;
        }
    }
    if !values.is_empty() {
        draft.push_if_absent(name, Value::List(values.into_bump_slice()));
    }
}

/// Lists of names and of values that belong together, from maps that have one of each: gives each value the name that `name_of`
/// makes of its own.
fn pairs<'a>(
    draft: &mut Draft<'a, '_>,
    [names, values]: [&'static str; 2],
    name_of: impl Fn(&Draft<'a, '_>, &str) -> &'a str,
) {
    let (Some(names), Some(values)) = (draft.get(names), draft.get(values)) else {
        return;
    };
    let single = |value: &Value<'a>| -> &'a [Value<'a>] { draft.arena.alloc_slice_copy(&[*value]) };
    let list = |value: Value<'a>| match value {
        Value::List(list) => list,
        value => single(&value),
    };
    let (names, values) = (list(names), list(values));
    // Where a map has no value, or another kind of one, nobody knows which it is.
    if names.len() != values.len() {
        return;
    }
    for (name, value) in names.iter().zip(values).take(GATHERED_MAX) {
        if let Some(name) = name.as_str().filter(|name| !name.is_empty()) {
            let name = name_of(draft, name);
            draft.push_made_if_absent(name, *value);
        }
    }
}

fn aliases(draft: &mut Draft<'_, '_>, names: &[(&'static str, &'static str)]) {
    for (from, to) in names {
        draft.alias(from, to);
    }
}

/// Names for sign-ins, audit and activities.
pub(super) fn azure_names(draft: &mut Draft<'_, '_>) {
    aliases(draft, &AZURE);
    for (part, name) in AZURE_PARTS {
        gather(draft, part, name);
    }
    pairs(
        draft,
        [
            "properties.additionalDetails.key",
            "properties.additionalDetails.value",
        ],
        |draft, name| {
            let (first, rest) = name.split_at(name.chars().next().map_or(0, char::len_utf8));
            let first = first.to_ascii_lowercase();
            draft.concat(&["additionalDetails.", &first, rest])
        },
    );
    let ended = ["outcome", "properties.result", "Result", "resultType"]
        .iter()
        .find_map(|name| draft.get_str(name))
        .unwrap_or("");
    let status = if ended.eq_ignore_ascii_case("success") {
        "Success"
    } else if ended.eq_ignore_ascii_case("failure") {
        "Failure"
    } else {
        return;
    };
    draft.push_if_absent("Status", Value::Str(status));
}

/// What Entra ID Protection saw, and alerts of Privileged Identity Management.
pub(super) fn azure_risk(draft: &mut Draft<'_, '_>) {
    let time = ["properties.activityDateTime", "activityDateTime"]
        .iter()
        .find_map(|name| draft.get_str(name))
        .and_then(|text| when::any(text, draft.context));
    if let Some(time) = time {
        draft.time(time);
    }
    aliases(
        draft,
        &[
            ("properties.riskEventType", "riskEventType"),
            ("properties.userPrincipalName", "User"),
            ("userPrincipalName", "User"),
            ("properties.ipAddress", "SourceIp"),
            ("riskEventType", "action"),
        ],
    );
    let kind = draft.get_str("riskEventType").unwrap_or("");
    let is_privilege = kind.ends_with("AlertIncident") || kind.ends_with("AlertConfiguration");
    let service = if is_privilege { "pim" } else { "riskdetection" };
    draft.source("azure", "", service);
}

/// Microsoft 365's times are in UTC and do not say so. Rules for alerts and for Exchange have names of their own.
pub(super) fn m365(draft: &mut Draft<'_, '_>) {
    if let Some(text) = draft
        .get_str("CreationTime")
        .filter(|text| !text.ends_with('Z'))
    {
        let text = draft.concat(&[text, "Z"]);
        if let Some(time) = when::any(text, draft.context) {
            draft.time(time);
        }
    }
    draft.source("m365", "", "audit");
    for part in ["Parameters", "OperationProperties"] {
        gather(draft, part, part);
    }
    let services: &[&str] = match draft.get_str("Workload") {
        Some("SecurityComplianceCenter") => &["threat_management", "threat_detection"],
        Some("Exchange") => &["exchange"],
        _ => return,
    };
    for service in services {
        draft.source("m365", "", service);
    }
    aliases(
        draft,
        &[
            ("Workload", "eventSource"),
            ("Name", "eventName"),
            ("Operation", "eventName"),
        ],
    );
    // Alerts say nothing about it; commands are `True`, `False`, `Succeeded`, ....
    let is_failure = draft.get_str("ResultStatus").is_some_and(|status| {
        ["false", "failed", "failure"]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(status))
    });
    let status = if is_failure { "failure" } else { "success" };
    draft.push_if_absent("status", Value::Str(status));
}

/// Activities of Google Workspace (Admin SDK, Reports API).
pub(super) fn google_workspace(draft: &mut Draft<'_, '_>) {
    if let Some(time) = draft
        .get_str("id.time")
        .and_then(|text| when::any(text, draft.context))
    {
        draft.time(time);
    }
    aliases(
        draft,
        &[
            ("events.name", "eventName"),
            ("events.name", "protoPayload.metadata.event.eventName"),
        ],
    );
    pairs(
        draft,
        ["events.parameters.name", "events.parameters.value"],
        |draft, name| draft.arena.alloc_str(&name.to_ascii_lowercase()),
    );
    match draft.get_str("events.name") {
        Some("login_success") => draft.action("login", "success"),
        Some("login_failure") => draft.action("login", "failure"),
        Some("logout") => draft.action("logout", "success"),
        _ => draft.alias("events.name", "action"),
    }
    let application = draft.get_str("id.applicationName").unwrap_or("");
    let service = draft.concat(&[application, ".googleapis.com"]);
    draft.push_if_absent("eventService", Value::Str(service));
    draft.push_if_absent("protoPayload.serviceName", Value::Str(service));
    let log = match application {
        "login" => "google_workspace.login",
        _ => "google_workspace.admin",
    };
    draft.source("gcp", "", log);
}

/// Cloud Audit Logs, which carry those of Google Workspace as well.
pub(super) fn gcp(draft: &mut Draft<'_, '_>) {
    let is_refused = draft.get_int("protoPayload.status.code").unwrap_or(0) != 0;
    draft.action("", if is_refused { "failure" } else { "success" });
    draft.alias("protoPayload.methodName", "gcp.audit.method_name");
    draft.source("gcp", "", "gcp.audit");
    match draft.get_str("protoPayload.serviceName") {
        Some("login.googleapis.com") => draft.source("gcp", "", "google_workspace.login"),
        Some("admin.googleapis.com") => {
            aliases(
                draft,
                &[
                    ("protoPayload.serviceName", "eventService"),
                    ("protoPayload.metadata.event.eventName", "eventName"),
                ],
            );
            pairs(
                draft,
                [
                    "protoPayload.metadata.event.parameter.name",
                    "protoPayload.metadata.event.parameter.value",
                ],
                |draft, name| draft.arena.alloc_str(&name.to_ascii_lowercase()),
            );
            draft.source("gcp", "", "google_workspace.admin");
        }
        _ => {}
    }
}

/// OpenCanary: each touch of a decoy.
pub(super) fn opencanary(draft: &mut Draft<'_, '_>) {
    if let Some(time) = draft
        .get_str("utc_time")
        .map(|text| draft.concat(&[text, "Z"]))
        .or_else(|| draft.get_str("local_time"))
        .and_then(|text| when::any(text, draft.context))
    {
        draft.time(time);
    }
    aliases(
        draft,
        &[
            ("src_host", "SourceIp"),
            ("src_port", "SourcePort"),
            ("dst_host", "DestinationIp"),
            ("dst_port", "DestinationPort"),
            ("logdata.USERNAME", "User"),
            ("logdata.USER", "User"),
        ],
    );
    draft.source("opencanary", "application", "");
}

/// Bitbucket's audit log (Data Center, file or REST).
pub(super) fn bitbucket(draft: &mut Draft<'_, '_>) {
    aliases(
        draft,
        &[
            ("author.name", "User"),
            ("source", "SourceIp"),
            ("auditType.action", "action"),
        ],
    );
    draft.source("bitbucket", "", "audit");
}

/// Duo's authentication log.
pub(super) fn duo(draft: &mut Draft<'_, '_>) {
    aliases(
        draft,
        &[("user.name", "User"), ("access_device.ip", "SourceIp")],
    );
    draft.source("cisco", "", "duo");
}

/// OneLogin's events.
pub(super) fn onelogin(draft: &mut Draft<'_, '_>) {
    aliases(draft, &[("user_name", "User"), ("ipaddr", "SourceIp")]);
    draft.source("onelogin", "", "onelogin.events");
}
