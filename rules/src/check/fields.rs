//! Which fields events of a log source have: Sysmon's and PowerShell's events as Microsoft documents them, web servers as our parsers
//! read them.

use citywatch_parsers::LogSource;

/// What every event of Windows has besides its own fields.
const WINDOWS: &[&str] = &[
    "EventID",
    "Provider_Name",
    "Channel",
    "Computer",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "Version",
    "EventRecordID",
    "Execution_ProcessID",
    "Execution_ThreadID",
    "Security_UserID",
    "Correlation_ActivityID",
    "Hostname",
    "SourceName",
    "Message",
    "RuleName",
    "UtcTime",
    "Provider_Guid",
    "TimeCreated",
    "host",
    "message",
    "action",
    "outcome",
    "ProcessGuid",
    "ProcessId",
    "User",
    "Image",
];

/// What syslog's messages have besides.
const SYSLOG: &[&str] = &[
    "program", "pid", "message", "facility", "severity", "priority", "hostname", "action",
    "outcome", "User", "type", "host",
];

/// Product, category, service, fields.
#[rustfmt::skip]
const FIELDS: &[(&str, &str, &str, &[&str])] = &[
    ("windows", "process_creation", "", &["CommandLine", "Company", "CurrentDirectory", "Description", "FileVersion", "Hashes", "IntegrityLevel", "LogonGuid", "LogonId",
        "OriginalFileName", "ParentCommandLine", "ParentImage", "ParentProcessGuid", "ParentProcessId", "ParentUser", "Product", "TerminalSessionId",
        "NewProcessName", "ParentProcessName", "NewProcessId", "SubjectUserName", "SubjectUserSid", "SubjectDomainName", "SubjectLogonId", "TargetUserName", "TargetUserSid",
        "TargetDomainName", "TargetLogonId", "TokenElevationType", "MandatoryLabel"]),
    ("windows", "file_change", "", &["CreationUtcTime", "PreviousCreationUtcTime", "TargetFilename"]),
    ("windows", "network_connection", "", &["DestinationHostname", "DestinationIp", "DestinationIsIpv6", "DestinationPort", "DestinationPortName", "Initiated", "Protocol",
        "SourceHostname", "SourceIp", "SourceIsIpv6", "SourcePort", "SourcePortName"]),
    ("windows", "process_termination", "", &[]),
    ("windows", "driver_load", "", &["Hashes", "ImageLoaded", "Signature", "SignatureStatus", "Signed"]),
    ("windows", "image_load", "", &["Company", "Description", "FileVersion", "Hashes", "ImageLoaded", "OriginalFileName", "Product", "Signature", "SignatureStatus", "Signed"]),
    ("windows", "create_remote_thread", "", &["NewThreadId", "SourceImage", "SourceProcessGuid", "SourceProcessId", "SourceUser", "StartAddress", "StartFunction",
        "StartModule", "TargetImage", "TargetProcessGuid", "TargetProcessId", "TargetUser"]),
    ("windows", "raw_access_thread", "", &["Device"]),
    ("windows", "process_access", "", &["CallTrace", "GrantedAccess", "SourceImage", "SourceProcessGUID", "SourceProcessId", "SourceThreadId", "SourceUser", "TargetImage",
        "TargetProcessGUID", "TargetProcessId", "TargetUser"]),
    ("windows", "file_event", "", &["TargetFilename", "CreationUtcTime"]),
    ("windows", "file_executable_detected", "", &["TargetFilename", "Hashes"]),
    ("windows", "file_block_executable", "", &["TargetFilename", "Hashes"]),
    ("windows", "file_block_shredding", "", &["TargetFilename", "Hashes", "IsExecutable"]),
    ("windows", "file_delete", "", &["TargetFilename", "Hashes", "IsExecutable", "Archived", "Irp", "FileObject", "FileName", "IssuingThreadId", "InfoClass", "FileKey",
        "ExtraInformation", "FilePath"]),
    ("windows", "registry_add", "", &["EventType", "TargetObject"]),
    ("windows", "registry_delete", "", &["EventType", "TargetObject", "Details"]),
    ("windows", "registry_set", "", &["Details", "EventType", "TargetObject"]),
    ("windows", "registry_rename", "", &["EventType", "TargetObject", "NewName"]),
    ("windows", "registry_event", "", &["Details", "EventType", "NewName", "TargetObject"]),
    ("windows", "create_stream_hash", "", &["Contents", "CreationUtcTime", "Hash", "TargetFilename"]),
    ("windows", "pipe_created", "", &["EventType", "PipeName"]),
    ("windows", "wmi_event", "", &["Consumer", "Destination", "EventNamespace", "EventType", "Filter", "Name", "Operation", "Query", "Type"]),
    ("windows", "dns_query", "", &["QueryName", "QueryResults", "QueryStatus"]),
    ("windows", "process_tampering", "", &["Type"]),
    ("windows", "ps_module", "", &["ContextInfo", "UserData", "Payload"]),
    ("windows", "ps_script", "", &["MessageNumber", "MessageTotal", "ScriptBlockText", "ScriptBlockId", "Path"]),
    ("windows", "", "security", &[]),
    ("linux", "network_connection", "", &["DestinationHostname", "DestinationIp", "DestinationPort", "DestinationPortName", "Initiated", "Protocol", "SourceHostname", "SourceIp",
        "SourcePort", "ProcessId", "ProcessGuid", "Image"]),
    ("", "webserver", "", &["c-ip", "cs-username", "cs-method", "cs-uri-stem", "cs-uri", "c-uri", "cs-version", "sc-status", "sc-bytes", "cs-referer", "cs-user-agent",
        "cs-host", "time-taken", "cs-uri-query", "request", "level", "module", "tid", "c-port", "error_code", "date", "time", "s-ip", "s-port", "s-sitename", "s-computername",
        "cs-bytes", "sc-substatus", "sc-win32-status", "cs-cookie", "cs-content-type", "rule_id", "rule", "upstream", "x-forwarded-for", "cs-body", "path", "status"]),
];

