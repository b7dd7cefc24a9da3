//! Lite topics.

use super::RpcRequestHeader;
use crate::Header;

/// The request header of `GET_LITE_CLIENT_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetLiteClientInfoRequestHeader {
    /// The topic that holds the lite topics.
    pub parent_topic: Option<String>,
    /// The consumer group.
    pub group: Option<String>,
    /// The client id.
    pub client_id: Option<String>,
    /// At most this many.
    #[header(nullable, default = 1000)]
    pub max_count: i32,
}

/// The request header of `GET_LITE_GROUP_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetLiteGroupInfoRequestHeader {
    /// The consumer group.
    pub group: String,
    /// The lite topic inside the parent topic.
    pub lite_topic: Option<String>,
    /// At most this many.
    #[header(nullable)]
    pub top_k: i32,
}

/// The request header of `GET_LITE_TOPIC_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetLiteTopicInfoRequestHeader {
    /// The topic that holds the lite topics.
    pub parent_topic: Option<String>,
    /// The lite topic inside the parent topic.
    pub lite_topic: Option<String>,
}

/// The request header of "get parent topic info".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetParentTopicInfoRequestHeader {
    /// The topic.
    pub topic: String,
}

/// The request header of `LITE_SUBSCRIPTION_CTL`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct LiteSubscriptionCtlRequestHeader {
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `NOTIFY_UNSUBSCRIBE_LITE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct NotifyUnsubscribeLiteRequestHeader {
    /// The lite topic inside the parent topic.
    pub lite_topic: String,
    /// The consumer group.
    pub consumer_group: String,
    /// The client id.
    pub client_id: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `POP_LITE_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PopLiteMessageRequestHeader {
    /// The client id.
    pub client_id: String,
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// At most this many messages.
    pub max_msg_num: i32,
    /// How long a popped message stays hidden, in milliseconds.
    pub invisible_time: i64,
    /// How long the broker may hold the request, in milliseconds.
    pub poll_time: i64,
    /// When the client sent the request, in milliseconds since 1970.
    pub born_time: i64,
    /// Names one attempt, so that a repeated pop of an orderly group is recognised.
    pub attempt_id: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The response header of `POP_LITE_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PopLiteMessageResponseHeader {
    /// When the messages were popped, in milliseconds since 1970.
    pub pop_time: i64,
    /// How long a popped message stays hidden, in milliseconds.
    pub invisible_time: i64,
    /// The queue in which the check point was written.
    pub revive_qid: i32,
    /// The first offset of each queue, in the compact pop form.
    pub start_offset_info: Option<String>,
    /// The queue offset of each message, in the compact pop form.
    pub msg_offset_info: Option<String>,
    /// Deliveries so far, in the compact pop form.
    pub order_count_info: Option<String>,
}

/// The request header of `TRIGGER_LITE_DISPATCH`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct TriggerLiteDispatchRequestHeader {
    /// The consumer group.
    pub group: String,
    /// The client id.
    pub client_id: Option<String>,
}
