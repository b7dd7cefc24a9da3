//! The name server's configuration: the keys it honours, and their change at run time.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use raptormq_base::config::{Config, Host};
use raptormq_base::{properties, settings};
use raptormq_runtime::{ConfError, load_config};

use crate::kv::replace_file;
use crate::registry::RegistryOptions;

/// The sections of a name server, in the order in which Java prints them.
pub const SECTIONS: &[&str] = &["NamesrvConfig", "NettyServerConfig", "NettyClientConfig"];

const DEFAULT_PORT: &str = "9876";

/// Keys that no request may change, besides those that `configBlackList` names.
const NEVER_BY_REQUEST: [&str; 4] = ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"];

settings! {
    /// What the name server does, by its own keys.
    pub struct Settings from "NamesrvConfig" {
        /// Requests other than route queries that may be unanswered at a time.
        default_capacity: i32 = "defaultThreadPoolQueueCapacity",
        /// Route queries that may be unanswered at a time.
        route_capacity: i32 = "clientRequestThreadPoolQueueCapacity",
        /// Names of further keys that no request may change, joined by semicolons.
        black_list: String = "configBlackList",
        /// The file that a change by request is written to.
        store_path: String = "configStorePath",
        /// Topics that a registration does not name are removed.
        delete_missing_topics: bool = "deleteTopicWithBrokerRegistration",
        /// Whether the list of all topics is given out.
        enable_all_topic_list: bool = "enableAllTopicList",
        /// Whether the other topic lists are given out.
        enable_topic_list: bool = "enableTopicList",
        /// The file of the key-value configuration.
        kv_path: String = "kvConfigPath",
        /// Routes are refused for a while after the start.
        need_wait: bool = "needWaitForService",
        /// Brokers are told when the lowest id among them changes.
        notify_min_broker_id: bool = "notifyMinBrokerIdChanged",
        /// Routes carry the order configuration of their topic.
        order_message: bool = "orderMessageEnable",
        /// Registrations are answered with the order configuration.
        return_order_config: bool = "returnOrderTopicConfigToBroker",
        /// Milliseconds between two looks for silent brokers.
        scan_interval_ms: i64 = "scanNotActiveBrokerInterval",
        /// A slave may stand in for a lost master.
        support_acting_master: bool = "supportActingMaster",
        /// Unregistrations that may wait at a time.
        unregister_capacity: i32 = "unRegisterBrokerQueueCapacity",
        /// Seconds for which routes are refused with `needWaitForService`.
        wait_seconds: i32 = "waitSecondsForService",
    }
}

settings! {
    /// The listener.
    pub struct ServerSettings from "NettyServerConfig" {
        /// The address to listen on.
        bind_address: String = "bindAddress",
        /// The port to listen on; 0 lets the system choose.
        listen_port: i32 = "listenPort",
        /// Seconds after which an idle connection is closed.
        idle_seconds: i32 = "serverChannelMaxIdleTimeSeconds",
    }
}

settings! {
    /// Calls to brokers.
    pub struct ClientSettings from "NettyClientConfig" {
        /// Milliseconds to connect.
        connect_timeout_ms: i32 = "connectTimeoutMillis",
    }
}

impl Settings {
    /// What the registry needs to know of them.
    pub fn registry(&self) -> RegistryOptions {
        RegistryOptions {
            delete_missing_topics: self.delete_missing_topics,
            notify_min_broker_id: self.notify_min_broker_id,
            support_acting_master: self.support_acting_master,
        }
    }
}

/// The defaults on `host`, overlaid with the conf file. With a file, changes by request are written back to it.
pub fn load(host: &Host, file: Option<&Path>, strict: bool) -> Result<Config, ConfError> {
    // rocketmqHome matters to the start only.
    let honoured = [Settings::KEYS, ServerSettings::KEYS, ClientSettings::KEYS, &["rocketmqHome"]];
    let mut config = Config::new(SECTIONS, host);
    config.set_in("NettyServerConfig", "listenPort", DEFAULT_PORT);
    load_config(&mut config, file, &honoured, strict)?;
    if let Some(file) = file {
        config.set_in("NamesrvConfig", "configStorePath", file.display().to_string());
    }
    Ok(config)
}

/// A change by request that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlackListed;

