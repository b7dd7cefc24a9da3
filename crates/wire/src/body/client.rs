//! Clients: heartbeats, connections, locks.

use super::{
    CMResult, ConsumeFromWhere, ConsumeType, MessageModel, MessageQueue, MessageQueueAssignment,
    MessageRequestMode,
};
use crate::LanguageCode;
use crate::json::{java_enum, java_enum_or_default};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A consumer's subscription to one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionData {
    /// True for filter classes, which no longer exist.
    pub class_filter_mode: bool,
    /// The hashes of the tags.
    pub code_set: BTreeSet<i32>,
    /// `TAG` or `SQL92`.
    pub expression_type: String,
    /// The expression as text.
    pub sub_string: String,
    /// The version of the client's subscription.
    pub sub_version: i64,
    /// The tags.
    pub tags_set: BTreeSet<String>,
    /// The topic.
    pub topic: String,
}

impl Default for SubscriptionData {
    fn default() -> Self {
        Self {
            class_filter_mode: Default::default(),
            code_set: Default::default(),
            expression_type: "TAG".into(),
            sub_string: Default::default(),
            sub_version: Default::default(),
            tags_set: Default::default(),
            topic: Default::default(),
        }
    }
}

/// Java's `ConsumerData`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerData {
    /// Where a new group starts.
    #[serde(deserialize_with = "java_enum")]
    pub consume_from_where: Option<ConsumeFromWhere>,
    /// How the group consumes.
    #[serde(deserialize_with = "java_enum")]
    pub consume_type: Option<ConsumeType>,
    /// The consumer group.
    pub group_name: String,
    /// Clustering or broadcasting.
    #[serde(deserialize_with = "java_enum")]
    pub message_model: Option<MessageModel>,
    /// The subscriptions.
    pub subscription_data_set: Vec<SubscriptionData>,
    /// True for unitised deployments.
    pub unit_mode: bool,
}

/// Java's `ProducerData`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerData {
    /// The consumer group.
    pub group_name: String,
}

/// What a client sends every 30 seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeartbeatData {
    /// The client id.
    #[serde(rename = "clientID")]
    pub client_id: String,
    /// The consumer groups.
    pub consumer_data_set: Vec<ConsumerData>,
    /// A hash of the subscriptions; 0 for clients that send them every time.
    pub heartbeat_fingerprint: i32,
    /// The producer groups.
    pub producer_data_set: Vec<ProducerData>,
    /// True when the subscriptions are left out because the fingerprint stands for them.
    pub without_sub: bool,
}

/// Java's `CheckClientRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckClientRequestBody {
    /// The client id.
    pub client_id: String,
    /// The consumer group.
    pub group: String,
    /// The namespace of the key.
    pub namespace: Option<String>,
    pub subscription_data: Option<SubscriptionData>,
}

/// Java's `Connection`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    /// The address of one client; empty is all.
    pub client_addr: String,
    /// The client id.
    pub client_id: String,
    /// The language of the client.
    pub language: LanguageCode,
    /// The version.
    pub version: i32,
}

/// Java's `ConsumerConnection`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerConnection {
    /// The connections.
    pub connection_set: Vec<Connection>,
    /// Where a new group starts.
    #[serde(deserialize_with = "java_enum")]
    pub consume_from_where: Option<ConsumeFromWhere>,
    /// How the group consumes.
    #[serde(deserialize_with = "java_enum")]
    pub consume_type: Option<ConsumeType>,
    /// Clustering or broadcasting.
    #[serde(deserialize_with = "java_enum")]
    pub message_model: Option<MessageModel>,
    /// The subscriptions by topic.
    pub subscription_table: BTreeMap<String, SubscriptionData>,
}

/// Java's `ProducerConnection`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerConnection {
    /// The connections.
    pub connection_set: Vec<Connection>,
}

/// Java's `ProducerInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerInfo {
    /// The client id.
    pub client_id: String,
    /// The language of the client.
    pub language: LanguageCode,
    pub last_update_timestamp: i64,
    #[serde(rename = "remoteIP")]
    pub remote_ip: String,
    /// The version.
    pub version: i32,
}

/// Java's `ProducerTableInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProducerTableInfo {
    pub data: BTreeMap<String, Vec<ProducerInfo>>,
}

/// Java's `GetConsumerListByGroupResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GetConsumerListByGroupResponseBody {
    pub consumer_id_list: Vec<String>,
}

/// Java's `LockBatchRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LockBatchRequestBody {
    /// The client id.
    pub client_id: String,
    /// The consumer group.
    pub consumer_group: String,
    /// The queues.
    pub mq_set: BTreeSet<MessageQueue>,
    /// True when the broker must not ask its peers.
    pub only_this_broker: bool,
}

