//! Clients: heartbeat, connections, queue locks, and what the broker asks of a client.

use super::{RpcRequestHeader, TopicRequestHeader};
use crate::Header;

/// The request header of `CONSUME_MESSAGE_DIRECTLY`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ConsumeMessageDirectlyResultRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The client id.
    pub client_id: Option<String>,
    /// The message id.
    pub msg_id: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// System flags of the topic.
    pub topic_sys_flag: Option<i32>,
    /// System flags of the group.
    pub group_sys_flag: Option<i32>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_ALL_PRODUCER_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetAllProducerInfoRequestHeader {}

/// The request header of `GET_CONSUMER_CONNECTION_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumerConnectionListRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `GET_CONSUMER_LIST_BY_GROUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumerListByGroupRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The response header of `GET_CONSUMER_LIST_BY_GROUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumerListByGroupResponseHeader {}

/// The request header of `GET_CONSUMER_RUNNING_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumerRunningInfoRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The client id.
    pub client_id: String,
    /// True when the client adds its thread stacks.
    #[header(nullable)]
    pub jstack_enable: bool,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `INVOKE_BROKER_TO_GET_CONSUMER_STATUS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumerStatusRequestHeader {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// The address of one client; empty is all.
    pub client_addr: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_PRODUCER_CONNECTION_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetProducerConnectionListRequestHeader {
    /// The producer group.
    pub producer_group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `HEART_BEAT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct HeartbeatRequestHeader {
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `LOCK_BATCH_MQ`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct LockBatchMqRequestHeader {
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `NOTIFY_CONSUMER_IDS_CHANGED`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct NotifyConsumerIdsChangedRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `UNLOCK_BATCH_MQ`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UnlockBatchMqRequestHeader {
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `UNREGISTER_CLIENT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UnregisterClientRequestHeader {
    /// The client id.
    #[header(name = "clientID")]
    pub client_id: String,
    /// The producer group.
    pub producer_group: Option<String>,
    /// The consumer group.
    pub consumer_group: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The response header of `UNREGISTER_CLIENT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UnregisterClientResponseHeader {}
