//! Which log sources a Windows event belongs to: channel and event id to Sigma's service and category,
//! as SigmaHQ's configuration for Windows has them.

use bumpalo::collections::String as ArenaString;

use crate::draft::Draft;

/// Adds the log sources of an event.
pub(super) fn classify(
    draft: &mut Draft<'_, '_>,
    channel: &str,
    provider: &str,
    event_id: i64,
    event_type: &str,
) {
    let service = service_of(channel, provider);
    // Sysmon for Linux writes the same events, and Linux rules look at them.
    let is_linux = provider == "Linux-Sysmon" || channel.starts_with("Linux-");
    let product = if is_linux { "linux" } else { "windows" };
    let by_id = usize::try_from(event_id).ok();
    let mut with_id = by_id
        .and_then(|id| CATEGORIES_BY_ID.get(id))
        .copied()
        .unwrap_or(CATEGORIES_OF_LARGE_IDS);
    while with_id != 0 {
        let (of, id, only_type, category) = CATEGORIES[with_id.trailing_zeros() as usize];
        with_id &= with_id - 1;
        if id == event_id && of == service && (only_type.is_empty() || only_type == event_type) {
            draft.source(product, category, "");
        }
    }
    draft.source(product, "", service);
    for (_, other) in SECOND_NAMES.iter().filter(|(of, _)| *of == service) {
        draft.source("windows", "", other);
    }
    if provider == "Microsoft-Windows-Kernel-File" {
        for (_, category) in KERNEL_FILE.iter().filter(|(id, _)| *id == event_id) {
            draft.source("windows", category, "");
        }
    }
    names_without_spaces(draft);
    if service == "windefend" && (1006..=1116).contains(&event_id) {
        draft.alias("Threat Name", "Signature");
        draft.alias("ThreatName", "Signature");
        draft.alias("Path", "Filename");
    }
}

/// Sigma strips spaces from names: `SAM User Account` is `SAMUserAccount`, Defender's `Threat Name` is
/// `ThreatName`. Some rules write `Feature_Name`.
fn names_without_spaces(draft: &mut Draft<'_, '_>) {
    if !draft.has_spaced_name() {
        return;
    }
    for place in 0..draft.fields().len() {
        let field = draft.fields()[place];
        if field.name.contains(' ') {
            for joint in ["", "_"] {
                let mut name = ArenaString::with_capacity_in(field.name.len(), draft.arena);
                for (number, word) in field.name.split(' ').enumerate() {
                    name.push_str(if number > 0 { joint } else { "" });
                    name.push_str(word);
                }
                draft.push_made_if_absent(name.into_bump_str(), field.value);
            }
        }
    }
}

/// The service of a channel; where the channel is missing, that of a provider that writes to one channel only.
fn service_of(channel: &str, provider: &str) -> &'static str {
    let known = |name: &str| {
        let mut of_length = CHANNELS_BY_LENGTH.get(name.len()).copied().unwrap_or(0);
        while of_length != 0 {
            let (known, service) = CHANNELS[of_length.trailing_zeros() as usize];
            of_length &= of_length - 1;
            if known.eq_ignore_ascii_case(name) {
                return Some(service);
            }
        }
        None
    };
    known(channel)
        .or_else(|| {
            PROVIDERS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(provider))
                .map(|(_, service)| *service)
        })
        .unwrap_or("")
}

/// Services that rules and the taxonomy call differently.
static SECOND_NAMES: &[(&str, &str)] = &[("microsoft-servicebus-client", "servicebus-client")];

/// The kernel's trace of files (ETW), which has no channel: Create, and Rename with or without its path.
static KERNEL_FILE: &[(i64, &str)] = &[
    (12, "file_access"),
    (19, "file_rename"),
    (27, "file_rename"),
];

static PROVIDERS: &[(&str, &str)] = &[
    ("Microsoft-Windows-Sysmon", "sysmon"),
    ("Linux-Sysmon", "sysmon"),
    ("Microsoft-Windows-Security-Auditing", "security"),
    ("Microsoft-Windows-PowerShell", "powershell"),
    ("Microsoft-Windows-Windows Defender", "windefend"),
    ("Service Control Manager", "system"),
];

