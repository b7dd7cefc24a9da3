//! The broker's configuration: typed snapshots of the keys it honours, the combinations it refuses, and live updates.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use raptormq_base::config::{Config, Host};
use raptormq_base::properties::Entry;
use raptormq_base::settings;
use raptormq_runtime::StoreOptions;

/// The sections of a broker's conf file, in the order in which Java prints them.
pub const SECTIONS: &[&str] =
    &["BrokerConfig", "NettyServerConfig", "NettyClientConfig", "MessageStoreConfig", "AuthConfig"];

settings! {
    /// The honoured keys of `BrokerConfig`.
    pub struct BrokerSettings from "BrokerConfig" {
        /// Cluster to which the broker belongs.
        broker_cluster_name: String = "brokerClusterName",
        /// Name shared by a master and its slaves.
        broker_name: String = "brokerName",
        /// 0 for the master.
        broker_id: i64 = "brokerId",
        /// Address that is told to clients.
        broker_ip1: String = "brokerIP1",
        /// Address that is told to slaves.
        broker_ip2: String = "brokerIP2",
        /// Port that is told to clients.
        listen_port: i32 = "listenPort",
        /// Name servers, `;` between them.
        namesrv_addr: Option<String> = "namesrvAddr",
        /// `ROCKETMQ_HOME`.
        rocketmq_home: Option<String> = "rocketmqHome",
        /// Permission bits of the whole broker.
        broker_permission: i32 = "brokerPermission",
        /// Queues of a topic that a send creates, at most.
        default_topic_queue_nums: i32 = "defaultTopicQueueNums",
        /// Whether a send may create its topic.
        auto_create_topic_enable: bool = "autoCreateTopicEnable",
        /// Whether a consumer may create its group.
        auto_create_subscription_group: bool = "autoCreateSubscriptionGroup",
        /// Whether system groups are created in any case.
        enable_create_sys_group: bool = "enableCreateSysGroup",
        /// Whether topics may be derived from the cluster's name.
        cluster_topic_enable: bool = "clusterTopicEnable",
        /// Whether topics may be derived from the broker's name.
        broker_topic_enable: bool = "brokerTopicEnable",
        /// Whether the trace topic exists from the start.
        trace_topic_enable: bool = "traceTopicEnable",
        /// Name of the trace topic.
        msg_trace_topic_name: String = "msgTraceTopicName",
        /// Queues of the revive topic.
        revive_queue_num: i32 = "reviveQueueNum",
        /// Whether pulls are held until a message comes.
        long_polling_enable: bool = "longPollingEnable",
        /// How long they are held otherwise, ms.
        short_polling_time_mills: i64 = "shortPollingTimeMills",
        /// Whether LITE_PULL_MESSAGE is answered.
        lite_pull_message_enable: bool = "litePullMessageEnable",
        /// Whether pulls are answered with the replica that their group prefers; otherwise it is always the master.
        slave_read_enable: bool = "slaveReadEnable",
        /// Whether replies to requests are stored besides being pushed.
        store_reply_message_enable: bool = "storeReplyMessageEnable",
        /// Whether offsets are reset on the broker; otherwise online consumers are told to.
        use_server_side_reset_offset: bool = "useServerSideResetOffset",
        /// Whether consumers are told when the members of their group change.
        notify_consumer_ids_changed_enable: bool = "notifyConsumerIdsChangedEnable",
        /// Whether they are told at once; otherwise every 15 s.
        real_time_notify_consumer_change: bool = "realTimeNotifyConsumerChange",
        /// Whether QUERY_ASSIGNMENT shares the queues out; otherwise every client gets all.
        server_load_balancer_enable: bool = "serverLoadBalancerEnable",
        /// How a group gets a topic's messages where no mode was set: PULL. POP is refused.
        default_message_request_mode: String = "defaultMessageRequestMode",
        /// Clients that share a queue when they pop; without effect as long as POP is refused.
        default_pop_share_queue_num: i32 = "defaultPopShareQueueNum",
        /// Period at which the routes of balanced topics are asked for again, ms.
        load_balance_poll_name_server_interval: i64 = "loadBalancePollNameServerInterval",
        /// Period of registration, ms.
        register_name_server_period: i32 = "registerNameServerPeriod",
        /// Timeout of a registration, ms.
        register_broker_timeout_mills: i32 = "registerBrokerTimeoutMills",
        /// Period of persisting consumer offsets, ms.
        flush_consumer_offset_interval: i32 = "flushConsumerOffsetInterval",
        /// Commits after which the offset table's version moves.
        consumer_offset_update_version_step: i64 = "consumerOffsetUpdateVersionStep",
        /// Deliveries after which the delay offset table's version moves.
        delay_offset_update_version_step: i64 = "delayOffsetUpdateVersionStep",
        /// Region, told in each send answer and stored with each message.
        region_id: String = "regionId",
        /// Whether clients should trace, told likewise.
        trace_on: bool = "traceOn",
        /// A client without a heartbeat for this long is dropped, ms.
        channel_expired_timeout: i64 = "channelExpiredTimeout",
        /// A pull consumer's subscription is remembered this long, ms.
        subscription_expired_timeout: i64 = "subscriptionExpiredTimeout",
        /// Whether consumers that pull by themselves are rejected.
        reject_pull_consumer_enable: bool = "rejectPullConsumerEnable",
        /// Sends are refused before this time, ms since the epoch.
        start_accept_send_request_time_stamp: i64 = "startAcceptSendRequestTimeStamp",
        /// Whether the names of system topics are protected from updates.
        validate_system_topic_when_update_topic: bool = "validateSystemTopicWhenUpdateTopic",
        /// Keys that an update may not touch.
        config_black_list: String = "configBlackList",
        /// Whether consumers may filter by SQL92.
        enable_property_filter: bool = "enablePropertyFilter",
        /// Whether a SQL92 filter of a retry topic is that of the topic a message comes from.
        filter_support_retry: bool = "filterSupportRetry",
        /// Whether bit maps of SQL92 filters are made for messages; they need `enableConsumeQueueExt`.
        enable_calc_filter_bit_map: bool = "enableCalcFilterBitMap",
        /// Consumers that filters are made for: more of them mean more false hits.
        expect_consumer_num_use_filter: i32 = "expectConsumerNumUseFilter",
        /// How many messages in a hundred a bit map may let through that the filter then refuses.
        max_error_rate_of_bloom_filter: i32 = "maxErrorRateOfBloomFilter",
        /// The filter of a consumer that has gone is kept this long, ms.
        filter_data_clean_time_span: i64 = "filterDataCleanTimeSpan",
        /// Whether messages of transactions are refused.
        reject_transaction_message: bool = "rejectTransactionMessage",
        /// A half message is not checked before this age, ms.
        transaction_time_out: i64 = "transactionTimeOut",
        /// How often a producer is asked about a half message at most; then it goes to TRANS_CHECK_MAX_TIME_TOPIC.
        transaction_check_max: i32 = "transactionCheckMax",
        /// Pause between two checks, ms.
        transaction_check_interval: i64 = "transactionCheckInterval",
        /// Bound of unanswered ends of transactions.
        end_transaction_pool_queue_capacity: i32 = "endTransactionPoolQueueCapacity",
        /// Bound of unanswered sends.
        send_thread_pool_queue_capacity: i32 = "sendThreadPoolQueueCapacity",
        /// Bound of unanswered replies.
        reply_thread_pool_queue_capacity: i32 = "replyThreadPoolQueueCapacity",
        /// Bound of unanswered assignments.
        load_balance_thread_pool_queue_capacity: i32 = "loadBalanceThreadPoolQueueCapacity",
        /// Bound of unanswered pulls.
        pull_thread_pool_queue_capacity: i32 = "pullThreadPoolQueueCapacity",
        /// Bound of unanswered queries.
        query_thread_pool_queue_capacity: i32 = "queryThreadPoolQueueCapacity",
        /// Bound of unanswered client requests.
        client_manager_thread_pool_queue_capacity: i32 = "clientManagerThreadPoolQueueCapacity",
        /// Bound of unanswered consumer requests.
        consumer_manager_thread_pool_queue_capacity: i32 = "consumerManagerThreadPoolQueueCapacity",
        /// Bound of unanswered heartbeats.
        heartbeat_thread_pool_queue_capacity: i32 = "heartbeatThreadPoolQueueCapacity",
        /// Bound of unanswered administration requests.
        admin_broker_thread_pool_queue_capacity: i32 = "adminBrokerThreadPoolQueueCapacity",
        /// Refused when `v2`: topics, groups and offsets are in RocksDB then.
        config_manager_version: String = "configManagerVersion",
        /// Refused when true: controller mode is not there yet.
        enable_controller_mode: bool = "enableControllerMode",
        /// Refused when true: ACL would not be enforced.
        acl_enable: bool = "aclEnable",
        /// Refused when true: acting masters need slaves.
        enable_slave_acting_master: bool = "enableSlaveActingMaster",
    }
}

