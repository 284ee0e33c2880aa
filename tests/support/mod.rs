//! Starts the real programs for the end-to-end tests and ends them again, whatever happens.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part of this module"
)]

pub mod broker;
pub mod files;
pub mod ports;
pub mod postgres;
pub mod site;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub use ports::free_port;

/// Longest wait for anything in these tests: a debug build on a slow machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// The program under test.
pub fn citywatch() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_citywatch"))
}

/// A program of another package of the workspace, beside the one under test.
pub fn sibling(name: &str) -> PathBuf {
    let path = citywatch().with_file_name(name);
    assert!(
        path.exists(),
        "{} is not built: run the tests with `cargo test --workspace`",
        path.display()
    );
    path
}

/// The root of the project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the program to its end.
pub fn run(args: &[&str]) -> Output {
    Command::new(citywatch())
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs a command that reads `input` from its standard input.
pub fn run_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(citywatch())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// A running program; killed when dropped, unless [`Running::stop`] ended it in order.
pub struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Running {
    /// Starts `command`; both of its outputs go to `<dir>/<name>.log`.
    pub fn start(command: &mut Command, name: &str, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Self {
            child,
            name: name.to_owned(),
            log,
        }
    }

    /// What it has said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ctrl-C, and waits for an orderly end.
    pub fn stop(mut self) {
        signal(self.child.id(), "INT");
        let status = self.wait();
        assert!(
            status.success(),
            "{} did not end in order ({status}); it said:\n{}",
            self.name,
            self.log()
        );
    }

    /// kill -9, as a power cut would.
    pub fn kill(mut self) {
        signal(self.child.id(), "KILL");
        self.wait();
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> std::process::ExitStatus {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(
                Instant::now() < until,
                "{} does not end; it said:\n{}",
                self.name,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.log());
        }
    }
}

/// Sends a signal by name.
pub fn signal(id: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(id.to_string())
        .status()
        .unwrap();
    assert!(status.success(), "kill -{name} {id}");
}

/// Asks until `ask` gives something; `what` says what was waited for.
pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            Instant::now() < until,
            "waited {} s for {what}",
            PATIENCE.as_secs()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// An HTTP/1.1 answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// One request on a connection of its own; `None` when nobody answers.
pub fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(text.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let answer = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Some(Answer {
        status,
        head: head.to_owned(),
        body,
    })
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A running `citywatch up` with a folder of its own.
pub struct Up {
    pub running: Running,
    pub console: u16,
    pub monitor: u16,
}

impl Up {
    /// Starts it on `config` with its data in `<dir>/data` and waits until it is ready.
    pub fn start(dir: &Path, config: &Path) -> Self {
        let up = Self::start_unready(dir, config);
        wait_for("citywatch up to be ready", || {
            request(up.monitor, "GET", "/health/ready", &[], "")
                .filter(|answer| answer.status == 200)
        });
        up
    }

    /// Starts it without waiting.
    pub fn start_unready(dir: &Path, config: &Path) -> Self {
        let (console, monitor) = (free_port(), free_port());
        let mut command = Command::new(citywatch());
        command
            .arg("up")
            .arg("--config")
            .arg(config)
            // Relative, as people write it.
            .args(["--data", "data"])
            .current_dir(dir)
            .args(["--listen", &format!("127.0.0.1:{console}")])
            .args(["--monitor", &format!("127.0.0.1:{monitor}")]);
        let running = Running::start(&mut command, "up", dir);
        Self {
            running,
            console,
            monitor,
        }
    }

    /// Waits until it answers: from then on it hears signals.
    pub fn wait_until_live(&self) {
        wait_for("citywatch up to answer", || {
            request(self.monitor, "GET", "/health/live", &[], "")
        });
    }

    /// Waits until all that is in its files has been read and stored.
    pub fn wait_until_stored(&self) {
        wait_for("everything to be read and stored", || {
            let details = &self.status()?["details"];
            let sources = details["agent"]["sources"].as_array()?;
            let met = !sources.is_empty() && sources.iter().all(|source| source["size_bytes"] != 0);
            let read = met && details["agent"]["lag_bytes"].as_u64()? == 0;
            let spool = &details["transport"]["spool"];
            (read && spool["appended"] == spool["acknowledged"]).then_some(())
        });
    }

    /// The status as `citywatch status` gets it.
    pub fn status(&self) -> Option<serde_json::Value> {
        request(self.monitor, "GET", "/status", &[], "").map(|answer| answer.json())
    }

    /// The process id of its store: the child that runs `citywatch store`.
    pub fn store_id(&self) -> u32 {
        wait_for("citywatch up to have one child", || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.running.id())).ok()?;
            let children = tasks.filter_map(|task| {
                std::fs::read_to_string(task.ok()?.path().join("children")).ok()
            });
            let ids: String = children.collect();
            let mut ids = ids.split_whitespace().map(|id| id.parse().unwrap());
            match (ids.next(), ids.next()) {
                (Some(id), None) => Some(id),
                _ => None,
            }
        })
    }

    /// A total of the status.
    pub fn total(&self, name: &str) -> u64 {
        self.status()
            .and_then(|status| status["totals"][name].as_u64())
            .unwrap_or(0)
    }
}

