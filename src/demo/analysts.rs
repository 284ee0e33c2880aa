//! The people of a demonstration: each incident is taken, worked on, judged and closed after the time that people need
//! for it, through the API and in order of time with what the engine finds.
//!
//! Alerting's clock stands at what happens: at the receipt of the events of a match, or at the moment at which somebody
//! does something. What a person does follows from the incident as it is, so that a day that is played again after an
//! interruption finds what was done and does the rest.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use anyhow::Context;
use citywatch_alerting::{Alerting, Clock, UserError};
use citywatch_engine::MatchDelivery;
use citywatch_parsers::Timestamp;
use jiff::ToSpan;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::config::{DemoConfig, DemoPerson, DemoSuppression, Judgement};
use super::desk::Desk;
use super::programme::{Chance, WORK_BEGINS, WORK_ENDS, is_at_work, is_workday};
use super::recording::{instant, local};
use crate::config::Config;
use crate::system;

const MINUTE_US: i64 = 60_000_000;
const DAY_US: i64 = 24 * 60 * MINUTE_US;
/// Incidents of one page.
const PAGE: usize = 100;
/// Units one above the other.
const UNITS_DEEP_MAX: usize = 20;
/// What one decides about an incident, as numbers of its own: see [`Chance::of`].
const PLAN: u64 = 1;
const WORDS: u64 = 2;
const VERDICT: u64 = 3;

/// What happens next.
pub enum Cue {
    /// The engine found something.
    Matches(MatchDelivery),
    /// A day is over, all of it is stored.
    DayOver {
        /// What is due before that is done.
        until: Timestamp,
        /// Answered then.
        done: oneshot::Sender<()>,
    },
}

/// Something that somebody is going to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Task {
    /// With an incident, by its id.
    Step(Step, String),
    /// To look at the list of incidents.
    Look,
    /// To set the suppression of that place in the configuration.
    Suppress(usize),
}

/// Steps of an incident's life, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Acknowledge,
    Work,
    ReportFirst,
    Resolve,
    ReportFull,
    Close,
}

/// An incident as it was seen last.
#[derive(Clone, Debug)]
struct Seen {
    number: u64,
    version: i64,
    state: String,
    severity: String,
    rule: String,
    unit: String,
    assignee: Option<String>,
}

/// The people, signed in.
pub struct Analysts {
    demo: DemoConfig,
    clock: Clock,
    intake: mpsc::Sender<MatchDelivery>,
    end: Timestamp,
    desks: Vec<(DemoPerson, Desk)>,
    due: BinaryHeap<Reverse<(i64, Task)>>,
    incidents: HashMap<String, Seen>,
    /// The unit above each.
    parents: HashMap<String, String>,
    /// The highest number of an incident that is known.
    known: u64,
    /// What people could not do.
    failures: u64,
}

impl Analysts {
    /// Makes the accounts and units where they are missing, signs everybody in, and plans what is still to be done.
    pub async fn prepare(
        demo: &DemoConfig,
        alerting: &Alerting,
        clock: &Clock,
        end: Timestamp,
        address: &str,
        config: &Config,
    ) -> anyhow::Result<Self> {
        let mut passwords = Vec::new();
        for person in &demo.people {
            match alerting.reset_user(&person.name).await {
                Ok(first) => passwords.push(Some(first.password)),
                Err(UserError::Unknown { .. }) => passwords.push(None),
                Err(error) => return Err(error.into()),
            }
        }
        let units = std::fs::read_to_string(&demo.units)
            .with_context(|| format!("cannot read the units {}", demo.units.display()))?;
        let parents = parents(&units);
        let first = system::first_sign_in(&config.data.dir);
        let (demo, address) = (demo.clone(), address.to_owned());
        let (clock, intake) = (clock.clone(), alerting.intake());
        let prepare = move || {
            if let Some((name, password)) = first {
                let desk = Desk::sign_in(&address, &name, &password)?;
                let imported = desk.send_text("PUT", "/units", None, "text/csv", units)?;
                imported.right().context("the units")?;
                for (person, password) in demo.people.iter().zip(&mut passwords) {
                    if password.is_none() {
                        *password = Some(make(&desk, person)?);
                    }
                }
                desk.send("DELETE", "/session", None, &Value::Null)?
                    .right()?;
            }
            let mut desks = Vec::new();
            for (person, password) in demo.people.iter().zip(passwords) {
                let password = password.with_context(|| {
                    format!("there is no account \"{}\", and the first administrator's password is gone: begin anew with another data folder", person.name)
                })?;
                desks.push((
                    person.clone(),
                    Desk::sign_in(&address, &person.name, &password)?,
                ));
            }
            let mut analysts = Self {
                demo,
                clock,
                intake,
                end,
                desks,
                due: BinaryHeap::new(),
                incidents: HashMap::new(),
                parents,
                known: 0,
                failures: 0,
            };
            analysts.plan_suppressions()?;
            analysts.look()?;
            Ok(analysts)
        };
        tokio::task::spawn_blocking(prepare).await?
    }

