//! All consume queues by topic and id (`ConsumeQueueStore`).

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::RwLock;

use super::one::ConsumeQueue;
use crate::fs::{self, Fs};
use crate::types::OpenError;

type ById = BTreeMap<i32, Arc<ConsumeQueue>>;

#[derive(Debug)]
pub(crate) struct Queues {
    fs: Fs,
    dir: PathBuf,
    file_len: u64,
    topics: RwLock<HashMap<Arc<str>, ById>>,
}

/// Whether `topic` can be a directory below `consumequeue/`.
pub(crate) fn is_dir_name(topic: &str) -> bool {
    !topic.is_empty() && topic != "." && topic != ".." && topic.len() <= 255 && !topic.contains(['/', '\0'])
}

impl Queues {
    pub(crate) fn new(fs: Fs, dir: PathBuf, file_len: u64) -> Self {
        Self { fs, dir, file_len, topics: RwLock::default() }
    }

    pub(crate) fn fs(&self) -> &Fs {
        &self.fs
    }

    /// Opens every queue that has a directory. Directories whose name is not a queue id are skipped.
    pub(crate) fn load(&self) -> Result<(), OpenError> {
        let list = |dir: &PathBuf| match std::fs::read_dir(dir) {
            Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(fs::at(dir)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(fs::at(dir)(error)),
        };
        for topic in list(&self.dir)? {
            let Ok(name) = topic.file_name().into_string() else { continue };
            let path = topic.path();
            if !path.is_dir() {
                continue;
            }
            for queue in list(&path)? {
                let id = queue.file_name().to_str().and_then(|id| id.parse::<i32>().ok());
                let (Some(id), true) = (id, queue.path().is_dir()) else { continue };
                self.get_or_create(&name, id).load()?;
            }
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
        self.topics.read().keys().map(|topic| topic.to_string()).collect()
    }

    pub(crate) fn ids(&self, topic: &str) -> Vec<i32> {
        self.topics.read().get(topic).map(|queues| queues.keys().copied().collect()).unwrap_or_default()
    }

    /// Log offset after the last record that any queue has; -1 when there is none.
    pub(crate) fn max_log_end(&self) -> i64 {
        self.all().iter().map(|queue| queue.max_log_end()).max().unwrap_or(-1)
    }

    /// Takes a topic's queues out and deletes their files.
    pub(crate) fn remove(&self, topic: &str) -> Option<io::Result<()>> {
        let queues = self.topics.write().remove(topic)?;
        let mut outcome = Ok(());
        for queue in queues.values() {
            outcome = outcome.and(queue.destroy());
        }
        // Empty by now, unless something foreign lies in it.
        let _ = std::fs::remove_dir(self.dir.join(topic));
        Some(outcome)
    }

    /// Deletes everything (`destroyConsumeQueueStore`).
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.topics().iter().filter_map(|topic| self.remove(topic)).collect()
    }
}
