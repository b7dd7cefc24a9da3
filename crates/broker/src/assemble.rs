//! The composition root, and the order of start and stop.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use chrono::{DateTime, Datelike as _, Local};
use raptormq_base::clock::{Clock, SystemClock};
use raptormq_filter::BloomFilter;
use raptormq_message::UniqueIds;
use raptormq_remoting::{Client, Limits, OnClose, RouteTable, Row, Server};
use raptormq_runtime::StoreOptions;
use raptormq_store::{Arrival, FilterBitMaps, FlushMode, OpenError, StopError, Store, StoreConfig};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::clients::ClientAdmin;
use crate::admin::config::ConfigAdmin;
use crate::admin::groups::GroupAdmin;
use crate::admin::progress::ProgressAdmin;
use crate::admin::runtime::RuntimeAdmin;
use crate::admin::topics::TopicAdmin;
use crate::config::{ConfigRefused, LiveConfig, Resolved, StoreSettings, parse_delay_levels, store_host};
use crate::registration::{Registration, address};
use crate::rocksdb;
use crate::routes::{self, Lanes, Services};
use crate::service::assign::AssignService;
use crate::service::calls::CallService;
use crate::service::clients::ClientService;
use crate::service::offsets::OffsetService;
use crate::service::pull::PullService;
use crate::service::query::QueryService;
use crate::service::reply::ReplyService;
use crate::service::reset::ResetService;
use crate::service::schedule::ScheduleService;
use crate::service::send::SendService;
use crate::service::send_back::SendBackService;
use crate::service::transaction::{self, TransactionService};
use crate::stats::Stats;
use crate::tables::arrivals::Arrivals;
use crate::tables::consumers::ConsumerTable;
use crate::tables::filters::FilterTable;
use crate::tables::groups::GroupTable;
use crate::tables::locks::QueueLocks;
use crate::tables::offsets::OffsetTable;
use crate::tables::persist::LoadError;
use crate::tables::producers::ProducerTable;
use crate::tables::request_modes::RequestModeTable;
use crate::tables::topics::{TopicTable, batch_topics};
use crate::topic_routes::TopicRoutes;

