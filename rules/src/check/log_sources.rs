//! Log sources: their form, and whether any event has them.

use super::{Document, Fix, Notes, scalar};
use crate::error::nearest;

const KEYS: &[&str] = &["category", "product", "service", "definition"];

/// What rules of SigmaHQ and the parsers call products.
pub(crate) const PRODUCTS: &[&str] = &[
    "apache",
    "aws",
    "azure",
    "bitbucket",
    "checkpoint",
    "cisco",
    "clamav",
    "django",
    "docker",
    "fortigate",
    "fortios",
    "gcp",
    "github",
    "google_workspace",
    "huawei",
    "iis",
    "juniper",
    "jvm",
    "kubernetes",
    "linux",
    "m365",
    "macos",
    "mikrotik",
    "mongodb",
    "mysql",
    "nginx",
    "nodejs",
    "okta",
    "onelogin",
    "opencanary",
    "oracle",
    "paloalto",
    "pfsense",
    "postgresql",
    "proxmox",
    "python",
    "qualys",
    "rpc_firewall",
    "ruby_on_rails",
    "sophos",
    "spring",
    "sql",
    "squid",
    "suricata",
    "ubiquiti",
    "velocity",
    "vmware",
    "windows",
    "zeek",
];

/// Categories.
pub(crate) const CATEGORIES: &[&str] = &[
    "accounting",
    "antivirus",
    "appliance",
    "application",
    "authentication",
    "create_remote_thread",
    "create_stream_hash",
    "database",
    "dns",
    "dns_query",
    "driver_load",
    "edr",
    "email",
    "file_access",
    "file_block_executable",
    "file_block_shredding",
    "file_change",
    "file_delete",
    "file_event",
    "file_executable_detected",
    "file_rename",
    "firewall",
    "gateway",
    "ids",
    "image_load",
    "network",
    "network_connection",
    "pipe_created",
    "process_access",
    "process_creation",
    "process_tampering",
    "process_termination",
    "proxy",
    "ps_classic_provider_start",
    "ps_classic_script",
    "ps_classic_start",
    "ps_module",
    "ps_script",
    "raw_access_read",
    "raw_access_thread",
    "registry_add",
    "registry_delete",
    "registry_event",
    "registry_rename",
    "registry_set",
    "sysmon_error",
    "sysmon_status",
    "vpn",
    "webserver",
    "wmi_event",
];

/// Services.
pub(crate) const SERVICES: &[&str] = &[
    "aaa",
    "activitylogs",
    "apache",
    "application",
    "applocker",
    "appmodel-runtime",
    "appxdeployment-server",
    "appxpackaging-om",
    "audit",
    "auditd",
    "auditlogs",
    "auth",
    "bgp",
    "bits-client",
    "capi2",
    "certificateservicesclient-lifecycle-system",
    "clamav",
    "cloudtrail",
    "codeintegrity-operational",
    "cron",
    "dce_rpc",
    "dhcp",
    "diagnosis-scripted",
    "dns",
    "dns-client",
    "dns-server",
    "dns-server-analytic",
    "dns-server-audit",
    "driver-framework",
    "duo",
    "event",
    "exchange",
    "firewall-as",
    "forti",
    "gcp.audit",
    "globalprotect",
    "google_workspace.admin",
    "google_workspace.login",
    "guacamole",
    "http",
    "hyper-v-worker",
    "iis",
    "iis-configuration",
    "kerberos",
    "kernel-event-tracing",
    "kernel-shimengine",
    "ldap",
    "ldap_debug",
    "ldp",
    "lsa-server",
    "microsoft-servicebus-client",
    "modsecurity",
    "msexchange-management",
    "netflow",
    "nextcloud",
    "nginx",
    "ntfs",
    "ntlm",
    "okta",
    "onelogin.events",
    "openssh",
    "openssl",
    "pim",
    "powershell",
    "powershell-classic",
    "printservice-admin",
    "printservice-operational",
    "rdp",
    "riskdetection",
    "samba",
    "scheduled-task",
    "security",
    "security-mitigations",
    "sense",
    "shell-core",
    "signinlogs",
    "smb_files",
    "smb_mapping",
    "smbclient-connectivity",
    "smbclient-security",
    "smbserver-connectivity",
    "squid",
    "ssh",
    "sshd",
    "sslvpnd",
    "sudo",
    "sysmon",
    "syslog",
    "system",
    "taskscheduler",
    "terminalservices-localsessionmanager",
    "threat_detection",
    "threat_management",
    "traffic",
    "tunnel",
    "vhdmp",
    "vsftpd",
    "windefend",
    "wmi",
    "x509",
];

pub(super) fn check(document: &Document<'_>, notes: &mut Notes<'_>) {
    let needs_one = document.entry("correlation").is_none();
    let Some(entry) = document.entry("logsource") else {
        if document.entry("detection").is_some() && needs_one {
            notes.add("CW201", document.root.position, "the rule has no logsource");
        } else if document.entry("filter").is_some() {
            notes.add(
                "CW507",
                document.root.position,
                "the filter has no logsource",
            );
        }
        return;
    };
    let Some(section) = document.section("logsource") else {
        return;
    };
    let named = |key: &str| {
        section
            .iter()
            .any(|entry| entry.key == key && scalar(&entry.value).is_some())
    };
    if !["category", "product", "service"].into_iter().any(named) {
        notes.add("CW202", entry.position, "the logsource names no category, product or service: the rule is asked for every event");
    }
    for part in section {
        if !KEYS.contains(&part.key.as_str()) {
            let meant = nearest(&part.key, KEYS.iter().copied());
            let hint = meant
                .map(|meant| format!("; did you mean {meant}?"))
                .unwrap_or_default();
            notes.add(
                "CW205",
                part.position,
                format!("{:?} means nothing in a logsource{hint}", part.key),
            );
            continue;
        }
        let Some(value) = scalar(&part.value).filter(|_| part.key != "definition") else {
            continue;
        };
        let lower = value.text.to_lowercase();
        let at = part.value.position;
        if lower != value.text {
            let fix = Fix::Replace {
                from: value.text.clone(),
                to: lower.clone(),
            };
            notes.fix(
                "CW203",
                at,
                format!("{:?} is not in lower case", value.text),
                fix,
            );
        }
        let known = match part.key.as_str() {
            "product" => PRODUCTS,
            "category" => CATEGORIES,
            _ => SERVICES,
        };
        if !known.contains(&lower.as_str()) {
            let meant = nearest(&lower, known.iter().copied());
            let (code, hint) = match meant {
                Some(meant) => ("CW204", format!("; did you mean {meant:?}?")),
                None => ("CW206", "; no parser of Citywatch gives it, so events need it from their source's settings".to_owned()),
            };
            notes.add(
                code,
                at,
                format!("{:?} is no {} that is known{hint}", value.text, part.key),
            );
        }
    }
}