    /// Works until there is nothing more to come.
    pub fn work(mut self, mut cues: mpsc::Receiver<Cue>) -> anyhow::Result<()> {
        while let Some(cue) = cues.blocking_recv() {
            match cue {
                Cue::Matches(delivery) => self.take(delivery)?,
                Cue::DayOver { until, done } => {
                    self.act_until(until);
                    // Who played the day may have been told to end.
                    let _ = done.send(());
                }
            }
        }
        if self.failures > 0 {
            tracing::warn!(
                failures = self.failures,
                "people of the demonstration left something undone"
            );
        }
        Ok(())
    }

    /// Does what is due before these matches came, and lets alerting have them at their time.
    fn take(&mut self, delivery: MatchDelivery) -> anyhow::Result<()> {
        let evidence = delivery.matches.iter().flat_map(|found| &found.evidence);
        let received = evidence.map(|shown| shown.event.received_at).max();
        if let Some(received) = received.filter(|received| *received <= self.end) {
            self.act_until(received);
            self.clock.move_to(received);
        }
        let MatchDelivery { matches, done } = delivery;
        let (committed, is_committed) = oneshot::channel();
        let handed_on = MatchDelivery {
            matches,
            done: committed,
        };
        self.intake
            .blocking_send(handed_on)
            .ok()
            .context("alerting has ended")?;
        // Without an answer they were not committed: the engine sends them again.
        if is_committed.blocking_recv().is_ok() {
            let _ = done.send(());
            // What was not seen is seen with the next matches.
            if let Err(error) = self.look() {
                self.failed(&Task::Look, &error);
            }
        }
        Ok(())
    }

    /// What one person could not do is left undone: the city goes on, and so does everybody else.
    fn failed(&mut self, task: &Task, error: &anyhow::Error) {
        self.failures += 1;
        metrics::counter!("citywatch_demonstration_failures_total").increment(1);
        tracing::warn!(
            ?task,
            error = format!("{error:#}"),
            "a person of the demonstration could not do something"
        );
    }

    fn act_until(&mut self, time: Timestamp) {
        let time = time.min(self.end);
        while let Some(Reverse((at, _))) = self.due.peek()
            && *at <= time.as_micros()
        {
            let Some(Reverse((at, task))) = self.due.pop() else {
                break;
            };
            self.clock.move_to(Timestamp(at));
            let outcome = match &task {
                Task::Step(step, id) => self.step(*step, id),
                Task::Suppress(place) => self.suppress(*place),
                Task::Look => self.look(),
            };
            if let Err(error) = outcome {
                self.failed(&task, &error);
            }
        }
        self.clock.move_to(time);
    }

