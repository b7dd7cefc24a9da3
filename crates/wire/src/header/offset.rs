//! Offsets: of queues and of consumers.

use super::{RpcRequestHeader, TopicRequestHeader};
use crate::Header;

/// The request header of `CLONE_GROUP_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CloneGroupOffsetRequestHeader {
    /// The group copied from.
    pub src_group: String,
    /// The group copied to.
    pub dest_group: String,
    /// The topic.
    pub topic: Option<String>,
    /// True when the group may be offline.
    #[header(nullable)]
    pub offline: bool,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: RpcRequestHeader,
}

/// The request header of `GET_EARLIEST_MSG_STORETIME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetEarliestMsgStoretimeRequestHeader {
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `GET_EARLIEST_MSG_STORETIME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetEarliestMsgStoretimeResponseHeader {
    /// Milliseconds since 1970.
    #[header(boxed)]
    pub timestamp: i64,
}

/// The request header of `GET_MAX_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetMaxOffsetRequestHeader {
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// True for the offset after the last dispatched message.
    #[header(nullable, default = true)]
    pub committed: bool,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `GET_MAX_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetMaxOffsetResponseHeader {
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
}

/// The request header of `GET_MIN_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetMinOffsetRequestHeader {
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `GET_MIN_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetMinOffsetResponseHeader {
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
}

/// The request header of "init consumer offset".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct InitConsumerOffsetRequestHeader {
    /// The topic.
    pub topic: Option<String>,
    /// Where a new group starts: 0 at the oldest message, 1 at the newest.
    #[header(nullable)]
    pub init_mode: i32,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `QUERY_CONSUMER_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryConsumerOffsetRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// False when a missing offset is to be reported as missing.
    pub set_zero_if_not_found: Option<bool>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `QUERY_CONSUMER_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryConsumerOffsetResponseHeader {
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
}

/// The request header of `QUERY_CORRECTION_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryCorrectionOffsetHeader {
    /// Groups to leave out, joined by commas.
    pub filter_groups: Option<String>,
    /// The group compared with.
    pub compare_group: String,
    /// The topic.
    pub topic: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `INVOKE_BROKER_TO_RESET_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ResetOffsetRequestHeader {
    /// The consumer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(nullable, default = -1)]
    pub queue_id: i32,
    /// The offset.
    pub offset: Option<i64>,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// True when the offset may also go forward.
    pub is_force: bool,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `SEARCH_OFFSET_BY_TIMESTAMP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct SearchOffsetRequestHeader {
    /// The topic.
    pub topic: String,
    /// The lite topic inside the parent topic.
    pub lite_topic: Option<String>,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// Milliseconds since 1970.
    #[header(boxed)]
    pub timestamp: i64,
    /// `LOWER` or `UPPER`: which of several messages with one store time; an enumeration in Java.
    pub boundary_type: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `SEARCH_OFFSET_BY_TIMESTAMP`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct SearchOffsetResponseHeader {
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
}

/// The request header of `UPDATE_CONSUMER_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UpdateConsumerOffsetRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// The offset up to which the group has consumed.
    #[header(boxed)]
    pub commit_offset: i64,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `UPDATE_CONSUMER_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct UpdateConsumerOffsetResponseHeader {}
