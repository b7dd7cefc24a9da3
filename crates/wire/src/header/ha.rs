//! Replication between brokers of one name.

use crate::Header;

/// The request header of `ADD_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct AddBrokerRequestHeader {
    /// The configuration file of the broker.
    pub config_path: Option<String>,
}

/// The request header of `EXCHANGE_BROKER_HA_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ExchangeHAInfoRequestHeader {
    /// The master's replication address.
    pub master_ha_address: Option<String>,
    /// Byte offset up to which the master's log is on disk.
    pub master_flush_offset: Option<i64>,
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
}

/// The response header of `EXCHANGE_BROKER_HA_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ExchangeHAInfoResponseHeader {
    /// The master's replication address.
    pub master_ha_address: Option<String>,
    /// Byte offset up to which the master's log is on disk.
    pub master_flush_offset: Option<i64>,
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
}

/// The request header of `NOTIFY_BROKER_ROLE_CHANGED`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct NotifyBrokerRoleChangedRequestHeader {
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
    /// The epoch in which this master was elected.
    pub master_epoch: Option<i32>,
    /// The epoch of the in-sync set.
    pub sync_state_set_epoch: Option<i32>,
    /// The master's broker id.
    pub master_broker_id: Option<i64>,
}

/// The request header of `REMOVE_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RemoveBrokerRequestHeader {
    /// The broker name.
    pub broker_name: String,
    /// The broker's cluster.
    pub broker_cluster_name: String,
    /// 0 is the master.
    #[header(boxed)]
    pub broker_id: i64,
}

/// The request header of `RESET_MASTER_FLUSH_OFFSET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ResetMasterFlushOffsetHeader {
    /// Byte offset up to which the master's log is on disk.
    #[header(boxed)]
    pub master_flush_offset: i64,
}