settings! {
    /// The honoured keys of `MessageStoreConfig`.
    pub struct StoreSettings from "MessageStoreConfig" {
        /// Directory of the store.
        store_path_root_dir: String = "storePathRootDir",
        /// Directory of the commit log, if not `<root>/commitlog`; several with commas between them take turns.
        store_path_commit_log: Option<String> = "storePathCommitLog",
        /// Directories with commit log files that are read, but where none is made.
        read_only_commit_log_store_paths: Option<String> = "readOnlyCommitLogStorePaths",
        /// Size of a commit log file, bytes.
        mapped_file_size_commit_log: i32 = "mappedFileSizeCommitLog",
        /// Size of a consume queue file, bytes; rounded up to whole units.
        mapped_file_size_consume_queue: i32 = "mappedFileSizeConsumeQueue",
        /// Size of a file of a batch consume queue, bytes; a multiple of 46.
        mapper_file_size_batch_consume_queue: i32 = "mapperFileSizeBatchConsumeQueue",
        /// Whether units of consume queues have extensions: store times, and bit maps of filters (`enableCalcFilterBitMap`).
        enable_consume_queue_ext: bool = "enableConsumeQueueExt",
        /// Size of a file of extensions, bytes.
        mapped_file_size_consume_queue_ext: i32 = "mappedFileSizeConsumeQueueExt",
        /// ASYNC_FLUSH or SYNC_FLUSH.
        flush_disk_type: String = "flushDiskType",
        /// Period of the asynchronous flush, ms.
        flush_interval_commit_log: i32 = "flushIntervalCommitLog",
        /// Dirty pages below which it does nothing.
        flush_commit_log_least_pages: i32 = "flushCommitLogLeastPages",
        /// Period after which it flushes whatever there is, ms.
        flush_commit_log_thorough_interval: i32 = "flushCommitLogThoroughInterval",
        /// Period of the consume queue flush, ms.
        flush_interval_consume_queue: i32 = "flushIntervalConsumeQueue",
        /// Period after which it flushes whatever there is, ms.
        flush_consume_queue_thorough_interval: i32 = "flushConsumeQueueThoroughInterval",
        /// How long a send waits for the flush, ms.
        sync_flush_timeout: i32 = "syncFlushTimeout",
        /// How long an append may take before further messages are refused, ms.
        os_page_cache_busy_time_out_mills: i64 = "osPageCacheBusyTimeOutMills",
        /// Largest message body, bytes.
        max_message_size: i32 = "maxMessageSize",
        /// Whether keys are indexed.
        message_index_enable: bool = "messageIndexEnable",
        /// Whether recovery starts early enough for the index to be complete.
        message_index_safe: bool = "messageIndexSafe",
        /// Hash slots of an index file.
        max_hash_slot_num: i32 = "maxHashSlotNum",
        /// Entries of an index file.
        max_index_num: i32 = "maxIndexNum",
        /// Delay levels.
        message_delay_level: String = "messageDelayLevel",
        /// Period of persisting the delay offsets, ms.
        flush_delay_offset_interval: i64 = "flushDelayOffsetInterval",
        /// Hours that a commit log file is kept.
        file_reserved_time: i32 = "fileReservedTime",
        /// Hours of the day at which expired files are deleted.
        delete_when: String = "deleteWhen",
        /// Disk use in percent above which expired files are deleted at any hour.
        disk_max_used_space_ratio: i32 = "diskMaxUsedSpaceRatio",
        /// Disk use in percent above which files are deleted whatever their age; kept between 30 and 85.
        /// `-Drocketmq.broker.diskSpaceCleanForciblyRatio` (a fraction) wins.
        disk_space_clean_forcibly_ratio: i32 = "diskSpaceCleanForciblyRatio",
        /// Whether that happens at all.
        clean_file_forcibly_enable: bool = "cleanFileForciblyEnable",
        /// Disk use in percent above which sends are refused; kept between 35 and 90.
        /// `-Drocketmq.broker.diskSpaceWarningLevelRatio` (a fraction) wins.
        disk_space_warning_level_ratio: i32 = "diskSpaceWarningLevelRatio",
        /// Commit log files that one run deletes at most.
        delete_file_batch_max: i32 = "deleteFileBatchMax",
        /// Pause between two of them, ms.
        delete_commit_log_files_interval: i32 = "deleteCommitLogFilesInterval",
        /// Period of the runs, ms.
        clean_resource_interval: i32 = "cleanResourceInterval",
        /// Whether bodies are checked on recovery.
        check_crc_on_recover: bool = "checkCRCOnRecover",
        /// Whether records end with a checksum of everything before it.
        enabled_append_prop_crc: bool = "enabledAppendPropCRC",
        /// Whether recovery checks that checksum in place of the body's.
        force_verify_prop_crc: bool = "forceVerifyPropCRC",
        /// Whether consumers see messages that a synchronous flush has not confirmed yet.
        read_un_committed: bool = "readUnCommitted",
        /// Share of the memory, in percent, within which the log counts as cached.
        access_message_in_memory_max_ratio: i32 = "accessMessageInMemoryMaxRatio",
        /// Bytes of one pull from memory.
        max_transfer_bytes_on_message_in_memory: i32 = "maxTransferBytesOnMessageInMemory",
        /// Messages of one pull from memory.
        max_transfer_count_on_message_in_memory: i32 = "maxTransferCountOnMessageInMemory",
        /// Bytes of one pull from disk.
        max_transfer_bytes_on_message_in_disk: i32 = "maxTransferBytesOnMessageInDisk",
        /// Messages of one pull from disk.
        max_transfer_count_on_message_in_disk: i32 = "maxTransferCountOnMessageInDisk",
        /// How far one pull may skip messages that its filter refuses, bytes of queue units.
        max_filter_message_size: i32 = "maxFilterMessageSize",
        /// How many queue files one pull may walk without a match.
        travel_cq_file_num_when_get_message: i32 = "travelCqFileNumWhenGetMessage",
        /// Messages that a key query returns at most.
        max_msgs_num_batch: i32 = "maxMsgsNumBatch",
        /// Whether the topic of timer messages exists (timer messages themselves are refused).
        timer_wheel_enable: bool = "timerWheelEnable",
        /// Role of the broker.
        broker_role: String = "brokerRole",
        /// Refused above 1 for a synchronous master: there are no slaves yet.
        in_sync_replicas: i32 = "inSyncReplicas",
        /// Port for slaves, told to the name server.
        ha_listen_port: i32 = "haListenPort",
        /// Refused when true.
        enable_d_leger_commit_log: bool = "enableDLegerCommitLog",
        /// Refused when `defaultRocksDB`; anything else means files.
        store_type: String = "storeType",
        /// Refused when true: the queues in RocksDB would not be written.
        rocksdb_cq_double_write_enable: bool = "rocksdbCQDoubleWriteEnable",
        /// Whether topics and groups named `%LMQ%…` need not exist, and consumer offsets are in lmqConsumerOffset.json.
        enable_lmq: bool = "enableLmq",
        /// Whether messages are also put into the queues that their property `INNER_MULTI_DISPATCH` names.
        enable_multi_dispatch: bool = "enableMultiDispatch",
        /// Whether intact records behind a damaged one are moved to `cutoff/` at the start, which is refused otherwise; not a
        /// key of Java's.
        move_records_behind_damage: bool = "moveRecordsBehindDamage",
    }
}

