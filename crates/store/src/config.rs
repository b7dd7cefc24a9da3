//! What the store can be told. Every default is Java's (`MessageStoreConfig` of 5.5.0).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// When an append counts as stored (`flushDiskType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlushMode {
    /// At once; a thread writes to disk in the background (`ASYNC_FLUSH`).
    Async {
        /// How often, ms (`flushIntervalCommitLog`).
        interval_ms: u64,
        /// Only when at least this many 4 KiB pages wait (`flushCommitLogLeastPages`).
        least_pages: u64,
        /// Whatever waits is written after this time, ms (`flushCommitLogThoroughInterval`).
        thorough_interval_ms: u64,
    },
    /// When it is on disk (`SYNC_FLUSH`); all appends that wait share one `fdatasync`.
    Sync {
        /// How long a caller waits for the disk, ms (`syncFlushTimeout`).
        timeout_ms: u64,
    },
}

impl Default for FlushMode {
    fn default() -> Self {
        Self::Async { interval_ms: 500, least_pages: 4, thorough_interval_ms: 10_000 }
    }
}

/// Makes the filter bit map of a message from its topic and its property string; `None` where no filter is registered
/// for the topic (`CommitLogDispatcherCalcBitMap`). The store calls it while it dispatches, so it must not call back.
#[derive(Clone)]
pub struct FilterBitMaps(Arc<MakeBitMap>);

type MakeBitMap = dyn Fn(&str, &str) -> Option<Vec<u8>> + Send + Sync;

impl FilterBitMaps {
    /// Maps made by `make`.
    pub fn new(make: impl Fn(&str, &str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(crate) fn make(&self, topic: &str, properties: &str) -> Vec<u8> {
        (self.0)(topic, properties).unwrap_or_default()
    }
}

impl std::fmt::Debug for FilterBitMaps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FilterBitMaps")
    }
}

/// Sizes, paths and rules of one store.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `storePathRootDir`.
    pub root: PathBuf,
    /// `storePathCommitLog`, which may name several directories: new files take turns among them.
    pub commit_log_dirs: Vec<PathBuf>,
    /// `readOnlyCommitLogStorePaths`: directories with files that are read, but where none is made.
    pub read_only_commit_log_dirs: Vec<PathBuf>,
    /// Bytes of each commit log file (`mappedFileSizeCommitLog`); at most 2^31-1.
    pub commit_log_file_size: u64,
    /// Bytes of each consume queue file (`mappedFileSizeConsumeQueue`), rounded up to a multiple of 20.
    pub consume_queue_file_size: u64,
    /// Topics whose queues are batch queues (attribute `queue.type=BatchCQ`), besides those that have such queues.
    pub batch_topics: BTreeSet<String>,
    /// Bytes of each file of a batch consume queue (`mapperFileSizeBatchConsumeQueue`), a multiple of 46.
    pub batch_consume_queue_file_size: u64,
    /// Whether units have extensions (`enableConsumeQueueExt`).
    pub enable_consume_queue_ext: bool,
    /// Bytes of each file of extensions (`mappedFileSizeConsumeQueueExt`).
    pub consume_queue_ext_file_size: u64,
    /// What extensions say for filters; without it they have no bit maps.
    pub filter_bit_maps: Option<FilterBitMaps>,
    /// Slots of an index file (`maxHashSlotNum`).
    pub index_slots: u32,
    /// Items of an index file (`maxIndexNum`).
    pub index_items: u32,
    /// Whether keys are indexed (`messageIndexEnable`).
    pub message_index_enable: bool,
    /// Whether recovery starts early enough for the index to be complete (`messageIndexSafe`).
    pub message_index_safe: bool,
    /// `flushDiskType` and its numbers.
    pub flush: FlushMode,
    /// How often consume queues are written, ms (`flushIntervalConsumeQueue`).
    pub consume_queue_flush_interval_ms: u64,
    /// All queues are synced and the checkpoint moves after this time, ms (`flushConsumeQueueThoroughInterval`). In
    /// between they are only written: nothing vouches for them before the checkpoint does, so that
    /// `flushConsumeQueueLeastPages`, which makes Java sync them more often, has no counterpart here.
    pub consume_queue_flush_thorough_interval_ms: u64,
    /// The largest body, bytes (`maxMessageSize`).
    pub max_message_size: usize,
    /// How long a message may wait for the append of another before it is refused, ms (`osPageCacheBusyTimeOutMills`).
    pub append_busy_ms: u64,
    /// Delay of each level, ms; index 0 is level 1 (`messageDelayLevel`).
    pub delay_levels: Vec<i64>,
    /// Whether `%LMQ%…` queues that a message names get a position when it is appended (`enableLmq`).
    pub enable_lmq: bool,
    /// Whether messages are put into the other queues that they name, too (`enableMultiDispatch`).
    pub enable_multi_dispatch: bool,
    /// Whether intact records behind a damaged one are moved to `<root>/cutoff/`; the store is not opened otherwise
    /// (`moveRecordsBehindDamage`, a key that Java does not have).
    pub move_records_behind_damage: bool,
    /// Whether recovery verifies bodies (`checkCRCOnRecover`).
    pub check_crc_on_recover: bool,
    /// Whether records end with a checksum property (`enabledAppendPropCRC`).
    pub append_prop_crc: bool,
    /// Whether recovery verifies that property instead of the body's checksum (`forceVerifyPropCRC`).
    pub force_verify_prop_crc: bool,
    /// Whether consumers see messages that a synchronous flush has not confirmed yet (`readUnCommitted`).
    pub read_uncommitted: bool,
    /// Messages nearer to the log's end than this share of the memory, %, count as cached
    /// (`accessMessageInMemoryMaxRatio`).
    pub access_message_in_memory_max_ratio: u64,
    /// `maxTransferBytesOnMessageInMemory`.
    pub max_transfer_bytes_in_memory: usize,
    /// `maxTransferCountOnMessageInMemory`.
    pub max_transfer_count_in_memory: usize,
    /// `maxTransferBytesOnMessageInDisk`.
    pub max_transfer_bytes_on_disk: usize,
    /// `maxTransferCountOnMessageInDisk`.
    pub max_transfer_count_on_disk: usize,
    /// How far one pull may skip messages that its filter refuses, bytes of queue units (`maxFilterMessageSize`).
    pub max_filter_message_size: usize,
    /// How many queue files one pull may walk without a match (`travelCqFileNumWhenGetMessage`).
    pub travel_cq_file_num_when_get_message: usize,
    /// The most messages that a query by key answers (`maxMsgsNumBatch`).
    pub max_msgs_num_batch: usize,
    /// How long commit log files are kept after their last change, hours (`fileReservedTime`).
    pub file_reserved_hours: u64,
    /// The local hours at which expired files are deleted, `;`-separated (`deleteWhen`).
    pub delete_when: String,
    /// Expired files are deleted at any time above this use of the disk, % (`diskMaxUsedSpaceRatio`).
    pub disk_max_used_space_ratio: u64,
    /// Writes are refused above this use, % (`diskSpaceWarningLevelRatio`, kept between 35 and 90).
    pub disk_space_warning_level_ratio: u64,
    /// Files are deleted whatever their age above this use, % (`diskSpaceCleanForciblyRatio`, between 30 and 85).
    pub disk_space_clean_forcibly_ratio: u64,
    /// Whether that happens at all (`cleanFileForciblyEnable`).
    pub clean_file_forcibly_enable: bool,
    /// The most files deleted in one run (`deleteFileBatchMax`).
    pub delete_file_batch_max: usize,
    /// Pause between two deletions, ms (`deleteCommitLogFilesInterval`).
    pub delete_commit_log_files_interval_ms: u64,
    /// How often retention runs, ms (`cleanResourceInterval`).
    pub clean_resource_interval_ms: u64,
}

