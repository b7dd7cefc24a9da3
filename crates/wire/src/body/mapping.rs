//! Logical queues of static topics.

use super::DataVersion;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Java's `LogicQueueMappingItem`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogicQueueMappingItem {
    pub bname: Option<String>,
    pub end_offset: i64,
    #[serde(rename = "gen")]
    pub generation: i32,
    pub logic_offset: i64,
    /// The queue; below 0 lets the broker choose where that is possible.
    pub queue_id: i32,
    pub start_offset: i64,
    pub time_of_end: i64,
    pub time_of_start: i64,
}

impl Default for LogicQueueMappingItem {
    fn default() -> Self {
        Self {
            bname: Default::default(),
            end_offset: -1,
            generation: Default::default(),
            logic_offset: Default::default(),
            queue_id: Default::default(),
            start_offset: Default::default(),
            time_of_end: -1,
            time_of_start: -1,
        }
    }
}

/// Java's `TopicQueueMappingInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicQueueMappingInfo {
    pub bname: Option<String>,
    pub curr_id_map: BTreeMap<i32, i32>,
    pub dirty: bool,
    /// The epoch of the current master.
    pub epoch: i64,
    pub scope: String,
    /// The topic.
    pub topic: String,
    pub total_queues: i32,
}

impl Default for TopicQueueMappingInfo {
    fn default() -> Self {
        Self {
            bname: Default::default(),
            curr_id_map: Default::default(),
            dirty: Default::default(),
            epoch: Default::default(),
            scope: "__global__".into(),
            topic: Default::default(),
            total_queues: Default::default(),
        }
    }
}

/// Java's `TopicQueueMappingDetail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicQueueMappingDetail {
    pub bname: Option<String>,
    pub curr_id_map: BTreeMap<i32, i32>,
    pub dirty: bool,
    /// The epoch of the current master.
    pub epoch: i64,
    pub hosted_queues: BTreeMap<i32, Vec<LogicQueueMappingItem>>,
    pub scope: String,
    /// The topic.
    pub topic: String,
    pub total_queues: i32,
}

impl Default for TopicQueueMappingDetail {
    fn default() -> Self {
        Self {
            bname: Default::default(),
            curr_id_map: Default::default(),
            dirty: Default::default(),
            epoch: Default::default(),
            hosted_queues: Default::default(),
            scope: "__global__".into(),
            topic: Default::default(),
            total_queues: Default::default(),
        }
    }
}

/// Java's `TopicQueueMappingSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicQueueMappingSerializeWrapper {
    /// The version of the table.
    pub data_version: DataVersion,
    pub topic_queue_mapping_info_map: BTreeMap<String, TopicQueueMappingDetail>,
}