settings! {
    /// The honoured keys of `NettyServerConfig`.
    pub struct ServerSettings from "NettyServerConfig" {
        /// Main port; the fast port is two below.
        listen_port: i32 = "listenPort",
        /// Address to listen on.
        bind_address: String = "bindAddress",
        /// Seconds without traffic after which a connection is closed.
        server_channel_max_idle_time_seconds: i32 = "serverChannelMaxIdleTimeSeconds",
    }
}

settings! {
    /// The honoured keys of `AuthConfig`: those that would open the server if they were ignored.
    pub struct AuthSettings from "AuthConfig" {
        /// Refused when true until it is enforced.
        authentication_enabled: bool = "authenticationEnabled",
        /// Refused when true until it is enforced.
        authorization_enabled: bool = "authorizationEnabled",
    }
}

/// The keys that any part of the broker honours.
pub const HONOURED: &[&[&str]] =
    &[BrokerSettings::KEYS, StoreSettings::KEYS, ServerSettings::KEYS, AuthSettings::KEYS];

/// Why a configuration is refused, with the exit code of Java's start-up where Java refuses it too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ConfigRefused {
    /// What is printed.
    pub text: String,
    /// Exit code of the process.
    pub exit_code: i32,
}

impl ConfigRefused {
    fn new(exit_code: i32, text: impl Into<String>) -> Self {
        Self { text: text.into(), exit_code }
    }
}

