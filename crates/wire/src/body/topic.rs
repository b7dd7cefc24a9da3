//! Topics: configuration, what a broker registers, figures.

use super::{MessageQueue, TopicFilterType, TopicQueueMappingDetail, TopicQueueMappingInfo};
use crate::json::{self, JavaEnum, java_enum_or_default};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Says which of two tables is newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DataVersion {
    /// Grows with every change.
    pub counter: i64,
    /// The epoch of the state machine; 0 without a controller.
    pub state_version: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

/// A topic as a broker holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfig {
    /// Topic attributes as `+key=value,-key`.
    pub attributes: BTreeMap<String, String>,
    /// True for orderly topics or groups.
    pub order: bool,
    /// Permission bits: 4 read, 2 write.
    pub perm: i32,
    /// Queues to read from.
    pub read_queue_nums: i32,
    /// `SINGLE_TAG` or `MULTI_TAG`.
    #[serde(deserialize_with = "java_enum_or_default")]
    pub topic_filter_type: TopicFilterType,
    /// The topic.
    pub topic_name: String,
    /// System flag bits.
    pub topic_sys_flag: i32,
    /// Queues to write to.
    pub write_queue_nums: i32,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            attributes: Default::default(),
            order: Default::default(),
            perm: 6,
            read_queue_nums: 16,
            topic_filter_type: Default::default(),
            topic_name: Default::default(),
            topic_sys_flag: Default::default(),
            write_queue_nums: 16,
        }
    }
}

/// Java's `TopicConfigSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigSerializeWrapper {
    /// The version of the table.
    pub data_version: DataVersion,
    /// Topics by name.
    pub topic_config_table: BTreeMap<String, TopicConfig>,
}

/// Java's `TopicConfigAndMappingSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicConfigAndMappingSerializeWrapper {
    /// The version of the table.
    pub data_version: DataVersion,
    pub mapping_data_version: DataVersion,
    /// Topics by name.
    pub topic_config_table: BTreeMap<String, TopicConfig>,
    pub topic_queue_mapping_detail_map: BTreeMap<String, TopicQueueMappingDetail>,
    pub topic_queue_mapping_info_map: BTreeMap<String, TopicQueueMappingInfo>,
}

/// Java's `CreateTopicListRequestBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CreateTopicListRequestBody {
    pub topic_config_list: Vec<TopicConfig>,
}

/// Java's `TopicList`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicList {
    /// Any broker's address, for lists of system topics.
    pub broker_addr: Option<String>,
    /// The topics.
    pub topic_list: BTreeSet<String>,
}

/// Java's `TopicOffset`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicOffset {
    pub last_update_timestamp: i64,
    /// The offset after the last message.
    pub max_offset: i64,
    /// The offset of the first message.
    pub min_offset: i64,
}

/// Java's `TopicStatsTable`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicStatsTable {
    /// The offsets.
    pub offset_table: BTreeMap<MessageQueue, TopicOffset>,
    pub topic_put_tps: f64,
}

impl DataVersion {
    /// Java's order: the state version, then the counter, then the time.
    pub fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let key = |version: &Self| (version.state_version, version.counter, version.timestamp);
        key(self).cmp(&key(other))
    }

    /// The version after a change at `now_ms`, under the given state version (0 without a controller).
    pub fn advance(&mut self, state_version: i64, now_ms: i64) {
        self.timestamp = now_ms;
        self.state_version = state_version;
        self.counter += 1;
    }
}

impl TopicConfig {
    /// The topic as one line of a compressed registration (`TopicConfig.encode`).
    pub fn to_line(&self) -> String {
        let filter = TopicFilterType::VALUES
            .iter()
            .find(|(value, _)| *value == self.topic_filter_type)
            .map_or("", |(_, name)| *name);
        format!(
            "{} {} {} {} {} {}",
            self.topic_name,
            self.read_queue_nums,
            self.write_queue_nums,
            self.perm,
            filter,
            json::to_string(&self.attributes)
        )
    }

    /// Reads such a line; `None` when it is none. Unreadable attributes are ignored, because their text may hold the
    /// space that separates the fields (`TopicConfig.decode`).
    pub fn from_line(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, read, write, perm, filter, rest @ ..] = fields.as_slice() else {
            return None;
        };
        Some(Self {
            topic_name: (*name).to_owned(),
            read_queue_nums: read.parse().ok()?,
            write_queue_nums: write.parse().ok()?,
            perm: perm.parse().ok()?,
            topic_filter_type: TopicFilterType::VALUES
                .iter()
                .find(|(_, known)| known == filter)
                .map(|(value, _)| *value)?,
            attributes: rest.first().and_then(|text| json::from_str(text).ok()).unwrap_or_default(),
            ..Self::default()
        })
    }
}