    /// Looks for incidents that are new, and plans what becomes of them.
    fn look(&mut self) -> anyhow::Result<()> {
        let Some((_, desk)) = self.desks.iter().find(|(person, _)| person.unit.is_empty()) else {
            return Ok(());
        };
        let (mut cursor, mut found) = (String::new(), Vec::new());
        loop {
            let page = desk
                .get(&format!("/incidents?limit={PAGE}&cursor={cursor}"))?
                .right()?;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            let is_known = |item: &Value| {
                item["number"]
                    .as_u64()
                    .is_some_and(|number| number <= self.known)
            };
            let reaches_known = items.iter().any(is_known);
            found.extend(items.into_iter().filter(|item| !is_known(item)));
            match page["next_cursor"].as_str() {
                Some(next) if !reaches_known => cursor = next.to_owned(),
                _ => break,
            }
        }
        for item in found.into_iter().rev() {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            let seen = Seen::of(&item);
            self.known = self.known.max(seen.number);
            let created: jiff::Timestamp =
                item["created_at"].as_str().unwrap_or_default().parse()?;
            for (at, step) in self.plan(&seen, Timestamp(created.as_microsecond())) {
                let at = at.as_micros();
                self.due.push(Reverse((at, Task::Step(step, id.clone()))));
            }
            self.incidents.insert(id, seen);
        }
        Ok(())
    }

    /// When what is done with an incident.
    fn plan(&self, seen: &Seen, created: Timestamp) -> Vec<(Timestamp, Step)> {
        let mut chance = Chance::of(self.demo.seed, &[PLAN, seen.number]);
        // Minutes until somebody takes it, and how long the work lasts.
        let (take, work) = match seen.severity.as_str() {
            "critical" => ((3, 13), (40, 200)),
            "high" => ((8, 52), (60, 900)),
            "medium" => ((25, 400), (30, 2_400)),
            _ => ((60, 1_200), (20, 5_000)),
        };
        let is_urgent = matches!(seen.severity.as_str(), "critical" | "high");
        let mut take = chance.within(take.0, take.1);
        // Some are late, and some are forgotten.
        if chance.permille(90) {
            take *= 6;
        }
        if chance.permille(25) && !is_urgent {
            return Vec::new();
        }
        let after = |from: Timestamp, minutes: u64| {
            let minutes = i64::try_from(minutes).unwrap_or(0);
            let at = Timestamp(from.as_micros() + minutes * MINUTE_US);
            if is_urgent { at } else { at_work(at, minutes) }
        };
        let taken = after(created, take);
        let begun = after(taken, chance.within(2, 25));
        let resolved = after(begun, chance.within(work.0, work.1));
        let closed = after(resolved, chance.within(30, 1_800));
        let mut plan = vec![(taken, Step::Acknowledge), (begun, Step::Work)];
        // A few stay open for weeks.
        if chance.permille(970) {
            plan.extend([(resolved, Step::Resolve), (closed, Step::Close)]);
        }
        if seen.severity == "critical" {
            let first = after(begun, chance.within(60, 1_200));
            let full = Timestamp(resolved.as_micros().max(first.as_micros()) + DAY_US);
            plan.extend([(first, Step::ReportFirst), (full, Step::ReportFull)]);
        }
        plan
    }

    /// An incident as it is by now: an alert of another office moves it there. None where it is part of another.
    fn seen_anew(&mut self, id: &str) -> anyhow::Result<Option<Seen>> {
        let mut desks = self.desks.iter();
        let Some((_, desk)) = desks.find(|(person, _)| person.unit.is_empty()) else {
            return Ok(self.incidents.get(id).cloned());
        };
        if !self.incidents.contains_key(id) {
            return Ok(None);
        }
        let item = desk.get(&format!("/incidents/{id}"))?.right()?;
        if !item["merged_into"].is_null() {
            self.incidents.remove(id);
            return Ok(None);
        }
        let seen = Seen::of(&item);
        self.incidents.insert(id.to_owned(), seen.clone());
        Ok(Some(seen))
    }

