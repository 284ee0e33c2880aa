//! Releases by a short name: `sigmahq@r2025-10-01`.

use crate::report::UsageError;

/// Where SigmaHQ keeps the packages of a release.
const SIGMAHQ: &str = "https://github.com/SigmaHQ/sigma/releases/download";

/// Packages of a release, by the name that is written behind `sigmahq/`.
const PACKAGES: &[(&str, &str)] = &[
    ("", "sigma_all_rules.zip"),
    ("all", "sigma_all_rules.zip"),
    ("core", "sigma_core.zip"),
    ("core+", "sigma_core%2B.zip"),
    ("core++", "sigma_core%2B%2B.zip"),
    ("emerging-threats", "sigma_emerging_threats_addon.zip"),
];

/// The address of the release that a short name means; none when it is no short name.
///
/// # Errors
/// When the package or the release's name is none.
pub(super) fn address_of(source: &str) -> Result<Option<String>, UsageError> {
    let (name, tag) = source.split_once('@').unwrap_or((source, ""));
    let Some(package) = name.strip_prefix("sigmahq") else {
        return Ok(None);
    };
    let package = match package.strip_prefix('/') {
        Some(package) => package,
        None if package.is_empty() => "",
        None => return Ok(None),
    };
    let Some((_, file)) = PACKAGES.iter().find(|(known, _)| *known == package) else {
        let known: Vec<&str> = PACKAGES[1..].iter().map(|(known, _)| *known).collect();
        return Err(UsageError(format!(
            "{source}: SigmaHQ has no package {package:?}; there are {}",
            known.join(", ")
        )));
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if tag.is_empty() || tag.starts_with('.') || !tag.chars().all(fits) {
        return Err(UsageError(format!(
            "{source}: name the release behind the name, as in sigmahq@r2025-10-01; \
             https://github.com/SigmaHQ/sigma/releases lists them"
        )));
    }
    Ok(Some(format!("{SIGMAHQ}/{tag}/{file}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_mean_packages_of_a_release() {
        let address = |source| address_of(source).ok().flatten();
        assert_eq!(
            address("sigmahq@r2025-10-01").as_deref(),
            Some(
                "https://github.com/SigmaHQ/sigma/releases/download/r2025-10-01/sigma_all_rules.zip"
            )
        );
        assert_eq!(
            address("sigmahq/core++@r2025-10-01").as_deref(),
            Some(
                "https://github.com/SigmaHQ/sigma/releases/download/r2025-10-01/sigma_core%2B%2B.zip"
            )
        );
        assert_eq!(address("sigmahq.zip"), None);
        assert_eq!(address("sigma@home.zip"), None);
        for wrong in [
            "sigmahq",
            "sigmahq@",
            "sigmahq@../../x",
            "sigmahq@a/b",
            "sigmahq/best@r1",
        ] {
            assert!(address_of(wrong).is_err(), "{wrong}");
        }
    }
}