/// A signed-in person.
pub struct Session {
    port: u16,
    cookie: String,
    pub csrf: String,
}

impl Session {
    /// Signs in with the first administrator's password, which `up` left in its data folder.
    pub fn first(up: &Up, dir: &Path) -> Self {
        let text = std::fs::read_to_string(dir.join("data/first-sign-in.txt")).unwrap();
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap()
                .trim()
                .to_owned()
        };
        let body =
            serde_json::json!({"user": value("user:"), "password": value("password:")}).to_string();
        let json = [("Content-Type", "application/json")];
        let answer = request(up.console, "POST", "/api/v1/session", &json, &body).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let cookie = answer
            .header("set-cookie")
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Self {
            port: up.console,
            cookie,
            csrf,
        }
    }

    /// A GET that must succeed.
    pub fn get(&self, path: &str) -> serde_json::Value {
        let answer = request(self.port, "GET", path, &[("Cookie", &self.cookie)], "").unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}

/// Whether libchdb is there; says so when not.
pub fn have_chdb() -> bool {
    let there = Command::new(project().join("deploy/chdb-fetch.sh"))
        .arg("--check")
        .output();
    let there = there.is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("skipped: libchdb is not fetched; deploy/setup.sh --for test does it");
    }
    there
}

/// `citywatch store` on a data folder, with a password that the test knows.
pub struct StoreServer {
    pub running: Running,
    pub port: u16,
}

impl StoreServer {
    /// The password of these stores.
    pub const PASSWORD: &str = "a-test-of-the-store";

    /// Starts it and waits until it answers.
    pub fn start(data_dir: &Path, logs: &Path, name: &str) -> Self {
        Self::start_on(free_port(), data_dir, logs, name)
    }

    /// The same on a certain port, as one that comes again has it.
    pub fn start_on(port: u16, data_dir: &Path, logs: &Path, name: &str) -> Self {
        let mut command = Command::new(citywatch());
        command
            .arg("store")
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .env("CITYWATCH_STORE_PASSWORD", Self::PASSWORD);
        let running = Running::start(&mut command, name, logs);
        wait_for("citywatch store to answer", || {
            request(port, "GET", "/ping", &[], "").filter(|answer| answer.status == 200)
        });
        Self { running, port }
    }

    /// The rows that a query gives, columns joined by tabs.
    pub fn query(&self, sql: &str) -> Vec<String> {
        let answer = self.ask(sql).unwrap();
        assert_eq!(answer.status, 200, "{sql}: {answer:?}");
        answer.body.lines().map(str::to_owned).collect()
    }

    /// The answer to a query, if there is one.
    pub fn ask(&self, sql: &str) -> Option<Answer> {
        let headers = [
            ("X-ClickHouse-User", "citywatch"),
            ("X-ClickHouse-Key", Self::PASSWORD),
        ];
        request(self.port, "POST", "/", &headers, sql)
    }

    /// The section `[store]` for who uses it.
    pub fn config(&self) -> String {
        format!(
            "[store]\nurl = \"http://127.0.0.1:{}\"\nuser = \"citywatch\"\npassword = \"{}\"\n",
            self.port,
            Self::PASSWORD
        )
    }
}
