//! The definitions that come with Citywatch, as constant as the table of built-in formats: compiled when a record
//! is first met that no built-in format knows.

use std::sync::LazyLock;

use super::words::Words;
use super::{DefinitionSource, Table, compile};

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// Names and texts, in the order of detection.
        pub(super) const FILES: &[(&str, &str)] = &[
            $(($name, include_str!(concat!("../../definitions/", $name, ".toml")))),*
        ];
    };
}

shipped! {
    "squid",
    "cisco_asa",
    "cisco_ios",
    "dnsmasq",
    "unbound",
    "pf",
    "mongodb_text",
    "tomcat",
    "liferay",
    "wso2_carbon",
    "wso2_access",
    "exchange_tracking",
    "oracle_audit",
    "vmware",
    "cas",
    "caddy_console",
    "traefik",
    "hikvision",
    "dahua",
    "smbd_audit",
    "samba_log",
    "mariadb_audit",
    "postgresql_csv",
    "xferlog",
    "bind_server",
    "mikrotik",
}

pub(super) static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let words = Words::default();
    let definitions = FILES.iter().map(|(name, text)| {
        compile::definition(&source(name, text), &|_| None, &words)
            .unwrap_or_else(|problem| panic!("a test compiles each: {problem}"))
    });
    Table::new(definitions.collect())
});

pub(super) fn source(name: &str, text: &str) -> DefinitionSource {
    DefinitionSource {
        path: format!("{name}.toml").into(),
        text: text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::check_definitions;
    use super::*;

    #[test]
    fn each_shipped_definition_is_listed_and_passes_its_tests() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("definitions");
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert!(
                FILES.iter().any(|(file, _)| *file == name),
                "{name} is not in the list of shipped definitions"
            );
        }
        let sources: Vec<_> = FILES
            .iter()
            .map(|(name, text)| source(name, text))
            .collect();
        let checked = check_definitions(&sources, &|_| None);
        let told: Vec<_> = checked.problems.iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "{}", told.join("\n"));
        assert_eq!(checked.definitions, FILES.len());
        assert!(checked.tests >= FILES.len(), "each has a test");
    }
}
