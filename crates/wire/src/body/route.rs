//! Routes, clusters and members.

use super::TopicQueueMappingInfo;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The brokers of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerData {
    /// Addresses by broker id.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker name.
    pub broker_name: String,
    /// The cluster name.
    pub cluster: String,
    /// True when a slave may act for a lost master.
    pub enable_acting_master: bool,
    /// The zone the brokers stand in.
    pub zone_name: Option<String>,
}

/// Java's `BrokerMemberGroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerMemberGroup {
    /// Addresses by broker id.
    pub broker_addrs: BTreeMap<i64, String>,
    /// The broker name.
    pub broker_name: String,
    /// The cluster name.
    pub cluster: String,
}

/// Java's `GetBrokerMemberGroupResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GetBrokerMemberGroupResponseBody {
    pub broker_member_group: Option<BrokerMemberGroup>,
}

/// Java's `ClusterInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterInfo {
    /// Brokers by name.
    pub broker_addr_table: BTreeMap<String, BrokerData>,
    /// Broker names by cluster.
    pub cluster_addr_table: BTreeMap<String, BTreeSet<String>>,
}

/// One broker's queues of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueData {
    /// The broker name.
    pub broker_name: String,
    /// Permission bits: 4 read, 2 write.
    pub perm: i32,
    /// Queues to read from.
    pub read_queue_nums: i32,
    /// System flag bits.
    pub topic_sys_flag: i32,
    /// Queues to write to.
    pub write_queue_nums: i32,
}

/// Where a topic lives: its queues and the addresses of their brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicRouteData {
    /// The brokers.
    pub broker_datas: Vec<BrokerData>,
    /// Filter servers by broker address.
    pub filter_server_table: BTreeMap<String, Vec<String>>,
    /// `broker:queues` pairs of an ordered topic, joined by semicolons.
    pub order_topic_conf: Option<String>,
    /// The queues.
    pub queue_datas: Vec<QueueData>,
    /// Logical queues by broker name.
    pub topic_queue_mapping_by_broker: Option<BTreeMap<String, TopicQueueMappingInfo>>,
}

/// Java's `KVTable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KVTable {
    /// The entries.
    pub table: BTreeMap<String, String>,
}

/// Java's `KVConfigSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KVConfigSerializeWrapper {
    /// Entries by namespace.
    pub config_table: BTreeMap<String, BTreeMap<String, String>>,
}

/// Java's `BrokerSyncInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerSyncInfo {
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
    /// Byte offset up to which the master's log is on disk.
    pub master_flush_offset: i64,
    /// The master's replication address.
    pub master_ha_address: Option<String>,
}
