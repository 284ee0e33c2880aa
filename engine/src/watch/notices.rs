//! Notices: matches of rules of our own, about Citywatch itself and about its sources.
//!
//! A notice goes the way of every match, so that operators find it where they look, and switch it off by its
//! rule's id (`[alerting.alerts] rules_off`).

use std::sync::Arc;
use std::time::Duration;

use citywatch_parsers::{LogSource, RecordId, Timestamp, UnitId, Value};
use ring::digest::{SHA256, digest};
use tokio::sync::{mpsc, oneshot};

use crate::matches::{
    EventId, EventSnapshot, Evidence, Match, MatchDelivery, MatchId, MatchedField, RuleInfo,
};
use crate::snapshot_fields::SnapshotFields;
use crate::store::{MatchRow, Store};

/// The agent that the events of notices are of.
pub const AGENT: &str = "citywatch";

/// Tries of storing a notice's row; its alert does not depend on it.
const STORE_TRIES: u32 = 5;
const STORE_WAIT: Duration = Duration::from_secs(2);

/// A rule of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoticeRule {
    /// A host or a unit sends nothing although it does so at this time of its week.
    SourceSilent,
    /// It sends far less than in its own weeks.
    VolumeDropped,
    /// It sends far more.
    VolumeLeapt,
    /// Many sources fell silent at once: rather our fault than theirs.
    ManySourcesSilent,
    /// An agent sends no heartbeat any more.
    AgentSilent,
    /// The store is nearly full.
    StoreFilling,
    /// The store is so full that nothing more is taken in.
    IntakePaused,
    /// The engine is behind its transport.
    EngineBehind,
    /// A part of Citywatch does not run.
    PartDown,
    /// A certificate ends soon, or has ended.
    CertificateEnds,
}

