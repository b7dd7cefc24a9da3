//! What is there: ranges, counts, gaps. Reads headers, the queues and the last file of the log.

use std::path::{Path, PathBuf};

use super::index::IndexView;
use super::log::{Step, Walk};
use super::queue::QueueSet;
use super::{Directory, OfflineError, Problem, at};

/// The answer to [`Directory::inspect`].
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The commit log.
    pub log: LogInfo,
    /// The checkpoint, if there is one.
    pub checkpoint: Option<CheckpointFields>,
    /// Content of `abort`, a process id; present when the last run did not end cleanly.
    pub abort: Option<String>,
    /// Queues by topic and id.
    pub queues: Vec<QueueInfo>,
    /// Index files by name.
    pub index: Vec<IndexInfo>,
    /// Files below `config`, by name.
    pub config: Vec<FileInfo>,
    /// Timer wheel, timer log, compaction and RocksDB files, which only Java's broker uses.
    pub others: Vec<FileInfo>,
    /// Names, lengths and gaps that should not be.
    pub oddities: Vec<Problem>,
}

/// The commit log's files and ends.
#[derive(Debug, Clone)]
pub struct LogInfo {
    /// Length that files have, bytes.
    pub file_len: u64,
    /// The files in order.
    pub files: Vec<FileInfo>,
    /// First byte.
    pub min: u64,
    /// Byte after the last record.
    pub end: u64,
    /// The last record.
    pub last: Option<LastRecord>,
    /// What stands behind the end, if it is not zero.
    pub behind_end: Option<Problem>,
}

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInfo {
    /// Its path.
    pub path: PathBuf,
    /// Its length, bytes; of a directory the sum of its files.
    pub len: u64,
}

/// The newest message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRecord {
    /// Where it begins in the log.
    pub log_offset: u64,
    /// Topic.
    pub topic: String,
    /// Queue.
    pub queue_id: i32,
    /// Position in the queue.
    pub queue_offset: i64,
    /// When it was stored, ms.
    pub store_timestamp: i64,
}

/// `checkpoint` (`StoreCheckpoint`); the last three are not written by 4.9, the last one not by 5.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CheckpointFields {
    pub physic_msg_timestamp: i64,
    pub logics_msg_timestamp: i64,
    pub index_msg_timestamp: i64,
    pub master_flushed_offset: i64,
    pub confirm_phy_offset: i64,
    pub logics_physical_offset: i64,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueInfo {
    /// Topic.
    pub topic: String,
    /// Queue.
    pub queue_id: i32,
    /// Whether its units stand for batches.
    pub batch: bool,
    /// Whether units have extensions.
    pub ext: bool,
    /// Position of the first message that the log still has.
    pub min: i64,
    /// Position after the last message.
    pub max: i64,
    /// Units in its files.
    pub units: u64,
    /// Files.
    pub files: usize,
}

/// One index file's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexInfo {
    /// The file.
    pub path: PathBuf,
    /// Its length, bytes.
    pub len: u64,
    /// Keys in it.
    pub count: i64,
    /// Store time of its first message, ms.
    pub begin_timestamp: i64,
    /// Store time of its last message, ms.
    pub end_timestamp: i64,
    /// Log offset of its first message.
    pub begin_log_offset: i64,
    /// Log offset of its last message.
    pub end_log_offset: i64,
}

