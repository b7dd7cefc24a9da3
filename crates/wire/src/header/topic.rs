//! Topics.

use super::{RpcRequestHeader, TopicRequestHeader};
use crate::Header;

/// The request header of `UPDATE_AND_CREATE_TOPIC_LIST`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CreateTopicListRequestHeader {
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `UPDATE_AND_CREATE_TOPIC`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CreateTopicRequestHeader {
    /// The topic.
    pub topic: String,
    /// The topic whose settings a new topic takes.
    #[header(default = String::new())]
    pub default_topic: String,
    /// Queues to read from.
    #[header(boxed)]
    pub read_queue_nums: i32,
    /// Queues to write to.
    #[header(boxed)]
    pub write_queue_nums: i32,
    /// Permission bits: 4 read, 2 write.
    #[header(boxed)]
    pub perm: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`.
    #[header(default = String::from("SINGLE_TAG"))]
    pub topic_filter_type: String,
    /// System flags of the topic.
    pub topic_sys_flag: Option<i32>,
    /// True for orderly topics or groups.
    #[header(boxed, default = false)]
    pub order: bool,
    /// Topic attributes as `+key=value,-key`.
    pub attributes: Option<String>,
    /// True when an existing topic may be replaced.
    pub force: Option<bool>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `DELETE_TOPIC_IN_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct DeleteTopicRequestHeader {
    /// The topic.
    pub topic: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_ALL_TOPIC_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetAllTopicConfigRequestHeader {
    /// The first topic wanted, by position.
    #[header(boxed, default = 0)]
    pub topic_seq: i32,
    /// The version the sender holds, as JSON.
    pub data_version: Option<String>,
    /// At most this many topics.
    pub max_topic_num: Option<i32>,
}

/// The response header of `GET_ALL_TOPIC_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetAllTopicConfigResponseHeader {
    /// How many topics there are.
    pub total_topic_num: Option<i32>,
}

/// The request header of `GET_TOPIC_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetTopicConfigRequestHeader {
    /// The topic.
    pub topic: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_TOPIC_STATS_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetTopicStatsInfoRequestHeader {
    /// The topic.
    pub topic: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `QUERY_TOPIC_CONSUME_BY_WHO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryTopicConsumeByWhoRequestHeader {
    /// The topic.
    pub topic: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}