/// How often silent clients are looked for (`ClientHousekeepingService`).
const CLIENT_SCAN: Duration = Duration::from_secs(10);
/// How often changes of groups are told, unless that is done at once.
const NOTIFY_ROUND: Duration = Duration::from_secs(15);
/// How often the filters of consumers are persisted.
const SAVE_FILTERS: Duration = Duration::from_secs(10);
/// How often tables that could not be written are tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);
/// How long each step of a stop may take.
const STOP_STEP: Duration = Duration::from_secs(3);

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigRefused),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// A file under `config/`.
    #[error(transparent)]
    Table(#[from] LoadError),
    /// A port.
    #[error(transparent)]
    Listen(#[from] std::io::Error),
}

impl StartError {
    /// Exit code of the process, as Java's.
    pub fn exit_code(&self) -> i32 {
        match self {
            StartError::Config(refused) => refused.exit_code,
            StartError::Store(_) | StartError::Table(_) => 253,
            StartError::Listen(_) => 255,
        }
    }
}

/// A running broker.
pub struct Broker {
    live: Arc<LiveConfig>,
    store: Store,
    registration: Arc<Registration>,
    client: Arc<Client>,
    servers: Vec<Server>,
    background: TaskTracker,
    cancel: CancellationToken,
    offsets: Arc<OffsetTable>,
    schedule: Arc<ScheduleService>,
    transactions: Arc<TransactionService>,
    topics: Arc<TopicTable>,
    groups: Arc<GroupTable>,
    modes: Arc<RequestModeTable>,
    routes: Arc<TopicRoutes>,
    filters: Arc<FilterTable>,
}

impl Broker {
    /// Opens the store, loads the tables, listens, registers with the name servers.
    ///
    /// # Errors
    /// [`StartError`]; what was opened is closed again.
    pub async fn start(resolved: Resolved, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let levels_ms = parse_delay_levels(&resolved.store.message_delay_level)?;
        rocksdb::refuse_files(Path::new(&resolved.store.store_path_root_dir))?;
        let before = BeforeStore::read(&resolved, &clock)?;
        let store = {
            let arrivals = before.arrivals.clone();
            let topics = Path::new(&resolved.store.store_path_root_dir).join("config").join("topics.json");
            let config = StoreConfig {
                batch_topics: batch_topics(&topics)?,
                filter_bit_maps: Some(before.bit_maps()),
                ..store_config(&resolved.store, &resolved.store_options, levels_ms.clone())
            };
            Store::open(config, clock.clone(), move |arrival| {
                let Arrival { topic, queue_id, queue_offset, tags_code, properties, .. } = *arrival;
                arrivals.arrived(topic, queue_id, queue_offset, tags_code, properties);
            })?
        };
        match Self::assemble(&resolved, &store, before, levels_ms, clock).await {
            Ok(broker) => Ok(broker),
            Err(error) => {
                if let Err(stop) = store.stop() {
                    tracing::error!(error = %stop, "closing the store after a failed start");
                }
                Err(error)
            }
        }
    }

    async fn assemble(
        resolved: &Resolved,
        store: &Store,
        before: BeforeStore,
        levels_ms: Vec<i64>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let parts = Parts::build(resolved, store, before, levels_ms, clock)?;
        let table = Arc::new(parts.table(resolved));
        let clients = parts.services.clients.clone();
        let servers = listen(resolved, &table, &clients).await?;
        parts.topics.save();
        parts.groups.save();
        let broker = Self {
            live: parts.live,
            store: store.clone(),
            registration: parts.registration,
            client: parts.client,
            servers,
            background: TaskTracker::new(),
            cancel: CancellationToken::new(),
            offsets: parts.offsets,
            schedule: parts.schedule,
            transactions: parts.services.transactions,
            topics: parts.topics,
            groups: parts.groups,
            modes: parts.modes,
            routes: parts.routes,
            filters: parts.filters,
        };
        broker.registration.register().await;
        broker.spawn_background(resolved, clients);
        Ok(broker)
    }

    fn spawn_background(&self, resolved: &Resolved, clients: Arc<ClientService>) {
        self.background.spawn(self.registration.clone().run(self.cancel.clone()));
        self.background.spawn(self.schedule.clone().run(self.cancel.clone()));
        self.background.spawn(self.transactions.clone().run(self.cancel.clone()));
        self.background.spawn(self.routes.clone().run(self.cancel.clone()));
        let ms = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(100));
        let offsets = self.offsets.clone();
        self.every(ms(resolved.broker.flush_consumer_offset_interval.into()), move || offsets.save());
        let schedule = self.schedule.clone();
        self.every(ms(resolved.store.flush_delay_offset_interval), move || schedule.save_what_is_on_disk());
        let pending = clients.clone();
        self.every(NOTIFY_ROUND, move || pending.tell_pending());
        self.every(CLIENT_SCAN, move || clients.expire());
        let (filters, live) = (self.filters.clone(), self.live.clone());
        self.every(SAVE_FILTERS, move || filters.clean_and_save(live.broker().filter_data_clean_time_span));
        let (topics, groups, modes) = (self.topics.clone(), self.groups.clone(), self.modes.clone());
        self.every(SAVE_AGAIN, move || {
            topics.save_again();
            groups.save_again();
            modes.save_again();
        });
    }

    /// Runs `work` on the blocking pool once a period until the broker stops.
    fn every(&self, period: Duration, work: impl Fn() + Send + Sync + 'static) {
        let cancel = self.cancel.clone();
        let work = Arc::new(work);
        self.background.spawn(async move {
            loop {
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = tokio::time::sleep(period) => {}
                }
                let work = work.clone();
                if tokio::task::spawn_blocking(move || work()).await.is_err() {
                    tracing::error!("a periodic task failed");
                }
            }
        });
    }

    /// The line that Java prints when it is ready, which scripts wait for.
    pub fn boot_line(&self) -> String {
        let broker = self.live.broker();
        let serialize = match std::env::var("ROCKETMQ_SERIALIZE_TYPE").as_deref() {
            Ok("ROCKETMQ") => "ROCKETMQ",
            _ => "JSON",
        };
        let name_server = match broker.namesrv_addr.as_deref().filter(|a| !a.is_empty()) {
            Some(address) => format!(" and name server is {address}"),
            None => String::new(),
        };
        format!(
            "The broker[{}, {}] boot success. serializeType={serialize}{name_server}",
            broker.broker_name,
            address(&broker)
        )
    }

    /// The address of the main port.
    pub fn local(&self) -> SocketAddr {
        self.servers[0].local()
    }

    /// Stops in the order that loses nothing: off the name servers, no more requests, no more background work,
    /// tables, store.
    ///
    /// # Errors
    /// When the store could not be closed cleanly; the next start recovers then.
    pub async fn stop(self) -> Result<(), StopError> {
        if tokio::time::timeout(STOP_STEP, self.registration.unregister()).await.is_err() {
            tracing::warn!("name servers did not answer the unregistration in time");
        }
        for server in &self.servers {
            server.stop(STOP_STEP).await;
        }
        self.cancel.cancel();
        self.background.close();
        if tokio::time::timeout(STOP_STEP, self.background.wait()).await.is_err() {
            tracing::warn!(tasks = self.background.len(), "background tasks did not end in time");
        }
        self.client.stop(STOP_STEP).await;
        let closing = tokio::task::spawn_blocking(move || {
            self.topics.save();
            self.groups.save();
            self.modes.save_again();
            // Progress that is saved never is ahead of the log.
            if let Err(error) = self.store.flush() {
                tracing::error!(error, "the log cannot be brought to disk");
            }
            if !self.transactions.commit_all() {
                tracing::warn!(
                    "the progress of the check is not committed, some half messages are looked at again"
                );
            }
            self.offsets.save();
            self.filters.clean_and_save(self.live.broker().filter_data_clean_time_span);
            self.schedule.save_what_is_on_disk();
            self.store.stop()
        });
        closing.await.unwrap_or_else(|_| Err(StopError::Unclean("the stop itself failed".to_owned())))
    }
}

