//! A site: files, an agent, a broker, engines that share its topics, the store, and the incidents' database.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::support::broker::Broker;
use super::support::postgres::{Cluster, programs};
use super::support::{Running, StoreServer, citywatch, free_port, request, sibling, wait_for};

/// An engine and where it tells how it stands.
pub(crate) struct Engine {
    running: Running,
    monitor: u16,
}

impl Engine {
    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }
}

/// All of it.
pub(crate) struct Site {
    dir: PathBuf,
    pub(crate) broker: Broker,
    store: Option<StoreServer>,
    store_starts: u32,
    pub(crate) engines: Vec<Engine>,
    engine_starts: u32,
    agent: Option<Running>,
    agent_starts: u32,
    database: Option<Database>,
    pub(crate) disk: Option<Disk>,
}

impl Site {
    pub(crate) const AGENT: &str = "test-agent";
    pub(crate) const OTHERS_TOPIC: &str = "others";
    pub(crate) const RULE_ID: &str = "00000000-0000-4000-8000-000000000001";
    const TOPIC: &str = "citywatch-records";
    /// Of each topic.
    pub(crate) const PARTITIONS: u32 = 3;
    pub(crate) const ENGINES_MAX: usize = 3;
    /// How long an engine may be silent before others get its partitions.
    pub(crate) const SESSION: Duration = Duration::from_secs(6);
    /// How long it may go without polling.
    pub(crate) const POLL_INTERVAL_MAX: Duration = Duration::from_secs(7);

    /// Starts everything, with two engines; the store has a disk of this size, where that can be.
    pub(crate) fn start(dir: &Path, broker: Broker, disk_size: &str) -> Self {
        for topic in [Self::TOPIC, Self::OTHERS_TOPIC] {
            broker.topic(topic, Self::PARTITIONS, &[]);
        }
        for folder in ["logs", "rules", "store"] {
            std::fs::create_dir(dir.join(folder)).unwrap();
        }
        let rule = format!(
            "title: Alarm\nid: {}\nlogsource: {{category: test}}\nlevel: high\n\
             detection:\n  selection: {{alarm: 'yes'}}\n  condition: selection\n",
            Self::RULE_ID
        );
        std::fs::write(dir.join("rules/alarm.yml"), rule).unwrap();
        let mut site = Self {
            dir: dir.to_owned(),
            broker,
            store: None,
            store_starts: 0,
            engines: Vec::new(),
            engine_starts: 0,
            agent: None,
            agent_starts: 0,
            database: Database::start(),
            disk: Disk::mount(&dir.join("store"), disk_size),
        };
        site.start_store(free_port());
        site.start_agent();
        site.add_engine();
        site.add_engine();
        site
    }

    pub(crate) fn logs_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    fn start_store(&mut self, port: u16) {
        self.store_starts += 1;
        let name = format!("store-{}", self.store_starts);
        let data = self.dir.join("store/data");
        self.store = Some(StoreServer::start_on(port, &data, &self.dir, &name));
    }

    fn store(&self) -> &StoreServer {
        self.store.as_ref().unwrap()
    }

    pub(crate) fn store_id(&self) -> u32 {
        self.store().running.id()
    }

    pub(crate) fn kill_store(&mut self) {
        let store = self.store.take().unwrap();
        let port = store.port;
        store.running.kill();
        self.start_store(port);
    }

