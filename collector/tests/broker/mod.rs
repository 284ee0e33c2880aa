//! A real Kafka broker for a test, from the cache that `deploy/kafka-dev.sh fetch` fills.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A broker, shared by the tests of a process; it ends with the last of them.
#[derive(Clone)]
pub(crate) struct Broker(Arc<Process>);

struct Process {
    dir: tempfile::TempDir,
    address: String,
}

static SHARED: Mutex<Weak<Process>> = Mutex::new(Weak::new());

impl Broker {
    /// Starts one, or joins the one that runs; none where it has not been fetched.
    pub(crate) fn start() -> Option<Self> {
        if !script()
            .arg("check")
            .output()
            .expect("bash runs the script")
            .status
            .success()
        {
            eprintln!("skipped: no Kafka broker here; deploy/kafka-dev.sh fetch brings one");
            return None;
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = shared.upgrade() {
            return Some(Self(process));
        }
        let dir = tempfile::tempdir().unwrap();
        let port = free_pair_of_ports();
        let output = script()
            .arg("start")
            .arg(dir.path())
            .arg(port.to_string())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let process = Arc::new(Process {
            dir,
            address: format!("127.0.0.1:{port}"),
        });
        *shared = Arc::downgrade(&process);
        Some(Self(process))
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.0.address
    }

    /// Makes a topic.
    pub(crate) fn topic(&self, name: &str, partitions: u32, settings: &[&str]) {
        let mut command = script();
        command
            .arg("topic")
            .arg(self.0.dir.path())
            .arg(name)
            .arg(partitions.to_string())
            .args(settings);
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(self.dir.path()).status();
    }
}

fn script() -> Command {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kafka-dev.sh");
    let mut command = Command::new("bash");
    command.arg(path);
    command
}

fn free_pair_of_ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}