/// What the store needs while it opens.
struct BeforeStore {
    live: Arc<LiveConfig>,
    arrivals: Arc<Arrivals>,
    filters: Arc<FilterTable>,
}

impl BeforeStore {
    fn read(resolved: &Resolved, clock: &Arc<dyn Clock>) -> Result<Self, StartError> {
        let broker = &resolved.broker;
        let bloom =
            BloomFilter::new(broker.max_error_rate_of_bloom_filter, broker.expect_consumer_num_use_filter)
                .map_err(|illegal| ConfigRefused {
                    text: format!("maxErrorRateOfBloomFilter or expectConsumerNumUseFilter: {illegal}"),
                    exit_code: 255,
                })?;
        let path = Path::new(&resolved.store.store_path_root_dir).join("config").join("consumerFilter.json");
        Ok(Self {
            live: Arc::new(LiveConfig::new(resolved)),
            arrivals: Arc::default(),
            filters: Arc::new(FilterTable::peek(path, bloom, clock.clone())?),
        })
    }

    fn bit_maps(&self) -> FilterBitMaps {
        let (live, filters) = (self.live.clone(), self.filters.clone());
        FilterBitMaps::new(move |topic, properties| {
            let wanted = live.broker().enable_calc_filter_bit_map;
            wanted.then(|| filters.bit_map(topic, properties)).flatten()
        })
    }
}

/// Every table and service of a broker, before anything runs.
struct Parts {
    live: Arc<LiveConfig>,
    registration: Arc<Registration>,
    client: Arc<Client>,
    offsets: Arc<OffsetTable>,
    schedule: Arc<ScheduleService>,
    topics: Arc<TopicTable>,
    groups: Arc<GroupTable>,
    modes: Arc<RequestModeTable>,
    routes: Arc<TopicRoutes>,
    filters: Arc<FilterTable>,
    services: Services,
}

