//! A row of bytes over files of one size, with its tail in memory: what batch consume queues and consume queue
//! extensions lie in.
//!
//! `written <= end`, `synced <= written`; the memory holds `mem_start..end`, and everything from its start to `written`
//! is in the files as well. A unit never crosses files: that is up to whoever appends.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use super::one::{NotRead, Wait, opened};
use crate::fs::{self, Fs, Named, StoreFile};
use crate::types::OpenError;

/// Memory that is kept of what is written already, for readers close behind.
const KEEP: usize = 32 << 10;

#[derive(Debug)]
pub(crate) struct Stream {
    fs: Fs,
    dir: PathBuf,
    pub(crate) file_len: u64,
    /// The directories have entries that are not synced yet.
    new_entries: AtomicBool,
    /// Files were there at the start, and nothing was written to them since. The run that made them may have crashed.
    untouched: AtomicBool,
    inner: RwLock<Inner>,
    /// The file that was used last.
    recent: Mutex<Option<(u64, Arc<StoreFile>)>>,
}

#[derive(Debug, Default)]
struct Inner {
    files: Vec<Named>,
    mem_start: u64,
    mem: Vec<u8>,
    written: u64,
    synced: u64,
}

impl Inner {
    fn end(&self) -> u64 {
        self.mem_start + self.mem.len() as u64
    }

    fn file_of(&self, at: u64, file_len: u64) -> Option<&Named> {
        let index = self.files.partition_point(|file| file.start <= at).checked_sub(1)?;
        self.files.get(index).filter(|file| at < file.start + file_len)
    }
}

impl Stream {
    /// Nothing yet.
    pub(crate) fn new(fs: Fs, dir: PathBuf, file_len: u64) -> Self {
        Self {
            fs,
            dir,
            file_len,
            new_entries: AtomicBool::new(false),
            untouched: AtomicBool::new(false),
            inner: RwLock::default(),
            recent: Mutex::default(),
        }
    }

    /// Lists the files. The end is that of the last one, until [`Stream::set_end`]. Files after a gap are deleted:
    /// nothing could be found in them.
    pub(crate) fn load(&self) -> Result<(), OpenError> {
        let mut files = fs::queue_files(&self.fs, &[&self.dir], self.file_len)?;
        let gap = files.windows(2).position(|pair| pair[0].start + self.file_len != pair[1].start);
        for file in gap.map_or(Vec::new(), |index| files.split_off(index + 1)) {
            tracing::warn!(file = %file.path.display(), "deleting a queue file after a gap");
            self.fs.remove_file(&file.path).map_err(fs::at(&file.path))?;
        }
        let end = files.last().map_or(0, |last| last.start + self.file_len);
        self.untouched.store(!files.is_empty(), Ordering::Release);
        *self.inner.write() = Inner { files, mem_start: end, mem: Vec::new(), written: end, synced: end };
        Ok(())
    }

    /// First byte of the first file, and the byte after the last one.
    pub(crate) fn range(&self) -> (u64, u64) {
        let inner = self.inner.read();
        let end = inner.end();
        (inner.files.first().map_or(inner.mem_start, |file| file.start).min(end), end)
    }

    /// First byte of the last file.
    pub(crate) fn last_file(&self) -> Option<u64> {
        self.inner.read().files.last().map(|file| file.start)
    }

    pub(crate) fn append(&self, bytes: &[u8]) {
        self.inner.write().mem.extend_from_slice(bytes);
    }

