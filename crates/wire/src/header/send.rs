//! Sending, sending back, replying and recalling messages.

use super::{RpcRequestHeader, TopicRequestHeader};
use crate::Header;

/// The request header of `CONSUMER_SEND_MSG_BACK`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ConsumerSendMsgBackRequestHeader {
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
    /// The consumer group.
    pub group: String,
    /// The delay level of the retry; below 0 goes to the dead-letter queue, 0 lets the broker choose.
    #[header(boxed)]
    pub delay_level: i32,
    /// The id of the message that failed.
    pub origin_msg_id: Option<String>,
    /// The topic of the message that failed.
    pub origin_topic: Option<String>,
    /// True for unitised deployments.
    #[header(nullable)]
    pub unit_mode: bool,
    /// Deliveries before a message goes to the dead-letter queue.
    pub max_reconsume_times: Option<i32>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `RECALL_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RecallMessageRequestHeader {
    /// The producer group.
    pub producer_group: Option<String>,
    /// The topic.
    pub topic: String,
    /// Names a delayed message that can still be recalled.
    pub recall_handle: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `RECALL_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RecallMessageResponseHeader {
    /// The message id.
    pub msg_id: String,
}

/// The request header of `PUSH_REPLY_MESSAGE_TO_CLIENT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ReplyMessageRequestHeader {
    /// The producer group.
    pub producer_group: String,
    /// The topic.
    pub topic: String,
    /// The topic whose settings a new topic takes.
    pub default_topic: String,
    /// Queues of a topic that the send creates.
    #[header(boxed)]
    pub default_topic_queue_nums: i32,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// System flag bits.
    #[header(boxed)]
    pub sys_flag: i32,
    /// When the producer made the message, in milliseconds since 1970.
    #[header(boxed)]
    pub born_timestamp: i64,
    /// The producer's own flag, kept with the message.
    #[header(boxed)]
    pub flag: i32,
    /// The property string of the message.
    pub properties: Option<String>,
    /// Deliveries so far.
    pub reconsume_times: Option<i32>,
    /// True for unitised deployments.
    #[header(nullable)]
    pub unit_mode: bool,
    /// The address of the producer, `IP:port`.
    pub born_host: String,
    /// The address of the broker that stored the message, `IP:port`.
    pub store_host: String,
    /// When the message was stored, in milliseconds since 1970.
    pub store_timestamp: i64,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `SEND_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct SendMessageRequestHeader {
    /// The producer group.
    pub producer_group: String,
    /// The topic.
    pub topic: String,
    /// The topic whose settings a new topic takes.
    #[header(default = String::new())]
    pub default_topic: String,
    /// Queues of a topic that the send creates.
    #[header(boxed, default = 0)]
    pub default_topic_queue_nums: i32,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// System flag bits.
    #[header(boxed)]
    pub sys_flag: i32,
    /// When the producer made the message, in milliseconds since 1970.
    #[header(boxed)]
    pub born_timestamp: i64,
    /// The producer's own flag, kept with the message.
    #[header(boxed)]
    pub flag: i32,
    /// The property string of the message.
    pub properties: Option<String>,
    /// Deliveries so far.
    pub reconsume_times: Option<i32>,
    /// True for unitised deployments.
    pub unit_mode: Option<bool>,
    /// True when the body is a batch.
    pub batch: Option<bool>,
    /// Deliveries before a message goes to the dead-letter queue.
    pub max_reconsume_times: Option<i32>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `SEND_MESSAGE_V2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
#[header(fast)]
pub struct SendMessageRequestHeaderV2 {
    /// The producer group.
    #[header(name = "a")]
    pub producer_group: String,
    /// The topic.
    #[header(name = "b")]
    pub topic: String,
    /// The topic whose settings a new topic takes.
    #[header(name = "c", default = String::new())]
    pub default_topic: String,
    /// Queues of a topic that the send creates.
    #[header(name = "d", boxed, default = 0)]
    pub default_topic_queue_nums: i32,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(name = "e", boxed)]
    pub queue_id: i32,
    /// System flag bits.
    #[header(name = "f", boxed)]
    pub sys_flag: i32,
    /// When the producer made the message, in milliseconds since 1970.
    #[header(name = "g", boxed)]
    pub born_timestamp: i64,
    /// The producer's own flag, kept with the message.
    #[header(name = "h", boxed)]
    pub flag: i32,
    /// The property string of the message.
    #[header(name = "i")]
    pub properties: Option<String>,
    /// Deliveries so far.
    #[header(name = "j")]
    pub reconsume_times: Option<i32>,
    /// True for unitised deployments.
    #[header(name = "k")]
    pub unit_mode: Option<bool>,
    /// Deliveries before a message goes to the dead-letter queue.
    #[header(name = "l")]
    pub max_reconsume_times: Option<i32>,
    /// True when the body is a batch.
    #[header(name = "m")]
    pub batch: Option<bool>,
    /// The broker name.
    #[header(name = "n")]
    pub broker_name: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `SEND_MESSAGE`, `SEND_MESSAGE_V2`, `SEND_BATCH_MESSAGE`, `SEND_REPLY_MESSAGE`, `SEND_REPLY_MESSAGE_V2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
#[header(fast)]
pub struct SendMessageResponseHeader {
    /// The message id.
    pub msg_id: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// The offset in the queue.
    #[header(boxed)]
    pub queue_offset: i64,
    /// The unique id of the message.
    pub transaction_id: Option<String>,
    /// The unique ids of a batch, joined by commas.
    pub batch_uniq_id: Option<String>,
    /// Names a delayed message that can still be recalled.
    pub recall_handle: Option<String>,
}

impl From<SendMessageRequestHeaderV2> for SendMessageRequestHeader {
    /// `SendMessageRequestHeaderV2.createSendMessageRequestHeaderV1`: `n` becomes `bname`.
    fn from(v2: SendMessageRequestHeaderV2) -> Self {
        let mut inherited = v2.inherited;
        if v2.broker_name.is_some() {
            inherited.inherited.bname = v2.broker_name;
        }
        Self {
            producer_group: v2.producer_group,
            topic: v2.topic,
            default_topic: v2.default_topic,
            default_topic_queue_nums: v2.default_topic_queue_nums,
            queue_id: v2.queue_id,
            sys_flag: v2.sys_flag,
            born_timestamp: v2.born_timestamp,
            flag: v2.flag,
            properties: v2.properties,
            reconsume_times: v2.reconsume_times,
            unit_mode: v2.unit_mode,
            batch: v2.batch,
            max_reconsume_times: v2.max_reconsume_times,
            inherited,
        }
    }
}

impl From<SendMessageRequestHeader> for SendMessageRequestHeaderV2 {
    /// `SendMessageRequestHeaderV2.createSendMessageRequestHeaderV2`: `bname` becomes `n`.
    fn from(v1: SendMessageRequestHeader) -> Self {
        let mut inherited = v1.inherited;
        Self {
            producer_group: v1.producer_group,
            topic: v1.topic,
            default_topic: v1.default_topic,
            default_topic_queue_nums: v1.default_topic_queue_nums,
            queue_id: v1.queue_id,
            sys_flag: v1.sys_flag,
            born_timestamp: v1.born_timestamp,
            flag: v1.flag,
            properties: v1.properties,
            reconsume_times: v1.reconsume_times,
            unit_mode: v1.unit_mode,
            batch: v1.batch,
            max_reconsume_times: v1.max_reconsume_times,
            broker_name: inherited.inherited.bname.take(),
            inherited,
        }
    }
}
