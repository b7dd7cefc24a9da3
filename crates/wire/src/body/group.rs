//! Subscription groups.

use super::{DataVersion, GroupRetryPolicyType, SubscriptionData};
use crate::json::java_enum_or_default;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Java's `SimpleSubscriptionData`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SimpleSubscriptionData {
    pub expression: Option<String>,
    /// `TAG` or `SQL92`.
    pub expression_type: Option<String>,
    /// The topic.
    pub topic: String,
    /// The version.
    pub version: i64,
}

/// Java's `CustomizedRetryPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomizedRetryPolicy {
    pub next: Vec<i64>,
}

impl Default for CustomizedRetryPolicy {
    fn default() -> Self {
        Self {
            next: vec![
                1000, 5000, 10000, 30000, 60000, 120000, 180000, 240000, 300000, 360000, 420000, 480000,
                540000, 600000, 1200000, 1800000, 3600000, 7200000,
            ],
        }
    }
}

/// Java's `ExponentialRetryPolicy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialRetryPolicy {
    pub initial: i64,
    pub max: i64,
    pub multiplier: i64,
}

impl Default for ExponentialRetryPolicy {
    fn default() -> Self {
        Self { initial: 5000, max: 7200000, multiplier: 2 }
    }
}

/// Java's `GroupRetryPolicy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupRetryPolicy {
    pub customized_retry_policy: Option<CustomizedRetryPolicy>,
    pub exponential_retry_policy: Option<ExponentialRetryPolicy>,
    #[serde(rename = "type", deserialize_with = "java_enum_or_default")]
    pub policy_type: GroupRetryPolicyType,
}

/// A consumer group as a broker holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupConfig {
    /// Topic attributes as `+key=value,-key`.
    pub attributes: BTreeMap<String, String>,
    /// 0 is the master.
    pub broker_id: i64,
    pub consume_broadcast_enable: bool,
    /// False refuses every pull.
    pub consume_enable: bool,
    pub consume_from_min_enable: bool,
    pub consume_message_orderly: bool,
    /// Minutes before a message counts as failed.
    pub consume_timeout_minute: i32,
    /// The consumer group.
    pub group_name: String,
    pub group_retry_policy: GroupRetryPolicy,
    /// System flag bits.
    pub group_sys_flag: i32,
    pub notify_consumer_ids_changed_enable: bool,
    /// Deliveries before a message goes to the dead-letter queue.
    pub retry_max_times: i32,
    /// Queues of the retry topic.
    pub retry_queue_nums: i32,
    /// The subscriptions.
    pub subscription_data_set: Option<Vec<SimpleSubscriptionData>>,
    /// The broker id suggested when the wanted messages are no longer in memory.
    pub which_broker_when_consume_slowly: i64,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            attributes: Default::default(),
            broker_id: Default::default(),
            consume_broadcast_enable: true,
            consume_enable: true,
            consume_from_min_enable: true,
            consume_message_orderly: Default::default(),
            consume_timeout_minute: 15,
            group_name: Default::default(),
            group_retry_policy: Default::default(),
            group_sys_flag: Default::default(),
            notify_consumer_ids_changed_enable: true,
            retry_max_times: 16,
            retry_queue_nums: 1,
            subscription_data_set: Default::default(),
            which_broker_when_consume_slowly: 1,
        }
    }
}

/// Java's `SubscriptionGroupList`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupList {
    pub group_config_list: Vec<SubscriptionGroupConfig>,
}

/// Java's `SubscriptionGroupWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionGroupWrapper {
    /// The version of the table.
    pub data_version: DataVersion,
    /// Forbidden topics by group.
    pub forbidden_table: BTreeMap<String, BTreeMap<String, i32>>,
    /// Groups by name.
    pub subscription_group_table: BTreeMap<String, SubscriptionGroupConfig>,
}

/// Java's `GroupForbidden`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupForbidden {
    /// The consumer group.
    pub group: String,
    /// True when the group may read the topic; missing asks only.
    pub readable: Option<bool>,
    /// The topic.
    pub topic: String,
}

/// Java's `GroupList`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupList {
    pub group_list: BTreeSet<String>,
}

/// Java's `QuerySubscriptionResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QuerySubscriptionResponseBody {
    /// The consumer group.
    pub group: String,
    pub subscription_data: Option<SubscriptionData>,
    /// The topic.
    pub topic: String,
}

/// Java's `ConsumerFilterData`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumerFilterData {
    pub bloom_filter_data: Option<BloomFilterData>,
    /// When the client sent the request, in milliseconds since 1970.
    pub born_time: i64,
    pub client_version: i64,
    /// The consumer group.
    pub consumer_group: String,
    pub dead: bool,
    pub dead_time: i64,
    pub expression: Option<String>,
    /// `TAG` or `SQL92`.
    pub expression_type: Option<String>,
    /// The topic.
    pub topic: String,
}

impl Default for ConsumerFilterData {
    fn default() -> Self {
        Self {
            bloom_filter_data: Default::default(),
            born_time: Default::default(),
            client_version: Default::default(),
            consumer_group: Default::default(),
            dead: true,
            dead_time: Default::default(),
            expression: Default::default(),
            expression_type: Default::default(),
            topic: Default::default(),
        }
    }
}

/// The bloom filter bits of one subscription (`BloomFilterData`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BloomFilterData {
    /// How many bits the filter has.
    pub bit_num: i32,
    /// The bits that are set.
    pub bit_pos: Vec<i32>,
}