impl Parts {
    fn build(
        resolved: &Resolved,
        store: &Store,
        before: BeforeStore,
        levels_ms: Vec<i64>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StartError> {
        let BeforeStore { live, arrivals, filters } = before;
        filters.settle()?;
        let broker = &resolved.broker;
        let store_host = store_host(broker)?;
        let directory = Path::new(&resolved.store.store_path_root_dir).join("config");
        let file = |name: &str| directory.join(name);
        let lmq = resolved.store.enable_lmq;
        let topics = Arc::new(TopicTable::load(file("topics.json"), broker, &resolved.store, clock.clone())?);
        let groups = Arc::new(GroupTable::load(file("subscriptionGroup.json"), lmq, clock.clone())?);
        let step = broker.consumer_offset_update_version_step;
        let offsets = Arc::new(OffsetTable::load(&directory, lmq, step, clock.clone())?);
        let consumers = Arc::new(ConsumerTable::new(clock.clone()));
        let producers = Arc::new(ProducerTable::new(clock.clone()));
        let locks = Arc::new(QueueLocks::new(clock.clone()));
        let stats = Arc::new(Stats::default());
        let delay_level_max = levels_ms.len();
        let schedule = Arc::new(ScheduleService::load(
            store.clone(),
            arrivals.clone(),
            clock.clone(),
            levels_ms,
            broker.delay_offset_update_version_step,
            file("delayOffset.json"),
        )?);
        let client =
            Arc::new(Client::new(Arc::new(RouteTable::new()), limits(resolved), Duration::from_secs(3)));
        let modes = Arc::new(RequestModeTable::load(file("messageRequestMode.json"))?);
        let routes = Arc::new(TopicRoutes::new(client.clone(), live.clone()));
        let ha_port = resolved.store.ha_listen_port;
        let registration = Arc::new(Registration::new(client.clone(), live.clone(), topics.clone(), ha_port));
        let clients = Arc::new(ClientService {
            live: live.clone(),
            topics: topics.clone(),
            groups: groups.clone(),
            consumers: consumers.clone(),
            producers: producers.clone(),
            filters: filters.clone(),
            locks: locks.clone(),
            registration: registration.clone(),
            pending: Default::default(),
        });
        let transactions = Arc::new(TransactionService::load(transaction::Parts {
            live: live.clone(),
            topics: topics.clone(),
            offsets: offsets.clone(),
            producers: producers.clone(),
            registration: registration.clone(),
            store: store.clone(),
            store_host,
            delay_level_max,
            stats: stats.clone(),
            clock: clock.clone(),
        }));
        let services = Services {
            transactions,
            send: Arc::new(SendService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                locks,
                registration: registration.clone(),
                store: store.clone(),
                store_host,
                delay_level_max,
                unique_ids: UniqueIds::new(store_host.ip(), std::process::id(), 0, month_start_ms),
                stats: stats.clone(),
                clock: clock.clone(),
                next_queue: AtomicU32::new(0),
            }),
            reply: Arc::new(ReplyService {
                live: live.clone(),
                topics: topics.clone(),
                producers: producers.clone(),
                registration: registration.clone(),
                store: store.clone(),
                store_host,
                delay_level_max,
                stats: stats.clone(),
                clock: clock.clone(),
                next_queue: AtomicU32::new(0),
            }),
            send_back: Arc::new(SendBackService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                registration: registration.clone(),
                store: store.clone(),
                store_host,
                delay_level_max,
                next_queue: AtomicU32::new(0),
            }),
            pull: Arc::new(PullService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                consumers: consumers.clone(),
                filters: filters.clone(),
                offsets: offsets.clone(),
                arrivals: arrivals.clone(),
                store: store.clone(),
                stats: stats.clone(),
            }),
            clients: clients.clone(),
            assign: Arc::new(AssignService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                consumers: consumers.clone(),
                modes: modes.clone(),
                routes: routes.clone(),
                pop: false,
            }),
            calls: Arc::new(CallService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                consumers: consumers.clone(),
                store: store.clone(),
            }),
            reset: Arc::new(ResetService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                consumers: consumers.clone(),
                offsets: offsets.clone(),
                arrivals: arrivals.clone(),
                store: store.clone(),
            }),
            offsets: Arc::new(OffsetService {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                offsets: offsets.clone(),
                store: store.clone(),
            }),
            query: Arc::new(QueryService { store: store.clone() }),
            topic_admin: Arc::new(TopicAdmin {
                live: live.clone(),
                topics: topics.clone(),
                offsets: offsets.clone(),
                arrivals,
                registration: registration.clone(),
                store: store.clone(),
                changing: Default::default(),
            }),
            group_admin: Arc::new(GroupAdmin {
                live: live.clone(),
                topics: topics.clone(),
                groups: groups.clone(),
                consumers: consumers.clone(),
                offsets: offsets.clone(),
                store: store.clone(),
                changing: Default::default(),
            }),
            progress_admin: Arc::new(ProgressAdmin {
                live: live.clone(),
                topics: topics.clone(),
                consumers: consumers.clone(),
                offsets: offsets.clone(),
                store: store.clone(),
                clock: clock.clone(),
            }),
            client_admin: Arc::new(ClientAdmin { consumers, producers }),
            config_admin: Arc::new(ConfigAdmin {
                live: live.clone(),
                topics: topics.clone(),
                registration: registration.clone(),
                store: store.clone(),
                store_options: resolved.store_options.clone(),
            }),
            runtime_admin: Arc::new(RuntimeAdmin {
                live: live.clone(),
                store: store.clone(),
                stats,
                schedule: schedule.clone(),
                boot_ms: clock.wall_ms(),
                clock,
            }),
        };
        Ok(Self {
            live,
            registration,
            client,
            offsets,
            schedule,
            topics,
            groups,
            modes,
            routes,
            filters,
            services,
        })
    }

    fn table(&self, resolved: &Resolved) -> RouteTable {
        routes::table(&self.services, &Lanes::new(&resolved.broker))
    }
}

