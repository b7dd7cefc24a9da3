//! Looking messages and queue entries up.

use super::TopicRequestHeader;
use crate::Header;

/// The request header of `QUERY_CONSUME_QUEUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryConsumeQueueRequestHeader {
    /// The topic.
    pub topic: Option<String>,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(nullable)]
    pub queue_id: i32,
    /// The first entry.
    #[header(nullable)]
    pub index: i64,
    /// At most this many.
    #[header(nullable)]
    pub count: i32,
    /// The consumer group.
    pub consumer_group: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `QUERY_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryMessageRequestHeader {
    /// The topic.
    pub topic: String,
    /// The key.
    pub key: String,
    /// At most this many.
    #[header(boxed)]
    pub max_num: i32,
    /// Start of the range, in milliseconds since 1970.
    #[header(boxed)]
    pub begin_timestamp: i64,
    /// End of the range, in milliseconds since 1970.
    #[header(boxed)]
    pub end_timestamp: i64,
    /// Which kind of key.
    pub index_type: Option<String>,
    /// Where the previous page ended.
    pub last_key: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `QUERY_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct QueryMessageResponseHeader {
    /// When the index was written last, in milliseconds since 1970.
    #[header(boxed)]
    pub index_last_update_timestamp: i64,
    /// Byte offset of the last indexed message.
    #[header(boxed)]
    pub index_last_update_phyoffset: i64,
}

/// The request header of "statistics messages".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct StatisticsMessagesRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// Start of the range, in milliseconds since 1970.
    #[header(nullable)]
    pub from_time: i64,
    /// End of the range, in milliseconds since 1970.
    #[header(nullable)]
    pub to_time: i64,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `VIEW_MESSAGE_BY_ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ViewMessageRequestHeader {
    /// The topic.
    pub topic: Option<String>,
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
}

/// The response header of "view message".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ViewMessageResponseHeader {}
