//! What a demonstration plays: section `[demo]` of `citywatch.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use citywatch_collector::sources::files::Joining;
use serde::Deserialize;

use crate::report::UsageError;

/// Recordings, and the programme by which they are played.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DemoConfig {
    /// Folder of the recordings.
    pub recordings: PathBuf,
    /// The units, as CSV with the columns id, name and parent.
    pub units: PathBuf,
    /// Days of history before the first start.
    pub days: u32,
    /// Whoever changes it gets another history; the same one makes the same.
    pub seed: u64,
    /// What was recorded.
    pub files: Vec<RecordedFile>,
    /// What of it belongs together.
    pub scenes: Vec<Scene>,
    /// Where it is played.
    pub offices: Vec<Office>,
    /// What has just happened when the history ends, and nobody has looked at.
    pub finale: Vec<FinaleScene>,
    /// Who works on the incidents. Nobody knows their passwords.
    pub people: Vec<DemoPerson>,
    /// What they find; where several fit, one by its weight.
    pub judgements: Vec<Judgement>,
    /// What they write while they work.
    pub comments: Vec<String>,
    /// What a lead decided not to see.
    pub suppressions: Vec<DemoSuppression>,
}

/// A recorded file.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedFile {
    /// In the folder of the recordings.
    pub path: PathBuf,
    /// The host that it speaks of.
    pub host: String,
    /// Its format in the parsers' table.
    pub format: String,
    /// How its lines are joined.
    #[serde(default)]
    pub multiline: Joining,
}

/// A part of the recordings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// By which the finale names it.
    pub name: String,
    /// The recorded hosts that take part.
    pub hosts: Vec<String>,
    /// From this time of the recorded day on, as it was there.
    pub from: jiff::civil::Time,
    /// Up to this one, which is no part of it.
    pub until: jiff::civil::Time,
    /// How often it is played on a working day, at each office that has its hosts; 0.5 is every other day.
    #[serde(default)]
    pub per_workday: f64,
    /// The same on a Saturday or Sunday.
    #[serde(default)]
    pub per_day_off: f64,
    /// When.
    #[serde(default)]
    pub hours: Hours,
    /// Nothing comes of it: it goes on after the history.
    #[serde(default)]
    pub quiet: bool,
}

/// When a scene may be played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hours {
    /// While people are at work.
    #[default]
    Office,
    /// At any time of the day.
    Any,
}

/// An office at which scenes are played.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Office {
    /// Its unit.
    pub unit: String,
    /// Its hosts, each by the name of the recorded one that it is played by.
    pub hosts: BTreeMap<String, String>,
    /// Nothing is heard of it since so many days.
    #[serde(default)]
    pub silent_days: u32,
}

/// A scene that was played just before the history ends.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinaleScene {
    /// Which.
    pub scene: String,
    /// At which office.
    pub unit: String,
    /// So long before the end it began.
    pub minutes_ago: u32,
}

/// Somebody who works on the incidents.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoPerson {
    /// The account's name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Whose subtree it sees; empty: the whole city.
    #[serde(default)]
    pub unit: String,
}

/// What an incident turns out to be.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judgement {
    /// Ids of the rules that open such incidents; empty: any other.
    #[serde(default)]
    pub rules: Vec<String>,
    /// `true_positive`, `benign_true_positive` or `false_positive`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// How often, beside the others that fit.
    #[serde(default = "one")]
    pub weight: u32,
}

fn one() -> u32 {
    1
}

/// A suppression that a lead set.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoSuppression {
    /// The rule's id.
    pub rule: String,
    /// The unit.
    pub unit: String,
    /// Why.
    pub reason: String,
    /// So many days before the end of the history it was set.
    pub days_ago: u32,
    /// For so many days.
    pub days: u32,
}

impl DemoConfig {
    /// Makes its paths relative to the configuration's folder.
    pub fn resolve(&mut self, folder: &Path) {
        self.recordings = folder.join(&self.recordings);
        self.units = folder.join(&self.units);
    }

    /// What makes no sense, all of it.
    ///
    /// # Errors
    /// [`UsageError`] in one line.
    pub fn check(&self) -> Result<(), UsageError> {
        let mut problems = Vec::new();
        if self.days == 0 || self.days > 120 {
            problems.push("days must be from 1 to 120".to_owned());
        }
        let recorded = |host: &String| self.files.iter().any(|file| file.host == *host);
        for scene in &self.scenes {
            for host in scene.hosts.iter().filter(|host| !recorded(host)) {
                problems.push(format!(
                    "scene \"{}\": no file is of host \"{host}\"",
                    scene.name
                ));
            }
            if scene.from >= scene.until {
                problems.push(format!(
                    "scene \"{}\": `from` must be before `until`",
                    scene.name
                ));
            }
        }
        for office in &self.offices {
            for host in office.hosts.keys().filter(|host| !recorded(host)) {
                problems.push(format!(
                    "office \"{}\": no file is of host \"{host}\"",
                    office.unit
                ));
            }
        }
        for part in &self.finale {
            let scene = self.scenes.iter().find(|scene| scene.name == part.scene);
            let office = self.offices.iter().find(|office| office.unit == part.unit);
            match (scene, office) {
                (None, _) => problems.push(format!("finale: there is no scene \"{}\"", part.scene)),
                (_, None) => problems.push(format!("finale: there is no office \"{}\"", part.unit)),
                (Some(scene), Some(office)) if !office.has(scene) => problems.push(format!(
                    "finale: office \"{}\" has not all hosts of scene \"{}\"",
                    part.unit, part.scene
                )),
                _ => {}
            }
        }
        let role = |wanted: &str| self.people.iter().any(|person| person.role == wanted);
        if !role("analyst") || !role("lead") {
            problems.push("people must be an analyst and a lead at least".to_owned());
        }
        if !self.judgements.iter().any(|one| one.rules.is_empty()) {
            problems
                .push("one of the judgements must fit any rule: leave out its `rules`".to_owned());
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(UsageError(format!("[demo] {}", problems.join("; [demo] ")))),
        }
    }
}

impl Office {
    /// Whether all hosts of a scene have somebody who plays them here.
    pub fn has(&self, scene: &Scene) -> bool {
        scene.hosts.iter().all(|host| self.hosts.contains_key(host))
    }
}
