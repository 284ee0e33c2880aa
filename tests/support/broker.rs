//! A real Kafka broker for a test, from the cache that `deploy/kafka-dev.sh fetch` fills.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this module"
)]

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::ports::free_ports_in_a_row;

/// A broker, shared by the tests of a process; it ends with the last of them.
#[derive(Clone)]
pub struct Broker(Arc<Process>);

struct Process {
    dir: tempfile::TempDir,
    port: u16,
    address: String,
}

/// How often a broker is started before the test gives up.
const STARTS_MAX: usize = 3;

static SHARED: Mutex<Weak<Process>> = Mutex::new(Weak::new());

impl Broker {
    /// Starts one, or joins the one that runs; none where it has not been fetched.
    pub fn start() -> Option<Self> {
        if !script(&["check"]).status.success() {
            eprintln!(
                "skipped: the Kafka broker is not fetched; deploy/setup.sh --for test does it"
            );
            return None;
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = shared.upgrade() {
            return Some(Self(process));
        }
        // The second port is the controller's.
        let process = Arc::new(Process::start(2, &[]));
        *shared = Arc::downgrade(&process);
        Some(Self(process))
    }

    /// Starts one of its own that speaks mutual TLS, too: with the key and certificates in one PEM file, and
    /// the authority that clients must be certified by in another. None where it has not been fetched.
    pub fn start_with_tls(keys: &Path, ca: &Path) -> Option<Self> {
        if !script(&["check"]).status.success() {
            eprintln!(
                "skipped: the Kafka broker is not fetched; deploy/setup.sh --for test does it"
            );
            return None;
        }
        let files = [("CITYWATCH_KAFKA_KEYS", keys), ("CITYWATCH_KAFKA_CA", ca)];
        Some(Self(Arc::new(Process::start(3, &files))))
    }

    /// `host:port` of its TLS.
    pub fn tls_address(&self) -> String {
        let port: u16 = self.0.address.rsplit_once(':').unwrap().1.parse().unwrap();
        format!("127.0.0.1:{}", port + 2)
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// kill -9, as a power cut would, and a new start on the same data. A start that fails is tried again, as a supervisor
    /// would.
    pub fn kill_and_start(&self) {
        let pid = std::fs::read_to_string(self.0.dir.path().join("pid")).unwrap();
        let pid = pid.trim();
        let killed = Command::new("kill").args(["-KILL", pid]).status().unwrap();
        assert!(killed.success(), "kill -KILL {pid}");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while Path::new("/proc").join(pid).join("fd").read_dir().is_ok() {
            assert!(std::time::Instant::now() < until, "the broker does not end");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let port = self.0.port.to_string();
        for _ in 1..STARTS_MAX {
            let started = script(&["start", folder(&self.0.dir), &port]);
            if started.status.success() {
                return;
            }
            let said = String::from_utf8_lossy(&started.stderr);
            eprintln!("the broker did not start and is tried again:\n{said}");
        }
        must(&script(&["start", folder(&self.0.dir), &port]));
    }

    /// Bytes that the first partition of a topic has on disk.
    pub fn written(&self, topic: &str) -> u64 {
        std::fs::metadata(self.segment(topic)).unwrap().len()
    }

    /// Turns the bits of one byte of a topic's first partition over, as a dying disk does.
    pub fn damage(&self, topic: &str, place: u64) {
        use std::os::unix::fs::FileExt as _;
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).write(true).open(self.segment(topic));
        let file = file.unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[!byte[0]], place).unwrap();
    }

    fn segment(&self, topic: &str) -> std::path::PathBuf {
        let folder = self.0.dir.path().join("data").join(format!("{topic}-0"));
        folder.join("00000000000000000000.log")
    }

    /// Makes a topic.
    pub fn topic(&self, name: &str, partitions: u32, settings: &[&str]) {
        let partitions = partitions.to_string();
        let arguments = ["topic", folder(&self.0.dir), name, &partitions];
        must(&script(&[&arguments, settings].concat()));
    }
}

impl Process {
    /// A new one. A start that fails is said with its reason and tried again elsewhere: somebody beside these tests may have
    /// taken a port, and a machine may have been too busy.
    fn start(ports: u16, files: &[(&str, &Path)]) -> Self {
        for attempt in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let port = free_ports_in_a_row(ports);
            let started = script_with(&["start", folder(&dir), &port.to_string()], files);
            let address = format!("127.0.0.1:{port}");
            let process = Self { dir, port, address };
            if started.status.success() {
                return process;
            }
            let said = String::from_utf8_lossy(&started.stderr);
            assert!(
                attempt < STARTS_MAX,
                "no broker, {attempt} starts failed:\n{said}"
            );
            eprintln!("the broker did not start and is tried again:\n{said}");
        }
        unreachable!("it starts or the test ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        script(&["stop", folder(&self.dir)]);
    }
}

fn folder(dir: &tempfile::TempDir) -> &str {
    dir.path().to_str().unwrap()
}

fn must(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

fn script(arguments: &[&str]) -> Output {
    script_with(arguments, &[])
}

fn script_with(arguments: &[&str], files: &[(&str, &Path)]) -> Output {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = package
        .ancestors()
        .map(|folder| folder.join("deploy/kafka-dev.sh"))
        .find(|path| path.exists())
        .expect("deploy/kafka-dev.sh is above each package");
    let output = Command::new("bash")
        .arg(found)
        .args(arguments)
        .envs(files.iter().copied())
        .output();
    output.expect("bash runs the script")
}
