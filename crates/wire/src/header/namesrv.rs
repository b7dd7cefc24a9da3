//! The name server.

use super::TopicRequestHeader;
use crate::Header;

/// The request header of `ADD_WRITE_PERM_OF_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct AddWritePermOfBrokerRequestHeader {
    /// The broker name.
    pub broker_name: String,
}

/// The response header of `ADD_WRITE_PERM_OF_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct AddWritePermOfBrokerResponseHeader {
    /// Topics whose permission changed.
    #[header(boxed)]
    pub add_topic_count: i32,
}

/// The request header of `BROKER_HEARTBEAT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct BrokerHeartbeatRequestHeader {
    /// The cluster name.
    pub cluster_name: String,
    /// The broker's address, `IP:port`.
    pub broker_addr: String,
    /// The broker name.
    pub broker_name: String,
    /// 0 is the master.
    pub broker_id: Option<i64>,
    /// The epoch of the current master.
    pub epoch: Option<i32>,
    /// The offset after the last message.
    pub max_offset: Option<i64>,
    /// Byte offset up to which all in-sync replicas have the log.
    pub confirm_offset: Option<i64>,
    /// The broker is dropped after this long without a sign of life, in milliseconds.
    pub heartbeat_timeout_mills: Option<i64>,
    /// Lower is preferred.
    pub election_priority: Option<i32>,
}

/// The request header of `DELETE_KV_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct DeleteKVConfigRequestHeader {
    /// The namespace of the key.
    pub namespace: String,
    /// The key.
    pub key: String,
}

/// The request header of `DELETE_TOPIC_IN_NAMESRV`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct DeleteTopicFromNamesrvRequestHeader {
    /// The topic.
    pub topic: String,
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_BROKER_MEMBER_GROUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetBrokerMemberGroupRequestHeader {
    /// The cluster name.
    pub cluster_name: String,
    /// The broker name.
    pub broker_name: String,
}

/// The request header of `GET_KV_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetKVConfigRequestHeader {
    /// The namespace of the key.
    pub namespace: String,
    /// The key.
    pub key: String,
}

/// The response header of `GET_KV_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetKVConfigResponseHeader {
    /// The value.
    pub value: Option<String>,
}

/// The request header of `GET_KVLIST_BY_NAMESPACE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetKVListByNamespaceRequestHeader {
    /// The namespace of the key.
    pub namespace: String,
}

/// The request header of `GET_ROUTEINFO_BY_TOPIC`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetRouteInfoRequestHeader {
    /// The topic.
    pub topic: String,
    /// True when the sender cannot read bare integer keys.
    pub accept_standard_json_only: Option<bool>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_TOPICS_BY_CLUSTER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetTopicsByClusterRequestHeader {
    /// The cluster name.
    pub cluster: String,
}

/// The request header of `NOTIFY_MIN_BROKER_ID_CHANGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct NotifyMinBrokerIdChangeRequestHeader {
    /// The lowest id among the living brokers of this name.
    pub min_broker_id: Option<i64>,
    /// The broker name.
    pub broker_name: Option<String>,
    /// The address of the broker with the lowest id.
    pub min_broker_addr: Option<String>,
    /// The broker that went away.
    pub offline_broker_addr: Option<String>,
    /// The broker's replication address.
    pub ha_broker_addr: Option<String>,
}

/// The request header of `PUT_KV_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PutKVConfigRequestHeader {
    /// The namespace of the key.
    pub namespace: String,
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The request header of `QUERY_DATA_VERSION`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryDataVersionRequestHeader {
    /// The broker name.
    pub broker_name: String,
    /// The broker's address, `IP:port`.
    pub broker_addr: String,
    /// The cluster name.
    pub cluster_name: String,
    /// 0 is the master.
    #[header(boxed)]
    pub broker_id: i64,
}

/// The response header of `QUERY_DATA_VERSION`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryDataVersionResponseHeader {
    /// True when the name server holds another version.
    #[header(boxed)]
    pub changed: bool,
}

/// The request header of `REGISTER_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RegisterBrokerRequestHeader {
    /// The broker name.
    pub broker_name: String,
    /// The broker's address, `IP:port`.
    pub broker_addr: String,
    /// The cluster name.
    pub cluster_name: String,
    /// The replication address, `IP:port`.
    #[header(default = String::new())]
    pub ha_server_addr: String,
    /// 0 is the master.
    #[header(boxed)]
    pub broker_id: i64,
    /// The broker is dropped after this long without a sign of life, in milliseconds.
    pub heartbeat_timeout_millis: Option<i64>,
    /// True when a slave may act for a lost master.
    pub enable_acting_master: Option<bool>,
    /// True when the body is deflated.
    #[header(nullable)]
    pub compressed: bool,
    /// CRC-32 of the body without its sign bit; 0 is unchecked.
    pub body_crc32: Option<i32>,
}

/// The response header of `REGISTER_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RegisterBrokerResponseHeader {
    /// The replication address, `IP:port`.
    pub ha_server_addr: Option<String>,
    /// The master's address, for slaves.
    pub master_addr: Option<String>,
}

/// The request header of `REGISTER_TOPIC_IN_NAMESRV`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RegisterTopicRequestHeader {
    /// The topic.
    pub topic: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `UNREGISTER_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UnRegisterBrokerRequestHeader {
    /// The broker name.
    pub broker_name: String,
    /// The broker's address, `IP:port`.
    pub broker_addr: String,
    /// The cluster name.
    pub cluster_name: String,
    /// 0 is the master.
    #[header(boxed)]
    pub broker_id: i64,
}

/// The request header of `WIPE_WRITE_PERM_OF_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct WipeWritePermOfBrokerRequestHeader {
    /// The broker name.
    pub broker_name: String,
}

/// The response header of `WIPE_WRITE_PERM_OF_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct WipeWritePermOfBrokerResponseHeader {
    /// Topics whose permission changed.
    #[header(boxed)]
    pub wipe_topic_count: i32,
}