/// Java's `LockBatchResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LockBatchResponseBody {
    /// The queues that are locked for the caller now.
    #[serde(rename = "lockOKMQSet")]
    pub lock_ok_mq_set: BTreeSet<MessageQueue>,
}

/// Java's `UnlockBatchRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnlockBatchRequestBody {
    /// The client id.
    pub client_id: String,
    /// The consumer group.
    pub consumer_group: String,
    /// The queues.
    pub mq_set: BTreeSet<MessageQueue>,
    /// True when the broker must not ask its peers.
    pub only_this_broker: bool,
}

/// Java's `QueryAssignmentRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryAssignmentRequestBody {
    /// The client id.
    pub client_id: String,
    /// The consumer group.
    pub consumer_group: String,
    /// Clustering or broadcasting.
    #[serde(deserialize_with = "java_enum")]
    pub message_model: Option<MessageModel>,
    pub strategy_name: Option<String>,
    /// The topic.
    pub topic: String,
}

/// Java's `QueryAssignmentResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryAssignmentResponseBody {
    /// Missing where the client should keep what it has.
    pub message_queue_assignments: Option<Vec<MessageQueueAssignment>>,
}

/// Java's `SetMessageRequestModeRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SetMessageRequestModeRequestBody {
    /// The consumer group.
    pub consumer_group: String,
    #[serde(deserialize_with = "java_enum_or_default")]
    pub mode: MessageRequestMode,
    pub pop_share_queue_num: i32,
    /// The topic.
    pub topic: String,
}

/// Java's `MessageRequestModeSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MessageRequestModeSerializeWrapper {
    pub message_request_mode_map: BTreeMap<String, BTreeMap<String, SetMessageRequestModeRequestBody>>,
}

/// Java's `ConsumeMessageDirectlyResult`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeMessageDirectlyResult {
    pub auto_commit: bool,
    #[serde(deserialize_with = "java_enum")]
    pub consume_result: Option<CMResult>,
    /// True for orderly topics or groups.
    pub order: bool,
    pub remark: Option<String>,
    pub spent_time_mills: i64,
}

impl Default for ConsumeMessageDirectlyResult {
    fn default() -> Self {
        Self {
            auto_commit: true,
            consume_result: Default::default(),
            order: Default::default(),
            remark: Default::default(),
            spent_time_mills: Default::default(),
        }
    }
}

/// Java's `ConsumeStatus`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatus {
    pub consume_failed_msgs: i64,
    #[serde(rename = "consumeFailedTPS")]
    pub consume_failed_tps: f64,
    #[serde(rename = "consumeOKTPS")]
    pub consume_ok_tps: f64,
    #[serde(rename = "consumeRT")]
    pub consume_rt: f64,
    #[serde(rename = "pullRT")]
    pub pull_rt: f64,
    #[serde(rename = "pullTPS")]
    pub pull_tps: f64,
}

/// Java's `ProcessQueueInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProcessQueueInfo {
    pub cached_msg_count: i32,
    pub cached_msg_max_offset: i64,
    pub cached_msg_min_offset: i64,
    #[serde(rename = "cachedMsgSizeInMiB")]
    pub cached_msg_size_in_mib: i32,
    /// The offset up to which the group has consumed.
    pub commit_offset: i64,
    pub droped: bool,
    pub last_consume_timestamp: i64,
    pub last_lock_timestamp: i64,
    pub last_pull_timestamp: i64,
    pub locked: bool,
    pub transaction_msg_count: i32,
    pub transaction_msg_max_offset: i64,
    pub transaction_msg_min_offset: i64,
    pub try_unlock_times: i64,
}

/// Java's `PopProcessQueueInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PopProcessQueueInfo {
    pub droped: bool,
    pub last_pop_timestamp: i64,
    pub wait_ack_count: i32,
}

/// Java's `ConsumerRunningInfo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerRunningInfo {
    pub jstack: Option<String>,
    pub mq_pop_table: BTreeMap<MessageQueue, PopProcessQueueInfo>,
    pub mq_table: BTreeMap<MessageQueue, ProcessQueueInfo>,
    /// The property string of the message.
    pub properties: BTreeMap<String, String>,
    pub status_table: BTreeMap<String, ConsumeStatus>,
    pub subscription_set: Vec<SubscriptionData>,
    pub user_consumer_info: BTreeMap<String, String>,
}

/// Java's `GetConsumerStatusBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GetConsumerStatusBody {
    pub consumer_table: BTreeMap<String, BTreeMap<MessageQueue, i64>>,
    pub message_queue_table: BTreeMap<MessageQueue, i64>,
}