#[rustfmt::skip]
static CHANNELS: &[(&str, &str)] = &[
    ("Application", "application"),
    ("DNS Server", "dns-server"),
    ("Linux-Sysmon/Operational", "sysmon"),
    ("Microsoft-IIS-Configuration/Operational", "iis-configuration"),
    ("Microsoft-ServiceBus-Client/Admin", "microsoft-servicebus-client"),
    ("Microsoft-ServiceBus-Client/Operational", "microsoft-servicebus-client"),
    ("Microsoft-Windows-Application-Experience/Program-Compatibility-Assistant", "application-experience"),
    ("Microsoft-Windows-Application-Experience/Program-Telemetry", "application-experience"),
    ("Microsoft-Windows-AppLocker/EXE and DLL", "applocker"),
    ("Microsoft-Windows-AppLocker/MSI and Script", "applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Deployment", "applocker"),
    ("Microsoft-Windows-AppLocker/Packaged app-Execution", "applocker"),
    ("Microsoft-Windows-AppModel-Runtime/Admin", "appmodel-runtime"),
    ("Microsoft-Windows-AppXDeploymentServer/Operational", "appxdeployment-server"),
    ("Microsoft-Windows-AppxPackaging/Operational", "appxpackaging-om"),
    ("Microsoft-Windows-BitLocker/BitLocker Management", "bitlocker"),
    ("Microsoft-Windows-Bits-Client/Operational", "bits-client"),
    ("Microsoft-Windows-CAPI2/Operational", "capi2"),
    ("Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational", "certificateservicesclient-lifecycle-system"),
    ("Microsoft-Windows-CodeIntegrity/Operational", "codeintegrity-operational"),
    ("Microsoft-Windows-DHCP-Server/Operational", "dhcp"),
    ("Microsoft-Windows-Diagnosis-Scripted/Operational", "diagnosis-scripted"),
    ("Microsoft-Windows-DNS Client Events/Operational", "dns-client"),
    ("Microsoft-Windows-DNS-Server/Analytical", "dns-server-analytic"),
    ("Microsoft-Windows-DNS-Server/Audit", "dns-server-audit"),
    ("Microsoft-Windows-DNSServer/Audit", "dns-server-audit"),
    ("Microsoft-Windows-DriverFrameworks-UserMode/Operational", "driver-framework"),
    ("Microsoft-Windows-Hyper-V-Worker", "hyper-v-worker"),
    ("Microsoft-Windows-Hyper-V-Worker-Admin", "hyper-v-worker"),
    ("Microsoft-Windows-Hyper-V-Worker-Operational", "hyper-v-worker"),
    ("Microsoft-Windows-Kerberos/Operational", "kerberos"),
    ("Microsoft-Windows-Kernel-EventTracing", "kernel-event-tracing"),
    ("Microsoft-Windows-Kernel-ShimEngine/Diagnostic", "kernel-shimengine"),
    ("Microsoft-Windows-Kernel-ShimEngine/Operational", "kernel-shimengine"),
    ("Microsoft-Windows-LDAP-Client/Debug", "ldap"),
    ("Microsoft-Windows-LSA/Operational", "lsa-server"),
    ("Microsoft-Windows-Ntfs/Operational", "ntfs"),
    ("Microsoft-Windows-NTLM/Operational", "ntlm"),
    ("Microsoft-Windows-PowerShell/Operational", "powershell"),
    ("Microsoft-Windows-PrintService/Admin", "printservice-admin"),
    ("Microsoft-Windows-PrintService/Operational", "printservice-operational"),
    ("Microsoft-Windows-Security-Mitigations/Kernel Mode", "security-mitigations"),
    ("Microsoft-Windows-Security-Mitigations/User Mode", "security-mitigations"),
    ("Microsoft-Windows-SENSE/Operational", "sense"),
    ("Microsoft-Windows-Shell-Core/Operational", "shell-core"),
    ("Microsoft-Windows-SmbClient/Connectivity", "smbclient-connectivity"),
    ("Microsoft-Windows-SmbClient/Security", "smbclient-security"),
    ("Microsoft-Windows-SMBServer/Connectivity", "smbserver-connectivity"),
    ("Microsoft-Windows-Sysmon/Operational", "sysmon"),
    ("Microsoft-Windows-TaskScheduler/Operational", "taskscheduler"),
    ("Microsoft-Windows-TerminalServices-LocalSessionManager/Operational", "terminalservices-localsessionmanager"),
    ("Microsoft-Windows-VHDMP/Operational", "vhdmp"),
    ("Microsoft-Windows-Windows Defender/Operational", "windefend"),
    ("Microsoft-Windows-Windows Firewall With Advanced Security/Firewall", "firewall-as"),
    ("Microsoft-Windows-WMI-Activity/Operational", "wmi"),
    ("MSExchange Management", "msexchange-management"),
    ("OpenSSH/Operational", "openssh"),
    ("PowerShellCore/Operational", "powershell"),
    ("Security", "security"),
    ("System", "system"),
    ("Windows PowerShell", "powershell-classic"),
];

