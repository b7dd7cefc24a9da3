//! The key index: `index/yyyyMMddHHmmssSSS`, a hash table per file from `topic#key` to log offsets (`IndexService`).
//!
//! The last file grows until it is full; then the next one begins. A file is synced when it is full and when the
//! store stops, so a crash drops the growing file and recovery fills it again as far as it walks.

mod file;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

pub(crate) use self::file::{IndexFile, Range, key_hash, tags_hash, topic_hash};
use crate::checkpoint::Checkpoint;
use crate::fs::{self, Fs};
use crate::types::OpenError;

#[derive(Debug)]
pub(crate) struct Index {
    fs: Fs,
    dir: PathBuf,
    slots: u32,
    items: u32,
    files: RwLock<Vec<Arc<IndexFile>>>,
    /// Full files that are not known to be on disk.
    full: Mutex<Vec<Arc<IndexFile>>>,
}

/// Log offsets found for a key.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) log_offsets: Vec<i64>,
    pub(crate) last_update_timestamp: i64,
    pub(crate) last_update_log_offset: i64,
}

impl Index {
    pub(crate) fn new(fs: Fs, dir: PathBuf, slots: u32, items: u32) -> Self {
        Self { fs, dir, slots, items, files: RwLock::default(), full: Mutex::default() }
    }

    /// Opens the files. After a crash those that reach beyond what the checkpoint vouches for are deleted.
    pub(crate) fn load(&self, last_exit_ok: bool, checkpoint: &Checkpoint) -> Result<(), OpenError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(fs::at(&self.dir)(error)),
        };
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()
            .map_err(fs::at(&self.dir))?;
        paths.sort();
        for path in paths {
            let is_index = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.parse::<i64>().is_ok());
            if !is_index || !path.is_file() {
                tracing::warn!(file = %path.display(), "not an index file, skipped");
                continue;
            }
            let file = IndexFile::open(&self.fs, &path, self.slots, self.items).map_err(fs::at(&path))?;
            if !last_exit_ok && file.end_timestamp() > checkpoint.get().index_msg_timestamp {
                tracing::info!(file = %path.display(), "deleting an index file that may be incomplete after the crash");
                self.fs.remove_file(&path).map_err(fs::at(&path))?;
                continue;
            }
            self.files.write().push(Arc::new(file));
        }
        Ok(())
    }

    /// The file that new keys go to; made when there is none or the last one is full.
    pub(crate) fn writable(&self, now_ms: i64) -> io::Result<Arc<IndexFile>> {
        let last = self.files.read().last().cloned();
        if let Some(last) = last.as_ref().filter(|last| !last.is_full()) {
            return Ok(last.clone());
        }
        self.fs.create_dir_all(&self.dir)?;
        let path = self.free_name(now_ms);
        let file = Arc::new(IndexFile::open(&self.fs, &path, self.slots, self.items)?);
        if let Some(full) = last {
            file.seed(&full)?;
            self.full.lock().push(full);
        }
        self.files.write().push(file.clone());
        Ok(file)
    }

    /// Sees that the next keys find space.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn reserve(&self) -> io::Result<()> {
        let last = self.files.read().last().cloned();
        last.map_or(Ok(()), |last| last.reserve())
    }

    /// Makes full files durable, which will not change any more, and lets the checkpoint vouch for them.
    pub(crate) fn settle(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let full = self.full.lock().clone();
        for file in &full {
            file.sync()?;
            self.fs.sync_dir(&self.dir)?;
            checkpoint.update(|fields| fields.index_msg_timestamp = file.end_timestamp())?;
            self.full.lock().retain(|it| !Arc::ptr_eq(it, file));
        }
        Ok(())
    }

    /// The local time as `yyyyMMddHHmmssSSS`, later by milliseconds until no file has that name.
    fn free_name(&self, now_ms: i64) -> PathBuf {
        let mut ms = now_ms;
        loop {
            let local =
                chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().with_timezone(&chrono::Local);
            let path = self.dir.join(local.format("%Y%m%d%H%M%S%3f").to_string());
            if !path.exists() {
                return path;
            }
            ms += 1;
        }
    }

    /// Log offset of the newest indexed message in the last file.
    pub(crate) fn end_log_offset(&self) -> i64 {
        self.files.read().last().map_or(0, |last| last.end_log_offset())
    }

    /// Offsets stored for `topic#key` between two times, newest file first (`IndexService.queryOffset`).
    pub(crate) fn find(&self, topic: &str, key: &str, max: usize, range: Range) -> Found {
        let hash = key_hash(topic_hash(topic), key);
        let files = self.files.read().clone();
        let mut found = Found::default();
        if let Some(last) = files.last() {
            found.last_update_timestamp = last.end_timestamp();
            found.last_update_log_offset = last.end_log_offset();
        }
        for file in files.iter().rev() {
            if file.overlaps(range) {
                file.find(hash, max, range, &mut found.log_offsets);
            }
            if file.begin_timestamp() < range.begin || found.log_offsets.len() >= max {
                break;
            }
        }
        found
    }

    /// Whether one of the two newest files has this key of the record at `at`.
    pub(crate) fn has(&self, hash: i32, at: i64) -> bool {
        let files = self.files.read();
        files.iter().rev().take(2).any(|file| {
            let mut offsets = Vec::new();
            file.find(hash, usize::MAX, Range { begin: i64::MIN, end: i64::MAX }, &mut offsets);
            offsets.contains(&at)
        })
    }

    /// Deletes files whose newest message is below `log_min`; the last one stays.
    pub(crate) fn delete_expired(&self, log_min: i64) -> io::Result<usize> {
        let mut deleted = 0;
        let mut files = self.files.write();
        while files.len() > 1 && files[0].end_log_offset() < log_min {
            self.fs.remove_file(files[0].path())?;
            files.remove(0);
            deleted += 1;
        }
        Ok(deleted)
    }

    /// Makes all files durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let files = self.files.read().clone();
        for file in &files {
            file.sync()?;
        }
        if files.is_empty() { Ok(()) } else { self.fs.sync_dir(&self.dir) }
    }
}