/// When the local month that contains `now_ms` began: `mqadmin` reads the time in a message's unique id from there.
fn month_start_ms(now_ms: i64) -> i64 {
    let local = |ms: i64| DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&Local);
    let first = local(now_ms).date_naive().with_day(1).and_then(|day| day.and_hms_opt(0, 0, 0));
    first
        // Where clocks are set forward at that midnight, the month begins with the moment after.
        .and_then(|midnight| midnight.and_local_timezone(Local).earliest())
        .map_or(now_ms, |start| start.timestamp_millis())
}

/// The rows of the request table, for the documentation: they are read from the table that requests go through, built
/// over an empty store in `directory`.
///
/// # Errors
/// When the store cannot be made.
pub fn documented_rows(resolved: &Resolved, directory: &Path) -> Result<Vec<Row>, StartError> {
    let config = StoreConfig { commit_log_file_size: 64 * 1024, ..StoreConfig::at(directory) };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store = Store::open(config, clock.clone(), |_| {})?;
    let before = BeforeStore::read(resolved, &clock);
    let parts = before.and_then(|before| Parts::build(resolved, &store, before, vec![1000], clock));
    let rows = parts.map(|parts| parts.table(resolved).rows());
    if let Err(error) = store.stop() {
        tracing::warn!(%error, "closing the empty store");
    }
    rows
}

/// The main port and the fast port two below it.
async fn listen(
    resolved: &Resolved,
    table: &Arc<RouteTable>,
    clients: &Arc<ClientService>,
) -> Result<Vec<Server>, StartError> {
    let on_close: OnClose = {
        let clients = clients.clone();
        Arc::new(move |peer| clients.closed(peer))
    };
    let bind: IpAddr = resolved.server.bind_address.parse().map_err(|_| ConfigRefused {
        text: format!("bindAddress={} is no IP address", resolved.server.bind_address),
        exit_code: 253,
    })?;
    let start = |port: i32, fast: bool| {
        let port = u16::try_from(port).unwrap_or(0);
        Server::start(SocketAddr::new(bind, port), table.clone(), fast, limits(resolved), on_close.clone())
    };
    let port = resolved.server.listen_port;
    let main = start(port, false)?;
    match start(port - 2, true) {
        Ok(fast) => Ok(vec![main, fast]),
        Err(error) => {
            main.stop(STOP_STEP).await;
            Err(error.into())
        }
    }
}

/// Bounds of the connections, as configured.
fn limits(resolved: &Resolved) -> Limits {
    let idle = u64::try_from(resolved.server.server_channel_max_idle_time_seconds).unwrap_or(120);
    let idle = Duration::from_secs(idle.max(1));
    Limits { idle, frame_max: resolved.frame_max, ..Limits::default() }
}

