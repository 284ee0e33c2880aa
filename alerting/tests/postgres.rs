//! The scenarios on PostgreSQL, in a cluster of the test's own; skipped where PostgreSQL is not installed.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that cannot go on fails"
)]

#[path = "../../tests/support/ports.rs"]
mod ports;
mod scenarios;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scenarios::support::Place;
use sqlx::{AnyPool, AssertSqlSafe};

/// Debian installs the server's programs beside the PATH.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|path| path.join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop()
}

/// PostgreSQL refuses to run as root: then its own user runs it.
fn command(program: &Path) -> Command {
    // The owner of our own process folder tells who we are, without a call into libc.
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0;
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    command.current_dir("/");
    command
}

struct Cluster {
    server: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Cluster {
    fn start(programs: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(dir.path(), open).unwrap();
        let data = dir.path().join("data");
        let made = command(&programs.join("initdb"))
            .args([
                "--username=citywatch",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg(&data)
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = ports::free_port();
        let server = command(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-F",
                "-c",
                "unix_socket_directories=",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            server,
            port,
            _dir: dir,
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://citywatch@127.0.0.1:{}/{database}", self.port)
    }

    async fn connect(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        let started = Instant::now();
        loop {
            match AnyPool::connect(&self.url("postgres")).await {
                Ok(pool) => return pool,
                Err(error) if started.elapsed() > Duration::from_secs(180) => panic!("{error}"),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_scenario_on_postgresql() {
    let Some(programs) = programs() else {
        eprintln!("skipped: no PostgreSQL in /usr/lib/postgresql (apt-get install postgresql)");
        return;
    };
    let cluster = Cluster::start(&programs);
    let pool = cluster.connect().await;
    for (name, scenario) in scenarios::ALL {
        eprintln!("{name}");
        // Identifiers are cut at 63 bytes.
        let database: String = name.chars().take(60).collect();
        let create = format!("CREATE DATABASE {database}");
        sqlx::query(AssertSqlSafe(create))
            .execute(&pool)
            .await
            .unwrap();
        scenario(Place::postgres(cluster.url(&database))).await;
    }
    pool.close().await;
}
