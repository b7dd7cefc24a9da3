//! Subscription groups and their progress.

use super::{RpcRequestHeader, TopicRequestHeader};
use crate::Header;

/// The request header of `DELETE_SUBSCRIPTIONGROUP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct DeleteSubscriptionGroupRequestHeader {
    /// The consumer group.
    pub group_name: String,
    /// True when the consumer offsets go as well.
    #[header(nullable)]
    pub clean_offset: bool,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetAllSubscriptionGroupRequestHeader {
    /// The first group wanted, by position.
    #[header(boxed, default = 0)]
    pub group_seq: i32,
    /// The version the sender holds, as JSON.
    pub data_version: Option<String>,
    /// At most this many groups.
    pub max_group_num: Option<i32>,
}

/// The response header of `GET_ALL_SUBSCRIPTIONGROUP_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetAllSubscriptionGroupResponseHeader {
    /// How many groups there are.
    #[header(boxed)]
    pub total_group_num: i32,
}

/// The request header of `GET_BROKER_CONSUME_STATS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumeStatsInBrokerHeader {
    /// True for orderly groups only.
    pub is_order: bool,
}

/// The request header of `GET_CONSUME_STATS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetConsumeStatsRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: Option<String>,
    /// Topics joined by semicolons.
    pub topic_list: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `GET_SUBSCRIPTIONGROUP_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetSubscriptionGroupConfigRequestHeader {
    /// The consumer group.
    pub group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `QUERY_CONSUME_TIME_SPAN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryConsumeTimeSpanRequestHeader {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `QUERY_SUBSCRIPTION_BY_CONSUMER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QuerySubscriptionByConsumerRequestHeader {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `QUERY_TOPICS_BY_CONSUMER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryTopicsByConsumerRequestHeader {
    /// The consumer group.
    pub group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `UPDATE_AND_GET_GROUP_FORBIDDEN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UpdateGroupForbiddenRequestHeader {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// True when the group may read the topic; missing asks only.
    pub readable: Option<bool>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}
