//! Messages within syslog.