    fn start_agent(&mut self) {
        self.agent_starts += 1;
        let config = format!(
            "name = \"{}\"\nunit = \"ward-7\"\nstate_dir = \"{}\"\n[[files]]\npaths = [\"{}/*.log\"]\nformat = \"json\"\nread_from = \"beginning\"\n\
             [kafka]\nbrokers = \"{}\"\ntopic = \"{}\"\n",
            Self::AGENT,
            self.dir.join("agent").display(),
            self.logs_dir().display(),
            self.broker.address(),
            Self::TOPIC
        );
        let path = self.dir.join("agent.toml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(sibling("citywatch-agent"));
        command.arg("run").arg("--config").arg(path);
        let name = format!("agent-{}", self.agent_starts);
        self.agent = Some(Running::start(&mut command, &name, &self.dir));
    }

    pub(crate) fn kill_agent(&mut self) {
        self.agent.take().unwrap().kill();
        self.start_agent();
    }

    pub(crate) fn add_engine(&mut self) {
        self.engine_starts += 1;
        let name = format!("engine-{}", self.engine_starts);
        let monitor = free_port();
        let database = self.database.as_ref().map(|database| database.url());
        let alerting = database.map_or_else(String::new, |url| {
            format!("[alerting]\ndatabase_url = \"{url}\"\n")
        });
        let config = format!(
            "[data]\ndir = \"{0}/{name}\"\n[monitor]\nlisten = \"127.0.0.1:{1}\"\n[engine]\nrules = [\"{0}/rules\"]\nflush_interval_ms = 200\n{alerting}{2}\
             [kafka]\nbrokers = \"{3}\"\n[kafka.options]\n\"session.timeout.ms\" = \"{4}\"\n\"max.poll.interval.ms\" = \"{5}\"\n\"heartbeat.interval.ms\" = \"500\"\n\
             [kafka.topics.\"{6}\"]\n[kafka.topics.\"{7}\"]\nunit = \"ward-9\"\nformat = \"json\"\n",
            self.dir.display(),
            monitor,
            self.store().config(),
            self.broker.address(),
            Self::SESSION.as_millis(),
            Self::POLL_INTERVAL_MAX.as_millis(),
            Self::TOPIC,
            Self::OTHERS_TOPIC,
        );
        let path = self.dir.join(format!("{name}.toml"));
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(citywatch());
        command.arg("engine").arg("--config").arg(path);
        let running = Running::start(&mut command, &name, &self.dir);
        self.engines.push(Engine { running, monitor });
    }

    pub(crate) fn have_two_engines(&mut self) {
        if self.engines.len() < 2 {
            self.add_engine();
        }
    }

    /// Another takes its place.
    pub(crate) fn kill_engine(&mut self, place: usize) {
        self.engines.swap_remove(place).running.kill();
        self.add_engine();
    }

    pub(crate) fn stop_engine(&mut self, place: usize) {
        self.engines.swap_remove(place).running.stop();
    }

    /// Nothing has ended that nobody ended.
    pub(crate) fn all_alive(&mut self) {
        let store = self.store.as_mut().unwrap();
        assert!(store.running.is_running(), "the store ended");
        let agent = self.agent.as_mut().unwrap();
        assert!(agent.is_running(), "the agent ended:\n{}", agent.log());
        for engine in &mut self.engines {
            assert!(
                engine.running.is_running(),
                "an engine ended:\n{}",
                engine.running.log()
            );
        }
    }

    /// Rows by now; none while the store cannot tell.
    pub(crate) fn stored_roughly(&self) -> Option<u64> {
        let count = "SELECT count() FROM citywatch.events WHERE agent != 'citywatch/claim'";
        let answer = self
            .store()
            .ask(count)
            .filter(|answer| answer.status == 200)?;
        answer.body.trim().parse().ok()
    }

    /// How many inserts the store has refused for want of room since its start.
    pub(crate) fn inserts_refused(&self) -> Option<u64> {
        let count = "SELECT sum(value) FROM system.errors WHERE name = 'NOT_ENOUGH_SPACE'";
        self.store().ask(count)?.body.trim().parse().ok()
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        self.store().query(sql)
    }

    /// Matches that alerts were told of, and what the alerts say how many they were.
    pub(crate) fn alerts(&self) -> Option<[u64; 2]> {
        let database = self.database.as_ref()?;
        // Other alerts are about the site itself: the store's disk was full.
        let row = database.ask(&format!(
            "SELECT (SELECT count(*) FROM alert_matches JOIN alerts ON alerts.id = alert_id WHERE rule_id = '{0}'), \
             (SELECT coalesce(sum(match_count), 0)::bigint FROM alerts WHERE rule_id = '{0}')",
            Self::RULE_ID
        ));
        let numbers = super::numbers(&row);
        Some([numbers[0], numbers[1]])
    }

    /// What the parts say at the end.
    pub(crate) fn describe(&self) -> String {
        let mut text = String::new();
        for engine in &self.engines {
            let status = request(engine.monitor, "GET", "/status", &[], "");
            let status = status.map_or_else(|| "no status".to_owned(), |answer| answer.body);
            text.push_str(&format!("engine {}: {status}\n", engine.id()));
            let log = engine.running.log();
            let lines: Vec<&str> = log.lines().rev().take(30).collect();
            for line in lines.into_iter().rev() {
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    /// Everything ends in order.
    pub(crate) fn stop(mut self) {
        self.agent.take().unwrap().stop();
        for engine in self.engines.drain(..) {
            engine.running.stop();
        }
        self.store.take().unwrap().running.stop();
    }
}

/// The incidents' database of all engines.
struct Database {
    cluster: Cluster,
    psql: PathBuf,
}

impl Database {
    const NAME: &str = "incidents";

    fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!(
                "no PostgreSQL in /usr/lib/postgresql: alerts are looked at in the store only"
            );
            return None;
        };
        let cluster = Cluster::start(&programs);
        let psql = programs.join("psql");
        let database = Self { cluster, psql };
        wait_for("PostgreSQL to make a database", || {
            let made = database.psql("postgres", &format!("CREATE DATABASE {}", Self::NAME));
            made.status.success().then_some(())
        });
        Some(database)
    }

    fn url(&self) -> String {
        self.cluster.url(Self::NAME)
    }

    fn psql(&self, database: &str, sql: &str) -> std::process::Output {
        Command::new(&self.psql)
            .args([
                "-X",
                "-A",
                "-t",
                "-d",
                &self.cluster.url(database),
                "-c",
                sql,
            ])
            .output()
            .unwrap()
    }

    fn ask(&self, sql: &str) -> String {
        let output = self.psql(Self::NAME, sql);
        assert!(output.status.success(), "{sql}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// A small disk for the store, in memory; only root can mount one.
pub(crate) struct Disk(PathBuf);

impl Disk {
    fn mount(dir: &Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={size}"),
                "citywatch-test",
            ])
            .arg(dir)
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(dir.to_owned()));
        }
        eprintln!("skipped: a full disk (only root can mount a small one)");
        None
    }

    /// Leaves room for so many bytes: fewer than what the store wants free, more than what its merges have begun with.
    pub(crate) fn fill_up_to(&self, left: u64) {
        let output = Command::new("df")
            .args(["--output=avail", "-B1"])
            .arg(&self.0)
            .output()
            .unwrap();
        let free = String::from_utf8(output.stdout).unwrap();
        let free: u64 = free.split_whitespace().nth(1).unwrap().parse().unwrap();
        let filled = Command::new("fallocate")
            .args(["-l", &free.saturating_sub(left).max(1).to_string()])
            .arg(self.0.join("filler"))
            .status();
        assert!(filled.unwrap().success(), "fallocate");
    }

    /// Makes room again.
    pub(crate) fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is being ended may still have files there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
