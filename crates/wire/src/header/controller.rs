//! The controller.

use crate::Header;

/// The request header of `CONTROLLER_ALTER_SYNC_STATE_SET`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct AlterSyncStateSetRequestHeader {
    /// The broker name.
    pub broker_name: Option<String>,
    /// The master's broker id.
    pub master_broker_id: Option<i64>,
    /// The epoch in which this master was elected.
    pub master_epoch: Option<i32>,
    /// When the request was made, in milliseconds since 1970.
    #[header(nullable)]
    pub invoke_time: i64,
}

/// The response header of "alter sync state set".
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct AlterSyncStateSetResponseHeader {
    /// The epoch of the new in-sync set.
    #[header(nullable)]
    pub new_sync_state_set_epoch: i32,
}

/// The request header of `CONTROLLER_APPLY_BROKER_ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ApplyBrokerIdRequestHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
    /// The id the broker wants.
    pub applied_broker_id: Option<i64>,
    /// Proves that the same broker asks again.
    pub register_check_code: Option<String>,
}

/// The response header of `CONTROLLER_APPLY_BROKER_ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ApplyBrokerIdResponseHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
}

/// The request header of `CLEAN_BROKER_DATA`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct CleanControllerBrokerDataRequestHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: String,
    /// Broker ids joined by semicolons.
    pub broker_controller_ids_to_clean: Option<String>,
    /// True when living brokers are removed as well.
    #[header(nullable)]
    pub is_clean_living_broker: bool,
    /// When the request was made, in milliseconds since 1970.
    #[header(nullable)]
    pub invoke_time: i64,
}

/// The request header of `CONTROLLER_ELECT_MASTER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ElectMasterRequestHeader {
    /// The cluster name.
    pub cluster_name: String,
    /// The broker name.
    pub broker_name: String,
    /// 0 is the master.
    #[header(boxed, default = -1)]
    pub broker_id: i64,
    /// True when an operator names the new master.
    #[header(boxed, default = false)]
    pub designate_elect: bool,
    /// When the request was made, in milliseconds since 1970.
    pub invoke_time: Option<i64>,
}

/// The response header of `CONTROLLER_ELECT_MASTER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct ElectMasterResponseHeader {
    /// The master's broker id.
    pub master_broker_id: Option<i64>,
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
    /// The epoch in which this master was elected.
    pub master_epoch: Option<i32>,
    /// The epoch of the in-sync set.
    pub sync_state_set_epoch: Option<i32>,
}

/// The response header of `CONTROLLER_GET_METADATA_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetMetaDataResponseHeader {
    /// The consumer group.
    pub group: Option<String>,
    /// The leading controller.
    pub controller_leader_id: Option<String>,
    /// The address of the leading controller.
    pub controller_leader_address: Option<String>,
    /// True when the answering controller leads.
    #[header(nullable)]
    pub is_leader: bool,
    /// All controllers, joined by semicolons.
    pub peers: Option<String>,
}

/// The request header of `CONTROLLER_GET_NEXT_BROKER_ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetNextBrokerIdRequestHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
}

/// The response header of `CONTROLLER_GET_NEXT_BROKER_ID`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetNextBrokerIdResponseHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
    /// The id a new broker may take.
    pub next_broker_id: Option<i64>,
}

/// The request header of `CONTROLLER_GET_REPLICA_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetReplicaInfoRequestHeader {
    /// The broker name.
    pub broker_name: Option<String>,
}

/// The response header of `CONTROLLER_GET_REPLICA_INFO`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct GetReplicaInfoResponseHeader {
    /// The master's broker id.
    pub master_broker_id: Option<i64>,
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
    /// The epoch in which this master was elected.
    pub master_epoch: Option<i32>,
}

/// The request header of `CONTROLLER_REGISTER_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RegisterBrokerToControllerRequestHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
    /// 0 is the master.
    pub broker_id: Option<i64>,
    /// The broker's address, `IP:port`.
    pub broker_address: Option<String>,
    /// When the request was made, in milliseconds since 1970.
    #[header(nullable)]
    pub invoke_time: i64,
}

/// The response header of `CONTROLLER_REGISTER_BROKER`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Header)]
pub struct RegisterBrokerToControllerResponseHeader {
    /// The cluster name.
    pub cluster_name: Option<String>,
    /// The broker name.
    pub broker_name: Option<String>,
    /// The master's broker id.
    pub master_broker_id: Option<i64>,
    /// The master's address, `IP:port`.
    pub master_address: Option<String>,
    /// The epoch in which this master was elected.
    pub master_epoch: Option<i32>,
    /// The epoch of the in-sync set.
    pub sync_state_set_epoch: Option<i32>,
}