/// The configuration with which a broker starts, checked.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// All values.
    pub config: Config,
    /// Where updates are written; `None` without `-c`.
    pub file: Option<PathBuf>,
    /// Broker keys.
    pub broker: BrokerSettings,
    /// Store keys.
    pub store: StoreSettings,
    /// Server keys.
    pub server: ServerSettings,
    /// Largest frame, bytes with its length field; no key, but `-Dcom.rocketmq.remoting.frameMaxLength`.
    pub frame_max: usize,
    /// What `-D` options say of the store.
    pub store_options: StoreOptions,
}

impl Resolved {
    /// Defaults on `host`, as `BrokerStartup` prepares them before the conf file is read.
    pub fn defaults(host: &Host) -> Config {
        let mut config = Config::new(SECTIONS, host);
        config.set_in("NettyServerConfig", "listenPort", "10911");
        config.set_in("MessageStoreConfig", "haListenPort", "0");
        config
    }

    /// Checks combinations and fills what follows from other keys (`BrokerStartup.buildBrokerController`).
    ///
    /// # Errors
    /// [`ConfigRefused`] for what Java refuses, and for what would break a promise if it were ignored.
    pub fn resolve(mut config: Config, file: Option<PathBuf>) -> Result<Self, ConfigRefused> {
        let server = ServerSettings::from_config(&config);
        config.set_in("BrokerConfig", "listenPort", server.listen_port.to_string());
        let store = StoreSettings::from_config(&config);
        if store.ha_listen_port <= 0 {
            config.set_in("MessageStoreConfig", "haListenPort", (server.listen_port + 1).to_string());
        }
        if let Some(file) = &file {
            config.set_in("BrokerConfig", "brokerConfigPath", file.display().to_string());
        }
        let broker = BrokerSettings::from_config(&config);
        if broker.enable_controller_mode && store.enable_d_leger_commit_log {
            let text = "The config enableControllerMode and enableDLegerCommitLog cannot both be true.";
            return Err(ConfigRefused::new(252, text));
        }
        check_namesrv_addr(broker.namesrv_addr.as_deref())?;
        if store.broker_role == "SLAVE" && broker.broker_id <= 0 {
            return Err(ConfigRefused::new(253, "Slave's brokerId must be > 0"));
        }
        refuse_unsupported(&config, &broker, &store)?;
        config.set_in("BrokerConfig", "brokerId", "0");
        let broker = BrokerSettings::from_config(&config);
        store_host(&broker)?;
        if !(1..=65_533).contains(&server.listen_port) || server.listen_port < 3 {
            return Err(ConfigRefused::new(
                253,
                format!("listenPort={} is not a usable port", server.listen_port),
            ));
        }
        let store = StoreSettings::from_config(&config);
        let frame_max = raptormq_runtime::frame_max().map_err(|text| ConfigRefused::new(253, text))?;
        let store_options = raptormq_runtime::store_options();
        Ok(Self { config, file, broker, store, server, frame_max, store_options })
    }
}

