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
    address: String,
}

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
        let dir = tempfile::tempdir().unwrap();
        // The second one is the controller's.
        let port = free_ports_in_a_row(2);
        must(&script(&["start", folder(&dir), &port.to_string()]));
        let process = Arc::new(Process {
            dir,
            address: format!("127.0.0.1:{port}"),
        });
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
        let dir = tempfile::tempdir().unwrap();
        let port = free_ports_in_a_row(3);
        let files = [("CITYWATCH_KAFKA_KEYS", keys), ("CITYWATCH_KAFKA_CA", ca)];
        must(&script_with(
            &["start", folder(&dir), &port.to_string()],
            &files,
        ));
        let address = format!("127.0.0.1:{port}");
        Some(Self(Arc::new(Process { dir, address })))
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

    /// Makes a topic.
    pub fn topic(&self, name: &str, partitions: u32, settings: &[&str]) {
        let partitions = partitions.to_string();
        let arguments = ["topic", folder(&self.0.dir), name, &partitions];
        must(&script(&[&arguments, settings].concat()));
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
