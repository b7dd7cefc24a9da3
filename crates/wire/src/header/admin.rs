//! The rest of what operators ask a broker.

use crate::Header;

/// The request header of `CHECK_ROCKSDB_CQ_WRITE_PROGRESS`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CheckRocksdbCqWriteProgressRequestHeader {
    /// The topic.
    pub topic: String,
    /// Only entries stored after this are compared, in milliseconds since 1970.
    #[header(nullable)]
    pub check_store_time: i64,
}

/// The request header of `EXPORT_ROCKSDB_CONFIG_TO_JSON`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ExportRocksDBConfigToJsonRequestHeader {
    /// Which tables, joined by semicolons.
    pub config_type: String,
}

/// The response header of `GET_BROKER_CONFIG`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetBrokerConfigResponseHeader {
    /// The data version of the configuration, as JSON.
    pub version: String,
}

/// The request header of `VIEW_BROKER_STATS_DATA`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ViewBrokerStatsDataRequestHeader {
    /// The table of figures.
    pub stats_name: String,
    /// The row.
    pub stats_key: String,
}