    fn step(&mut self, step: Step, id: &str) -> anyhow::Result<()> {
        let Some(seen) = self.seen_anew(id)? else {
            return Ok(());
        };
        if !step.fits(&seen.state) {
            return Ok(());
        }
        let mut chance = Chance::of(self.demo.seed, &[WORDS, seen.number, step as u64]);
        let person = self.who(step, &seen, &mut chance);
        let judgement = judgement(&self.demo, &seen);
        let Some((person, judgement)) = person.zip(judgement) else {
            return Ok(());
        };
        let name = person.name.clone();
        match step {
            Step::Acknowledge => self.change(
                &name,
                id,
                &json!({ "state": "acknowledged", "assignee": name }),
            ),
            Step::Work => {
                let desk = self.desk(&name)?;
                desk.get(&format!("/incidents/{id}"))?.right()?;
                if chance.permille(700) && !self.demo.comments.is_empty() {
                    let place = chance.within(0, self.demo.comments.len() as u64);
                    let text = &self.demo.comments[usize::try_from(place).unwrap_or(0)];
                    let path = format!("/incidents/{id}/comments");
                    desk.send("POST", &path, None, &json!({ "text": text }))?;
                }
                self.change(
                    &name,
                    id,
                    &json!({ "state": "in_progress", "assignee": name }),
                )
            }
            Step::Resolve => {
                let (verdict, reason) = (&judgement.verdict, &judgement.reason);
                let change = json!({ "state": "resolved", "verdict": verdict, "verdict_reason": reason, "assignee": name });
                self.change(&name, id, &change)
            }
            Step::Close => self.change(&name, id, &json!({ "state": "closed" })),
            Step::ReportFirst | Step::ReportFull if judgement.verdict != "true_positive" => Ok(()),
            Step::ReportFirst => self.report(&name, id, "first", seen.number),
            Step::ReportFull => self.report(&name, id, "full", seen.number),
        }
    }

    /// Who does it: whoever has the incident, a lead to close it, else one of those who see it.
    fn who(&self, step: Step, seen: &Seen, chance: &mut Chance) -> Option<&DemoPerson> {
        let wanted = match step {
            Step::Close => "lead",
            _ => "analyst",
        };
        let above = std::iter::successors(Some(&seen.unit), |unit| self.parents.get(*unit));
        let above: Vec<&String> = above.take(UNITS_DEEP_MAX).collect();
        let sees = |person: &DemoPerson| person.unit.is_empty() || above.contains(&&person.unit);
        let people = self.demo.people.iter();
        if step != Step::Close
            && let Some(assignee) = &seen.assignee
            && let Some(person) = people.clone().find(|person| person.name == *assignee)
            && sees(person)
        {
            return Some(person);
        }
        let fitting: Vec<_> = people
            .filter(|person| person.role == wanted && sees(person))
            .collect();
        let place = chance.within(0, fitting.len() as u64);
        fitting.get(usize::try_from(place).unwrap_or(0)).copied()
    }

    fn desk(&self, name: &str) -> anyhow::Result<&Desk> {
        let found = self.desks.iter().find(|(person, _)| person.name == name);
        Ok(&found.with_context(|| format!("{name} is not signed in"))?.1)
    }

    /// Changes an incident; looks again where somebody changed it meanwhile.
    fn change(&mut self, name: &str, id: &str, change: &Value) -> anyhow::Result<()> {
        for _ in 0..2 {
            let seen = self
                .incidents
                .get(id)
                .context("an incident that was seen")?;
            let desk = self.desk(name)?;
            let answer = desk.send(
                "PATCH",
                &format!("/incidents/{id}"),
                Some(seen.version),
                change,
            )?;
            let status = answer.status;
            let item = match status {
                200..300 => answer.body,
                // It took another one in, or was taken in: its version is another, or it is no more.
                409 | 412 => desk.get(&format!("/incidents/{id}"))?.right()?,
                _ => answer.right()?,
            };
            if !item["merged_into"].is_null() {
                self.incidents.remove(id);
                return Ok(());
            }
            self.incidents.insert(id.to_owned(), Seen::of(&item));
            if status < 300 {
                return Ok(());
            }
        }
        Ok(())
    }

    fn report(&self, name: &str, id: &str, clock: &str, number: u64) -> anyhow::Result<()> {
        let body =
            json!({ "clock": clock, "reference": format!("CV-{number:04}/TTGS (trình diễn)") });
        let path = format!("/incidents/{id}/reports");
        let answer = self.desk(name)?.send("POST", &path, None, &body)?;
        // Handed in before the interruption, or merged into another: there is nothing to do.
        match answer.status {
            409 => Ok(()),
            _ => answer.right().map(drop),
        }
    }

