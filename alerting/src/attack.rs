//! ATT&CK's tactics and techniques, as rules' tags name them.

pub(crate) use citywatch_rules::attack::TACTICS;

/// The tactics that tags name, a bit each.
pub(crate) fn tactics_of<S: AsRef<str>>(tags: &[S]) -> i64 {
    tags.iter().fold(0, |bits, tag| {
        let name = attack_name(tag.as_ref()).replace('_', "-");
        bits | tactic_bit(&name).unwrap_or(0)
    })
}

/// The bit of a tactic.
pub(crate) fn tactic_bit(name: &str) -> Option<i64> {
    let place = TACTICS.iter().position(|tactic| *tactic == name)?;
    Some(1 << place)
}

/// Names of the tactics whose bits are set.
pub(crate) fn tactic_names(bits: i64) -> Vec<&'static str> {
    TACTICS
        .iter()
        .enumerate()
        .filter(|(place, _)| bits >> place & 1 == 1)
        .map(|(_, name)| *name)
        .collect()
}

/// The techniques that tags name, as ATT&CK writes them: `T1110.001`.
pub(crate) fn techniques_of<S: AsRef<str>>(tags: &[S]) -> Vec<String> {
    let mut found: Vec<String> = tags
        .iter()
        .map(|tag| attack_name(tag.as_ref()))
        .filter(|name| {
            name.strip_prefix('t').is_some_and(|number| {
                !number.is_empty()
                    && number
                        .chars()
                        .all(|character| character.is_ascii_digit() || character == '.')
            })
        })
        .map(|name| name.to_uppercase())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What follows `attack.`, in lower case; empty for other tags.
fn attack_name(tag: &str) -> String {
    let tag = tag.trim().to_ascii_lowercase();
    tag.strip_prefix("attack.").unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_tactics_and_techniques() {
        let tags = [
            "attack.credential_access",
            "attack.T1110.001",
            "attack.initial-access",
            "attack.g0016",
            "cve.2021-44228",
            "attack.t1110.001",
        ];
        assert_eq!(
            tactic_names(tactics_of(&tags)),
            ["initial-access", "credential-access"]
        );
        assert_eq!(techniques_of(&tags), ["T1110.001"]);
        assert_eq!(tactics_of(&["tlp.red"]), 0);
    }
}