/// The fields that events of a log source may have, its own first; none where that is not known.
pub fn fields_of(source: &LogSource<'_>) -> Option<Vec<&'static str>> {
    let (_, _, service, fields) = FIELDS.iter().find(|(product, category, service, _)| {
        let fits = |known: &str, is: &str| known.is_empty() || known == is;
        fits(product, &source.product) && *category == source.category && fits(service, &source.service)
            // A category of Sysmon under another service has that service's fields.
            && (source.service.is_empty() || *service == source.service || !category.is_empty() && source.product != "windows")
    })?;
    // Security's events have hundreds of fields of their own.
    if *service == "security" {
        return None;
    }
    let common = if source.product == "windows" {
        WINDOWS
    } else {
        SYSLOG
    };
    Some(fields.iter().chain(common).copied().collect())
}

/// Event ids that a category of Windows comes from.
pub(super) fn event_ids(source: &LogSource<'_>) -> Option<&'static [i64]> {
    if source.product != "windows" {
        return None;
    }
    const IDS: &[(&str, &[i64])] = &[
        ("process_creation", &[1, 4688]),
        ("file_change", &[2]),
        ("network_connection", &[3]),
        ("process_termination", &[5]),
        ("driver_load", &[6]),
        ("image_load", &[7]),
        ("create_remote_thread", &[8]),
        ("raw_access_thread", &[9]),
        ("process_access", &[10]),
        ("registry_set", &[13]),
        ("registry_rename", &[14]),
        ("registry_event", &[12, 13, 14]),
        ("create_stream_hash", &[15]),
        ("pipe_created", &[17, 18]),
        ("wmi_event", &[19, 20, 21]),
        ("dns_query", &[22]),
        ("process_tampering", &[25]),
        ("ps_module", &[4103]),
        ("ps_script", &[4104]),
        ("ps_classic_start", &[400]),
        ("ps_classic_provider_start", &[600]),
        ("ps_classic_script", &[800]),
    ];
    IDS.iter()
        .find(|(category, _)| *category == source.category)
        .map(|(_, ids)| *ids)
}