fn check_namesrv_addr(addresses: Option<&str>) -> Result<(), ConfigRefused> {
    let Some(addresses) = addresses.filter(|a| !a.trim().is_empty()) else { return Ok(()) };
    let legal = |address: &str| {
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    if addresses.split(';').filter(|a| !a.is_empty()).all(legal) {
        return Ok(());
    }
    let text = format!(
        "The Name Server Address[{addresses}] illegal, please set it as follows, \"127.0.0.1:9876;192.168.0.1:9876\""
    );
    Err(ConfigRefused::new(253, text))
}

fn refuse_unsupported(
    config: &Config,
    broker: &BrokerSettings,
    store: &StoreSettings,
) -> Result<(), ConfigRefused> {
    let auth = AuthSettings::from_config(config);
    let rows = [
        (
            auth.authentication_enabled,
            "authenticationEnabled=true is not enforced yet; starting would leave the broker open",
        ),
        (
            auth.authorization_enabled,
            "authorizationEnabled=true is not enforced yet; starting would leave the broker open",
        ),
        (broker.acl_enable, "aclEnable=true is not enforced; starting would leave the broker open"),
        (broker.enable_controller_mode, "enableControllerMode=true is not supported yet"),
        (broker.enable_slave_acting_master, "enableSlaveActingMaster=true is not supported yet"),
        (
            store.enable_d_leger_commit_log,
            "enableDLegerCommitLog=true is not supported: its log has another format",
        ),
        (store.broker_role == "SLAVE", "brokerRole=SLAVE is not supported yet"),
        (
            store.broker_role == "SYNC_MASTER" && store.in_sync_replicas > 1,
            "brokerRole=SYNC_MASTER with inSyncReplicas above 1 is not supported yet: no slave could acknowledge",
        ),
    ];
    match rows.iter().find(|(refused, _)| *refused) {
        Some((_, text)) => Err(ConfigRefused::new(253, *text)),
        None => crate::rocksdb::refuse_keys(broker, store),
    }
}

/// The address that is stored with each message and told to clients.
///
/// # Errors
/// When `brokerIP1` is not an IP address: message ids could not be built from it.
pub fn store_host(broker: &BrokerSettings) -> Result<SocketAddr, ConfigRefused> {
    let text = broker.broker_ip1.trim_start_matches('[').trim_end_matches(']');
    let ip = match text.parse::<IpAddr>() {
        Ok(ip) => ip,
        // Java resolves a host name here; so do we, once.
        Err(_) => std::net::ToSocketAddrs::to_socket_addrs(&(text, 0))
            .ok()
            .and_then(|mut found| found.next())
            .map(|address| address.ip())
            .ok_or_else(|| ConfigRefused::new(253, format!("brokerIP1={text} is no address of this host")))?,
    };
    Ok(SocketAddr::new(ip, u16::try_from(broker.listen_port).unwrap_or(0)))
}

/// Milliseconds of each delay level (`1s 5s 10s …`), level 1 first.
///
/// # Errors
/// The text that cannot be read; Java stops the start then (`ScheduleMessageService.parseDelayLevel`).
pub fn parse_delay_levels(text: &str) -> Result<Vec<i64>, ConfigRefused> {
    let parse = |level: &str| {
        let unit = match level.chars().next_back()? {
            's' => 1000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            _ => return None,
        };
        level[..level.len() - 1].parse::<i64>().ok()?.checked_mul(unit)
    };
    // Java drops empty strings at the end of a split, and trips over those before.
    text.trim_end_matches(' ')
        .split(' ')
        .map(|level| {
            parse(level)
                .ok_or_else(|| ConfigRefused::new(253, format!("messageDelayLevel={text} cannot be parsed")))
        })
        .collect()
}

/// The configuration of a running broker: read through snapshots, updated by administrators.
pub struct LiveConfig {
    file: Option<PathBuf>,
    config: Mutex<Config>,
    broker: RwLock<Arc<BrokerSettings>>,
    version: Mutex<i64>,
    /// Held from a change until it is in the file, so that an older text never replaces a newer one.
    writing: Mutex<()>,
}

impl LiveConfig {
    /// The configuration with which the broker starts.
    pub fn new(resolved: &Resolved) -> Self {
        Self {
            file: resolved.file.clone(),
            config: Mutex::new(resolved.config.clone()),
            broker: RwLock::new(Arc::new(resolved.broker.clone())),
            version: Mutex::new(0),
            writing: Mutex::new(()),
        }
    }

    /// The current broker keys. Take them once per request.
    pub fn broker(&self) -> Arc<BrokerSettings> {
        self.broker.read().clone()
    }

    /// The store's keys as they are now.
    pub fn store(&self) -> StoreSettings {
        StoreSettings::from_config(&self.config.lock())
    }

    /// Every key with a value as `key=value` lines, and the version of the configuration.
    pub fn text(&self) -> (String, i64) {
        let config = self.config.lock();
        let mut text = String::new();
        for (key, value) in config.all() {
            text.push_str(key);
            text.push('=');
            text.push_str(value);
            text.push('\n');
        }
        (text, *self.version.lock())
    }

    /// The value of a key as Java would return it.
    pub fn get(&self, section: &str, key: &str) -> Option<String> {
        self.config.lock().get(section, key).map(str::to_owned)
    }

    /// Changes existing keys and writes the conf file, if there is one.
    ///
    /// # Errors
    /// The I/O error of the conf file; the values are changed in memory then.
    pub fn update(&self, entries: &[Entry]) -> std::io::Result<()> {
        let _one_at_a_time = self.writing.lock();
        let text = {
            let mut config = self.config.lock();
            config.update(entries);
            *self.broker.write() = Arc::new(BrokerSettings::from_config(&config));
            *self.version.lock() += 1;
            let escaped =
                |(k, v): (&str, &str)| format!("{k}={}\n", raptormq_base::properties::escape_value(v));
            config.all().into_iter().map(escaped).collect::<String>()
        };
        match &self.file {
            Some(file) => crate::tables::persist::save_text(file, &text),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::properties;

    fn host() -> Host {
        Host {
            user_home: "/home/u".into(),
            rocketmq_home: None,
            namesrv_addr: None,
            hostname: "box".into(),
            local_address: "10.0.0.1".into(),
            cpus: 2,
        }
    }

    fn resolve(text: &str) -> Result<Resolved, ConfigRefused> {
        let mut config = Resolved::defaults(&host());
        config.load(&properties::parse(text.as_bytes()));
        Resolved::resolve(config, None)
    }

    #[test]
    fn ports_and_addresses_follow_from_each_other_as_in_java() {
        let resolved = resolve("listenPort=20911\nbrokerId=3").unwrap();
        assert_eq!(resolved.broker.listen_port, 20911);
        assert_eq!(resolved.store.ha_listen_port, 20912);
        assert_eq!(resolved.broker.broker_id, 0, "a master's id is 0 whatever the file says");
        assert_eq!(store_host(&resolved.broker).unwrap(), "10.0.0.1:20911".parse().unwrap());
        assert_eq!(resolve("").unwrap().server.listen_port, 10911);
    }

    #[test]
    fn what_would_open_the_server_or_break_a_promise_is_refused() {
        for (text, exit_code) in [
            ("authenticationEnabled=true", 253),
            ("authorizationEnabled=true", 253),
            ("aclEnable=true", 253),
            ("brokerRole=SLAVE\nbrokerId=1", 253),
            ("brokerRole=SLAVE", 253),
            ("brokerRole=SYNC_MASTER\ninSyncReplicas=2", 253),
            ("enableControllerMode=true", 253),
            ("enableControllerMode=true\nenableDLegerCommitLog=true", 252),
            ("storeType=defaultRocksDB", 253),
            ("storeType=DEFAULTROCKSDB", 253),
            ("configManagerVersion=v2", 253),
            ("rocksdbCQDoubleWriteEnable=true", 253),
            ("namesrvAddr=nonsense", 253),
            ("brokerIP1=no such host", 253),
        ] {
            assert_eq!(resolve(text).map(|_| ()).unwrap_err().exit_code, exit_code, "{text}");
        }
        assert!(resolve("brokerRole=SYNC_MASTER\nnamesrvAddr=127.0.0.1:9876;127.0.0.2:9876").is_ok());
    }

    #[test]
    fn delay_levels_have_units() {
        assert_eq!(parse_delay_levels("1s 2m 3h 4d").unwrap(), [1000, 120_000, 10_800_000, 345_600_000]);
        assert_eq!(parse_delay_levels("+1s 2s  ").unwrap(), [1000, 2000]);
        for text in ["1s 2x", "1s  2s", " 1s", "s", "1.5s", "1S", "99999999999999999d", "1\u{661}s", " "] {
            assert!(parse_delay_levels(text).is_err(), "{text:?}");
        }
        assert!(parse_delay_levels("").is_err());
    }

    #[test]
    fn an_update_changes_existing_keys_and_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("broker.conf");
        std::fs::write(&file, "listenPort=20911\nownKey=1\n").unwrap();
        let mut config = Resolved::defaults(&host());
        config.load(&properties::parse(&std::fs::read(&file).unwrap()));
        let live = LiveConfig::new(&Resolved::resolve(config, Some(file.clone())).unwrap());
        live.update(&properties::parse_text("brokerPermission=4\nnoSuchKey=2\nbrokerName=b")).unwrap();
        assert_eq!((live.broker().broker_permission, live.broker().broker_name.as_str()), (4, "b"));
        let written = String::from_utf8(std::fs::read(&file).unwrap()).unwrap();
        assert!(written.contains("brokerPermission=4\n") && written.contains("ownKey=1\n"), "{written}");
        assert!(!written.contains("noSuchKey"));
        let again = properties::parse(written.as_bytes());
        assert!(again.iter().any(|e| e.key == "listenPort" && e.value == "20911"));
    }
}
