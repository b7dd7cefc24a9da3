//! All consume queues by topic and id (`ConsumeQueueStore`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};

use super::batch::{BatchQueue, Batches};
use super::ext::Exts;
use super::one::ConsumeQueue;
use super::stream::Stream;
use crate::fs::{self, Fs};
use crate::types::OpenError;

type ById = BTreeMap<i32, Arc<ConsumeQueue>>;

#[derive(Debug)]
pub(crate) struct Queues {
    fs: Fs,
    dir: PathBuf,
    file_len: u64,
    topics: RwLock<HashMap<Arc<str>, ById>>,
    batches: Batches,
    exts: Option<Exts>,
}

/// A queue of either kind.
#[derive(Debug, Clone)]
pub(crate) enum Queue {
    Simple(Arc<ConsumeQueue>),
    Batch(Arc<BatchQueue>),
}

impl Queue {
    /// Positions of the first message and after the last one.
    pub(crate) fn range(&self) -> (i64, i64) {
        match self {
            Self::Simple(queue) => queue.range(),
            Self::Batch(queue) => queue.range(),
        }
    }

    /// The position that the next message gets.
    pub(crate) fn next_offset(&self) -> &AtomicI64 {
        match self {
            Self::Simple(queue) => &queue.next_offset,
            Self::Batch(queue) => &queue.next_offset,
        }
    }

    /// The topic is gone.
    pub(crate) fn deleted(&self) -> &AtomicBool {
        match self {
            Self::Simple(queue) => &queue.deleted,
            Self::Batch(queue) => &queue.deleted,
        }
    }

    /// Recovery has put it back to where its walk began.
    pub(crate) fn rewound(&self) -> &AtomicBool {
        match self {
            Self::Simple(queue) => &queue.rewound,
            Self::Batch(queue) => &queue.rewound,
        }
    }

    /// Where the record of the message at `offset` is: log offset and size.
    pub(crate) fn place(&self, offset: i64) -> Option<(i64, i32)> {
        match self {
            Self::Simple(queue) => queue.unit(offset).map(|unit| (unit.log_offset, unit.size)),
            Self::Batch(queue) => queue.unit_with(offset).map(|unit| (unit.log_offset, unit.size)),
        }
    }
}

/// Whether `topic` can be a directory below `consumequeue/`.
pub(crate) fn is_dir_name(topic: &str) -> bool {
    !topic.is_empty() && topic != "." && topic != ".." && topic.len() <= 255 && !topic.contains(['/', '\0'])
}

impl Queues {
    pub(crate) fn new(fs: Fs, dir: PathBuf, file_len: u64) -> Self {
        let batches = Batches::new(fs.clone(), dir.with_file_name("batchconsumequeue"), file_len);
        Self { fs, dir, file_len, topics: RwLock::default(), batches, exts: None }
    }

    /// With batch queues in files of `file_len` bytes, and `topics` that have them.
    pub(crate) fn with_batches(mut self, file_len: u64, topics: &BTreeSet<String>) -> Self {
        self.batches = Batches::new(self.fs.clone(), self.dir.with_file_name("batchconsumequeue"), file_len);
        topics.iter().filter(|topic| is_dir_name(topic)).for_each(|topic| self.batches.declare(topic));
        self
    }

    /// With extensions in files of `file_len` bytes.
    pub(crate) fn with_exts(mut self, file_len: u64) -> Self {
        let dir = self.dir.with_file_name("consumequeue_ext");
        self.exts = Some(Exts::new(self.fs.clone(), dir, file_len));
        self
    }

    pub(crate) fn batches(&self) -> &Batches {
        &self.batches
    }

    /// The extensions, if queues have them (`enableConsumeQueueExt`).
    pub(crate) fn exts(&self) -> Option<&Exts> {
        self.exts.as_ref()
    }

