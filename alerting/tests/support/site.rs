//! A running site on a port of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use citywatch_alerting::{Alerting, AlertingConfig, Clock, DatabaseUrl};
use sqlx::AnyPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Client, NOON};

/// Where a test's database is.
#[derive(Clone)]
pub struct Place {
    pub data_dir: PathBuf,
    pub url: Option<String>,
    _dir: Arc<tempfile::TempDir>,
}

impl Place {
    /// SQLite in a folder of its own.
    pub fn sqlite() -> Self {
        Self::new(None)
    }

    /// A database of PostgreSQL.
    pub fn postgres(url: String) -> Self {
        Self::new(Some(url))
    }

    fn new(url: Option<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            data_dir: dir.path().join("alerting"),
            url,
            _dir: Arc::new(dir),
        }
    }

    /// Events of these tests all name the same address: alerts of different hosts would be one incident. Who tests
    /// that switches it on.
    pub fn config(&self) -> AlertingConfig {
        let mut config = AlertingConfig {
            data_dir: self.data_dir.clone(),
            database_url: self.url.as_deref().map(DatabaseUrl::from),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..AlertingConfig::default()
        };
        config.incidents.join_by_entities = false;
        config
    }

    /// A connection beside Citywatch's own.
    pub async fn pool(&self) -> AnyPool {
        sqlx::any::install_default_drivers();
        let file = self.data_dir.join("alerting.sqlite");
        let url = self
            .url
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", file.display()));
        AnyPool::connect(&url).await.unwrap()
    }
}

/// Alerting with its web server.
pub struct Site {
    pub alerting: Arc<Alerting>,
    pub clock: Clock,
    pub url: String,
    pub password: String,
    shutdown: CancellationToken,
    server: JoinHandle<()>,
}

impl Site {
    pub async fn start(place: &Place) -> Self {
        Self::start_with(place.config()).await
    }

    pub async fn start_with(config: AlertingConfig) -> Self {
        let clock = Clock::manual(NOON);
        let listen = config.listen;
        let alerting = Arc::new(
            Alerting::open_at(config, None, clock.clone())
                .await
                .unwrap(),
        );
        let first = alerting.ensure_administrator().await.unwrap();
        let server = alerting.bind(listen).unwrap();
        let url = server.url();
        let shutdown = CancellationToken::new();
        let server = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { server.run(shutdown).await.unwrap() }
        });
        let password = first.map(|first| first.password).unwrap_or_default();
        Self {
            alerting,
            clock,
            url,
            password,
            shutdown,
            server,
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.url.clone())
    }

    /// A client that is signed in as the first administrator.
    pub fn admin(&self) -> Client {
        let mut client = self.client();
        let reply = client.sign_in("admin", &self.password);
        assert_eq!(reply.status, 200, "{reply:?}");
        client
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.server.await.unwrap();
        self.alerting.close().await;
    }
}