/// The configuration of a running name server.
pub struct LiveConfig {
    config: Mutex<Config>,
    settings: RwLock<Arc<Settings>>,
    black_list: BTreeSet<String>,
    store_path: PathBuf,
}

impl LiveConfig {
    /// Starts with `config`. The black list and the file stay what they are now, as in Java.
    pub fn new(config: Config) -> Self {
        let settings = Settings::from_config(&config);
        let black_list = settings.black_list.split(';').chain(NEVER_BY_REQUEST).map(str::to_owned).collect();
        let store_path = PathBuf::from(&settings.store_path);
        Self { config: Mutex::new(config), settings: RwLock::new(Arc::new(settings)), black_list, store_path }
    }

    /// The settings of this moment.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// All keys as `key=value` lines in alphabetical order (`GET_NAMESRV_CONFIG`).
    pub fn text(&self) -> String {
        lines(&self.config.lock(), str::to_owned)
    }

    /// Takes the keys of a properties text (`UPDATE_NAMESRV_CONFIG`), all or, if one of them is black-listed, none,
    /// and writes the whole configuration to its file. A write that fails is logged, as in Java.
    pub fn update(&self, text: &str) -> Result<(), BlackListed> {
        let entries = properties::parse_text(text);
        if entries.iter().any(|entry| self.black_list.contains(&entry.key)) {
            return Err(BlackListed);
        }
        let mut config = self.config.lock();
        config.update(&entries);
        *self.settings.write() = Arc::new(Settings::from_config(&config));
        let text = lines(&config, properties::escape_value);
        if let Err(error) = replace_file(&self.store_path, text.as_bytes()) {
            tracing::error!(path = %self.store_path.display(), %error, "the configuration was not written");
        }
        Ok(())
    }
}

/// What Java's `Configuration` holds of a name server: its own keys, the listener's, and unknown ones of the file, but
/// not the outbound side's.
fn lines(config: &Config, value_text: impl Fn(&str) -> String) -> String {
    let own = |key: &str| SECTIONS[..2].iter().find_map(|section| config.get(section, key));
    let mut text = String::new();
    for (key, value) in config.all() {
        let foreign = config.get(SECTIONS[2], key).is_some();
        if let Some(value) = own(key).or((!foreign).then_some(value)) {
            text.push_str(&format!("{key}={}\n", value_text(value)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(home: &Path) -> Host {
        Host {
            user_home: home.display().to_string(),
            rocketmq_home: Some("/rmq".into()),
            namesrv_addr: None,
            hostname: "box".into(),
            local_address: "10.0.0.1".into(),
            cpus: 2,
        }
    }

    #[test]
    fn a_conf_file_is_read_and_written_back_with_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ns.conf");
        std::fs::write(&file, "listenPort=0\nownKey=kept\nconfigBlackList=wait;orderMessageEnable\n")
            .unwrap();
        let live = LiveConfig::new(load(&host(dir.path()), Some(&file), false).unwrap());
        assert_eq!(live.update("kvConfigPath=/x"), Err(BlackListed));
        assert_eq!(live.update("enableTopicList=false\norderMessageEnable=true"), Err(BlackListed));
        assert!(live.settings().enable_topic_list);
        assert_eq!(live.update("enableTopicList=false\nnoSuchKey=1"), Ok(()));
        assert!(!live.settings().enable_topic_list);
        let written = std::fs::read_to_string(&file).unwrap();
        for line in ["enableTopicList=false", "listenPort=0", "ownKey=kept", "supportActingMaster=false"] {
            assert!(written.lines().any(|l| l == line), "{line} in {written}");
        }
        assert!(!written.contains("noSuchKey") && !written.contains("connectTimeoutMillis"), "{written}");
        assert_eq!(live.text(), written);
        assert!(dir.path().join("ns.conf.bak").exists());
    }

    #[test]
    fn without_a_file_the_port_is_9876() {
        let dir = tempfile::tempdir().unwrap();
        let config = load(&host(dir.path()), None, false).unwrap();
        assert_eq!(ServerSettings::from_config(&config).listen_port, 9876);
        let settings = Settings::from_config(&config);
        assert_eq!(settings.kv_path, format!("{}/namesrv/kvConfig.json", dir.path().display()));
    }
}
