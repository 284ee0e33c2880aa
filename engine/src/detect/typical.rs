//! What logs look like: a text from which the search for literals learns which letters stand together
//! often. Better grams mean fewer places to look at twice; nothing else depends on it.

/// Pieces of events as Windows, Linux and web servers write them, written for this purpose.
pub(super) const TYPICAL: &str = r#"{"EventID":10,"Channel":"Microsoft-Windows-Sysmon/Operational","Hostname":"WORKSTATION5.office.local",
"Provider_Name":"Microsoft-Windows-Security-Auditing","ProviderGuid":"{5770385F-C22A-43E0-BF4C-06F5698FFBD9}","SourceName":"Microsoft-Windows-Sysmon",
"EventTime":"2026-11-22 03:04:05","@timestamp":"2026-11-22T03:04:05.678Z","EventReceivedTime":"2026-11-22 03:04:06","SourceModuleName":"eventlog",
"SourceModuleType":"im_msvistalog","UtcTime":"2026-11-22 03:04:05.123","ProcessGuid":"{00bb3ee6-a18e-5f7e-4d00-000000000400}","ProcessId":"3624",
"SourceProcessGUID":"{b34bc01c-238d-60e0-0e00-000000000a00}","TargetProcessGUID":"","SourceProcessId":"1234","TargetProcessId":"5678","SourceThreadId":"42",
"Image":"C:\\Windows\\System32\\svchost.exe","ParentImage":"C:\\Windows\\explorer.exe","CommandLine":"C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
"SourceImage":"C:\\windows\\system32\\lsass.exe","TargetImage":"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe","GrantedAccess":"0x1400",
"CallTrace":"C:\\Windows\\SYSTEM32\\ntdll.dll+9c524|C:\\Windows\\System32\\KERNELBASE.dll+2730e|UNKNOWN(00007FFB)","ImageLoaded":"C:\\Windows\\System32\\kernel32.dll",
"User":"NT AUTHORITY\\SYSTEM","LogonId":"0x3e7","IntegrityLevel":"System","Hashes":"SHA1=0A1B2C3D,MD5=4E5F,SHA256=67890ABCDEF,IMPHASH=00000000","Company":"Microsoft Corporation",
"Description":"Host Process for Windows Services","FileVersion":"10.0.18362.1 (WinBuild.160101.0800)","Product":"Microsoft Windows Operating System","Signed":"true",
"TargetObject":"HKLM\\System\\CurrentControlSet\\Services\\bam\\State\\UserSettings\\S-1-5-21-100-200-300-1001","Details":"DWORD (0x00000001)","EventType":"SetValue",
"SubjectUserSid":"S-1-5-18","SubjectUserName":"SERVER$","SubjectDomainName":"OFFICE","SubjectLogonId":"0x3e7","ObjectServer":"Security","ObjectType":"File","HandleId":"0x1a4",
"AccessList":"%%1538","AccessMask":"0x1","ProcessName":"C:\\Windows\\System32\\services.exe","Application":"\\device\\harddiskvolume2\\windows\\system32\\dns.exe","Direction":"%%14593",
"SourceAddress":"10.1.2.3","SourcePort":"51442","DestAddress":"192.168.10.20","DestPort":"443","Protocol":"tcp","FilterRTID":"0","LayerName":"%%14611","Initiated":"true",
"Message":"Process accessed:\r\nRuleName: -\r\nA handle to an object was requested.\r\n\r\nSubject:\r\n\tSecurity ID:\t\tS-1-5-18\r\n\tAccount Name:\t\tSERVER$\r\n\tAccount Domain:\t\tOFFICE\r\n\tLogon ID:\t\t0x3E7\r\n\r\nProcess Information:\r\n\tProcess ID:\t\t0x4\r\nThe Windows Filtering Platform has permitted a connection. Network Information: Provider Context Information",
"ContextInfo":"Severity = Informational\r\n Host Name = ConsoleHost\r\n Host Version = 5.1.18362.1\r\n Host Application = powershell.exe -noprofile\r\n Engine Version = 5.1\r\n Runspace ID = 1\r\n Pipeline ID = 2\r\n Command Name = Add-Member\r\n Command Type = Cmdlet\r\n Script Name = \r\n Sequence Number = 16\r\n Connected User = ",
"Payload":"CommandInvocation(Out-Default): \"Out-Default\"\r\nParameterBinding(New-Object): name=\"TypeName\"; value=\"System.Collections.Generic.Dictionary\"","Task":1,"Opcode":"Info","OpcodeValue":0,"Keywords":-9223372036854775808,
"Severity":"INFO","SeverityValue":2,"ExecutionProcessID":3956,"ThreadID":4264,"RecordNumber":880321,"Version":5,"Domain":"NT AUTHORITY","AccountName":"SYSTEM","AccountType":"User","UserID":"S-1-5-18","Category":"Registry object added or deleted (rule: RegistryEvent)","tags":["recorded"],"host":"collector","port":58623,"@version":"1"}
Nov 22 03:04:05 web1 sshd[4242]: Accepted publickey for admin from 10.1.2.3 port 50022 ssh2: session opened for user root by (uid=0) pam_unix(sudo:session): COMMAND=/usr/bin/apt-get update systemd[1]: Started Daily apt download activities. CRON[991]: (root) CMD (cd / && run-parts --report /etc/cron.hourly)
type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e syscall=59 success=yes exit=0 ppid=1 pid=2 auid=1000 uid=0 gid=0 euid=0 tty=pts0 ses=3 comm="bash" exe="/usr/bin/bash" key="exec" type=EXECVE argc=3 a0="ls" a1="-la" cwd="/home/user" type=PATH item=0 name="/lib64/ld-linux-x86-64.so.2" inode=1 dev=08:01 mode=0100755
10.1.2.3 - - [22/Nov/2026:03:04:05 +0700] "GET /index.html?page=1&lang=vi HTTP/1.1" 200 5316 "https://www.example.com/start" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
"#;
