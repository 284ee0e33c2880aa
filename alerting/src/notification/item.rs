//! What a notification tells of one incident: a copy of what was so then, under the name and with the severity that the
//! incident has when the message is sent.

use serde::{Deserialize, Serialize};

use crate::incidents::{IncidentRow, rfc3339};
use crate::severity::Severity;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Subject {
    /// An incident was opened.
    Opened,
    /// One of its clocks ran out.
    Overdue,
    /// Nothing: somebody tries a route.
    Test,
}

impl Subject {
    /// Those that a route may ask for.
    pub(crate) const ALL: [Self; 2] = [Self::Opened, Self::Overdue];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Overdue => "overdue",
            Self::Test => "test",
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|subject| subject.name() == name)
    }
}

/// One line of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) subject: Subject,
    pub(crate) incident_id: String,
    pub(crate) number: i64,
    pub(crate) title: String,
    /// In Vietnamese; empty where the rule has no such title.
    #[serde(default)]
    pub(crate) title_vi: String,
    pub(crate) severity: String,
    pub(crate) unit: String,
    pub(crate) host: String,
    pub(crate) rule: String,
    /// When it happened: RFC 3339 in UTC.
    pub(crate) at: String,
    /// The clock that ran out; empty otherwise.
    pub(crate) clock: String,
    /// It is of played recordings: nothing of it happened.
    #[serde(default)]
    pub(crate) demonstration: bool,
}

/// Before the titles of what did not happen: every template shows a title.
const MARK: &str = "[Demonstration] ";
const MARK_VI: &str = "[Trình diễn] ";

impl Item {
    pub(crate) fn of(row: &IncidentRow, subject: Subject, clock: &str, at: i64) -> Self {
        let marked = |mark: &str, title: &str| match (row.demonstration, title) {
            (0, _) | (_, "") => title.to_owned(),
            _ => format!("{mark}{title}"),
        };
        Self {
            subject,
            incident_id: row.id.clone(),
            number: row.number,
            title: marked(MARK, &row.title),
            title_vi: marked(MARK_VI, &row.title_vi),
            severity: Severity::of_rank(row.severity).name().to_owned(),
            unit: row.unit.clone(),
            host: row.host.clone(),
            rule: row.rule_title.clone(),
            at: rfc3339(at),
            clock: clock.to_owned(),
            demonstration: row.demonstration != 0,
        }
    }

    /// Calls it as its incident is called now: one that became worse while its message waited is told as what it is.
    pub(crate) fn rename(&mut self, row: &IncidentRow) {
        let now = Self::of(row, self.subject, "", 0);
        self.title = now.title;
        self.title_vi = now.title_vi;
        self.severity = now.severity;
        self.rule = now.rule;
    }

    /// One that says that it is a test.
    pub(crate) fn test(at: i64) -> Self {
        Self {
            subject: Subject::Test,
            incident_id: String::new(),
            number: 0,
            title_vi: String::new(),
            title: "Thử kênh thông báo của Citywatch / A test of this notification route"
                .to_owned(),
            severity: Severity::Informational.name().to_owned(),
            unit: String::new(),
            host: String::new(),
            rule: String::new(),
            at: rfc3339(at),
            clock: String::new(),
            demonstration: false,
        }
    }
}