impl NoticeRule {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SourceSilent,
        Self::VolumeDropped,
        Self::VolumeLeapt,
        Self::ManySourcesSilent,
        Self::AgentSilent,
        Self::StoreFilling,
        Self::IntakePaused,
        Self::EngineBehind,
        Self::PartDown,
        Self::CertificateEnds,
    ];

    /// Its id: what `rules_off` names.
    pub fn id(self) -> &'static str {
        match self {
            Self::SourceSilent => "citywatch-source-silent",
            Self::VolumeDropped => "citywatch-volume-dropped",
            Self::VolumeLeapt => "citywatch-volume-leapt",
            Self::ManySourcesSilent => "citywatch-many-sources-silent",
            Self::AgentSilent => "citywatch-agent-silent",
            Self::StoreFilling => "citywatch-store-filling",
            Self::IntakePaused => "citywatch-intake-paused",
            Self::EngineBehind => "citywatch-engine-behind",
            Self::PartDown => "citywatch-part-down",
            Self::CertificateEnds => "citywatch-certificate-ends",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::SourceSilent => "A source fell silent",
            Self::VolumeDropped => "A source sends far less than usual",
            Self::VolumeLeapt => "A source sends far more than usual",
            Self::ManySourcesSilent => "Many sources fell silent at once",
            Self::AgentSilent => "An agent fell silent",
            Self::StoreFilling => "The event store is nearly full",
            Self::IntakePaused => "The event store is full: nothing is taken in",
            Self::EngineBehind => "The engine is behind",
            Self::PartDown => "A part of Citywatch does not run",
            Self::CertificateEnds => "A certificate ends soon",
        }
    }

    fn title_vi(self) -> &'static str {
        match self {
            Self::SourceSilent => "Một nguồn nhật ký mất tín hiệu",
            Self::VolumeDropped => "Một nguồn gửi ít hơn hẳn thường lệ",
            Self::VolumeLeapt => "Một nguồn gửi nhiều hơn hẳn thường lệ",
            Self::ManySourcesSilent => "Nhiều nguồn mất tín hiệu cùng lúc",
            Self::AgentSilent => "Một tác tử mất tín hiệu",
            Self::StoreFilling => "Kho sự kiện sắp đầy",
            Self::IntakePaused => "Kho sự kiện đã đầy: ngừng tiếp nhận dữ liệu",
            Self::EngineBehind => "Bộ xử lý bị chậm",
            Self::PartDown => "Một thành phần của Citywatch không chạy",
            Self::CertificateEnds => "Một chứng thư sắp hết hạn",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::VolumeDropped | Self::VolumeLeapt => "low",
            Self::SourceSilent | Self::AgentSilent | Self::StoreFilling | Self::EngineBehind => {
                "medium"
            }
            Self::ManySourcesSilent | Self::PartDown | Self::CertificateEnds => "high",
            Self::IntakePaused => "critical",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::SourceSilent => {
                "An attacker may have stopped logging, or an agent, a device or its network is down. Look at the host and at its agent's status."
            }
            Self::VolumeDropped => {
                "Part of what it logs no longer arrives: a service that ended, a changed audit policy, a filter, a rotated file that is not read."
            }
            Self::VolumeLeapt => {
                "A scan, a brute-force attack, a loop in a program, or debug logging left on. It may crowd out others: see the intake quota."
            }
            Self::ManySourcesSilent => {
                "When many sources fall silent at once, a network, a collector, Kafka or this system is the likelier cause. They are told as one."
            }
            Self::AgentSilent => {
                "An attacker may have stopped it, or the machine, its network or the agent is down. Nothing of this machine arrives meanwhile, or it is read without anyone knowing how the agent fares. Look at the machine: systemctl status citywatch-agent. [watch.agents] agents_off names those that may be silent."
            }
            Self::StoreFilling => {
                "Give it more room, or keep less: [store] bytes_max, retention_days."
            }
            Self::IntakePaused => {
                "Records wait in spool and Kafka and nothing is lost as long as these have room. Intake goes on by itself once there is room."
            }
            Self::EngineBehind => {
                "What happens now is matched late. Add an engine or processors, or find the source that floods: citywatch top."
            }
            Self::PartDown => "citywatch status says why; it is tried again by itself.",
            Self::CertificateEnds => {
                "Once it has ended, connections that rest on it are refused. Renew it."
            }
        }
    }

    fn description_vi(self) -> &'static str {
        match self {
            Self::SourceSilent => {
                "Có thể kẻ tấn công đã tắt ghi nhật ký, hoặc tác tử, thiết bị hay mạng của nó gặp sự cố. Hãy kiểm tra máy chủ và tình trạng tác tử."
            }
            Self::VolumeDropped => {
                "Một phần nhật ký không còn đến: dịch vụ đã dừng, chính sách ghi nhật ký thay đổi, có bộ lọc mới, hoặc tệp đã xoay vòng mà không được đọc."
            }
            Self::VolumeLeapt => {
                "Một đợt quét, dò mật khẩu, chương trình lặp vô tận, hoặc còn để chế độ gỡ lỗi. Các nguồn khác có thể bị chèn ép: xem hạn mức tiếp nhận."
            }
            Self::ManySourcesSilent => {
                "Khi nhiều nguồn mất tín hiệu cùng lúc, nguyên nhân thường là mạng, bộ thu thập, Kafka hoặc chính hệ thống này. Chúng được báo chung một lần."
            }
            Self::AgentSilent => {
                "Có thể kẻ tấn công đã dừng tác tử, hoặc máy, mạng hay tác tử gặp sự cố. Trong lúc đó không có nhật ký nào từ máy này, hoặc không ai biết tác tử ra sao. Hãy kiểm tra trên máy: systemctl status citywatch-agent. [watch.agents] agents_off ghi tên những tác tử được phép im lặng."
            }
            Self::StoreFilling => {
                "Hãy thêm dung lượng hoặc lưu ít hơn: [store] bytes_max, retention_days."
            }
            Self::IntakePaused => {
                "Bản ghi chờ trong bộ đệm và Kafka, không mất gì chừng nào ở đó còn chỗ. Việc tiếp nhận tự tiếp tục khi có chỗ."
            }
            Self::EngineBehind => {
                "Việc đang xảy ra được so khớp muộn. Hãy thêm bộ xử lý hoặc nhân xử lý, hoặc tìm nguồn gửi quá nhiều: citywatch top."
            }
            Self::PartDown => "citywatch status cho biết lý do; hệ thống tự thử lại.",
            Self::CertificateEnds => {
                "Khi chứng thư hết hạn, các kết nối dựa vào nó bị từ chối. Hãy gia hạn."
            }
        }
    }

    fn info(self) -> RuleInfo {
        let text = format!(
            "title: '{}'\nid: {}\nstatus: stable\ndescription: '{}'\nlogsource:\n    product: citywatch\nlevel: {}\n\
             citywatch:\n    title_vi: '{}'\n    description_vi: '{}'\n",
            quoted(self.title()),
            self.id(),
            quoted(self.description()),
            self.level(),
            quoted(self.title_vi()),
            quoted(self.description_vi())
        );
        let hash = digest(&SHA256, text.as_bytes());
        RuleInfo {
            id: self.id().to_owned(),
            title: self.title().to_owned(),
            level: self.level().to_owned(),
            description: self.description().to_owned(),
            tags: Vec::new(),
            log_source: LogSource {
                product: "citywatch".into(),
                ..LogSource::default()
            },
            content_hash: hash.as_ref().iter().map(|b| format!("{b:02x}")).collect(),
            text,
            correlation: false,
        }
    }
}

/// Inside single quotes of YAML.
fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

/// Something to be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// By which rule.
    pub rule: NoticeRule,
    /// The office that it is about; empty when it is about Citywatch.
    pub unit: UnitId,
    /// The host that it is about; empty for a unit as a whole.
    pub host: String,
    /// When it was found.
    pub time: Timestamp,
    /// What makes it this one and no other: the same is told once, whoever tells it.
    pub key: String,
    /// One sentence for people.
    pub words: String,
    /// The numbers behind it.
    pub numbers: Vec<(&'static str, u64)>,
}