    /// Fills `buf` from `at` on; `false` where that is not all there.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8], wait: Wait) -> Result<bool, NotRead> {
        let inner = self.inner.read();
        let Some(end) = at.checked_add(buf.len() as u64).filter(|end| *end <= inner.end()) else {
            return Ok(false);
        };
        // The memory may have what was deleted with its file.
        if inner.files.first().is_some_and(|first| at < first.start) {
            return Ok(false);
        }
        if at >= inner.mem_start {
            let from = (at - inner.mem_start) as usize;
            buf.copy_from_slice(&inner.mem[from..from + buf.len()]);
            return Ok(true);
        }
        // What begins before the memory does is in the files as far as the memory does not have it.
        let split = (inner.mem_start.min(end) - at) as usize;
        let tail = end.saturating_sub(inner.mem_start) as usize;
        buf[split..].copy_from_slice(&inner.mem[..tail]);
        let Some(file) = inner.file_of(at, self.file_len).cloned() else { return Ok(false) };
        drop(inner);
        let buf = &mut buf[..split];
        let offset = at - file.start;
        let Some(file) = opened(self.open(&file))? else { return Ok(false) };
        match wait {
            Wait::Yes => {
                file.read_exact_at(buf, offset)?;
                Ok(true)
            }
            Wait::No if file.read_cached(buf, offset) == Some(buf.len()) => Ok(true),
            Wait::No => Err(NotRead::WouldBlock),
        }
    }

    /// Why something of this row cannot be opened.
    pub(crate) fn failed(&self, why: NotRead) -> OpenError {
        fs::at(&self.dir)(why.into())
    }

    fn open(&self, file: &Named) -> io::Result<Arc<StoreFile>> {
        let mut recent = self.recent.lock();
        if let Some((start, open)) = &*recent
            && *start == file.start
        {
            return Ok(open.clone());
        }
        let open = Arc::new(self.fs.open(&file.path, true)?);
        *recent = Some((file.start, open.clone()));
        Ok(open)
    }

    /// Moves the end back: later files are deleted, the rest of the last one is zeroed.
    pub(crate) fn set_end(&self, end: u64) -> Result<(), OpenError> {
        self.write().map_err(fs::at(&self.dir))?;
        let mut inner = self.inner.write();
        while let Some(file) = inner.files.pop_if(|file| file.start >= end) {
            *self.recent.lock() = None;
            self.fs.remove_file(&file.path).map_err(fs::at(&file.path))?;
        }
        if let Some(file) = inner.files.last()
            && end < file.start + self.file_len
        {
            let at = fs::at(&file.path);
            let zeroed = self.open(file).and_then(|open| {
                let from = end - file.start;
                if open.last_data(from, self.file_len)?.is_none() {
                    return Ok(());
                }
                tracing::warn!(file = %file.path.display(), from, "zeroing what follows the queue's end");
                open.zero(from, self.file_len)?;
                open.sync_data()
            });
            zeroed.map_err(at)?;
        }
        // Without a file nothing holds the place.
        let end = if inner.files.is_empty() { 0 } else { end };
        inner.mem.clear();
        (inner.mem_start, inner.written, inner.synced) = (end, end, end);
        Ok(())
    }

    /// Moves the end forward to the start of a file; what is skipped reads as zeros.
    pub(crate) fn skip_to(&self, to: u64) -> Result<(), OpenError> {
        let mut inner = self.inner.write();
        // Without a file before, the row begins there.
        let mut start = inner.files.last().map_or(to, |last| last.start + self.file_len);
        while start < to {
            let path = self.dir.join(raptormq_message::file_name(start));
            self.fs.create_sparse(&path, self.file_len).map_err(fs::at(&path))?;
            self.new_entries.store(true, Ordering::Release);
            inner.files.push(Named { start, path });
            start += self.file_len;
        }
        inner.mem.clear();
        (inner.mem_start, inner.written, inner.synced) = (to, to, to);
        Ok(())
    }

    /// Writes the tail to its files, which are created as needed.
    pub(crate) fn write(&self) -> io::Result<()> {
        loop {
            let (at, bytes) = {
                let inner = self.inner.read();
                let skip = (inner.written - inner.mem_start) as usize;
                let room = self.file_len - inner.written % self.file_len;
                let rest = &inner.mem[skip..];
                let len = rest.len().min(usize::try_from(room).unwrap_or(usize::MAX)).min(1 << 20);
                (inner.written, rest[..len].to_vec())
            };
            if bytes.is_empty() {
                return Ok(());
            }
            let found = self.inner.read().file_of(at, self.file_len).cloned();
            let file = match found {
                Some(file) => file,
                None => {
                    let start = at - at % self.file_len;
                    self.fs.create_dir_all(&self.dir)?;
                    let path = self.dir.join(raptormq_message::file_name(start));
                    self.fs.create_sparse(&path, self.file_len)?;
                    self.new_entries.store(true, Ordering::Release);
                    let file = Named { start, path };
                    self.inner.write().files.push(file.clone());
                    file
                }
            };
            self.open(&file)?.write_all_at(&bytes, at - file.start)?;
            if self.untouched.swap(false, Ordering::AcqRel) {
                self.new_entries.store(true, Ordering::Release);
            }
            self.inner.write().written = at + bytes.len() as u64;
        }
    }

    /// Makes durable what is written, and lets go of what has rested since the last time.
    pub(crate) fn sync(&self) -> io::Result<()> {
        let (from, to, dirty) = {
            let inner = self.inner.read();
            let (from, to) = (inner.synced, inner.written);
            let dirty = inner.files.iter().filter(|f| f.start + self.file_len > from && f.start < to);
            (from, to, dirty.cloned().collect::<Vec<_>>())
        };
        if from < to {
            for file in dirty {
                self.open(&file)?.sync_data()?;
            }
            let mut inner = self.inner.write();
            inner.synced = inner.synced.max(to);
            return Ok(());
        }
        *self.recent.lock() = None;
        self.trim(0);
        Ok(())
    }

    /// Lets go of memory whose content is written, all but the last [`KEEP`] bytes.
    pub(crate) fn trim_written(&self) {
        self.trim(KEEP);
    }

    fn trim(&self, keep: usize) {
        let mut inner = self.inner.write();
        let written = (inner.written - inner.mem_start) as usize;
        let drop = written.saturating_sub(keep);
        if drop == 0 || (keep > 0 && drop < KEEP) {
            return;
        }
        inner.mem.drain(..drop);
        inner.mem_start += drop as u64;
        if inner.mem.is_empty() {
            inner.mem = Vec::new();
        }
    }

    /// The directories that have an entry which is not durable yet: queue, topic, all queues, and the store's root,
    /// which gets the one for all queues with the first of them.
    pub(crate) fn take_new_entries(&self) -> BTreeSet<PathBuf> {
        let new = self.new_entries.swap(false, Ordering::AcqRel);
        self.dir.ancestors().take(if new { 4 } else { 0 }).map(PathBuf::from).collect()
    }

    /// Deletes the files, except the last one, for which `expired` is true of their first byte; from the first one on,
    /// up to the first that is not. Returns how many went.
    pub(crate) fn delete_first_while(&self, expired: impl Fn(u64) -> bool) -> io::Result<usize> {
        let mut deleted = 0;
        loop {
            let first = {
                let inner = self.inner.read();
                match inner.files.first() {
                    Some(first) if inner.files.len() > 1 && first.start + self.file_len <= inner.written => {
                        first.clone()
                    }
                    _ => return Ok(deleted),
                }
            };
            if !expired(first.start) {
                return Ok(deleted);
            }
            let mut inner = self.inner.write();
            self.fs.remove_file(&first.path)?;
            inner.files.retain(|file| file.start != first.start);
            self.recent.lock().take_if(|(start, _)| *start == first.start);
            drop(inner);
            // Before the next one goes: after a loss of power no file may be back whose successor is not.
            self.fs.sync_dir(&self.dir)?;
            deleted += 1;
        }
    }

    /// Deletes everything.
    pub(crate) fn destroy(&self) -> io::Result<()> {
        let mut inner = self.inner.write();
        *inner = Inner::default();
        *self.recent.lock() = None;
        match self.fs.remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