/// By the length of a name: one bit per channel of that length.
static CHANNELS_BY_LENGTH: [u64; 128] = {
    assert!(CHANNELS.len() <= 64, "more channels than bits");
    let mut masks = [0; 128];
    let mut place = 0;
    while place < CHANNELS.len() {
        masks[CHANNELS[place].0.len()] |= 1 << place;
        place += 1;
    }
    masks
};

/// By the event id: one bit per category that has it.
static CATEGORIES_BY_ID: [u64; 256] = {
    assert!(CATEGORIES.len() <= 64, "more categories than bits");
    let mut masks = [0; 256];
    let mut place = 0;
    while place < CATEGORIES.len() {
        let id = CATEGORIES[place].1;
        if id < 256 {
            masks[id as usize] |= 1 << place;
        }
        place += 1;
    }
    masks
};

/// The categories of all larger event ids.
static CATEGORIES_OF_LARGE_IDS: u64 = {
    let mut mask = 0;
    let mut place = 0;
    while place < CATEGORIES.len() {
        if CATEGORIES[place].1 >= 256 {
            mask |= 1 << place;
        }
        place += 1;
    }
    mask
};

/// Service, event id, `EventType` where it decides, category.
#[rustfmt::skip]
static CATEGORIES: &[(&str, i64, &str, &str)] = &[
    ("sysmon", 1, "", "process_creation"),
    ("sysmon", 2, "", "file_change"),
    ("sysmon", 3, "", "network_connection"),
    ("sysmon", 4, "", "sysmon_status"),
    ("sysmon", 5, "", "process_termination"),
    ("sysmon", 6, "", "driver_load"),
    ("sysmon", 7, "", "image_load"),
    ("sysmon", 8, "", "create_remote_thread"),
    ("sysmon", 9, "", "raw_access_thread"),
    ("sysmon", 10, "", "process_access"),
    ("sysmon", 11, "", "file_event"),
    ("sysmon", 12, "CreateKey", "registry_add"),
    ("sysmon", 12, "DeleteKey", "registry_delete"),
    ("sysmon", 12, "DeleteValue", "registry_delete"),
    ("sysmon", 12, "", "registry_event"),
    ("sysmon", 13, "", "registry_set"),
    ("sysmon", 13, "", "registry_event"),
    ("sysmon", 14, "", "registry_rename"),
    ("sysmon", 14, "", "registry_event"),
    ("sysmon", 15, "", "create_stream_hash"),
    ("sysmon", 16, "", "sysmon_status"),
    ("sysmon", 17, "", "pipe_created"),
    ("sysmon", 18, "", "pipe_created"),
    ("sysmon", 19, "", "wmi_event"),
    ("sysmon", 20, "", "wmi_event"),
    ("sysmon", 21, "", "wmi_event"),
    ("sysmon", 22, "", "dns_query"),
    ("sysmon", 23, "", "file_delete"),
    ("sysmon", 24, "", "clipboard_change"),
    ("sysmon", 24, "", "clipboard_capture"),
    ("sysmon", 25, "", "process_tampering"),
    ("sysmon", 26, "", "file_delete_detected"),
    ("sysmon", 27, "", "file_block_executable"),
    ("sysmon", 28, "", "file_block_shredding"),
    ("sysmon", 29, "", "file_executable_detected"),
    ("sysmon", 255, "", "sysmon_error"),
    ("security", 4688, "", "process_creation"),
    ("powershell", 4103, "", "ps_module"),
    ("powershell", 4104, "", "ps_script"),
    ("powershell-classic", 400, "", "ps_classic_start"),
    ("powershell-classic", 600, "", "ps_classic_provider_start"),
    ("powershell-classic", 800, "", "ps_classic_script"),
    ("windefend", 1006, "", "antivirus"),
    ("windefend", 1007, "", "antivirus"),
    ("windefend", 1008, "", "antivirus"),
    ("windefend", 1009, "", "antivirus"),
    ("windefend", 1010, "", "antivirus"),
    ("windefend", 1011, "", "antivirus"),
    ("windefend", 1012, "", "antivirus"),
    ("windefend", 1017, "", "antivirus"),
    ("windefend", 1018, "", "antivirus"),
    ("windefend", 1019, "", "antivirus"),
    ("windefend", 1115, "", "antivirus"),
    ("windefend", 1116, "", "antivirus"),
];