    fn plan_suppressions(&mut self) -> anyhow::Result<()> {
        let Some((_, desk)) = self.lead() else {
            return Ok(());
        };
        let page = desk.get("/suppressions")?.right()?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        let is_there = |one: &DemoSuppression| {
            items
                .iter()
                .any(|item| item["reason"].as_str() == Some(&one.reason))
        };
        for (place, one) in self.demo.suppressions.iter().enumerate() {
            let at = self.end.as_micros() - i64::from(one.days_ago) * DAY_US;
            if !is_there(one) {
                self.due.push(Reverse((at, Task::Suppress(place))));
            }
        }
        Ok(())
    }

    fn suppress(&self, place: usize) -> anyhow::Result<()> {
        let (Some(one), Some((_, desk))) = (self.demo.suppressions.get(place), self.lead()) else {
            return Ok(());
        };
        let ends = self.end.as_micros() + (i64::from(one.days) - i64::from(one.days_ago)) * DAY_US;
        let body = json!({
            "rule_id": one.rule, "unit": one.unit, "reason": one.reason,
            "ends_at": Timestamp(ends).to_string(),
        });
        desk.send("POST", "/suppressions", None, &body)?
            .right()
            .map(drop)
    }

    fn lead(&self) -> Option<&(DemoPerson, Desk)> {
        let mut desks = self.desks.iter();
        desks.find(|(person, _)| person.role == "lead" && person.unit.is_empty())
    }
}

impl Step {
    /// Whether an incident in that state is to be taken this step with.
    fn fits(self, state: &str) -> bool {
        match self {
            Self::Acknowledge => state == "new",
            Self::Work => state == "acknowledged",
            Self::Resolve => state == "in_progress",
            Self::Close => state == "resolved",
            Self::ReportFirst | Self::ReportFull => state != "new",
        }
    }
}

impl Seen {
    fn of(item: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            number: item["number"].as_u64().unwrap_or(0),
            version: item["version"].as_i64().unwrap_or(0),
            state: text(&item["state"]),
            severity: text(&item["severity"]),
            rule: text(&item["rule"]["id"]),
            unit: text(&item["unit"]),
            assignee: item["assignee"].as_str().map(str::to_owned),
        }
    }
}

fn make(desk: &Desk, person: &DemoPerson) -> anyhow::Result<String> {
    let body = json!({ "name": person.name, "role": person.role, "unit": person.unit });
    let made = desk.send("POST", "/users", None, &body)?.right();
    let made = made.with_context(|| format!("the account of {}", person.name))?;
    Ok(made["password"].as_str().unwrap_or_default().to_owned())
}

/// What the incident turns out to be.
fn judgement<'d>(demo: &'d DemoConfig, seen: &Seen) -> Option<&'d Judgement> {
    let of_rule = |one: &&Judgement| one.rules.contains(&seen.rule);
    let mut fitting: Vec<&Judgement> = demo.judgements.iter().filter(of_rule).collect();
    if fitting.is_empty() {
        fitting = demo
            .judgements
            .iter()
            .filter(|one| one.rules.is_empty())
            .collect();
    }
    let all: u64 = fitting.iter().map(|one| u64::from(one.weight)).sum();
    let mut drawn = Chance::of(demo.seed, &[VERDICT, seen.number]).within(0, all);
    for one in fitting {
        match drawn.checked_sub(u64::from(one.weight)) {
            None => return Some(one),
            Some(rest) => drawn = rest,
        }
    }
    None
}

/// The time itself while people are at work, else some minutes into the next working day.
fn at_work(time: Timestamp, minutes: i64) -> Timestamp {
    let at = local(time);
    if is_at_work(at) {
        return time;
    }
    let mut date = at.date();
    if at.time() >= WORK_ENDS {
        date = date.saturating_add(1.days());
    }
    while !is_workday(date) {
        date = date.saturating_add(1.days());
    }
    let morning = instant(date.to_datetime(WORK_BEGINS));
    Timestamp(morning.as_micros() + (minutes % 75) * MINUTE_US)
}

/// The unit above each, by the CSV of units: the last of its columns.
fn parents(units: &str) -> HashMap<String, String> {
    let lines = units.lines().skip(1);
    lines
        .filter_map(|line| {
            let (id, _) = line.split_once(',')?;
            let (_, parent) = line.rsplit_once(',')?;
            Some((id.to_owned(), parent.to_owned()))
        })
        .collect()
}
