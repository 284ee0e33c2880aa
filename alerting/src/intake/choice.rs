//! Which matches become alerts: by level, by status, and by a switch per rule. Pure: no database, no clock.

use std::collections::HashMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::config::AlertsConfig;
use crate::severity::Severity;

/// Why a rule's matches become alerts or do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// A lead switched the rule on.
    SwitchedOn,
    /// A lead switched the rule off.
    SwitchedOff,
    /// The configuration names it among those that are on.
    ConfiguredOn,
    /// The configuration names it among those that are off.
    ConfiguredOff,
    /// Its level is too low.
    Level,
    /// Its status is one whose rules raise none.
    Status,
    /// Level and status are as they should be.
    Fits,
}

/// A decision about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) alerts: bool,
    pub(crate) why: Why,
}

/// What decides.
#[derive(Clone, Debug)]
pub(crate) struct Choice<'a> {
    pub(crate) config: &'a AlertsConfig,
    /// By rule: whether a lead switched it on or off.
    pub(crate) switches: HashMap<String, bool>,
}

impl Choice<'_> {
    /// Whether matches of a rule become alerts. `status` is asked for only where it decides.
    pub(crate) fn decide(
        &self,
        id: &str,
        level: &str,
        status: impl FnOnce() -> String,
    ) -> Decision {
        let decision = |alerts, why| Decision { alerts, why };
        match self.switches.get(id) {
            Some(true) => return decision(true, Why::SwitchedOn),
            Some(false) => return decision(false, Why::SwitchedOff),
            None => {}
        }
        let among = |ids: &[String]| ids.iter().any(|other| other == id);
        if among(&self.config.rules_off) {
            decision(false, Why::ConfiguredOff)
        } else if among(&self.config.rules_on) {
            decision(true, Why::ConfiguredOn)
        } else if Severity::of_level(level) < self.config.level_min {
            decision(false, Why::Level)
        } else if self.config.statuses_off.contains(&status()) {
            decision(false, Why::Status)
        } else {
            decision(true, Why::Fits)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_wins_over_configuration_level_and_status() {
        let config = AlertsConfig {
            rules_off: vec!["off".to_owned()],
            rules_on: vec!["on".to_owned()],
            ..AlertsConfig::default()
        };
        let none = Choice {
            config: &config,
            switches: HashMap::new(),
        };
        let of = |choice: &Choice<'_>, id: &str, level: &str, status: &str| {
            let decision = choice.decide(id, level, || status.to_owned());
            (decision.alerts, decision.why)
        };
        assert_eq!(of(&none, "x", "high", "stable"), (true, Why::Fits));
        assert_eq!(of(&none, "x", "high", ""), (true, Why::Fits));
        assert_eq!(of(&none, "x", "high", "deprecated"), (false, Why::Status));
        assert_eq!(of(&none, "x", "informational", ""), (false, Why::Level));
        assert_eq!(
            of(&none, "on", "informational", ""),
            (true, Why::ConfiguredOn)
        );
        assert_eq!(
            of(&none, "off", "critical", ""),
            (false, Why::ConfiguredOff)
        );
        let switches = [("off".to_owned(), true), ("on".to_owned(), false)];
        let switched = Choice {
            switches: switches.into(),
            ..none
        };
        assert_eq!(
            of(&switched, "off", "low", "deprecated"),
            (true, Why::SwitchedOn)
        );
        assert_eq!(
            of(&switched, "on", "critical", ""),
            (false, Why::SwitchedOff)
        );
    }
}
