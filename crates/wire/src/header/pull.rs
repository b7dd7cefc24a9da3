//! Pulling messages.

use super::TopicRequestHeader;
use crate::Header;

/// The request header of `PULL_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
#[header(fast)]
pub struct PullMessageRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The lite topic inside the parent topic.
    pub lite_topic: Option<String>,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// The offset in the queue.
    #[header(boxed)]
    pub queue_offset: i64,
    /// At most this many messages.
    #[header(boxed)]
    pub max_msg_nums: i32,
    /// System flag bits.
    #[header(boxed)]
    pub sys_flag: i32,
    /// The offset up to which the group has consumed.
    #[header(boxed)]
    pub commit_offset: i64,
    /// How long the broker may hold the request, in milliseconds.
    #[header(boxed)]
    pub suspend_timeout_millis: i64,
    /// The filter expression.
    pub subscription: Option<String>,
    /// The version of the client's subscription.
    #[header(boxed, default = 0)]
    pub sub_version: i64,
    /// `TAG` or `SQL92`.
    pub expression_type: Option<String>,
    /// At most this many bytes of messages.
    pub max_msg_bytes: Option<i32>,
    /// Which component asks; below 0 is an old client.
    pub request_source: Option<i32>,
    /// The client behind a proxy, spelled as in Java.
    pub proxy_froward_client_id: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `PULL_MESSAGE`, `LITE_PULL_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
#[header(fast)]
pub struct PullMessageResponseHeader {
    /// The broker id the client should pull from next.
    #[header(boxed)]
    pub suggest_which_broker_id: i64,
    /// Where the next pull should start.
    #[header(boxed)]
    pub next_begin_offset: i64,
    /// The offset of the first message.
    #[header(boxed)]
    pub min_offset: i64,
    /// The offset after the last message.
    #[header(boxed)]
    pub max_offset: i64,
    /// Added to the offsets of a logical queue.
    pub offset_delta: Option<i64>,
    /// System flags of the topic.
    pub topic_sys_flag: Option<i32>,
    /// System flags of the group.
    pub group_sys_flag: Option<i32>,
    /// Why the pull was forbidden.
    pub forbidden_type: Option<i32>,
}
