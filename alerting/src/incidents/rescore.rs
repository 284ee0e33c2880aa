//! A verdict changes what is known of its rule, and with it how urgent the rule's open incidents are.
//!
//! They are computed anew in the background, some at a time: the verdict itself waits for none of it, and between two
//! times matches are taken in. Scores are nobody's decision, so versions stay: whoever is about to close an incident still
//! can. What is lost when the program ends before it has come round is made good at the next start.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::AnyConnection;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::score::{judged, score};
use super::{IncidentRow, State};
use crate::changes::Changes;
use crate::database::{Counter, Database};
use crate::sql::Conditions;
use crate::status::Tally;

/// Incidents of one transaction.
const CHUNK: i64 = 500;
/// Verdicts come in series: those of so long are gone through once.
const GATHER: Duration = Duration::from_millis(250);
/// Between two times: everybody who follows the incidents is told of each, and a new one must not wait behind thousands.
const PAUSE: Duration = Duration::from_millis(250);
/// After a failure of the database.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Rules whose incidents are to be scored anew. Cheap to clone; each rule waits once, so there are no more than rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rescores(Arc<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    rules: Mutex<BTreeSet<String>>,
    came: Notify,
}

impl Rescores {
    /// Says that something else is known of these rules now; after the commit that makes it known.
    pub(crate) fn wanted(&self, rules: impl IntoIterator<Item = String>) {
        let mut waiting = self.0.rules.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(rules);
        if !waiting.is_empty() {
            self.0.came.notify_one();
        }
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.0.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The task that scores anew.
pub(crate) struct Rescorer {
    pub(crate) database: Database,
    pub(crate) changes: Changes,
    pub(crate) tally: Arc<Tally>,
    pub(crate) rescores: Rescores,
}

impl Rescorer {
    /// Runs until shutdown.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = self.work() => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn work(&self) {
        loop {
            match self.judged_rules().await {
                Ok(rules) => break self.rescores.wanted(rules),
                Err(error) => self.tally.failed("looking for judged rules", &error),
            }
            tokio::time::sleep(RETRY_DELAY).await;
        }
        loop {
            self.rescores.0.came.notified().await;
            tokio::time::sleep(GATHER).await;
            for rule in self.rescores.take() {
                if let Err(error) = self.rescore(&rule).await {
                    self.tally.failed("scoring incidents anew", &error);
                    // It waits again, beside what comes meanwhile.
                    self.rescores.wanted([rule]);
                    tokio::time::sleep(RETRY_DELAY).await;
                }
            }
        }
    }

    /// Rules of which something was judged that have open incidents.
    async fn judged_rules(&self) -> Result<Vec<String>, sqlx::Error> {
        let mut conditions = open();
        conditions.push("rule_id IN (SELECT rule_id FROM incidents WHERE verdict IS NOT NULL)");
        let sql = format!(
            "SELECT DISTINCT rule_id FROM incidents{}",
            conditions.clause()
        );
        let rows = conditions
            .query(sql)
            .fetch_all(self.database.pool())
            .await?;
        rows.iter()
            .map(|row| sqlx::Row::try_get(row, "rule_id"))
            .collect()
    }

    /// Scores the open incidents of a rule anew.
    async fn rescore(&self, rule: &str) -> Result<(), sqlx::Error> {
        let mut after = 0;
        loop {
            // Looked at without the writer's turn: mostly little changes, or nothing.
            let mut reader = self.database.pool().acquire().await?;
            let judged = judged(&mut reader, &mut HashMap::new(), rule).await?;
            let rows = rows(&mut reader, rule, after).await?;
            drop(reader);
            let Some(last) = rows.last() else {
                return Ok(());
            };
            if rows.iter().any(|row| row.score != score(row, judged)) {
                self.write(rule, after, last.number).await?;
                tokio::time::sleep(PAUSE).await;
            }
            after = last.number;
        }
    }

    /// Writes the scores of the incidents of a rule with numbers from after the one to the other.
    async fn write(&self, rule: &str, after: i64, last: i64) -> Result<(), sqlx::Error> {
        let mut write = self.database.write().await?;
        let change = write.next(Counter::Change).await?;
        let judged = judged(&mut write, &mut HashMap::new(), rule).await?;
        let mut anew: HashMap<i64, Vec<String>> = HashMap::new();
        let mut count = 0;
        for row in rows(&mut write, rule, after).await? {
            let score = score(&row, judged);
            if row.number <= last && row.score != score {
                anew.entry(score).or_default().push(row.id);
                count += 1;
            }
        }
        for (score, ids) in anew {
            let mut conditions = Conditions::default();
            conditions.one_of("id", ids.iter().map(String::as_str));
            let sql = format!(
                "UPDATE incidents SET score = {score}, change_sequence = {change}{}",
                conditions.clause()
            );
            conditions.query(sql).execute(&mut *write).await?;
        }
        if count == 0 {
            return Ok(());
        }
        write.commit().await?;
        self.changes.announce(change);
        self.tally.rescored(count);
        Ok(())
    }
}

fn open() -> Conditions {
    let mut conditions = Conditions::default();
    conditions.push("merged_into IS NULL");
    conditions.one_of("state", State::OPEN.iter().map(|state| state.name()));
    conditions
}

/// The next open incidents of a rule, in the order of their numbers.
async fn rows(
    connection: &mut AnyConnection,
    rule: &str,
    after: i64,
) -> Result<Vec<IncidentRow>, sqlx::Error> {
    let mut conditions = open();
    conditions.compare("rule_id", "=", rule.to_owned());
    conditions.compare("number", ">", after);
    let sql = format!(
        "SELECT * FROM incidents{} ORDER BY number LIMIT {CHUNK}",
        conditions.clause()
    );
    conditions.query_as(sql).fetch_all(connection).await
}
