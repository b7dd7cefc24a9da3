//! Telling the name servers which topics this broker has (`BrokerOuterAPI.registerBrokerAll`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use raptormq_remoting::Client;
use raptormq_wire::body::{
    KVTable, RegisterBrokerBody, TopicConfig, TopicConfigAndMappingSerializeWrapper,
    TopicConfigSerializeWrapper,
};
use raptormq_wire::header::{RegisterBrokerRequestHeader, UnRegisterBrokerRequestHeader};
use raptormq_wire::{RemotingCommand, RequestCode, ResponseCode, json};
use tokio::sync::{RwLock, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{BrokerSettings, LiveConfig};
use crate::names::perm;
use crate::tables::topics::TopicTable;

/// Registers this broker with every configured name server.
pub struct Registration {
    client: Arc<Client>,
    live: Arc<LiveConfig>,
    topics: Arc<TopicTable>,
    ha_port: i32,
    /// Counts the requests to register at once, so that several in a row become one.
    wanted: watch::Sender<u64>,
    /// Set by a stop: a registration after the unregistration would send clients to a broker that is gone. Each
    /// registration shares the lock until it is answered.
    ended: RwLock<bool>,
}

impl Registration {
    /// Nothing is sent before [`Registration::register`] or [`Registration::run`].
    pub fn new(client: Arc<Client>, live: Arc<LiveConfig>, topics: Arc<TopicTable>, ha_port: i32) -> Self {
        Self { client, live, topics, ha_port, wanted: watch::Sender::new(0), ended: RwLock::new(false) }
    }

    /// Registers all topics with all name servers and takes over their order configuration.
    pub async fn register(&self) {
        let wrapper = self.topics.wrapper();
        self.register_with_all(wrapper).await;
    }

    /// Registers only the named topics, which have just changed, under the table's new version.
    pub async fn register_topics(&self, names: &[&str]) {
        let mut wrapper =
            TopicConfigSerializeWrapper { data_version: self.topics.version(), ..Default::default() };
        for name in names {
            if let Some(topic) = self.topics.get(name) {
                wrapper.topic_config_table.insert((*name).to_owned(), (*topic).clone());
            }
        }
        self.register_with_all(wrapper).await;
    }

    /// Asks [`Registration::run`] to register everything soon.
    pub fn register_soon(&self) {
        self.wanted.send_modify(|n| *n += 1);
    }

    /// Registers periodically and on request until cancelled.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) {
        let mut wanted = self.wanted.subscribe();
        loop {
            let period = self.live.broker().register_name_server_period.clamp(10_000, 60_000);
            let period = Duration::from_millis(u64::try_from(period).unwrap_or(30_000));
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = wanted.changed() => {}
                () = tokio::time::sleep(period) => {}
            }
            self.register().await;
        }
    }

    /// Takes this broker off all name servers, for good.
    pub async fn unregister(&self) {
        // A name server that is slow to answer must not cost the others their unregistration.
        if let Ok(mut ended) = tokio::time::timeout(Duration::from_secs(1), self.ended.write()).await {
            *ended = true;
        }
        let broker = self.live.broker();
        let header = UnRegisterBrokerRequestHeader {
            broker_name: broker.broker_name.clone(),
            broker_addr: address(&broker),
            cluster_name: broker.broker_cluster_name.clone(),
            broker_id: broker.broker_id,
        };
        let request = RemotingCommand::request(RequestCode::UNREGISTER_BROKER).with_header(&header);
        let calls = name_servers(&broker).into_iter().map(|server| {
            let request = request.clone();
            async move {
                if let Err(error) = self.client.call(&server, request, Duration::from_secs(3)).await {
                    tracing::warn!(server, %error, "not unregistered");
                }
            }
        });
        join_all(calls).await;
    }

    async fn register_with_all(&self, wrapper: TopicConfigSerializeWrapper) {
        let ended = self.ended.read().await;
        if *ended {
            return;
        }
        let broker = self.live.broker();
        let request = self.request(&broker, wrapper);
        let timeout =
            Duration::from_millis(u64::try_from(broker.register_broker_timeout_mills).unwrap_or(24_000));
        let calls = name_servers(&broker).into_iter().map(|server| {
            let request = request.clone();
            async move { self.register_with(&server, request, timeout).await }
        });
        join_all(calls).await;
    }

    fn request(&self, broker: &BrokerSettings, wrapper: TopicConfigSerializeWrapper) -> RemotingCommand {
        let restricted =
            !perm::is_writable(broker.broker_permission) || !perm::is_readable(broker.broker_permission);
        let topic_config_table = wrapper
            .topic_config_table
            .into_iter()
            .map(|(name, topic)| {
                let perm = if restricted { topic.perm & broker.broker_permission } else { topic.perm };
                (name, TopicConfig { perm, ..topic })
            })
            .collect();
        let body = RegisterBrokerBody {
            topic_config_serialize_wrapper: TopicConfigAndMappingSerializeWrapper {
                data_version: wrapper.data_version,
                topic_config_table,
                ..Default::default()
            },
            ..Default::default()
        };
        let body = body.encode(false);
        let header = RegisterBrokerRequestHeader {
            broker_name: broker.broker_name.clone(),
            broker_addr: address(broker),
            cluster_name: broker.broker_cluster_name.clone(),
            ha_server_addr: format!("{}:{}", broker.broker_ip2, self.ha_port),
            broker_id: broker.broker_id,
            heartbeat_timeout_millis: None,
            enable_acting_master: Some(false),
            compressed: false,
            body_crc32: i32::try_from(raptormq_message::body_crc(&body)).ok(),
        };
        RemotingCommand::request(RequestCode::REGISTER_BROKER).with_header(&header).with_body(body)
    }

    async fn register_with(&self, server: &str, request: RemotingCommand, timeout: Duration) {
        let response = match self.client.call(server, request, timeout).await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(server, %error, "not registered");
                return;
            }
        };
        if response.code != i32::from(ResponseCode::SUCCESS) {
            tracing::warn!(server, code = response.code, remark = response.remark, "registration refused");
            return;
        }
        let body = response.body.to_bytes();
        if body.is_empty() {
            return;
        }
        match json::from_slice::<KVTable>(&body) {
            Ok(order) => {
                let ordered: Vec<String> = order.table.into_keys().collect();
                if self.topics.set_order_topics(&ordered) {
                    self.register_soon();
                }
            }
            Err(error) => tracing::warn!(server, %error, "the order configuration cannot be read"),
        }
    }
}

/// The address under which clients reach this broker.
pub fn address(broker: &BrokerSettings) -> String {
    format!("{}:{}", broker.broker_ip1, broker.listen_port)
}

/// The addresses of the configured name servers.
pub(crate) fn name_servers(broker: &BrokerSettings) -> Vec<String> {
    let addresses = broker.namesrv_addr.as_deref().unwrap_or_default();
    addresses.split(';').map(str::trim).filter(|a| !a.is_empty()).map(str::to_owned).collect()
}
