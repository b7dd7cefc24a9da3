//! Popping messages: pop, peek, acknowledge, change the invisible time, wait.

use super::TopicRequestHeader;
use crate::Header;

/// The request header of `ACK_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct AckMessageRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// The receipt handle of the popped message.
    pub extra_info: String,
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
    /// The lite topic inside the parent topic.
    pub lite_topic: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `CHANGE_MESSAGE_INVISIBLETIME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ChangeInvisibleTimeRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[header(boxed)]
    pub queue_id: i32,
    /// The receipt handle of the popped message.
    pub extra_info: String,
    /// The offset.
    #[header(boxed)]
    pub offset: i64,
    /// How long a popped message stays hidden, in milliseconds.
    #[header(boxed)]
    pub invisible_time: i64,
    /// The lite topic inside the parent topic.
    pub lite_topic: Option<String>,
    /// True when the delivery is only put off and does not count.
    #[header(nullable)]
    pub suspend: bool,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `CHANGE_MESSAGE_INVISIBLETIME`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ChangeInvisibleTimeResponseHeader {
    /// When the messages were popped, in milliseconds since 1970.
    pub pop_time: i64,
    /// How long a popped message stays hidden, in milliseconds.
    pub invisible_time: i64,
    /// The queue in which the check point was written.
    pub revive_qid: i32,
}

/// The request header of `NOTIFICATION`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct NotificationRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// How long the broker may hold the request, in milliseconds.
    pub poll_time: i64,
    /// When the client sent the request, in milliseconds since 1970.
    pub born_time: i64,
    /// True for orderly topics or groups.
    pub order: Option<bool>,
    /// Names one attempt, so that a repeated pop of an orderly group is recognised.
    pub attempt_id: Option<String>,
    /// `TAG` or `SQL92`.
    pub exp_type: Option<String>,
    /// The filter expression.
    pub exp: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `NOTIFICATION`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct NotificationResponseHeader {
    /// True when there is something to pop.
    pub has_msg: bool,
    /// True when the broker holds too many requests already.
    #[header(nullable)]
    pub polling_full: bool,
}

/// The request header of `PEEK_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PeekMessageRequestHeader {
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// At most this many messages.
    pub max_msg_nums: i32,
    /// The consumer group.
    pub consumer_group: String,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The request header of `POLLING_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PollingInfoRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `POLLING_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PollingInfoResponseHeader {
    /// Requests held for this queue.
    pub polling_num: i32,
}

/// The request header of `POP_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PopMessageRequestHeader {
    /// The consumer group.
    pub consumer_group: String,
    /// The topic.
    pub topic: String,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// At most this many messages.
    pub max_msg_nums: i32,
    /// How long a popped message stays hidden, in milliseconds.
    pub invisible_time: i64,
    /// How long the broker may hold the request, in milliseconds.
    pub poll_time: i64,
    /// When the client sent the request, in milliseconds since 1970.
    pub born_time: i64,
    /// Where a new group starts: 0 at the oldest message, 1 at the newest.
    pub init_mode: i32,
    /// `TAG` or `SQL92`.
    pub exp_type: Option<String>,
    /// The filter expression.
    pub exp: Option<String>,
    /// True for orderly topics or groups.
    pub order: Option<bool>,
    /// Names one attempt, so that a repeated pop of an orderly group is recognised.
    pub attempt_id: Option<String>,
    /// What every such request may carry.
    #[header(flatten)]
    pub inherited: TopicRequestHeader,
}

/// The response header of `POP_MESSAGE`, `PEEK_MESSAGE`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct PopMessageResponseHeader {
    /// When the messages were popped, in milliseconds since 1970.
    pub pop_time: i64,
    /// How long a popped message stays hidden, in milliseconds.
    pub invisible_time: i64,
    /// The queue in which the check point was written.
    pub revive_qid: i32,
    /// Messages still to pop.
    pub rest_num: i64,
    /// The first offset of each queue, in the compact pop form.
    pub start_offset_info: Option<String>,
    /// The queue offset of each message, in the compact pop form.
    pub msg_offset_info: Option<String>,
    /// Deliveries so far, in the compact pop form.
    pub order_count_info: Option<String>,
}
