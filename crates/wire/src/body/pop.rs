//! Acknowledgements and check points of popped messages.

use serde::{Deserialize, Serialize};

/// Java's `AckMsg`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AckMsg {
    #[serde(rename = "ao")]
    pub ack_offset: i64,
    /// The broker name.
    #[serde(rename = "bn")]
    pub broker_name: String,
    /// The consumer group.
    #[serde(rename = "c")]
    pub consumer_group: String,
    /// When the messages were popped, in milliseconds since 1970.
    #[serde(rename = "pt")]
    pub pop_time: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[serde(rename = "q")]
    pub queue_id: i32,
    #[serde(rename = "so")]
    pub start_offset: i64,
    /// The topic.
    #[serde(rename = "t")]
    pub topic: String,
}

/// Java's `BatchAckMsg`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchAckMsg {
    #[serde(rename = "ao")]
    pub ack_offset: i64,
    #[serde(rename = "aol")]
    pub ack_offset_list: Vec<i64>,
    /// The broker name.
    #[serde(rename = "bn")]
    pub broker_name: String,
    /// The consumer group.
    #[serde(rename = "c")]
    pub consumer_group: String,
    /// When the messages were popped, in milliseconds since 1970.
    #[serde(rename = "pt")]
    pub pop_time: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[serde(rename = "q")]
    pub queue_id: i32,
    #[serde(rename = "so")]
    pub start_offset: i64,
    /// The topic.
    #[serde(rename = "t")]
    pub topic: String,
}

/// Java's `BatchAck`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchAck {
    /// The consumer group.
    #[serde(rename = "c")]
    pub consumer_group: String,
    /// How long a popped message stays hidden, in milliseconds.
    #[serde(rename = "it")]
    pub invisible_time: i64,
    /// When the messages were popped, in milliseconds since 1970.
    #[serde(rename = "pt")]
    pub pop_time: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[serde(rename = "q")]
    pub queue_id: i32,
    #[serde(rename = "r")]
    pub retry: Option<String>,
    #[serde(rename = "rq")]
    pub revive_queue_id: i32,
    #[serde(rename = "so")]
    pub start_offset: i64,
    /// The topic.
    #[serde(rename = "t")]
    pub topic: String,
    #[serde(rename = "b")]
    pub bit_set: Option<String>,
}

/// Java's `BatchAckMessageRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BatchAckMessageRequestBody {
    pub acks: Vec<BatchAck>,
    /// The broker name.
    pub broker_name: String,
}

/// Written when messages are popped; revived when they are not acknowledged in time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PopCheckPoint {
    #[serde(rename = "bm")]
    pub bit_map: i32,
    /// The broker name.
    #[serde(rename = "bn")]
    pub broker_name: String,
    #[serde(rename = "c")]
    pub consumer_group: String,
    #[serde(rename = "d")]
    pub queue_offset_diff: Option<Vec<i32>>,
    /// How long a popped message stays hidden, in milliseconds.
    #[serde(rename = "it")]
    pub invisible_time: i64,
    #[serde(rename = "n")]
    pub num: i32,
    /// When the messages were popped, in milliseconds since 1970.
    #[serde(rename = "pt")]
    pub pop_time: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    #[serde(rename = "q")]
    pub queue_id: i32,
    pub revive_time: i64,
    #[serde(rename = "ro")]
    pub revive_offset: i64,
    #[serde(rename = "rp")]
    pub re_put_times: Option<String>,
    #[serde(rename = "so")]
    pub start_offset: i64,
    /// True when the delivery is only put off and does not count.
    #[serde(rename = "sp")]
    pub suspend: bool,
    /// The topic.
    #[serde(rename = "t")]
    pub topic: String,
}
