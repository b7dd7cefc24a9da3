//! What goes in and comes out of a [`Store`](crate::Store).

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use raptormq_message::EncodeError;

/// Why a store cannot be opened. The message is what an operator reads.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another broker, Java's or ours, holds the `lock` file.
    #[error("Lock failed,MQ already started: {}", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A file has not the configured size; Java refuses such a directory with the same words.
    #[error("{}: length {found} not matched message store config value {expected}, please check it manually", .path.display())]
    FileLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The configured one.
        expected: u64,
    },
    /// The consume queues are a RocksDB database.
    #[error(
        "{}: this store's consume queues are kept in RocksDB (storeType=defaultRocksDB), which is not supported. To \
         take it over, start RocketMQ with storeType=default on a copy without the consumequeue directory, or drain it",
        .path.display()
    )]
    RocksDb {
        /// What shows it.
        path: PathBuf,
    },
    /// Intact records follow a damaged one, and `moveRecordsBehindDamage=false` says that they stay in place.
    #[error(
        "{}: no record at offset {offset} ({why}), but {count} intact ones follow, from {first} to {last}. They stay in \
         place because of moveRecordsBehindDamage=false; the broker starts when that is true, and moves them to cutoff/",
        .path.display()
    )]
    Damaged {
        /// The file with the damage.
        path: PathBuf,
        /// Log offset where the damage begins.
        offset: u64,
        /// What is wrong there.
        why: String,
        /// How many records follow.
        count: u64,
        /// Log offset of the first of them.
        first: u64,
        /// Log offset of the last of them.
        last: u64,
    },
    /// A file whose name is not the offset of its first byte.
    #[error("{}: not a store file name", .path.display())]
    FileName {
        /// The file.
        path: PathBuf,
    },
    /// A topic has queues of both kinds; Java refuses such a directory, too.
    #[error("The queue type of topic: {topic} should be SimpleCQ, but is BatchCQ: {} has messages of it as well", .path.display())]
    QueueType {
        /// The topic.
        topic: String,
        /// The directory of the other kind.
        path: PathBuf,
    },
    /// A configured value that no store can work with.
    #[error("{key} = {value} is not usable: {why}")]
    Config {
        /// Java's name of the key.
        key: &'static str,
        /// Its value.
        value: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The file system said no.
    #[error("{}: {error}", .path.display())]
    Io {
        /// What was opened, read or written.
        path: PathBuf,
        /// How it failed.
        #[source]
        error: io::Error,
    },
}

/// Why a store could not be closed cleanly. It is closed all the same; `abort` stays, so the next start recovers.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// Writing to disk failed before or during the stop.
    #[error("store is not closed cleanly, the abort file stays: {0}")]
    Unclean(String),
}

/// Why a message was not stored. Nothing of it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The body, or the whole record, exceeds `maxMessageSize` (or a log file).
    #[error("message of {bytes} bytes is too large, at most {max} are allowed")]
    MessageTooLarge {
        /// Length of the body, or of the record where that is what counts.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The topic is longer than a file name or a record allows.
    #[error("topic is too long: {bytes} bytes")]
    TopicTooLong {
        /// Length in bytes.
        bytes: usize,
    },
    /// The topic cannot be a directory name.
    #[error("topic is not a valid name: {0:?}")]
    IllegalTopic(String),
    /// The property string is too long.
    #[error("properties are too long: {bytes} bytes")]
    PropertiesTooLarge {
        /// Length in bytes.
        bytes: usize,
    },
    /// A batch without a message, or with messages of different queues.
    #[error("batch is not one queue's: {0}")]
    IllegalBatch(&'static str),
    /// The current log file is full and the next one cannot be allocated, or the disk use is above its limit.
    #[error("no space for the commit log: {0}")]
    Full(String),
    /// An earlier write to disk failed; nothing is accepted until restart.
    #[error("store refuses writes after an I/O error: {0}")]
    Poisoned(String),
    /// Another append has not come to its end for longer than [`StoreConfig::append_busy_ms`](crate::StoreConfig).
    #[error("an append has not ended for {waited_ms} ms and more")]
    Busy {
        /// How long this one has waited; 0 where that was known before.
        waited_ms: u64,
    },
    /// The store is stopped or stopping.
    #[error("store is closed")]
    Closed,
}

impl AppendError {
    /// Whether the message itself is what cannot be stored: it cannot be later either.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::MessageTooLarge { .. }
            | Self::TopicTooLong { .. }
            | Self::IllegalTopic(_)
            | Self::PropertiesTooLarge { .. }
            | Self::IllegalBatch(_) => true,
            Self::Full(_) | Self::Poisoned(_) | Self::Busy { .. } | Self::Closed => false,
        }
    }
}

