//! The commit log's files: `commitlog/%020d`, each of exactly the configured size.

pub(crate) mod alloc;
pub(crate) mod map;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

use self::map::Map;
use crate::fs::{Fs, StoreFile};

/// One commit log file.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Log offset of its first byte.
    pub(crate) start: u64,
    pub(crate) len: u64,
    pub(crate) file: StoreFile,
    pub(crate) map: Arc<Map>,
}

impl Segment {
    /// Creates the file that begins at `start`, with all its blocks.
    pub(crate) fn create(fs: &Fs, dir: &Path, start: u64, len: u64) -> io::Result<Self> {
        let file = fs.create_allocated(&dir.join(raptormq_message::file_name(start)), len)?;
        // The length first: an entry that survives a loss of power must not name a shorter file.
        file.sync_data()?;
        fs.sync_dir(dir)?;
        let map = Map::writable(file.raw(), len as usize, 0)?;
        Ok(Self { start, len, file, map })
    }

    /// Opens a full file.
    pub(crate) fn open_full(fs: &Fs, path: &Path, start: u64, len: u64) -> io::Result<Self> {
        let file = fs.open(path, false)?;
        let map = Map::read_only(file.raw(), len as usize)?;
        Ok(Self { start, len, file, map })
    }

    /// Opens the file that is appended to, which holds the log up to `end`; the rest of it must be zero.
    pub(crate) fn open_last(fs: &Fs, path: &Path, start: u64, len: u64, end: u64) -> io::Result<Self> {
        let file = fs.open(path, true)?;
        let map = Map::writable(file.raw(), len as usize, (end - start) as usize)?;
        Ok(Self { start, len, file, map })
    }

    /// Allocates the blocks from `end` to the file's end, which must be done before anything is written there.
    pub(crate) fn allocate(&self, end: u64) -> io::Result<()> {
        self.file.allocate(end.saturating_sub(self.start), self.len)
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Log offset after its last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.len
    }

    /// Published bytes from `offset` on; empty when there is none.
    pub(crate) fn bytes_from(&self, offset: u64) -> &[u8] {
        let at = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.map.bytes().get(at..)).unwrap_or_default()
    }

    /// Published bytes as they lie in the map.
    pub(crate) fn slice(&self, offset: u64, len: usize) -> Option<Bytes> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        self.map.slice(at..at.checked_add(len)?)
    }

    /// Published bytes read from disk, for parts of the log that are not expected in memory; `None` where there are
    /// none.
    pub(crate) fn read(&self, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
        let end = offset.checked_sub(self.start).and_then(|at| at.checked_add(len as u64));
        if end.is_none_or(|end| end > self.map.published() as u64) {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset - self.start)?;
        Ok(Some(bytes.into()))
    }
}

/// The directories of the commit log (`MultiPathMappedFileQueue`).
#[derive(Debug)]
pub(crate) struct LogDirs {
    fs: Fs,
    /// Where files are made, in order.
    writable: Vec<PathBuf>,
    /// Those on disks with too little space left.
    full: Mutex<BTreeSet<PathBuf>>,
}

impl LogDirs {
    pub(crate) fn new(fs: Fs, mut writable: Vec<PathBuf>) -> Self {
        writable.sort();
        writable.dedup();
        Self { fs, writable, full: Mutex::default() }
    }

    pub(crate) fn writable(&self) -> &[PathBuf] {
        &self.writable
    }

    /// Keeps new files away from these, unless no other is left.
    pub(crate) fn avoid(&self, full: BTreeSet<PathBuf>) {
        *self.full.lock() = full;
    }

    /// Creates the file that begins at `start`; files take turns among the directories.
    pub(crate) fn create(&self, start: u64, len: u64) -> io::Result<Segment> {
        let dir = {
            let full = self.full.lock();
            let roomy: Vec<&PathBuf> = self.writable.iter().filter(|dir| !full.contains(*dir)).collect();
            let dirs = if roomy.is_empty() { self.writable.iter().collect() } else { roomy };
            let turn = (start / len) as usize % dirs.len().max(1);
            dirs.get(turn).map(|dir| (*dir).clone()).unwrap_or_default()
        };
        Segment::create(&self.fs, &dir, start, len)
    }
}

/// All files of the commit log in order.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    list: RwLock<Vec<Arc<Segment>>>,
}

impl Segments {
    pub(crate) fn new(list: Vec<Arc<Segment>>) -> Self {
        Self { list: RwLock::new(list) }
    }

    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.list.write().push(segment);
    }

    /// The file that holds `offset`.
    pub(crate) fn find(&self, offset: u64) -> Option<Arc<Segment>> {
        let list = self.list.read();
        let after = list.partition_point(|segment| segment.start <= offset);
        let segment = list.get(after.checked_sub(1)?)?;
        (offset < segment.end()).then(|| segment.clone())
    }

    /// The first file that ends after `offset`.
    pub(crate) fn at_or_after(&self, offset: u64) -> Option<Arc<Segment>> {
        let list = self.list.read();
        list.get(list.partition_point(|segment| segment.end() <= offset)).cloned()
    }

    pub(crate) fn first(&self) -> Option<Arc<Segment>> {
        self.list.read().first().cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Segment>> {
        self.list.read().clone()
    }

    /// Takes the first file out of the log, unless it is the last one.
    pub(crate) fn pop_front(&self) -> Option<Arc<Segment>> {
        let mut list = self.list.write();
        (list.len() > 1).then(|| list.remove(0))
    }
}
