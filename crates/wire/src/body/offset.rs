//! Consumer offsets and progress.

use super::{DataVersion, MessageQueue, MessageQueueForC};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Java's `ConsumerOffsetSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerOffsetSerializeWrapper {
    /// The version of the table.
    pub data_version: Option<DataVersion>,
    /// The offsets.
    pub offset_table: BTreeMap<String, BTreeMap<i32, i64>>,
}

/// Java's `DelayOffsetSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DelayOffsetSerializeWrapper {
    /// The version of the table.
    pub data_version: Option<DataVersion>,
    /// The offsets.
    pub offset_table: BTreeMap<i32, i64>,
}

/// Java's `OffsetWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OffsetWrapper {
    pub broker_offset: i64,
    pub consumer_offset: i64,
    pub last_timestamp: i64,
    pub pull_offset: i64,
}

/// Java's `ConsumeStats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStats {
    pub consume_tps: f64,
    /// The offsets.
    pub offset_table: BTreeMap<MessageQueue, OffsetWrapper>,
}

/// Java's `ConsumeStatsList`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeStatsList {
    /// The broker's address, `IP:port`.
    pub broker_addr: String,
    pub consume_stats_list: Vec<BTreeMap<String, Vec<ConsumeStats>>>,
    pub total_diff: i64,
    pub total_inflight_diff: i64,
}

/// Java's `ConsumeByWho`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeByWho {
    pub consumed_group: BTreeSet<String>,
    pub not_consumed_group: BTreeSet<String>,
    /// The offset.
    pub offset: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    /// The topic.
    pub topic: String,
}

/// Java's `QueueTimeSpan`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueTimeSpan {
    pub consume_time_stamp: i64,
    pub consume_time_stamp_str: String,
    pub delay_time: i64,
    pub max_time_stamp: i64,
    pub max_time_stamp_str: String,
    pub message_queue: MessageQueue,
    pub min_time_stamp: i64,
    pub min_time_stamp_str: String,
}

/// Java's `QueryConsumeTimeSpanBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryConsumeTimeSpanBody {
    pub consume_time_span_set: Vec<QueueTimeSpan>,
}

/// Java's `QueryCorrectionOffsetBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryCorrectionOffsetBody {
    pub correction_offsets: BTreeMap<i32, i64>,
}

/// Java's `ResetOffsetBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsetBody {
    /// The offsets.
    pub offset_table: BTreeMap<MessageQueue, i64>,
}

/// Java's `ResetOffsetBodyForC`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResetOffsetBodyForC {
    /// The offsets.
    pub offset_table: Vec<MessageQueueForC>,
}

/// Java's `OffsetMovedEvent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OffsetMovedEvent {
    /// The consumer group.
    pub consumer_group: String,
    pub message_queue: MessageQueue,
    pub offset_new: i64,
    pub offset_request: i64,
}

/// Java's `RollbackStats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RollbackStats {
    /// The broker name.
    pub broker_name: String,
    pub broker_offset: i64,
    pub consumer_offset: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i64,
    pub rollback_offset: i64,
    pub timestamp_offset: i64,
}

/// The orderly progress of one group on one queue (`consumerOrderInfo.json`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OrderInfo {
    /// Names one attempt, so that a repeated pop of an orderly group is recognised.
    #[serde(rename = "a")]
    pub attempt_id: Option<String>,
    #[serde(rename = "cm")]
    pub commit_offset_bit: i64,
    /// How long a popped message stays hidden, in milliseconds.
    #[serde(rename = "i")]
    pub invisible_time: Option<i64>,
    #[serde(rename = "l")]
    pub last_consume_timestamp: i64,
    #[serde(rename = "o")]
    pub offset_list: Option<Vec<i64>>,
    #[serde(rename = "oc")]
    pub offset_consumed_count: Option<BTreeMap<i64, i32>>,
    #[serde(rename = "ot")]
    pub offset_next_visible_time: Option<BTreeMap<i64, i64>>,
    /// When the messages were popped, in milliseconds since 1970.
    pub pop_time: i64,
}