impl From<EncodeError> for AppendError {
    fn from(error: EncodeError) -> Self {
        match error {
            EncodeError::TopicTooLong { bytes } => Self::TopicTooLong { bytes },
            EncodeError::PropertiesTooLong { bytes } => Self::PropertiesTooLarge { bytes },
            EncodeError::RecordTooLong { bytes } => Self::MessageTooLarge { bytes, max: i32::MAX as usize },
        }
    }
}

/// Where a message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// First byte of its record in the log.
    pub log_offset: u64,
    /// First byte after it: what [`Store::flushed`](crate::Store::flushed) waits for.
    pub next_offset: u64,
    /// Its position in the queue; 0 for half and rolled back messages, which are in no queue.
    pub queue_offset: i64,
    /// When, ms.
    pub store_timestamp: i64,
    /// Length of the record.
    pub len: u32,
}

/// How a wait for the disk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlushOutcome {
    /// On disk, or nobody asked.
    Done,
    /// Not in time (`FLUSH_DISK_TIMEOUT`).
    Timeout,
    /// Never: writing to disk failed.
    Failed(String),
}

/// A message that has just become visible in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// Topic of the queue.
    pub topic: &'a str,
    /// Queue.
    pub queue_id: i32,
    /// Position of the message; the queue's maximum is one more.
    pub queue_offset: i64,
    /// Hash of the tag; the deliver time in the delay topic.
    pub tags_code: i64,
    /// When it was stored, ms.
    pub store_timestamp: i64,
    /// Property string.
    pub properties: &'a str,
    /// Where its record begins.
    pub log_offset: u64,
}

/// Selects messages of a queue (`MessageFilter`).
pub trait Filter: Send + Sync {
    /// Decides by the queue unit alone; `false` skips the message unread.
    fn matches_queue(&self, tags_code: i64) -> bool;
    /// Decides where the queue unit does not say anything about the tag, because its extension is lost.
    fn matches_unknown(&self) -> bool {
        true
    }
    /// Whether [`Self::matches_bit_map`] is asked, in place of [`Self::matches_queue`], where a unit has an extension.
    fn looks_at_bit_maps(&self) -> bool {
        false
    }
    /// Decides by what a unit's extension holds: when the message was stored, ms, and the filter bit map that was made
    /// for it then, which is empty where there was none.
    fn matches_bit_map(&self, store_time: i64, bit_map: &[u8]) -> bool {
        let _ = (store_time, bit_map);
        true
    }
    /// Decides by the whole record.
    fn matches_record(&self, record: &[u8]) -> bool {
        let _ = record;
        true
    }
}

/// What to read from a queue.
#[derive(Clone)]
pub struct GetRequest<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Queue.
    pub queue_id: i32,
    /// Position of the first message wanted.
    pub offset: i64,
    /// At most this many messages.
    pub max_nums: i32,
    /// At most this many bytes, below the limits of the store; at least one message is answered.
    pub max_bytes: Option<usize>,
    /// Which messages.
    pub filter: Option<Arc<dyn Filter>>,
}

/// How a read ended (`GetMessageStatus`, in its order).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum GetStatus {
    Found,
    NoMatchedMessage,
    MessageWasRemoving,
    OffsetFoundNull,
    OffsetOverflowBadly,
    OffsetOverflowOne,
    OffsetTooSmall,
    NoMatchedLogicQueue,
    NoMessageInQueue,
    OffsetReset,
}

impl GetStatus {
    /// Java's name, which appears in remarks.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::MessageWasRemoving => "MESSAGE_WAS_REMOVING",
            Self::OffsetFoundNull => "OFFSET_FOUND_NULL",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::NoMatchedLogicQueue => "NO_MATCHED_LOGIC_QUEUE",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
            Self::OffsetReset => "OFFSET_RESET",
        }
    }
}

/// What a read found (`GetMessageResult`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetResult {
    /// How it ended.
    pub status: GetStatus,
    /// Where the next read should begin.
    pub next_begin_offset: i64,
    /// The queue's first position.
    pub min_offset: i64,
    /// The position after the queue's last message.
    pub max_offset: i64,
    /// The records, whole, in order.
    pub messages: Vec<Bytes>,
    /// Their positions in the queue.
    pub queue_offsets: Vec<i64>,
    /// How many messages they hold: more than there are records where those are batches.
    pub message_count: usize,
    /// Their bytes in all.
    pub bytes: usize,
    /// Whether the reader is so far behind that a replica should serve it.
    pub suggest_slave: bool,
}

/// The end of an equal run of timestamps that a search by time answers (`BoundaryType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// The first message stored at or after the time.
    #[default]
    Lower,
    /// The last message stored at or before the time.
    Upper,
}

/// What a search by key found (`QueryMessageResult`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryResult {
    /// The records, whole, in log order. Different keys can share a hash: the caller compares keys.
    pub messages: Vec<Bytes>,
    /// Store time of the newest indexed message, ms.
    pub index_last_update_timestamp: i64,
    /// Log offset of the newest indexed message.
    pub index_last_update_phyoffset: i64,
}
