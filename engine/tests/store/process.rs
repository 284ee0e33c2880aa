//! An endpoint in a process of its own: this test binary, run again for one ignored test.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use citywatch_engine::store::endpoint::{Endpoint, EndpointConfig, find_library};
use citywatch_engine::store::{Store, StoreConfig};
use tokio_util::sync::CancellationToken;

pub(crate) const USER: &str = "citywatch";
pub(crate) const PASSWORD: &str = "p\u{e4}ss 'word\\";
const DIR_VARIABLE: &str = "CITYWATCH_TEST_STORE_DIR";
const READY: &str = "store listens on ";

/// An endpoint under test; it ends with this value.
pub(crate) struct StoreProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// Whether the library is there; says so when not.
pub(crate) fn library_is_there() -> bool {
    match find_library(None) {
        Ok(_) => true,
        Err(error) => {
            eprintln!("skipped: {error}");
            false
        }
    }
}

impl StoreProcess {
    pub(crate) fn start(data_dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "process::endpoint_process",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(DIR_VARIABLE, data_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines
                .next()
                .expect("the store process ended before it was ready")
                .unwrap();
            if let Some((_, address)) = line.split_once(READY) {
                break address.parse().unwrap();
            }
        };
        // The test harness in there prints to its end and fails when nobody reads.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Without tables.
    pub(crate) fn client(&self) -> Store {
        Store::connect(&self.config()).unwrap()
    }

    /// With tables.
    pub(crate) async fn store(&self) -> Store {
        let store = self.client();
        store.migrate().await.unwrap();
        store
    }

    pub(crate) fn config(&self) -> StoreConfig {
        StoreConfig {
            url: format!("http://{}", self.address),
            user: USER.into(),
            password: PASSWORD.into(),
            // Rows of tests are of a fixed day, which must not age.
            retention_days: 10_000,
            match_retention_days: 10_000,
            dead_letter_retention_days: 10_000,
            ..StoreConfig::default()
        }
    }

    /// As a crash ends it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As `citywatch up` ends it; true when it ended well.
    pub(crate) fn stop(mut self) -> bool {
        drop(self.child.stdin.take());
        self.child.wait().unwrap().success()
    }
}

impl Drop for StoreProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: what [`StoreProcess::start`] runs.
#[test]
#[ignore = "run by the other tests as a process of its own"]
fn endpoint_process() {
    let Some(data_dir) = std::env::var_os(DIR_VARIABLE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = EndpointConfig {
            data_dir: data_dir.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
            user: USER.into(),
            password: PASSWORD.into(),
            library: None,
        };
        let endpoint = Endpoint::open(config)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
        println!("{READY}{}", endpoint.address());
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            stop.cancel();
        });
        endpoint.serve(shutdown).await.unwrap();
    });
}
