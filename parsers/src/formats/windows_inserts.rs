//! Windows events whose data is a list without names (`StringInserts` of Fluent Bit's winevtlog): the names by
//! provider and event id, in the order of the events' own templates.

use crate::draft::Draft;
use crate::event::Value;

const SUBJECT: &str = "SubjectUserSid SubjectUserName SubjectDomainName SubjectLogonId";

/// Security's events: names behind the ones that are joined to them.
#[rustfmt::skip]
static SECURITY: &[(i64, &[&str])] = &[
    (1102, &[SUBJECT]),
    (4624, &[SUBJECT, "TargetUserSid TargetUserName TargetDomainName TargetLogonId LogonType LogonProcessName AuthenticationPackageName WorkstationName LogonGuid TransmittedServices LmPackageName KeyLength ProcessId ProcessName IpAddress IpPort"]),
    (4625, &[SUBJECT, "TargetUserSid TargetUserName TargetDomainName Status FailureReason SubStatus LogonType LogonProcessName AuthenticationPackageName WorkstationName TransmittedServices LmPackageName KeyLength ProcessId ProcessName IpAddress IpPort"]),
    (4634, &["TargetUserSid TargetUserName TargetDomainName TargetLogonId LogonType"]),
    (4648, &[SUBJECT, "LogonGuid TargetUserName TargetDomainName TargetLogonGuid TargetServerName TargetInfo ProcessId ProcessName IpAddress IpPort"]),
    (4672, &[SUBJECT, "PrivilegeList"]),
    (4688, &[SUBJECT, "NewProcessId NewProcessName TokenElevationType ProcessId CommandLine TargetUserSid TargetUserName TargetDomainName TargetLogonId ParentProcessName MandatoryLabel"]),
    (4697, &[SUBJECT, "ServiceName ServiceFileName ServiceType ServiceStartType ServiceAccount"]),
    (4698, &[SUBJECT, "TaskName TaskContent"]),
    (4720, &["TargetUserName TargetDomainName TargetSid", SUBJECT, "PrivilegeList SamAccountName"]),
    (4724, &["TargetUserName TargetDomainName TargetSid", SUBJECT]),
    (4726, &["TargetUserName TargetDomainName TargetSid", SUBJECT]),
    (4728, &["MemberName MemberSid TargetUserName TargetDomainName TargetSid", SUBJECT]),
    (4732, &["MemberName MemberSid TargetUserName TargetDomainName TargetSid", SUBJECT]),
    (4740, &["TargetUserName TargetDomainName TargetSid", SUBJECT]),
    (4756, &["MemberName MemberSid TargetUserName TargetDomainName TargetSid", SUBJECT]),
    (4768, &["TargetUserName TargetDomainName TargetSid ServiceName ServiceSid TicketOptions Status TicketEncryptionType PreAuthType IpAddress IpPort"]),
    (4769, &["TargetUserName TargetDomainName ServiceName ServiceSid TicketOptions TicketEncryptionType IpAddress IpPort Status LogonGuid"]),
    (4771, &["TargetUserName TargetSid ServiceName TicketOptions Status PreAuthType IpAddress IpPort"]),
    (4776, &["PackageName TargetUserName Workstation Status"]),
    (5140, &[SUBJECT, "ObjectType IpAddress IpPort ShareName ShareLocalPath"]),
    (5145, &[SUBJECT, "ObjectType IpAddress IpPort ShareName ShareLocalPath RelativeTargetName AccessMask"]),
];

#[rustfmt::skip]
static SYSMON: &[(i64, &[&str])] = &[
    (1, &["RuleName UtcTime ProcessGuid ProcessId Image FileVersion Description Product Company OriginalFileName CommandLine CurrentDirectory User LogonGuid LogonId TerminalSessionId IntegrityLevel Hashes ParentProcessGuid ParentProcessId ParentImage ParentCommandLine ParentUser"]),
    (3, &["RuleName UtcTime ProcessGuid ProcessId Image User Protocol Initiated SourceIsIpv6 SourceIp SourceHostname SourcePort SourcePortName DestinationIsIpv6 DestinationIp DestinationHostname DestinationPort DestinationPortName"]),
    (10, &["RuleName UtcTime SourceProcessGUID SourceProcessId SourceThreadId SourceImage TargetProcessGUID TargetProcessId TargetImage GrantedAccess CallTrace SourceUser TargetUser"]),
    (11, &["RuleName UtcTime ProcessGuid ProcessId Image TargetFilename CreationUtcTime User"]),
    (13, &["RuleName EventType UtcTime ProcessGuid ProcessId Image TargetObject Details User"]),
    (22, &["RuleName UtcTime ProcessGuid ProcessId QueryName QueryStatus QueryResults Image User"]),
];

#[rustfmt::skip]
static SERVICES: &[(i64, &[&str])] = &[
    (7036, &["param1 param2"]),
    (7040, &["param1 param2 param3 param4"]),
    (7045, &["ServiceName ImagePath ServiceType StartType AccountName"]),
];

#[rustfmt::skip]
static POWERSHELL: &[(i64, &[&str])] = &[
    (4103, &["ContextInfo UserData Payload"]),
    (4104, &["MessageNumber MessageTotal ScriptBlockText ScriptBlockId Path"]),
];

/// Zero Networks' RPC Firewall: calls of its server's functions, in the order in which they are written.
#[rustfmt::skip]
static RPC_FIREWALL: &[(i64, &[&str])] = &[
    (3, &["FunctionName ProcessId Image Protocol Endpoint SourceIp InterfaceUuid OpNum User AuthenticationLevel AuthenticationService"]),
];

/// Gives the values of a list their names, where the event's template is known.
pub(super) fn name<'a>(
    draft: &mut Draft<'a, '_>,
    values: &[Value<'a>],
    provider: &str,
    event_id: i64,
) {
    let table = match provider {
        "Microsoft-Windows-Security-Auditing" | "Microsoft-Windows-Eventlog" => SECURITY,
        "Microsoft-Windows-Sysmon" | "Linux-Sysmon" => SYSMON,
        "Service Control Manager" => SERVICES,
        "Microsoft-Windows-PowerShell" => POWERSHELL,
        "RPCFW" => RPC_FIREWALL,
        _ => return,
    };
    let Some((_, parts)) = table.iter().find(|(id, _)| *id == event_id) else {
        return;
    };
    let names = parts.iter().flat_map(|part| part.split(' '));
    for (name, value) in names.zip(values.iter()) {
        match value {
            Value::Str("") | Value::Null => {}
            Value::Str(text) => {
                let value = crate::draft::plain_number(text).map_or(*value, Value::Int);
                draft.push_made_if_absent(name, value);
            }
            value => draft.push_made_if_absent(name, *value),
        }
    }
}