/// `messageDelayLevel` of a broker that configures none: 1s 5s 10s 30s 1m … 10m 20m 30m 1h 2h.
const DELAY_LEVELS: [i64; 18] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000,
    540_000, 600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000,
];

impl StoreConfig {
    /// Java's defaults below `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            commit_log_dirs: vec![root.join("commitlog")],
            read_only_commit_log_dirs: Vec::new(),
            root,
            commit_log_file_size: 1 << 30,
            consume_queue_file_size: 300_000 * 20,
            batch_topics: BTreeSet::new(),
            batch_consume_queue_file_size: 300_000 * 46,
            enable_consume_queue_ext: false,
            consume_queue_ext_file_size: 48 << 20,
            filter_bit_maps: None,
            index_slots: 5_000_000,
            index_items: 20_000_000,
            message_index_enable: true,
            message_index_safe: false,
            flush: FlushMode::default(),
            consume_queue_flush_interval_ms: 1_000,
            consume_queue_flush_thorough_interval_ms: 60_000,
            max_message_size: 4 << 20,
            append_busy_ms: 1_000,
            delay_levels: DELAY_LEVELS.to_vec(),
            enable_lmq: false,
            enable_multi_dispatch: false,
            move_records_behind_damage: true,
            check_crc_on_recover: true,
            append_prop_crc: false,
            force_verify_prop_crc: false,
            read_uncommitted: false,
            access_message_in_memory_max_ratio: 40,
            max_transfer_bytes_in_memory: 256 << 10,
            max_transfer_count_in_memory: 32,
            max_transfer_bytes_on_disk: 64 << 10,
            max_transfer_count_on_disk: 8,
            max_filter_message_size: 16_000,
            travel_cq_file_num_when_get_message: 1,
            max_msgs_num_batch: 64,
            file_reserved_hours: 72,
            delete_when: "04".to_owned(),
            disk_max_used_space_ratio: 75,
            disk_space_warning_level_ratio: 90,
            disk_space_clean_forcibly_ratio: 85,
            clean_file_forcibly_enable: true,
            delete_file_batch_max: 10,
            delete_commit_log_files_interval_ms: 100,
            clean_resource_interval_ms: 10_000,
        }
    }

    /// Every directory that may hold commit log files, each once.
    pub(crate) fn all_log_dirs(&self) -> Vec<&Path> {
        let dirs = self.commit_log_dirs.iter().chain(&self.read_only_commit_log_dirs);
        let mut dirs: Vec<&Path> = dirs.map(PathBuf::as_path).collect();
        dirs.sort();
        dirs.dedup();
        dirs
    }

    /// Where commit log files are made: all but the read-only ones.
    pub(crate) fn writable_log_dirs(&self) -> Vec<PathBuf> {
        let dirs = self.commit_log_dirs.iter();
        dirs.filter(|dir| !self.read_only_commit_log_dirs.contains(dir)).cloned().collect()
    }

    /// Directory of the consume queues.
    pub fn consume_queue_dir(&self) -> PathBuf {
        self.root.join("consumequeue")
    }

    /// Directory of the key index.
    pub fn index_dir(&self) -> PathBuf {
        self.root.join("index")
    }
}

impl Default for StoreConfig {
    /// Java's defaults below `$HOME/store`, or `./store` without a home.
    fn default() -> Self {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        Self::at(home.join("store"))
    }
}