    pub(crate) fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Opens every queue that has a directory. Directories whose name is not a queue id are skipped.
    pub(crate) fn load(&self) -> Result<(), OpenError> {
        for (name, id) in queue_dirs(self.batches.dir())? {
            self.batches.declare(&name);
            if let Some(queue) = self.batches.get_or_create(&name, id) {
                queue.load()?;
            }
        }
        let queues: Vec<_> =
            queue_dirs(&self.dir)?.into_iter().map(|(name, id)| self.get_or_create(&name, id)).collect();
        // Thousands of queues wait for the disk, or for the system, more than for us.
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let work = || {
            while let Some(queue) = queues.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.load_one(queue) {
                    next.store(queues.len(), Ordering::Relaxed);
                    *failed.lock() = Some(error);
                }
            }
        };
        let threads =
            std::thread::available_parallelism().map_or(1, |cores| 2 * cores.get()).min(queues.len() / 16);
        std::thread::scope(|scope| {
            // A thread that cannot be had leaves its share to the others.
            for _ in 0..threads {
                let _ = std::thread::Builder::new().name("store-load".to_owned()).spawn_scoped(scope, work);
            }
            work();
        });
        failed.into_inner().map_or(Ok(()), Err)
    }

    fn load_one(&self, queue: &ConsumeQueue) -> Result<(), OpenError> {
        queue.load()?;
        if queue.range().1 > 0 && self.batches.is_batch(&queue.topic) {
            return Err(OpenError::QueueType { topic: queue.topic.to_string(), path: self.dir.clone() });
        }
        self.exts.as_ref().map_or(Ok(()), |exts| exts.load(queue))
    }

    /// The queue of either kind that is there.
    #[inline]
    pub(crate) fn find(&self, topic: &str, queue_id: i32) -> Option<Queue> {
        if self.batches.is_batch(topic) {
            return self.batches.get(topic, queue_id).map(Queue::Batch);
        }
        self.get(topic, queue_id).map(Queue::Simple)
    }

    /// The queue of the topic's kind, made on demand.
    #[inline]
    pub(crate) fn find_or_create(&self, topic: &str, queue_id: i32) -> Queue {
        match self.batches.get_or_create(topic, queue_id) {
            Some(queue) => Queue::Batch(queue),
            None => Queue::Simple(self.get_or_create(topic, queue_id)),
        }
    }

    /// Visits what batch queues and extensions lie in.
    pub(crate) fn each_stream(&self, mut each: impl FnMut(&Stream) -> io::Result<()>) -> io::Result<()> {
        let (batches, exts) = (self.batches.all(), self.exts.as_ref().map(Exts::all).unwrap_or_default());
        exts.iter().map(|it| it.stream()).chain(batches.iter().map(|it| it.stream())).try_for_each(&mut each)
    }

    /// After a crash: puts the batch queues back to where the walk over the log begins. What follows is dispatched
    /// anew.
    pub(crate) fn rewind_batches(&self, log_start: u64) -> Result<(), OpenError> {
        self.batches.all().iter().try_for_each(|queue| {
            queue.rewound.store(false, Ordering::Relaxed);
            queue.rewind_to_log(log_start as i64)
        })
    }

    /// Ends the batch queues where the log ends.
    pub(crate) fn truncate_batches(&self, log_end: u64) -> Result<(), OpenError> {
        self.batches.all().iter().try_for_each(|queue| queue.truncate(log_end as i64))
    }

    /// Brings batch queues and extensions in line with a log that begins at `log_min`, and the next positions with
    /// what is there.
    pub(crate) fn settle_others(&self, log_min: u64) {
        for queue in self.batches.all() {
            queue.correct_min(log_min as i64);
            queue.next_offset.store(queue.range().1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Deletes files of batch queues and extensions that belong to a part of the log that is gone.
    pub(crate) fn delete_expired_others(&self, log_min: i64) -> io::Result<()> {
        for queue in self.batches.all() {
            queue.delete_expired(log_min)?;
            queue.correct_min(log_min);
        }
        if let Some(exts) = &self.exts {
            self.all().iter().try_for_each(|queue| exts.follow(queue))?;
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn get(&self, topic: &str, queue_id: i32) -> Option<Arc<ConsumeQueue>> {
        self.topics.read().get(topic)?.get(&queue_id).cloned()
    }

    /// The queue, made on demand; it has no files before its first message.
    pub(crate) fn get_or_create(&self, topic: &str, queue_id: i32) -> Arc<ConsumeQueue> {
        if let Some(queue) = self.get(topic, queue_id) {
            return queue;
        }
        let mut topics = self.topics.write();
        let name = topics.get_key_value(topic).map_or_else(|| Arc::from(topic), |(name, _)| Arc::clone(name));
        let queues = topics.entry(name.clone()).or_default();
        let make = || {
            let dir = self.dir.join(topic).join(queue_id.to_string());
            Arc::new(ConsumeQueue::new(self.fs.clone(), name, queue_id, dir, self.file_len))
        };
        queues.entry(queue_id).or_insert_with(make).clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<ConsumeQueue>> {
        self.topics.read().values().flat_map(|queues| queues.values().cloned()).collect()
    }

    pub(crate) fn topics(&self) -> Vec<String> {
        let simple = self.topics.read();
        let simple =
            simple.keys().filter(|topic| !self.batches.is_batch(topic)).map(|topic| topic.to_string());
        simple.chain(self.batches.topics()).collect()
    }

    pub(crate) fn ids(&self, topic: &str) -> Vec<i32> {
        if self.batches.is_batch(topic) {
            return self.batches.ids(topic);
        }
        self.topics.read().get(topic).map(|queues| queues.keys().copied().collect()).unwrap_or_default()
    }

    /// Log offset after the last record that any queue has; -1 when there is none.
    pub(crate) fn max_log_end(&self) -> i64 {
        let simple = self.all().iter().map(|queue| queue.max_log_end()).max();
        let batch = self.batches.all().iter().map(|queue| queue.max_log_end()).max();
        simple.max(batch).unwrap_or(-1)
    }

    /// Takes a topic's queues out and deletes their files.
    pub(crate) fn remove(&self, topic: &str) -> Option<io::Result<()>> {
        let batch = self.batches.remove(topic);
        let simple = self.remove_simple(topic);
        match (batch, simple) {
            (Some(batch), Some(simple)) => Some(batch.and(simple)),
            (batch, simple) => batch.or(simple),
        }
    }

    fn remove_simple(&self, topic: &str) -> Option<io::Result<()>> {
        let queues = self.topics.write().remove(topic)?;
        let mut outcome = Ok(());
        for queue in queues.values() {
            outcome = outcome.and(queue.destroy());
        }
        if let Some(exts) = &self.exts {
            outcome = outcome.and(exts.remove(topic));
        }
        // Empty by now, unless something foreign lies in it.
        let _ = std::fs::remove_dir(self.dir.join(topic));
        // Old units must not be back after a loss of power, in front of those of a new topic with this name.
        Some(outcome.and_then(|()| self.fs.sync_dir(&self.dir)))
    }

    /// Deletes everything (`destroyConsumeQueueStore`).
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.batches.clear()?;
        self.topics().iter().filter_map(|topic| self.remove_simple(topic)).collect()
    }
}

/// Topics and queue ids that have a directory below `dir`.
fn queue_dirs(dir: &Path) -> Result<Vec<(String, i32)>, OpenError> {
    let list = |dir: &Path| match std::fs::read_dir(dir) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(fs::at(dir)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(fs::at(dir)(error)),
    };
    let mut found = Vec::new();
    for topic in list(dir)? {
        let Ok(name) = topic.file_name().into_string() else { continue };
        let path = topic.path();
        if !path.is_dir() {
            continue;
        }
        for queue in list(&path)? {
            let id = queue.file_name().to_str().and_then(|id| id.parse::<i32>().ok());
            if let (Some(id), true) = (id, queue.path().is_dir()) {
                found.push((name.clone(), id));
            }
        }
    }
    Ok(found)
}
