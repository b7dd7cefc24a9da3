//! The broker's configuration at run time.

use std::sync::Arc;

use raptormq_base::properties;
use raptormq_remoting::{Answer, Refusal, Request};
use raptormq_runtime::StoreOptions;
use raptormq_store::Store;
use raptormq_wire::body::DataVersion;
use raptormq_wire::header::GetBrokerConfigResponseHeader;
use raptormq_wire::{ResponseCode, json};

use crate::assemble::store_config;
use crate::config::{LiveConfig, StoreSettings};
use crate::registration::Registration;
use crate::service::success;
use crate::tables::topics::TopicTable;

/// Keys that no update may touch. Java forbids the first three. The paths are added: whoever may set them decides
/// where the next start writes.
const FORBIDDEN: &[&str] = &[
    "brokerConfigPath",
    "rocketmqHome",
    "configBlackList",
    "storePathRootDir",
    "storePathCommitLog",
    "storePathDLedgerCommitLog",
    "storePathEpochFile",
    "storePathBrokerIdentity",
    "readOnlyCommitLogStorePaths",
    "authConfigPath",
    "messageStorePlugIn",
];

/// Reads and changes the configuration.
pub struct ConfigAdmin {
    /// Configuration.
    pub live: Arc<LiveConfig>,
    /// A new permission of the broker moves the version of its topics.
    pub topics: Arc<TopicTable>,
    /// And is registered at once.
    pub registration: Arc<Registration>,
    /// Keys of the store count at once, as far as that can be.
    pub store: Store,
    /// What `-D` options say of the store.
    pub store_options: StoreOptions,
}

impl ConfigAdmin {
    /// GET_BROKER_CONFIG.
    pub fn get(&self, _: &Request) -> Answer {
        let (text, counter) = self.live.text();
        let version = json::to_string(&DataVersion { counter, ..DataVersion::default() });
        Ok(success().with_header(&GetBrokerConfigResponseHeader { version }).with_body(text.into_bytes()))
    }

    /// UPDATE_BROKER_CONFIG.
    pub fn update(&self, request: &Request) -> Answer {
        let bytes = request.command.body.to_bytes();
        let entries = properties::parse_text(&String::from_utf8_lossy(&bytes));
        let black_list = self.live.broker().config_black_list.clone();
        let is_forbidden = |key: &str| FORBIDDEN.contains(&key) || black_list.split(';').any(|k| k == key);
        if entries.iter().any(|e| is_forbidden(&e.key)) {
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, "Can not update config in black list."));
        }
        for entry in &entries {
            tracing::info!(key = entry.key, value = entry.value, remote = %request.peer.remote(), "config update");
        }
        if let Err(error) = self.live.update(&entries) {
            tracing::error!(%error, "the conf file is not written");
        }
        if entries.iter().any(|e| StoreSettings::KEYS.contains(&e.key.as_str())) {
            let levels = self.store.config().delay_levels.clone();
            self.store.reconfigure(store_config(&self.live.store(), &self.store_options, levels));
        }
        if entries.iter().any(|e| e.key == "brokerPermission") {
            self.topics.touch();
        }
        // The advertised address, name and permission are read live: the name servers learn them at once.
        self.registration.register_soon();
        Ok(success())
    }
}
