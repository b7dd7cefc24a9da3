//! Figures operators ask for.

use super::{DataVersion, SubscriptionData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Java's `BrokerStatsItem`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerStatsItem {
    pub avgpt: f64,
    pub sum: i64,
    pub tps: f64,
}

/// Java's `BrokerStatsData`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerStatsData {
    pub stats_day: Option<BrokerStatsItem>,
    pub stats_hour: Option<BrokerStatsItem>,
    pub stats_minute: Option<BrokerStatsItem>,
}

/// Java's `ConsumeQueueData`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConsumeQueueData {
    pub bit_map: Option<String>,
    pub eval: bool,
    pub extend_data_json: Option<String>,
    pub msg: Option<String>,
    pub physic_offset: i64,
    pub physic_size: i32,
    pub tags_code: i64,
}

/// Java's `QueryConsumeQueueResponseBody`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueryConsumeQueueResponseBody {
    pub filter_data: Option<String>,
    pub max_queue_index: i64,
    pub min_queue_index: i64,
    pub queue_data: Option<Vec<ConsumeQueueData>>,
    pub subscription_data: Option<SubscriptionData>,
}

/// Java's `HARuntimeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HARuntimeInfo {
    pub ha_client_runtime_info: HAClientRuntimeInfo,
    pub ha_connection_info: Vec<HAConnectionRuntimeInfo>,
    pub in_sync_slave_nums: i32,
    pub master: bool,
    pub master_commit_log_max_offset: i64,
}

/// Java's `HARuntimeInfo.HAClientRuntimeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HAClientRuntimeInfo {
    pub last_read_timestamp: i64,
    pub last_write_timestamp: i64,
    /// The master's address, for slaves.
    pub master_addr: Option<String>,
    /// Byte offset up to which the master's log is on disk.
    pub master_flush_offset: i64,
    /// The offset after the last message.
    pub max_offset: i64,
    pub transferred_byte_in_second: i64,
}

/// Java's `HARuntimeInfo.HAConnectionRuntimeInfo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HAConnectionRuntimeInfo {
    pub addr: String,
    pub diff: i64,
    pub in_sync: bool,
    pub slave_ack_offset: i64,
    pub transfer_from_where: i64,
    pub transferred_byte_in_second: i64,
}

/// A count and when it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    /// At most this many.
    pub count: i64,
    pub time_stamp: i64,
}

/// Java's `TimerMetrics.TimerMetricsSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimerMetricsSerializeWrapper {
    /// The version of the table.
    pub data_version: DataVersion,
    pub timing_count: BTreeMap<String, Metric>,
}

/// Java's `TransactionMetrics.TransactionMetricsSerializeWrapper`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TransactionMetricsSerializeWrapper {
    /// The version of the table.
    pub data_version: DataVersion,
    pub transaction_count: BTreeMap<String, Metric>,
}

/// Java's `CheckRocksdbCqWriteResult`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckRocksdbCqWriteResult {
    pub check_result: Option<String>,
    pub check_status: i32,
}