/// The store's configuration from its keys.
pub(crate) fn store_config(
    settings: &StoreSettings,
    options: &StoreOptions,
    delay_levels: Vec<i64>,
) -> StoreConfig {
    let positive = |n: i32| u64::try_from(n).unwrap_or(0);
    let small = |n: i32| u32::try_from(n).unwrap_or(0);
    let size = |n: i32| usize::try_from(n).unwrap_or(0);
    let root = PathBuf::from(&settings.store_path_root_dir);
    let paths = |text: &str| -> Vec<PathBuf> {
        let pieces = text.trim().split(options.path_splitter.as_str());
        pieces.filter(|piece| !piece.is_empty()).map(PathBuf::from).collect()
    };
    let defaults = StoreConfig::at(root.clone());
    let flush = if settings.flush_disk_type == "SYNC_FLUSH" {
        FlushMode::Sync { timeout_ms: positive(settings.sync_flush_timeout) }
    } else {
        FlushMode::Async {
            interval_ms: positive(settings.flush_interval_commit_log),
            least_pages: positive(settings.flush_commit_log_least_pages),
            thorough_interval_ms: positive(settings.flush_commit_log_thorough_interval),
        }
    };
    StoreConfig {
        commit_log_dirs: settings
            .store_path_commit_log
            .as_deref()
            .map(paths)
            .filter(|paths| !paths.is_empty())
            .unwrap_or_else(|| vec![root.join("commitlog")]),
        read_only_commit_log_dirs: settings
            .read_only_commit_log_store_paths
            .as_deref()
            .map(paths)
            .unwrap_or_default(),
        commit_log_file_size: positive(settings.mapped_file_size_commit_log),
        consume_queue_file_size: positive(settings.mapped_file_size_consume_queue),
        batch_consume_queue_file_size: positive(settings.mapper_file_size_batch_consume_queue),
        enable_consume_queue_ext: settings.enable_consume_queue_ext,
        consume_queue_ext_file_size: positive(settings.mapped_file_size_consume_queue_ext),
        index_slots: small(settings.max_hash_slot_num),
        index_items: small(settings.max_index_num),
        message_index_enable: settings.message_index_enable,
        message_index_safe: settings.message_index_safe,
        flush,
        consume_queue_flush_interval_ms: positive(settings.flush_interval_consume_queue),
        consume_queue_flush_thorough_interval_ms: positive(settings.flush_consume_queue_thorough_interval),
        max_message_size: size(settings.max_message_size),
        append_busy_ms: u64::try_from(settings.os_page_cache_busy_time_out_mills).unwrap_or(0),
        delay_levels,
        enable_lmq: settings.enable_lmq,
        enable_multi_dispatch: settings.enable_multi_dispatch,
        move_records_behind_damage: settings.move_records_behind_damage,
        check_crc_on_recover: settings.check_crc_on_recover,
        append_prop_crc: settings.enabled_append_prop_crc,
        force_verify_prop_crc: settings.force_verify_prop_crc,
        read_uncommitted: settings.read_un_committed,
        access_message_in_memory_max_ratio: positive(settings.access_message_in_memory_max_ratio),
        max_transfer_bytes_in_memory: size(settings.max_transfer_bytes_on_message_in_memory),
        max_transfer_count_in_memory: size(settings.max_transfer_count_on_message_in_memory),
        max_transfer_bytes_on_disk: size(settings.max_transfer_bytes_on_message_in_disk),
        max_transfer_count_on_disk: size(settings.max_transfer_count_on_message_in_disk),
        max_filter_message_size: size(settings.max_filter_message_size),
        travel_cq_file_num_when_get_message: size(settings.travel_cq_file_num_when_get_message),
        max_msgs_num_batch: size(settings.max_msgs_num_batch),
        file_reserved_hours: positive(settings.file_reserved_time),
        delete_when: settings.delete_when.clone(),
        disk_max_used_space_ratio: positive(settings.disk_max_used_space_ratio),
        disk_space_warning_level_ratio: options
            .disk_space_warning_level
            .unwrap_or(positive(settings.disk_space_warning_level_ratio)),
        disk_space_clean_forcibly_ratio: options
            .disk_space_clean_forcibly
            .unwrap_or(positive(settings.disk_space_clean_forcibly_ratio)),
        clean_file_forcibly_enable: settings.clean_file_forcibly_enable,
        delete_file_batch_max: size(settings.delete_file_batch_max),
        delete_commit_log_files_interval_ms: positive(settings.delete_commit_log_files_interval),
        clean_resource_interval_ms: positive(settings.clean_resource_interval),
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raptormq_base::config::Host;
    use raptormq_base::properties;

    fn configured(text: &str, options: &StoreOptions) -> StoreConfig {
        let host = Host {
            user_home: "/home/u".into(),
            rocketmq_home: None,
            namesrv_addr: None,
            hostname: "box".into(),
            local_address: "10.0.0.1".into(),
            cpus: 2,
        };
        let mut config = Resolved::defaults(&host);
        config.load(&properties::parse(text.as_bytes()));
        let resolved = Resolved::resolve(config, None).unwrap();
        store_config(&resolved.store, options, vec![1000])
    }

    fn options() -> StoreOptions {
        StoreOptions {
            disk_space_warning_level: None,
            disk_space_clean_forcibly: None,
            path_splitter: ",".to_owned(),
        }
    }

    /// Every number and switch of a store's configuration, as text.
    fn shown(config: &StoreConfig) -> Vec<String> {
        let text = format!("{config:#?}");
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn a_conf_file_without_keys_gives_the_stores_own_defaults() {
        let ours = configured("", &options());
        let stores = StoreConfig { delay_levels: vec![1000], ..StoreConfig::at("/home/u/store") };
        assert_eq!(shown(&ours), shown(&stores));
    }

    #[test]
    fn every_value_of_the_store_can_be_configured() {
        let text = "storePathRootDir=/r\nstorePathCommitLog= /a,/b,\nreadOnlyCommitLogStorePaths=/old\n\
            mappedFileSizeCommitLog=4096\nmappedFileSizeConsumeQueue=4000\nmapperFileSizeBatchConsumeQueue=92\n\
            enableConsumeQueueExt=true\nmappedFileSizeConsumeQueueExt=640\n\
            enableLmq=true\nenableMultiDispatch=true\nmoveRecordsBehindDamage=false\nmaxHashSlotNum=11\nmaxIndexNum=12\n\
            messageIndexEnable=false\nmessageIndexSafe=true\nflushIntervalCommitLog=1\nflushCommitLogLeastPages=2\n\
            flushCommitLogThoroughInterval=3\nflushIntervalConsumeQueue=13\nflushConsumeQueueThoroughInterval=14\n\
            maxMessageSize=15\ncheckCRCOnRecover=false\nenabledAppendPropCRC=true\nforceVerifyPropCRC=true\n\
            readUnCommitted=true\naccessMessageInMemoryMaxRatio=16\nmaxTransferBytesOnMessageInMemory=17\n\
            maxTransferCountOnMessageInMemory=18\nmaxTransferBytesOnMessageInDisk=19\n\
            maxTransferCountOnMessageInDisk=20\nmaxFilterMessageSize=21\ntravelCqFileNumWhenGetMessage=22\n\
            maxMsgsNumBatch=23\nfileReservedTime=24\ndeleteWhen=05\ndiskMaxUsedSpaceRatio=25\n\
            diskSpaceWarningLevelRatio=26\ndiskSpaceCleanForciblyRatio=27\ncleanFileForciblyEnable=false\n\
            deleteFileBatchMax=28\ndeleteCommitLogFilesInterval=29\ncleanResourceInterval=30\n\
            osPageCacheBusyTimeOutMills=31";
        let ours = shown(&configured(text, &options()));
        let defaults = shown(&StoreConfig::at("/home/u/store"));
        let unchanged: Vec<&String> =
            ours.iter().filter(|line| line.contains(": ") && defaults.contains(line)).collect();
        // Opening brackets of lists are lines, too.
        // What topics.json and consumerFilter.json say is no key.
        let is_key = |line: &str| !line.starts_with("batch_topics") && !line.starts_with("filter_bit_maps");
        let is_value = |line: &str| !line.ends_with(['[', '{']) && is_key(line);
        let values: Vec<&&String> = unchanged.iter().filter(|line| is_value(line)).collect();
        assert_eq!(values, Vec::<&&String>::new());
        let paths = configured(text, &options());
        assert_eq!(paths.commit_log_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(paths.read_only_commit_log_dirs, [PathBuf::from("/old")]);
        let timeout = configured("flushDiskType=SYNC_FLUSH\nsyncFlushTimeout=7", &options()).flush;
        assert_eq!(timeout, FlushMode::Sync { timeout_ms: 7 });
    }

    #[test]
    fn java_options_win_over_keys() {
        let options = StoreOptions {
            disk_space_warning_level: Some(80),
            disk_space_clean_forcibly: Some(70),
            path_splitter: ":".to_owned(),
        };
        let config = configured(
            "storePathCommitLog=/a:/b\ndiskSpaceWarningLevelRatio=88\ndiskSpaceCleanForciblyRatio=77",
            &options,
        );
        assert_eq!(config.commit_log_dirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!((config.disk_space_warning_level_ratio, config.disk_space_clean_forcibly_ratio), (80, 70));
    }

    #[test]
    fn a_month_begins_at_its_first_local_midnight() {
        let now = 1_709_164_801_000;
        let start = month_start_ms(now);
        let local = DateTime::from_timestamp_millis(start).unwrap().with_timezone(&Local);
        assert_eq!(local.format("%d %H:%M:%S%.3f").to_string(), "01 00:00:00.000");
        assert!(start <= now && now - start < 31 * 86_400_000);
    }
}
