//! cron, crontab, anacron.

use super::pattern::{Message, message};

pub(super) static MESSAGES: &[Message] = &[
    message("({User}) CMD ({CommandLine*})", "cron_run", "success"),
    message("({User}) CMDOUT ({output*})", "", ""),
    message("({User}) CMDEND ({CommandLine*})", "", ""),
    message(
        "({User}) REPLACE ({TargetUser})",
        "crontab_replace",
        "success",
    ),
    message("({User}) LIST ({TargetUser})", "crontab_list", "success"),
    message(
        "({User}) BEGIN EDIT ({TargetUser})",
        "crontab_edit",
        "success",
    ),
    message(
        "({User}) END EDIT ({TargetUser})",
        "crontab_edit",
        "success",
    ),
    message(
        "({User}) DELETE ({TargetUser})",
        "crontab_delete",
        "success",
    ),
    message(
        "(*system*) RELOAD ({TargetFilename})",
        "cron_reload",
        "success",
    ),
    message(
        "({User}) RELOAD ({TargetFilename})",
        "cron_reload",
        "success",
    ),
    message("({User}) AUTH ({reason})", "authenticate", "failure"),
    message("({User}) ERROR ({reason})", "cron_run", "failure"),
    message(
        "({User}) WRONG FILE OWNER ({TargetFilename})",
        "cron_reload",
        "failure",
    ),
    message(
        "({User}) INSECURE MODE ({TargetFilename*})",
        "cron_reload",
        "failure",
    ),
];
