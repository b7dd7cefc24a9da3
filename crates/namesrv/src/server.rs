//! Assembly: service, request table, listener, background tasks, and their end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use raptormq_base::clock::Clock;
use raptormq_base::config::Config;
use raptormq_remoting::{Client, Limits, RouteTable, Server};
use raptormq_wire::SerializeType;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{ClientSettings, LiveConfig, ServerSettings, Settings};
use crate::kv::{KvError, KvStore};
use crate::routes;
use crate::service::Service;

/// The first look for silent brokers comes this long after the start.
const FIRST_SCAN: Duration = Duration::from_secs(5);

/// Why a name server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The key-value configuration cannot be used.
    #[error(transparent)]
    Kv(#[from] KvError),
    /// `listenPort` is no port, or `bindAddress` no address.
    #[error("cannot listen on bindAddress {0} with listenPort {1}: no such address")]
    Address(String, i32),
    /// The frame limit in `JAVA_OPT` is no number.
    #[error("{0}")]
    FrameMax(String),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] std::io::Error),
}

/// A running name server. Dropping it without [`Namesrv::stop`] leaves it running.
pub struct Namesrv {
    server: Server,
    client: Arc<Client>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Namesrv {
    /// Starts a name server with a configuration that [`load`](crate::load) made.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let settings = Settings::from_config(&config);
        let listen = ServerSettings::from_config(&config);
        let connect_ms = ClientSettings::from_config(&config).connect_timeout_ms;
        let frame_max = raptormq_runtime::frame_max().map_err(StartError::FrameMax)?;
        let limits = Limits { idle: seconds(listen.idle_seconds), frame_max, ..Limits::default() };

        let connect_timeout = Duration::from_millis(u64::try_from(connect_ms).unwrap_or(0));
        let client = Arc::new(Client::new(Arc::new(RouteTable::new()), limits.clone(), connect_timeout));
        let kv = KvStore::open(&settings.kv_path)?;
        let (service, queue) = Service::new(LiveConfig::new(config), kv, clock, client.clone());

        let address = resolve(&listen).await?;
        let closed = service.clone();
        let server = Server::start(
            address,
            Arc::new(routes::routes(&service)),
            false,
            limits,
            Arc::new(move |peer| closed.disconnected(peer.id())),
        )?;
        let tasks = TaskTracker::new();
        let stop = CancellationToken::new();
        let unregister = service.clone().unregister_queued(queue);
        tasks.spawn(stop.clone().run_until_cancelled_owned(unregister));
        tasks.spawn(stop.clone().run_until_cancelled_owned(scan(service)));
        Ok(Self { server, client, tasks, stop })
    }

    /// The address it listens on.
    pub fn local(&self) -> SocketAddr {
        self.server.local()
    }

    /// The line that tells scripts that the name server is up.
    pub fn boot_line(&self) -> String {
        let serialize = std::env::var("ROCKETMQ_SERIALIZE_TYPE")
            .ok()
            .and_then(|name| SerializeType::from_name(&name))
            .unwrap_or_default();
        format!(
            "The Name Server boot success. serializeType={}, address {}:{}",
            serialize.name(),
            self.local().ip(),
            self.local().port()
        )
    }

    /// Stops listening, ends the connections and the background tasks. Takes at most about `grace`.
    pub async fn stop(&self, grace: Duration) {
        self.server.stop(grace).await;
        self.client.stop(grace).await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn resolve(listen: &ServerSettings) -> Result<SocketAddr, StartError> {
    let none = || StartError::Address(listen.bind_address.clone(), listen.listen_port);
    let port = u16::try_from(listen.listen_port).map_err(|_| none())?;
    let found = tokio::net::lookup_host((listen.bind_address.as_str(), port)).await;
    found.ok().and_then(|mut found| found.next()).ok_or_else(none)
}

async fn scan(service: Arc<Service>) {
    tokio::time::sleep(FIRST_SCAN).await;
    loop {
        service.scan();
        let interval = service.config.settings().scan_interval_ms;
        tokio::time::sleep(Duration::from_millis(u64::try_from(interval).unwrap_or(0).max(1))).await;
    }
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
