//! ATT&CK's tactics, and its techniques with their names and the tactics that each belongs to.

use std::collections::BTreeMap;

/// The version of the table of techniques; a few of later ones are in it.
pub const ATTACK_VERSION: &str = "17.0";

/// Id, name and tactics of each technique; `attack/README.md` says where it comes from.
const TABLE: &str = include_str!("../attack/enterprise.tsv");

/// Tactics in the order of an attack, as Sigma's tags have them; `stealth` and `defense-impairment` are those into
/// which defense evasion was divided. Alerting keeps their places as bits of a column: add at the end only.
pub const TACTICS: [&str; 16] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    DEFENSE_EVASION,
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

const DEFENSE_EVASION: &str = "defense-evasion";

/// What later versions divided defense evasion into.
const PARTS_OF_DEFENSE_EVASION: [&str; 2] = ["stealth", "defense-impairment"];

/// A technique or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Technique {
    /// Its own name: `PowerShell`.
    pub name: &'static str,
    /// The tactics that it belongs to.
    pub tactics: Vec<&'static str>,
}

/// The techniques of ATT&CK Enterprise, by id.
#[derive(Clone, Debug)]
pub struct Techniques(BTreeMap<&'static str, Technique>);

impl Techniques {
    /// Reads the table that comes with the program: a tenth of a millisecond.
    pub fn enterprise() -> Self {
        let lines = TABLE.lines().map(|line| {
            let mut columns = line.split('\t');
            let mut column = || columns.next().unwrap_or_default();
            let (id, name, tactics) = (column(), column(), column());
            let tactics = tactics.split(',').collect();
            (id, Technique { name, tactics })
        });
        Self(lines.collect())
    }

    /// The technique of that id, as ATT&CK writes it: `T1059.001`.
    pub fn get(&self, id: &str) -> Option<&Technique> {
        self.0.get(id)
    }

    /// The whole name of a technique: `Command and Scripting Interpreter: PowerShell`. `None` for one that the table
    /// does not have.
    pub fn name(&self, id: &str) -> Option<String> {
        let own = self.get(id)?.name;
        let whole = id.split_once('.').and_then(|(whole, _)| self.get(whole));
        Some(whole.map_or_else(|| own.to_owned(), |whole| format!("{}: {own}", whole.name)))
    }

    /// The tactics below which a rule that names `tactics` covers a technique: those of them that the technique belongs
    /// to. Where there is none of these, all that it belongs to; of a technique that the table does not have, what the
    /// rule names.
    pub fn tactics_of(&self, id: &str, tactics: &[&'static str]) -> Vec<&'static str> {
        let whole = || self.get(id.split_once('.')?.0);
        let Some(technique) = self.get(id).or_else(whole) else {
            return tactics.to_vec();
        };
        let belongs = |tactic: &&str| {
            technique.tactics.contains(tactic)
                || PARTS_OF_DEFENSE_EVASION.contains(tactic)
                    && technique.tactics.contains(&DEFENSE_EVASION)
        };
        let fits: Vec<_> = tactics
            .iter()
            .copied()
            .filter(|tactic| belongs(tactic))
            .collect();
        if fits.is_empty() {
            technique.tactics.clone()
        } else {
            fits
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let techniques = Techniques::enterprise();
        assert!(techniques.0.len() > 600);
        assert_eq!(techniques.0.len(), TABLE.lines().count());
        for (id, technique) in &techniques.0 {
            assert!(crate::check::is_technique(&id.to_lowercase()), "{id}");
            assert!(!technique.name.is_empty(), "{id}");
            assert!(!technique.tactics.is_empty(), "{id}");
            for tactic in &technique.tactics {
                assert!(TACTICS.contains(tactic), "{id}: {tactic}");
            }
            if let Some((whole, _)) = id.split_once('.') {
                assert!(techniques.get(whole).is_some(), "{id}");
            }
        }
    }

    #[test]
    fn names_of_parts_say_of_what() {
        let techniques = Techniques::enterprise();
        assert_eq!(techniques.name("T1110").unwrap(), "Brute Force");
        assert_eq!(
            techniques.name("T1059.001").unwrap(),
            "Command and Scripting Interpreter: PowerShell"
        );
        assert_eq!(
            techniques.name("T1685.005").unwrap(),
            "Disable or Modify Tools: Clear Windows Event Logs"
        );
        assert_eq!(techniques.name("T9999"), None);
    }

    #[test]
    fn a_technique_stands_where_it_belongs() {
        let techniques = Techniques::enterprise();
        let of = |id: &str, tactics: &[&'static str]| techniques.tactics_of(id, tactics);
        // Brute force is no discovery, whatever else the rule is about.
        assert_eq!(
            of("T1110.001", &["credential-access", "discovery"]),
            ["credential-access"]
        );
        assert_eq!(of("T1053.003", &["persistence", "impact"]), ["persistence"]);
        assert_eq!(
            of("T1053.003", &[]),
            ["execution", "persistence", "privilege-escalation"]
        );
        assert_eq!(of("T1110", &["impact"]), ["credential-access"]);
        // A rule may speak of the parts that defense evasion became.
        assert_eq!(of("T1562.001", &["stealth", "impact"]), ["stealth"]);
        assert_eq!(
            of("T1685", &["defense-impairment", "impact"]),
            ["defense-impairment"]
        );
        // A part that is newer than the table is where the whole is; what is newer altogether is where the rule says.
        assert_eq!(of("T1110.099", &["impact"]), ["credential-access"]);
        assert_eq!(of("T9999", &["impact"]), ["impact"]);
    }
}
