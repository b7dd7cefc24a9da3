//! What the handlers share, and how effects of the registry reach the outside.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use raptormq_base::clock::{Clock, SystemClock};
use raptormq_base::config::Config;
use raptormq_remoting::{Client, Limits, Peer, RouteTable};
use raptormq_wire::header::NotifyMinBrokerIdChangeRequestHeader;
use raptormq_wire::{RemotingCommand, RequestCode};
use tokio::sync::mpsc;

use crate::config::LiveConfig;
use crate::kv::KvStore;
use crate::registry::{Departure, Effect, Registry};

/// The state of one name server.
pub struct Service {
    /// Brokers and topics.
    pub registry: RwLock<Registry>,
    /// The key-value configuration.
    pub kv: KvStore,
    /// The configuration.
    pub config: LiveConfig,
    clock: Arc<dyn Clock>,
    started: Duration,
    /// Unregistrations wait here, so that a crowd of them costs one pass over the topics.
    departures: mpsc::Sender<Departure>,
    /// Connections of registered brokers.
    connections: Mutex<HashMap<u64, Arc<Peer>>>,
    client: Arc<Client>,
}

/// The queue of unregistrations is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Service {
    /// A service with empty tables, and the queue that [`Service::unregister_queued`] is to be fed from.
    pub fn new(
        config: LiveConfig,
        kv: KvStore,
        clock: Arc<dyn Clock>,
        client: Arc<Client>,
    ) -> (Arc<Self>, mpsc::Receiver<Departure>) {
        let capacity = usize::try_from(config.settings().unregister_capacity).unwrap_or(0).max(1);
        let (departures, queue) = mpsc::channel(capacity);
        let service = Self {
            registry: RwLock::default(),
            kv,
            config,
            started: clock.monotonic(),
            clock,
            departures,
            connections: Mutex::default(),
            client,
        };
        (Arc::new(service), queue)
    }

    /// A service that nobody uses: the request table is built from one, also for the documentation.
    pub fn for_documentation() -> Arc<Self> {
        let host = raptormq_base::config::Host {
            user_home: String::new(),
            rocketmq_home: None,
            namesrv_addr: None,
            hostname: String::new(),
            local_address: String::new(),
            cpus: 1,
        };
        let config = LiveConfig::new(Config::new(crate::SECTIONS, &host));
        let client = Client::new(Arc::new(RouteTable::new()), Limits::default(), Duration::ZERO);
        Self::new(config, KvStore::empty(), Arc::new(SystemClock::new()), Arc::new(client)).0
    }

    /// Milliseconds of the clock that the registry counts silence with.
    pub fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.clock.monotonic().saturating_sub(self.started)
    }

    /// Remembers the connection of a broker that has just registered. One that has ended in the meantime is treated
    /// as if it ended now, for nobody will tell again.
    pub fn remember(&self, peer: &Arc<Peer>) {
        self.connections.lock().insert(peer.id(), peer.clone());
        if peer.is_closed() {
            self.disconnected(peer.id());
        }
    }

    /// A connection has ended: its brokers go.
    pub fn disconnected(&self, connection: u64) {
        if self.connections.lock().remove(&connection).is_none() {
            return;
        }
        let departures = self.registry.read().disconnected(connection);
        for departure in departures {
            tracing::info!(broker = %departure.name, id = departure.id, addr = %departure.broker.addr,
                "the broker's channel is closed, it is unregistered");
            self.depart_or_expire(departure);
        }
    }

    /// Queues an unregistration.
    pub fn depart(&self, departure: Departure) -> Result<(), QueueFull> {
        self.departures.try_send(departure).map_err(|_| QueueFull)
    }

    /// Looks for silent brokers.
    pub fn scan(&self) {
        let (departures, effects) = self.registry.read().expired(self.now_ms());
        self.carry_out(effects);
        departures.into_iter().for_each(|departure| self.depart_or_expire(departure));
    }

    /// Takes what is queued and unregisters it together, until the queue is closed.
    pub async fn unregister_queued(self: Arc<Self>, mut queue: mpsc::Receiver<Departure>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, usize::MAX).await > 0 {
            let options = self.config.settings().registry();
            let effects = self.registry.write().unregister(&batch, options);
            batch.clear();
            self.carry_out(effects);
        }
    }

    /// Carries out what the registry asks for. Must run inside the runtime.
    pub fn carry_out(&self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Close { connection } => {
                    if let Some(peer) = self.connections.lock().get(&connection) {
                        peer.close();
                    }
                }
                Effect::MinBrokerIdChanged { notify, min_id, min_addr, offline_addr, ha_addr } => {
                    tracing::info!(min_id, ?notify, ?offline_addr, "the lowest broker id has changed");
                    let header = NotifyMinBrokerIdChangeRequestHeader {
                        min_broker_id: Some(min_id),
                        min_broker_addr: Some(min_addr),
                        offline_broker_addr: offline_addr,
                        ha_broker_addr: ha_addr,
                        ..Default::default()
                    };
                    self.notify(notify, &header);
                }
            }
        }
    }

    fn notify(&self, addrs: Vec<String>, header: &NotifyMinBrokerIdChangeRequestHeader) {
        for addr in addrs {
            let client = self.client.clone();
            let request =
                RemotingCommand::request(RequestCode::NOTIFY_MIN_BROKER_ID_CHANGE).with_header(header);
            tokio::spawn(async move {
                if let Err(error) = client.oneway(&addr, request).await {
                    tracing::warn!(addr, %error, "a broker was not told of the lowest broker id");
                }
            });
        }
    }

    /// A broker whose unregistration finds no room is found again by the next scans, because it stays silent.
    fn depart_or_expire(&self, departure: Departure) {
        if self.depart(departure).is_err() {
            tracing::warn!("the queue of unregistrations is full; the broker goes when its time is up");
        }
    }
}
