//! Values that are common in logs: what is guessed of how often a predicate holds knows them.
//!
//! Half of all processes on a Windows machine run at the integrity level System, and a third are children of
//! `svchost.exe`. A rule that asks for one of these and for something rare besides must be looked up by the
//! rare thing. The shares are rough, of the events that have such a field; a wrong one costs time, never a match.

/// Fields with the same values, their values in lower case, and the share of events that have each.
type Values = (&'static [&'static str], &'static [(&'static str, f64)]);

const COMMON: &[Values] = &[
    (
        &[
            "Image",
            "NewProcessName",
            "ProcessName",
            "SourceImage",
            "Application",
        ],
        &[
            (r"c:\windows\system32\svchost.exe", 0.12),
            (r"c:\windows\system32\conhost.exe", 0.08),
            (r"c:\windows\system32\services.exe", 0.04),
            (r"c:\windows\system32\lsass.exe", 0.03),
            (r"c:\windows\system32\taskhostw.exe", 0.03),
            (r"c:\windows\system32\wbem\wmiprvse.exe", 0.03),
            (r"c:\windows\system32\rundll32.exe", 0.02),
            (r"c:\windows\system32\cmd.exe", 0.05),
            (
                r"c:\windows\system32\windowspowershell\v1.0\powershell.exe",
                0.04,
            ),
            (r"c:\windows\explorer.exe", 0.03),
            (r"c:\program files\office\app.exe", 0.15),
            (
                r"c:\program files (x86)\google\update\googleupdate.exe",
                0.1,
            ),
            (r"c:\users\user\appdata\local\app\app.exe", 0.03),
            (r"/usr/bin/bash", 0.05),
            (r"/usr/bin/dash", 0.05),
            (r"/usr/bin/sudo", 0.03),
            (r"/usr/sbin/cron", 0.03),
        ],
    ),
    (
        &["ParentImage", "ParentProcessName"],
        &[
            (r"c:\windows\system32\svchost.exe", 0.35),
            (r"c:\windows\system32\services.exe", 0.12),
            (r"c:\windows\explorer.exe", 0.1),
            (r"c:\windows\system32\cmd.exe", 0.08),
            (
                r"c:\windows\system32\windowspowershell\v1.0\powershell.exe",
                0.04,
            ),
            (r"c:\program files\office\app.exe", 0.1),
            (
                r"c:\program files (x86)\google\update\googleupdate.exe",
                0.05,
            ),
            (r"/usr/bin/bash", 0.2),
            (r"/usr/bin/dash", 0.1),
        ],
    ),
    (
        &["TargetImage"],
        &[
            (r"c:\windows\system32\svchost.exe", 0.3),
            (r"c:\windows\system32\lsass.exe", 0.05),
            (r"c:\windows\explorer.exe", 0.05),
            (r"c:\windows\system32\csrss.exe", 0.05),
            (r"c:\program files\office\app.exe", 0.2),
        ],
    ),
    (
        &["ImageLoaded"],
        &[
            (r"c:\windows\system32\ntdll.dll", 0.6),
            (r"c:\windows\syswow64\ntdll.dll", 0.1),
            (r"c:\windows\system32\dbghelp.dll", 0.01),
            (r"c:\program files\office\app.dll", 0.2),
        ],
    ),
    (
        &["CommandLine", "ProcessCommandLine"],
        &[
            (
                r"c:\windows\system32\svchost.exe -k netsvcs -p -s schedule",
                0.12,
            ),
            (
                r"\??\c:\windows\system32\conhost.exe 0xffffffff -forcev1",
                0.08,
            ),
            (r#""c:\program files\office\app.exe" --type=renderer"#, 0.15),
            (
                r#""c:\program files (x86)\google\update\googleupdate.exe" /c"#,
                0.1,
            ),
            (
                r"c:\windows\system32\wbem\wmiprvse.exe -secured -embedding",
                0.04,
            ),
            (r#""c:\windows\system32\cmd.exe" /c start"#, 0.05),
            (r"powershell.exe -noprofile -executionpolicy bypass", 0.04),
            (r"sh -c /usr/bin/run", 0.05),
        ],
    ),
    (
        &["ParentCommandLine"],
        &[
            (
                r"c:\windows\system32\svchost.exe -k netsvcs -p -s schedule",
                0.35,
            ),
            (r"c:\windows\system32\services.exe", 0.12),
            (r"c:\windows\explorer.exe", 0.1),
            (r#""c:\windows\system32\cmd.exe" /c start"#, 0.08),
            (r"powershell.exe -noprofile -executionpolicy bypass", 0.04),
        ],
    ),
    (
        &["CurrentDirectory"],
        &[(r"c:\windows\system32\", 0.6), (r"c:\users\user\", 0.2)],
    ),
    (
        &["OriginalFileName"],
        &[
            ("svchost.exe", 0.12),
            ("conhost.exe", 0.08),
            ("cmd.exe", 0.05),
            ("powershell.exe", 0.04),
            ("rundll32.exe", 0.02),
        ],
    ),
    (
        &["IntegrityLevel"],
        &[
            ("system", 0.5),
            ("high", 0.15),
            ("medium", 0.3),
            ("low", 0.05),
        ],
    ),
    (
        &["User", "SubjectUserName", "TargetUserName", "AccountName"],
        &[
            (r"nt authority\system", 0.5),
            ("system", 0.3),
            ("server$", 0.2),
            ("root", 0.3),
        ],
    ),
    (
        &["LogonId", "SubjectLogonId", "TargetLogonId"],
        &[("0x3e7", 0.5)],
    ),
    (
        &["SubjectUserSid", "TargetUserSid", "TargetSid"],
        &[("s-1-5-18", 0.4)],
    ),
    (&["Company"], &[("microsoft corporation", 0.6)]),
    (&["Signed"], &[("true", 0.9)]),
    (&["SignatureStatus"], &[("valid", 0.9)]),
    (&["Initiated"], &[("true", 0.9)]),
    (
        &["ObjectServer"],
        &[("security", 0.5), ("security account manager", 0.05)],
    ),
    (
        &["ObjectType"],
        &[("file", 0.3), ("key", 0.3), ("process", 0.2)],
    ),
    (
        &["EventType"],
        &[("setvalue", 0.5), ("createkey", 0.1), ("deletevalue", 0.1)],
    ),
    (
        &["TargetObject"],
        &[
            (
                r"hklm\system\currentcontrolset\services\bam\state\usersettings\s-1-5-21-1",
                0.3,
            ),
            (r"hklm\software\microsoft\windows\currentversion\app", 0.2),
            (
                r"hku\s-1-5-21-1\software\microsoft\windows\currentversion\explorer\app",
                0.2,
            ),
            (
                r"hklm\software\microsoft\windows nt\currentversion\app",
                0.05,
            ),
        ],
    ),
    (
        &["Details"],
        &[
            ("dword (0x00000001)", 0.2),
            ("dword (0x00000000)", 0.2),
            ("binary data", 0.2),
        ],
    ),
    (
        &["EventID"],
        &[
            ("4658", 0.05),
            ("4656", 0.05),
            ("4663", 0.05),
            ("4690", 0.03),
            ("4703", 0.03),
            ("4624", 0.03),
            ("4672", 0.03),
            ("4688", 0.03),
            ("5156", 0.05),
            ("5158", 0.04),
            ("1", 0.05),
            ("3", 0.03),
            ("7", 0.1),
            ("10", 0.1),
            ("11", 0.05),
            ("12", 0.1),
            ("13", 0.1),
            ("4103", 0.05),
            ("4104", 0.03),
            ("800", 0.03),
        ],
    ),
    (
        &["Provider_Name", "Source", "Channel"],
        &[
            ("microsoft-windows-security-auditing", 0.3),
            ("microsoft-windows-sysmon", 0.3),
            ("service control manager", 0.03),
            ("powershell", 0.05),
            ("microsoft-windows-powershell", 0.05),
            ("security", 0.3),
            ("system", 0.05),
        ],
    ),
    (
        &["DestinationPort", "dst_port"],
        &[
            ("443", 0.4),
            ("80", 0.15),
            ("53", 0.1),
            ("445", 0.05),
            ("389", 0.03),
            ("135", 0.03),
        ],
    ),
    (
        &["cs-method", "c-method"],
        &[("get", 0.8), ("post", 0.15), ("head", 0.02)],
    ),
    (
        &["sc-status", "status"],
        &[("200", 0.8), ("304", 0.05), ("404", 0.05), ("302", 0.05)],
    ),
    (
        &["type"],
        &[
            ("syscall", 0.25),
            ("execve", 0.1),
            ("path", 0.25),
            ("cwd", 0.1),
            ("proctitle", 0.1),
            ("user_auth", 0.03),
        ],
    ),
    (
        &["syscall", "SYSCALL"],
        &[
            ("execve", 0.2),
            ("59", 0.2),
            ("openat", 0.2),
            ("connect", 0.1),
        ],
    ),
    (
        &["action"],
        &[
            ("accept", 0.3),
            ("allow", 0.3),
            ("deny", 0.2),
            ("blocked", 0.1),
        ],
    ),
];

/// The common values of a field, in lower case, each with the share of events that have it.
pub(super) fn values_of(field: &str) -> &'static [(&'static str, f64)] {
    COMMON
        .iter()
        .find(|(fields, _)| fields.contains(&field))
        .map_or(&[], |(_, values)| values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_lower_case_and_shares_are_shares() {
        for (fields, values) in COMMON {
            assert!(
                values
                    .iter()
                    .all(|(value, share)| value.to_lowercase() == *value
                        && *share > 0.0
                        && *share <= 1.0),
                "{fields:?}"
            );
        }
    }

    #[test]
    fn a_field_has_its_values_in_one_place() {
        let mut fields: Vec<&str> = COMMON
            .iter()
            .flat_map(|(fields, _)| *fields)
            .copied()
            .collect();
        let all = fields.len();
        fields.sort_unstable();
        fields.dedup();
        assert_eq!(fields.len(), all);
    }
}
