//! An engine between a real broker and a real store, and messages as others write them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::broker::Broker;
use super::{PATIENCE, Running, StoreServer, citywatch, free_port, request, wait_for};

/// Writes one message and waits until the broker has it.
pub fn send(
    producer: &BaseProducer,
    topic: &str,
    headers: &BTreeMap<String, String>,
    payload: &[u8],
) {
    let headers = headers
        .iter()
        .fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        });
    let record: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(topic).payload(payload).headers(headers);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
}

/// The most memory that a process has had, in bytes.
pub fn memory_peak_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// A broker, a store and an engine between them.
pub struct Site {
    pub broker: Broker,
    pub store: StoreServer,
    pub engine: Running,
    pub monitor: u16,
    pub producer: BaseProducer,
}

impl Site {
    /// With these topics, each with its settings; none where there is no broker.
    pub fn start(dir: &Path, topics: &[(&str, &str)]) -> Option<Self> {
        Self::start_with(dir, topics, "", "")
    }

    /// The same with further lines in the sections `[engine]` and `[store]` of the configuration.
    pub fn start_with(
        dir: &Path,
        topics: &[(&str, &str)],
        of_engine: &str,
        of_store: &str,
    ) -> Option<Self> {
        let broker = Broker::start()?;
        let store = StoreServer::start(&dir.join("store"), dir, "store");
        let monitor = free_port();
        let mut config = format!(
            "[data]\ndir = \"{}\"\n[monitor]\nlisten = \"127.0.0.1:{monitor}\"\n[engine]\nflush_interval_ms = 200\n{of_engine}{}{of_store}[kafka]\nbrokers = \"{}\"\n",
            dir.join("engine-data").display(),
            store.config(),
            broker.address()
        );
        for (name, settings) in topics {
            broker.topic(name, 1, &[]);
            write!(config, "[kafka.topics.{name}]\n{settings}\n").unwrap();
        }
        let path = dir.join("engine.toml");
        std::fs::write(&path, config).unwrap();
        let mut engine = Command::new(citywatch());
        engine.arg("engine").arg("--config").arg(&path);
        let engine = Running::start(&mut engine, "engine", dir);
        let producer = ClientConfig::new()
            .set("bootstrap.servers", broker.address())
            .create()
            .unwrap();
        let site = Self {
            broker,
            store,
            engine,
            monitor,
            producer,
        };
        wait_for("the tables", || {
            let there = "SELECT count() FROM system.tables WHERE database = 'citywatch' AND name IN ('events', 'dead_letters')";
            (site.store.query(there) == ["2"]).then_some(())
        });
        Some(site)
    }

    /// What `/metrics` says.
    pub fn metrics(&self) -> String {
        request(self.monitor, "GET", "/metrics", &[], "")
            .unwrap()
            .body
    }

    /// Ends engine and store.
    pub fn end(self) {
        self.engine.stop();
        self.store.running.stop();
    }
}