impl Notice {
    /// The match by which it is told.
    pub fn to_match(&self) -> Match {
        let record = RecordId {
            agent: AGENT.into(),
            stream: self.rule.id().into(),
            position: u64::try_from(self.time.as_micros()).unwrap_or_default(),
        };
        let name = format!("{}\0{}\0{}", self.unit, self.host, self.key);
        let event_id = EventId::of(AGENT, &format!("{}\0{name}", self.rule.id()), 0, 0);
        let fields = [("message", Value::Str(&self.words))].into_iter().chain(
            self.numbers
                .iter()
                .map(|(name, number)| (*name, Value::UInt(*number))),
        );
        let event = EventSnapshot {
            id: event_id,
            record,
            unit: self.unit.clone(),
            event_time: self.time,
            received_at: self.time,
            host: self.host.as_str().into(),
            format: AGENT.into(),
            fields: SnapshotFields::of(fields),
            raw: self.words.clone(),
        };
        let matched = MatchedField {
            name: "message".into(),
            value: self.words.chars().take(1_000).collect(),
        };
        let rule = self.rule.info();
        Match {
            id: MatchId::of_event(&rule.id, event_id),
            rule: Arc::new(rule),
            unit: self.unit.clone(),
            host: self.host.as_str().into(),
            event_time: self.time,
            group: Vec::new(),
            window: None,
            evidence: vec![Evidence {
                event: Arc::new(event),
                matched: [matched].into(),
            }],
            event_count: 1,
        }
    }
}

/// Where notices are told.
#[derive(Clone, Debug)]
pub struct Notices {
    alerts: mpsc::Sender<MatchDelivery>,
    store: Store,
}

impl Notices {
    /// Tells alerting through `alerts`, and keeps the matches in `store`.
    pub fn new(alerts: mpsc::Sender<MatchDelivery>, store: Store) -> Self {
        Self { alerts, store }
    }

    /// Tells notices: to the log, to alerting until it has committed them, and to the store. A store that is away
    /// keeps no alert back.
    pub async fn tell(&self, notices: &[Notice]) {
        if notices.is_empty() {
            return;
        }
        for notice in notices {
            tracing::warn!(rule = notice.rule.id(), unit = %notice.unit, host = notice.host, "{}", notice.words);
            metrics::counter!("citywatch_notices_total", "rule" => notice.rule.id()).increment(1);
        }
        let matches: Vec<Match> = notices.iter().map(Notice::to_match).collect();
        loop {
            let (done, committed) = oneshot::channel();
            let delivery = MatchDelivery {
                matches: matches.clone(),
                done,
            };
            // Alerting has ended: so does the process.
            if self.alerts.send(delivery).await.is_err() {
                return;
            }
            if committed.await.is_ok() {
                break;
            }
            tokio::time::sleep(STORE_WAIT).await;
        }
        let rows: Vec<MatchRow> = matches.iter().map(MatchRow::from_match).collect();
        for row in &rows {
            self.keep(row).await;
        }
    }

    /// One row per insert: they may be of different months, which are different partitions.
    async fn keep(&self, row: &MatchRow) {
        for _ in 0..STORE_TRIES {
            match self.store.insert_matches(std::slice::from_ref(row)).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::warn!(%error, "a notice is not in the store yet; its alert is raised");
                }
            }
            tokio::time::sleep(STORE_WAIT).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_the_same_match_whoever_tells_it_and_whenever() {
        let notice = |time, key: &str| Notice {
            rule: NoticeRule::SourceSilent,
            unit: "u".into(),
            host: "web01".into(),
            time: Timestamp::from_seconds(time),
            key: key.to_owned(),
            words: "web01 is silent".to_owned(),
            numbers: vec![("expected", 100)],
        };
        assert_eq!(notice(10, "a").to_match().id, notice(20, "a").to_match().id);
        assert_ne!(notice(10, "a").to_match().id, notice(10, "b").to_match().id);
        let other = Notice {
            rule: NoticeRule::VolumeDropped,
            ..notice(10, "a")
        };
        assert_ne!(other.to_match().id, notice(10, "a").to_match().id);
        let told = notice(10, "a").to_match();
        assert_eq!(told.evidence[0].event.raw, "web01 is silent");
        let expected = told.evidence[0]
            .event
            .fields
            .iter()
            .find(|(name, _)| *name == "expected");
        assert!(expected.is_some());
    }

    #[test]
    fn ids_are_each_their_own() {
        let ids: std::collections::BTreeSet<_> = NoticeRule::ALL.map(NoticeRule::id).into();
        assert_eq!(ids.len(), NoticeRule::ALL.len());
    }
}