impl Directory {
    /// Describes the directory.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn inspect(&self) -> Result<Inspection, OfflineError> {
        let mut oddities = self.log.oddities.clone();
        let log = self.inspect_log()?;
        let queues = QueueSet::open(&self.root, self.options.consume_queue_file_size)?;
        oddities.extend(queues.oddities.clone());
        let mut infos = Vec::new();
        for queue in queues.all() {
            oddities.extend(queue.oddities()?);
            let (min, max) = queue.range(log.min);
            infos.push(QueueInfo {
                topic: queue.topic.clone(),
                queue_id: queue.queue_id,
                batch: queue.batch,
                ext: queue.ext_file_len().is_some(),
                min,
                max,
                units: queue.end - queue.first,
                files: queue.series.files.len(),
            });
        }
        let (views, strangers) = IndexView::all(&self.root)?;
        oddities.extend(strangers.iter().map(|path| Problem::new(path, 0, "not an index file")));
        let mut index = Vec::new();
        for view in views {
            let Some(header) = view.header() else {
                oddities.push(Problem::new(view.path(), 0, "too short for an index file"));
                continue;
            };
            index.push(IndexInfo {
                path: view.path().to_owned(),
                len: view.len(),
                count: i64::from(header.count.max(1)) - 1,
                begin_timestamp: header.begin_timestamp,
                end_timestamp: header.end_timestamp,
                begin_log_offset: header.begin_log_offset,
                end_log_offset: header.end_log_offset,
            });
        }
        let mut config = Vec::new();
        for path in super::files::list(&self.root.join("config"))? {
            if path.is_file() {
                config.push(FileInfo { len: len_of(&path), path });
            }
        }
        let names =
            ["timerwheel", "timerlog", "compaction", "rocksdbstore", "epochFileCheckpoint", "brokerIdentity"];
        let others = names.iter().map(|name| self.root.join(name)).filter(|path| path.exists());
        Ok(Inspection {
            log,
            checkpoint: self.checkpoint()?,
            abort: read(&self.root.join("abort"))?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            queues: infos,
            index,
            config,
            others: others.map(|path| FileInfo { len: len_of(&path), path }).collect(),
            oddities,
        })
    }

    fn inspect_log(&self) -> Result<LogInfo, OfflineError> {
        let files = &self.log.files;
        let min = files.first().map_or(0, |file| file.start);
        let mut info = LogInfo {
            file_len: self.log.file_len,
            files: files.iter().map(|file| FileInfo { path: file.path.clone(), len: file.len }).collect(),
            min,
            end: min,
            last: None,
            behind_end: None,
        };
        for file in files.iter().rev() {
            info.end = file.start;
            for step in Walk::new(file) {
                match step? {
                    Step::Record { at, record, .. } => {
                        let log_offset = file.start + at as u64;
                        info.end = log_offset + record.len as u64;
                        info.last = Some(LastRecord {
                            log_offset,
                            topic: record.topic.into_owned(),
                            queue_id: record.queue_id,
                            queue_offset: record.queue_offset,
                            store_timestamp: record.store_timestamp,
                        });
                    }
                    Step::Blank { at, .. } if info.last.is_some() => info.end = file.start + at as u64,
                    Step::Garbage { at, text, .. } => {
                        info.behind_end = Some(Problem::new(&file.path, at as u64, text));
                        break;
                    }
                    Step::Blank { .. } | Step::Zeros { .. } => {}
                }
            }
            if info.last.is_some() {
                break;
            }
        }
        Ok(info)
    }

    /// The checkpoint; a short one reads as zeros where it ends.
    pub(crate) fn checkpoint(&self) -> Result<Option<CheckpointFields>, OfflineError> {
        let Some(bytes) = read(&self.root.join("checkpoint"))? else { return Ok(None) };
        let field = |number: usize| {
            bytes
                .get(number * 8..number * 8 + 8)
                .and_then(|it| it.try_into().ok())
                .map_or(0, i64::from_be_bytes)
        };
        Ok(Some(CheckpointFields {
            physic_msg_timestamp: field(0),
            logics_msg_timestamp: field(1),
            index_msg_timestamp: field(2),
            master_flushed_offset: field(3),
            confirm_phy_offset: field(4),
            logics_physical_offset: field(5),
        }))
    }
}

/// The first page of a small file; `None` when it does not exist.
fn read(path: &Path) -> Result<Option<Vec<u8>>, OfflineError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(4_096).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path)(error)),
    }
}

/// Bytes of a file, or of all files below a directory.
fn len_of(path: &Path) -> u64 {
    let Ok(data) = std::fs::symlink_metadata(path) else { return 0 };
    if !data.is_dir() {
        return data.len();
    }
    std::fs::read_dir(path).map_or(0, |entries| entries.flatten().map(|entry| len_of(&entry.path())).sum())
}
